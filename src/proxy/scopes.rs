//! Presets that bound or repeat everything they lead to: which of them an attempt is inside of, and where to go on after a
//! failure. What is inside one preset stands together in the list of attempts.

use std::time::Duration;

use tokio::time::Instant;

use crate::table::Attempt;
use crate::table::settings::{Retries, Scope};

/// How long one attempt may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// End of the request, or of the preset around the attempt whose time is up first.
    pub deadline: Instant,
    /// How long that was from its beginning, for messages.
    pub total: Duration,
    /// The first content of a stream, as presets around the attempt bound it.
    pub first: Option<(Instant, Duration)>,
}

/// Where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// At this position; past the last attempt there is none.
    On(usize),
    /// At the first attempt of a preset, once more, after a pause.
    Again { at: usize, pause: Duration },
}

/// The presets around the present attempt, the outermost first.
pub(super) struct Scopes<'a, 't> {
    attempts: &'a [Attempt<'t>],
    stream: bool,
    open: Vec<Open<'t>>,
}

/// A preset whose attempts are under way.
struct Open<'t> {
    scope: &'t Scope,
    /// The position of its first attempt.
    first: usize,
    started: Instant,
    /// The first is 1.
    round: u32,
    /// A failure of this round may be tried again.
    again: bool,
}

impl<'a, 't> Scopes<'a, 't> {
    pub(super) fn new(attempts: &'a [Attempt<'t>], stream: bool) -> Scopes<'a, 't> {
        Scopes { attempts, stream, open: Vec::new() }
    }

    /// Goes to the attempt at `position`.
    pub(super) fn enter(&mut self, position: usize) {
        let Some(attempt) = self.attempts.get(position) else { return };
        let shared = (0..self.open.len()).take_while(|depth| self.contains(position, *depth)).count();
        self.open.truncate(shared);
        let new = attempt.settings.scopes.iter().skip(shared);
        self.open.extend(new.map(|scope| Open {
            scope,
            first: position,
            started: Instant::now(),
            round: 1,
            again: false,
        }));
    }

    /// Whether the attempt at `position` is inside the preset at `depth`, and those around it.
    fn contains(&self, position: usize, depth: usize) -> bool {
        let Some(attempt) = self.attempts.get(position) else { return false };
        let scopes = &attempt.settings.scopes;
        let same = scopes.iter().zip(&self.open).take(depth + 1).all(|(scope, open)| scope.preset == open.scope.preset);
        scopes.len() > depth && same
    }

    /// The bounds of the present attempt in a request that ends at `deadline`.
    pub(super) fn bounds(&self, deadline: Instant, total: Duration) -> Bounds {
        let mut bounds = Bounds { deadline, total, first: None };
        for open in &self.open {
            if let Some(total) = open.scope.total(self.stream)
                && open.started + total < bounds.deadline
            {
                bounds = Bounds { deadline: open.started + total, total, ..bounds };
            }
            if let Some(limit) = open.scope.first_token.filter(|_| self.stream) {
                let at = open.started + limit;
                bounds.first = Some(bounds.first.filter(|(earlier, _)| *earlier <= at).unwrap_or((at, limit)));
            }
        }
        bounds
    }

    /// Notes which presets are tried again after the failure of the present attempt, and says whether there is one.
    pub(super) fn failed(&mut self, is_retried: impl Fn(&Retries) -> bool) -> bool {
        let mut any = false;
        for open in &mut self.open {
            let retried = open.scope.retries.as_ref().is_some_and(&is_retried);
            open.again |= retried;
            any |= retried;
        }
        any
    }

    /// Where to go on after the attempt at `position` has failed.
    pub(super) fn after(&mut self, position: usize, deadline: Instant) -> Step {
        let now = Instant::now();
        let mut next = position + 1;
        if let Some(depth) = self.open.iter().position(|open| open.is_over(self.stream, now)) {
            while self.contains(next, depth) {
                next += 1;
            }
            self.open.truncate(depth);
        }
        while let Some(depth) = self.open.len().checked_sub(1).filter(|depth| !self.contains(next, *depth)) {
            let ends = self.bounds(deadline, Duration::ZERO).deadline;
            if let Some(open) = self.open.get_mut(depth)
                && let Some(pause) = open.next_round(now, ends)
            {
                return Step::Again { at: open.first, pause };
            }
            self.open.truncate(depth);
        }
        Step::On(next)
    }
}

impl Open<'_> {
    fn is_over(&self, stream: bool, now: Instant) -> bool {
        let first = self.scope.first_token.filter(|_| stream);
        self.scope.total(stream).into_iter().chain(first).any(|limit| now >= self.started + limit)
    }

    /// Begins another round; the pause before it, or `None` where there is none.
    fn next_round(&mut self, now: Instant, ends: Instant) -> Option<Duration> {
        let retries = self.scope.retries.as_ref().filter(|retries| self.again && self.round < retries.attempts)?;
        let pause = backoff(retries, self.round);
        if now + pause >= ends {
            return None;
        }
        self.round += 1;
        self.again = false;
        Some(pause)
    }
}

/// Doubles from round to round, with jitter on top. A chain has no upstream whose Retry-After could be meant.
fn backoff(retries: &Retries, round: u32) -> Duration {
    let doubled = retries.backoff.saturating_mul(1u32 << round.saturating_sub(1).min(16));
    doubled.mul_f64(1.0 + fastrand::f64()).min(retries.max_backoff)
}
