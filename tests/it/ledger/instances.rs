//! Answers made of the vendors' published schemas, with everything in them that a schema knows: each member of them reaches a
//! caller of every other protocol, or is reported, or stands in the list of what says nothing.

use std::collections::BTreeMap;

use routeplane::wire::quirk::Quirks;
use routeplane::wire::{PROTOCOLS, ProtocolId};
use serde_json::{Map, Value, json};

use super::ablation::Silence;
use super::answers::{search, unexplained};
use super::schemas::answer_schema;
use crate::laws::fixtures::outbound;

/// How deep values are made. Answers are flatter; what refers to itself ends here.
const DEEPEST: usize = 14;

/// Makes values of a schema.
struct Maker<'s> {
    root: &'s Value,
    /// What a type is made as, where its schema does not say enough; by the ending of the name of the type or the member.
    fixed: BTreeMap<&'static str, Value>,
    /// Types that have one of their members at a time, though their schema does not say so, with those that may be beside it.
    unions: BTreeMap<&'static str, &'static [&'static str]>,
}

impl Maker<'_> {
    /// Values that have, together, all that the schema knows.
    fn all(&self, schema: &Value, name: &str, depth: usize) -> Vec<Value> {
        if let Some(value) = self.fixed.get(name) {
            return vec![value.clone()];
        }
        if depth > DEEPEST {
            return Vec::new();
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.root.pointer(reference.trim_start_matches('#')).unwrap();
            let name = reference.rsplit('/').next().unwrap();
            return self.all(target, name, depth + 1);
        }
        if let Some(kinds) = schema["anyOf"].as_array() {
            return kinds.iter().flat_map(|kind| self.all(kind, name, depth + 1)).collect();
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let parts: Vec<Vec<Value>> = parts.iter().map(|part| self.all(part, name, depth + 1)).collect();
            return zipped(&parts).map(merged).collect();
        }
        if let Some(value) = schema.get("const").or_else(|| schema["enum"].get(0)) {
            return vec![value.clone()];
        }
        if schema.get("properties").is_some() {
            return self.objects(schema, name, depth);
        }
        let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
        match kind {
            Some("null") => Vec::new(),
            Some("array") => vec![self.all(&schema["items"], name, depth + 1).into()],
            Some("string") => vec!["eA==".into()],
            Some("integer") => vec![7.into()],
            Some("number") => vec![0.5.into()],
            Some("boolean") => vec![true.into()],
            // A map, or a document of the model's own.
            _ => vec![json!({ "a": 1 })],
        }
    }

    fn objects(&self, schema: &Value, name: &str, depth: usize) -> Vec<Value> {
        let properties = schema["properties"].as_object().unwrap();
        let members: Vec<(&String, Vec<Value>)> = properties
            .iter()
            .map(|(member, schema)| (member, self.all(schema, member, depth + 1)))
            .filter(|(_, values)| !values.is_empty())
            .collect();
        let beside = match (self.unions.get(name), schema["maxProperties"] == 1) {
            (Some(beside), _) => *beside,
            (None, true) => &[],
            (None, false) => {
                let values: Vec<Vec<Value>> = members
                    .iter()
                    .map(|(member, values)| values.iter().map(|value| json!({ (*member): value })).collect())
                    .collect();
                return zipped(&values).map(merged).collect();
            }
        };
        let common: Map<String, Value> = members
            .iter()
            .filter(|(member, _)| beside.contains(&member.as_str()))
            .map(|(member, values)| ((*member).clone(), values[0].clone()))
            .collect();
        let alone = members.iter().filter(|(member, _)| !beside.contains(&member.as_str()));
        alone
            .flat_map(|(member, values)| values.iter().map(move |value| (member, value)))
            .map(|(member, value)| {
                let mut object = common.clone();
                object.insert((*member).clone(), value.clone());
                Value::Object(object)
            })
            .collect()
    }
}

/// The lists side by side, as long as the longest, the shorter ones from their beginning again.
fn zipped(lists: &[Vec<Value>]) -> impl Iterator<Item = Vec<&Value>> {
    let most = lists.iter().map(Vec::len).max().unwrap_or(0);
    (0..most).map(move |at| lists.iter().filter_map(|list| list.get(at % list.len().max(1))).collect())
}

fn merged(parts: Vec<&Value>) -> Value {
    let members = parts.into_iter().filter_map(Value::as_object).flatten();
    members.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<String, Value>>().into()
}

/// What the schemas do not say: JSON within texts, and states of what is finished.
fn fixed(protocol: ProtocolId) -> BTreeMap<&'static str, Value> {
    let arguments = json!(r#"{"a":1}"#);
    let mut fixed = BTreeMap::from([("arguments", arguments), ("created", json!(1_700_000_000))]);
    // These count others, too.
    let sums = ["prompt_tokens", "completion_tokens", "promptTokenCount", "candidatesTokenCount", "inputTokens"];
    fixed.extend(sums.map(|name| (name, json!(100))));
    if protocol == ProtocolId::OpenAiResponses {
        fixed.extend([("input_tokens", json!(100)), ("output_tokens", json!(100))]);
    }
    match protocol {
        ProtocolId::OpenAiChat => fixed.extend([("object", json!("chat.completion")), ("role", json!("assistant"))]),
        ProtocolId::OpenAiResponses => fixed.extend([
            ("status", json!("completed")),
            ("object", json!("response")),
            ("error", Value::Null),
            ("incomplete_details", Value::Null),
            ("role", json!("assistant")),
            ("created_at", json!(1_700_000_000)),
            // Other words than the thoughts in full.
            ("summary", json!([{ "type": "summary_text", "text": "in short" }])),
            // What was asked for is said again; it is no part of the answer.
            ("tools", json!([])),
            ("instructions", json!("i")),
        ]),
        ProtocolId::AnthropicMessages => fixed.extend([("input", json!({ "a": 1 }))]),
        ProtocolId::Gemini => fixed.extend([
            ("args", json!({ "a": 1 })),
            ("role", json!("model")),
            ("finishReason", json!("STOP")),
            // A prompt that was refused has no answer.
            ("promptFeedback", Value::Null),
            ("mimeType", json!("image/png")),
        ]),
        ProtocolId::BedrockConverse => fixed.extend([
            ("role", json!("assistant")),
            ("stopReason", json!("end_turn")),
            ("ToolResultStatus", json!("error")),
        ]),
        ProtocolId::TensorZero | ProtocolId::TensorZeroChat => {}
    }
    fixed
}

/// What is lost in silence of answers that have all that `schema` knows.
fn silent(protocol: ProtocolId, schema: &Value) -> Vec<String> {
    let beside: &[&str] = &["thought", "thoughtSignature", "partMetadata"];
    let unions = BTreeMap::from([("Part", beside)]);
    let maker = Maker { root: schema, fixed: fixed(protocol), unions };
    let answers = maker.all(schema, "", 0);
    let codec = protocol.codec().unwrap();
    let mut silence = Silence::default();
    assert!(!answers.is_empty());
    for answer in &answers {
        let read = outbound(codec).decode_response(answer.to_string().as_bytes(), &Quirks::default());
        read.unwrap_or_else(|error| panic!("{protocol}: {error:?}: {answer:#}"));
        search(&mut silence, codec, answer);
    }
    println!("{protocol}: {} answers, {} members looked at", answers.len(), silence.len());
    assert!(silence.len() > 60, "{protocol}: {} members", silence.len());
    unexplained(&silence).into_iter().map(str::to_owned).collect()
}

#[test]
#[ignore = "set ROUTEPLANE_CORPUS"]
fn no_published_member_of_an_answer_is_lost_in_silence() {
    let published = PROTOCOLS.iter().filter_map(|protocol| Some((protocol.id(), answer_schema(protocol.id())?)));
    let silent: Vec<String> = published.flat_map(|(protocol, schema)| silent(protocol, &schema)).collect();
    assert_eq!(silent, [""; 0]);
}

/// Anthropic publishes no schema; its SDK's types have one.
#[tokio::test]
async fn no_member_of_anthropics_own_types_is_lost_in_silence() {
    let mut python = crate::sdk::command_for("python/schema_of_anthropic.py").await;
    let output = python.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let schema = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(silent(ProtocolId::AnthropicMessages, &schema), [""; 0]);
}
