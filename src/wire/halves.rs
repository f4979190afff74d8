//! Halves of characters. JSON may write a character outside of the basic plane as two escapes, `\ud83d\ude00`. Programs that
//! count in UTF-16 cut texts between the two, and send one half at the end of a text: a client that shortens what a tool said,
//! an upstream that cuts its stream into pieces. No Rust text can hold a half, so the whole text would be unreadable.
//!
//! In a document a lone half becomes U+FFFD, the character that stands for what cannot be shown. In a stream the half at the
//! end of one text waits for the other, which begins a text of a later frame.

use std::borrow::Cow;

use memchr::memmem;

use super::StreamDecoder;
use super::frame::Frame;
use super::ir::Event;

/// Bytes of an escape such as `\ud83d`.
const ESCAPE: usize = 6;
/// The escape of U+FFFD, which is as long.
const REPLACEMENT: &[u8; ESCAPE] = b"\\ufffd";

/// The document without lone halves; copied only where it has one. The length stays the same.
pub(super) fn mended(json: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = next_half(json, 0) else { return Cow::Borrowed(json) };
    let mut copy = json.to_vec();
    let mut half = Some(first);
    while let Some(Half { at, .. }) = half {
        if let Some(escape) = copy.get_mut(at..at + ESCAPE) {
            escape.copy_from_slice(REPLACEMENT);
        }
        half = next_half(json, at + ESCAPE);
    }
    Cow::Owned(copy)
}

/// A lone half of a character.
#[derive(Clone, Copy)]
struct Half {
    /// Where its escape begins.
    at: usize,
    leads: bool,
}

/// The first lone half at `from` or behind it.
fn next_half(json: &[u8], from: usize) -> Option<Half> {
    let mut at = from;
    loop {
        at += memmem::find(json.get(at..)?, b"\\u")?;
        let backslashes = json.get(from..at)?.iter().rev().take_while(|byte| **byte == b'\\').count();
        match unit(json, at).filter(|_| backslashes % 2 == 0) {
            Some(0xD800..=0xDBFF) if matches!(unit(json, at + ESCAPE), Some(0xDC00..=0xDFFF)) => at += 2 * ESCAPE,
            Some(0xD800..=0xDBFF) => return Some(Half { at, leads: true }),
            Some(0xDC00..=0xDFFF) => return Some(Half { at, leads: false }),
            // The letter of an escaped backslash's text, or any other character.
            Some(_) | None => at += 2,
        }
    }
}

/// The UTF-16 unit whose escape stands at `at`.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// A decoder that gets whole characters.
pub struct Joining {
    inner: Box<dyn StreamDecoder>,
    /// The escape that ended a text.
    waiting: Option<String>,
}

impl Joining {
    pub fn new(inner: Box<dyn StreamDecoder>) -> Joining {
        Joining { inner, waiting: None }
    }

    /// The frame's document with whole characters. A half that ends a text is taken out of it, until another frame brings
    /// what completes it.
    fn joined(&mut self, data: &str, first: Half) -> String {
        let mut whole = String::with_capacity(data.len() + ESCAPE);
        let (mut told, mut next) = (0, Some(first));
        let before = self.waiting.take();
        while let Some(Half { at, leads }) = next {
            let end = at + ESCAPE;
            whole.push_str(data.get(told..at).unwrap_or_default());
            let (escape, behind) = (data.get(at..end).unwrap_or_default(), data.as_bytes().get(end));
            match &before {
                _ if leads && behind == Some(&b'"') => self.waiting = Some(escape.to_owned()),
                Some(lead) if !leads && whole.ends_with('"') => {
                    whole.push_str(lead);
                    whole.push_str(escape);
                }
                _ => whole.push_str("\\ufffd"),
            }
            told = end;
            next = next_half(data.as_bytes(), end);
        }
        whole.push_str(data.get(told..).unwrap_or_default());
        whole
    }
}

impl StreamDecoder for Joining {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        match next_half(frame.data.as_bytes(), 0) {
            None => self.inner.frame(frame, out),
            Some(first) => {
                let data = self.joined(frame.data, first);
                self.inner.frame(&Frame { data: &data, ..*frame }, out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        self.inner.finish(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_halves_are_replaced_and_nothing_else() {
        for (text, mended_text) in [
            (r#"{"a":"x\ud83d y"}"#, r#"{"a":"x\ufffd y"}"#),
            (r#"{"a":"\uDE00\uD83D"}"#, r#"{"a":"\ufffd\ufffd"}"#),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, r#"{"a":"\ufffd\ud83d\ude00"}"#),
            (r#"{"a":"\\\ud83d"}"#, r#"{"a":"\\\ufffd"}"#),
        ] {
            assert_eq!(mended(text.as_bytes()), mended_text.as_bytes(), "{text}");
        }
        for text in [
            r#"{"a":"\ud83d\ude00 \u00e9\ud83D\uDe00"}"#,
            // A backslash and letters, as in arguments that are JSON within JSON.
            r#"{"a":"\\ud83d"}"#,
            r#"{"a":"\\\\ud83d"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":"\u"#,
            "",
        ] {
            assert!(matches!(mended(text.as_bytes()), Cow::Borrowed(_)), "{text}");
        }
    }

    /// Gives the documents it got as texts.
    struct Echo;

    impl StreamDecoder for Echo {
        fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
            let text = serde_json::from_str::<serde_json::Value>(frame.data).unwrap()["t"].as_str().unwrap().to_owned();
            out.push(Event::Delta { index: 0, delta: crate::wire::ir::Delta::Text(text) });
        }

        fn finish(&mut self, _: &mut Vec<Event>) {}
    }

    fn joined(frames: &[&str]) -> String {
        let (mut decoder, mut events) = (Joining::new(Box::new(Echo)), Vec::new());
        frames.iter().for_each(|data| decoder.frame(&Frame { event: "", data }, &mut events));
        let text = |event| match event {
            Event::Delta { delta: crate::wire::ir::Delta::Text(text), .. } => text,
            other => panic!("{other:?}"),
        };
        events.into_iter().map(text).collect()
    }

    #[test]
    fn a_character_that_a_stream_cuts_in_two_is_one_again() {
        assert_eq!(joined(&[r#"{"t":"a\ud83d"}"#, r#"{"t":"\ude00!"}"#]), "a😀!");
        assert_eq!(
            joined(&[r#"{"t":"a\ud83d"}"#, r#"{"t":""}"#, r#"{"t":"\ude00\ud83e"}"#, r#"{"t":"\udd80"}"#]),
            "a😀🦀"
        );
        assert_eq!(joined(&[r#"{"t":"\ude00 \ud83d x"}"#]), "\u{fffd} \u{fffd} x");
        assert_eq!(joined(&[r#"{"t":"a\ud83d"}"#, r#"{"t":"b"}"#]), "ab");
    }
}
