//! Keeps keys out of what is printed: the snippets of a diagnostic show lines of the file, and a line may hold a key.

use std::collections::BTreeMap;

use super::Diagnostics;
use crate::source::{SourceId, SourceMap};

/// What the keys of vendors begin with.
const KEY_PREFIXES: &[&str] =
    &["sk-", "sk_", "Bearer ", "Basic ", "AIza", "gsk_", "xai-", "hf_", "pplx-", "csk-", "ghp_", "github_pat_"];

/// The least length that makes a text with such a prefix a key.
const LEAST_KEY: usize = 12;

/// The texts of all sources that `diagnostics` point into, with `*` for every byte of a key. Offsets stay true.
pub fn masked(diagnostics: &Diagnostics, sources: &SourceMap) -> BTreeMap<SourceId, String> {
    let mut texts = BTreeMap::new();
    for label in diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels) {
        let id = label.span.source;
        if let (false, Some(source)) = (texts.contains_key(&id), sources.get(id)) {
            texts.insert(id, visible(&mask(diagnostics, id, &source.text)));
        }
    }
    texts
}

/// `text` with `?` for every byte of a character that would steer the terminal or reorder the line (escape sequences,
/// bidirectional overrides), so that nobody is shown another file than the one that is read.
pub(crate) fn visible(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match steers(c) {
            true => (0..c.len_utf8()).for_each(|_| out.push('?')),
            false => out.push(c),
        }
    }
    out
}

fn mask(diagnostics: &Diagnostics, id: SourceId, text: &str) -> String {
    let mut places: Vec<_> =
        diagnostics.hidden().iter().filter(|span| span.source == id).map(|span| span.range()).collect();
    places.extend(keys(text));
    places.sort_by_key(|place| place.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for place in places {
        let Some(between) = text.get(at..place.start.max(at)) else { continue };
        let Some(key) = text.get(place.start.max(at)..place.end.max(at)) else { continue };
        out.push_str(between);
        // Line breaks stay, so that lines keep their numbers.
        key.bytes().for_each(|byte| out.push(if matches!(byte, b'\n' | b'\r') { byte as char } else { '*' }));
        at = place.end.max(at);
    }
    out.push_str(text.get(at..).unwrap_or(""));
    out
}

/// `text` is what a key looks like.
pub(crate) fn looks_like_a_key(text: &str) -> bool {
    text.len() >= LEAST_KEY && KEY_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

/// Where something stands that looks like a key, be it in a comment or in a file that is not YAML.
fn keys(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = credentials(text);
    for prefix in KEY_PREFIXES {
        for (start, _) in text.match_indices(prefix) {
            let before = text.get(..start).and_then(|before| before.chars().next_back());
            let rest = text.get(start + prefix.len()..).unwrap_or("");
            let length = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"-_.=+/".contains(b)).count();
            let whole = prefix.len() + length;
            if whole >= LEAST_KEY && !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-') {
                found.push(start..start + whole);
            }
        }
    }
    found
}

/// Names and passwords in URLs: `https://NAME:PASSWORD@host`.
fn credentials(text: &str) -> Vec<std::ops::Range<usize>> {
    let ends = |c: char| c.is_whitespace() || "\"'<>,".contains(c);
    let found = text.match_indices("://").filter_map(|(at, mark)| {
        let start = at + mark.len();
        let rest = text.get(start..)?;
        let word = rest.get(..rest.find(ends).unwrap_or(rest.len()))?;
        Some(start..start + word.rfind('@')?)
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Span;

    #[test]
    fn what_steers_a_terminal_is_not_printed() {
        let text = "a: \u{1b}[2Jé\t\u{9b}x \u{202e}y\r\n";
        assert_eq!(visible(text), "a: ?[2Jé\t??x ???y\r\n");
    }

    #[test]
    fn keys_are_masked_wherever_they_stand_and_nothing_moves() {
        let mut diagnostics = Diagnostics::default();
        let id = SourceId(0);
        diagnostics.hide(Span::new(id, 3, 7));
        let text = "a: wörd\n# sk-proj-0123456789, task-list-of-today\nx: 'Bearer abcdef.ghi'";
        let masked = mask(&diagnostics, id, text);
        assert_eq!(masked, "a: ****d\n# ******************, task-list-of-today\nx: '*****************'");
        assert_eq!(masked.len(), text.len());
    }

    #[test]
    fn names_and_passwords_in_urls_are_masked() {
        let text = "# http://me:pa/ss@box:80/v1, 'https://tok@h' https://h/v1 a@b";
        assert_eq!(
            mask(&Diagnostics::default(), SourceId(0), text),
            "# http://********@box:80/v1, 'https://***@h' https://h/v1 a@b"
        );
    }
}
