//! Names and ids in the alphabets that Converse allows.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

/// Most characters of a tool's name and of a call's id.
const LIMIT: usize = 64;
/// Characters of a digest in a name or an id.
const DIGEST: usize = 24;
/// Most characters of a document's name.
const DOCUMENT_LIMIT: usize = 200;

fn is_legal(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !text.is_empty() && text.len() <= LIMIT && text.bytes().all(legal)
}

/// The name that a tool has upstream. An illegal character becomes `_x2e_`, its code point in hexadecimal, and so does an
/// underscore that would read as the beginning of one; [`original_name`] undoes it without a table. A name that is too long
/// ends in a digest and does not come back.
pub(super) fn name(given: &str) -> Cow<'_, str> {
    if is_legal(given) && !given.contains("_x") {
        return Cow::Borrowed(given);
    }
    let mut escaped = String::with_capacity(given.len() + 8);
    for (at, character) in given.char_indices() {
        let begins_escape = character == '_' && given.get(at + 1..).is_some_and(|rest| rest.starts_with('x'));
        if (character.is_ascii_alphanumeric() || matches!(character, '_' | '-')) && !begins_escape {
            escaped.push(character);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "_x{:x}_", u32::from(character));
        }
    }
    if is_legal(&escaped) { Cow::Owned(escaped) } else { Cow::Owned(shortened(given, &escaped)) }
}

/// The caller's name of a tool.
pub(super) fn original_name(name: &str) -> String {
    let mut original = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("_x") {
        original.push_str(before);
        let code = after.split_once('_').and_then(|(digits, tail)| {
            let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let code = u32::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(lower_hex))?;
            Some((char::from_u32(code)?, tail))
        });
        match code {
            Some((character, tail)) => {
                original.push(character);
                rest = tail;
            }
            None => {
                original.push_str("_x");
                rest = after;
            }
        }
    }
    original + rest
}

/// Whether [`name`] keeps enough of the name to restore it.
pub(super) fn is_restorable(given: &str) -> bool {
    original_name(&name(given)) == given
}

fn shortened(given: &str, escaped: &str) -> String {
    let kept: String = escaped.chars().take(LIMIT - DIGEST - 1).collect();
    format!("{kept}-{}", digest(given))
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().chars().take(DIGEST).collect()
}

/// The id that a call has upstream: its own where that is legal, else a digest of it.
pub(super) fn call_id(given: &str) -> String {
    if is_legal(given) { given.to_owned() } else { format!("tooluse_{}", digest(given)) }
}

/// Names of documents: Converse takes each once, however often the conversation repeats it.
#[derive(Default)]
pub(super) struct DocumentNames {
    used: HashSet<String>,
    count: usize,
}

impl DocumentNames {
    /// The name of the next document: letters, digits, single spaces, hyphens and brackets; `document-2` where nothing is
    /// left of it, `report (2)` where there was a `report` before.
    pub(super) fn next(&mut self, given: Option<&str>) -> String {
        self.count += 1;
        let wanted = document_name(given.unwrap_or_default());
        let wanted = if wanted.is_empty() { format!("document-{}", self.count) } else { wanted };
        let mut name = wanted.clone();
        let mut copy = 1;
        while !self.used.insert(name.clone()) {
            copy += 1;
            let mark = format!(" ({copy})");
            let kept: String = wanted.chars().take(DOCUMENT_LIMIT - mark.len()).collect();
            name = format!("{}{mark}", kept.trim_end());
        }
        name
    }
}

/// What of a name is legal.
fn document_name(given: &str) -> String {
    let mut name = String::new();
    for character in given.chars() {
        let legal = character.is_ascii_alphanumeric() || matches!(character, '-' | '(' | ')' | '[' | ']');
        let character = if legal { character } else { ' ' };
        if character != ' ' || !name.ends_with(' ') {
            name.push(character);
        }
    }
    let name: String = name.trim().chars().take(DOCUMENT_LIMIT).collect();
    name.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn documents_have_names_that_are_allowed() {
        let mut names = DocumentNames::default();
        assert_eq!(names.next(Some("a  b__c.pdf")), "a b c pdf");
        assert_eq!(names.next(Some("…")), "document-2");
        assert_eq!(names.next(None), "document-3");
        assert_eq!(names.next(Some("a b/c.pdf")), "a b c pdf (2)");
        assert_eq!(names.next(Some("a b c pdf")), "a b c pdf (3)");
        let long = "x".repeat(300);
        assert_eq!([names.next(Some(&long)).len(), names.next(Some(&long)).len()], [DOCUMENT_LIMIT, DOCUMENT_LIMIT]);
    }

    #[test]
    fn ids_are_legal_and_bounded() {
        assert_eq!(call_id("toolu_1"), "toolu_1");
        for given in ["functions.x:0", "", &"i".repeat(65)] {
            assert!(is_legal(&call_id(given)), "{given}");
        }
    }

    proptest! {
        #[test]
        fn names_are_legal_and_come_back(given in "([_x.2e5f/]|\\PC){1,14}") {
            prop_assert!(is_legal(&name(&given)), "{}", name(&given));
            prop_assert!(is_restorable(&given) || name(&given).len() == LIMIT, "{}", name(&given));
        }
    }
}
