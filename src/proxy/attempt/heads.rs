//! Headers of an upstream's answer that reach the caller.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::proxy::failure::Failure;
use crate::upstream::coding;

/// Headers of an upstream that reach a caller of its own protocol. Everything else (cookies, organisation ids) stays here.
pub(super) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut out = limits(headers);
    for name in [CONTENT_TYPE, CONTENT_ENCODING] {
        if let Some(value) = headers.get(&name) {
            out.insert(name, value.clone());
        }
    }
    // By these AWS's clients know an error, and a call.
    for name in ["x-amzn-errortype", "x-amzn-requestid"] {
        if let Some(value) = headers.get(name) {
            out.insert(name, value.clone());
        }
    }
    if let Some(id) = headers.get("request-id").or_else(|| headers.get("x-request-id")) {
        out.insert("x-routeplane-upstream-request-id", id.clone());
    }
    out
}

/// Rate limits of the upstream, as it tells them.
pub(super) fn limits(headers: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(12);
    for (name, value) in headers {
        if name.as_str().starts_with("x-ratelimit-")
            || name.as_str().starts_with("anthropic-ratelimit-")
            || name == "openai-processing-ms"
        {
            out.append(name.clone(), value.clone());
        }
    }
    out
}

/// Refuses an answer whose words somebody must read, and nobody can.
///
/// # Errors
/// A coding that is not known. Those that are known are gone by now.
pub(super) fn refuse_unknown_coding(headers: &HeaderMap) -> Result<(), Failure> {
    coding::of(headers).map(drop).map_err(|name| Failure::BadAnswer {
        code: "upstream_content_type",
        message: format!(
            "the upstream answered in the `content-encoding` `{name}`, though it was asked for `identity`"
        ),
    })
}
