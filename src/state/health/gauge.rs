//! What is measured at one target.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::average::Average;
use super::circuit::{Circuit, Turned};
use crate::state::credentials::now_ms;
use crate::table::{Condition, Vitals};

/// A failure counts as a first content after at least this time: a target that fails at once must not look quick.
const PENALTY_MS: u64 = 5_000;

#[derive(Debug)]
pub struct Gauge {
    /// For people.
    provider: Box<str>,
    model: Box<str>,
    circuit: Circuit,
    first_token: Average,
    latency: Average,
    in_flight: AtomicU32,
    samples: AtomicU64,
}

impl Gauge {
    /// One that has measured nothing.
    pub(super) fn new(provider: &str, model: &str) -> Gauge {
        Gauge {
            provider: provider.into(),
            model: model.into(),
            circuit: Circuit::default(),
            first_token: Average::default(),
            latency: Average::default(),
            in_flight: AtomicU32::new(0),
            samples: AtomicU64::new(0),
        }
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(super) fn condition(&self, now: impl Fn() -> u64) -> Condition {
        self.circuit.pause(now).map_or(Condition::Up, Condition::Cooling)
    }

    pub(super) fn vitals(&self, now: u64) -> Vitals {
        Vitals {
            condition: self.condition(|| now),
            first_token_ms: self.first_token.get(now),
            latency_ms: self.latency.get(now),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            samples: self.samples.load(Ordering::Relaxed),
        }
    }

    /// A try begins.
    pub fn begin(self: &Arc<Gauge>) -> InFlight {
        let now = now_ms();
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let probe = self.circuit.begin(now);
        InFlight { gauge: Arc::clone(self), began: now, probe, ended: None }
    }
}

/// One try, until its last byte. Dropped without a word, it says no more than how long somebody waited.
#[derive(Debug)]
pub struct InFlight {
    gauge: Arc<Gauge>,
    began: u64,
    /// Others wait for what this one finds out.
    probe: bool,
    /// `Some(true)`: answered and complete.
    ended: Option<bool>,
}

impl InFlight {
    /// Provider and model.
    pub fn target(&self) -> (&str, &str) {
        (&self.gauge.provider, &self.gauge.model)
    }

    /// The first content is there, or the whole answer.
    pub fn answered(&mut self) -> Option<Turned> {
        let now = now_ms();
        self.gauge.samples.fetch_add(1, Ordering::Relaxed);
        self.gauge.first_token.add(now.saturating_sub(self.began), now);
        self.ended = Some(true);
        self.gauge.circuit.succeeded(now)
    }

    /// There is no answer, and the target is to blame.
    pub fn failed(&mut self) -> Option<Turned> {
        let now = now_ms();
        self.gauge.samples.fetch_add(1, Ordering::Relaxed);
        self.gauge.first_token.add(now.saturating_sub(self.began).max(PENALTY_MS), now);
        self.ended = Some(false);
        self.gauge.circuit.failed(self.probe, now)
    }

    /// The upstream asks to be left alone.
    pub fn rest(&self, pause: Duration) {
        self.gauge.circuit.rest(pause, now_ms());
    }

    /// The answer has ended before its end: `broke` where the upstream is to blame, else the caller left.
    pub fn cut_short(&mut self, broke: bool) -> Option<Turned> {
        self.ended = Some(false);
        if broke { self.gauge.circuit.failed(false, now_ms()) } else { None }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.in_flight.fetch_sub(1, Ordering::Relaxed);
        match self.ended {
            Some(true) => {
                let now = now_ms();
                self.gauge.latency.add(now.saturating_sub(self.began), now);
            }
            Some(false) => {}
            None => {
                let now = now_ms();
                let waited = now.saturating_sub(self.began);
                // Nobody waited to the end, and it took at least so long: a target that is always outrun is not quick.
                if self.gauge.first_token.get(now).is_some_and(|average| average < waited as f64) {
                    self.gauge.first_token.add(waited, now);
                }
                if self.probe {
                    self.gauge.circuit.abandon(now);
                }
            }
        }
    }
}
