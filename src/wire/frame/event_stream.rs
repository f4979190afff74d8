//! AWS event streams (`application/vnd.amazon.eventstream`): binary messages with headers, a payload and two checksums.
//!
//! A message is, in network order: its length (4 bytes), the length of its headers (4), the CRC-32 of those eight bytes (4),
//! the headers, the payload, and the CRC-32 of everything before (4). A header is the length of its name (1), the name, a
//! type (1) and a value. The prelude has its own checksum so that a length is never trusted unchecked.
//!
//! An event is a frame named by its `:event-type`. What the service says went wrong is a frame too: an exception, whose
//! payload describes it, and an error, whose headers do; [`problem`] tells them from events.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Frame, FrameError, crc32};
use crate::wire::json;

/// Length, length of the headers, checksum.
const PRELUDE: usize = 12;
/// The checksum at the end.
const TRAILER: usize = 4;
/// Most bytes of headers, as AWS documents it.
const HEADERS_LIMIT: usize = 128 << 10;
/// Before the type of an exception in a frame's name. A colon cannot stand in the name of a shape of AWS.
const EXCEPTION: &str = "exception:";
/// Before the code of an error in a frame's name.
const ERROR: &str = "error:";

/// The type of an exception, or the code of an error, where the frame is one; its data is a JSON object with a `message`.
pub fn problem<'a>(frame: &Frame<'a>) -> Option<&'a str> {
    frame.event.strip_prefix(EXCEPTION).or_else(|| frame.event.strip_prefix(ERROR))
}

/// The status that Bedrock gives to an exception where it is an answer of its own, as the model of the service has it.
pub fn status_of(exception: &str) -> u16 {
    match exception {
        "validationException" => 400,
        "accessDeniedException" => 403,
        "resourceNotFoundException" => 404,
        "modelTimeoutException" => 408,
        "modelErrorException" | "modelStreamErrorException" => 424,
        "throttlingException" | "modelNotReadyException" => 429,
        "serviceUnavailableException" => 503,
        _ => 500,
    }
}

/// What a frame's data is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// The payload.
    Payload,
    /// Of a `chunk`, the member `bytes` of the payload, out of its base64: the way of `InvokeModelWithResponseStream`, whose
    /// chunks hold the events of the model's own protocol. Such a frame has no name.
    Chunks,
}

/// Cuts bytes into messages. One that lies in one pushed slice is not copied.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    content: Content,
    /// Beginning of a message whose end has not come yet.
    buffer: Vec<u8>,
    /// Length of what was pushed last.
    pushed: usize,
    /// The name of an exception's frame.
    name: String,
}

impl Decoder {
    /// `limit`: most bytes of one message.
    pub fn new(limit: usize) -> Decoder {
        Decoder { limit, content: Content::Payload, buffer: Vec::new(), pushed: 0, name: String::new() }
    }

    /// As [`Decoder::new`], for the streams of `InvokeModelWithResponseStream`: a frame is what a chunk holds.
    pub fn of_chunks(limit: usize) -> Decoder {
        Decoder { content: Content::Chunks, ..Decoder::new(limit) }
    }

    /// How many of the bytes pushed last belong to a message whose end has not come. Without meaning behind an error.
    pub fn tail(&self) -> usize {
        self.buffer.len().min(self.pushed)
    }

    /// Takes bytes and calls `each` with every message they complete.
    ///
    /// # Errors
    /// A message larger than the limit, with a wrong checksum, or one that does not read; the decoder is of no use after.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
        let mut rest = bytes;
        self.pushed = bytes.len();
        while !rest.is_empty() {
            if self.buffer.is_empty()
                && let Some(length) = self.length(rest)?
                && let Some((message, after)) = rest.split_at_checked(length)
            {
                self.deliver(message, each)?;
                rest = after;
                continue;
            }
            rest = self.gather(rest);
            if self.length(&self.buffer)? == Some(self.buffer.len()) {
                let message = std::mem::take(&mut self.buffer);
                self.deliver(&message, each)?;
                self.buffer = message;
                self.buffer.clear();
            }
        }
        Ok(())
    }

    /// The bytes have ended. A message that was cut off is no frame; whether the stream was complete is for its reader.
    ///
    /// # Errors
    /// None today; the signature is that of [`super::Decoder::finish`].
    pub fn finish(&mut self, _each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
        self.buffer.clear();
        Ok(())
    }

    /// Moves what the message under construction lacks to the buffer: the prelude first, which tells how long it is. Returns
    /// what lies behind.
    fn gather<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let known = be_u32(&self.buffer, 0).filter(|_| self.buffer.len() >= PRELUDE);
        let wanted = known.map_or(PRELUDE, |length| length as usize);
        let missing = wanted.saturating_sub(self.buffer.len());
        let (taken, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, b""));
        self.buffer.extend_from_slice(taken);
        rest
    }

    /// The length of the message that `bytes` begin with, `None` while its prelude is not whole.
    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some(prelude) = bytes.get(..PRELUDE) else { return Ok(None) };
        let field = |at| be_u32(prelude, at).unwrap_or(0);
        if field(8) != crc32::of(prelude.get(..8).unwrap_or_default()) {
            return Err(FrameError::Checksum);
        }
        let (length, headers) = (field(0) as usize, field(4) as usize);
        if length > self.limit {
            return Err(FrameError::TooLarge { limit: self.limit });
        }
        if headers > HEADERS_LIMIT || headers.saturating_add(PRELUDE + TRAILER) > length {
            return Err(FrameError::Malformed);
        }
        Ok(Some(length))
    }

    /// Checks a whole message and hands it out.
    fn deliver(&mut self, message: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
        let (body, trailer) = message.split_at_checked(message.len() - TRAILER).ok_or(FrameError::Malformed)?;
        if be_u32(trailer, 0) != Some(crc32::of(body)) {
            return Err(FrameError::Checksum);
        }
        let headers = be_u32(body, 4).ok_or(FrameError::Malformed)? as usize;
        let (headers, payload) =
            body.get(PRELUDE..).and_then(|rest| rest.split_at_checked(headers)).ok_or(FrameError::Malformed)?;
        let headers = Headers::read(headers)?;
        let data = std::str::from_utf8(payload).map_err(|_| FrameError::Utf8)?;
        match headers.message_type {
            "event" if self.content == Content::Chunks => deliver_chunk(headers.event_type, data, each)?,
            "event" => each(Frame { event: headers.event_type, data }),
            "exception" => each(Frame { event: self.named(EXCEPTION, headers.exception_type), data }),
            "error" => {
                let mut text = Vec::new();
                json::object(&mut text, |error| error.field("message", headers.error_message));
                let data = std::str::from_utf8(&text).map_err(|_| FrameError::Utf8)?;
                each(Frame { event: self.named(ERROR, headers.error_code), data });
            }
            _ => return Err(FrameError::Malformed),
        }
        Ok(())
    }

    fn named(&mut self, kind: &str, name: &str) -> &str {
        self.name.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.name, "{kind}{name}");
        &self.name
    }
}

/// Hands out what a chunk holds. An event that is no chunk goes on under its own name.
fn deliver_chunk(event: &str, payload: &str, each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
    if event != "chunk" {
        each(Frame { event, data: payload });
        return Ok(());
    }
    let object = json::Object::parse(payload).map_err(|_| FrameError::Malformed)?;
    let bytes = object.get("bytes").and_then(json::str_of).and_then(|text| STANDARD.decode(&*text).ok());
    let bytes = bytes.ok_or(FrameError::Malformed)?;
    let data = std::str::from_utf8(&bytes).map_err(|_| FrameError::Utf8)?;
    each(Frame { event: "", data });
    Ok(())
}

/// The headers that say what a message is; empty where there is none of that name.
#[derive(Default)]
struct Headers<'a> {
    message_type: &'a str,
    event_type: &'a str,
    exception_type: &'a str,
    error_code: &'a str,
    error_message: &'a str,
}

impl<'a> Headers<'a> {
    fn read(bytes: &'a [u8]) -> Result<Headers<'a>, FrameError> {
        let mut headers = Headers { message_type: "event", ..Headers::default() };
        let mut rest = bytes;
        while let Some((&length, after)) = rest.split_first() {
            let (name, value, after) = header(usize::from(length), after).ok_or(FrameError::Malformed)?;
            rest = after;
            let Some(value) = value else { continue };
            let text = || std::str::from_utf8(value).map_err(|_| FrameError::Utf8);
            match name {
                b":message-type" => headers.message_type = text()?,
                b":event-type" => headers.event_type = text()?,
                b":exception-type" => headers.exception_type = text()?,
                b":error-code" => headers.error_code = text()?,
                b":error-message" => headers.error_message = text()?,
                _ => {}
            }
        }
        Ok(headers)
    }
}

/// A header's name, its value where it is a string, and what lies behind it.
type Header<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8]);

/// Reads one header, whose name has `length` bytes.
fn header(length: usize, bytes: &[u8]) -> Option<Header<'_>> {
    let (name, rest) = bytes.split_at_checked(length)?;
    let (&kind, rest) = rest.split_first()?;
    let fixed = |size: usize| Some((name, None, rest.split_at_checked(size)?.1));
    match kind {
        // true, false
        0 | 1 => fixed(0),
        2 => fixed(1),
        3 => fixed(2),
        4 => fixed(4),
        // A 64-bit number, a time in milliseconds since 1970.
        5 | 8 => fixed(8),
        // A UUID.
        9 => fixed(16),
        // Bytes, text.
        6 | 7 => {
            let (size, rest) = rest.split_first_chunk::<2>()?;
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
            Some((name, (kind == 7).then_some(value), rest))
        }
        _ => None,
    }
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

// === writing ===

/// Writes an event whose payload is the JSON text that `payload` writes.
pub fn write_event(name: &str, payload: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    write_message(&headers, payload, out);
}

/// Writes an exception, which ends a stream. `payload` writes a JSON object with a `message`.
pub fn write_exception(name: &str, payload: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let headers = [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")];
    write_message(&headers, payload, out);
}

fn write_message(headers: &[(&str, &str)], payload: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; PRELUDE]);
    for (name, value) in headers {
        write_header(name, value, out);
    }
    let headers_length = out.len() - start - PRELUDE;
    payload(out);
    let length = out.len() - start + TRAILER;
    let mut prelude = [be(length), be(headers_length)].concat();
    prelude.extend_from_slice(&crc32::of(&prelude).to_be_bytes());
    if let Some(place) = out.get_mut(start..start + PRELUDE) {
        place.copy_from_slice(&prelude);
    }
    let checksum = crc32::of(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&checksum.to_be_bytes());
}

/// A header that holds text. Names and values are this program's own words, far below the limits of the format.
fn write_header(name: &str, value: &str, out: &mut Vec<u8>) {
    const TEXT: u8 = 7;
    let name = name.as_bytes();
    let value = value.as_bytes();
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend(name.iter().take(usize::from(u8::MAX)));
    out.push(TEXT);
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(value.iter().take(usize::from(u16::MAX)));
}

/// A length as four bytes. No message of ours comes near 4 GiB.
fn be(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::test_support::{Cut, frames, same_for_any_cut};
    use proptest::prelude::*;

    type Read = Result<Vec<(String, String)>, FrameError>;

    fn decode(bytes: &[u8]) -> Read {
        frames(&mut crate::wire::frame::Decoder::EventStream(Decoder::new(1 << 20)), &[bytes])
    }

    fn event(name: &str, payload: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_event(name, |out| out.extend_from_slice(payload.as_bytes()), &mut out);
        out
    }

    fn message(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_message(headers, |out| out.extend_from_slice(payload.as_bytes()), &mut out);
        out
    }

    /// An empty message, byte by byte: lengths 16 and 0, then both checksums, each computed with zlib's `crc32`.
    const EMPTY: [u8; 16] = [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];

    #[test]
    fn the_smallest_message_is_an_event_without_a_name() {
        assert_eq!(decode(&EMPTY).unwrap(), [(String::new(), String::new())]);
        assert_eq!(message(&[], ""), EMPTY);
    }

    #[test]
    fn events_exceptions_and_errors_are_told_apart() {
        let mut bytes = event("contentBlockDelta", r#"{"a":"ü"}"#);
        write_exception("throttlingException", |out| out.extend_from_slice(br#"{"message":"slow"}"#), &mut bytes);
        bytes.extend(message(&[(":message-type", "error"), (":error-code", "Odd"), (":error-message", "a\"b")], ""));
        let read = decode(&bytes).unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(event, data)| (event.as_str(), data.as_str())).collect();
        assert_eq!(
            read,
            [
                ("contentBlockDelta", r#"{"a":"ü"}"#),
                ("exception:throttlingException", r#"{"message":"slow"}"#),
                ("error:Odd", r#"{"message":"a\"b"}"#),
            ]
        );
        let problems: Vec<_> = read.iter().map(|(event, data)| problem(&Frame { event, data })).collect();
        assert_eq!(problems, [None, Some("throttlingException"), Some("Odd")]);
    }

    #[test]
    fn headers_of_every_type_are_passed_over() {
        let values: [(u8, &[u8]); 10] = [
            (0, b""),
            (1, b""),
            (2, b"x"),
            (3, b"xx"),
            (4, b"xxxx"),
            (5, b"xxxxxxxx"),
            (6, b"\0\x02xx"),
            (7, b"\0\x01x"),
            (8, b"xxxxxxxx"),
            (9, b"xxxxxxxxxxxxxxxx"),
        ];
        let mut headers = Vec::new();
        for (kind, value) in values {
            headers.extend([&[1, b'h', kind][..], value].concat());
        }
        write_header(":event-type", "e", &mut headers);
        let mut bytes = [be(PRELUDE + headers.len() + 2 + TRAILER), be(headers.len())].concat();
        bytes.extend(crc32::of(&bytes).to_be_bytes());
        bytes.extend(headers);
        bytes.extend(b"{}");
        bytes.extend(crc32::of(&bytes).to_be_bytes());
        assert_eq!(decode(&bytes).unwrap(), [("e".to_owned(), "{}".to_owned())]);
    }

    #[test]
    fn a_chunk_gives_what_it_holds() {
        let inner = r#"{"type":"ping"}"#;
        let mut bytes = event("chunk", &format!(r#"{{"bytes":"{}","p":"abc"}}"#, STANDARD.encode(inner)));
        write_exception("modelStreamErrorException", |out| out.extend_from_slice(b"{}"), &mut bytes);
        let read =
            |bytes: &[u8]| frames(&mut crate::wire::frame::Decoder::EventStream(Decoder::of_chunks(999)), &[bytes]);
        let expected = [("", inner), ("exception:modelStreamErrorException", "{}")];
        assert_eq!(read(&bytes).unwrap(), expected.map(|(event, data)| (event.to_owned(), data.to_owned())));
        for broken in [r#"{}"#, r#"{"bytes":"?"}"#, "no JSON"] {
            assert_eq!(read(&event("chunk", broken)), Err(FrameError::Malformed), "{broken}");
        }
    }

    #[test]
    fn a_changed_bit_is_noticed() {
        let good = event("messageStart", r#"{"role":"assistant"}"#);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bad), Err(FrameError::Checksum), "bit {bit}");
        }
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_kept() {
        let prelude = |length: usize, headers: usize| {
            let mut bytes = [be(length), be(headers)].concat();
            bytes.extend(crc32::of(&bytes).to_be_bytes());
            bytes
        };
        let push = |bytes: &[u8]| Decoder::new(1000).push(bytes, &mut |_| ());
        assert_eq!(push(&prelude(1001, 0)), Err(FrameError::TooLarge { limit: 1000 }));
        assert_eq!(push(&prelude(usize::MAX, 0)), Err(FrameError::TooLarge { limit: 1000 }));
        for (length, headers) in [(0, 0), (15, 0), (16, 1), (100, 1 << 30)] {
            assert_eq!(push(&prelude(length, headers)), Err(FrameError::Malformed), "{length} {headers}");
        }
        assert_eq!(push(&prelude(1000, 0)), Ok(()));
    }

    #[test]
    fn a_message_that_was_cut_off_is_no_frame() {
        let bytes = event("a", "{}");
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]).unwrap(), [], "{end}");
        }
    }

    #[test]
    fn a_prelude_split_over_two_reads_is_read_once() {
        let bytes = [event("a", "{}"), event("b", "{}")].concat();
        for cut in 0..bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            let read = frames(&mut crate::wire::frame::Decoder::EventStream(Decoder::new(1000)), &[head, tail]);
            assert_eq!(read, decode(&bytes), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            payloads in prop::collection::vec("\\PC{0,40}", 0..6),
            flip in prop::option::of(any::<prop::sample::Index>()),
            cut in any::<Cut>(),
            limit in prop_oneof![Just(110_usize), Just(1 << 20)],
        ) {
            let mut bytes: Vec<u8> = payloads.iter().flat_map(|payload| event("contentBlockDelta", payload)).collect();
            if let Some(flip) = flip.filter(|_| !bytes.is_empty()) {
                let at = flip.index(bytes.len());
                bytes[at] ^= 0x10;
            }
            same_for_any_cut(|| crate::wire::frame::Decoder::EventStream(Decoder::new(limit)), &bytes, &cut)?;
        }
    }
}
