//! Two schemas that both hold, as one.

use serde_json::{Map, Value};

/// Puts what `from` demands into `into`. Keywords that cannot be combined go to `lost`, the demand of `into` stays.
pub(super) fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>, lost: &mut impl FnMut(&str, &Value)) {
    for (keyword, value) in from {
        let Some(known) = into.get_mut(keyword) else {
            into.insert(keyword.clone(), value.clone());
            continue;
        };
        if known == value {
            continue;
        }
        match (keyword.as_str(), known, value) {
            ("properties" | "$defs" | "definitions", Value::Object(known), Value::Object(more)) => {
                both_properties(known, more);
            }
            ("required", Value::Array(known), Value::Array(more)) => {
                for name in more {
                    if !known.contains(name) {
                        known.push(name.clone());
                    }
                }
            }
            ("enum", Value::Array(known), Value::Array(more)) => known.retain(|value| more.contains(value)),
            ("minimum" | "exclusiveMinimum" | "minLength" | "minItems", known, value) => {
                if value.as_f64() > known.as_f64() {
                    known.clone_from(value);
                }
            }
            ("maximum" | "exclusiveMaximum" | "maxLength" | "maxItems", known, value) => {
                if value.as_f64() < known.as_f64() {
                    known.clone_from(value);
                }
            }
            ("type", known, value) => match both_types(known, value) {
                Some(types) => *known = types,
                None => lost(keyword, value),
            },
            ("additionalProperties", known, Value::Bool(false)) => *known = false.into(),
            ("title" | "description" | "default" | "examples" | "$schema" | "$id" | "$comment", ..) => {}
            (_, _, value) => lost(keyword, value),
        }
    }
}

/// A property that both name must satisfy both.
fn both_properties(known: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, schema) in more {
        match known.get_mut(name) {
            None => {
                known.insert(name.clone(), schema.clone());
            }
            Some(other) if other == schema => {}
            Some(other) => {
                let both = vec![std::mem::take(other), schema.clone()];
                *other = Value::Object(Map::from_iter([("allOf".to_owned(), both.into())]));
            }
        }
    }
}

/// The types that both allow; `None` where there is none.
fn both_types(one: &Value, other: &Value) -> Option<Value> {
    let (one, other) = (names(one), names(other));
    let mut both: Vec<&str> = Vec::new();
    for name in &one {
        if other.contains(name) || (*name == "integer" && other.contains(&"number")) {
            both.push(name);
        } else if *name == "number" && other.contains(&"integer") {
            both.push("integer");
        }
    }
    match both.as_slice() {
        [] => None,
        [name] => Some((*name).into()),
        names => Some(names.to_vec().into()),
    }
}

fn names(types: &Value) -> Vec<&str> {
    match types {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
