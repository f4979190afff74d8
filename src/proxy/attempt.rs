//! One try at one target: send, wait, and find out whether there is an answer.

mod embed;
mod exchange;
mod heads;
mod health;
mod identity;
mod limits;
mod opaque;
mod open;
mod whole;

pub(super) use heads::forwarded;
pub use health::Judged;
pub(super) use opaque::is_json;
pub(super) use whole::collect;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::{Instant, timeout_at};

use super::Gateway;
use super::cached;
use super::estimate::{Left, Underway};
use super::failure::Failure;
use super::outgoing::proofs::Proofs;
use super::outgoing::{self, Incoming, Prepared, Toward, Translation};
use super::pipe::Name;
use super::stream::StreamBody;
use super::structured::Correction;
use super::tensorzero::Inference;
use crate::live::Live;
use crate::provider::cost::Tariff;
use crate::provider::{Endpoint, RequestKeys};
use crate::state::{Credential, ProviderState};
use crate::table::settings::AnswerModel;
use crate::table::{Attempt, Lane};
use crate::telemetry::content::Content;
use crate::telemetry::entry::Context;
use crate::telemetry::record::Account;
use crate::telemetry::traffic::ProviderCounters;
use crate::wire::ir::{self, Error, ErrorKind};
use crate::wire::loss::Losses;
use crate::wire::quirk::Quirks;
use crate::wire::stops::Stops;
use crate::wire::tensorzero::Told;
use crate::wire::{Operation, Outbound};

/// A good answer.
pub struct Answer {
    pub headers: HeaderMap,
    pub losses: Losses,
    pub body: AnswerBody,
    /// Of a whole answer; a stream keeps its own until its end.
    pub account: Account,
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
    /// End of the whole request, or of a preset around the attempt.
    pub deadline: Instant,
    /// How long that was from its beginning, for messages.
    pub total: Duration,
    /// The first content of a stream, as presets around the attempt bound it.
    pub first: Option<(Instant, Duration)>,
    /// What was wrong with this target's answer before.
    pub correction: Option<&'r Correction>,
    /// The try's place in a trace.
    pub trace: &'r Context,
    /// Where it is told what the try took, if nobody waits for its end.
    pub left: &'r Left,
    /// Hears what is said, where a preset wants that on spans.
    pub content: Option<&'r Arc<Content>>,
    /// Why the upstream may not be asked: only the cache may answer.
    pub barred: Option<&'r Error>,
}

impl Try<'_, '_, '_, '_> {
    /// What the model of this try costs.
    pub(super) fn tariff(&self) -> Tariff {
        let (provider, model) = (self.attempt.provider, self.attempt.model);
        let written = !provider.prices.is_empty() && provider.written_prices_of(model).is_some();
        // The catalogue's prices are those of text.
        let of_text = self.incoming.call.operation.is_of_text();
        Tariff { prices: self.attempt.target.prices_of(provider, model).filter(|_| of_text), written }
    }

    /// What the caller is told that the model is called. Answers of TensorZero's surface name variants.
    fn name(&self, translated: bool) -> Name {
        match self.attempt.settings.answer_model {
            _ if self.incoming.surface.is_some() => Name::Told,
            AnswerModel::Asked => Name::This((&*self.incoming.envelope.model).into()),
            AnswerModel::Upstream if translated => Name::ToldOr(self.attempt.model.into()),
            AnswerModel::Upstream => Name::Told,
        }
    }
}

/// The parts of the table and of the run-time state that belong to this try's target.
pub(super) struct Place<'r> {
    state: &'r ProviderState,
    pub(super) endpoint: &'r Endpoint,
    at: usize,
    pub(super) outbound: &'static dyn Outbound,
    /// How the upstream deviates for this try's model.
    pub(super) quirks: Cow<'r, Quirks>,
    counters: &'r Arc<ProviderCounters>,
    /// What this try authenticates with.
    pub(super) credential: Option<Arc<Credential>>,
    /// Which proofs of reasoning it sends.
    proofs: Proofs,
}

impl Place<'_> {
    /// Replaces the provider's keys, and the token of this try, in a text that may reach somebody.
    fn scrub(&self, text: &mut Vec<u8>) {
        self.state.keys.scrub(text);
        if let Some(credential) = &self.credential {
            credential.scrub(text);
        }
    }
}

impl Place<'_> {
    /// What ends the answer to `request` that the upstream knows nothing of.
    fn stops(&self, request: &ir::Request) -> Option<Stops> {
        Stops::of(request.sampling.stop.as_deref()).filter(|_| self.outbound.lacks_stops())
    }

    /// The failure that an error in a stream is. An upstream may repeat the key that it got.
    fn in_stream(&self, mut error: Error) -> Failure {
        let mut message = std::mem::take(&mut error.message).into_bytes();
        self.scrub(&mut message);
        error.message = String::from_utf8_lossy(&message).into_owned();
        Failure::InStream(error)
    }

    /// What an answer of TensorZero's surface tells of itself, where this is one.
    fn told(&self, this: &Try<'_, '_, '_, '_>, hit: bool) -> Option<Arc<Told>> {
        let inference = this.incoming.surface?;
        Some(inference.told(this.attempt, self.endpoint.protocol, this.tariff(), hit))
    }

    /// Whether the caller wants to see what tries that fail are answered.
    fn shows_failures(&self, this: &Try<'_, '_, '_, '_>) -> bool {
        this.incoming.surface.is_some_and(Inference::shows_failures)
    }

    /// Keeps what a try that has failed was answered, without keys, for a caller that wants to see it.
    fn hear_failure(&self, this: &Try<'_, '_, '_, '_>, text: &[u8]) {
        if let Some(inference) = this.incoming.surface.filter(|inference| inference.shows_failures()) {
            let mut text = text.to_vec();
            self.scrub(&mut text);
            inference.hear_failure(this.attempt, self.endpoint.protocol, &text);
        }
    }

    /// What the upstream's request depends on.
    fn toward<'p>(&'p self, correction: Option<&'p Correction>) -> Toward<'p> {
        let Place { endpoint, outbound, ref quirks, proofs, .. } = *self;
        Toward { endpoint, outbound, quirks, proofs, correction }
    }
}

/// Tries one target once; a second time where it refuses the proofs of reasoning in the request, then without any. (Who
/// made a proof that a caller of the target's own protocol sends is not known: an answer that passed through is as the
/// upstream wrote it. To remember the proofs of everybody's answers would cost every stream a hash, a place in memory for as
/// long as conversations live, and forget them all in a restart; the refusal comes before any work is done and is free.)
///
/// # Errors
/// Why there is no answer. Nothing has reached the caller.
pub async fn run(this: &Try<'_, '_, '_, '_>) -> Result<Answer, Failure> {
    let mut place = place(this)?;
    let mut health = health::begin(this);
    let started = Instant::now();
    let mut result = match identity::of(&place) {
        Some(tokens) => Box::pin(identity::send(this, &mut place, tokens)).await,
        None => {
            place.credential = credential(this, &place)?;
            send(this, &place).await
        }
    };
    if let Err(failure) = &result
        && failure.is_about_proofs()
        && this.incoming.call.operation == Operation::Generate
    {
        place.counters.failed("reasoning_refused");
        place.proofs = Proofs::Bare;
        // A request without proofs is refused here, and then the upstream's own words stay.
        match Box::pin(send(this, &place)).await {
            Err(Failure::Refused(_)) => {}
            other => result = other,
        }
    }
    // Of the target an answer from the cache says nothing.
    if result.as_ref().is_ok_and(|answer| cached::is_hit(&answer.headers)) {
        return result;
    }
    match &result {
        Ok(_) => place.counters.succeeded(started.elapsed()),
        Err(failure) => {
            place.counters.failed(failure.cause());
            if let (Some(credential), Some(pause)) = (&place.credential, failure.cools_key()) {
                credential.cool(pause);
            }
        }
    }
    if let Some(health) = &mut health {
        health.judge(&place, &result);
    }
    if let (Ok(Answer { body: AnswerBody::Stream(stream), .. }), Some(health)) = (&mut result, health) {
        stream.counts_for(health);
    }
    result
}

fn place<'r>(this: &Try<'r, '_, '_, '_>) -> Result<Place<'r>, Failure> {
    let Try { live, incoming, attempt, .. } = this;
    let refused = |message: &str| Failure::Refused(Error::invalid(message).with_code("target_refused"));
    let endpoint = match attempt.lane(incoming.call.protocol, incoming.call.operation) {
        Lane::Passthrough { endpoint } | Lane::Translate { endpoint } => usize::from(*endpoint),
        Lane::Refused(reason) => return Err(refused(reason)),
    };
    let state = live.runtime.providers.get(attempt.target.provider.0 as usize);
    let at = endpoint;
    let endpoint = attempt.provider.endpoints.get(at);
    let outbound = endpoint.and_then(Endpoint::outbound);
    let (Some(state), Some(endpoint), Some(outbound)) = (state, endpoint, outbound) else {
        return Err(refused("this target's protocol is not spoken by this version"));
    };
    if let Some(reason) = &state.unusable {
        return Err(Failure::Refused(Error::new(ErrorKind::Overloaded, &**reason).with_code("no_provider_key")));
    }
    let counters = state.counters.get_or_init(|| Arc::new(this.gateway.traffic.provider(&attempt.provider.name)));
    let quirks = endpoint.quirks_of(attempt.model);
    Ok(Place { state, endpoint, at, outbound, quirks, counters, credential: None, proofs: Proofs::Fitting })
}

/// The key of this try: the request's own, where the provider takes such and the request brings one, or the next of the
/// pool.
///
/// # Errors
/// The request does not bring a credential, and nothing stands in for it.
fn credential(this: &Try<'_, '_, '_, '_>, place: &Place<'_>) -> Result<Option<Arc<Credential>>, Failure> {
    let Some(RequestKeys { names, first }) = &this.attempt.provider.request_keys else {
        return Ok(place.state.keys.pick().cloned());
    };
    let own = || names.iter().find_map(|name| this.incoming.credential(name));
    let brought = if *first || place.state.keys.is_empty() { own() } else { None };
    match brought.and_then(Credential::text) {
        Some(own) => Ok(Some(Arc::new(own))),
        None if place.state.keys.is_empty() => {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let message = format!(
                "{} takes its key from the request, and this one does not bring the credential {}",
                this.attempt.provider.name,
                names.join(" or ")
            );
            Err(Failure::Refused(Error::invalid(message).with_code("credential_missing")))
        }
        None => Ok(place.state.keys.pick().cloned()),
    }
}

async fn send(this: &Try<'_, '_, '_, '_>, place: &Place<'_>) -> Result<Answer, Failure> {
    let Try { incoming, attempt, .. } = this;
    let prepared = outgoing::body(incoming, attempt, &place.toward(this.correction)).map_err(Failure::Refused)?;
    let stream = incoming.envelope.stream && incoming.call.operation.streams();
    let underway = (incoming.call.operation == Operation::Generate)
        .then(|| Underway::begin(place.counters, || this.tariff(), incoming.body, this.left));
    let result = exchanged(this, place, prepared, stream).await;
    if let Some(underway) = underway {
        underway.settle();
    }
    result
}

/// Sends the request and reads the answer, up to a stream's first content.
async fn exchanged(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    prepared: Prepared,
    stream: bool,
) -> Result<Answer, Failure> {
    let Try { incoming, attempt, deadline, total, first: around, .. } = this;
    let timeouts = &attempt.settings.timeouts;
    let own = (Instant::now() + timeouts.first_token, timeouts.first_token);
    let (first, limit) = around.filter(|around| around.0 < own.0).unwrap_or(own);
    let first = if stream { first.min(*deadline) } else { *deadline };
    // A stream that is held shows its first content when it has ended.
    let opened = if prepared.form.holds() { *deadline } else { first };
    let late = || match opened == *deadline {
        true => Failure::Deadline(*total),
        false => Failure::FirstToken(limit),
    };
    if let Translation::Embed(batches) = &prepared.translation {
        let embedding = Box::pin(embed::run(this, place, &prepared, batches));
        return timeout_at(*deadline, embedding).await.unwrap_or_else(|_| Err(late()));
    }
    let head = timeout_at(first, exchange::call(this, place, &prepared, stream, timeouts)).await;
    let response = head.unwrap_or_else(|_| Err(late()))?;
    let response = exchange::refuse_errors(this, place, &prepared, response).await?;
    if stream {
        timeout_at(opened, open::open(this, place, prepared, response)).await.unwrap_or_else(|_| Err(late()))
    } else if incoming.call.operation.relayed().is_some() && !opaque::is_json(response.headers()) {
        timeout_at(*deadline, opaque::open(this, place, response)).await.unwrap_or_else(|_| Err(late()))
    } else {
        timeout_at(*deadline, whole::whole(this, place, prepared, response)).await.unwrap_or_else(|_| Err(late()))
    }
}
