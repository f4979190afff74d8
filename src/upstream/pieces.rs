//! A request body made of slices: the caller's bytes with edits between them, sent without being joined.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use smallvec::SmallVec;

/// Slices that together are one body. Cloning copies references.
///
/// Shared rather than held in place: hyper keeps room for 32 requests in the queue of every upstream connection.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    slices: Arc<[Bytes]>,
    next: usize,
}

impl Pieces {
    pub fn new(slices: SmallVec<[Bytes; 4]>) -> Pieces {
        Pieces { slices: slices.into_iter().collect(), next: 0 }
    }

    /// The slices, in their order.
    pub fn slices(&self) -> &[Bytes] {
        &self.slices
    }

    /// Bytes of all slices.
    pub fn len(&self) -> usize {
        self.slices.iter().map(Bytes::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slices as one text; copies only where there are several.
    pub fn join(&self) -> Bytes {
        match &*self.slices {
            [] => Bytes::new(),
            [only] => only.clone(),
            several => several.concat().into(),
        }
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Pieces {
        Pieces { slices: Arc::new([bytes]), next: 0 }
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(bytes: Vec<u8>) -> Pieces {
        Bytes::from(bytes).into()
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        let at = self.next;
        self.next += 1;
        Poll::Ready(self.slices.get(at).cloned().map(|slice| Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.next >= self.slices.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.slices.iter().skip(self.next).map(|slice| slice.len() as u64).sum())
    }
}
