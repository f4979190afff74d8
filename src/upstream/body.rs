//! The body of an upstream's answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use hyper::body::Incoming;

use super::demo::DemoBody;

/// An answer's bytes, as they come.
#[derive(Debug)]
pub enum Body {
    Http(Incoming),
    Demo(DemoBody),
}

/// The connection broke before the body's end.
#[derive(Debug, thiserror::Error)]
#[error("the upstream broke off its answer: {0}")]
pub struct Broken(String);

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Body::Http(incoming) => Pin::new(incoming)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|error| Broken(text(&error))))),
            Body::Demo(demo) => {
                Pin::new(demo).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Http(incoming) => incoming.is_end_stream(),
            Body::Demo(_) => false,
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
