//! What a caller of the surface is told when nothing answered. TensorZero never shows an upstream's own status: 502 where
//! several variants could have answered, 500 where one was asked for.

use std::sync::{Mutex, PoisonError};

use super::Inference;
use crate::proxy::failure::Failure;
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::tensorzero::{Face, FailedTry};

/// Most bytes of what failed tries were answered that are kept for one call; what comes later is not.
const MOST_BYTES: usize = 1 << 20;

/// What the tries of one call that failed were answered, in the order in which they failed. Nobody touches it but for callers
/// that want to see it.
#[derive(Default)]
pub(super) struct Tries(Mutex<Vec<FailedTry>>);

impl Tries {
    pub(super) fn add(&self, failed: FailedTry) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = tries.iter().map(|failed| failed.body.len()).sum();
        if kept + failed.body.len() <= MOST_BYTES {
            tries.push(failed);
        }
    }

    pub(super) fn so_far(&self) -> Vec<FailedTry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is wrong with a request whatever the target, though only an attempt finds it out: what a variant's templates take.
const OF_CALLER: [&str; 3] = ["arguments_missing", "bad_arguments", "unknown_template"];

/// The error after the last failure.
pub fn failed(inference: &Inference<'_>, failure: Failure, target: &str) -> Error {
    let failure = match failure {
        Failure::Limited(error) => return error,
        Failure::Refused(error) if error.code.as_deref().is_some_and(|code| OF_CALLER.contains(&code)) => return error,
        other => other,
    };
    let pinned = inference.call.variant.is_some() || inference.face == Face::Embeddings;
    let late = matches!(failure, Failure::Deadline(_) | Failure::FirstToken(_));
    let cause = failure.into_error(target);
    let (status, what) = match (pinned, late) {
        (true, true) => (408, "the variant took too long"),
        (true, false) => (500, "no provider of it answered"),
        (false, _) => (502, "every variant failed"),
    };
    let message = format!("{what}: {target}: {}", cause.message);
    Error { code: cause.code, ..Error::new(ErrorKind::Upstream, message).with_status(status) }
}

/// The error of a decision that leads to no target: what was asked for is known, so it is no fault of the caller's, unless a
/// rule says so, or the caller asked for a way that cannot be gone.
pub fn undecided(inference: &Inference<'_>, error: Error) -> Error {
    if matches!(error.code.as_deref(), Some("denied" | "no_target_allowed" | "request_routing_not_allowed")) {
        return error;
    }
    let pinned = inference.call.variant.is_some() || inference.face == Face::Embeddings;
    error.with_status(if pinned { 500 } else { 502 })
}
