//! Headers of an upstream's answer that reach the caller.

use std::time::SystemTime;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::limits;
use crate::proxy::failure::Failure;
use crate::upstream::coding;
use crate::wire::ProtocolId;

/// Headers of an upstream that reach a caller of its own protocol. Everything else (cookies, organisation ids) stays here.
pub(in crate::proxy) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut out = limits::as_they_came(headers);
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

/// Headers of an upstream that reach a caller of another protocol: its rate limits, in the caller's words.
pub(super) fn translated(headers: &HeaderMap, caller: ProtocolId) -> HeaderMap {
    limits::translated(headers, caller, SystemTime::now())
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
