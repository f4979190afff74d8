//! A whole answer: read to its end, then turned into the caller's.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use http_body::Body as _;

use super::heads::{forwarded, refuse_unknown_coding, translated};
use super::{Answer, AnswerBody, Place, Try};
use crate::provider::cost::decimal;
use crate::proxy::cached::{self, Trace};
use crate::proxy::estimate;
use crate::proxy::failure::{Failure, StatusFailure};
use crate::proxy::outgoing::{Prepared, Translation, proofs};
use crate::proxy::pipe::Name;
use crate::proxy::recorded;
use crate::proxy::responses::{self, Session};
use crate::proxy::stamp::Stamp;
use crate::table::settings::RetryOn;
use crate::telemetry::record::Account;
use crate::upstream;
use crate::upstream::body::Broken;
use crate::wire::ir::{Error, Usage};
use crate::wire::openai_responses::history;
use crate::wire::structured::judged::Judged;
use crate::wire::{Answering, Ending, Operation, naming, rerank};

/// Most bytes of a whole answer.
const WHOLE_LIMIT: usize = 64 << 20;

/// How errors begin, which some aggregators send under HTTP 200: OpenAI's and Google's, Anthropic's, AWS's. No answer does.
const ERRORS: [&[u8]; 3] = [b"{\"error\"", b"{\"type\":\"error\"", b"{\"message\":\""];

/// Reads a whole answer and turns it into the caller's.
pub(super) async fn whole(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    prepared: Prepared,
    response: Response<upstream::Body>,
) -> Result<Answer, Failure> {
    let Try { incoming, attempt, .. } = this;
    let (head, body) = response.into_parts();
    if !matches!(prepared.translation, Translation::None) {
        refuse_unknown_coding(&head.headers)?;
    }
    let body = collect(body, attempt.settings.timeouts.idle).await?;
    if ERRORS.iter().any(|error| body.starts_with(error)) {
        let mut text = body.to_vec();
        place.scrub(&mut text);
        place.hear_failure(this, &text);
        let error = place.outbound.decode_error(502, &text);
        return Err(Failure::Status(Box::new(StatusFailure { status: error.status.max(400), error, verbatim: None })));
    }
    let trace = cached::of(&head.extensions);
    let hit = trace.as_ref().is_some_and(Trace::is_hit);
    let usage = if hit { None } else { place.outbound.usage(&body) };
    let cost = usage.and_then(|usage| place.counters.used(&usage, &this.tariff()));
    let estimated = if hit { None } else { unreported(this, place, &prepared, usage, &body) };
    let estimated_cost = estimated.and_then(|usage| place.counters.estimated(&usage, &this.tariff()));
    let count_empty =
        attempt.settings.retries.on.contains(&RetryOn::Empty) && incoming.call.operation == Operation::Generate;
    let bad = |error: Error| Failure::BadAnswer { code: "upstream_protocol", message: error.message };
    if count_empty && place.outbound.decode_response(&body, &place.quirks).is_ok_and(|answer| answer.is_empty()) {
        return Err(Failure::Empty);
    }
    let upstream_said = trace.is_some().then(|| body.clone());
    let mut losses = prepared.losses;
    let mut judged = None;
    let mut account =
        Account { usage, estimated, cost_usd: cost, cost_estimated_usd: estimated_cost, ..Account::default() };
    let (mut headers, body) = match prepared.translation {
        Translation::None if incoming.call.operation == Operation::Rerank && place.quirks.rerank_top_k => {
            (forwarded(&head.headers), rerank::answer_in_results(body))
        }
        Translation::Rerank => (translated(&head.headers, incoming.call.protocol), body),
        Translation::None => {
            if let Some(session) = incoming.session.filter(|session| session.notes_ids())
                && let Some(id) = std::str::from_utf8(&body).ok().and_then(history::id_of)
            {
                session.passed(&id, &attempt.provider.name);
            }
            if incoming.call.operation == Operation::Generate && this.gateway.sinks.are_wanted() {
                let Ending { model, finishes } = Ending::of_whole(&body, |part| place.outbound.ending(part));
                (account.model, account.finish_reasons) = (model, finishes);
            }
            (forwarded(&head.headers), named(this, place, body))
        }
        Translation::Generate(request) => {
            let answer = place.outbound.decode_response(&body, &place.quirks);
            let mut answer = answer.inspect_err(|_| place.hear_failure(this, &body)).map_err(bad)?;
            if let Some(stops) = place.stops(&request) {
                stops.cut(&mut answer);
            }
            judged = prepared.form.settle(&mut answer);
            if let Some(judged) = &judged {
                place.counters.judged(judged);
                if let Some(refusal) = prepared.form.refusal(judged) {
                    return Err(refusal);
                }
            }
            if let Some(seal) = proofs::seal(incoming, attempt, &place.toward(None), &request) {
                seal.response(&mut answer);
            }
            recorded::answer(&mut account, &answer);
            answer.model = this.name(true).of(answer.model.take());
            Stamp::new(incoming.inbound).fill(&mut answer.id, &mut answer.created);
            let mut out = Vec::with_capacity(body.len());
            if hit && incoming.surface.is_some() {
                answer.usage = Some(cached::nothing_used());
            }
            let told = place.told(this, hit);
            let answering = responses::answering(incoming, &request).map_err(bad)?;
            let answering = Answering { told: told.as_ref(), raw: Some(&body), ..answering };
            incoming.inbound.encode_answer(&answering, &answer, &mut out, &mut losses);
            if let Some(keeper) = incoming.session.and_then(Session::keeper) {
                keeper.keep(out.clone());
            }
            (translated(&head.headers, incoming.call.protocol), out.into())
        }
        // Vectors come in batches.
        Translation::Embed(_) => return Err(bad(Error::invalid("these vectors are not read as one answer"))),
        Translation::CountTokens => {
            let count = place.outbound.decode_token_count(&body);
            let count = count.ok_or_else(|| bad(Error::invalid("the upstream's answer holds no count of tokens")))?;
            let mut out = Vec::new();
            incoming.inbound.encode_token_count(count, &mut out);
            (translated(&head.headers, incoming.call.protocol), out.into())
        }
    };
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    if estimated.is_some() {
        headers.insert("x-routeplane-usage", HeaderValue::from_static("estimated"));
    }
    if let Some(trace) = &trace {
        trace.keep(upstream_said.as_ref());
        cached::mark(Some(trace), &mut headers);
    }
    let cost = match (cost, estimated_cost) {
        _ if hit => Some(0.0),
        (Some(cost), Some(estimated)) => Some(cost + estimated),
        (cost, estimated) => cost.or(estimated),
    };
    if let Some(judged) = &judged {
        say_form(judged, &mut headers);
    }
    priced(&mut headers, cost);
    Ok(Answer { headers, losses, body: AnswerBody::Whole(body), account })
}

/// An answer that passes as it is, with the name of the model that the caller is told.
fn named(this: &Try<'_, '_, '_, '_>, place: &Place<'_>, body: Bytes) -> Bytes {
    let Name::This(name) = this.name(false) else { return body };
    if this.incoming.call.operation != Operation::Generate {
        return body;
    }
    let text = std::str::from_utf8(&body).ok();
    let new = text.and_then(|text| naming::renamed(text, place.outbound.model_told(), &name));
    new.map_or(body, Bytes::from)
}

/// Says what became of the form that was asked for.
pub(super) fn say_form(judged: &Judged, headers: &mut HeaderMap) {
    if let Ok(words) = HeaderValue::try_from(judged.words()) {
        headers.insert("x-routeplane-output", words);
    }
}

/// Says what the answer cost, in USD, where that is known.
pub(super) fn priced(headers: &mut HeaderMap, cost: Option<f64>) {
    if let Some(cost) = cost.and_then(|cost| HeaderValue::try_from(decimal(cost)).ok()) {
        headers.insert("x-routeplane-cost-usd", cost);
    }
}

/// What an answer took and did not report, by estimate; `None` where nothing is missing, and of what is no answer.
fn unreported(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    prepared: &Prepared,
    usage: Option<Usage>,
    body: &[u8],
) -> Option<Usage> {
    let told = usage.unwrap_or_default();
    if this.incoming.call.operation != Operation::Generate || (told.input.is_some() && told.output.is_some()) {
        return None;
    }
    let answer = place.outbound.decode_response(body, &place.quirks).ok()?;
    let missing = |told: Option<u64>, estimate: &dyn Fn() -> u64| if told.is_none() { Some(estimate()) } else { None };
    let input = missing(told.input, &|| estimate::request(this.incoming.body, &prepared.translation));
    let output = missing(told.output, &|| estimate::answer(&answer));
    Usage { input, output, ..Usage::default() }.reported()
}

/// A whole body, bounded in bytes and in the silence between its pieces.
pub(in crate::proxy) async fn collect(mut body: upstream::Body, idle: Duration) -> Result<Bytes, Failure> {
    let expected = body.size_hint().exact().and_then(|size| usize::try_from(size).ok());
    let mut whole = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(idle, std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))).await;
        let bytes = match frame.map_err(|_| Failure::FirstToken(idle))? {
            None => return Ok(whole.freeze()),
            Some(Err(error)) => return Err(broken(&error)),
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

fn broken(error: &Broken) -> Failure {
    match error {
        Broken::Connection(_) => Failure::Broken(error.to_string()),
        Broken::Truncated(_) => Failure::Truncated,
        Broken::Corrupt(_) => Failure::BadAnswer { code: "upstream_protocol", message: error.to_string() },
    }
}
