//! Which keywords each dialect enforces, and which say something that must be enforced at all.

use serde_json::{Map, Value};

/// Whose structured outputs a schema is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's `strict: true`: closed objects, every member required, no composition but `anyOf`.
    OpenAi,
    /// Anthropic's `output_config.format`, and Claude's at Bedrock: closed objects, no recursion, no bounds of numbers.
    Anthropic,
    /// Google's `responseJsonSchema`: a list of keywords, conditions are not among them.
    Gemini,
}

/// What a dialect takes and wants.
pub(super) struct Rules {
    /// Keywords that are enforced, or read, besides `type`, `properties`, `required`, `items`, `anyOf` and `enum`.
    keywords: &'static [&'static str],
    /// Values of `format`; `None`: any.
    formats: Option<&'static [&'static str]>,
    /// Every object must say `additionalProperties: false`.
    pub(super) closes: bool,
    /// Every member must be required.
    pub(super) all_required: bool,
    pub(super) recursion: bool,
    /// Keywords may stand beside `$ref`.
    pub(super) beside_refs: bool,
}

const COMMON: [&str; 8] = ["type", "properties", "required", "items", "anyOf", "enum", "description", "$ref"];

const OPENAI: Rules = Rules {
    keywords: &[
        "$defs",
        "definitions",
        "title",
        "const",
        "additionalProperties",
        "pattern",
        "format",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
    ],
    formats: Some(&["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]),
    closes: true,
    all_required: true,
    recursion: true,
    beside_refs: false,
};

const ANTHROPIC: Rules = Rules {
    keywords: &["$defs", "definitions", "title", "const", "default", "additionalProperties", "pattern", "format"],
    formats: Some(&["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"]),
    closes: true,
    all_required: false,
    recursion: false,
    beside_refs: true,
};

const GEMINI: Rules = Rules {
    keywords: &[
        "$defs",
        "$id",
        "$anchor",
        "title",
        "format",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "additionalProperties",
        "propertyOrdering",
    ],
    formats: None,
    closes: false,
    all_required: false,
    recursion: true,
    beside_refs: false,
};

/// Keywords that forbid something. What is not among them only describes, and can be left out in silence.
const ASSERTIONS: [&str; 33] = [
    "additionalItems",
    "additionalProperties",
    "allOf",
    "const",
    "contains",
    "contentEncoding",
    "contentSchema",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "pattern",
    "prefixItems",
    "propertyNames",
    "then",
    "uniqueItems",
];

/// Further ones, about members that no other keyword names.
const OPEN_ASSERTIONS: [&str; 4] = ["oneOf", "patternProperties", "unevaluatedItems", "unevaluatedProperties"];

impl Dialect {
    pub(super) fn rules(self) -> &'static Rules {
        match self {
            Dialect::OpenAi => &OPENAI,
            Dialect::Anthropic => &ANTHROPIC,
            Dialect::Gemini => &GEMINI,
        }
    }
}

impl Rules {
    /// Whether the dialect takes this keyword with this value.
    pub(super) fn takes(&self, keyword: &str, value: &Value) -> bool {
        match (keyword, self.formats) {
            ("format", Some(formats)) => value.as_str().is_some_and(|format| formats.contains(&format)),
            _ => COMMON.contains(&keyword) || self.keywords.contains(&keyword),
        }
    }
}

pub(super) fn asserts(keyword: &str) -> bool {
    ASSERTIONS.contains(&keyword) || OPEN_ASSERTIONS.contains(&keyword)
}

/// `nullable: true` as a type of its own; the mark goes either way.
pub(super) fn read_nullable(node: &mut Map<String, Value>) {
    // A property may have this name, but then its schema is no truth value.
    let Some(Value::Bool(nullable)) = node.get("nullable") else { return };
    let nullable = *nullable;
    node.shift_remove("nullable");
    if !nullable {
        return;
    }
    match node.get_mut("type") {
        Some(Value::String(name)) => {
            let name = std::mem::take(name);
            node.insert("type".to_owned(), vec![name, "null".to_owned()].into());
        }
        Some(Value::Array(names)) if !names.iter().any(|name| name == "null") => names.push("null".into()),
        _ => {}
    }
    if let Some(Value::Array(values)) = node.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}
