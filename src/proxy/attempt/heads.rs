//! Headers of an upstream's answer that reach the caller.

use std::time::SystemTime;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};

use super::limits;
use crate::proxy::failure::Failure;
use crate::upstream::coding;
use crate::wire::ProtocolId;

/// By these AWS's clients know an error, and a call.
static AWS: [HeaderName; 2] =
    [HeaderName::from_static("x-amzn-errortype"), HeaderName::from_static("x-amzn-requestid")];
/// How upstreams name a request of theirs.
static THEIR_IDS: [HeaderName; 2] = [HeaderName::from_static("request-id"), HeaderName::from_static("x-request-id")];
/// How we pass that name on.
static THEIR_ID: HeaderName = HeaderName::from_static("x-routeplane-upstream-request-id");

/// Headers of an upstream that reach a caller of its own protocol. Everything else (cookies, organisation ids) stays here.
pub(in crate::proxy) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut out = limits::as_they_came(headers);
    for name in [CONTENT_TYPE, CONTENT_ENCODING] {
        if let Some(value) = headers.get(&name) {
            out.insert(name, value.clone());
        }
    }
    for name in &AWS {
        if let Some(value) = headers.get(name) {
            out.insert(name, value.clone());
        }
    }
    if let Some(id) = THEIR_IDS.iter().find_map(|name| headers.get(name)) {
        out.insert(&THEIR_ID, id.clone());
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
