//! Texts that are looked for in every frame. Preparing a search costs more than searching a short frame, so it is done once.

use std::sync::OnceLock;

use compact_str::CompactString;
use memchr::memmem::Finder;
use memchr::{memchr, memchr2};

/// Longest text that [`Needle::texts`] gives.
const LONGEST: usize = 256;

/// A text to look for.
pub(super) struct Needle {
    text: &'static [u8],
    finder: OnceLock<Finder<'static>>,
}

impl Needle {
    pub(super) const fn new(text: &'static str) -> Needle {
        Needle { text: text.as_bytes(), finder: OnceLock::new() }
    }

    fn finder(&self) -> &Finder<'static> {
        self.finder.get_or_init(|| Finder::new(self.text))
    }

    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.finder().find(text).is_some()
    }

    /// The length of the JSON string that is the value of the first member of this name, escapes as they are written; 0 where
    /// there is none.
    pub(super) fn text_len(&self, text: &[u8]) -> usize {
        self.values(text).next().map_or(0, string_len)
    }

    /// The JSON strings that are values of members of this name, without empty and very long ones.
    pub(super) fn texts(&self, text: &[u8]) -> impl Iterator<Item = CompactString> {
        self.values(text).filter_map(|value| {
            let length = Some(string_len(value)).filter(|length| (1..=LONGEST).contains(length))?;
            unquoted(value.get(..length + 2)?)
        })
    }

    /// Whether any member of this name is an empty text. A quotation mark inside of a JSON string is escaped, so only members
    /// are found.
    pub(super) fn is_empty_text(&self, text: &[u8]) -> bool {
        self.values(text).any(|value| value.starts_with(b"\"\""))
    }

    /// What follows each occurrence and a colon: the values of members of this name, and whatever stands behind them.
    pub(super) fn values<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = &'t [u8]> {
        self.tails(text).filter_map(|rest| Some(rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start()))
    }

    /// What follows each occurrence.
    pub(super) fn tails<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = &'t [u8]> {
        self.finder().find_iter(text).filter_map(|at| text.get(at + self.text.len()..))
    }
}

/// The text that a JSON string stands for.
fn unquoted(string: &[u8]) -> Option<CompactString> {
    if memchr(b'\\', string).is_some() {
        return serde_json::from_slice::<String>(string).ok().map(CompactString::from);
    }
    // Nearly every text of a name stands as it is.
    CompactString::from_utf8(string.get(1..string.len().checked_sub(1)?)?).ok()
}

/// The length of the JSON string that `text` begins with, without its quotes; 0 for anything else.
pub(super) fn string_len(text: &[u8]) -> usize {
    let Some(text) = text.strip_prefix(b"\"") else { return 0 };
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text.get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_measured() {
        for (text, length) in
            [(r#""""#, 0), (r#""abc","d""#, 3), (r#""a\"b\\""#, 6), ("null", 0), (r#""cut"#, 3), ("", 0)]
        {
            assert_eq!(string_len(text.as_bytes()), length, "{text}");
        }
        static TEXT: Needle = Needle::new("\"text\"");
        assert_eq!(TEXT.text_len(br#"{"type":"text_delta","text" : "abcd"}"#), 4);
        let texts: Vec<CompactString> =
            TEXT.texts(br#"{"text":"a\"b","text":"","text": null,"text":"c","text":"d"#).collect();
        assert_eq!(texts, ["a\"b", "c"]);
        assert_eq!((TEXT.text_len(b"{}"), TEXT.text_len(br#"{"text":null}"#)), (0, 0));
    }
}
