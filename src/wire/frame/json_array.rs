//! A JSON array of objects that arrives piece by piece (Gemini's `streamGenerateContent` without `alt=sse`). Each object is a
//! frame as soon as its closing brace is there; the comma that follows may take seconds to come.

use memchr::memchr2;

use super::{Frame, FrameError};

/// Cuts the array into its objects. Looks at brackets and strings only: whether an object is valid JSON is for its reader.
/// An object that lies in one pushed slice is not copied.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    state: State,
    /// Beginning of an object whose end has not come yet.
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the opening bracket; the number of bytes of a byte order mark read so far.
    Start(usize),
    /// After the opening bracket: an object or the end.
    Opened,
    /// In an object, `depth` brackets deep.
    Object { depth: usize, string: InString },
    /// After an object: a comma or the end.
    Closed,
    /// After a comma: an object.
    Comma,
    /// After the array.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InString {
    No,
    Yes,
    /// After a backslash.
    Escape,
}

impl Decoder {
    /// `limit`: most bytes of one object.
    pub fn new(limit: usize) -> Decoder {
        Decoder { limit, state: State::Start(0), buffer: Vec::new() }
    }

    /// Takes bytes and calls `each` with every object they complete.
    ///
    /// # Errors
    /// An object larger than the limit or not UTF-8, or bytes that are no array of objects; the decoder is of no use after.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if let State::Object { depth, string } = self.state {
                rest = self.object(rest, depth, string, each)?;
            } else {
                self.between(byte)?;
                rest = if matches!(self.state, State::Object { .. }) { rest } else { after };
            }
        }
        Ok(())
    }

    /// The bytes have ended. An object that was cut off is no frame; whether the stream was complete is for its reader.
    ///
    /// # Errors
    /// None today; the signature is that of [`super::Decoder::finish`].
    pub fn finish(&mut self, _each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
        self.buffer.clear();
        Ok(())
    }

    /// A byte outside of the objects. An object's first byte changes the state and is left to [`Decoder::object`].
    fn between(&mut self, byte: u8) -> Result<(), FrameError> {
        self.state = match (self.state, byte) {
            (State::Start(0), 0xef) => State::Start(1),
            (State::Start(1), 0xbb) => State::Start(2),
            (State::Start(2), 0xbf) => State::Start(3),
            (State::Start(0 | 3), b' ' | b'\t' | b'\n' | b'\r') => State::Start(3),
            (State::Start(0 | 3), b'[') => State::Opened,
            (State::Start(_), _) => return Err(FrameError::NotAnArray),
            (state, b' ' | b'\t' | b'\n' | b'\r') => state,
            (State::Opened | State::Comma, b'{') => State::Object { depth: 0, string: InString::No },
            (State::Opened | State::Closed, b']') => State::End,
            (State::Closed, b',') => State::Comma,
            (State::Opened | State::Comma | State::Closed | State::End | State::Object { .. }, _) => {
                return Err(FrameError::NotAnArray);
            }
        };
        Ok(())
    }

    /// Reads on in an object and returns what lies behind it.
    fn object<'b>(
        &mut self,
        bytes: &'b [u8],
        depth: usize,
        string: InString,
        each: &mut dyn FnMut(Frame<'_>),
    ) -> Result<&'b [u8], FrameError> {
        let (end, state) = scan(bytes, depth, string);
        let (object, rest) = bytes.split_at_checked(end).unwrap_or((bytes, b""));
        if self.buffer.len() + object.len() > self.limit {
            return Err(FrameError::TooLarge { limit: self.limit });
        }
        self.state = state;
        if state != State::Closed {
            self.buffer.extend_from_slice(object);
        } else if self.buffer.is_empty() {
            deliver(object, each)?;
        } else {
            self.buffer.extend_from_slice(object);
            deliver(&self.buffer, each)?;
            self.buffer.clear();
        }
        Ok(rest)
    }
}

/// How far the object reaches in `bytes`, and the state there.
fn scan(bytes: &[u8], mut depth: usize, mut string: InString) -> (usize, State) {
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        position += 1;
        match (string, byte) {
            (InString::Escape, _) => string = InString::Yes,
            (InString::Yes, b'\\') => string = InString::Escape,
            (InString::Yes, b'"') => string = InString::No,
            (InString::Yes, _) => {
                let rest = bytes.get(position..).unwrap_or_default();
                position += memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            }
            (InString::No, b'"') => string = InString::Yes,
            (InString::No, b'{' | b'[') => depth += 1,
            (InString::No, b'}' | b']') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return (position, State::Closed);
                }
            }
            (InString::No, _) => {}
        }
    }
    (position, State::Object { depth, string })
}

fn deliver(object: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
    let data = std::str::from_utf8(object).map_err(|_| FrameError::Utf8)?;
    each(Frame { event: "", data });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::test_support::{Cut, frames, same_for_any_cut};
    use proptest::prelude::*;

    fn decode(text: &[u8]) -> Result<Vec<String>, FrameError> {
        let frames = frames(&mut crate::wire::frame::Decoder::JsonArray(Decoder::new(1 << 20)), &[text])?;
        Ok(frames.into_iter().map(|(_, data)| data).collect())
    }

    #[test]
    fn an_array_is_cut_into_its_objects() {
        let text = b" [{\"a\": [1, {}]}\n,\r\n{\"b\": \"]}\\\"{\\\\\"}\n] \n";
        assert_eq!(decode(text).unwrap(), ["{\"a\": [1, {}]}", "{\"b\": \"]}\\\"{\\\\\"}"]);
        assert_eq!(decode(b"[]").unwrap(), [""; 0]);
    }

    #[test]
    fn an_object_is_delivered_before_the_comma() {
        let mut seen = Vec::new();
        Decoder::new(99).push(b"[{\"a\":1}", &mut |frame| seen.push(frame.data.to_owned())).unwrap();
        assert_eq!(seen, ["{\"a\":1}"]);
    }

    #[test]
    fn an_object_that_was_cut_off_is_no_frame() {
        assert_eq!(decode(b"[{\"a\":1},{\"b\"").unwrap(), ["{\"a\":1}"]);
    }

    #[test]
    fn what_is_no_array_of_objects_is_refused() {
        for text in ["{\"error\":{}}", "<html>", "[1]", "[{}{}]", "[,{}]", "[{}],", "[{},]", "\u{feff}\u{feff}[]"] {
            assert_eq!(decode(text.as_bytes()), Err(FrameError::NotAnArray), "{text}");
        }
        assert_eq!(decode("\u{feff}[{}]".as_bytes()).unwrap(), ["{}"]);
    }

    #[test]
    fn a_large_object_is_refused_before_it_ends() {
        let mut decoder = Decoder::new(8);
        assert_eq!(decoder.push(b"[{\"a\":\"bc", &mut |_| ()), Ok(()));
        assert_eq!(decoder.push(b"d", &mut |_| ()), Err(FrameError::TooLarge { limit: 8 }));
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            objects in prop::collection::vec(
                prop_oneof![Just("{}"), Just("{\"t\":\"grüße \\\"🎉\\\\\"}"), Just("{\"a\":[{\"b\":\"}{\"}]}")], 0..8),
            comma in prop_oneof![Just(","), Just("\n,\r\n"), Just(" ")],
            cut in any::<Cut>(),
            limit in prop_oneof![Just(20_usize), Just(1 << 20)],
        ) {
            let text = format!("[{}\n]", objects.join(comma));
            same_for_any_cut(|| crate::wire::frame::Decoder::JsonArray(Decoder::new(limit)), text.as_bytes(), &cut)?;
        }

        #[test]
        fn any_bytes_are_read_alike(text in "[\\[{\\]}\",\\\\ a]{0,60}", cut in any::<Cut>()) {
            let whole = format!("[{text}");
            same_for_any_cut(|| crate::wire::frame::Decoder::JsonArray(Decoder::new(64)), whole.as_bytes(), &cut)?;
        }
    }
}
