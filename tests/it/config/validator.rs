//! The JSON Schema and the decoder agree on every fixture. A validator of the part of JSON Schema that the schema uses.

use regex::Regex;
use routeplane::config::decode::Reader;
use routeplane::config::decode::json::Json;
use routeplane::diagnostic::Diagnostics;
use routeplane::source::SourceId;
use serde_json::Value;

use super::fixtures;

/// Why `value` does not fit `schema`, or nothing.
fn refusal(value: &Value, schema: &Value, root: &Value) -> Option<String> {
    let Value::Object(keywords) = schema else {
        return (schema == &Value::Bool(false)).then(|| format!("{value} stands where nothing may"));
    };
    keywords.iter().find_map(|(keyword, argument)| match keyword.as_str() {
        "$ref" => refusal(value, root.pointer(argument.as_str().unwrap().trim_start_matches('#')).unwrap(), root),
        "type" => (!has_type(value, argument)).then(|| format!("{value} is not of type {argument}")),
        "enum" => (!argument.as_array().unwrap().contains(value)).then(|| format!("{value} is not one of {argument}")),
        "const" => (value != argument).then(|| format!("{value} is not {argument}")),
        "anyOf" | "oneOf" => {
            let refusals: Vec<String> =
                argument.as_array().unwrap().iter().map_while(|choice| refusal(value, choice, root)).collect();
            (refusals.len() == argument.as_array().unwrap().len()).then(|| refusals.join("; "))
        }
        "pattern" => {
            let text = value.as_str()?;
            let fits = Regex::new(argument.as_str().unwrap()).unwrap().is_match(text);
            (!fits).then(|| format!("{text} does not match {argument}"))
        }
        "minimum" => {
            value.as_f64().filter(|number| *number < argument.as_f64().unwrap()).map(|n| format!("{n} is too small"))
        }
        "maximum" => {
            value.as_f64().filter(|number| *number > argument.as_f64().unwrap()).map(|n| format!("{n} is too large"))
        }
        "items" => value.as_array()?.iter().find_map(|item| refusal(item, argument, root)),
        "propertyNames" => {
            value.as_object()?.keys().find_map(|key| refusal(&Value::String(key.clone()), argument, root))
        }
        "properties" => {
            let known = argument.as_object().unwrap();
            value.as_object()?.iter().find_map(|(key, member)| refusal(member, known.get(key)?, root))
        }
        "additionalProperties" => {
            let known = keywords.get("properties").and_then(Value::as_object);
            let others =
                value.as_object()?.iter().filter(|(key, _)| known.is_none_or(|known| !known.contains_key(*key)));
            others
                .into_iter()
                .find_map(|(key, member)| refusal(member, argument, root).map(|why| format!("{key}: {why}")))
        }
        "$schema" | "$defs" | "title" | "description" | "examples" | "default" | "format" => None,
        other => panic!("the validator does not know `{other}`"),
    })
}

fn has_type(value: &Value, types: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type `{other}`"),
    };
    match types {
        Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
        name => is(name.as_str().unwrap()),
    }
}

/// The fixture as JSON, where it is YAML at all.
fn as_json(text: &str) -> Option<Value> {
    let mut diagnostics = Diagnostics::default();
    let node = routeplane::config::yaml::parse(SourceId(0), text, &mut diagnostics)?;
    let json = Json::read(&node, &mut diagnostics)?;
    diagnostics.is_empty().then(|| serde_json::from_str(&json.value).unwrap())
}

#[test]
fn the_schema_accepts_what_the_decoder_accepts() {
    let schema: Value = serde_json::from_str(&routeplane::config::schema::json_schema()).unwrap();
    for (name, text) in fixtures::good() {
        let value = as_json(&text).unwrap();
        assert_eq!(refusal(&value, &schema, &schema), None, "{name}");
    }
}

/// Wrong shapes that a JSON Schema cannot tell: a reference to a secret is a text like another.
const BEYOND_A_SCHEMA: &[&str] =
    &["rp0004-key-and-keys", "rp0024-rules-without-a-bar", "rp0141-interpolation", "rp0142-command"];

#[test]
fn the_schema_refuses_what_the_decoder_refuses() {
    let schema: Value = serde_json::from_str(&routeplane::config::schema::json_schema()).unwrap();
    let wrong = fixtures::wrong_shapes();
    assert!(wrong.len() > 10);
    for (name, text) in wrong {
        let Some(value) = as_json(&text) else { continue };
        let expected = !BEYOND_A_SCHEMA.contains(&name.as_str());
        assert_eq!(refusal(&value, &schema, &schema).is_some(), expected, "{name}");
    }
}
