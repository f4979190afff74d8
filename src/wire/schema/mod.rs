//! JSON Schema, as the structured outputs of different vendors take it.
//!
//! Each vendor enforces a dialect of its own: a part of the keywords, with demands of its own. [`fit`] writes a caller's
//! schema in such a dialect. What the dialect cannot enforce goes into descriptions, where the model reads it, and is told
//! ([`Fitted::lost`]); whatever the vendor answers must also be an answer that the caller's own schema allows as far as the
//! dialect reaches, so a schema that could only be carried by allowing other answers (an optional member as a `null` that
//! the caller did not allow) is refused ([`Unfit`]) and obtained by other means.
//!
//! Bounded: a schema is no deeper than the request that holds it, references are put in place only up to
//! [`MOST_NODES`], and a reference that leads back to itself stays a reference.

mod conditions;
mod keywords;
mod merge;
mod refs;
mod size;
mod walk;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::json;
pub use keywords::Dialect;
pub use size::{Size, size};

/// Longest schema that is rewritten, in bytes.
pub const LONGEST: usize = 1 << 20;
/// Most schemas within one schema, references put in place included.
pub const MOST_NODES: usize = 50_000;

/// A schema in a vendor's dialect.
#[derive(Debug)]
pub struct Fitted<'s> {
    /// The caller's own bytes where nothing had to change.
    pub schema: Cow<'s, RawValue>,
    /// Objects were closed with `additionalProperties: false`.
    pub closed: bool,
    /// Keywords that are no longer enforced, each once, in alphabetical order.
    pub lost: Vec<String>,
}

/// Why a schema has no form in a dialect. The text continues "the schema ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It refers to itself, and the dialect has no recursion.
    Recursive,
    /// It has objects whose members may have any name.
    OpenObject,
    /// It allows members to be absent, and the dialect wants every member.
    OptionalMember,
    /// It allows any value somewhere.
    Anything,
    /// It refers to something outside of itself, or to nothing.
    Reference,
    /// It is too large, or grows too large when its references are put in place.
    TooLarge,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unfit::Recursive => "refers to itself",
            Unfit::OpenObject => "has objects whose members may have any name",
            Unfit::OptionalMember => "has optional members that may not be null",
            Unfit::Anything => "allows any value somewhere",
            Unfit::Reference => "refers to something that is not in it",
            Unfit::TooLarge => "is too large to be rewritten",
        })
    }
}

/// Writes `schema` in `dialect`.
///
/// # Errors
/// A schema that the dialect cannot express without allowing answers that the schema forbids.
pub fn fit(schema: &RawValue, dialect: Dialect) -> Result<Fitted<'_>, Unfit> {
    if schema.get().len() > LONGEST {
        return Err(Unfit::TooLarge);
    }
    let root: Value = serde_json::from_str(schema.get()).map_err(|_| Unfit::TooLarge)?;
    let refs = refs::Refs::of(&root)?;
    let mut fitted = root.clone();
    let mut walk = walk::Walk::new(dialect, &refs);
    walk.schema(&mut fitted, 0)?;
    let walk::Found { closed, lost } = walk.found();
    let rewritten = if fitted == root { None } else { json::raw(fitted.to_string()) };
    Ok(Fitted { schema: rewritten.map_or(Cow::Borrowed(schema), Cow::Owned), closed, lost })
}

/// Whether every answer to `schema` is an object, as far as its root tells. Vendors want that of the root.
pub fn is_of_an_object(schema: &RawValue) -> bool {
    let Ok(root) = json::Object::of(schema) else { return false };
    let split = ["$ref", "anyOf", "oneOf", "allOf", "enum", "const"].into_iter().any(|key| root.get(key).is_some());
    let named = root.get("type").and_then(json::str_of).is_some_and(|name| name == "object");
    named && !split
}

/// The schema of an object whose only member, `member`, holds what `schema` describes. References keep their meaning.
pub fn wrapped(schema: &RawValue, member: &str) -> Option<Box<RawValue>> {
    let mut inner: Value = serde_json::from_str(schema.get()).ok()?;
    refs::move_under(&mut inner, member);
    let mut outer = Map::new();
    outer.insert("type".to_owned(), "object".into());
    if let Value::Object(inner) = &mut inner {
        for definitions in ["$defs", "definitions"] {
            if let Some(moved) = inner.shift_remove(definitions) {
                outer.insert(definitions.to_owned(), moved);
            }
        }
    }
    outer.insert("properties".to_owned(), Value::Object(Map::from_iter([(member.to_owned(), inner)])));
    outer.insert("required".to_owned(), vec![member].into());
    outer.insert("additionalProperties".to_owned(), false.into());
    json::raw(Value::Object(outer).to_string())
}

/// OpenAPI's `nullable: true`, which Google's callers write, as JSON Schema says it. `None` where there is none.
pub fn without_nullable(schema: &RawValue) -> Option<Box<RawValue>> {
    if !schema.get().contains("\"nullable\"") {
        return None;
    }
    let root: Value = serde_json::from_str(schema.get()).ok()?;
    let mut changed = root.clone();
    walk::each(&mut changed, &mut keywords::read_nullable);
    if changed == root { None } else { json::raw(changed.to_string()) }
}
