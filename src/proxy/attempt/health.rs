//! What a try tells of its target's health.

use std::sync::Arc;

use tracing::{info, warn};

use super::{Answer, Place, Try};
use crate::proxy::failure::Failure;
use crate::state::health::{InFlight, Turned};
use crate::telemetry::traffic::Traffic;
use crate::wire::Operation;

/// A try that counts for the health of its target, until its last byte.
pub struct Judged {
    in_flight: InFlight,
    operation: Operation,
    traffic: Arc<Traffic>,
}

/// A try begins; `None` where the target's health is not measured.
pub(super) fn begin(this: &Try<'_, '_, '_, '_>) -> Option<Judged> {
    let gauge = this.live.runtime.health.gauge(this.attempt.leaf.target, this.attempt.model)?;
    Some(Judged {
        in_flight: gauge.begin(),
        operation: this.incoming.call.operation,
        traffic: Arc::clone(&this.gateway.traffic),
    })
}

impl Judged {
    /// There is an answer, up to the first content of a stream, or a failure.
    pub(super) fn judge(&mut self, place: &Place<'_>, result: &Result<Answer, Failure>) {
        let turned = match result {
            Ok(_) => self.in_flight.answered(),
            // Another key of the pool may do.
            Err(failure)
                if failure.cools_key().is_some() && place.state.keys.len() > 1 && place.state.keys.has_ready_key() =>
            {
                None
            }
            Err(failure) if failure.is_the_targets(self.operation) => {
                if let Some(pause) = failure.retry_after() {
                    self.in_flight.rest(pause);
                }
                self.in_flight.failed()
            }
            Err(_) => None,
        };
        self.tell(turned);
    }

    /// A stream has ended before its end: `broke` where the upstream is to blame, else the caller left.
    pub fn cut_short(&mut self, broke: bool) {
        let turned = self.in_flight.cut_short(broke);
        self.tell(turned);
    }

    fn tell(&self, turned: Option<Turned>) {
        let Some(turned) = turned else { return };
        let (provider, model) = self.in_flight.target();
        match turned {
            Turned::Opened(pause) => {
                warn!(
                    provider,
                    model,
                    pause_ms = pause.as_millis(),
                    "the target fails again and again: it is passed over"
                );
            }
            Turned::Closed => info!(provider, model, "the target answers again"),
        }
        self.traffic.circuit(provider, model, turned != Turned::Closed);
    }
}
