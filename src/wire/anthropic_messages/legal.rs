//! Tool names and ids in the alphabet that Anthropic allows: letters, digits, `_` and `-`.

use std::borrow::Cow;
use std::fmt::Write;

/// Most characters of a tool name.
const NAME_LIMIT: usize = 128;
/// Most characters of an id that is kept as it is. Anthropic states no limit; other protocols end at 64, and a bounded id
/// passes through all of them.
const ID_LIMIT: usize = 64;

fn is_legal(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

fn all_legal(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.len() <= limit && text.chars().all(is_legal)
}

/// The tool name that Anthropic gets for a caller's. An illegal character becomes `_x2e_`, its code point in hexadecimal; an
/// underscore that would read as the beginning of one is written so too. [`original_name`] undoes it without a table. A name
/// that is then too long ends in a digest and does not come back.
pub(super) fn name(given: &str) -> Cow<'_, str> {
    if all_legal(given, NAME_LIMIT) && !has_escape(given) {
        return Cow::Borrowed(given);
    }
    let mut escaped = String::with_capacity(given.len() + 8);
    let mut rest = given.chars();
    while let Some(character) = rest.next() {
        if is_legal(character) && !(character == '_' && begins_escape(rest.as_str())) {
            escaped.push(character);
        } else {
            push_escape(character, &mut escaped);
        }
    }
    if escaped.is_empty() || escaped.len() > NAME_LIMIT {
        return Cow::Owned(shortened(given, &escaped));
    }
    Cow::Owned(escaped)
}

/// As [`name`], for a caller that speaks this protocol: a legal name is left alone whatever it looks like.
pub(super) fn name_for_caller(given: &str) -> Cow<'_, str> {
    if all_legal(given, NAME_LIMIT) { Cow::Borrowed(given) } else { name(given) }
}

/// Whether [`name`] keeps enough of the name to restore it.
pub(super) fn is_restorable(given: &str) -> bool {
    original_name(&name(given)) == given
}

/// The caller's name of a tool, from the name that Anthropic had for it.
pub(super) fn original_name(name: &str) -> Cow<'_, str> {
    if !has_escape(name) {
        return Cow::Borrowed(name);
    }
    let mut original = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(character) = rest.chars().next() {
        if let Some((decoded, tail)) = split_escape(rest) {
            original.push(decoded);
            rest = tail;
        } else {
            original.push(character);
            rest = rest.split_at(character.len_utf8()).1;
        }
    }
    Cow::Owned(original)
}

fn has_escape(text: &str) -> bool {
    text.match_indices('_').any(|(at, _)| begins_escape(text.split_at(at + 1).1))
}

/// Whether an underscore followed by `rest` would read as the beginning of an escape.
fn begins_escape(rest: &str) -> bool {
    let mut characters = rest.chars();
    characters.next() == Some('x') && characters.next().is_some_and(|digit| digit.is_ascii_hexdigit())
}

fn push_escape(character: char, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "_x{:x}_", u32::from(character));
}

fn split_escape(text: &str) -> Option<(char, &str)> {
    let (digits, tail) = text.strip_prefix("_x")?.split_once('_')?;
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(is_digit) {
        return None;
    }
    Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, tail))
}

fn shortened(given: &str, escaped: &str) -> String {
    let kept: String = escaped.chars().take(NAME_LIMIT - DIGEST_LENGTH - 1).collect();
    format!("{kept}-{}", digest(&[given.as_bytes()]))
}

const DIGEST_LENGTH: usize = 24;

/// A short, stable name of some bytes.
fn digest(pieces: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for piece in pieces {
        hasher.update(piece);
        hasher.update(&[0xff]);
    }
    hasher.finalize().to_hex().chars().take(DIGEST_LENGTH).collect()
}

/// The tool call id that Anthropic gets for an id of another protocol: itself where it is legal, else a digest of it.
pub(super) fn call_id(given: &str) -> Cow<'_, str> {
    if all_legal(given, ID_LIMIT) {
        Cow::Borrowed(given)
    } else {
        Cow::Owned(format!("toolu_{}", digest(&[given.as_bytes()])))
    }
}

/// An id for a tool call that has none: the `position`th part of the answer `response`.
pub(super) fn minted_call_id(response: &str, position: usize) -> String {
    format!("toolu_{}", digest(&[response.as_bytes(), position.to_string().as_bytes()]))
}

/// The id of an answer: the upstream's, or one made of what else is known of it.
pub(super) fn message_id(given: Option<&str>, model: &str, created: Option<u64>) -> String {
    match given {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => format!("msg_{}", digest(&[model.as_bytes(), created.unwrap_or(0).to_string().as_bytes()])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn legal_names_stay() {
        for same in ["get_weather", "mcp__server__tool", "get_xml", "a", "web-search"] {
            assert_eq!(name(same), same);
        }
    }

    #[test]
    fn illegal_names_are_escaped_and_come_back() {
        for (given, escaped) in [
            ("fs.read", "fs_x2e_read"),
            ("a/b", "a_x2f_b"),
            ("_x2e_", "_x5f_x2e_"),
            ("_x2e.", "_x5f_x2e_x2e_"),
            ("größe", "gr_xf6__xdf_e"),
        ] {
            assert_eq!(name(given), escaped);
            assert_eq!(original_name(escaped), given);
        }
    }

    #[test]
    fn a_long_name_is_cut_and_stays_unlike_others() {
        let (one, two) = (format!("{}1", "a.".repeat(100)), format!("{}2", "a.".repeat(100)));
        assert!(name(&one).len() <= NAME_LIMIT);
        assert_ne!(name(&one), name(&two));
        assert!(!is_restorable(&one));
    }

    #[test]
    fn ids_become_legal_and_bounded() {
        assert_eq!(call_id("call_0"), "call_0");
        assert_eq!(call_id("functions.x:0"), call_id("functions.x:0"));
        for given in ["functions.x:0", "", &"i".repeat(4096)] {
            assert!(all_legal(&call_id(given), ID_LIMIT), "{given}");
        }
        assert_ne!(minted_call_id("r", 1), minted_call_id("r", 2));
    }

    proptest! {
        #[test]
        fn escaping_is_reversible(given in "([_x.2e5f/]|\\PC){1,20}") {
            let escaped = name(&given);
            prop_assert!(all_legal(&escaped, NAME_LIMIT));
            if is_restorable(&given) {
                prop_assert_eq!(original_name(&escaped), given.as_str());
            } else {
                prop_assert!(escaped.len() > NAME_LIMIT - 1);
            }
        }
    }
}
