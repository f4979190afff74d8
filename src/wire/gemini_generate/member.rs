//! Reading members in either spelling. Absent and `null` are alike to a reader, and a `null` stays in the object, so that
//! it is written back.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::ir;
use crate::wire::json::{self, JsonError, Object};

/// The text of a body.
///
/// # Errors
/// Bytes that are not UTF-8.
pub(super) fn text(body: &[u8]) -> Result<&str, ir::Error> {
    simdutf8::basic::from_utf8(body).map_err(|_| ir::Error::invalid("the body is not UTF-8").with_code("invalid_json"))
}

/// Takes the member named `camel`, written so or in snake_case.
pub(super) fn take<'a>(object: &mut Object<'a>, camel: &str) -> Option<&'a RawValue> {
    let spelled = |member: &&json::Member<'a>| spells(&member.key, camel) && member.value.get() != "null";
    let key = object.members().iter().find(spelled)?.key.clone();
    object.take(&key)
}

/// As [`take`], read as `T`.
///
/// # Errors
/// A value of another type.
pub(super) fn read<'a, T: Deserialize<'a>>(
    object: &mut Object<'a>,
    camel: &str,
    expected: &'static str,
) -> Result<Option<T>, JsonError> {
    take(object, camel).map(|raw| json::read(raw, camel, expected)).transpose()
}

/// # Errors
/// A value that is not a string.
pub(super) fn string(object: &mut Object<'_>, camel: &str) -> Result<Option<String>, JsonError> {
    read(object, camel, "a string")
}

/// # Errors
/// A value that is not an object, or one with a member twice.
pub(super) fn object<'a>(object: &mut Object<'a>, camel: &str) -> Result<Option<Object<'a>>, JsonError> {
    match take(object, camel) {
        None => Ok(None),
        Some(raw) if json::kind(raw) == json::Kind::Object => Object::of(raw).map(Some),
        Some(_) => Err(JsonError::Type { key: camel.to_owned(), expected: "an object" }),
    }
}

/// # Errors
/// A value that is not an array.
pub(super) fn array<'a>(object: &mut Object<'a>, camel: &str) -> Result<Option<Vec<&'a RawValue>>, JsonError> {
    read(object, camel, "an array")
}

/// Whether `key` is `camel`, or `camel` written in snake_case.
fn spells(key: &str, camel: &str) -> bool {
    let mut rest = key.bytes();
    for wanted in camel.bytes() {
        match rest.next() {
            Some(byte) if byte == wanted => {}
            Some(b'_') if wanted.is_ascii_uppercase() && rest.next() == Some(wanted.to_ascii_lowercase()) => {}
            _ => return false,
        }
    }
    rest.next().is_none()
}

/// The seconds since 1970 of a time as Google writes it (RFC 3339, in UTC): `2026-11-22T08:11:09.123456Z`.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.split('.').next()?, ':')?;
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have their odd day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    /// Of 1 January 1970, counted so.
    const EPOCH: u64 = 719_469;
    Some((days.checked_sub(EPOCH)? * 24 + hour) * 3600 + minute * 60 + second)
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = text.split(separator).map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_member() {
        assert!(spells("systemInstruction", "systemInstruction"));
        assert!(spells("system_instruction", "systemInstruction"));
        assert!(spells("topK", "topK") && spells("top_k", "topK"));
        assert!(!spells("System_instruction", "systemInstruction"), "case twins are other members");
        assert!(!spells("systeminstruction", "systemInstruction"));
        assert!(!spells("systemInstructions", "systemInstruction"));
        assert!(!spells("system_Instruction", "systemInstruction"));
    }

    #[test]
    fn a_null_is_absent_and_stays() {
        let mut object = Object::parse(r#"{"topK":null,"topP":1.0}"#).unwrap();
        assert!(take(&mut object, "topK").is_none());
        assert!(take(&mut object, "topP").is_some());
        assert_eq!(object.rest().0.len(), 1);
    }

    #[test]
    fn times_of_google_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:01.5Z", Some(951_825_601)),
            ("2026-11-21T09:15:00.007Z", Some(1_795_252_500)),
            ("2026-03-01T00:00:00Z", Some(1_772_323_200)),
            ("2026-11-21T09:15:00+01:00", None),
            ("t", None),
            ("1969-12-31T23:59:59Z", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
