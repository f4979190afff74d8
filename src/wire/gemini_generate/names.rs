//! Function names within Gemini's alphabet, and back.
//!
//! Gemini takes names that begin with a letter or `_`, go on with letters, digits, `_`, `.`, `:` and `-`, and have at most
//! 128 characters. Other protocols' tools have others (`server/tool`). A foreign character is written as `_x2F_` (its code
//! point in hex), so that the caller's name is found again in the answer without anything being remembered.

use std::borrow::Cow;

use crate::wire::ir;

const LONGEST: usize = 128;

/// The name to send.
///
/// # Errors
/// A name that is empty, or too long even for Gemini.
pub(super) fn encode(name: &str) -> Result<Cow<'_, str>, ir::Error> {
    let encoded = if is_plain(name) { Cow::Borrowed(name) } else { Cow::Owned(escape(name)) };
    if encoded.is_empty() || encoded.len() > LONGEST {
        let message = format!(
            "the tool name `{name}` does not fit Gemini, which takes 1 to {LONGEST} letters, digits, `_`, `.`, `:` and `-`; rename the tool"
        );
        return Err(ir::Error::invalid(message).with_code("unsupported_content").with_param("tools.name"));
    }
    Ok(encoded)
}

/// The caller's name for a name that came back.
pub(super) fn decode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("_x") {
        out.push_str(before);
        match escaped(after) {
            Some((character, tail)) => {
                out.push(character);
                rest = tail;
            }
            None => {
                out.push_str("_x");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Whether the name can be sent as it is: within the alphabet, and without anything that [`decode`] would change.
fn is_plain(name: &str) -> bool {
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins_well && name.chars().all(allowed) && decode(name) == name
}

fn allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | ':' | '-')
}

fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for (at, character) in name.char_indices() {
        let begins_well = at > 0 || character.is_ascii_alphabetic() || character == '_';
        let looks_escaped =
            name.get(at..).and_then(|rest| rest.strip_prefix("_x")).is_some_and(|rest| escaped(rest).is_some());
        if allowed(character) && begins_well && !looks_escaped {
            out.push(character);
        } else {
            out.push_str(&format!("_x{:02X}_", u32::from(character)));
        }
    }
    out
}

/// What follows `_x`: one to six hex digits in capitals and `_`.
fn escaped(after: &str) -> Option<(char, &str)> {
    let (digits, tail) = after.split_once('_')?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(is_hex) {
        return None;
    }
    let character = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    Some((character, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_untouched() {
        for name in ["get_weather", "mcp__files__read", "a.b:c-d", "_x", "_xyz_", "get_x_ray", "_x2f_"] {
            assert_eq!(encode(name).unwrap(), name);
            assert_eq!(decode(name), name);
        }
    }

    #[test]
    fn every_name_comes_back() {
        for name in ["a/b", "1st", "größe", "a b", "a_x2F_b", "/", "_x2F_x2F_", "-x", "a_x41_x42_"] {
            let sent = encode(name).unwrap().into_owned();
            assert!(sent.chars().all(allowed), "{sent}");
            assert_eq!(decode(&sent), name, "{sent}");
        }
        assert_eq!(encode("a/b").unwrap(), "a_x2F_b");
    }

    #[test]
    fn a_name_that_cannot_fit_is_refused() {
        assert!(encode("").is_err());
        assert!(encode(&"n".repeat(129)).is_err());
        assert!(encode(&"n".repeat(128)).is_ok());
    }
}
