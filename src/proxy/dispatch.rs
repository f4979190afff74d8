//! A request from its first byte to its answer: read, decide, walk through the targets, answer.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use axum::extract::ConnectInfo;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming as IncomingBody;
use tokio::time::Instant;
use tower_service::Service as _;

use super::attempt;
use super::cut::Cut;
use super::facts::{Assumed, RequestFacts, estimate_tokens};
use super::failure::{Failure, StatusFailure};
use super::hedge::Plan;
use super::ingress::{self, Call, Ingress};
use super::objects::owned::Owned;
use super::outgoing::{self, Incoming};
use super::respond::{self, Trail};
use super::responses::stored::{self, Question};
use super::shadow::Original;
use super::tensorzero::doors::Door;
use super::unmet::{refused, targets};
use super::walk::{Failed, Last, Walk};
use super::{Gateway, ResponseBody, explain, guard, models, objects, receive, recorded, responses, tensorzero};
use crate::live::Live;
use crate::rule::Facts;
use crate::state::health::Taking;
use crate::table::explain::{Decided, decided, explained};
use crate::table::settings::Settings;
use crate::table::wishes::Asked;
use crate::table::{Attempt, Draw, Mirror, Outcome};
use crate::telemetry::Entry;
use crate::telemetry::inputs::Inputs;
use crate::wire::envelope::Envelope;
use crate::wire::ir::Error;
use crate::wire::{Inbound, ProtocolId};

/// Answers one request. Never fails: every problem becomes an answer in the caller's dialect.
///
/// `cut`: of the connection; an answer that has not begun when it is made says that the gateway stops.
pub async fn handle(
    gateway: &Arc<Gateway>,
    request: Request<IncomingBody>,
    peer: SocketAddr,
    cut: &Cut,
) -> Response<ResponseBody> {
    let live = gateway.live.load();
    let mut trail = Trail::new(respond::request_id(request.headers()), live.generation);
    let (parts, body) = request.into_parts();
    let (method, uri, headers) = (&parts.method, &parts.uri, &parts.headers);
    let surface = live.table.tensorzero.as_deref();
    let ingress = surface
        .and_then(|surface| tensorzero::doors::read(surface, method, uri.path()))
        .unwrap_or_else(|| ingress::read(method, uri, headers));
    let protocol = match &ingress {
        Ingress::Call(call) => call.protocol,
        Ingress::Models { dialect, .. } | Ingress::MethodNotAllowed { dialect } => *dialect,
        Ingress::Stored(_) | Ingress::WebSocket => ProtocolId::OpenAiResponses,
        Ingress::Object(object) => object.dialect,
        Ingress::TensorZero(Door::Models) => ProtocolId::TensorZeroChat,
        Ingress::TensorZero(_) => ProtocolId::TensorZero,
        Ingress::Side => ProtocolId::OpenAiChat,
    };
    let Some(inbound) = respond::dialect(protocol) else { return bare(StatusCode::INTERNAL_SERVER_ERROR) };
    if let Ingress::Call(call) = &ingress {
        trail.entry = Entry::begin(&gateway.sinks, &trail.request_id, live.generation, protocol, headers);
        trail.entry.note(|record, _| record.operation = call.operation.name());
    }
    if !is_probe(uri.path())
        && let Err(error) = guard::browser(&live, headers)
    {
        return closed(respond::error(inbound, error, "gateway", &trail), &mut trail);
    }
    let response = match ingress {
        Ingress::Side => return side(gateway, Request::from_parts(parts, body), peer).await,
        Ingress::MethodNotAllowed { .. } => {
            Err(Error::invalid(format!("{method} is not a method of this path")).with_status(405))
        }
        Ingress::WebSocket => return respond::no_websocket(inbound, &trail),
        Ingress::Stored(stored) => match guard::client_key(&live, headers, uri) {
            Ok(key) => {
                let question = Question { stored: &stored, query: uri.query(), headers, key };
                Box::pin(stored::answer(gateway, &live, &question, &mut trail)).await
            }
            Err(error) => Err(error),
        },
        Ingress::Object(object) => match guard::client_key(&live, headers, uri) {
            Ok(key) => {
                let asked = objects::Asked { object, headers, query: uri.query(), key, body };
                cut.or(Box::pin(objects::answer(gateway, &live, asked, &mut trail)).as_mut()).await
            }
            Err(error) => Err(error),
        },
        Ingress::TensorZero(door) => match guard::client_key(&live, headers, uri) {
            Err(error) if !door.is_open() => Err(error),
            _ => tensorzero::other::answer(gateway, &live, door, (headers, body), &trail).await,
        },
        Ingress::Models { dialect, id } => guard::client_key(&live, headers, uri)
            .and_then(|_| models::answer(&live.table, dialect, id.as_deref(), &trail)),
        Ingress::Call(call) => match guard::client_key(&live, headers, uri) {
            Ok(key) => {
                let request = Received { call, inbound, headers, query: uri.query(), key, body };
                cut.or(pin!(generate(gateway, &live, request, &mut trail))).await
            }
            Err(error) => Err(error),
        },
    };
    let response = response.unwrap_or_else(|error| respond::error(inbound, error, "gateway", &trail));
    let response = tensorzero::other::versioned(protocol, response);
    gateway.traffic.answered(protocol, response.status().as_u16());
    closed(response, &mut trail)
}

/// The call's record learns what the caller gets. That of a stream goes with it.
fn closed(mut response: Response<ResponseBody>, trail: &mut Trail) -> Response<ResponseBody> {
    let bytes = response.body().size_hint().exact().unwrap_or(0);
    let streams = matches!(response.body(), ResponseBody::Stream(_));
    let answered = recorded::answered(response.status().as_u16(), response.headers(), bytes);
    trail.entry.answered(answered, streams);
    if let ResponseBody::Stream(stream) = response.body_mut() {
        stream.recorded_in(std::mem::take(&mut trail.entry));
    }
    response
}

/// Probes call from anywhere under any name, and what they are told is no secret.
fn is_probe(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz")
}

fn bare(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(Vec::new()));
    *response.status_mut() = status;
    response
}

/// Everything that is no model call goes to the router of the side.
async fn side(gateway: &Gateway, mut request: Request<IncomingBody>, peer: SocketAddr) -> Response<ResponseBody> {
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = gateway.side.clone().call(request.map(axum::body::Body::new)).await;
    let Ok(response) = response;
    response.map(ResponseBody::Side)
}

/// A call whose body has not been read.
struct Received<'r> {
    call: Call<'r>,
    inbound: &'static dyn Inbound,
    headers: &'r HeaderMap,
    query: Option<&'r str>,
    key: Option<usize>,
    body: IncomingBody,
}

/// Reads a call, decides about it, and tries its targets.
async fn generate(
    gateway: &Arc<Gateway>,
    live: &Arc<Live>,
    received: Received<'_>,
    trail: &mut Trail,
) -> Result<Response<ResponseBody>, Error> {
    let started = Instant::now();
    let Received { call, inbound, headers, query, key, body } = received;
    let Some(codec) = call.protocol.codec() else {
        return Err(Error::invalid("this version does not speak this protocol"));
    };
    let client = key.and_then(|at| live.table.keys.get(at));
    trail.entry.note(|record, _| record.key = client.map(|client| (&*client.id).into()));
    tensorzero::note_additions(&call, headers, &mut trail.entry)?;
    let body = receive::body(headers, body, live.table.limits.body).await?;
    trail.entry.note(|record, _| record.bytes_in = body.len() as u64);
    if let Some(owned) =
        Owned::new(gateway, live, key).filter(|_| !call.operation.takes_forms() || attempt::is_json(headers))
    {
        owned.may_say(&body)?;
    }
    let head = call.head();
    let (stripped, session, continued);
    let envelope = inbound.peek(&head, &body)?;
    let may_choose = live.table.allows_request_routing(client);
    let asked = Asked::read(may_choose, call.operation, |name| envelope.members.get(name));
    if let Asked::Unreadable(unmet) = asked {
        return Err(refused(unmet));
    }
    stripped = asked.strip(&body, &envelope);
    let (body, envelope) = match &stripped {
        Some(stripped) => (stripped, inbound.peek(&head, stripped)?),
        None => (&body, envelope),
    };
    (session, continued) = match call.protocol {
        ProtocolId::OpenAiResponses => {
            let (session, continued) = responses::begin(gateway, live, key, &envelope, body)?;
            (Some(session), continued)
        }
        _ => (None, None),
    };
    let (body, envelope) = match &continued {
        Some(continued) => (continued, inbound.peek(&head, continued)?),
        None => (body, envelope),
    };
    let surface = tensorzero::begin(live, &call, inbound, (&envelope, body))?;
    let (surface, read) = surface.unzip();
    let envelope = match &surface {
        Some(inference) => Envelope { model: inference.meaning().to_owned().into(), ..envelope },
        None => envelope,
    };
    let episode = surface.as_ref().map(|inference| inference.episode().to_string());
    let request_id = Arc::clone(&trail.request_id);
    let facts = RequestFacts {
        protocol: call.protocol,
        head,
        inbound,
        headers,
        body,
        envelope: &envelope,
        key: client,
        request_id: &request_id,
        request: OnceLock::new(),
        assumed: Assumed {
            episode: episode.as_deref(),
            tags: surface.as_ref().map_or(&[], |inference| inference.own_tags()),
            ..Assumed::default()
        },
        utc_offset: live.table.utc_offset,
        clock: super::now,
    };
    let draw = Draw(fastrand::f64());
    let health = Taking(&live.runtime.health);
    let renamed = asked.renamed(&facts);
    let way = (&asked, &*renamed);
    let Decided { decision, seen, .. } = decided(&live.table, &facts, way, &health, draw);
    trail.explain = explain::told((&live.table, client), headers, live.generation, || {
        let decided = Decided { decision: decision.clone(), draw, seen: seen.clone() };
        explained(&live.table, &facts, way, decided)
    });
    let route: Arc<str> = (&*decision.route).into();
    let inputs = || Inputs::of(&live.table, &seen, &asked);
    let wanted = (&live.runtime.recorded, gateway.sinks.facts());
    recorded::decided(&mut trail.entry, (&decision, &route, draw), &facts, inputs, wanted);
    if let Some(inference) = &surface {
        trail.entry.note(|record, _| record.tags.extend(inference.tags()));
    }
    let attempts = targets(&decision, &facts.envelope.model).map_err(|error| match &surface {
        Some(inference) => tensorzero::undecided(inference, error),
        None => error,
    })?;
    let reachable = session.as_ref().map(|session| session.reachable(attempts)).transpose()?;
    let attempts = reachable.as_deref().unwrap_or(attempts);
    let brought = surface.as_ref().and_then(|inference| inference.settings(attempts));
    let redressed = brought.as_ref().map(|settings| redressed(attempts, settings));
    let attempts = redressed.as_deref().unwrap_or(attempts);
    let incoming = Incoming {
        call: &call,
        head,
        codec,
        inbound,
        headers,
        query,
        owner: Some(client.map_or("", |client| &client.id)),
        body,
        envelope: &envelope,
        session: session.as_ref(),
        surface: surface.as_ref(),
        decoded: read.flatten().map_or_else(OnceLock::new, OnceLock::from),
        checker: OnceLock::new(),
    };
    let stream = envelope.stream && call.operation.streams();
    let total = attempts.first().map_or(Duration::ZERO, |attempt| attempt.settings.timeouts.all(stream));
    trail.route = Some(route);
    let limited = (!live.table.rate_limits.is_empty()).then_some(&facts as &(dyn Facts + Sync));
    let walk = Walk { gateway, live, incoming: &incoming, stream, deadline: started + total, total, limited };
    let (races, mirrors) = match &decision.outcome {
        // What is left of a plan is tried in order.
        Outcome::Attempts { attempts: all, races, mirrors, .. } if all.len() == attempts.len() => {
            (&**races, &**mirrors)
        }
        _ => (&[][..], &[][..]),
    };
    match walk.planned(Plan { attempts, races }, trail).await {
        Ok(mut answer) => {
            if let (Some(mirror), Some(target)) = (mirror_of(mirrors, attempts, trail), &trail.target) {
                let (request_id, trace) = (&trail.request_id, trail.entry.trace());
                let original = Original { gateway, live, incoming: &incoming, request_id, trace, began: started };
                original.copy_for(mirror, target, &mut answer);
            }
            let account = std::mem::take(&mut answer.account);
            trail.entry.note(|record, _| record.account(account));
            Ok(respond::answer(answer, trail))
        }
        Err(Last::Estimate) => estimate(&incoming, trail),
        Err(Last::Failure(failed)) => match &surface {
            Some(inference) => {
                let Failed { failure, target, .. } = *failed;
                let error = tensorzero::failed(inference, failure, &target);
                trail.target = Some(target);
                let write = |error: &Error, out: &mut Vec<u8>| inference.write_error(error, out);
                Ok(respond::error_as(inbound, error, "upstream", trail, write))
            }
            None => Ok(give_up(inbound, *failed, trail)),
        },
    }
}

/// The attempts with settings of the request's own.
fn redressed<'s>(attempts: &[Attempt<'s>], settings: &'s [Settings]) -> Vec<Attempt<'s>> {
    attempts.iter().zip(settings).map(|(attempt, settings)| Attempt { settings, ..*attempt }).collect()
}

/// Who gets a copy of the request, now that one of `attempts` has answered.
fn mirror_of<'m, 't>(mirrors: &'m [Mirror<'t>], attempts: &[Attempt<'_>], trail: &Trail) -> Option<&'m Mirror<'t>> {
    let (provider, model) = trail.target.as_deref()?.split_once('/')?;
    mirrors.iter().find(|mirror| {
        let main = attempts.get(mirror.from..mirror.until).unwrap_or_default();
        main.iter().any(|attempt| &*attempt.provider.name == provider && attempt.model == model)
    })
}

/// The answer after the last failure.
fn give_up(inbound: &'static dyn Inbound, last: Failed, trail: &mut Trail) -> Response<ResponseBody> {
    let Failed { failure, target, .. } = last;
    trail.target = Some(Arc::clone(&target));
    let failure = match failure {
        Failure::Status(failure) if !matches!(failure.status, 401 | 403) => match *failure {
            StatusFailure { status, error, verbatim: Some((headers, body)) } => {
                return respond::verbatim(status, headers, body, error.retry_after, trail);
            }
            other => Failure::Status(Box::new(other)),
        },
        Failure::Refused(error) | Failure::Limited(error) => return respond::error(inbound, error, "gateway", trail),
        other => other,
    };
    respond::error(inbound, failure.into_error(&target), "upstream", trail)
}

/// A count of tokens that no upstream gave.
fn estimate(incoming: &Incoming<'_, '_>, trail: &Trail) -> Result<Response<ResponseBody>, Error> {
    let count = estimate_tokens(outgoing::decoded(incoming)?);
    let mut body = Vec::new();
    incoming.inbound.encode_token_count(count, &mut body);
    let mut response = respond::json(body, trail);
    response.headers_mut().insert("x-routeplane-estimated", http::HeaderValue::from_static("true"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the future that a call of `way` makes.
    fn size<'a, F: Future>(_: impl FnOnce(&'a Arc<Gateway>, Request<IncomingBody>, SocketAddr, &'a Cut) -> F) -> usize {
        size_of::<F>()
    }

    /// Every request allocates its whole way once. A future that is bound to a name or given by value before it is awaited lies
    /// in the one around it twice, and that doubles from layer to layer: rare ways are boxed, the common one is awaited in place.
    #[test]
    fn a_request_needs_little_room() {
        let size = size(handle);
        assert!(size <= 16 << 10, "{size} bytes");
    }
}
