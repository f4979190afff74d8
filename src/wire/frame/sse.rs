//! Server-sent events, as WHATWG HTML section 9.2.6 cuts them ("interpreting an event stream"), for `fetch`-style clients:
//! `id` and `retry` are read over, and a last event without its blank line is delivered instead of being thrown away,
//! because several providers end their streams so.

use memchr::{memchr, memchr2};

use super::{Frame, FrameError};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts bytes into events. An event whose lines all lie in one pushed slice and that has one `data` line is not copied.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    /// The line whose end has not come yet.
    line: Vec<u8>,
    /// Name of the event under construction.
    event: Vec<u8>,
    /// Its data, lines joined.
    data: Vec<u8>,
    /// Whether it has a `data` field at all; an event without one is not delivered.
    has_data: bool,
    /// The last byte read was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    /// The first line, which may begin with a byte order mark, has been read.
    begun: bool,
    /// A line that is not a comment has come since the last blank one.
    inside: bool,
    /// Of the bytes pushed last, those behind the last place between two events.
    tail: usize,
}

impl Decoder {
    /// `limit`: most bytes of one event, counting its name, its data and the line being read.
    pub fn new(limit: usize) -> Decoder {
        Decoder {
            limit,
            line: Vec::new(),
            event: Vec::new(),
            data: Vec::new(),
            has_data: false,
            after_return: false,
            begun: false,
            inside: false,
            tail: 0,
        }
    }

    /// How many of the bytes pushed last belong to an event whose end has not come. A comment between two events is no part of
    /// one. Without meaning behind an error.
    pub fn tail(&self) -> usize {
        self.tail
    }

    /// Takes bytes and calls `each` with every event they complete.
    ///
    /// # Errors
    /// An event larger than the limit, or one that is not UTF-8; the decoder is of no use after either.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
        let mut rest = bytes;
        let mut held = None;
        self.tail = bytes.len();
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_return) {
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                self.mark(rest);
            }
            let Some(end) = memchr2(b'\n', b'\r', rest) else { break };
            let (line, tail) = rest.split_at(end);
            self.after_return = tail.first() == Some(&b'\r');
            rest = tail.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                self.whole_line(line, &mut held, each)?;
            } else {
                self.joined_line(line, &mut held, each)?;
            }
            self.mark(rest);
        }
        self.keep(&mut held);
        self.line.extend_from_slice(rest);
        self.within_limit(self.line.len(), None)
    }

    /// Notes the place before `rest` if it is between two events.
    fn mark(&mut self, rest: &[u8]) {
        if !self.inside && self.line.is_empty() {
            self.tail = rest.len();
        }
    }

    /// The bytes have ended: delivers an event that lacks its blank line.
    ///
    /// # Errors
    /// As [`Decoder::push`].
    pub fn finish(&mut self, each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
        let mut held = None;
        if !self.line.is_empty() {
            self.joined_line(b"", &mut held, each)?;
        }
        self.dispatch(&mut held, each)
    }

    /// A line that lies in the pushed bytes: its data is held there, not copied.
    fn whole_line<'b>(
        &mut self,
        line: &'b [u8],
        held: &mut Option<&'b [u8]>,
        each: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), FrameError> {
        self.within_limit(line.len(), *held)?;
        match self.field(line) {
            Field::End => self.dispatch(held, each)?,
            Field::Data(value) if self.has_data => self.append(held, value),
            Field::Data(value) => {
                *held = Some(value);
                self.has_data = true;
            }
            Field::Event(value) => self.name(value),
            Field::Ignored => {}
        }
        Ok(())
    }

    /// A line whose beginning came with earlier bytes.
    fn joined_line(
        &mut self,
        end: &[u8],
        held: &mut Option<&[u8]>,
        each: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), FrameError> {
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(end);
        self.within_limit(line.len(), *held)?;
        match self.field(&line) {
            Field::End => self.dispatch(held, each)?,
            Field::Data(value) => self.append(held, value),
            Field::Event(value) => self.name(value),
            Field::Ignored => {}
        }
        line.clear();
        self.line = line;
        Ok(())
    }

    fn field<'l>(&mut self, line: &'l [u8]) -> Field<'l> {
        let first = !std::mem::replace(&mut self.begun, true);
        let line = if first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        let Some(first) = line.first() else {
            self.inside = false;
            return Field::End;
        };
        self.inside |= *first != b':';
        let (name, value) = match memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) {
            Some((name, value)) => (name, value.strip_prefix(b": ").or(value.strip_prefix(b":")).unwrap_or(value)),
            None => (line, &b""[..]),
        };
        match name {
            b"data" => Field::Data(value),
            b"event" => Field::Event(value),
            // A comment has an empty name; `id`, `retry` and unknown fields say nothing to a codec.
            _ => Field::Ignored,
        }
    }

    fn name(&mut self, value: &[u8]) {
        self.event.clear();
        self.event.extend_from_slice(value);
    }

    fn append(&mut self, held: &mut Option<&[u8]>, value: &[u8]) {
        self.keep(held);
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
    }

    /// Copies data that was held in the pushed bytes, because those end or because a second line follows.
    fn keep(&mut self, held: &mut Option<&[u8]>) {
        if let Some(value) = held.take() {
            self.data.extend_from_slice(value);
        }
    }

    fn dispatch(&mut self, held: &mut Option<&[u8]>, each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
        if std::mem::take(&mut self.has_data) {
            let event = std::str::from_utf8(&self.event).map_err(|_| FrameError::Utf8)?;
            let data = std::str::from_utf8(held.take().unwrap_or(&self.data)).map_err(|_| FrameError::Utf8)?;
            each(Frame { event, data });
        }
        self.event.clear();
        self.data.clear();
        Ok(())
    }

    fn within_limit(&self, line: usize, held: Option<&[u8]>) -> Result<(), FrameError> {
        if self.event.len() + self.data.len() + held.map_or(0, <[u8]>::len) + line > self.limit {
            return Err(FrameError::TooLarge { limit: self.limit });
        }
        Ok(())
    }
}

/// What a line says.
enum Field<'l> {
    /// A blank line: the event is complete.
    End,
    Data(&'l [u8]),
    Event(&'l [u8]),
    Ignored,
}

/// Writes one event: its name, where the protocol names events, and the JSON text that `data` writes.
///
/// Raw JSON that a caller or an upstream wrote may be laid out over several lines; a line break outside of a JSON string is
/// white space, so it becomes a space and the event keeps to one `data` line.
pub fn write_data(event: Option<&str>, data: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    if let Some(event) = event {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    let start = out.len();
    data(out);
    for byte in out.iter_mut().skip(start) {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::test_support::{Cut, frames, same_for_any_cut};
    use proptest::prelude::*;

    fn decode(text: &[u8]) -> Vec<(String, String)> {
        frames(&mut crate::wire::frame::Decoder::Sse(Decoder::new(1 << 20)), &[text]).unwrap()
    }

    fn event(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn events_end_with_any_line_break() {
        let expected = vec![event("", "1"), event("x", "2")];
        for text in ["data: 1\n\nevent: x\ndata: 2\n\n", "data: 1\r\n\r\nevent: x\r\ndata: 2\r\n\r\n"] {
            assert_eq!(decode(text.as_bytes()), expected);
        }
        assert_eq!(decode(b"data: 1\r\revent: x\rdata: 2\r\r"), expected);
        assert_eq!(decode(b"data: 1\r\n\nevent: x\ndata: 2\r\r\n"), expected, "mixed breaks");
    }

    #[test]
    fn the_space_after_the_colon_is_optional_and_only_one_is_removed() {
        assert_eq!(decode(b"data:1\n\ndata:  2\n\ndata\n\n"), vec![event("", "1"), event("", " 2"), event("", "")]);
    }

    #[test]
    fn data_lines_are_joined_with_a_line_feed() {
        assert_eq!(decode(b"data: a\ndata:\ndata: b\n\n"), vec![event("", "a\n\nb")]);
    }

    #[test]
    fn comments_ids_and_retries_say_nothing() {
        let text = b"\xef\xbb\xbf: hello\n\nid: 7\nretry: 10\n\n: OPENROUTER PROCESSING\n\ndata: x\nfoo: bar\n\n";
        assert_eq!(decode(text), vec![event("", "x")]);
    }

    #[test]
    fn a_byte_order_mark_is_skipped_only_at_the_start() {
        assert_eq!(decode(b"\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n"), vec![event("", "1")]);
    }

    #[test]
    fn an_event_without_data_is_not_delivered_and_its_name_is_forgotten() {
        assert_eq!(decode(b"event: ping\n\ndata: x\n\n"), vec![event("", "x")]);
    }

    #[test]
    fn a_last_event_needs_no_blank_line() {
        assert_eq!(decode(b"data: 1\n\ndata: [DONE]"), vec![event("", "1"), event("", "[DONE]")]);
        assert_eq!(decode(b"event: a\ndata: 1\n"), vec![event("a", "1")]);
    }

    #[test]
    fn an_endless_line_is_refused_before_it_ends() {
        let mut decoder = Decoder::new(16);
        let mut none = |_: Frame<'_>| panic!("no event is complete");
        assert_eq!(decoder.push(b"data: 0123456789", &mut none), Ok(()));
        assert_eq!(decoder.push(b"a", &mut none), Err(FrameError::TooLarge { limit: 16 }));
    }

    #[test]
    fn many_data_lines_are_counted_together() {
        let mut decoder = Decoder::new(16);
        let result = decoder.push(b"data: 12345\ndata: 12345\ndata: 12345\n", &mut |_| ());
        assert_eq!(result, Err(FrameError::TooLarge { limit: 16 }));
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused() {
        assert_eq!(Decoder::new(99).push(b"data: \xff\n\n", &mut |_| ()), Err(FrameError::Utf8));
    }

    #[test]
    fn an_event_in_one_slice_is_not_copied() {
        let text = b"event: a\ndata: {\"x\":1}\n\n";
        let inside = text.as_ptr_range();
        let mut seen = 0;
        Decoder::new(99)
            .push(text, &mut |frame| {
                seen += 1;
                assert!(inside.contains(&frame.data.as_ptr()), "the data was copied");
            })
            .unwrap();
        assert_eq!(seen, 1);
    }

    #[test]
    fn the_place_between_two_events_is_known() {
        let between = ["", "data: 1\n\n", "data: 1\r\n\r\n", "data: 1\n\r", ": c\n", ": c\n\n", "id: 7\ndata\n: c\n\n"];
        let inside = ["d", "data: 1", "data: 1\n", "event: x\n", "id: 7\n", "id: 7\n: c\n", ": c", "data\r"];
        for (texts, ends_between) in [(&between[..], true), (&inside[..], false)] {
            for text in texts {
                for before in ["", "data: 0\n\n", ": c\n", "data: 0\r\r"] {
                    let whole = format!("{before}{text}");
                    let mut decoder = Decoder::new(99);
                    decoder.push(whole.as_bytes(), &mut |_| ()).unwrap();
                    assert_eq!(decoder.tail(), if ends_between { 0 } else { text.len() }, "{whole:?}");
                    // Byte by byte, no more than the last one is behind it.
                    let mut decoder = Decoder::new(99);
                    whole.as_bytes().chunks(1).for_each(|piece| decoder.push(piece, &mut |_| ()).unwrap());
                    assert_eq!(decoder.tail() == 0, ends_between, "{whole:?}");
                }
            }
        }
    }

    #[test]
    fn written_events_have_one_data_line() {
        let mut out = Vec::new();
        write_data(Some("x"), |out| out.extend_from_slice(b"{\n  \"a\": \"b\\n\"\r\n}"), &mut out);
        write_data(None, |out| out.extend_from_slice(b"[DONE]"), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "event: x\ndata: {   \"a\": \"b\\n\"  }\n\ndata: [DONE]\n\n");
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            lines in prop::collection::vec(
                prop_oneof![
                    Just("data: {\"t\":\"grüße 🎉\"}"), Just("data:x"), Just("data"), Just("event: añb"), Just(":c"), Just(""),
                    Just("id: 1"), Just("\u{feff}data: b")
                ], 0..24),
            breaks in prop::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("\r")], 24),
            cut in any::<Cut>(),
            limit in prop_oneof![Just(24_usize), Just(1 << 20)],
        ) {
            let text: String = lines.iter().zip(&breaks).flat_map(|(line, end)| [*line, *end]).collect();
            same_for_any_cut(|| crate::wire::frame::Decoder::Sse(Decoder::new(limit)), text.as_bytes(), &cut)?;
        }

        #[test]
        fn any_bytes_are_read_alike(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in any::<Cut>()) {
            same_for_any_cut(|| crate::wire::frame::Decoder::Sse(Decoder::new(64)), &bytes, &cut)?;
        }
    }
}
