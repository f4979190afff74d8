//! JSON Schema of the answer's form. Anthropic refuses a schema whose objects do not say `"additionalProperties": false`.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::wire::json;

/// The schema with every object closed; the caller's own bytes where it is so already.
pub(super) fn closed(schema: &RawValue) -> Cow<'_, RawValue> {
    let Ok(mut tree) = serde_json::from_str::<Value>(schema.get()) else { return Cow::Borrowed(schema) };
    if !close(&mut tree) {
        return Cow::Borrowed(schema);
    }
    json::raw(tree.to_string()).map_or(Cow::Borrowed(schema), Cow::Owned)
}

/// Closes the objects of a schema and of those within it; tells whether anything changed. The depth is that of the JSON
/// text, which its parser bounds.
fn close(schema: &mut Value) -> bool {
    let Value::Object(members) = schema else { return false };
    let mut changed = is_open(members);
    if changed {
        members.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    for (keyword, value) in members {
        changed |= match (keyword.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(schemas)) => close_all(schemas.values_mut()),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(schemas)) => close_all(schemas.iter_mut()),
            ("items", value) => close(value),
            _ => false,
        };
    }
    changed
}

fn close_all<'v>(schemas: impl Iterator<Item = &'v mut Value>) -> bool {
    let mut changed = false;
    for schema in schemas {
        changed |= close(schema);
    }
    changed
}

fn is_open(members: &Map<String, Value>) -> bool {
    let is_object = match members.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        _ => members.contains_key("properties"),
    };
    is_object && matches!(members.get("additionalProperties"), None | Some(Value::Bool(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed_text(schema: &str) -> String {
        closed(&json::raw(schema).unwrap()).get().to_owned()
    }

    #[test]
    fn a_closed_schema_keeps_its_bytes() {
        for schema in [
            r#"{"type":"object", "properties":{"a":{"type":"string"}},"additionalProperties":false}"#,
            r#"{"type":"array","items":{"type":"number"}}"#,
            r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
            "true",
        ] {
            assert_eq!(closed_text(schema), schema);
        }
    }

    #[test]
    fn every_object_is_closed_and_a_property_is_no_keyword() {
        assert_eq!(
            closed_text(
                r#"{"type":"object","properties":{"properties":{"type":"object"},"items":{"type":["object","null"],"additionalProperties":true},"type":{"anyOf":[{"properties":{}}]}}}"#
            ),
            r#"{"type":"object","properties":{"properties":{"type":"object","additionalProperties":false},"items":{"type":["object","null"],"additionalProperties":false},"type":{"anyOf":[{"properties":{},"additionalProperties":false}]}},"additionalProperties":false}"#
        );
        assert_eq!(
            closed_text(r##"{"$defs":{"a":{"type":"object"}},"type":"array","items":{"$ref":"#/$defs/a"}}"##),
            r##"{"$defs":{"a":{"type":"object","additionalProperties":false}},"type":"array","items":{"$ref":"#/$defs/a"}}"##
        );
    }

    /// A reference is not followed, so one that leads back to its own schema has no end to run to.
    #[test]
    fn a_schema_that_refers_to_itself_is_closed_once() {
        assert_eq!(
            closed_text(
                r##"{"type":"object","properties":{"next":{"$ref":"#"},"tree":{"$ref":"#/$defs/t"}},"$defs":{"t":{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#/$defs/t"}}}}}}"##
            ),
            r##"{"type":"object","properties":{"next":{"$ref":"#"},"tree":{"$ref":"#/$defs/t"}},"$defs":{"t":{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#/$defs/t"}}},"additionalProperties":false}},"additionalProperties":false}"##
        );
    }
}
