//! From the parser's character counts to byte offsets, and from a scalar's text back to where it stands.

use saphyr_parser::ScalarStyle;

use crate::source::{Run, Runs, SourceText, Span};

/// A mark every so many characters: finding a byte offset walks at most that far.
const STRIDE: usize = 64;
const BOM: &str = "\u{feff}";

/// A text and the byte offset of every 64th character.
pub(super) struct Offsets<'t> {
    whole: &'t str,
    /// Length of a byte order mark, which the parser never sees.
    skipped: usize,
    marks: Vec<usize>,
}

impl<'t> Offsets<'t> {
    pub(super) fn new(whole: &'t str) -> Offsets<'t> {
        let skipped = if whole.starts_with(BOM) { BOM.len() } else { 0 };
        let text = whole.get(skipped..).unwrap_or("");
        let marks = text.char_indices().step_by(STRIDE).map(|(at, _)| at + skipped).collect();
        Offsets { whole, skipped, marks }
    }

    /// What the parser reads: the text without its byte order mark.
    pub(super) fn text(&self) -> &'t str {
        self.whole.get(self.skipped..).unwrap_or("")
    }

    /// Byte offset of character `index`, counted after the byte order mark.
    pub(super) fn byte(&self, index: usize) -> usize {
        let Some(mark) = self.marks.get(index / STRIDE).copied() else { return self.whole.len() };
        let rest = self.whole.get(mark..).unwrap_or("");
        rest.char_indices().nth(index % STRIDE).map_or(self.whole.len(), |(at, _)| mark + at)
    }

    /// The end of the character at `at`; `at` itself at the end of a line or of the text.
    pub(super) fn character_end(&self, at: usize) -> usize {
        match self.whole.get(at..).and_then(|rest| rest.chars().next()) {
            Some(c) if c != '\n' && c != '\r' => at + c.len_utf8(),
            _ => at,
        }
    }

    /// Where the double-quoted text opens that closes before `at`, if that is on a line above.
    pub(super) fn opening_above(&self, at: usize) -> Option<usize> {
        let before = self.whole.get(..at)?;
        let close = before.rfind('"')?;
        let open = before.get(..close)?.rfind('"')?;
        before.get(open..close)?.contains('\n').then_some(open)
    }

    /// `end` without the white space before it.
    fn trim_end(&self, start: usize, end: usize) -> usize {
        let slice = self.whole.get(start..end).unwrap_or("");
        start + slice.trim_end().len()
    }

    /// A flow collection ends at `at`.
    pub(super) fn is_bracket(&self, at: usize) -> bool {
        matches!(self.whole.as_bytes().get(at), Some(b']' | b'}'))
    }

    /// Where the value itself begins, which has anchors or tags (`&name`, `!tag`) from `start` on. The value of a block
    /// scalar begins with its first line.
    pub(super) fn skip_properties(&self, start: usize, style: ScalarStyle) -> usize {
        let mut rest = self.whole.get(start..).unwrap_or("");
        loop {
            rest = rest.trim_start();
            if rest.starts_with(['&', '!']) {
                rest = rest.trim_start_matches(|c: char| !c.is_whitespace() && !matches!(c, ',' | ']' | '}'));
            } else if rest.starts_with('#') {
                rest = rest.trim_start_matches(|c| c != '\n');
            } else {
                break;
            }
        }
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) && rest.starts_with(['|', '>']) {
            rest = rest.trim_start_matches(|c| c != '\n').trim_start();
        }
        self.whole.len() - rest.len()
    }

    /// A scalar's text with the way back to the source, and the place of the whole scalar.
    pub(super) fn content(&self, text: String, style: ScalarStyle, place: Span) -> (SourceText, Span) {
        let raw = self.whole.get(place.range()).unwrap_or("");
        let (start, end) = match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                let inner = raw.get(1..).unwrap_or("");
                let close = if style == ScalarStyle::SingleQuoted { '\'' } else { '"' };
                let length = closing(inner, close).unwrap_or(inner.len());
                (place.start as usize + 1, place.start as usize + 1 + length)
            }
            ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => {
                (place.start as usize, self.trim_end(place.start as usize, place.end as usize))
            }
        };
        let content = Span::new(place.source, start, end);
        let whole = match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                Span::new(place.source, start.saturating_sub(1), (end + 1).min(self.whole.len()))
            }
            ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => content,
        };
        let inside = self.whole.get(start..end).unwrap_or("");
        let escaped = match style {
            ScalarStyle::DoubleQuoted => inside.contains('\\'),
            ScalarStyle::SingleQuoted => inside.contains("''"),
            ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => false,
        };
        let indent = match style {
            ScalarStyle::Literal | ScalarStyle::Folded => self.column(start),
            ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => usize::MAX,
        };
        let runs = if escaped { None } else { align(&text, inside, start, indent) };
        (SourceText::with_runs(text, content, runs.unwrap_or_default()), whole)
    }

    /// Bytes between the start of the line and `at`: the indentation of a block scalar, which is spaces only.
    fn column(&self, at: usize) -> usize {
        let before = self.whole.get(..at).unwrap_or("");
        at - before.rfind('\n').map_or(self.skipped, |newline| newline + 1)
    }
}

/// Where a quoted scalar closes, of whose text `inner` is the beginning: what follows may be a comment with quotes in it.
fn closing(inner: &str, close: char) -> Option<usize> {
    let mut characters = inner.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\' && close == '"' {
            characters.next();
        } else if character == close {
            let doubled = close == '\'' && characters.peek().is_some_and(|(_, next)| *next == close);
            if !doubled {
                return Some(at);
            }
            characters.next();
        }
    }
    None
}

/// Finds each line of `inside` (which starts at byte `start` of the source) in the decoded text, where line breaks have
/// become spaces or line feeds and indentation up to `indent` is gone. `None` where the two do not fit.
fn align(text: &str, inside: &str, start: usize, indent: usize) -> Option<Runs> {
    let mut runs = Runs::new();
    let mut at = 0;
    let mut line_start = start;
    for (number, line) in inside.split('\n').enumerate() {
        let cut =
            if number == 0 { 0 } else { line.bytes().take(indent).take_while(|b| matches!(b, b' ' | b'\t')).count() };
        let content = line.get(cut..)?.trim_end();
        if !content.is_empty() {
            while !text.get(at..)?.starts_with(content) {
                match text.as_bytes().get(at) {
                    Some(b' ' | b'\n' | b'\t') => at += 1,
                    _ => return None,
                }
            }
            runs.push(Run::new(at, line_start + cut, content.len()));
            at += content.len();
        }
        line_start += line.len() + 1;
    }
    Some(runs)
}
