//! Arguments that come in pieces, each at a path: `{"jsonPath": "$.city", "stringValue": "Par", "willContinue": true}`.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::wire::json::{JsonError, Object};

/// Longest path, and longest array that a path may ask for: the text is a stranger's.
const MOST: usize = 10_000;

/// The arguments as far as they have come.
#[derive(Default)]
pub(super) struct PartialArguments {
    root: Map<String, Value>,
}

enum Step {
    Key(String),
    Position(usize),
}

impl PartialArguments {
    /// Adds a piece. Texts of one path go on; other values replace. A path that cannot be understood is left out.
    ///
    /// # Errors
    /// A piece that is not an object, or a member of the wrong type.
    pub(super) fn add(&mut self, piece: &RawValue) -> Result<(), JsonError> {
        let mut piece = Object::of(piece)?;
        let path = piece.string("jsonPath")?.unwrap_or_default();
        let Some(value) = value_of(&mut piece)? else { return Ok(()) };
        let Some((Step::Key(first), rest)) = steps(&path).map(split_first).unwrap_or_default() else { return Ok(()) };
        let mut place = self.root.entry(first).or_insert(Value::Null);
        for step in rest {
            let Some(inner) = descend(place, step) else { return Ok(()) };
            place = inner;
        }
        match (place, value) {
            (Value::String(text), Value::String(more)) => text.push_str(&more),
            (place, value) => *place = value,
        }
        Ok(())
    }

    /// JSON text of the whole.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(&self.root).unwrap_or_else(|_| "{}".to_owned())
    }
}

fn split_first(steps: Vec<Step>) -> Option<(Step, Vec<Step>)> {
    let mut steps = steps.into_iter();
    Some((steps.next()?, steps.collect()))
}

fn value_of(piece: &mut Object<'_>) -> Result<Option<Value>, JsonError> {
    if let Some(text) = piece.string("stringValue")? {
        return Ok(Some(Value::String(text)));
    }
    if let Some(number) = piece.number("numberValue")? {
        return Ok(Some(Value::Number(number)));
    }
    if let Some(truth) = piece.bool("boolValue")? {
        return Ok(Some(Value::Bool(truth)));
    }
    Ok(piece.take("nullValue").map(|_| Value::Null))
}

/// The place one step further in, made where it is not there yet.
fn descend(place: &mut Value, step: Step) -> Option<&mut Value> {
    match step {
        Step::Key(key) => {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            Some(place.as_object_mut()?.entry(key).or_insert(Value::Null))
        }
        Step::Position(position) => {
            if place.is_null() {
                *place = Value::Array(Vec::new());
            }
            let items = place.as_array_mut()?;
            while items.len() <= position {
                items.push(Value::Null);
            }
            items.get_mut(position)
        }
    }
}

/// Reads `$.a.b[0]['c']`, `None` where the path is anything else.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$').filter(|_| path.len() <= MOST)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let (key, after) = tail.split_at_checked(end)?;
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        } else {
            let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = ['\'', '"'].into_iter().find_map(|q| inside.strip_prefix(q)?.strip_suffix(q));
            steps.push(match quoted {
                Some(key) => Step::Key(key.to_owned()),
                None => Step::Position(inside.parse().ok().filter(|&position| position < MOST)?),
            });
            rest = after;
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(pieces: &[&str]) -> String {
        let mut arguments = PartialArguments::default();
        for piece in pieces {
            arguments.add(&crate::wire::json::raw(*piece).unwrap()).unwrap();
        }
        arguments.text()
    }

    #[test]
    fn pieces_become_one_object() {
        let text = built(&[
            r#"{"jsonPath":"$.city","stringValue":"Par","willContinue":true}"#,
            r#"{"jsonPath":"$.city","stringValue":"is"}"#,
            r#"{"jsonPath":"$.days[1].n","numberValue":2}"#,
            r#"{"jsonPath":"$['a.b']","boolValue":false}"#,
            r#"{"jsonPath":"$.none","nullValue":"NULL_VALUE"}"#,
        ]);
        assert_eq!(text, r#"{"city":"Paris","days":[null,{"n":2}],"a.b":false,"none":null}"#);
    }

    #[test]
    fn paths_that_make_no_sense_are_left_out() {
        let text = built(&[
            r#"{"jsonPath":"city","stringValue":"x"}"#,
            r#"{"jsonPath":"$.a[99999999]","stringValue":"x"}"#,
            r#"{"jsonPath":"$","stringValue":"x"}"#,
        ]);
        assert_eq!(text, "{}");
    }
}
