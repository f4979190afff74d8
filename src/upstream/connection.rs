//! One connection to an upstream. It has no task: whoever waits for its answer drives it, so that a byte which arrives wakes the
//! request that it is for, and nothing between. A task for each connection, as is usual with hyper, takes three
//! more turns of the scheduler for a small call, and one more for every piece of a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use tracing::debug;

use super::body::text;
use super::pool::RequestBody;

/// Takes one request at a time.
pub(super) struct Connection {
    sender: SendRequest<RequestBody>,
    /// Reads and writes when it is polled; `None` once the connection has ended.
    driver: Option<Pin<Box<dyn Driver>>>,
}

trait Driver: Future<Output = hyper::Result<()>> + Send + Sync {}
impl<F: Future<Output = hyper::Result<()>> + Send + Sync> Driver for F {}

impl fmt::Debug for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sender.fmt(out)
    }
}

impl Connection {
    /// A connection over `stream`, ready for its first request.
    ///
    /// # Errors
    /// It has ended already.
    pub(super) async fn over<S>(stream: S) -> hyper::Result<Connection>
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + Sync + 'static,
    {
        let (sender, driver) = http1::handshake(stream).await?;
        let mut connection = Connection { sender, driver: Some(Box::pin(driver)) };
        poll_fn(|cx| {
            connection.drive(cx);
            connection.sender.poll_ready(cx)
        })
        .await?;
        Ok(connection)
    }

    /// Reads and writes what can be read and written now. What comes is for whoever has asked for it, and asks again after this:
    /// there is nobody else to wake.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, cx);
    }

    /// Sends a request and waits for the head of its answer. The body comes while the connection is driven.
    ///
    /// # Errors
    /// The connection broke; the request comes back where nothing of it was sent.
    pub(super) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        poll_fn(|cx| {
            drive(driver, cx);
            answer.as_mut().poll(&mut quietly())
        })
        .await
    }

    /// Whether it can take a request, as far as it has been driven.
    pub(super) fn is_ready(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Whether it can take a request now: what has happened to it while it rested is looked at.
    pub(super) fn is_free(&mut self) -> bool {
        self.drive(&mut quietly());
        self.is_ready()
    }

    /// Waits until it can take a request. `false`: it never will.
    pub(super) async fn freed(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            self.sender.poll_ready(cx)
        })
        .await
        .is_ok()
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.driver.is_none() || self.sender.is_closed()
    }
}

fn drive(driver: &mut Option<Pin<Box<dyn Driver>>>, cx: &mut Context<'_>) {
    let Some(running) = driver else { return };
    if let Poll::Ready(ended) = running.as_mut().poll(cx) {
        if let Err(error) = ended {
            debug!(error = %text(&error), "an upstream connection ended");
        }
        // With it goes its end of the queue of requests: who waits for an answer hears that there will be none.
        *driver = None;
    }
}

/// For what is asked again whenever the connection was driven: to be woken would only repeat that.
pub(super) fn quietly() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
