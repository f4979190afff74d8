//! The JSON Schema (draft 2020-12) of `routeplane.yaml`, for editors. Made from the declarations in `document.rs`.

use serde_json::{Map, Value, json};

use super::decode::Reader;
use super::decode::json::Json;
use super::decode::secret::KeyPair;
use super::decode::shape::{Field, Mapping, Shape};
use super::document::Document;
use super::yaml;
use crate::diagnostic::Diagnostics;
use crate::source::SourceId;

/// The schema as text, with a line feed at its end.
pub fn json_schema() -> String {
    let mut definitions = Map::new();
    let root = mapping_schema(&Document::MAPPING, &mut definitions);
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("routeplane.yaml"));
    if let Value::Object(members) = root {
        schema.extend(members);
    }
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    let mut text = serde_json::to_string_pretty(&Value::Object(schema)).unwrap_or_default();
    text.push('\n');
    text
}

/// The documentation of a declaration as one paragraph.
pub(crate) fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// The name of a mapping without its article, in one word: `request-of-a-test`.
pub(crate) fn slug(mapping: &Mapping) -> String {
    let words = mapping.name.split_once(' ').map_or(mapping.name, |(_, rest)| rest);
    words.replace(' ', "-")
}

fn mapping_schema(mapping: &Mapping, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for field in mapping.fields {
        properties.insert(field.key.to_owned(), field_schema(field, definitions));
        let single = match &field.shape {
            Shape::OneOrMore(item) => Some(*item),
            Shape::Keys => Some(&field.shape),
            _ => None,
        };
        if let (Some(alias), Some(item)) = (field.alias, single) {
            let description = format!("One of `{}`. {}", field.key, paragraph(field.doc));
            properties.insert(alias.to_owned(), described(shape_schema(item, definitions), description));
        }
    }
    let others = if mapping.open { shape_schema(&Shape::Word, definitions) } else { Value::Bool(false) };
    json!({
        "description": paragraph(mapping.doc),
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": others,
    })
}

fn field_schema(field: &Field, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = described(shape_schema(&field.shape, definitions), paragraph(field.doc));
    if let (Some(default), Some(members)) = (field.default.and_then(json_of), schema.as_object_mut()) {
        members.insert("default".to_owned(), default);
    }
    schema
}

fn described(mut schema: Value, description: String) -> Value {
    if let Some(members) = schema.as_object_mut() {
        members.insert("description".to_owned(), Value::String(description));
    }
    schema
}

/// A default, written in YAML, as JSON.
fn json_of(yaml_text: &str) -> Option<Value> {
    let mut diagnostics = Diagnostics::default();
    let node = yaml::parse(SourceId(0), yaml_text, &mut diagnostics)?;
    serde_json::from_str(&Json::read(&node, &mut diagnostics)?.value).ok()
}

fn shape_schema(shape: &Shape, definitions: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Text { example, pattern: Some(pattern), .. } => {
            json!({ "type": "string", "pattern": pattern, "examples": [example] })
        }
        Shape::Text { pattern: None, .. } => json!({ "type": "string" }),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::Version => json!({ "const": 1 }),
        Shape::Whole => {
            json!({ "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9_]+(\\.[0-9]+)? ?[kM]?$" })
        }
        Shape::Fraction => json!({ "type": "number" }),
        Shape::Price => json!({ "type": "number", "minimum": 0, "maximum": 1_000_000 }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Duration => json!({
            "type": "string",
            "pattern": "^[0-9_]+(\\.[0-9]+)? *(ms|s|m|h)$",
            "examples": ["250ms", "4s", "2m", "1h"],
        }),
        Shape::Size => json!({
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": "^[0-9_]+(\\.[0-9]+)? *(KiB|MiB|GiB|kB|KB|MB|GB|B)?$",
            "examples": ["32MiB", "1MB"],
        }),
        Shape::Word => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Secret => json!({ "type": "string", "examples": ["env:NAME", "file:/run/secrets/name"] }),
        Shape::Keys => {
            let secret = shape_schema(&Shape::Secret, definitions);
            let pair = reference(&KeyPair::MAPPING, definitions);
            json!({ "anyOf": [secret, { "type": "array", "items": secret }, pair] })
        }
        Shape::Failure => json!({ "anyOf": [
            { "enum": ["5xx", "timeout", "connect", "empty", "any"] },
            { "type": "integer", "minimum": 400, "maximum": 599 },
            { "type": "string", "pattern": "^[45][0-9][0-9]$" },
        ] }),
        Shape::Expression => json!({ "type": "string", "examples": ["openai/gpt-5 > @default"] }),
        Shape::Rules => json!({ "type": ["string", "null"], "examples": ["otherwise -> as requested"] }),
        Shape::Json => json!({}),
        Shape::Foreign { schema, .. } => foreign(schema(), definitions),
        Shape::List(item) => json!({ "type": "array", "items": shape_schema(item, definitions) }),
        Shape::OneOrMore(item) => {
            let item = shape_schema(item, definitions);
            json!({ "anyOf": [item, { "type": "array", "items": item }] })
        }
        Shape::Map { pattern, values, .. } => {
            let mut schema =
                json!({ "type": ["object", "null"], "additionalProperties": shape_schema(values, definitions) });
            if let (Some(pattern), Some(members)) = (pattern, schema.as_object_mut()) {
                members.insert("propertyNames".to_owned(), json!({ "pattern": pattern }));
            }
            schema
        }
        Shape::Keyed { keys, values } => json!({
            "type": ["object", "null"],
            "propertyNames": { "enum": keys() },
            "additionalProperties": shape_schema(values, definitions),
        }),
        Shape::Mapping(mapping) => reference(mapping, definitions),
    }
}

/// A reference to the definition of `mapping`, which is added where it is new.
fn reference(mapping: &Mapping, definitions: &mut Map<String, Value>) -> Value {
    let name = slug(mapping);
    if !definitions.contains_key(&name) {
        definitions.insert(name.clone(), Value::Null);
        let long = mapping_schema(mapping, definitions);
        definitions.insert(name.clone(), long);
    }
    let long = json!({ "$ref": format!("#/$defs/{name}") });
    let short = mapping.short.and_then(|key| mapping.fields.iter().find(|field| field.key == key));
    match short {
        Some(field) => json!({ "anyOf": [shape_schema(&field.shape, definitions), long] }),
        None => long,
    }
}

/// Takes over a schema made elsewhere, with its own definitions.
fn foreign(mut schema: Value, definitions: &mut Map<String, Value>) -> Value {
    let Some(members) = schema.as_object_mut() else { return schema };
    members.shift_remove("$schema");
    let name =
        members.shift_remove("title").and_then(|title| title.as_str().map(str::to_lowercase)).unwrap_or_default();
    if let Some(Value::Object(inner)) = members.shift_remove("$defs") {
        definitions.extend(inner);
    }
    members.insert("type".to_owned(), json!(["object", "null"]));
    definitions.insert(name.clone(), schema);
    json!({ "$ref": format!("#/$defs/{name}") })
}
