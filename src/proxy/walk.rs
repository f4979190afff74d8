//! One request's way through its targets: try, try again, fall back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::attempt::{self, Answer, AnswerBody, Try};
use super::estimate::Left;
use super::failure::{Failure, Next};
use super::outgoing::Incoming;
use super::respond::Trail;
use super::scopes::{Bounds, Scopes, Step};
use super::warning::Warning;
use super::{Gateway, cached, content, limits};
use crate::live::Live;
use crate::rule::Facts;
use crate::table::Attempt;
use crate::table::settings::{OnLoss, Retries};
use crate::telemetry::Entry;
use crate::wire::Operation;

/// Why no target answered.
pub(super) enum Last {
    Failure(Box<Failed>),
    /// Nobody counts tokens for this model: estimate.
    Estimate,
}

/// The failure that the caller is told.
pub(super) struct Failed {
    pub(super) failure: Failure,
    pub(super) target: Arc<str>,
    /// No other target would do better, or there is no time for one.
    stops: bool,
}

impl Last {
    pub(super) fn stops(&self) -> bool {
        matches!(self, Last::Failure(failed) if failed.stops)
    }

    /// Of two failures the one that says more: a refusal by the gateway says least.
    pub(super) fn or(self, other: Last) -> Last {
        match &self {
            Last::Failure(failed) if !matches!(failed.failure, Failure::Refused(_)) => self,
            _ => other,
        }
    }
}

/// One request's way through its targets.
pub(super) struct Walk<'r, 'i, 'b> {
    pub(super) gateway: &'r Gateway,
    pub(super) live: &'r Live,
    pub(super) incoming: &'r Incoming<'i, 'b>,
    /// A stream is asked for.
    pub(super) stream: bool,
    /// When the time of the whole request is up, and how much it was.
    pub(super) deadline: Instant,
    pub(super) total: Duration,
    /// What rate limits go by, where the file has some.
    pub(super) limited: Option<&'r (dyn Facts + Sync)>,
}

impl Walk<'_, '_, '_> {
    /// Tries the targets in order until one answers.
    pub(super) async fn all(&self, attempts: &[Attempt<'_>], trail: &mut Trail) -> Result<Answer, Last> {
        let mut last: Option<Box<Failed>> = None;
        let mut scopes = Scopes::new(attempts, self.stream);
        let mut position = 0;
        while let Some(attempt) = attempts.get(position) {
            let target = attempt.name();
            scopes.enter(position);
            let bounds = scopes.bounds(self.deadline, self.total);
            let failure = match self.one(attempt, &target, &bounds, trail).await {
                Ok(answer) => {
                    trail.target = Some(target);
                    if let Some(inference) = self.incoming.surface {
                        inference.answered(self.gateway, trail, attempt);
                    }
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            if self.incoming.call.operation == Operation::CountTokens {
                position += 1;
                continue;
            }
            let next = failure.then(attempt.settings);
            let ended = Instant::now() >= self.deadline;
            // The time of a preset is up, and what stands outside of it may still be asked.
            let inner = matches!(failure, Failure::Deadline(_)) && !ended;
            let retried = scopes.failed(|retries| failure.is_retried(retries, inner));
            // Of several failures the caller is told the one that says most: a refusal by the gateway says least.
            if last.is_none() || !matches!(failure, Failure::Refused(_)) {
                last = Some(Box::new(Failed { failure, target, stops: false }));
            }
            if ended || (next == Next::Stop && !inner && !retried) {
                if let Some(last) = &mut last {
                    last.stops = true;
                }
                break;
            }
            position = match scopes.after(position, self.deadline) {
                Step::On(next) => next,
                Step::Again { at, pause } => {
                    tokio::time::sleep(pause).await;
                    at
                }
            };
            if position < attempts.len() {
                debug!(request_id = &*trail.request_id, "falling back");
            }
        }
        Err(last.map_or(Last::Estimate, Last::Failure))
    }

    /// Tries one target, as often as its retries allow.
    async fn one(
        &self,
        attempt: &Attempt<'_>,
        target: &Arc<str>,
        bounds: &Bounds,
        trail: &mut Trail,
    ) -> Result<Answer, Failure> {
        let retries = &attempt.settings.retries;
        let mut tries = 0;
        let mut correction = None;
        loop {
            tries += 1;
            trail.attempts += 1;
            let lane = attempt.lane(self.incoming.call.protocol, self.incoming.call.operation).word();
            let Walk { gateway, live, incoming, .. } = *self;
            let label = live.runtime.health.label(attempt.leaf.target, attempt.model);
            let number = trail.entry.tries(target, label == attempt.model, lane);
            trail.entry.asks(number, attempt.base_url(incoming.call.protocol, incoming.call.operation));
            let Bounds { deadline, total, first } = *bounds;
            let trace = trail.entry.context(number);
            let content = content::of(trail.entry.trace(), incoming, attempt, live);
            content.iter().for_each(|content| trail.entry.listens(number, content));
            let left = Left::new();
            let leaving = Leaving { entry: &mut trail.entry, number, left: &left };
            let this = Try {
                gateway,
                live,
                incoming,
                attempt,
                deadline,
                total,
                first,
                correction: correction.as_ref(),
                trace: &trace,
                left: &left,
                content: content.as_ref(),
                barred: None,
            };
            let tried = match self.limited {
                Some(facts) => Box::pin(limits::run(facts, &this)).await,
                None => attempt::run(&this).await,
            };
            drop(leaving);
            let failure = match tried {
                Ok(mut answer) => {
                    trail.entry.opened(number, matches!(answer.body, AnswerBody::Stream(_)), &answer.losses);
                    let hit = cached::is_hit(&answer.headers);
                    trail.entry.note(|record, _| record.cached = hit);
                    if attempt.settings.on_loss == OnLoss::Warn {
                        Warning::of(&trail.request_id, target).tell(&mut answer);
                    }
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            trail.entry.tried(number, failure.cause(), failure.upstream_status());
            warn!(
                request_id = &*trail.request_id,
                target = &**target,
                attempt = trail.attempts,
                cause = failure.cause(),
                status = failure.upstream_status(),
                "attempt failed"
            );
            // A bad answer is asked for once more whatever `retries` say of failures, and without a pause.
            if let (None, Some(fault)) = (&correction, failure.correction()) {
                correction = Some(fault);
                continue;
            }
            if failure.next(retries) != Next::Retry || tries >= retries.attempts.max(1) {
                return Err(failure);
            }
            let Some(pause) = self.pause(&failure, attempt, tries, bounds.deadline) else { return Err(failure) };
            tokio::time::sleep(pause).await;
        }
    }

    /// How long to wait before the next try of the same target; `None` where waiting would take too long.
    fn pause(&self, failure: &Failure, attempt: &Attempt<'_>, tries: u32, deadline: Instant) -> Option<Duration> {
        let retries = &attempt.settings.retries;
        let keys = self.live.runtime.providers.get(attempt.target.provider.0 as usize).map(|provider| &provider.keys);
        // Another key of the pool need not wait for the one that is used up.
        if failure.cools_key().is_some() && keys.is_some_and(|keys| keys.len() > 1 && keys.has_ready_key()) {
            return Some(Duration::ZERO);
        }
        let pause = match failure.retry_after() {
            Some(asked) if asked > retries.max_backoff => return None,
            Some(asked) => asked,
            None => backoff(retries, tries),
        };
        (Instant::now() + pause < deadline).then_some(pause)
    }
}

/// Tells the record what a try took, where its caller leaves it: when this is dropped, the try is.
struct Leaving<'e> {
    entry: &'e mut Entry,
    number: usize,
    left: &'e Left,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(charge) = self.left.get() {
            self.entry.left(self.number, *charge);
        }
    }
}

/// Doubles from try to try, with full jitter (a random part of the whole).
fn backoff(retries: &Retries, tries: u32) -> Duration {
    let doubled = retries.backoff.saturating_mul(1u32 << tries.saturating_sub(1).min(16));
    doubled.min(retries.max_backoff).mul_f64(fastrand::f64())
}
