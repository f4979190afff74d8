//! The vendors' published schemas: every request that is written fits them, and the lists of fields have all that they name.
//! `ROUTEPLANE_CORPUS` names a folder with `specs/`; they are not part of the project, so these tests are ignored where it is
//! unset.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jsonschema::Validator;
use routeplane::wire::ledger;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{PROTOCOLS, Protocol, ProtocolId};
use serde_json::{Map, Value, json};

use super::{models, pairs};
use crate::laws::fixtures::{cases, destination, head, inbound, outbound};

/// Members that the vendor documents and that are no matter of the ledger, with the reason.
const NOT_OF_THE_LEDGER: [(ProtocolId, &str, &str); 4] = [
    (ProtocolId::OpenAiChat, "model", "names the route; what the upstream gets is the target's"),
    (ProtocolId::OpenAiResponses, "model", "names the route; what the upstream gets is the target's"),
    (ProtocolId::Gemini, "model", "stands in the path"),
    (ProtocolId::BedrockConverse, "modelId", "stands in the path"),
];

fn spec(name: &str) -> Value {
    let folder = std::env::var("ROUTEPLANE_CORPUS").expect("set ROUTEPLANE_CORPUS to the folder that holds `specs/`");
    let text = std::fs::read(PathBuf::from(folder).join("specs").join(name)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The schema of a request, `None` where none is published.
fn schema(protocol: ProtocolId) -> Option<Value> {
    match protocol {
        ProtocolId::OpenAiChat => Some(openai("CreateChatCompletionRequest")),
        ProtocolId::OpenAiResponses => Some(openai("CreateResponse")),
        ProtocolId::Gemini => Some(google("GenerateContentRequest")),
        ProtocolId::BedrockConverse => Some(bedrock("ConverseRequest")),
        ProtocolId::AnthropicMessages | ProtocolId::TensorZero | ProtocolId::TensorZeroChat => None,
    }
}

fn openai(name: &str) -> Value {
    let mut schemas = spec("openai.json")["components"]["schemas"].take();
    plain(&mut schemas);
    json!({ "$ref": format!("#/components/schemas/{name}"), "components": { "schemas": schemas } })
}

/// `nullable: true` in the words of JSON Schema. The alternatives of a `oneOf` overlap there: an `anyOf` is meant.
fn plain(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(plain),
        Value::Object(members) => {
            members.values_mut().for_each(plain);
            if let Some(alternatives) = members.remove("oneOf") {
                members.insert("anyOf".to_owned(), alternatives);
            }
            if members.remove("nullable") == Some(Value::Bool(true)) {
                let inner = Value::Object(std::mem::take(members));
                *schema = json!({ "anyOf": [inner, { "type": "null" }] });
            }
        }
        _ => {}
    }
}

/// Google's discovery document names types by their bare names, and knows no member that it does not list.
fn google(name: &str) -> Value {
    let mut schemas = spec("google-generativelanguage-v1beta.json")["schemas"].take();
    for schema in schemas.as_object_mut().unwrap().values_mut() {
        discovered(schema);
    }
    // The document names a type that it does not have.
    let text = schemas.to_string();
    for name in text.split("#/$defs/").skip(1).filter_map(|rest| rest.split('"').next()) {
        schemas.as_object_mut().unwrap().entry(name).or_insert(json!({}));
    }
    json!({ "$ref": format!("#/$defs/{name}"), "$defs": schemas })
}

fn discovered(schema: &mut Value) {
    let Value::Object(members) = schema else { return };
    // These are words of another meaning, or of none, in JSON Schema; numbers of 64 bits may come as texts.
    members.retain(|key, _| {
        matches!(key.as_str(), "type" | "properties" | "items" | "enum" | "$ref" | "additionalProperties")
    });
    if let Some(Value::String(name)) = members.get_mut("$ref") {
        *name = format!("#/$defs/{name}");
    }
    if members.get("type") == Some(&json!("any")) {
        members.remove("type");
    }
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        properties.values_mut().for_each(discovered);
        members.insert("additionalProperties".to_owned(), false.into());
    } else if let Some(more) = members.get_mut("additionalProperties") {
        discovered(more);
    }
    if let Some(items) = members.get_mut("items") {
        discovered(items);
    }
}

/// AWS's model of its shapes.
fn bedrock(name: &str) -> Value {
    let shapes = spec("bedrock-runtime.json")["shapes"].take();
    let schemas: Map<String, Value> =
        shapes.as_object().unwrap().iter().map(|(name, shape)| (name.clone(), shaped(shape))).collect();
    json!({ "$ref": format!("#/$defs/{name}"), "$defs": schemas })
}

fn shaped(shape: &Value) -> Value {
    let reference = |member: &Value| json!({ "$ref": format!("#/$defs/{}", member["shape"].as_str().unwrap()) });
    let bounded = |mut schema: Value, words: [&str; 2]| {
        for (bound, word) in [("min", words[0]), ("max", words[1])] {
            if let Some(bound) = shape.get(bound) {
                schema[word] = bound.clone();
            }
        }
        schema
    };
    match shape["type"].as_str().unwrap() {
        "structure" if shape["document"] == true => json!({}),
        "structure" => {
            let in_body = |member: &&Value| member.get("location").is_none();
            let members = shape["members"].as_object().unwrap();
            let properties: Map<String, Value> =
                members.iter().filter(|(_, m)| in_body(m)).map(|(name, m)| (name.clone(), reference(m))).collect();
            let required: Vec<&Value> = shape["required"].as_array().into_iter().flatten().collect();
            let required: Vec<&Value> =
                required.into_iter().filter(|name| properties.contains_key(name.as_str().unwrap())).collect();
            let mut schema = json!({ "type": "object", "required": required, "additionalProperties": false });
            if shape["union"] == true {
                schema["minProperties"] = 1.into();
                schema["maxProperties"] = 1.into();
            }
            schema["properties"] = properties.into();
            schema
        }
        "list" => bounded(json!({ "type": "array", "items": reference(&shape["member"]) }), ["minItems", "maxItems"]),
        "map" => json!({ "type": "object", "additionalProperties": reference(&shape["value"]) }),
        "string" => {
            let mut schema = bounded(json!({ "type": "string" }), ["minLength", "maxLength"]);
            for word in ["enum", "pattern"] {
                if let Some(value) = shape.get(word) {
                    schema[word] = value.clone();
                }
            }
            schema
        }
        "integer" | "long" => bounded(json!({ "type": "integer" }), ["minimum", "maximum"]),
        "double" | "float" => bounded(json!({ "type": "number" }), ["minimum", "maximum"]),
        "boolean" => json!({ "type": "boolean" }),
        _ => json!({ "type": "string" }),
    }
}

/// What a schema forbids and is sent nevertheless: the caller's own mistakes, which the upstream explains better, and kinds
/// of sound that only OpenAI itself refuses.
const TOLERATED: [&str; 4] = [
    "/top_p: -1 is not valid",
    "/inferenceConfig/topP: -1 is less",
    "\"format\":\"m4a\"",
    "/generationConfig/topP: -1",
];

/// The schemas, and what did not fit them: a few words each, with how often.
pub(crate) struct Judge {
    schemas: BTreeMap<ProtocolId, Validator>,
    /// Top-level members that OpenAI's schemas know; they allow any other.
    members: BTreeMap<ProtocolId, BTreeSet<String>>,
    pub(crate) faults: BTreeMap<String, usize>,
    pub(crate) judged: usize,
}

impl Judge {
    pub(crate) fn new() -> Judge {
        let mut schemas = BTreeMap::new();
        let mut members = BTreeMap::new();
        for protocol in ProtocolId::ALL {
            if let Some(schema) = schema(protocol) {
                schemas.insert(protocol, jsonschema::validator_for(&schema).unwrap());
            }
            members.insert(protocol, documented(protocol).into_iter().filter(|path| !path.contains('.')).collect());
        }
        Judge { schemas, members, faults: BTreeMap::new(), judged: 0 }
    }

    /// Writes a caller's request for every other protocol with a published schema, and judges what was written.
    pub(crate) fn judge(&mut self, source: &'static dyn Protocol, body: &Value, stream: bool) {
        if source.inbound().is_none() {
            return;
        }
        let Ok(request) = inbound(source).decode_request(&head(stream), body.to_string().as_bytes()) else { return };
        for target in PROTOCOLS.iter().copied().filter(|target| target.id() != source.id()) {
            let Some(schema) = self.schemas.get(&target.id()) else { continue };
            for model in models(target.id()) {
                let (mut out, mut losses, quirks) = (Vec::new(), Default::default(), Quirks::default());
                let written =
                    outbound(target).encode_request(&request, &destination(model, &quirks), &mut out, &mut losses);
                if written.is_err() {
                    continue;
                }
                self.judged += 1;
                let document: Value = serde_json::from_slice(&out).unwrap();
                let mut faults: Vec<String> = schema
                    .iter_errors(&document)
                    .map(|error| {
                        let place: Vec<String> = error
                            .instance_path()
                            .to_string()
                            .split('/')
                            .map(|step| step.replace(char::is_numeric, ""))
                            .collect();
                        let text = error.to_string();
                        let text = text.chars().skip(text.chars().count().saturating_sub(300));
                        format!("{}: {}", place.join("/"), text.collect::<String>())
                    })
                    .collect();
                let known = &self.members[&target.id()];
                let unknown = document.as_object().unwrap().keys().filter(|key| !known.contains(*key));
                faults.extend(unknown.map(|key| format!("/{key}: no such member")));
                for fault in faults.into_iter().filter(|fault| !TOLERATED.iter().any(|known| fault.contains(known))) {
                    *self.faults.entry(format!("{} to {}: {fault}", source.id(), target.id())).or_default() += 1;
                }
            }
        }
    }
}

#[test]
#[ignore = "set ROUTEPLANE_CORPUS"]
fn every_request_fits_the_published_schema() {
    let mut judge = Judge::new();
    for case in cases() {
        if let Some(body) = case.read("request.json") {
            judge.judge(case.protocol, &serde_json::from_slice(&body).unwrap(), case.read("response.json").is_none());
        }
    }
    for source in PROTOCOLS.iter().copied() {
        for field in ledger::fields(source.id()) {
            judge.judge(source, &ledger::exemplar(ledger::Document::Request, source.id(), field), false);
        }
    }
    println!("{} requests judged", judge.judged);
    assert!(judge.judged > pairs().len());
    assert!(judge.faults.is_empty(), "{:#?}", judge.faults);
}

/// The schema of a whole answer, `None` where none is published.
pub(super) fn answer_schema(protocol: ProtocolId) -> Option<Value> {
    match protocol {
        ProtocolId::OpenAiChat => Some(openai("CreateChatCompletionResponse")),
        ProtocolId::OpenAiResponses => Some(openai("Response")),
        ProtocolId::Gemini => Some(google("GenerateContentResponse")),
        ProtocolId::BedrockConverse => Some(bedrock("ConverseResponse")),
        ProtocolId::AnthropicMessages | ProtocolId::TensorZero | ProtocolId::TensorZeroChat => None,
    }
}

#[test]
#[ignore = "set ROUTEPLANE_CORPUS"]
fn every_translated_answer_fits_the_published_schema() {
    let mut faults: BTreeMap<String, usize> = BTreeMap::new();
    let mut judged = 0;
    for target in PROTOCOLS.iter().copied().filter(|target| target.inbound().is_some()) {
        let Some(schema) = answer_schema(target.id()) else { continue };
        let schema = jsonschema::validator_for(&schema).unwrap();
        for case in cases().into_iter().filter(|case| case.protocol.id() != target.id()) {
            let Some(body) = case.read("response.json") else { continue };
            let Ok(answer) = outbound(case.protocol).decode_response(&body, &Quirks::default()) else { continue };
            let (mut out, mut losses) = (Vec::new(), Default::default());
            inbound(target).encode_response(&answer, &mut out, &mut losses);
            judged += 1;
            for error in schema.iter_errors(&serde_json::from_slice(&out).unwrap()) {
                let text = error.to_string();
                let end: String = text.chars().skip(text.chars().count().saturating_sub(200)).collect();
                *faults.entry(format!("to {}: {}: {end}", target.id(), error.instance_path())).or_default() += 1;
            }
        }
    }
    println!("{judged} answers judged");
    assert!(faults.is_empty() && judged > 50, "{faults:#?}");
}

/// Paths of the documented members of a request: the first level, and what the published types say of the levels below.
fn documented(protocol: ProtocolId) -> BTreeSet<String> {
    let nested: &[(&str, &str)] = match protocol {
        ProtocolId::OpenAiChat
        | ProtocolId::OpenAiResponses
        | ProtocolId::AnthropicMessages
        | ProtocolId::TensorZero
        | ProtocolId::TensorZeroChat => &[],
        ProtocolId::Gemini => &[
            ("GenerationConfig", "generationConfig."),
            ("ThinkingConfig", "generationConfig.thinkingConfig."),
            ("Part", "contents.parts."),
            ("Blob", "contents.parts.inlineData."),
            ("FileData", "contents.parts.fileData."),
            ("FunctionCall", "contents.parts.functionCall."),
            ("FunctionResponse", "contents.parts.functionResponse."),
            ("Tool", "tools."),
            ("FunctionDeclaration", "tools.functionDeclarations."),
            ("ToolConfig", "toolConfig."),
            ("FunctionCallingConfig", "toolConfig.functionCallingConfig."),
        ],
        ProtocolId::BedrockConverse => &[
            ("Message", "messages."),
            ("ContentBlock", "messages.content."),
            ("ImageBlock", "messages.content.image."),
            ("ImageSource", "messages.content.image.source."),
            ("DocumentBlock", "messages.content.document."),
            ("DocumentSource", "messages.content.document.source."),
            ("ToolUseBlock", "messages.content.toolUse."),
            ("ToolResultBlock", "messages.content.toolResult."),
            ("ToolResultContentBlock", "messages.content.toolResult.content."),
            ("ReasoningContentBlock", "messages.content.reasoningContent."),
            ("SystemContentBlock", "system."),
            ("InferenceConfiguration", "inferenceConfig."),
            ("ToolConfiguration", "toolConfig."),
            ("Tool", "toolConfig.tools."),
            ("ToolSpecification", "toolConfig.tools.toolSpec."),
            ("ToolChoice", "toolConfig.toolChoice."),
            ("OutputConfig", "outputConfig."),
        ],
    };
    let Some(schema) = schema(protocol) else { return BTreeSet::new() };
    let mut paths = BTreeSet::new();
    members(&schema, &schema, "", &mut paths);
    for (name, prefix) in nested {
        members(&schema, &schema["$defs"][name], prefix, &mut paths);
    }
    paths
}

/// The members of a type, those of what it is made of included.
fn members(root: &Value, schema: &Value, prefix: &str, paths: &mut BTreeSet<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        members(root, root.pointer(reference.trim_start_matches('#')).unwrap(), prefix, paths);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        members(root, part, prefix, paths);
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    paths.extend(properties.map(|(name, _)| format!("{prefix}{name}")));
}

#[test]
#[ignore = "set ROUTEPLANE_CORPUS"]
fn the_lists_of_fields_have_all_that_the_vendors_document() {
    for protocol in ProtocolId::ALL {
        let fields = ledger::fields(protocol);
        let is_listed = |path: &String| {
            let begins = |field: &str| {
                field
                    .strip_prefix(path.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '=', ' ', '(']))
            };
            fields.iter().any(|field| begins(field.path))
                || NOT_OF_THE_LEDGER.iter().any(|(of, member, _)| *of == protocol && member == path)
        };
        let documented = documented(protocol);
        assert!(documented.len() > 20 || protocol == ProtocolId::AnthropicMessages, "{protocol}: {documented:?}");
        let missing: Vec<String> = documented.into_iter().filter(|path| !is_listed(path)).collect();
        assert_eq!(missing, [""; 0], "{protocol}");
    }
}
