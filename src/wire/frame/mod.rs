//! Framing: how the bytes of a stream are cut into frames. Sans-IO, bounded, and indifferent to how the bytes arrive.

mod crc32;
pub mod event_stream;
pub mod json_array;
pub mod sse;

/// How a protocol frames its streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events (WHATWG HTML, section 9.2).
    Sse,
    /// One JSON array whose elements arrive one by one (Gemini without `alt=sse`).
    JsonArray,
    /// Binary messages (AWS, Converse): a frame is an event's payload.
    EventStream,
    /// As [`Framing::EventStream`], where a frame is what a `chunk` holds (AWS, `invoke-with-response-stream`).
    EventStreamChunks,
}

impl Framing {
    /// Whether a caller of the same protocol can take the bytes as they come.
    pub fn relays(self) -> bool {
        match self {
            Framing::Sse | Framing::JsonArray | Framing::EventStream => true,
            Framing::EventStreamChunks => false,
        }
    }

    /// Whether a stream framed so may come with this `Content-Type`.
    pub fn comes_as(self, content_type: &str) -> bool {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let expected = match self {
            Framing::Sse => "text/event-stream",
            Framing::JsonArray => "application/json",
            Framing::EventStream | Framing::EventStreamChunks => "application/vnd.amazon.eventstream",
        };
        media_type.eq_ignore_ascii_case(expected)
    }
}

/// One frame, borrowed from the decoder's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event's name; empty where the stream gives none.
    pub event: &'a str,
    pub data: &'a str,
}

/// Why a stream cannot be cut into frames any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("an event of the stream exceeds {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the stream is not valid UTF-8")]
    Utf8,
    #[error("the stream is not a JSON array")]
    NotAnArray,
    #[error("a message of the event stream has a wrong checksum")]
    Checksum,
    #[error("a message of the event stream cannot be read")]
    Malformed,
}

/// Cuts bytes into frames, whatever the framing.
#[derive(Debug)]
pub enum Decoder {
    Sse(sse::Decoder),
    JsonArray(json_array::Decoder),
    EventStream(event_stream::Decoder),
}

impl Decoder {
    /// `limit`: most bytes of one frame.
    pub fn new(framing: Framing, limit: usize) -> Decoder {
        match framing {
            Framing::Sse => Decoder::Sse(sse::Decoder::new(limit)),
            Framing::JsonArray => Decoder::JsonArray(json_array::Decoder::new(limit)),
            Framing::EventStream => Decoder::EventStream(event_stream::Decoder::new(limit)),
            Framing::EventStreamChunks => Decoder::EventStream(event_stream::Decoder::of_chunks(limit)),
        }
    }

    /// Takes bytes and calls `each` with every frame they complete.
    ///
    /// # Errors
    /// Bytes that are no such stream; nothing after them is read.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
        match self {
            Decoder::Sse(decoder) => decoder.push(bytes, each),
            Decoder::JsonArray(decoder) => decoder.push(bytes, each),
            Decoder::EventStream(decoder) => decoder.push(bytes, each),
        }
    }

    /// How many of the bytes pushed last belong to a frame whose end has not come: what is before them are whole frames. Without
    /// meaning behind an error, and for a JSON array, whose elements do not stand for themselves.
    pub fn tail(&self) -> usize {
        match self {
            Decoder::Sse(decoder) => decoder.tail(),
            Decoder::JsonArray(_) => 0,
            Decoder::EventStream(decoder) => decoder.tail(),
        }
    }

    /// The bytes have ended: calls `each` with a last frame that lacked its end.
    ///
    /// # Errors
    /// As [`Decoder::push`].
    pub fn finish(&mut self, each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
        match self {
            Decoder::Sse(decoder) => decoder.finish(each),
            Decoder::JsonArray(decoder) => decoder.finish(each),
            Decoder::EventStream(decoder) => decoder.finish(each),
        }
    }
}

/// What the tests of all framings share: a stream must be read alike however its bytes arrive.
#[cfg(test)]
mod test_support {
    use super::{Decoder, FrameError};
    use proptest::prelude::*;

    /// Where to cut a text, as fractions of its length.
    pub(super) type Cut = Vec<u16>;

    pub(super) fn frames(decoder: &mut Decoder, pieces: &[&[u8]]) -> Result<Vec<(String, String)>, FrameError> {
        let (seen, result) = read(decoder, pieces);
        result.map(|()| seen)
    }

    fn read(decoder: &mut Decoder, pieces: &[&[u8]]) -> (Vec<(String, String)>, Result<(), FrameError>) {
        let mut seen = Vec::new();
        let mut each = |frame: super::Frame<'_>| seen.push((frame.event.to_owned(), frame.data.to_owned()));
        let mut result = pieces.iter().try_for_each(|piece| decoder.push(piece, &mut each));
        if result.is_ok() {
            result = decoder.finish(&mut each);
        }
        (seen, result)
    }

    /// Frames and error are the same for the whole text, for the given cuts, and byte for byte.
    pub(super) fn same_for_any_cut(new: impl Fn() -> Decoder, text: &[u8], cut: &Cut) -> Result<(), TestCaseError> {
        let whole = read(&mut new(), &[text]);
        let mut at: Vec<usize> = cut.iter().map(|cut| usize::from(*cut) * text.len() / 65_536).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&read(&mut new(), &pieces), &whole);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(&read(&mut new(), &bytes), &whole);
        Ok(())
    }
}
