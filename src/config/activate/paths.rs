//! Paths that differ from those of a protocol.

use super::Problem;
use super::base_url::fill;
use super::endpoint::Written;
use crate::config::Env;
use crate::config::document::EndpointEntry;
use crate::provider::PathOverride;
use crate::source::Spanned;
use crate::wire::Operation;

/// How a file says that an endpoint lacks an operation which its protocol has.
const NONE: &str = "none";

pub(super) struct Paths {
    pub(super) list: Box<[PathOverride]>,
    /// Of a placeholder that cannot be filled, the variables that would.
    pub(super) unset: Vec<String>,
}

/// By operation; of several entries for one the last wins, which is the user's. A whole URL of the provider file leads to
/// the vendor, and a provider that the user moved elsewhere does not follow it: a key must not go there.
pub(super) fn paths(written: Written<'_>, redirected: bool, env: &Env) -> Result<Paths, Problem> {
    let layers = written.layers;
    let entries = |entry| written.of(entry).into_iter().flat_map(|endpoint: &EndpointEntry| &endpoint.paths);
    let described = entries(layers.preset).filter(|(_, path)| !redirected || !is_url(&path.value));
    let mut list: Vec<PathOverride> = Vec::new();
    let mut unset = Vec::new();
    for (key, path) in described.chain(entries(layers.user)) {
        let (operation, stream) = operation(key)?;
        let written = match path.value.as_str() {
            NONE if operation != Operation::Generate => None,
            text if text.starts_with('/') || is_url(text) => match fill(text, layers, env) {
                Ok(filled) => Some(filled.into()),
                Err(variables) => {
                    unset = variables;
                    continue;
                }
            },
            text => {
                let message = format!("the path `{text}` does not begin with `/`");
                let help = "write what follows the base URL, such as `/chat/completions`, or a whole URL";
                return Err(Problem::invalid(path.span, message, help));
            }
        };
        list.retain(|(other, streamed, _)| (*other, *streamed) != (operation, stream));
        list.push((operation, stream, written));
    }
    Ok(Paths { list: list.into(), unset })
}

/// A placeholder of a URL may stand for its beginning.
fn is_url(text: &str) -> bool {
    text.contains("://") || text.starts_with('{')
}

fn operation(key: &Spanned<String>) -> Result<(Operation, bool), Problem> {
    if key.value == "stream" {
        return Ok((Operation::Generate, true));
    }
    let named = Operation::ALL.into_iter().find(|operation| operation.name() == key.value);
    named.map(|operation| (operation, false)).ok_or_else(|| {
        let names = Operation::ALL.map(|operation| format!("`{}`", operation.name()));
        let message = format!("`{}` is not an operation with a path", key.value);
        Problem::invalid(key.span, message, format!("write `stream`, or one of {}", names.join(", ")))
    })
}
