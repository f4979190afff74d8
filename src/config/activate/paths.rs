//! Paths that differ from those of a protocol.

use super::base_url::fill;
use super::{Layers, Problem};
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

/// By operation; of several entries for one the last wins.
pub(super) fn paths<'e>(
    entries: impl Iterator<Item = &'e EndpointEntry>,
    layers: Layers<'_>,
    env: &Env,
) -> Result<Paths, Problem> {
    let mut list: Vec<PathOverride> = Vec::new();
    let mut unset = Vec::new();
    for (key, path) in entries.flat_map(|endpoint| &endpoint.paths) {
        let (operation, stream) = operation(key)?;
        let written = match path.value.as_str() {
            NONE if operation != Operation::Generate => None,
            text if text.starts_with('/') => match fill(text, layers, env) {
                Ok(filled) => Some(filled.into()),
                Err(variables) => {
                    unset = variables;
                    continue;
                }
            },
            text => {
                let message = format!("the path `{text}` does not begin with `/`");
                let help = "write what follows the base URL, such as `/chat/completions`";
                return Err(Problem::invalid(path.span, message, help));
            }
        };
        list.retain(|(other, streamed, _)| (*other, *streamed) != (operation, stream));
        list.push((operation, stream, written));
    }
    Ok(Paths { list: list.into(), unset })
}

fn operation(key: &Spanned<String>) -> Result<(Operation, bool), Problem> {
    match key.value.as_str() {
        "generate" => Ok((Operation::Generate, false)),
        "stream" => Ok((Operation::Generate, true)),
        "embed" => Ok((Operation::Embed, false)),
        "count_tokens" => Ok((Operation::CountTokens, false)),
        other => {
            let message = format!("`{other}` is not an operation with a path");
            Err(Problem::invalid(key.span, message, "write `generate`, `stream`, `embed` or `count_tokens`"))
        }
    }
}
