//! The rewriting itself, from the root down.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::keywords::{self, Dialect, Rules};
use super::refs::Refs;
use super::{MOST_NODES, Unfit, conditions, merge};

/// Deepest nesting, references put in place included.
const DEEPEST: usize = 256;
/// Most bytes of a keyword's value that a description repeats.
const TOLD: usize = 500;

/// What happened on the way.
pub(super) struct Found {
    pub(super) closed: bool,
    pub(super) lost: Vec<String>,
}

pub(super) struct Walk<'r> {
    rules: &'static Rules,
    dialect: Dialect,
    refs: &'r Refs<'r>,
    nodes: usize,
    closed: bool,
    lost: BTreeSet<String>,
}

impl<'r> Walk<'r> {
    pub(super) fn new(dialect: Dialect, refs: &'r Refs<'r>) -> Walk<'r> {
        Walk { rules: dialect.rules(), dialect, refs, nodes: 0, closed: false, lost: BTreeSet::new() }
    }

    pub(super) fn found(self) -> Found {
        Found { closed: self.closed, lost: self.lost.into_iter().collect() }
    }

    /// Rewrites a schema and those within it.
    pub(super) fn schema(&mut self, value: &mut Value, depth: usize) -> Result<(), Unfit> {
        self.nodes += 1;
        if self.nodes > MOST_NODES || depth > DEEPEST {
            return Err(Unfit::TooLarge);
        }
        let Value::Object(node) = value else {
            return if self.rules.closes { Err(Unfit::Anything) } else { Ok(()) };
        };
        keywords::read_nullable(node);
        if node.contains_key("$ref") && self.reference(node)? {
            return Ok(());
        }
        self.all_of(node, depth)?;
        conditions::keep_branches(node);
        self.alternatives(node);
        self.one_value(node);
        self.tell_what_is_not_taken(node);
        self.object(node)?;
        if self.rules.closes && !says_a_type(node) {
            return Err(Unfit::Anything);
        }
        self.below(node, depth)
    }

    /// A reference stays where the dialect can follow it as it is; otherwise its target takes its place. Tells whether the
    /// node is settled.
    fn reference(&mut self, node: &mut Map<String, Value>) -> Result<bool, Unfit> {
        let Some(Value::String(reference)) = node.get("$ref") else { return Ok(false) };
        let reference = reference.clone();
        let recursive = self.refs.is_recursive(&reference);
        if recursive && !self.rules.recursion {
            return Err(Unfit::Recursive);
        }
        let named = reference.starts_with("#/$defs/")
            || (reference.starts_with("#/definitions/") && self.dialect != Dialect::Gemini)
            || (reference == "#" && recursive);
        let plain = node.keys().all(|key| key.starts_with('$') || !asserts(key));
        if named && (self.rules.beside_refs || plain) {
            if !self.rules.beside_refs {
                node.retain(|key, _| key.starts_with('$'));
            }
            return Ok(true);
        }
        if recursive {
            // Put in place it would have no end; what stands beside it cannot be kept.
            if !named {
                return Err(Unfit::Recursive);
            }
            self.lost.extend(node.keys().filter(|key| asserts(key)).cloned());
            node.retain(|key, _| key.starts_with('$'));
            return Ok(true);
        }
        let Some(Value::Object(target)) = self.refs.get(&reference) else { return Err(Unfit::Reference) };
        node.shift_remove("$ref");
        self.merge(node, &target.clone());
        // The target may itself be a reference.
        if node.contains_key("$ref") { self.chained(node) } else { Ok(false) }
    }

    fn chained(&mut self, node: &mut Map<String, Value>) -> Result<bool, Unfit> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(Unfit::TooLarge);
        }
        // References that are not recursive come to an end.
        self.reference(node)
    }

    fn merge(&mut self, into: &mut Map<String, Value>, from: &Map<String, Value>) {
        let mut told = Vec::new();
        merge::merge(into, from, &mut |keyword, value| told.push((keyword.to_owned(), value.clone())));
        for (keyword, value) in told {
            self.tell(into, &keyword, &value);
        }
    }

    /// `allOf` is put into the node itself.
    fn all_of(&mut self, node: &mut Map<String, Value>, depth: usize) -> Result<(), Unfit> {
        let mut depth = depth;
        while let Some(Value::Array(branches)) = node.shift_remove("allOf") {
            depth += 1;
            self.nodes += branches.len();
            if self.nodes > MOST_NODES || depth > DEEPEST {
                return Err(Unfit::TooLarge);
            }
            for branch in branches {
                self.one_of_all(node, branch)?;
            }
        }
        Ok(())
    }

    fn one_of_all(&mut self, node: &mut Map<String, Value>, branch: Value) -> Result<(), Unfit> {
        let Value::Object(mut branch) = branch else { return Ok(()) };
        while let Some(Value::String(reference)) = branch.get("$ref") {
            let reference = reference.clone();
            if self.refs.is_recursive(&reference) {
                return Err(Unfit::Recursive);
            }
            let Some(Value::Object(target)) = self.refs.get(&reference) else { return Err(Unfit::Reference) };
            branch.shift_remove("$ref");
            self.merge(&mut branch, &target.clone());
            self.nodes += 1;
        }
        // Two conditions cannot share one node; the members of their branches can.
        if branch.contains_key("if") && node.contains_key("if") {
            conditions::keep_branches(&mut branch);
            let condition: Map<String, Value> =
                ["if", "then", "else"].into_iter().filter_map(|keyword| branch.shift_remove_entry(keyword)).collect();
            self.tell(node, "if", &Value::Object(condition));
        }
        self.merge(node, &branch);
        Ok(())
    }

    /// `oneOf` is told as `anyOf`; alternatives beside members are combined with them.
    fn alternatives(&mut self, node: &mut Map<String, Value>) {
        if let Some(one) = node.shift_remove("oneOf") {
            self.lost.insert("oneOf".to_owned());
            match node.get("anyOf") {
                None => {
                    node.insert("anyOf".to_owned(), one);
                }
                Some(_) => self.tell(node, "oneOf", &one),
            }
        }
        let Some(Value::Array(branches)) = node.get("anyOf") else { return };
        // An empty list allows nothing, and nobody means that.
        let only_conditions = branches.iter().all(|branch| {
            branch.as_object().is_some_and(|branch| !says_a_type(branch) && !branch.contains_key("properties"))
        });
        if (only_conditions && says_a_type(node)) || branches.is_empty() {
            if let Some(branches) = node.shift_remove("anyOf") {
                self.tell(node, "anyOf", &branches);
            }
            return;
        }
        if self.rules.closes && node.contains_key("properties") {
            self.distribute(node);
        }
    }

    /// `{properties, anyOf}` as `{anyOf}`, whose branches hold the properties: a closed object could not have the members
    /// that a branch adds.
    fn distribute(&mut self, node: &mut Map<String, Value>) {
        let Some(Value::Array(mut branches)) = node.shift_remove("anyOf") else { return };
        let mut shared = Map::new();
        for keyword in ["type", "properties", "required", "additionalProperties"] {
            shared.extend(node.shift_remove_entry(keyword));
        }
        for branch in &mut branches {
            let Value::Object(branch) = branch else { continue };
            let mut whole = shared.clone();
            self.merge(&mut whole, branch);
            *branch = whole;
        }
        node.insert("anyOf".to_owned(), branches.into());
    }

    fn one_value(&mut self, node: &mut Map<String, Value>) {
        if let Some(value) = node.get("const")
            && !self.rules.takes("const", value)
            && !node.contains_key("enum")
            && let Some(value) = node.shift_remove("const")
        {
            node.insert("enum".to_owned(), vec![value].into());
        }
    }

    /// Keywords that the dialect does not take: what they forbid is told in the description, the others go.
    fn tell_what_is_not_taken(&mut self, node: &mut Map<String, Value>) {
        let foreign: Vec<String> = node
            .iter()
            .filter(|(keyword, value)| !self.rules.takes(keyword, value))
            .map(|(key, _)| key.clone())
            .collect();
        let mut condition = Map::new();
        for keyword in foreign {
            let Some(value) = node.shift_remove(&keyword) else { continue };
            // An open object is dealt with where objects are closed.
            match keyword.as_str() {
                "if" | "then" | "else" => {
                    condition.insert(keyword, value);
                }
                "patternProperties" if self.rules.closes => {
                    node.insert(keyword, value);
                }
                _ if asserts(&keyword) => self.tell(node, &keyword, &value),
                _ => {}
            }
        }
        if !condition.is_empty() {
            self.tell(node, "if", &Value::Object(condition));
        }
    }

    /// Says in the description what is not enforced.
    fn tell(&mut self, node: &mut Map<String, Value>, keyword: &str, value: &Value) {
        self.lost.insert(keyword.to_owned());
        let text = match (keyword, value) {
            ("if", Value::Object(_)) => value.to_string(),
            _ => Value::Object(Map::from_iter([(keyword.to_owned(), value.clone())])).to_string(),
        };
        if text.len() > TOLD {
            return;
        }
        let sentence = format!("Must satisfy {text}.");
        let description = match node.get("description") {
            Some(Value::String(known)) if !known.is_empty() => format!("{known}\n{sentence}"),
            _ => sentence,
        };
        node.insert("description".to_owned(), description.into());
    }

    /// Closes an object, and requires its members, where the dialect wants that.
    fn object(&mut self, node: &mut Map<String, Value>) -> Result<(), Unfit> {
        if !self.rules.closes || !is_an_object(node) {
            return Ok(());
        }
        let has_members = node.get("properties").and_then(Value::as_object).is_some_and(|members| !members.is_empty());
        let open = match node.get("additionalProperties") {
            None | Some(Value::Bool(true)) => true,
            Some(Value::Bool(false)) => false,
            Some(_) => return Err(Unfit::OpenObject),
        };
        // Closed, an object without members could only be empty.
        if node.contains_key("patternProperties") || (open && !has_members) {
            return Err(Unfit::OpenObject);
        }
        node.entry("type").or_insert_with(|| "object".into());
        if open {
            self.closed = true;
            node.insert("additionalProperties".to_owned(), false.into());
        }
        if self.rules.all_required { self.require_all(node) } else { Ok(()) }
    }

    /// A member that may be absent must be one that may be null: then its presence forbids nothing that was allowed.
    fn require_all(&mut self, node: &mut Map<String, Value>) -> Result<(), Unfit> {
        let Some(Value::Object(members)) = node.get("properties") else {
            node.insert("required".to_owned(), Value::Array(Vec::new()));
            return Ok(());
        };
        let required: Vec<&str> = match node.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let optional: Vec<&String> = members.keys().filter(|name| !required.contains(&name.as_str())).collect();
        if optional.is_empty() {
            return Ok(());
        }
        if !optional.iter().all(|name| members.get(*name).is_some_and(|schema| self.allows_null(schema, 0))) {
            return Err(Unfit::OptionalMember);
        }
        let all: Vec<Value> = members.keys().map(|name| name.as_str().into()).collect();
        node.insert("required".to_owned(), all.into());
        Ok(())
    }

    fn allows_null(&self, schema: &Value, depth: usize) -> bool {
        let Value::Object(node) = schema else { return false };
        if depth > DEEPEST {
            return false;
        }
        if let Some(Value::String(reference)) = node.get("$ref") {
            let target = self.refs.get(reference).filter(|_| !self.refs.is_recursive(reference));
            return target.is_some_and(|target| self.allows_null(target, depth + 1));
        }
        // OpenAPI's mark is not yet read here.
        let marked = node.get("nullable") == Some(&Value::Bool(true));
        let named = marked
            || match node.get("type") {
                Some(Value::String(name)) => name == "null",
                Some(Value::Array(names)) => names.iter().any(|name| name == "null"),
                _ => false,
            };
        let listed = match node.get("enum") {
            Some(Value::Array(values)) => marked || values.contains(&Value::Null),
            _ => true,
        };
        let branches = ["anyOf", "oneOf"].into_iter().filter_map(|keyword| node.get(keyword)?.as_array()).flatten();
        (named && listed) || branches.into_iter().any(|branch| self.allows_null(branch, depth + 1))
    }

    fn below(&mut self, node: &mut Map<String, Value>, depth: usize) -> Result<(), Unfit> {
        for (keyword, value) in node.iter_mut() {
            match (keyword.as_str(), value) {
                ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
                    for schema in schemas.values_mut() {
                        self.schema(schema, depth + 1)?;
                    }
                }
                ("anyOf" | "prefixItems", Value::Array(schemas)) => {
                    for schema in schemas {
                        self.schema(schema, depth + 1)?;
                    }
                }
                ("items", value) => self.schema(value, depth + 1)?,
                ("additionalProperties", value @ Value::Object(_)) => self.schema(value, depth + 1)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn asserts(keyword: &str) -> bool {
    keywords::asserts(keyword) || matches!(keyword, "type" | "properties" | "required" | "items" | "anyOf")
}

fn says_a_type(node: &Map<String, Value>) -> bool {
    ["type", "anyOf", "enum", "const", "$ref"].into_iter().any(|keyword| node.contains_key(keyword))
        || is_an_object(node)
}

fn is_an_object(node: &Map<String, Value>) -> bool {
    match node.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        _ => node.contains_key("properties"),
    }
}

/// Calls `change` for the members of every object below `value`, this included.
pub(super) fn each(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                change(members);
                open.extend(members.values_mut());
            }
            Value::Array(elements) => open.extend(elements),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
