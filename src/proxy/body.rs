//! The body of our answers.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::Full;

use super::stream::StreamBody;

/// An answer on its way to a caller.
pub enum ResponseBody {
    Whole(Full<Bytes>),
    /// Boxed: most of what it holds lives as long as the stream, and whole answers need not pay for it.
    Stream(Box<StreamBody>),
    Side(axum::body::Body),
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> ResponseBody {
        ResponseBody::Whole(Full::new(bytes))
    }
}

impl From<Vec<u8>> for ResponseBody {
    fn from(bytes: Vec<u8>) -> ResponseBody {
        Bytes::from(bytes).into()
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            ResponseBody::Whole(full) => {
                Pin::new(full).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
            ResponseBody::Stream(stream) => {
                Pin::new(stream.as_mut()).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(axum::Error::new)))
            }
            ResponseBody::Side(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Whole(full) => full.is_end_stream(),
            ResponseBody::Stream(_) => false,
            ResponseBody::Side(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Whole(full) => full.size_hint(),
            ResponseBody::Stream(_) => SizeHint::default(),
            ResponseBody::Side(body) => body.size_hint(),
        }
    }
}
