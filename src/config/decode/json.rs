//! Readers of values that are handed on as JSON, and of quirks, which their own JSON Schema describes.

use serde_json::Value;

use super::shape::{Shape, list_words, one_of};
use super::{Reader, bad_value, mismatch};
use crate::config::node::{Kind, Node};
use crate::config::yaml::shorten;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::source::Spanned;
use crate::wire::quirk::Quirks;

/// Any value, as JSON text.
pub struct Json;

impl Reader for Json {
    type Value = Spanned<String>;
    const SHAPE: Shape = Shape::Json;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
        let mut text = String::new();
        write_json(node, &mut text, diagnostics)?;
        Some(Spanned::new(text, node.span))
    }
}

/// Appends `node` as JSON. `None` where something in it has no JSON, after reporting all of that.
fn write_json(node: &Node, out: &mut String, diagnostics: &mut Diagnostics) -> Option<()> {
    let mut complete = Some(());
    match &node.kind {
        Kind::Null => out.push_str("null"),
        Kind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Kind::String(text) => push_string(&text.text, out),
        Kind::Number(text) => match json_number(&text.text) {
            Some(number) => out.push_str(&number),
            None => {
                let message = format!("`{}` is not a number in JSON", shorten(&text.text));
                bad_value(
                    node.span,
                    message,
                    "write a finite number, or quote it to send it as text".to_owned(),
                    diagnostics,
                );
                complete = None;
            }
        },
        Kind::Sequence(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                complete = write_json(item, out, diagnostics).and(complete);
            }
            out.push(']');
        }
        Kind::Mapping(entries) => {
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_string(&entry.key.value, out);
                out.push(':');
                complete = write_json(&entry.value, out, diagnostics).and(complete);
            }
            out.push('}');
        }
    }
    complete
}

fn push_string(text: &str, out: &mut String) {
    out.push_str(&Value::String(text.to_owned()).to_string());
}

/// A YAML number in JSON's spelling: its own where JSON can read it, so that no digit is lost.
fn json_number(text: &str) -> Option<String> {
    if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() {
        return Some(text.to_owned());
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(|value| value.to_string());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(|value| value.to_string());
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if let Ok(value) = unsigned.parse::<i64>() {
        return Some(value.to_string());
    }
    let value = unsigned.parse::<f64>().ok()?;
    serde_json::Number::from_f64(value).map(|number| number.to_string())
}

/// `quirks:`, by the schema of [`Quirks`]: one key at a time, so that each mistake has its place.
pub struct QuirksText;

/// The JSON Schema of [`Quirks`].
pub fn quirks_schema() -> Value {
    schemars::schema_for!(Quirks).to_value()
}

impl Reader for QuirksText {
    type Value = Spanned<Quirks>;
    const SHAPE: Shape =
        Shape::Foreign { what: "a mapping of quirks", example: "{ no_stream_options: true }", schema: quirks_schema };

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<Quirks>> {
        let entries = match &node.kind {
            Kind::Null => return Some(Spanned::new(Quirks::default(), node.span)),
            Kind::Mapping(entries) => entries,
            Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Sequence(_) => {
                mismatch(node, &Self::SHAPE, diagnostics);
                return None;
            }
        };
        let schema = quirks_schema();
        let known: Vec<&str> = schema
            .get("properties")
            .and_then(Value::as_object)
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let mut members = serde_json::Map::new();
        for entry in entries {
            let key = entry.key.value.as_str();
            if !known.contains(&key) {
                diagnostics.push(unknown_quirk(&entry.key, &known));
                continue;
            }
            let Some(json) = Json::read(&entry.value, diagnostics) else { continue };
            let Ok(value) = serde_json::from_str::<Value>(&json.value) else { continue };
            let alone = serde_json::Map::from_iter([(key.to_owned(), value.clone())]);
            match serde_json::from_value::<Quirks>(Value::Object(alone)) {
                Ok(_) => {
                    members.insert(key.to_owned(), value);
                }
                Err(_) => bad_value(
                    entry.value.span,
                    format!("the quirk `{key}` cannot have this value"),
                    format!("write {}", quirk_values(&schema, key)),
                    diagnostics,
                ),
            }
        }
        let quirks = serde_json::from_value(Value::Object(members)).unwrap_or_default();
        Some(Spanned::new(quirks, node.span))
    }
}

/// What the schema allows as the value of a quirk.
fn quirk_values(schema: &Value, key: &str) -> String {
    let at = |pointer: &str| schema.pointer(pointer);
    let property = at(&format!("/properties/{key}"));
    let kind = property.and_then(|property| property.get("type")).and_then(Value::as_str);
    let definition = property.and_then(|property| property.get("$ref")).and_then(Value::as_str);
    let definition = definition.and_then(|reference| at(reference.trim_start_matches('#')));
    let mut words: Vec<&str> = Vec::new();
    for choice in definition.and_then(|words| words.get("enum")).and_then(Value::as_array).into_iter().flatten() {
        words.extend(choice.as_str());
    }
    for choice in definition.and_then(|words| words.get("oneOf")).and_then(Value::as_array).into_iter().flatten() {
        words.extend(choice.get("const").and_then(Value::as_str));
        words.extend(choice.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str));
    }
    match kind {
        _ if !words.is_empty() => one_of(&words),
        Some("boolean") => Shape::Flag.example(),
        Some("array") => "a list of texts, e.g. `[seed]`".to_owned(),
        Some(_) | None => "another value".to_owned(),
    }
}

fn unknown_quirk(key: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::UnknownKey, format!("unknown quirk `{}`", shorten(&key.value)))
        .label(key.span, "no such quirk");
    match did_you_mean(&key.value, known.iter().copied()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(key.span, near),
        None => diagnostic.help(format!("the quirks are {}", list_words(known))),
    }
}
