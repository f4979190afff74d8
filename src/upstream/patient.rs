//! A body that passes as it comes, piece by piece, and may not be silent for long: uploads on their way to a provider, files on
//! their way back. Nothing of it is kept.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// What a body may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Nothing came for too long, or the whole took too long.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
pub struct Late;

/// A body with limits of time.
#[derive(Debug)]
pub struct Patient<B> {
    body: B,
    idle: Duration,
    /// Of the whole.
    deadline: Instant,
    /// When the piece that is waited for must be there; re-armed only when it fires.
    timer: Pin<Box<Sleep>>,
    last: Instant,
    late: Arc<AtomicBool>,
}

impl<B> Patient<B> {
    pub fn new(body: B, idle: Duration, deadline: Instant) -> Patient<B> {
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until((now + idle).min(deadline)));
        Patient { body, idle, deadline, timer, last: now, late: Arc::default() }
    }

    /// Becomes true when a limit has passed. (What a client of HTTP says of a body that failed does not tell.)
    pub fn lateness(&self) -> Arc<AtomicBool> {
        self.late.clone()
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Late> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let end = (self.last + self.idle).min(self.deadline);
            if Instant::now() >= end {
                self.late.store(true, Ordering::Relaxed);
                return Poll::Ready(Late);
            }
            self.timer.as_mut().reset(end);
        }
    }
}

impl<B> Body for Patient<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.last = Instant::now();
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => this.poll_late(cx).map(|late| Some(Err(late.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    /// A body whose pieces come after so many seconds each.
    fn body(pauses: &[u64]) -> impl Body<Data = Bytes, Error = BoxError> + Unpin {
        let pauses: VecDeque<u64> = pauses.iter().copied().collect();
        let pieces = futures_util::stream::unfold(pauses, |mut pauses| async {
            tokio::time::sleep(Duration::from_secs(pauses.pop_front()?)).await;
            Some((Ok(Frame::data(Bytes::from_static(b"x"))), pauses))
        });
        StreamBody::new(Box::pin(pieces))
    }

    async fn read(pauses: &[u64], idle: u64, total: u64) -> (Result<usize, String>, bool) {
        let end = Instant::now() + Duration::from_secs(total);
        let patient = Patient::new(body(pauses), Duration::from_secs(idle), end);
        let late = patient.lateness();
        let whole = patient.collect().await.map(|whole| whole.to_bytes().len()).map_err(|error| error.to_string());
        (whole, late.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_silence_or_the_whole_can_be_too_long() {
        assert_eq!(read(&[4, 4, 4], 5, 60).await, (Ok(3), false));
        assert_eq!(read(&[4, 6], 5, 60).await, (Err("the body did not arrive in time".to_owned()), true));
        assert!(read(&[4, 4, 4], 5, 10).await.1);
    }
}
