//! Whether an answer has the form that was asked for. Schemas and answers are strangers' texts: no schema makes a check run
//! for longer than its bounds allow; what is beyond them is not checked, and said to be so.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::wire::ir::{Candidate, FinishReason, Part};
use crate::wire::schema::{self, Size};

/// Most bytes of an answer that are checked.
const LONGEST_ANSWER: usize = 8 << 20;
/// Most pairs of a value in the answer and a schema that may meet.
const MOST_MEETINGS: usize = 50_000_000;
/// Most steps back that a pattern with look-around may take for one text; other patterns take none.
const BACKTRACKS: usize = 10_000;
/// Most bytes of a compiled pattern.
const PATTERN_SIZE: usize = 1 << 20;

/// The form that was asked for, compiled.
pub struct Checker {
    form: Form,
}

enum Form {
    Object,
    Schema {
        validator: Box<Validator>,
        size: Size,
    },
    /// The schema cannot be used; why.
    Unusable(&'static str),
}

/// What became of an answer's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Valid,
    /// It had the form once it was mended.
    Repaired,
    Invalid(Violation),
    /// The model refused; its words have no form.
    Refused,
    /// The limit of the answer's length cut it, or its end never came.
    Cut,
    /// The model calls a tool; the answer is yet to come.
    Called,
    /// Nobody can tell: the schema or the answer is beyond the bounds; why.
    Unchecked(&'static str),
}

impl Verdict {
    /// For headers, logs and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::Repaired => "repaired",
            Verdict::Invalid(_) => "invalid",
            Verdict::Refused => "refused",
            Verdict::Cut => "cut",
            Verdict::Called => "called",
            Verdict::Unchecked(_) => "unchecked",
        }
    }
}

/// The first thing about an answer that is not as its schema says. Never holds what the answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON Pointer into the answer; `None` where it is no JSON at all.
    pub pointer: Option<String>,
    /// JSON Pointer into the schema; empty where there is none.
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.pointer, self.rule.as_str()) {
            (None, _) => f.write_str("it is not JSON"),
            (Some(_), "") => f.write_str("it is not a JSON object"),
            (Some(pointer), rule) if pointer.is_empty() => write!(f, "as a whole it breaks `{rule}` of the schema"),
            (Some(pointer), rule) => write!(f, "at `{pointer}` it breaks `{rule}` of the schema"),
        }
    }
}

/// A schema is long, and a caller's own: its kind is all that is shown.
impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.form {
            Form::Object => "Checker(object)",
            Form::Schema { .. } => "Checker(schema)",
            Form::Unusable(_) => "Checker(unusable)",
        })
    }
}

impl Checker {
    /// For JSON mode.
    pub fn of_objects() -> Checker {
        Checker { form: Form::Object }
    }

    /// For a JSON Schema. Nothing outside of it is fetched.
    pub fn of_schema(schema: &RawValue) -> Checker {
        Checker { form: compile(schema).unwrap_or_else(Form::Unusable) }
    }

    /// Judges one of an answer's candidates.
    pub fn judge(&self, candidate: &Candidate) -> Verdict {
        let mut text = String::new();
        let mut called = false;
        for part in &candidate.parts {
            match part {
                Part::Text(piece) => text.push_str(&piece.text),
                Part::Refusal(words) if !words.text.is_empty() => return Verdict::Refused,
                Part::ToolCall(_) => called = true,
                Part::Refusal(_) | Part::Media(_) | Part::Reasoning(_) | Part::ToolResult(_) | Part::Opaque(_) => {}
            }
        }
        let reason = candidate.finish.as_ref().map(|finish| finish.reason);
        match reason {
            Some(FinishReason::Refusal | FinishReason::ContentFilter) => Verdict::Refused,
            Some(FinishReason::Length | FinishReason::ContextWindow) => Verdict::Cut,
            Some(FinishReason::ToolCalls) => Verdict::Called,
            _ if called => Verdict::Called,
            _ => self.text(&text),
        }
    }

    /// Judges an answer's text.
    pub fn text(&self, text: &str) -> Verdict {
        if text.len() > LONGEST_ANSWER {
            return Verdict::Unchecked("the answer is too long to be checked");
        }
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return Verdict::Invalid(Violation { pointer: None, rule: String::new() });
        };
        match &self.form {
            Form::Object if value.is_object() => Verdict::Valid,
            Form::Object => Verdict::Invalid(Violation { pointer: Some(String::new()), rule: String::new() }),
            Form::Unusable(why) => Verdict::Unchecked(why),
            Form::Schema { validator, size } => validate(validator, *size, &value),
        }
    }
}

fn validate(validator: &Validator, size: Size, value: &Value) -> Verdict {
    let (nodes, depth) = extent(value);
    if size.nodes.saturating_mul(nodes) > MOST_MEETINGS || size.deepest.is_some_and(|deepest| depth > deepest) {
        return Verdict::Unchecked("this answer against this schema would take too long to check");
    }
    let Err(error) = validator.validate(value) else { return Verdict::Valid };
    match error.kind() {
        ValidationErrorKind::BacktrackLimitExceeded { .. } => {
            Verdict::Unchecked("a pattern of the schema takes too long to check")
        }
        _ => Verdict::Invalid(Violation {
            pointer: Some(error.instance_path().to_string()),
            rule: error.schema_path().to_string(),
        }),
    }
}

fn compile(schema: &RawValue) -> Result<Form, &'static str> {
    let plain = schema::without_nullable(schema);
    let text = plain.as_deref().unwrap_or(schema).get();
    if text.len() > schema::LONGEST {
        return Err("the schema is too long to be checked against");
    }
    let root: Value = serde_json::from_str(text).map_err(|_| "the schema is nested too deep to be checked against")?;
    let size = schema::size(&root).map_err(|_| "the schema is too large, or refers to something that is not in it")?;
    // Patterns of the usual kind run in linear time; only a schema that needs look-around gets the other engine.
    let linear = PatternOptions::regex().size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE);
    let validator = jsonschema::options().offline().with_pattern_options(linear).build(&root).or_else(|_| {
        let bounded = PatternOptions::fancy_regex()
            .backtrack_limit(BACKTRACKS)
            .size_limit(PATTERN_SIZE)
            .dfa_size_limit(PATTERN_SIZE);
        jsonschema::options().offline().with_pattern_options(bounded).build(&root)
    });
    let validator = validator.map_err(|_| "the schema is no valid JSON Schema, or a pattern of it is too large")?;
    Ok(Form::Schema { validator: Box::new(validator), size })
}

/// How many values there are, and how deep they nest.
fn extent(value: &Value) -> (usize, usize) {
    let (mut nodes, mut deepest) = (0, 0);
    let mut open = vec![(value, 0)];
    while let Some((value, depth)) = open.pop() {
        nodes += 1;
        deepest = deepest.max(depth);
        match value {
            Value::Object(members) => open.extend(members.values().map(|member| (member, depth + 1))),
            Value::Array(elements) => open.extend(elements.iter().map(|element| (element, depth + 1))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    (nodes, deepest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::ir::{Finish, Text};
    use crate::wire::json::{self, Ext};

    fn checker(schema: &Value) -> Checker {
        Checker::of_schema(&json::raw(schema.to_string()).unwrap())
    }

    fn violation(pointer: &str, rule: &str) -> Verdict {
        Verdict::Invalid(Violation { pointer: Some(pointer.into()), rule: rule.into() })
    }

    #[test]
    fn the_first_violation_is_told_by_pointers_and_never_by_content() {
        let schema = json!({ "type": "object", "required": ["a"], "properties": {
            "a": { "type": "array", "items": { "type": "integer", "nullable": true } },
        }, "additionalProperties": false });
        let checker = checker(&schema);
        assert_eq!(checker.text(r#"{"a":[1,null]}"#), Verdict::Valid);
        let wrong = checker.text(r#"{"a":[1,"SECRET"]}"#);
        assert_eq!(wrong, violation("/a/1", "/properties/a/items/type"));
        let Verdict::Invalid(violation) = wrong else { panic!() };
        assert_eq!(violation.to_string(), "at `/a/1` it breaks `/properties/a/items/type` of the schema");
        let Verdict::Invalid(unknown) = checker.text(r#"{"a":[],"SECRET":1}"#) else { panic!() };
        assert!(!unknown.to_string().contains("SECRET"), "{unknown}");
        let Verdict::Invalid(prose) = checker.text("SECRET") else { panic!() };
        assert_eq!(prose.to_string(), "it is not JSON");
    }

    #[test]
    fn json_mode_wants_an_object() {
        let checker = Checker::of_objects();
        assert_eq!(checker.text("{}"), Verdict::Valid);
        let Verdict::Invalid(list) = checker.text("[]") else { panic!() };
        assert_eq!(list.to_string(), "it is not a JSON object");
    }

    #[test]
    fn refusals_cuts_and_calls_are_not_invalid() {
        let checker = Checker::of_objects();
        let mut candidate = Candidate { parts: vec![Part::Text(Text::new("{\"a"))], finish: None, ext: Ext::default() };
        for (reason, expected) in [
            (FinishReason::Refusal, Verdict::Refused),
            (FinishReason::ContentFilter, Verdict::Refused),
            (FinishReason::Length, Verdict::Cut),
            (FinishReason::ContextWindow, Verdict::Cut),
            (FinishReason::ToolCalls, Verdict::Called),
        ] {
            candidate.finish = Some(Finish::new(reason));
            assert_eq!(checker.judge(&candidate), expected);
        }
        candidate.finish = Some(Finish::new(FinishReason::Stop));
        assert!(matches!(checker.judge(&candidate), Verdict::Invalid(_)));
        candidate.parts = vec![Part::Refusal(Text::new("no"))];
        assert_eq!(checker.judge(&candidate), Verdict::Refused);
    }

    #[test]
    fn patterns_cannot_run_away() {
        let bomb = checker(&json!({ "type": "string", "pattern": "^(a+)+$" }));
        let text = format!("\"{}!\"", "a".repeat(50_000));
        assert_eq!(bomb.text(&text), violation("", "/pattern"));
        let around = checker(&json!({ "type": "string", "pattern": "^(?!x)(a+)+\\1$" }));
        assert!(matches!(around.text(&text), Verdict::Unchecked(_)));
        let email = checker(&json!({ "type": "string", "pattern": "^(?!\\.)[a-z.]+@[a-z.]+$" }));
        assert_eq!(email.text("\"a@b.c\""), Verdict::Valid);
        let huge = checker(&json!({ "type": "string", "pattern": "((a{1000}){1000}){1000}" }));
        assert!(matches!(huge.text("\"a\""), Verdict::Unchecked(_)));
    }

    #[test]
    fn schemas_that_multiply_are_not_checked() {
        let mut definitions = serde_json::Map::new();
        for level in 0..40 {
            let next = json!({ "$ref": format!("#/$defs/d{}", level + 1) });
            definitions.insert(format!("d{level}"), json!({ "anyOf": [next, next] }));
        }
        definitions.insert("d40".into(), json!({ "type": "string" }));
        let doubling = checker(&json!({ "$defs": definitions, "$ref": "#/$defs/d0" }));
        assert!(matches!(doubling.text("1"), Verdict::Unchecked(_)));

        let branch = json!({ "type": "object", "properties": { "x": { "$ref": "#" } }, "required": ["x"] });
        let twice = checker(&json!({ "anyOf": [branch, branch, { "type": "integer" }] }));
        let nested = |depth: usize| format!("{}\"no\"{}", r#"{"x":"#.repeat(depth), "}".repeat(depth));
        assert!(matches!(twice.text(&nested(5)), Verdict::Invalid(_)));
        assert!(matches!(twice.text(&nested(60)), Verdict::Unchecked(_)));
        let list = checker(&json!({ "type": "object", "properties": { "next": { "$ref": "#" } } }));
        let long = format!("{}1{}", r#"{"next":"#.repeat(100), "}".repeat(100));
        assert!(matches!(list.text(&long), Verdict::Invalid(_)), "a list is no tree");
    }

    #[test]
    fn nothing_is_fetched_and_nonsense_is_not_checked() {
        for schema in [
            json!({ "$ref": "http://127.0.0.1:1/schema.json" }),
            json!({ "$ref": "file:///etc/passwd" }),
            json!({ "$schema": "http://127.0.0.1:1/meta.json", "type": "object" }),
            json!({ "type": "nonsense" }),
        ] {
            assert!(matches!(checker(&schema).text("{}"), Verdict::Unchecked(_)), "{schema}");
        }
    }
}
