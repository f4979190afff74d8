//! A connection that carries an answer: it is free when the answer has been read, or when it turns out that it never will.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::{Connection, quietly};
use super::origin::Origin;

/// How long the end of an answer whose last bytes nobody wants is waited for.
const LINGER: Duration = Duration::from_secs(1);

/// The bytes of an answer, and the connection that they come by, which is driven by who reads them.
#[derive(Debug)]
pub struct Leased {
    incoming: Incoming,
    /// Until the end of the answer.
    lease: Option<Lease>,
}

#[derive(Debug)]
struct Lease {
    connection: Connection,
    origin: Arc<Origin>,
}

impl Lease {
    /// The connection is for the next request, as soon as it can take one.
    fn end(self) {
        let Lease { mut connection, origin } = self;
        if connection.is_ready() || connection.is_free() {
            return origin.give(connection);
        }
        if connection.has_ended() {
            return;
        }
        // Without a runtime there are no connections any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if tokio::time::timeout(LINGER, connection.freed()).await == Ok(true) {
                    origin.give(connection);
                }
            });
        }
    }
}

impl Leased {
    /// An answer that came by this connection.
    pub(super) fn by(connection: Connection, origin: Arc<Origin>, response: Response<Incoming>) -> Response<Leased> {
        let mut response = response.map(|incoming| Leased { incoming, lease: Some(Lease { connection, origin }) });
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
        // What was read with what came before is there already.
        let mut frame = Pin::new(&mut this.incoming).poll_frame(&mut quietly());
        if let (Poll::Pending, Some(lease)) = (&frame, &mut this.lease) {
            lease.connection.drive(cx);
            frame = Pin::new(&mut this.incoming).poll_frame(&mut quietly());
        }
        match &frame {
            Poll::Ready(None) => this.end(),
            Poll::Ready(Some(_)) => this.end_if_read(),
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
