//! How much work a schema can make of a check.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::Unfit;
use super::refs::Refs;

/// Most schemas that may apply to one value, references followed.
const MOST_APPLIED: usize = 100_000;
/// Most ways through a recursive schema that may be tried for one answer.
const MOST_WAYS: f64 = 1_000_000.0;
/// Deepest chain of references and schemas that is followed.
const DEEPEST: usize = 1_000;

/// An upper bound of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Schemas, references that do not lead back to themselves put in place.
    pub nodes: usize,
    /// How deep an answer may nest; `None` where depth costs nothing more.
    pub deepest: Option<usize>,
}

/// Measures a schema.
///
/// # Errors
/// A schema beyond the bounds, or with a reference that leads nowhere or out of it.
pub fn size(root: &Value) -> Result<Size, Unfit> {
    let refs = Refs::of(root)?;
    let mut measure =
        Measure { refs: &refs, known: HashMap::new(), recursive: HashMap::new(), counted: HashSet::new() };
    let nodes = measure.of(root, "", 0)?;
    // Where several schemas lead on through one member, each level of the answer multiplies the ways.
    let fan = measure.recursive.values().copied().max().unwrap_or(0);
    let deepest = (fan > 1).then(|| {
        let levels = MOST_WAYS.ln() / f64::from(fan).ln();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 20")]
        let levels = levels as usize;
        levels
    });
    Ok(Size { nodes, deepest })
}

struct Measure<'r> {
    refs: &'r Refs<'r>,
    /// Sizes of what references lead to.
    known: HashMap<String, usize>,
    /// How many recursive references stand below a member of each name, each counted once by where it is in memory.
    recursive: HashMap<String, u32>,
    counted: HashSet<usize>,
}

impl Measure<'_> {
    /// `member`: the name of the member of the answer that the schema is for.
    fn of(&mut self, value: &Value, member: &str, depth: usize) -> Result<usize, Unfit> {
        if depth > DEEPEST {
            return Err(Unfit::TooLarge);
        }
        let mut nodes = 1usize;
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    nodes = nodes.saturating_add(self.reference(reference, member, depth)?);
                }
                for (keyword, value) in members {
                    match (keyword.as_str(), value) {
                        ("properties" | "patternProperties", Value::Object(schemas)) => {
                            for (name, schema) in schemas {
                                nodes = nodes.saturating_add(self.of(schema, name, depth + 1)?);
                            }
                        }
                        // Definitions count where they are used.
                        ("$defs" | "definitions" | "enum" | "const" | "default" | "examples" | "$ref", _) => {}
                        ("items" | "additionalProperties", schema) => {
                            nodes = nodes.saturating_add(self.of(schema, keyword, depth + 1)?);
                        }
                        (_, value @ (Value::Object(_) | Value::Array(_))) => {
                            nodes = nodes.saturating_add(self.of(value, member, depth + 1)?);
                        }
                        _ => {}
                    }
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    nodes = nodes.saturating_add(self.of(element, member, depth + 1)?);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        if nodes > MOST_APPLIED { Err(Unfit::TooLarge) } else { Ok(nodes) }
    }

    fn reference(&mut self, reference: &String, member: &str, depth: usize) -> Result<usize, Unfit> {
        if self.refs.is_recursive(reference) {
            if self.counted.insert(std::ptr::from_ref(reference).addr()) {
                *self.recursive.entry(member.to_owned()).or_default() += 1;
            }
            // Once, for what it holds besides what leads back.
            if self.known.contains_key(reference) {
                return Ok(1);
            }
            self.known.insert(reference.to_owned(), 1);
        } else if let Some(known) = self.known.get(reference) {
            return Ok(*known);
        }
        let target = self.refs.get(reference).ok_or(Unfit::Reference)?;
        let nodes = self.of(target, member, depth + 1)?;
        if !self.refs.is_recursive(reference) {
            self.known.insert(reference.to_owned(), nodes);
        }
        Ok(nodes)
    }
}
