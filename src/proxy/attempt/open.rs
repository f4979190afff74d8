//! A streamed answer, up to its first content.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};

use super::heads::{forwarded, refuse_unknown_coding, translated};
use super::whole::say_form;
use super::{Answer, AnswerBody, Place, Try, exchange};
use crate::proxy::cached::{self, Trace, Unpaid};
use crate::proxy::estimate;
use crate::proxy::failure::Failure;
use crate::proxy::outgoing::{Prepared, Translation, proofs};
use crate::proxy::pipe::{Pipe, Progress};
use crate::proxy::responses::{self, Session};
use crate::proxy::stream::{self, StreamBody};
use crate::table::settings::RetryOn;
use crate::telemetry::record::Account;
use crate::telemetry::traffic::StreamRecord;
use crate::upstream;
use crate::wire::frame::Framing;
use crate::wire::halves::Joining;
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::structured::watch::Slot;
use crate::wire::{Answering, Operation, StreamDecoder};

/// Opens a stream up to its first content.
pub(super) async fn open(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    prepared: Prepared,
    response: Response<upstream::Body>,
) -> Result<Answer, Failure> {
    let Try { incoming, attempt, deadline, .. } = this;
    let (head, body) = response.into_parts();
    if !is_stream(&head.headers, place.outbound.framing()) {
        if place.shows_failures(this) {
            let text = tokio::time::timeout(exchange::ERROR_TIME, exchange::read_some(body)).await.unwrap_or_default();
            place.hear_failure(this, &text);
        }
        let message = "the upstream answered a streamed call with something that is not a stream".to_owned();
        return Err(Failure::BadAnswer { code: "upstream_content_type", message });
    }
    refuse_unknown_coding(&head.headers)?;
    let trace = cached::of(&head.extensions);
    let hit = trace.as_ref().is_some_and(Trace::is_hit);
    let slot = Slot::default();
    let (mut pipe, mut headers) = match &prepared.translation {
        Translation::None => (Pipe::relay(incoming.inbound, place.outbound, prepared.terms), forwarded(&head.headers)),
        Translation::Generate(request) => {
            let told = place.told(this, hit);
            let answering = responses::answering(incoming, request).map_err(Failure::Refused)?;
            let answering = Answering { told: told.as_ref(), ..answering };
            let encoder = incoming.inbound.answer_encoder(&incoming.head, &answering);
            let decoder: Box<dyn StreamDecoder> = Box::new(Joining::new(place.outbound.stream_decoder(&place.quirks)));
            let decoder = match hit && incoming.surface.is_some() {
                true => Box::new(Unpaid(decoder)),
                false => decoder,
            };
            let decoder = match place.stops(request) {
                Some(stops) => stops.stream(decoder),
                None => decoder,
            };
            let decoder = prepared.form.decoder(decoder, request, &slot);
            let decoder = match proofs::seal(incoming, attempt, &place.toward(None), request) {
                Some(seal) => seal.stream(decoder),
                None => decoder,
            };
            let mut pipe = Pipe::translate(incoming.inbound, place.outbound, &incoming.head, decoder, encoder);
            if let Some(keeper) = incoming.session.and_then(Session::keeper) {
                pipe.keep_with(Box::new(|whole| keeper.keep(whole)));
            }
            (pipe, translated(&head.headers, incoming.call.protocol))
        }
        Translation::Embed(_) | Translation::CountTokens | Translation::Rerank => {
            return Err(Failure::Refused(Error::invalid("this operation does not stream")));
        }
    };
    pipe.name(this.name(matches!(prepared.translation, Translation::Generate(_))));
    let opened = stream::open(body, pipe, attempt.settings.timeouts.idle).await;
    if let Some(failure) = slot.get().and_then(|judged| prepared.form.failure(judged)).filter(|_| !opened.committed) {
        // The caller never sees it, and it was paid for all the same.
        if let Some(usage) = opened.pipe.usage() {
            place.counters.used(usage, &this.tariff());
        }
        if let Some(judged) = slot.get() {
            place.counters.judged(judged);
        }
        return Err(failure);
    }
    match opened.pipe.progress() {
        // An error behind content is the caller's to see.
        Progress::Failed(_) if opened.committed => {}
        Progress::Failed(error) if error.kind == ErrorKind::Truncated => return Err(Failure::Truncated),
        Progress::Failed(error) => {
            if let Some(frame) = opened.pipe.fault() {
                place.hear_failure(this, frame.as_bytes());
            }
            return Err(place.in_stream(error));
        }
        Progress::Preamble => return Err(Failure::Truncated),
        Progress::Complete if attempt.settings.retries.on.contains(&RetryOn::Empty) && opened.pipe.is_empty() => {
            // The caller never sees it, and it was paid for all the same.
            if let Some(usage) = opened.pipe.usage() {
                place.counters.used(usage, &this.tariff());
            }
            return Err(Failure::Empty);
        }
        Progress::Content | Progress::Complete => {}
    }
    if let (Some(session), Some(id)) = (incoming.session, opened.pipe.answer_id()) {
        session.passed(id, &attempt.provider.name);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(incoming.inbound.stream_content_type(&incoming.head)));
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    if let Some(judged) = slot.get() {
        say_form(judged, &mut headers);
    }
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let record = StreamRecord::start(Arc::clone(place.counters), this.tariff(), slot);
    let untold =
        incoming.call.operation == Operation::Generate && opened.pipe.usage().is_none_or(|usage| usage.input.is_none());
    let prompt = untold.then(|| estimate::request(incoming.body, &prepared.translation));
    let credential = place.credential.clone();
    cached::mark(trace.as_ref(), &mut headers);
    let mut body = StreamBody::new(opened, &attempt.settings.timeouts, *deadline, record, prompt, credential);
    if let Some(trace) = trace {
        body.traced(trace);
    }
    Ok(Answer {
        headers,
        losses: prepared.losses,
        body: AnswerBody::Stream(Box::new(body)),
        account: Account::default(),
    })
}

fn is_stream(headers: &HeaderMap, framing: Framing) -> bool {
    headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| framing.comes_as(kind))
}
