//! The two spellings of a schema.
//!
//! `parameters` and `responseSchema` hold Google's own subset of OpenAPI 3.0, in which types are usually written in capitals
//! (`"type": "OBJECT"`) and lengths, being of 64 bits, as texts (`"minItems": "2"`, as Google's package for JavaScript does);
//! every other protocol writes JSON Schema. Both are changed in place, letter by letter, so that the text is otherwise the
//! caller's, byte for byte. `nullable` and `propertyOrdering` stay: JSON Schema reads over them.

use serde_json::value::RawValue;

use crate::wire::json::{self, Kind, Member, Object};

/// Deeper schemas keep their spelling; the walk is recursive and the text is a stranger's.
const DEEPEST: usize = 64;

/// Members that count something.
const COUNTS: [&str; 6] = ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"];

/// What stands in the place of a count's quotes, so that they can be put back.
const UNQUOTED: u8 = b'\t';

const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];

/// Types in small letters and counts as numbers, `None` where all of them are.
pub(super) fn lowered(schema: &RawValue) -> Option<Box<RawValue>> {
    changed(schema, &|member| match (&*member.key, json::kind(member.value)) {
        ("type", Kind::String) => {
            let is_high = |word: &str| TYPES.iter().any(|known| known.to_ascii_uppercase() == word);
            json::str_of(member.value).filter(|word| is_high(word)).map(|_| Change::Lower)
        }
        (key, Kind::String) if COUNTS.contains(&key) => {
            let is_count = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            json::str_of(member.value).filter(|text| is_count(text)).map(|_| Change::Unquote)
        }
        _ => None,
    })
}

/// Types in capitals and counts as they came, `None` where all of them are.
pub(super) fn raised(schema: &RawValue) -> Option<Box<RawValue>> {
    changed(schema, &|member| match (&*member.key, json::kind(member.value)) {
        ("type", Kind::String) => {
            json::str_of(member.value).filter(|word| TYPES.contains(&&**word)).map(|_| Change::Raise)
        }
        (key, Kind::Number) if COUNTS.contains(&key) => Some(Change::Quote),
        _ => None,
    })
}

/// What becomes of a value.
#[derive(Clone, Copy)]
enum Change {
    Lower,
    Raise,
    /// A text becomes the number that it holds.
    Unquote,
    /// The reverse of it; a number that never was a text stays.
    Quote,
}

impl Change {
    /// Changes the value that stands at `start`.
    fn make(self, text: &mut [u8], start: usize, length: usize) -> Option<()> {
        let value = start..start + length;
        match self {
            Change::Lower => text.get_mut(value)?.make_ascii_lowercase(),
            Change::Raise => text.get_mut(value)?.make_ascii_uppercase(),
            Change::Unquote => {
                *text.get_mut(start)? = UNQUOTED;
                *text.get_mut(value.end - 1)? = UNQUOTED;
            }
            Change::Quote => {
                let before = start.checked_sub(1)?;
                if text.get(before) == Some(&UNQUOTED) && text.get(value.end) == Some(&UNQUOTED) {
                    *text.get_mut(before)? = b'"';
                    *text.get_mut(value.end)? = b'"';
                }
            }
        }
        Some(())
    }
}

/// Says what becomes of a member of a schema.
type Judge<'j> = &'j dyn Fn(&Member<'_>) -> Option<Change>;

fn changed(schema: &RawValue, judge: Judge<'_>) -> Option<Box<RawValue>> {
    let mut changes = Vec::new();
    collect(schema, schema.get().as_ptr() as usize, judge, DEEPEST, &mut changes);
    if changes.is_empty() {
        return None;
    }
    let mut text = schema.get().as_bytes().to_vec();
    for (change, start, length) in changes {
        change.make(&mut text, start, length);
    }
    json::raw(String::from_utf8(text).ok()?)
}

/// Finds what is to be changed below `schema`, with its place from `base` and its length. Only where a schema can stand: a
/// property may be named `type`, and a default value may hold anything.
fn collect(schema: &RawValue, base: usize, judge: Judge<'_>, depth: usize, changes: &mut Vec<(Change, usize, usize)>) {
    let (Some(depth), Ok(object)) = (depth.checked_sub(1), Object::of(schema)) else { return };
    for member in object.members() {
        if let Some(change) = judge(member) {
            let start = (member.value.get().as_ptr() as usize).saturating_sub(base);
            changes.push((change, start, member.value.get().len()));
        }
        match (&*member.key, json::kind(member.value)) {
            ("properties" | "$defs" | "defs", Kind::Object) => {
                let named = Object::of(member.value).into_iter();
                named.for_each(|named| {
                    named.members().iter().for_each(|m| collect(m.value, base, judge, depth, changes))
                });
            }
            ("items" | "additionalProperties", Kind::Object) => collect(member.value, base, judge, depth, changes),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Kind::Array) => {
                let elements = json::elements(member.value, &member.key).unwrap_or_default();
                elements.into_iter().for_each(|element| collect(element, base, judge, depth, changes));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        json::raw(text).unwrap()
    }

    #[test]
    fn types_change_and_nothing_else_does() {
        let openapi = r#"{ "type":"OBJECT", "properties":{"type":{"type":"STRING","enum":["STRING"],"default":{"type":"OBJECT"}},
            "properties":{"type":"ARRAY","items":{"anyOf":[{"type":"NUMBER"},{"nullable":true,"type":"INTEGER"}]}}} , "n":1.0}"#;
        let lowered_text = lowered(&raw(openapi)).unwrap();
        let expected = r#"{ "type":"object", "properties":{"type":{"type":"string","enum":["STRING"],"default":{"type":"OBJECT"}},
            "properties":{"type":"array","items":{"anyOf":[{"type":"number"},{"nullable":true,"type":"integer"}]}}} , "n":1.0}"#;
        assert_eq!(lowered_text.get(), expected);
        assert_eq!(raised(&lowered_text).unwrap().get(), openapi);
    }

    #[test]
    fn counts_that_are_texts_become_numbers_and_texts_again() {
        let texts = r#"{"type":"STRING","minLength":"1","maxLength": "20","properties":{"minItems":{"maxItems":"3","x":"4"}},"title":"7"}"#;
        let numbers = lowered(&raw(texts)).unwrap();
        let value: serde_json::Value = serde_json::from_str(numbers.get()).unwrap();
        assert_eq!((&value["minLength"], &value["maxLength"], &value["title"]), (&1.into(), &20.into(), &"7".into()));
        assert_eq!(value["properties"]["minItems"], serde_json::json!({ "maxItems": 3, "x": "4" }));
        assert_eq!(raised(&numbers).unwrap().get(), texts);
        let own = r#"{"minLength": 1 ,"maxItems":2,"minItems":"many"}"#;
        assert_eq!(raised(&raw(own)).unwrap().get(), own);
        assert!(lowered(&raw(own)).is_none());
    }

    #[test]
    fn nothing_to_change_is_no_change() {
        assert!(lowered(&raw(r#"{"type":"object","properties":{"a":{"type":6}}}"#)).is_none());
        assert!(lowered(&raw("true")).is_none());
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}{{\"type\":\"STRING\"}}{}", r#"{"items":"#.repeat(2000), "}".repeat(2000));
        assert!(lowered(&raw(&deep)).is_none());
    }
}
