//! The exchange with the upstream: the request goes out, the head of an answer comes back, errors become failures.

use std::pin::Pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Request, Response};
use http_body::Body as _;
use tracing::debug;

use super::heads::forwarded;
use super::identity;
use super::limits;
use super::{Place, Try};
use crate::provider::Transport;
use crate::proxy::cached::{self, Found};
use crate::proxy::content;
use crate::proxy::failure::{Failure, StatusFailure};
use crate::proxy::outgoing::{Prepared, Translation, head};
use crate::table::settings::Timeouts;
use crate::upstream::{self, Pieces, SendError, coding, demo};
use crate::wire::hosting::Hosting;
use crate::wire::ir::Error;

/// Most bytes of an error answer that anybody reads.
const ERROR_LIMIT: usize = 64 << 10;
/// How long the rest of an error answer is waited for.
pub(super) const ERROR_TIME: Duration = Duration::from_secs(10);

/// Sends the request and waits for the head of an answer.
pub(super) async fn call(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
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
    let response = match attempt.provider.transport {
        Transport::Demo => match this.barred {
            Some(limit) => Err(Failure::Limited(limit.clone())),
            None => Ok(demo::answer(uri.path(), &prepared.body.join()).await.map(upstream::Body::Demo)),
        },
        Transport::Http => {
            let credential = place.credential.as_deref();
            let bare = || head::request(incoming, attempt, (place.endpoint, state), credential, uri.clone(), prepared);
            let request = bare();
            let trace = match cached::look(this, place, &request, stream) {
                Found::Answer(kept) => return Ok(heard(this, place, kept, stream)),
                Found::Nothing(trace) => trace,
            };
            if let Some(limit) = this.barred {
                return Err(Failure::Limited(limit.clone()));
            }
            let pools = &live.runtime.pools;
            let mut response = pools.send(signed(this, place, request)?, timeouts.connect).await;
            // Whether the upstream has got it nobody can tell. A generation may be asked for once more, and not twice.
            if let Err(SendError::Stale(cause)) = &response {
                debug!(target = uri.host(), cause, "a used connection broke before an answer; asking once more");
                place.counters.asked_again();
                let again = signed(this, place, bare())?;
                response = Box::pin(pools.send_anew(again, timeouts.connect)).await;
            }
            let response = response.map(upstream::body::readable).map_err(Failure::from)?;
            Ok(match trace {
                Some(trace) => trace.attach(response),
                None => response,
            })
        }
    };
    response.map(|response| heard(this, place, response, stream))
}

/// The request as it is sent: with the trace it belongs to, and signed.
fn signed(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    mut request: Request<Pieces>,
) -> Result<Request<Pieces>, Failure> {
    for (name, value) in this.trace.iter().flatten() {
        request.headers_mut().insert(name, value.clone());
    }
    let (auth, credential) = (&place.endpoint.auth, place.credential.as_deref());
    head::sign(&mut request, auth, credential, identity::now(place)).map_err(Failure::Refused)?;
    Ok(request)
}

/// The same answer; where a preset wants it on spans, it is heard on its way.
fn heard(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    response: Response<upstream::Body>,
    stream: bool,
) -> Response<upstream::Body> {
    match this.content {
        Some(content) => content::heard(content, place, response, stream),
        None => response,
    }
}

/// Turns everything that is not a good answer into a failure.
pub(super) async fn refuse_errors(
    this: &Try<'_, '_, '_, '_>,
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
    let encoded = coding::of(&head.headers).is_err();
    let mut text = match (html(&head.headers), encoded) {
        (true, _) => b"the upstream answered with a web page instead of an API answer".to_vec(),
        (false, true) => b"the upstream answered with an error in an unknown `content-encoding`".to_vec(),
        (false, false) => tokio::time::timeout(ERROR_TIME, read_some(body)).await.unwrap_or_default(),
    };
    if matches!(status.as_u16(), 401 | 403) {
        identity::note_time(place, &head.headers);
    }
    place.scrub(&mut text);
    place.hear_failure(this, &text);
    let mut error = place.outbound.decode_error(status.as_u16(), &text);
    let now = SystemTime::now();
    let used_up = || if status.as_u16() == 429 { limits::used_up(&head.headers, now) } else { None };
    error.retry_after = limits::retry_after(&head.headers, now).or(error.retry_after).or_else(used_up);
    let same = matches!(prepared.translation, Translation::None) && !html(&head.headers) && !text.is_empty();
    // A cloud's words of errors are not the protocol's.
    let own = place.outbound.hosting() == Hosting::Own;
    let verbatim = (same && own && !encoded).then(|| (forwarded(&head.headers), Bytes::from(text)));
    Err(Failure::Status(Box::new(StatusFailure { status: status.as_u16(), error, verbatim })))
}

fn html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// The beginning of a body; a body that breaks is worth what came of it.
pub(super) async fn read_some(mut body: upstream::Body) -> Vec<u8> {
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
