//! One try at one target: send, wait, and find out whether there is an answer.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Body as _;
use tokio::time::Instant;

use super::Gateway;
use super::failure::{Failure, StatusFailure};
use super::outgoing::{self, Incoming, Prepared, Translation};
use super::pipe::{Pipe, Progress};
use super::stream::{self, StreamBody};
use crate::live::Live;
use crate::provider::{Endpoint, Transport};
use crate::state::{Credential, ProviderState};
use crate::table::settings::{RetryOn, Timeouts};
use crate::table::{Attempt, Lane};
use crate::telemetry::traffic::{ProviderCounters, StreamRecord};
use crate::upstream::{self, SendError, demo};
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::loss::Losses;
use crate::wire::{Operation, Outbound};

/// Most bytes of a whole answer.
const WHOLE_LIMIT: usize = 64 << 20;
/// Most bytes of an error answer that anybody reads.
const ERROR_LIMIT: usize = 64 << 10;
/// How long the rest of an error answer is waited for.
const ERROR_TIME: Duration = Duration::from_secs(10);

/// A good answer.
pub struct Answer {
    pub headers: HeaderMap,
    pub losses: Losses,
    pub body: AnswerBody,
}

pub enum AnswerBody {
    Whole(Bytes),
    Stream(Box<StreamBody>),
}

/// Everything that a try needs to know.
pub struct Try<'r, 'i, 'b, 't> {
    pub gateway: &'r Gateway,
    pub live: &'r Live,
    pub incoming: &'r Incoming<'i, 'b>,
    pub attempt: &'r Attempt<'t>,
    /// End of the whole request.
    pub deadline: Instant,
    /// The whole request's time, for messages.
    pub total: Duration,
}

/// The parts of the table and of the run-time state that belong to this try's target.
struct Place<'r> {
    state: &'r ProviderState,
    endpoint: &'r Endpoint,
    at: usize,
    outbound: &'static dyn Outbound,
    counters: &'r Arc<ProviderCounters>,
}

/// Tries one target once.
///
/// # Errors
/// Why there is no answer. Nothing has reached the caller.
pub async fn run(this: &Try<'_, '_, '_, '_>) -> Result<Answer, Failure> {
    let place = place(this)?;
    let credential = place.state.keys.pick();
    let started = Instant::now();
    let result = send(this, &place, credential).await;
    match &result {
        Ok(_) => place.counters.succeeded(started.elapsed()),
        Err(failure) => {
            place.counters.failed(failure.cause());
            if let (Some(credential), Some(pause)) = (credential, failure.cools_key()) {
                credential.cool(pause);
            }
        }
    }
    result
}

fn place<'r>(this: &Try<'r, '_, '_, '_>) -> Result<Place<'r>, Failure> {
    let Try { live, incoming, attempt, .. } = this;
    let refused = |message: &str| Failure::Refused(Error::invalid(message).with_code("target_refused"));
    let endpoint = match attempt.target.lane(incoming.call.protocol, incoming.call.operation) {
        Lane::Passthrough { endpoint } | Lane::Translate { endpoint } => usize::from(*endpoint),
        Lane::Refused(reason) => return Err(refused(reason)),
    };
    let state = live.runtime.providers.get(attempt.target.provider.0 as usize);
    let at = endpoint;
    let endpoint = attempt.provider.endpoints.get(at);
    let outbound = endpoint.and_then(|endpoint| endpoint.protocol.codec()).and_then(|codec| codec.outbound());
    let (Some(state), Some(endpoint), Some(outbound)) = (state, endpoint, outbound) else {
        return Err(refused("this target's protocol is not spoken by this version"));
    };
    if let Some(reason) = &state.unusable {
        return Err(Failure::Refused(Error::new(ErrorKind::Overloaded, &**reason).with_code("no_provider_key")));
    }
    let counters = state.counters.get_or_init(|| Arc::new(this.gateway.traffic.provider(&attempt.provider.name)));
    Ok(Place { state, endpoint, at, outbound, counters })
}

async fn send(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    credential: Option<&Arc<Credential>>,
) -> Result<Answer, Failure> {
    let Try { incoming, attempt, deadline, total, .. } = this;
    let prepared = outgoing::body(incoming, attempt, place.endpoint, place.outbound).map_err(Failure::Refused)?;
    let stream = incoming.envelope.stream && incoming.call.operation == Operation::Generate;
    let timeouts = &attempt.settings.timeouts;
    let first = if stream { (Instant::now() + timeouts.first_token).min(*deadline) } else { *deadline };
    let late = || match first == *deadline {
        true => Failure::Deadline(*total),
        false => Failure::FirstToken(timeouts.first_token),
    };
    let head =
        tokio::time::timeout_at(first, call(this, place, credential.map(|key| &**key), &prepared, stream, timeouts));
    let response = head.await.unwrap_or_else(|_| Err(late()))?;
    let response = refuse_errors(place, &prepared, response).await?;
    if stream {
        let opening = open(this, place, credential, prepared, response);
        tokio::time::timeout_at(first, opening).await.unwrap_or_else(|_| Err(late()))
    } else {
        let reading = whole(this, place, prepared, response);
        tokio::time::timeout_at(*deadline, reading).await.unwrap_or_else(|_| Err(late()))
    }
}

/// Sends the request and waits for the head of an answer.
async fn call(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    credential: Option<&Credential>,
    prepared: &Prepared,
    stream: bool,
    timeouts: &Timeouts,
) -> Result<Response<upstream::Body>, Failure> {
    let Try { live, incoming, attempt, .. } = this;
    let no_address = || Failure::Refused(Error::invalid("this target has no address for this kind of call"));
    let state = place.state.endpoints.get(place.at).ok_or_else(no_address)?;
    let operation = incoming.call.operation;
    let uri =
        state.uris.get(place.endpoint, place.outbound, operation, attempt.model, stream).ok_or_else(no_address)?;
    match attempt.provider.transport {
        Transport::Demo => Ok(demo::answer(uri.path(), &prepared.body.join()).await.map(upstream::Body::Demo)),
        Transport::Http => {
            let request = outgoing::request(incoming, attempt, (place.endpoint, state), credential, uri, prepared);
            let response = live.runtime.pools.send(request, timeouts.connect).await;
            response.map(|response| response.map(upstream::Body::Http)).map_err(|error| match error {
                SendError::Connect(cause) => Failure::Connect(cause),
                SendError::ConnectTimeout(limit) => Failure::ConnectTimeout(limit),
                SendError::Broken(cause) => Failure::Broken(cause),
            })
        }
    }
}

/// Turns everything that is not a good answer into a failure.
async fn refuse_errors(
    place: &Place<'_>,
    prepared: &Prepared,
    response: Response<upstream::Body>,
) -> Result<Response<upstream::Body>, Failure> {
    let status = response.status();
    if status.is_redirection() {
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
        let message = format!(
            "the upstream redirects ({status}) to {to}; redirects are never followed, set `base_url` to the right address"
        );
        return Err(Failure::BadAnswer { code: "upstream_redirect", message });
    }
    if status.is_success() {
        return match html(response.headers()) {
            true => Err(Failure::BadAnswer {
                code: "upstream_content_type",
                message: "the upstream answered with a web page instead of an API answer; check its `base_url`"
                    .to_owned(),
            }),
            false => Ok(response),
        };
    }
    let (head, body) = response.into_parts();
    let mut text = match html(&head.headers) {
        true => b"the upstream answered with a web page instead of an API answer".to_vec(),
        false => tokio::time::timeout(ERROR_TIME, read_some(body)).await.unwrap_or_default(),
    };
    place.state.keys.scrub(&mut text);
    let mut error = place.outbound.decode_error(status.as_u16(), &text);
    error.retry_after = retry_after(&head.headers).or(error.retry_after);
    let same = matches!(prepared.translation, Translation::None) && !html(&head.headers) && !text.is_empty();
    let encoded = head.headers.contains_key(CONTENT_ENCODING);
    let verbatim = (same && !encoded).then(|| (forwarded(&head.headers), Bytes::from(text)));
    Err(Failure::Status(Box::new(StatusFailure { status: status.as_u16(), error, verbatim })))
}

fn html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// The beginning of a body; a body that breaks is worth what came of it.
async fn read_some(mut body: upstream::Body) -> Vec<u8> {
    let mut text = Vec::new();
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(bytes) = frame.into_data() {
            let room = ERROR_LIMIT.saturating_sub(text.len());
            text.extend(bytes.iter().take(room));
            if bytes.len() >= room {
                break;
            }
        }
    }
    text
}

/// Seconds or a date (RFC 9110, section 10.2.3), or OpenAI's `retry-after-ms`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str, unit: f64| {
        let value: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
        Duration::try_from_secs_f64(value * unit).ok()
    };
    number("retry-after-ms", 0.001).or_else(|| number("retry-after", 1.0)).or_else(|| {
        let date = httpdate::parse_http_date(headers.get(RETRY_AFTER)?.to_str().ok()?).ok()?;
        date.duration_since(std::time::SystemTime::now()).ok()
    })
}

/// Opens a stream up to its first content.
async fn open(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    credential: Option<&Arc<Credential>>,
    prepared: Prepared,
    response: Response<upstream::Body>,
) -> Result<Answer, Failure> {
    let Try { incoming, attempt, deadline, .. } = this;
    let (head, body) = response.into_parts();
    if !is_stream(&head.headers) {
        let message = "the upstream answered a streamed call with something that is not a stream".to_owned();
        return Err(Failure::BadAnswer { code: "upstream_content_type", message });
    }
    let (pipe, mut headers) = match &prepared.translation {
        Translation::None => (Pipe::relay(incoming.inbound, place.outbound), forwarded(&head.headers)),
        Translation::Generate(request) => {
            let encoder = incoming.inbound.stream_encoder(&incoming.head, request);
            let pipe =
                Pipe::translate(incoming.inbound, place.outbound, &incoming.head, &place.endpoint.quirks, encoder);
            (pipe, limits(&head.headers))
        }
        Translation::Embed(_) | Translation::CountTokens => {
            return Err(Failure::Refused(Error::invalid("this operation does not stream")));
        }
    };
    let opened = stream::open(body, pipe).await;
    match opened.pipe.progress() {
        // An error behind content is the caller's to see.
        Progress::Failed(_) if opened.committed => {}
        Progress::Failed(error) if error.kind == ErrorKind::Truncated => return Err(Failure::Truncated),
        Progress::Failed(mut error) => {
            let mut message = std::mem::take(&mut error.message).into_bytes();
            place.state.keys.scrub(&mut message);
            error.message = String::from_utf8_lossy(&message).into_owned();
            return Err(Failure::InStream(error));
        }
        Progress::Preamble => return Err(Failure::Truncated),
        Progress::Complete if attempt.settings.retries.on.contains(&RetryOn::Empty) && opened.pipe.is_empty() => {
            return Err(Failure::Empty);
        }
        Progress::Content | Progress::Complete => {}
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(incoming.inbound.stream_content_type(&incoming.head)));
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let record = StreamRecord::start(Arc::clone(place.counters));
    let body = StreamBody::new(opened, attempt.settings.timeouts.idle, *deadline, record, credential.cloned());
    Ok(Answer { headers, losses: prepared.losses, body: AnswerBody::Stream(Box::new(body)) })
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Reads a whole answer and turns it into the caller's.
async fn whole(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    prepared: Prepared,
    response: Response<upstream::Body>,
) -> Result<Answer, Failure> {
    let Try { incoming, attempt, .. } = this;
    let (head, body) = response.into_parts();
    let body = collect(body, attempt.settings.timeouts.idle).await?;
    if body.starts_with(b"{\"error\"") || body.starts_with(b"{\"type\":\"error\"") {
        // Some aggregators answer 200 with an error inside.
        let mut text = body.to_vec();
        place.state.keys.scrub(&mut text);
        let error = place.outbound.decode_error(502, &text);
        return Err(Failure::Status(Box::new(StatusFailure { status: error.status.max(400), error, verbatim: None })));
    }
    let usage = place.outbound.usage(&body);
    if let Some(usage) = &usage {
        place.counters.used(usage);
    }
    let count_empty =
        attempt.settings.retries.on.contains(&RetryOn::Empty) && incoming.call.operation == Operation::Generate;
    let bad = |error: Error| Failure::BadAnswer { code: "upstream_protocol", message: error.message };
    if count_empty
        && place.outbound.decode_response(&body, &place.endpoint.quirks).is_ok_and(|answer| answer.is_empty())
    {
        return Err(Failure::Empty);
    }
    let mut losses = prepared.losses;
    let (mut headers, body) = match prepared.translation {
        Translation::None => (forwarded(&head.headers), body),
        Translation::Generate(_) => {
            let answer = place.outbound.decode_response(&body, &place.endpoint.quirks).map_err(bad)?;
            let mut out = Vec::with_capacity(body.len());
            incoming.inbound.encode_response(&answer, &mut out, &mut losses);
            (limits(&head.headers), out.into())
        }
        Translation::Embed(request) => {
            let (Some(to), Some(from)) =
                (incoming.codec.embeddings(), place.endpoint.protocol.codec().and_then(|codec| codec.embeddings()))
            else {
                return Err(bad(Error::invalid("no embeddings here")));
            };
            let answer = from.decode_response(&body).map_err(bad)?;
            let mut out = Vec::new();
            to.encode_response(&request, &answer, &mut out, &mut losses);
            (limits(&head.headers), out.into())
        }
        Translation::CountTokens => {
            let count = place.outbound.decode_token_count(&body);
            let count = count.ok_or_else(|| bad(Error::invalid("the upstream's answer holds no count of tokens")))?;
            let mut out = Vec::new();
            incoming.inbound.encode_token_count(count, &mut out);
            (limits(&head.headers), out.into())
        }
    };
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    Ok(Answer { headers, losses, body: AnswerBody::Whole(body) })
}

/// A whole body, bounded in bytes and in the silence between its pieces.
async fn collect(mut body: upstream::Body, idle: Duration) -> Result<Bytes, Failure> {
    let expected = body.size_hint().exact().and_then(|size| usize::try_from(size).ok());
    let mut whole = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(idle, std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))).await;
        let bytes = match frame.map_err(|_| Failure::FirstToken(idle))? {
            None => return Ok(whole.freeze()),
            Some(Err(error)) => return Err(Failure::Broken(error.to_string())),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => bytes,
                Err(_) => continue,
            },
        };
        if whole.is_empty() && expected == Some(bytes.len()) {
            return Ok(bytes);
        }
        if whole.len() + bytes.len() > WHOLE_LIMIT {
            let message = format!("the upstream's answer exceeds {WHOLE_LIMIT} bytes");
            return Err(Failure::BadAnswer { code: "upstream_too_large", message });
        }
        whole.reserve(expected.unwrap_or(0).min(WHOLE_LIMIT).saturating_sub(whole.len()).max(bytes.len()));
        whole.extend_from_slice(&bytes);
    }
}

/// Headers of an upstream that reach a caller of its own protocol. Everything else (cookies, organisation ids) stays here.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut out = limits(headers);
    for name in [CONTENT_TYPE, CONTENT_ENCODING] {
        if let Some(value) = headers.get(&name) {
            out.insert(name, value.clone());
        }
    }
    if let Some(id) = headers.get("request-id").or_else(|| headers.get("x-request-id")) {
        out.insert("x-routeplane-upstream-request-id", id.clone());
    }
    out
}

/// Rate limits of the upstream, as it tells them.
fn limits(headers: &HeaderMap) -> HeaderMap {
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
