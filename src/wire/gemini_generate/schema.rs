//! The two spellings of a schema's types.
//!
//! `parameters` and `responseSchema` hold Google's own subset of OpenAPI 3.0, in which types are usually written in capitals
//! (`"type": "OBJECT"`); every other protocol writes JSON Schema. Types are changed in place, letter by letter, so that the
//! text is otherwise the caller's, byte for byte. `nullable` and `propertyOrdering` stay: JSON Schema reads over them.

use serde_json::value::RawValue;

use crate::wire::json::{self, Kind, Object};

/// Deeper schemas keep their spelling; the walk is recursive and the text is a stranger's.
const DEEPEST: usize = 64;

const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];

/// Types in small letters, `None` where there are none in capitals.
pub(super) fn lowered(schema: &RawValue) -> Option<Box<RawValue>> {
    changed(
        schema,
        |word| TYPES.iter().any(|known| known.to_ascii_uppercase() == word),
        |byte| byte.make_ascii_lowercase(),
    )
}

/// Types in capitals, `None` where there are none in small letters.
pub(super) fn raised(schema: &RawValue) -> Option<Box<RawValue>> {
    changed(schema, |word| TYPES.contains(&word), |byte| byte.make_ascii_uppercase())
}

fn changed(schema: &RawValue, wanted: fn(&str) -> bool, change: fn(&mut u8)) -> Option<Box<RawValue>> {
    let mut spans = Vec::new();
    collect(schema, schema.get().as_ptr() as usize, wanted, DEEPEST, &mut spans);
    if spans.is_empty() {
        return None;
    }
    let mut text = schema.get().as_bytes().to_vec();
    for span in spans {
        text.get_mut(span)?.iter_mut().for_each(change);
    }
    json::raw(String::from_utf8(text).ok()?)
}

/// Finds the `type` words below `schema`, as spans from `base`. Only where a schema can stand: a property may be named
/// `type`, and a default value may hold anything.
fn collect(
    schema: &RawValue,
    base: usize,
    wanted: fn(&str) -> bool,
    depth: usize,
    spans: &mut Vec<std::ops::Range<usize>>,
) {
    let (Some(depth), Ok(object)) = (depth.checked_sub(1), Object::of(schema)) else { return };
    for member in object.members() {
        match (&*member.key, json::kind(member.value)) {
            ("type", Kind::String) if json::str_of(member.value).is_some_and(|word| wanted(&word)) => {
                let start = (member.value.get().as_ptr() as usize).saturating_sub(base);
                spans.push(start..start + member.value.get().len());
            }
            ("properties" | "$defs" | "defs", Kind::Object) => {
                let named = Object::of(member.value).into_iter();
                named.for_each(|named| {
                    named.members().iter().for_each(|m| collect(m.value, base, wanted, depth, spans))
                });
            }
            ("items" | "additionalProperties", Kind::Object) => collect(member.value, base, wanted, depth, spans),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Kind::Array) => {
                let elements = json::elements(member.value, &member.key).unwrap_or_default();
                elements.into_iter().for_each(|element| collect(element, base, wanted, depth, spans));
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
