//! A connection that carries an answer: it is free when the answer has been read, or when it turns out that it never will.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::origin::{Origin, Sender};

/// The bytes of an answer, and the connection that they come by.
#[derive(Debug)]
pub struct Leased {
    incoming: Incoming,
    /// Until the end of the answer.
    lease: Option<Lease>,
}

#[derive(Debug)]
struct Lease {
    sender: Sender,
    origin: Arc<Origin>,
}

impl Lease {
    /// The connection is for the next request. It says so itself, as a rule by the time that its last byte is read.
    fn end(self) {
        let Lease { mut sender, origin } = self;
        if sender.is_ready() {
            return origin.give(sender);
        }
        if sender.is_closed() {
            return;
        }
        // Without a runtime there are no connections any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if poll_fn(|cx| sender.poll_ready(cx)).await.is_ok() {
                    origin.give(sender);
                }
            });
        }
    }
}

impl Leased {
    /// An answer that came by this connection.
    pub(super) fn by(sender: Sender, origin: Arc<Origin>, response: Response<Incoming>) -> Response<Leased> {
        let mut response = response.map(|incoming| Leased { incoming, lease: Some(Lease { sender, origin }) });
        response.body_mut().end_if_read();
        response
    }

    fn end_if_read(&mut self) {
        if self.incoming.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.end();
        }
    }
}

impl Drop for Leased {
    /// What is not read to its end may have been sent to it all the same: then the connection can be used again.
    fn drop(&mut self) {
        self.end();
    }
}

impl Body for Leased {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.incoming).poll_frame(cx));
        match frame {
            None => this.end(),
            Some(_) => this.end_if_read(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
