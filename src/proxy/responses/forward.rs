//! Questions about an answer that a provider keeps, asked there.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, Uri};
use tokio::time::Instant;

use super::stored::Question;
use crate::live::Live;
use crate::provider::cost::Tariff;
use crate::provider::{Endpoint, Provider};
use crate::proxy::access;
use crate::proxy::attempt::{collect, forwarded};
use crate::proxy::failure::{Failure, StatusFailure};
use crate::proxy::ingress::{Stored, Wish};
use crate::proxy::outgoing::head;
use crate::proxy::pipe::{Pipe, Terms};
use crate::proxy::respond::{self, Trail};
use crate::proxy::stream::{self, StreamBody};
use crate::proxy::{Gateway, ResponseBody};
use crate::state::{ProviderState, uris};
use crate::table::SettingsIdx;
use crate::telemetry::traffic::StreamRecord;
use crate::upstream::{self, Pieces};
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::{Operation, Outbound, ProtocolId};

/// Where the provider keeps its answers.
struct Place<'l> {
    provider: &'l Provider,
    state: &'l ProviderState,
    at: usize,
    endpoint: &'l Endpoint,
    outbound: &'static dyn Outbound,
}

fn place<'l>(live: &'l Live, provider: &str) -> Option<Place<'l>> {
    let index = live.table.provider_names.get(provider)?.0 as usize;
    let provider = live.table.providers.get(index)?;
    let state = live.runtime.providers.get(index)?;
    let at = provider.endpoints.iter().position(|endpoint| endpoint.protocol == ProtocolId::OpenAiResponses)?;
    let endpoint = provider.endpoints.get(at)?;
    let outbound = ProtocolId::OpenAiResponses.codec()?.outbound()?;
    Some(Place { provider, state, at, endpoint, outbound })
}

/// Asks `provider`, and relays what it says.
///
/// # Errors
/// The provider is gone from the file, cannot be reached, or refuses its key.
pub(super) async fn ask(
    gateway: &Gateway,
    live: &Arc<Live>,
    question: &Question<'_>,
    provider: &str,
    trail: &mut Trail,
) -> Result<Response<ResponseBody>, Error> {
    trail.target = Some(provider.into());
    let gone = || {
        let message = format!("the response is kept by `{provider}`, which the gateway's file no longer names");
        Error::new(ErrorKind::NotFound, message).with_code("response_not_found").with_param("id")
    };
    let place = place(live, provider).ok_or_else(gone)?;
    let failed = |failure: Failure| failure.into_error(provider);
    let timeouts = live.table.settings(SettingsIdx::BASE).map(|base| base.timeouts.clone()).unwrap_or_default();
    let deadline = Instant::now() + timeouts.total;
    let credential = match place.endpoint.auth.cloud().and(place.state.tokens.as_ref()) {
        Some(tokens) => Some(access::token(tokens, provider, deadline, timeouts.total).await?),
        None => place.state.keys.pick().cloned(),
    };
    let uri = uri(&place, question).ok_or_else(gone)?;
    let state = place.state.endpoints.get(place.at).ok_or_else(gone)?;
    let mut request = Request::new(Pieces::default());
    *request.method_mut() = method(question.stored.wish);
    *request.uri_mut() = uri;
    *request.headers_mut() = head::ask((place.endpoint, state), credential.as_deref(), question.headers);
    let sending = live.runtime.pools.send_bare(request, timeouts.connect);
    let sent = tokio::time::timeout_at(deadline, sending).await;
    let sent = sent.map_err(|_| failed(Failure::Deadline(timeouts.total)))?;
    let response = sent.map(upstream::body::readable).map_err(|error| failed(error.into()))?;
    let (head, body) = response.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if head.status.is_success() && place.outbound.framing().comes_as(kind) {
        let Some(inbound) = respond::dialect(ProtocolId::OpenAiResponses) else { return Err(gone()) };
        let opening = stream::open(body, Pipe::relay(inbound, place.outbound, Terms::default()), timeouts.idle);
        let opened = tokio::time::timeout_at(deadline, opening).await;
        let opened = opened.map_err(|_| failed(Failure::Deadline(timeouts.total)))?;
        let counters = place.state.counters.get_or_init(|| Arc::new(gateway.traffic.provider(&place.provider.name)));
        // What the answer costs was reckoned when it was asked for.
        let record = StreamRecord::start(Arc::clone(counters), Tariff { prices: None, written: true }, Arc::default());
        let body = StreamBody::new(opened, &timeouts, deadline, record, None, credential);
        let headers = forwarded(&head.headers);
        return Ok(respond::relayed(head.status, headers, ResponseBody::Stream(Box::new(body)), trail));
    }
    let reading = tokio::time::timeout_at(deadline, collect(body, timeouts.idle)).await;
    let body = reading.unwrap_or(Err(Failure::Deadline(timeouts.total))).map_err(failed)?;
    let mut text = body.to_vec();
    if !head.status.is_success() {
        place.state.keys.scrub(&mut text);
        credential.iter().for_each(|credential| credential.scrub(&mut text));
    }
    if matches!(head.status.as_u16(), 401 | 403) || head.status.is_redirection() {
        let error = place.outbound.decode_error(head.status.as_u16(), &text);
        let failure = StatusFailure { status: head.status.as_u16(), error, verbatim: None };
        return Err(failed(Failure::Status(Box::new(failure))));
    }
    let mut headers = forwarded(&head.headers);
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    Ok(respond::relayed(head.status, headers, text.into(), trail))
}

fn method(wish: Wish) -> Method {
    match wish {
        Wish::Show | Wish::InputItems => Method::GET,
        Wish::Delete => Method::DELETE,
        Wish::Cancel => Method::POST,
    }
}

/// The address of the answer: below that of the calls, with what that has of a query and then the caller's.
fn uri(place: &Place<'_>, question: &Question<'_>) -> Option<Uri> {
    let Stored { id, wish } = question.stored;
    let calls = place.state.endpoints.get(place.at)?;
    let calls = calls.uris.get(place.endpoint, place.outbound, Operation::Generate, "", false)?;
    let end = match wish {
        Wish::Show | Wish::Delete => "",
        Wish::Cancel => "/cancel",
        Wish::InputItems => "/input_items",
    };
    uris::below(calls, &format!("/{}{end}", uris::segment(id)), question.query)
}
