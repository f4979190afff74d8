//! Heads and errors for the caller.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::ResponseBody;
use super::attempt::{Answer, AnswerBody};
use super::{explain, receive};
use crate::telemetry::Entry;
use crate::upstream::coding;
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::loss::Losses;
use crate::wire::{Inbound, ProtocolId};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every answer says about itself, and what its record will say.
pub struct Trail {
    pub request_id: Arc<str>,
    pub generation: u64,
    pub route: Option<Arc<str>>,
    pub target: Option<Arc<str>>,
    pub attempts: u32,
    /// Why the targets are what they are, where the caller asked.
    pub explain: Option<String>,
    /// The call's record; empty for what is no model call.
    pub entry: Entry,
}

impl Trail {
    /// Of a request that has arrived.
    pub fn new(request_id: Arc<str>, generation: u64) -> Trail {
        let entry = Entry::default();
        Trail { request_id, generation, route: None, target: None, attempts: 0, explain: None, entry }
    }

    /// The trail of attempts that run beside others, until [`Trail::join`].
    pub(super) fn fork(&mut self) -> Trail {
        Trail { entry: self.entry.fork(), ..Trail::new(Arc::clone(&self.request_id), self.generation) }
    }

    /// Attempts that ran beside others are over; `won`: their answer, or failure, is the caller's.
    pub(super) fn join(&mut self, lane: Trail, won: bool) {
        let Trail { target, attempts, entry, .. } = lane;
        self.attempts += attempts;
        if won {
            self.target = target;
        }
        drop(entry);
        self.entry.join(self.target.as_ref());
    }
}

/// The id of a request: the caller's own where it is harmless, else a new one.
pub fn request_id(headers: &HeaderMap) -> Arc<str> {
    const LONGEST: usize = 128;
    let own = headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| {
        !id.is_empty()
            && id.len() <= LONGEST
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    });
    own.map_or_else(new_id, Into::into)
}

/// `rp-` and 24 random hexadecimal digits.
fn new_id() -> Arc<str> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let random = u128::from(fastrand::u64(..)) << 32 | u128::from(fastrand::u32(..));
    let digit = |at: usize| DIGITS.get((random >> (4 * (23 - at))) as usize & 15).copied().unwrap_or(b'0');
    let mut id = *b"rp-000000000000000000000000";
    id.iter_mut().skip(3).enumerate().for_each(|(at, byte)| *byte = digit(at));
    std::str::from_utf8(&id).unwrap_or_default().into()
}

/// A good answer.
pub fn answer(answer: Answer, trail: &Trail) -> Response<ResponseBody> {
    let body = match answer.body {
        AnswerBody::Whole(bytes) => bytes.into(),
        AnswerBody::Stream(stream) => ResponseBody::Stream(stream),
    };
    let mut response = Response::new(body);
    *response.headers_mut() = answer.headers;
    stamp(response.headers_mut(), trail);
    if !answer.losses.is_empty() {
        insert(response.headers_mut(), "x-routeplane-losses", &header_text(&answer.losses));
    }
    response
}

/// The losses, cut to what a header may hold.
fn header_text(losses: &Losses) -> String {
    const LONGEST: usize = 2_000;
    let text = losses.to_string();
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((end, _)) => format!("{}, ...", text.get(..end).unwrap_or_default()),
    }
}

/// A whole answer that the gateway gives itself.
pub fn json(body: Vec<u8>, trail: &Trail) -> Response<ResponseBody> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    stamp(response.headers_mut(), trail);
    response
}

/// An error in the caller's dialect. `origin` tells whose it is: `gateway` or `upstream`.
pub fn error(inbound: &dyn Inbound, error: Error, origin: &'static str, trail: &Trail) -> Response<ResponseBody> {
    error_as(inbound, error, origin, trail, |error, out| inbound.encode_error(error, out))
}

/// As [`error`], with a body that says more.
pub fn error_as(
    inbound: &dyn Inbound,
    mut error: Error,
    origin: &'static str,
    trail: &Trail,
    write: impl FnOnce(&Error, &mut Vec<u8>),
) -> Response<ResponseBody> {
    error.request_id = Some(trail.request_id.to_string());
    let mut body = Vec::new();
    write(&error, &mut body);
    let mut response = json(body, trail);
    *response.status_mut() =
        StatusCode::from_u16(inbound.error_status(&error)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some((name, value)) = inbound.error_header(&error) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(HeaderName::from_static("x-routeplane-origin"), HeaderValue::from_static(origin));
    if let Some(code) = &error.code {
        insert(headers, "x-routeplane-code", code);
        if code == receive::UNSUPPORTED {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(coding::KNOWN));
        }
    }
    if let Some(pause) = error.retry_after {
        insert(headers, RETRY_AFTER.as_str(), &pause.as_secs_f64().ceil().max(1.0).to_string());
        insert(headers, "retry-after-ms", &pause.as_millis().to_string());
    }
    // What the gateway could try it has tried: an SDK's own retries would multiply that.
    if origin == "upstream" && !matches!(error.kind, ErrorKind::RateLimit | ErrorKind::Overloaded) {
        headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
    }
    response
}

/// The answer to a caller that asks for a WebSocket: that there is none, so that it goes on without.
pub fn no_websocket(inbound: &dyn Inbound, trail: &Trail) -> Response<ResponseBody> {
    let message = "WebSockets are not spoken here; send `POST /v1/responses` with `stream: true`";
    let refusal = Error::invalid(message).with_code("websocket_not_supported").with_status(426);
    let mut response = error(inbound, refusal, "gateway", trail);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A provider's own answer to a question about an earlier one.
pub fn relayed(status: StatusCode, headers: HeaderMap, body: ResponseBody, trail: &Trail) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    stamp(response.headers_mut(), trail);
    response
}

/// An upstream's error as it came, for a caller of the same protocol.
pub fn verbatim(
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    retry_after: Option<std::time::Duration>,
    trail: &Trail,
) -> Response<ResponseBody> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = headers;
    let headers = response.headers_mut();
    stamp(headers, trail);
    headers.insert(HeaderName::from_static("x-routeplane-origin"), HeaderValue::from_static("upstream"));
    if let Some(pause) = retry_after {
        insert(headers, RETRY_AFTER.as_str(), &pause.as_secs_f64().ceil().max(1.0).to_string());
        insert(headers, "retry-after-ms", &pause.as_millis().to_string());
    }
    if !matches!(status, 429 | 503 | 529) {
        headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
    }
    response
}

fn stamp(headers: &mut HeaderMap, trail: &Trail) {
    headers.reserve(5);
    insert(headers, REQUEST_ID.as_str(), &trail.request_id);
    headers.insert(HeaderName::from_static("x-routeplane-generation"), HeaderValue::from(trail.generation));
    if let Some(route) = &trail.route {
        insert(headers, "x-routeplane-route", route);
    }
    if let Some(target) = &trail.target {
        insert(headers, "x-routeplane-target", target);
    }
    if let Some(explanation) = &trail.explain {
        insert(headers, explain::HEADER, explanation);
    }
    if trail.attempts > 0 {
        headers.insert(HeaderName::from_static("x-routeplane-attempts"), HeaderValue::from(trail.attempts));
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).or_else(|_| {
        // Names of models may hold anything; a header may not.
        let plain: String = value.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
        HeaderValue::try_from(plain)
    });
    if let Ok(value) = value {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The inbound codec whose dialect errors are told in, OpenAI's where a protocol has none.
pub fn dialect(protocol: ProtocolId) -> Option<&'static dyn Inbound> {
    let codec = |id: ProtocolId| id.codec().and_then(|codec| codec.inbound());
    codec(protocol).or_else(|| codec(ProtocolId::OpenAiChat))
}
