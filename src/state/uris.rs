//! Addresses of calls. Where the path does not name the model, the address is made once.

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::provider::Endpoint;
use crate::wire::{Operation, Outbound};

/// What may stand in a path unescaped. A slash may not: it would make one model id two path segments.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// The addresses of one endpoint that are the same for every model.
#[derive(Debug, Clone, Default)]
pub struct Uris {
    /// By [`Operation::index`].
    whole: [Option<Uri>; Operation::COUNT],
    /// Of the streamed form of [`Operation::Generate`].
    stream: Option<Uri>,
}

impl Uris {
    pub fn of(endpoint: &Endpoint) -> Uris {
        let Some(outbound) = endpoint.outbound() else {
            return Uris::default();
        };
        let fixed = |operation, stream| {
            // Two models that lead to the same address: the model is not in it.
            let uri = build(endpoint, outbound, operation, "a", stream)?;
            (build(endpoint, outbound, operation, "b", stream)? == uri).then_some(uri)
        };
        Uris {
            whole: Operation::ALL.map(|operation| fixed(operation, false)),
            stream: fixed(Operation::Generate, true),
        }
    }

    /// The address of a call; `None` where the protocol has no such operation.
    pub fn get(
        &self,
        endpoint: &Endpoint,
        outbound: &dyn Outbound,
        operation: Operation,
        model: &str,
        stream: bool,
    ) -> Option<Uri> {
        let fixed = match (operation, stream) {
            (Operation::Generate, true) => self.stream.as_ref(),
            _ => self.whole.get(operation.index()).and_then(Option::as_ref),
        };
        fixed.cloned().or_else(|| build(endpoint, outbound, operation, model, stream))
    }
}

/// The address of a thing below that of a kind of call: with `tail` behind its path (each segment escaped already), and behind
/// its query that of a caller, without the client key that may stand in it.
pub fn below(calls: Uri, tail: &str, query: Option<&str>) -> Option<Uri> {
    let asked = query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.starts_with("key="));
    let queries: Vec<&str> = calls.query().into_iter().chain(asked).filter(|pair| !pair.is_empty()).collect();
    let mark = if queries.is_empty() { "" } else { "?" };
    let path: PathAndQuery = format!("{}{tail}{mark}{}", calls.path(), queries.join("&")).parse().ok()?;
    let mut parts = calls.into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).ok()
}

/// A name as one segment of a path.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

fn build(endpoint: &Endpoint, outbound: &dyn Outbound, operation: Operation, model: &str, stream: bool) -> Option<Uri> {
    let own = endpoint.paths.iter().find(|(known, streamed, _)| *known == operation && *streamed == stream);
    let path = match own {
        Some((_, _, None)) => return None,
        Some((_, _, Some(template))) => template.replace("{model}", &utf8_percent_encode(model, SEGMENT).to_string()),
        None => outbound.path(operation, model, stream)?,
    };
    if !path.starts_with('/') {
        return path.parse().ok();
    }
    let base = &endpoint.base_url;
    let path: PathAndQuery = format!("{}{path}", base.path).parse().ok()?;
    Uri::builder().scheme(base.scheme.clone()).authority(base.authority.clone()).path_and_query(path).build().ok()
}
