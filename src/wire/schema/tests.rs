//! What becomes of schemas in each dialect.

use serde_json::json;

use super::Dialect::{Anthropic, Gemini, OpenAi};
use super::*;

fn raw(schema: &Value) -> Box<RawValue> {
    json::raw(schema.to_string()).unwrap()
}

/// The schema in the dialect, and what is no longer enforced.
fn fitted(schema: &Value, dialect: Dialect) -> Result<(Value, Vec<String>), Unfit> {
    let schema = raw(schema);
    let fitted = fit(&schema, dialect)?;
    Ok((serde_json::from_str(fitted.schema.get()).unwrap(), fitted.lost))
}

#[track_caller]
fn becomes(dialect: Dialect, schema: &Value, expected: &Value, lost: &[&str]) {
    let (actual, actually_lost) = fitted(schema, dialect).unwrap();
    assert_eq!(&actual, expected, "{dialect:?}");
    assert_eq!(actually_lost, lost, "{dialect:?}");
}

#[test]
fn a_schema_in_the_dialect_keeps_its_bytes() {
    let text = r#"{"type":"object", "properties":{"b":{"type":"string"},"a":{"type":["integer","null"]}},"required":["b","a"],"additionalProperties":false}"#;
    let schema = json::raw(text).unwrap();
    for dialect in [OpenAi, Anthropic, Gemini] {
        let fitted = fit(&schema, dialect).unwrap();
        assert!(matches!(fitted.schema, Cow::Borrowed(_)) && !fitted.closed && fitted.lost.is_empty(), "{fitted:?}");
        assert_eq!(fitted.schema.get(), text);
    }
}

#[test]
fn every_object_is_closed_and_a_property_is_no_keyword() {
    let property = json!({ "type": "string" });
    let inner = json!({ "type": ["object", "null"], "properties": { "x": property }, "additionalProperties": true });
    let schema = json!({ "type": "object", "required": ["properties", "items", "type", "$ref"], "properties": {
        "properties": { "properties": { "additionalProperties": property } },
        "items": inner,
        "type": { "anyOf": [{ "type": "null" }, { "type": "object", "properties": { "allOf": property } }] },
        "$ref": property,
    } });
    let closed = json!({ "type": "object", "required": ["properties", "items", "type", "$ref"], "properties": {
        "properties": {
            "type": "object", "properties": { "additionalProperties": property }, "additionalProperties": false,
        },
        "items": { "type": ["object", "null"], "properties": { "x": property }, "additionalProperties": false },
        "type": { "anyOf": [
            { "type": "null" },
            { "type": "object", "properties": { "allOf": property }, "additionalProperties": false },
        ] },
        "$ref": property,
    }, "additionalProperties": false });
    becomes(Anthropic, &schema, &closed, &[]);
    assert!(fit(&raw(&schema), Anthropic).unwrap().closed);
}

#[test]
fn an_object_that_closing_would_empty_is_unfit() {
    let string = json!({ "type": "string" });
    for open in [
        json!({ "type": "object" }),
        json!({ "type": "object", "additionalProperties": string }),
        json!({ "type": "object", "properties": { "a": string }, "patternProperties": { "^x": string } }),
        json!({ "type": "object", "properties": { "a": { "type": "array", "items": { "type": "object" } } }, "required": ["a"] }),
    ] {
        for dialect in [OpenAi, Anthropic] {
            assert_eq!(fitted(&open, dialect).unwrap_err(), Unfit::OpenObject, "{open}");
        }
        fitted(&open, Gemini).unwrap();
    }
    for anything in [json!({ "type": "object", "properties": { "a": {} }, "required": ["a"] }), json!({}), json!(true)]
    {
        assert_eq!(fitted(&anything, OpenAi).unwrap_err(), Unfit::Anything, "{anything}");
    }
}

#[test]
fn optional_members_are_required_only_where_they_may_be_null() {
    let schema = |optional: Value| {
        json!({ "type": "object", "additionalProperties": false, "required": ["a"],
        "properties": { "a": { "type": "string" }, "b": optional } })
    };
    for nullable in [
        json!({ "type": ["integer", "null"] }),
        json!({ "anyOf": [{ "type": "integer" }, { "type": "null" }] }),
        json!({ "type": "integer", "nullable": true }),
    ] {
        let (actual, lost) = fitted(&schema(nullable), OpenAi).unwrap();
        assert_eq!((&actual["required"], lost.len()), (&json!(["a", "b"]), 0));
    }
    for other in [json!({ "type": "integer" }), json!({ "type": ["string", "null"], "enum": ["x"] })] {
        assert_eq!(fitted(&schema(other.clone()), OpenAi).unwrap_err(), Unfit::OptionalMember, "{other}");
        becomes(Anthropic, &schema(other.clone()), &schema(other), &[]);
    }
}

#[test]
fn a_schema_that_refers_to_itself_comes_to_an_end() {
    let node = json!({ "type": "object", "properties": { "next": { "anyOf": [{ "$ref": "#" }, { "type": "null" }] } },
        "required": ["next"], "additionalProperties": false });
    let tree = json!({
        "$defs": { "t": { "type": "object", "additionalProperties": false, "required": ["kids"],
            "properties": { "kids": { "type": "array", "items": { "$ref": "#/$defs/t" } } } } },
        "type": "object", "properties": { "tree": { "$ref": "#/$defs/t" } }, "required": ["tree"],
        "additionalProperties": false,
    });
    let mutual = json!({
        "$defs": {
            "a": { "type": "object", "properties": { "b": { "$ref": "#/$defs/b" } }, "required": ["b"], "additionalProperties": false },
            "b": { "type": "array", "items": { "$ref": "#/$defs/a" } },
        },
        "type": "object", "properties": { "x": { "$ref": "#/$defs/a" } }, "required": ["x"], "additionalProperties": false,
    });
    for schema in [node, tree, mutual] {
        for dialect in [OpenAi, Gemini] {
            becomes(dialect, &schema, &schema, &[]);
        }
        assert_eq!(fitted(&schema, Anthropic).unwrap_err(), Unfit::Recursive);
    }
    for circle in [json!({ "$ref": "#" }), json!({ "allOf": [{ "$ref": "#" }] })] {
        for dialect in [OpenAi, Anthropic, Gemini] {
            // Whether it is refused or kept: it ends.
            let _ = fitted(&circle, dialect);
        }
    }
}

#[test]
fn references_are_put_in_place_where_they_cannot_stay() {
    let schema = json!({
        "definitions": { "d": { "type": "string", "enum": ["x"] } },
        "type": "object", "required": ["a", "b", "c"], "additionalProperties": false,
        "properties": {
            "a": { "type": "integer" },
            "b": { "$ref": "#/properties/a" },
            "c": { "$ref": "#/definitions/d", "description": "Which." },
        },
    });
    let (actual, lost) = fitted(&schema, OpenAi).unwrap();
    assert_eq!(actual["properties"]["b"], json!({ "type": "integer" }));
    assert_eq!(actual["properties"]["c"], json!({ "$ref": "#/definitions/d" }));
    assert_eq!(lost, Vec::<String>::new());
    let (actual, _) = fitted(&schema, Gemini).unwrap();
    assert_eq!(actual["properties"]["c"], json!({ "description": "Which.", "type": "string", "enum": ["x"] }));
    assert_eq!(actual.get("definitions"), None);
    for reference in ["https://example.com/schema.json", "#/$defs/none", "other.json#/a"] {
        let schema = json!({ "type": "object", "properties": { "a": { "$ref": reference } } });
        assert_eq!(fitted(&schema, Gemini).unwrap_err(), Unfit::Reference, "{reference}");
    }
}

#[test]
fn conditional_branches_keep_their_members() {
    let schema = json!({
        "type": "object",
        "properties": { "kind": { "enum": ["card", "cash"] } },
        "required": ["kind"],
        "allOf": [
            { "properties": { "amount": { "type": "number" } }, "required": ["amount"] },
            {
                "if": { "properties": { "kind": { "const": "card" } } },
                "then": { "properties": { "number": { "type": "string" } }, "required": ["number"] },
                "else": { "properties": { "coins": { "type": "integer" } } },
            },
        ],
    });
    let (actual, lost) = fitted(&schema, Gemini).unwrap();
    let members: Vec<&String> = actual["properties"].as_object().unwrap().keys().collect();
    assert_eq!(members, ["kind", "amount", "number", "coins"]);
    assert_eq!(actual["required"], json!(["kind", "amount"]));
    let description = actual["description"].as_str().unwrap();
    assert!(
        description.contains(r#""const":"card""#) && description.contains(r#""required":["number"]"#),
        "{description}"
    );
    assert_eq!(lost, ["if"]);
    assert!(["allOf", "if", "then", "else"].into_iter().all(|keyword| actual.get(keyword).is_none()), "{actual}");
}

#[test]
fn what_is_not_enforced_is_told_to_the_model() {
    let schema = json!({ "type": "object", "required": ["a", "b"], "additionalProperties": false, "properties": {
        "a": { "type": "string", "minLength": 3, "description": "A name.", "examples": ["x"] },
        "b": { "oneOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "format": "uri" }] },
    } });
    becomes(
        OpenAi,
        &schema,
        &json!({ "type": "object", "required": ["a", "b"], "additionalProperties": false, "properties": {
            "a": { "type": "string", "description": "A name.\nMust satisfy {\"minLength\":3}." },
            "b": { "anyOf": [
                { "type": "integer", "minimum": 1 },
                { "type": "string", "description": "Must satisfy {\"format\":\"uri\"}." },
            ] },
        } }),
        &["format", "minLength", "oneOf"],
    );
    let (actual, lost) = fitted(&schema, Anthropic).unwrap();
    assert_eq!(actual["properties"]["b"]["anyOf"][1], json!({ "type": "string", "format": "uri" }));
    assert_eq!(lost, ["minLength", "minimum", "oneOf"]);
    let constant = json!({ "type": "object", "properties": { "k": { "const": "x" } } });
    let (actual, lost) = fitted(&constant, Gemini).unwrap();
    assert_eq!((&actual["properties"]["k"], lost.len()), (&json!({ "enum": ["x"] }), 0));
}

#[test]
fn alternatives_beside_members_take_the_members_along() {
    let schema = json!({
        "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"],
        "anyOf": [
            { "properties": { "a": { "type": "string" } }, "required": ["a"] },
            { "properties": { "b": { "type": "string" } }, "required": ["b"] },
        ],
    });
    let branch = |name: &str| {
        json!({ "type": "object", "properties": { "id": { "type": "string" }, name: { "type": "string" } },
        "required": ["id", name], "additionalProperties": false })
    };
    becomes(Anthropic, &schema, &json!({ "anyOf": [branch("a"), branch("b")] }), &[]);
}

#[test]
fn a_value_that_is_no_object_is_wrapped() {
    let list = json!({ "$defs": { "p": { "type": "string" } }, "type": "array", "items": { "anyOf": [
        { "$ref": "#/$defs/p" }, { "$ref": "#" }, { "$ref": "#/items" },
    ] } });
    assert!(!is_of_an_object(&raw(&list)) && !is_of_an_object(&raw(&json!({ "$ref": "#/$defs/p", "type": "object" }))));
    assert!(is_of_an_object(&raw(&json!({ "type": "object" }))));
    let outer: Value = serde_json::from_str(wrapped(&raw(&list), "answer").unwrap().get()).unwrap();
    assert_eq!(
        outer,
        json!({ "type": "object", "$defs": { "p": { "type": "string" } }, "required": ["answer"], "additionalProperties": false,
            "properties": { "answer": { "type": "array", "items": { "anyOf": [
                { "$ref": "#/$defs/p" }, { "$ref": "#/properties/answer" }, { "$ref": "#/properties/answer/items" },
            ] } } } })
    );
}

#[test]
fn nullable_is_read_and_a_property_of_that_name_stays() {
    let google = json!({ "type": "object", "properties": {
        "nullable": { "type": "boolean", "nullable": false }, "b": { "type": "string", "nullable": true, "enum": ["x"] },
    } });
    let plain: Value = serde_json::from_str(without_nullable(&raw(&google)).unwrap().get()).unwrap();
    assert_eq!(
        plain,
        json!({ "type": "object", "properties": {
            "nullable": { "type": "boolean" }, "b": { "type": ["string", "null"], "enum": ["x", null] },
        } })
    );
    assert!(without_nullable(&raw(&json!({ "type": "string" }))).is_none());
}

#[test]
fn hostile_schemas_come_to_an_end() {
    // Each reference doubles: in place, they would be 2^40 schemas.
    let mut definitions = Map::new();
    for level in 0..40 {
        let next = json!({ "$ref": format!("#/properties/d{}", level + 1), "description": "x" });
        let two = json!({ "type": "object", "properties": { "l": next, "r": next }, "required": ["l", "r"] });
        definitions.insert(format!("d{level}"), two);
    }
    definitions.insert("d40".to_owned(), json!({ "type": "string" }));
    let all: Vec<&String> = definitions.keys().collect();
    let doubling = json!({ "type": "object", "required": all, "properties": definitions });
    for dialect in [OpenAi, Anthropic, Gemini] {
        assert_eq!(fitted(&doubling, dialect).unwrap_err(), Unfit::TooLarge);
    }
    let long = json!({ "type": "string", "description": "x".repeat(LONGEST) });
    assert_eq!(fitted(&long, OpenAi).unwrap_err(), Unfit::TooLarge);
    let wide: Map<String, Value> = (0..60_000).map(|n| (n.to_string(), json!({ "$ref": "#" }))).collect();
    assert_eq!(fitted(&json!({ "properties": wide }), OpenAi).unwrap_err(), Unfit::TooLarge);
    let deep = json::raw(format!("{}{{}}{}", r#"{"items":"#.repeat(10_000), "}".repeat(10_000)));
    let deep = deep.map(|deep| fit(&deep, Gemini).map(drop));
    assert!(matches!(deep, None | Some(Err(Unfit::TooLarge))), "{deep:?}");
    let chain: Map<String, Value> =
        (0..200).map(|n| (format!("c{n}"), json!({ "allOf": [{ "$ref": format!("#/$defs/c{}", n + 1) }] }))).collect();
    let chain = json!({ "$defs": chain, "$ref": "#/$defs/c0" });
    assert_eq!(fitted(&chain, Gemini).unwrap_err(), Unfit::Reference, "the last one leads to nothing");
}
