//! The body of an upstream's answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body::{Body as _, Frame};

use super::coding::{self, Coding, Decoder};
use super::demo::DemoBody;
use super::lease::Leased;
use super::tape::Tape;

/// An answer's bytes, as they come.
#[derive(Debug)]
pub enum Body {
    Http(Leased),
    /// Compressed on its way here, though nobody asked for that.
    Compressed(Box<Compressed>),
    Demo(DemoBody),
    /// Kept from before, in one piece; `None` once that is read.
    Kept(Option<Bytes>),
    /// Somebody keeps what passes.
    Taped(Box<(Body, Tape)>),
}

/// A body that is decoded while it is read.
#[derive(Debug)]
pub struct Compressed {
    incoming: Leased,
    decoder: Decoder,
    /// Received and not decoded yet.
    input: Bytes,
}

/// The body's end did not come.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the upstream broke off its answer: {0}")]
    Connection(String),
    #[error("the upstream's answer ended in the middle of its `{0}` data")]
    Truncated(Coding),
    #[error("the upstream's answer is not the `{0}` that its `content-encoding` names")]
    Corrupt(Coding),
}

/// An answer with a body to read. Headers that speak of compressed bytes go where the compression goes; a coding that is
/// not known stays, with its header.
pub fn readable(response: Response<Leased>) -> Response<Body> {
    let Ok(Some(coding)) = coding::of(response.headers()) else { return response.map(Body::Http) };
    let Ok(decoder) = Decoder::new(coding) else { return response.map(Body::Http) };
    let mut response =
        response.map(|incoming| Body::Compressed(Box::new(Compressed { incoming, decoder, input: Bytes::new() })));
    response.headers_mut().remove(CONTENT_ENCODING);
    response.headers_mut().remove(CONTENT_LENGTH);
    response
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Body::Http(incoming) => poll_incoming(incoming, cx),
            Body::Compressed(compressed) => compressed.poll(cx),
            Body::Demo(demo) => {
                Pin::new(demo).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Body::Kept(piece) => Poll::Ready(piece.take().map(|piece| Ok(Frame::data(piece)))),
            Body::Taped(taped) => {
                let (body, tape) = &mut **taped;
                let frame = ready!(Pin::new(body).poll_frame(cx));
                if let Some(Ok(frame)) = &frame
                    && let Some(piece) = frame.data_ref()
                {
                    tape.hear(piece);
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Http(incoming) => incoming.is_end_stream(),
            Body::Kept(piece) => piece.is_none(),
            Body::Compressed(_) | Body::Demo(_) | Body::Taped(_) => false,
        }
    }
}

fn poll_incoming(incoming: &mut Leased, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
    Pin::new(incoming)
        .poll_frame(cx)
        .map(|frame| frame.map(|frame| frame.map_err(|error| Broken::Connection(text(&error)))))
}

impl Compressed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        // A few bytes of input can keep this ready for long: other tasks and the timers must come to their turn.
        let budget = ready!(tokio::task::coop::poll_proceed(cx));
        let coding = self.decoder.coding();
        loop {
            match self.decoder.decode(&mut self.input) {
                Err(coding::Corrupt) => return Poll::Ready(Some(Err(Broken::Corrupt(coding)))),
                Ok(piece) if !piece.is_empty() => {
                    budget.made_progress();
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Ok(_) => {}
            }
            match ready!(poll_incoming(&mut self.incoming, cx)) {
                Some(Ok(frame)) => self.input = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if self.decoder.is_complete() => return Poll::Ready(None),
                None => return Poll::Ready(Some(Err(Broken::Truncated(coding)))),
            }
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
