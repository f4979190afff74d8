//! The exact cache: what an upstream answered to the same request before. Whether requests are the same is asked of what would be
//! sent, after every edit and translation, so that whatever shapes an answer is part of it; and the answer goes the same way back
//! as a new one, with ids of its own where the caller's protocol gives some.
//!
//! Off unless the preset or, at TensorZero's surface, the request asks for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response};
use serde::de::IgnoredAny;

use super::attempt::{Place, Try};
use crate::state::Credential;
use crate::state::cache::{Cache, Digest, Kept, largest};
use crate::table::CacheLimits;
use crate::telemetry::traffic::Traffic;
use crate::upstream::tape::Tape;
use crate::upstream::{self, Pieces, coding};
use crate::wire::frame::{Decoder, Frame};
use crate::wire::ir::{self, Event, Part, Usage, fold};
use crate::wire::json::{self, Kind};
use crate::wire::quirk::Quirks;
use crate::wire::{Operation, Outbound, ProtocolId, StreamDecoder};

/// What an answer says of the cache.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-routeplane-cache");

/// Headers that name one request, or who sends it, and shape no answer.
const IDLE: [&str; 5] =
    ["idempotency-key", "x-client-request-id", "user-agent", "accept-encoding", "x-goog-user-project"];

/// How a try may use the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policy {
    read: bool,
    write: bool,
    oldest: Duration,
}

/// What the cache has to do with one answer of an upstream.
#[derive(Clone)]
pub enum Trace {
    /// It comes from there, and is so old.
    Hit(Duration),
    /// It is new: was it looked for, and is it to be kept?
    New { missed: bool, recording: Option<Recording> },
}

/// A new answer that may be kept, once it is known to be a good one.
#[derive(Clone)]
pub struct Recording {
    kept: Arc<Keep>,
    /// Of a stream: what has passed.
    tape: Option<Tape>,
}

struct Keep {
    digest: Digest,
    content_type: Option<HeaderValue>,
    judge: Judge,
    cache: Arc<Cache>,
    limits: CacheLimits,
    traffic: Arc<Traffic>,
}

/// Tells good answers from others.
struct Judge {
    outbound: &'static dyn Outbound,
    protocol: ProtocolId,
    quirks: Quirks,
    operation: Operation,
    stream: bool,
}

// === what a try may have

fn policy(this: &Try<'_, '_, '_, '_>) -> Option<Policy> {
    let limits = &this.live.table.cache;
    let asked = this.incoming.surface.and_then(|inference| inference.cache());
    let own = this.attempt.settings.cache.as_ref();
    if !limits.enabled
        || (asked.is_none() && own.is_none())
        || this.incoming.owner.is_none()
        || !matches!(this.incoming.call.operation, Operation::Generate | Operation::Embed)
    {
        return None;
    }
    let policy = match (asked, own) {
        (Some((asked, dryrun)), _) => Policy {
            read: asked.read,
            write: asked.write && !dryrun,
            oldest: asked.max_age_s.map_or(limits.ttl, Duration::from_secs).min(limits.ttl),
        },
        (None, own) => {
            let own = own?;
            let policy = Policy {
                read: own.mode.reads(),
                write: own.mode.writes(),
                oldest: own.ttl.unwrap_or(limits.ttl).min(limits.ttl),
            };
            directed(policy, this.incoming.headers)
        }
    };
    (policy.read || policy.write).then_some(policy)
}

/// Whether an answer to this try may come from the cache.
pub(super) fn may_answer(this: &Try<'_, '_, '_, '_>) -> bool {
    policy(this).is_some_and(|policy| policy.read)
}

/// A caller may say no (RFC 9111, section 5.2.1): `no-cache` for a new answer, `no-store` for none that is kept, `max-age`.
fn directed(mut policy: Policy, headers: &HeaderMap) -> Policy {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in values.flat_map(|value| value.split(',')).map(str::trim) {
        if directive.eq_ignore_ascii_case("no-cache") {
            policy.read = false;
        } else if directive.eq_ignore_ascii_case("no-store") {
            policy.read = false;
            policy.write = false;
        } else if let Some((name, seconds)) = directive.split_once('=')
            && name.eq_ignore_ascii_case("max-age")
            && let Ok(seconds) = seconds.parse()
        {
            policy.oldest = policy.oldest.min(Duration::from_secs(seconds));
        }
    }
    policy
}

// === before the upstream is asked

/// What [`look`] found.
pub(super) enum Found {
    Answer(Response<upstream::Body>),
    /// The upstream must be asked; `None`: and the cache has nothing to do with it.
    Nothing(Option<Trace>),
}

/// Looks for an answer to `request`, which goes out without a signature or a trace so far.
pub(super) fn look(this: &Try<'_, '_, '_, '_>, place: &Place<'_>, request: &Request<Pieces>, stream: bool) -> Found {
    let Some(policy) = policy(this) else { return Found::Nothing(None) };
    let digest = digest(this, place, request);
    if policy.read {
        let found = this.gateway.cache.find(&digest, policy.oldest);
        this.gateway.traffic.cached(if found.is_some() { "hit" } else { "miss" });
        if let Some((kept, age)) = found {
            return Found::Answer(replayed(kept, age));
        }
    }
    let keep = || Keep {
        digest,
        content_type: None,
        judge: Judge {
            outbound: place.outbound,
            protocol: place.endpoint.protocol,
            quirks: place.quirks.clone().into_owned(),
            operation: this.incoming.call.operation,
            stream,
        },
        cache: Arc::clone(&this.gateway.cache),
        limits: this.live.table.cache.clone(),
        traffic: Arc::clone(&this.gateway.traffic),
    };
    let recording = policy.write.then(|| Recording { kept: Arc::new(keep()), tape: None });
    Found::Nothing(Some(Trace::New { missed: policy.read, recording }))
}

fn replayed(kept: Kept, age: Duration) -> Response<upstream::Body> {
    let mut response = Response::new(upstream::Body::Kept(Some(kept.body)));
    if let Some(kind) = kept.content_type {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response.extensions_mut().insert(Trace::Hit(age));
    response
}

/// Everything that shapes the answer, and whose it is.
fn digest(this: &Try<'_, '_, '_, '_>, place: &Place<'_>, request: &Request<Pieces>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    field(this.incoming.owner.unwrap_or_default().as_bytes());
    field(this.attempt.provider.name.as_bytes());
    field(request.uri().to_string().as_bytes());
    let mut headers: Vec<(&str, &[u8])> = request
        .headers()
        .iter()
        .filter(|(name, value)| !IDLE.contains(&name.as_str()) && !is_own_key(this, place, name, value))
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    headers.sort_unstable();
    for (name, value) in headers {
        field(name.as_bytes());
        field(value);
    }
    let body = request.body();
    field(&(body.len() as u64).to_le_bytes());
    for slice in body.slices() {
        hasher.update(slice);
    }
    *hasher.finalize().as_bytes()
}

/// Whether a header is the key of the provider's own pool, whichever its turn is. What a request brings itself says whose
/// account answers.
fn is_own_key(this: &Try<'_, '_, '_, '_>, place: &Place<'_>, name: &HeaderName, value: &HeaderValue) -> bool {
    let Some(credential) = place.credential.as_deref().filter(|_| this.attempt.provider.request_keys.is_none()) else {
        return false;
    };
    let own = if name == AUTHORIZATION { Credential::bearer(credential) } else { Credential::bare(credential) };
    own.is_some_and(|own| own == *value)
}

// === when the upstream has answered

impl Trace {
    /// Lets a new answer know of this; a stream's bytes are heard from now on.
    pub(super) fn attach(self, response: Response<upstream::Body>) -> Response<upstream::Body> {
        let readable = response.status().is_success() && coding::of(response.headers()).is_ok();
        let (missed, recording) = match self {
            Trace::New { missed, recording } => (missed, recording.filter(|_| readable)),
            Trace::Hit(_) => (false, None),
        };
        let recording = recording.and_then(|recording| recording.of(response.headers()));
        let tape = recording.as_ref().and_then(|recording| recording.tape.clone());
        let mut response = match tape {
            Some(tape) => response.map(|body| upstream::Body::Taped(Box::new((body, tape)))),
            None => response,
        };
        response.extensions_mut().insert(Trace::New { missed, recording });
        response
    }

    pub fn is_hit(&self) -> bool {
        matches!(self, Trace::Hit(_))
    }

    /// The answer is a good one, and whole: `body`, or, of a stream, what has passed.
    pub fn keep(&self, body: Option<&Bytes>) {
        let Trace::New { recording: Some(recording), .. } = self else { return };
        let Recording { kept, tape } = recording;
        let body = body.cloned().or_else(|| tape.as_ref()?.take());
        if let Some(body) = body.filter(|body| kept.judge.is_good(body)) {
            let kept_body = Kept { content_type: kept.content_type.clone(), body };
            let bytes = kept.cache.keep(&kept.limits, kept.digest, kept_body);
            kept.traffic.cached("stored");
            kept.traffic.cache_holds(bytes);
        }
    }
}

impl Recording {
    /// With what the head of the answer says. `None`: it was taken already, which cannot be.
    fn of(self, headers: &HeaderMap) -> Option<Recording> {
        let mut kept = Arc::into_inner(self.kept)?;
        kept.content_type = headers.get(CONTENT_TYPE).cloned();
        let tape = kept.judge.stream.then(|| Tape::new(largest(&kept.limits)));
        Some(Recording { kept: Arc::new(kept), tape })
    }
}

/// What the cache has to do with an answer.
pub(super) fn of(extensions: &Extensions) -> Option<Trace> {
    extensions.get::<Trace>().cloned()
}

/// Says so to the caller.
pub(super) fn mark(trace: Option<&Trace>, headers: &mut HeaderMap) {
    match trace {
        Some(Trace::Hit(age)) => {
            headers.insert(HEADER, HeaderValue::from_static("hit"));
            headers.insert(AGE, HeaderValue::from(age.as_secs()));
        }
        Some(Trace::New { missed: true, .. }) => {
            headers.insert(HEADER, HeaderValue::from_static("miss"));
        }
        Some(Trace::New { missed: false, .. }) | None => {}
    }
}

/// Whether an answer with this head came from the cache.
pub(super) fn is_hit(headers: &HeaderMap) -> bool {
    headers.get(HEADER).is_some_and(|value| value == "hit")
}

/// What an answer from the cache takes, where the caller's protocol says so.
pub(super) fn nothing_used() -> Usage {
    Usage { input: Some(0), output: Some(0), ..Usage::default() }
}

/// A stream from the cache, which takes nothing.
pub(super) struct Unpaid(pub(super) Box<dyn StreamDecoder>);

impl StreamDecoder for Unpaid {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        let before = out.len();
        self.0.frame(frame, out);
        free(out, before);
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        let before = out.len();
        self.0.finish(out);
        free(out, before);
    }
}

fn free(events: &mut [Event], from: usize) {
    for event in events.iter_mut().skip(from) {
        if let Event::Usage(usage) = event {
            *usage = nothing_used();
        }
    }
}

// === what is worth keeping

impl Judge {
    fn is_good(&self, body: &[u8]) -> bool {
        match (self.operation, self.stream) {
            (Operation::Generate, false) => {
                self.outbound.decode_response(body, &self.quirks).is_ok_and(|answer| calls_are_good(&answer))
            }
            (Operation::Generate, true) => self.folded(body).is_some_and(|answer| calls_are_good(&answer)),
            _ => true,
        }
    }

    /// The answer that a whole stream tells.
    fn folded(&self, body: &[u8]) -> Option<ir::Response> {
        let mut frames = Decoder::new(self.outbound.framing(), body.len().max(1));
        let mut decoder = self.outbound.stream_decoder(&self.quirks);
        let mut events = Vec::new();
        frames.push(body, &mut |frame| decoder.frame(&frame, &mut events)).ok()?;
        frames.finish(&mut |frame| decoder.frame(&frame, &mut events)).ok()?;
        decoder.finish(&mut events);
        fold::fold(self.protocol, &events).ok()
    }
}

/// Arguments that are no JSON object would be wrong again for everybody.
fn calls_are_good(answer: &ir::Response) -> bool {
    let parts = answer.candidates.iter().flat_map(|candidate| &candidate.parts);
    let mut calls = parts.filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None });
    calls.all(|call| {
        json::kind_of(call.arguments.trim_start()) == Kind::Object
            && serde_json::from_str::<IgnoredAny>(&call.arguments).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_may_say_no() {
        let all = Policy { read: true, write: true, oldest: Duration::from_secs(60) };
        let directed = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(text));
            directed(all, &headers)
        };
        assert_eq!(directed("no-transform"), all);
        assert_eq!(directed("No-Cache"), Policy { read: false, ..all });
        assert_eq!(
            directed("max-age=5, no-store"),
            Policy { read: false, write: false, oldest: Duration::from_secs(5) }
        );
        assert_eq!(directed("max-age=500"), all);
    }

    #[test]
    fn answers_with_broken_calls_are_not_kept() {
        let judge = |stream| Judge {
            outbound: ProtocolId::OpenAiChat.codec().unwrap().outbound().unwrap(),
            protocol: ProtocolId::OpenAiChat,
            quirks: Quirks::default(),
            operation: Operation::Generate,
            stream,
        };
        let whole = |arguments: &str| {
            let call = serde_json::json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": arguments } });
            let message = serde_json::json!({ "role": "assistant", "content": null, "tool_calls": [call] });
            serde_json::json!({ "id": "a", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{ "index": 0, "message": message, "finish_reason": "tool_calls" }] })
            .to_string()
        };
        assert!(judge(false).is_good(whole(r#"{"a":1}"#).as_bytes()));
        for wrong in [r#"{"a":1"#, "", "7", "not json"] {
            assert!(!judge(false).is_good(whole(wrong).as_bytes()), "{wrong}");
        }
        assert!(!judge(false).is_good(b"{\"not\":\"an answer"));
        let chunk = |delta: serde_json::Value, finish: serde_json::Value| {
            let chunk = serde_json::json!({ "id": "a", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] });
            format!("data: {chunk}\n\n")
        };
        let stream = |arguments: &str, end: &str| {
            let call = serde_json::json!([{ "index": 0, "id": "c", "type": "function",
                "function": { "name": "f", "arguments": arguments } }]);
            let first = chunk(serde_json::json!({ "role": "assistant", "tool_calls": call }), serde_json::Value::Null);
            let last = chunk(serde_json::json!({}), "tool_calls".into());
            format!("{first}{last}{end}")
        };
        let end = "data: [DONE]\n\n";
        assert!(judge(true).is_good(stream(r#"{"a":1}"#, end).as_bytes()));
        assert!(!judge(true).is_good(stream(r#"{"a":"#, end).as_bytes()));
    }
}
