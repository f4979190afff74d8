//! The end of the time that a stop of the gateway leaves to requests: what is still being answered says so to its caller, in the
//! caller's dialect, instead of breaking off.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use crate::wire::ir::{Error, ErrorKind};

/// Whether a connection is about to be closed. Whatever answers on it runs in the connection's own task and looks here each time
/// that this task runs, so nobody need be woken.
#[derive(Debug, Default)]
pub struct Cut(AtomicBool);

impl Cut {
    /// From now on every answer on the connection ends.
    pub fn make(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_made(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// `work`, unless the cut comes first. It comes pinned: by value, it would lie in the caller's future twice.
    ///
    /// # Errors
    /// What `work` says, or that the gateway stops.
    pub async fn or<T>(&self, mut work: Pin<&mut impl Future<Output = Result<T, Error>>>) -> Result<T, Error> {
        std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Pending if self.is_made() => Poll::Ready(Err(stopping())),
            other => other,
        })
        .await
    }
}

/// The error of an answer that the end of the gateway cuts off.
pub fn stopping() -> Error {
    let message =
        "the gateway is stopping and this answer took longer than `limits.drain` allows; send the request again";
    Error::new(ErrorKind::Overloaded, message).with_code("draining")
}
