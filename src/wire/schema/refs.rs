//! `$ref`: what references lead to, and which of them lead back to themselves.

use std::collections::{HashMap, HashSet};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{MOST_NODES, Unfit};

/// Most different references of one schema.
const MOST_REFS: usize = 256;

/// The references of a schema.
pub(super) struct Refs<'r> {
    root: &'r Value,
    recursive: HashSet<String>,
}

impl<'r> Refs<'r> {
    /// # Errors
    /// A reference to something outside of `root`, or to nothing; too many of them.
    pub(super) fn of(root: &'r Value) -> Result<Refs<'r>, Unfit> {
        let mut nodes = 0;
        let mut below: HashMap<String, Vec<String>> = HashMap::new();
        let mut open = references(root, &mut nodes)?;
        while let Some(reference) = open.pop() {
            if below.contains_key(&reference) {
                continue;
            }
            if below.len() == MOST_REFS {
                return Err(Unfit::TooLarge);
            }
            let target = resolve(root, &reference).ok_or(Unfit::Reference)?;
            nodes = 0;
            let found = references(target, &mut nodes)?;
            open.extend(found.iter().cloned());
            below.insert(reference, found);
        }
        let recursive = below.keys().filter(|reference| reaches_itself(reference, &below)).cloned().collect();
        Ok(Refs { root, recursive })
    }

    pub(super) fn get(&self, reference: &str) -> Option<&'r Value> {
        resolve(self.root, reference)
    }

    /// Whether the reference's target leads back to it.
    pub(super) fn is_recursive(&self, reference: &str) -> bool {
        self.recursive.contains(reference)
    }
}

fn reaches_itself(start: &str, below: &HashMap<String, Vec<String>>) -> bool {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut open: Vec<&str> = vec![start];
    while let Some(reference) = open.pop() {
        for next in below.get(reference).into_iter().flatten() {
            if next == start {
                return true;
            }
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}

/// Every reference below `value`, each once. A property may be named `$ref`; its schema is no text.
fn references(value: &Value, nodes: &mut usize) -> Result<Vec<String>, Unfit> {
    let mut found: Vec<String> = Vec::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        *nodes += 1;
        if *nodes > MOST_NODES {
            return Err(Unfit::TooLarge);
        }
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref")
                    && !found.contains(reference)
                {
                    found.push(reference.clone());
                }
                open.extend(members.values());
            }
            Value::Array(elements) => open.extend(elements),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    Ok(found)
}

/// What a reference within the document (RFC 6901, percent-encoded) leads to.
fn resolve<'r>(root: &'r Value, reference: &str) -> Option<&'r Value> {
    let pointer = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
    root.pointer(&pointer)
}

/// Rewrites the references of a schema that becomes the property `member` of another root, while its `$defs` and
/// `definitions` move to the new root.
pub(super) fn move_under(value: &mut Value, member: &str) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get_mut("$ref")
                    && let Some(pointer) = reference.strip_prefix('#')
                    && !pointer.starts_with("/$defs/")
                    && !pointer.starts_with("/definitions/")
                {
                    *reference = format!("#/properties/{member}{pointer}");
                }
                open.extend(members.values_mut());
            }
            Value::Array(elements) => open.extend(elements),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
