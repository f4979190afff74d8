//! Vectors by translation: as many calls as the upstream's batches need, and one answer.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use super::heads::{refuse_unknown_coding, translated};
use super::whole::{collect, priced};
use super::{Answer, AnswerBody, Place, Try, exchange};
use crate::proxy::cached::{self, Trace};
use crate::proxy::failure::Failure;
use crate::proxy::outgoing::{Prepared, embed::Batches};
use crate::telemetry::record::Account;
use crate::wire::ir::{EmbedResponse, Error, Usage};
use crate::wire::{EmbedAnswering, Embeddings};

/// Most calls for one request that are under way at the same time.
const AT_ONCE: usize = 8;

/// Makes the calls and puts their answers together. One that fails fails them all: half of the vectors are none.
pub(super) async fn run(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    first: &Prepared,
    batches: &Batches,
) -> Result<Answer, Failure> {
    let (Some(to), Some(from)) = (this.incoming.codec.embeddings_in(), place.endpoint.embeddings()) else {
        return Err(Failure::Refused(Error::invalid("this target has no embeddings")));
    };
    let bodies = std::iter::once(&first.body).chain(&batches.others);
    // Collected: a stream over borrowed closures would not be `Send`.
    let calls: Vec<_> = bodies.map(|body| call(this, place, first.with_body(body.clone()), from)).collect();
    let answers: Vec<Called> = stream::iter(calls).buffered(AT_ONCE).try_collect().await?;
    let mut whole = EmbedResponse { model: None, vectors: Vec::new(), usage: None };
    let mut headers = HeaderMap::new();
    let mut counted: Option<u64> = None;
    let all_hit = answers.iter().all(|called| called.trace.as_ref().is_some_and(Trace::is_hit));
    let mut raw = Vec::new();
    for Called { headers: limits, answer, trace, body } in answers {
        headers = limits;
        raw.extend(body);
        let hit = trace.as_ref().is_some_and(Trace::is_hit);
        // Old vectors among new ones make no old answer.
        if hit == all_hit {
            cached::mark(trace.as_ref(), &mut headers);
        }
        whole.model = whole.model.or(answer.model);
        whole.vectors.extend(answer.vectors);
        if let Some(input) = answer.usage.and_then(|usage| usage.input) {
            let total = whole.usage.get_or_insert_default();
            let free = hit && this.incoming.surface.is_some();
            total.input = Some(total.input.unwrap_or(0).saturating_add(if free { 0 } else { input }));
            if !hit {
                counted = Some(counted.unwrap_or(0).saturating_add(input));
            }
        }
    }
    if whole.vectors.len() != batches.request.input.count() {
        let message =
            format!("the upstream gave {} vectors for {} inputs", whole.vectors.len(), batches.request.input.count());
        return Err(Failure::BadAnswer { code: "upstream_protocol", message });
    }
    let mut losses = first.losses.clone();
    let mut out = Vec::new();
    let told = place.told(this, all_hit);
    let answering = EmbedAnswering { request: &batches.request, told: told.as_deref(), raw: &raw };
    to.encode_answer(&answering, &whole, &mut out, &mut losses);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let counted = counted.map(|input| Usage { input: Some(input), ..Usage::default() });
    let cost = counted.and_then(|usage| place.counters.used(&usage, &this.tariff()));
    let cost = if all_hit { Some(0.0) } else { cost };
    priced(&mut headers, cost);
    let account = Account { usage: counted, cost_usd: cost, model: whole.model.map(Into::into), ..Account::default() };
    Ok(Answer { headers, losses, body: AnswerBody::Whole(out.into()), account })
}

/// What came of one call.
struct Called {
    /// About limits.
    headers: HeaderMap,
    answer: EmbedResponse,
    trace: Option<Trace>,
    /// As the upstream wrote it, where the caller wants to see it.
    body: Option<Bytes>,
}

/// One call.
async fn call(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    prepared: Prepared,
    from: &dyn Embeddings,
) -> Result<Called, Failure> {
    let timeouts = &this.attempt.settings.timeouts;
    let response = exchange::call(this, place, &prepared, false, timeouts).await?;
    let (head, body) = exchange::refuse_errors(this, place, &prepared, response).await?.into_parts();
    refuse_unknown_coding(&head.headers)?;
    let body = collect(body, timeouts.idle).await?;
    let bad = |error: Error| Failure::BadAnswer { code: "upstream_protocol", message: error.message };
    let mut answer = from.decode_response(&body).inspect_err(|_| place.hear_failure(this, &body)).map_err(bad)?;
    answer.usage = answer.usage.or_else(|| counted_in(&head.headers));
    let trace = cached::of(&head.extensions);
    if let Some(trace) = &trace {
        trace.keep(Some(&body));
    }
    let headers = translated(&head.headers, this.incoming.call.protocol);
    Ok(Called { headers, answer, trace, body: this.incoming.surface.map(|_| body) })
}

/// Bedrock counts what Cohere's models read in a header.
fn counted_in(headers: &HeaderMap) -> Option<Usage> {
    let count = headers.get("x-amzn-bedrock-input-token-count")?.to_str().ok()?.parse().ok()?;
    Some(Usage { input: Some(count), ..Usage::default() })
}
