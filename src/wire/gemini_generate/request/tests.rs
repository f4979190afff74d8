use serde_json::{Value, json};

use super::*;
use crate::wire::ir::{
    ContentShape, Media, MediaKind, MediaSource, Message, OutputFormat, Part, Reasoning, ReasoningEffort,
    ReasoningRequest, Request, Role, Sampling, Signature, Text, Tool, ToolCall, ToolChoice, ToolKind, ToolResult,
};
use crate::wire::json::{Ext, raw};
use crate::wire::loss::Losses;
use crate::wire::quirk::Quirks;
use crate::wire::{Destination, Head, Operation, ProtocolId};

/// A chat request with these messages and nothing else.
fn foreign(messages: Vec<Message>) -> Request {
    Request {
        origin: ProtocolId::OpenAiChat,
        model: "m".into(),
        stream: false,
        stream_given: false,
        include_usage: None,
        messages,
        tools: None,
        tool_choice: None,
        parallel_tool_calls: None,
        sampling: Sampling::default(),
        reasoning: None,
        output: None,
        user: None,
        metadata: None,
        ext: Ext::default(),
    }
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, role_raw: None, parts, shape: ContentShape::Parts, name: None, ext: Ext::default() }
}

fn text(text: &str) -> Part {
    Part::Text(Text::new(text))
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    let (id, name, arguments) = (Some(id.to_owned()), name.to_owned(), arguments.to_owned());
    Part::ToolCall(ToolCall { id, name, arguments, signature: None, ext: Ext::default() })
}

fn result(id: &str, content: Vec<Part>) -> Message {
    let result = ToolResult {
        call_id: Some(id.to_owned()),
        name: None,
        content,
        shape: ContentShape::Text,
        is_error: None,
        ext: Ext::default(),
    };
    message(Role::Tool, vec![Part::ToolResult(result)])
}

fn image(url: &str) -> Part {
    let source = MediaSource::Url { url: url.to_owned(), media_type: None };
    Part::Media(Media { kind: MediaKind::Image, source, detail: None, name: None, ext: Ext::default() })
}

fn written_for(model: &str, request: &Request) -> (Value, String) {
    let quirks = Quirks::default();
    let destination = Destination { model, quirks: &quirks, max_output_tokens: None };
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    encode(request, &destination, &mut out, &mut losses).unwrap();
    (serde_json::from_slice(&out).unwrap(), losses.to_string())
}

fn written(request: &Request) -> (Value, String) {
    written_for("gemini-2.5-flash", request)
}

/// Reads a caller's document and writes it again.
fn round(document: &Value) -> Value {
    let head = Head { operation: Operation::Generate, path_model: Some("m"), path_stream: false, alt_sse: false };
    let request = decode(&head, document.to_string().as_bytes()).unwrap();
    let (back, losses) = written(&request);
    assert_eq!(losses, "", "to its own protocol nothing is lost");
    back
}

#[test]
fn documents_with_odd_spelling_come_back() {
    for document in [
        json!({"contents": [{"parts": [{"text": "no role"}]}], "generationConfig": {}, "toolConfig": {}, "labels": {"a": "b"}}),
        json!({"contents": [{"role": "function", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}, {"role": "model"}]}),
        json!({"systemInstruction": {"parts": {"text": "bare"}, "role": "user"}, "contents": [], "safetySettings": null}),
        json!({"contents": [], "generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING"}}}),
        json!({"contents": [], "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}}),
        json!({"contents": [], "generationConfig": {"thinkingConfig": {"thinkingLevel": "low", "includeThoughts": true}}}),
        json!({"contents": [], "generationConfig": {"thinkingConfig": {"thinkingBudget": -1}, "speechConfig": {"a": null}}}),
        json!({"contents": [], "generationConfig": {"topK": 40.0, "stopSequences": ["1", "2", "3", "4", "5", "6"]}}),
        json!({"contents": [], "toolConfig": {"functionCallingConfig": {"mode": "any"}, "includeServerSideToolInvocations": true}}),
        json!({"contents": [], "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}}}),
        json!({"contents": [], "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}}),
        json!({"contents": [], "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": []}}}),
        json!({"contents": [], "tools": []}),
    ] {
        assert_eq!(round(&document), document);
    }
}

#[test]
fn snake_case_means_the_same() {
    let [snake, camel] = ["request-snake.json", "request.json"].map(|file| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/gemini_generate/snake-case/");
        serde_json::from_slice::<Value>(&std::fs::read(format!("{folder}{file}")).unwrap()).unwrap()
    });
    assert_eq!(round(&snake), camel);
}

#[test]
fn tools_keep_their_elements_and_their_schemas() {
    let f =
        |name: &str| json!({"name": name, "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}});
    let g = json!({"name": "g", "description": "", "parametersJsonSchema": {"type": "object"}, "behavior": "BLOCKING"});
    let document = json!({"contents": [], "tools": [
        {"functionDeclarations": [f("a"), g]},
        {"functionDeclarations": [f("b")], "codeExecution": {}},
        {"googleSearch": {"timeRangeFilter": {}}},
        {"functionDeclarations": [f("c")], "urlContext": null},
    ]});
    assert_eq!(round(&document), document);
}

#[test]
fn system_texts_lead_or_are_folded() {
    let request = foreign(vec![
        message(Role::System, vec![text("one")]),
        message(Role::Developer, vec![text("two")]),
        message(Role::User, vec![text("hi"), text("")]),
        message(Role::Assistant, vec![text("hello")]),
        message(Role::System, vec![text("be brief")]),
        message(Role::User, vec![text("go on")]),
    ]);
    let (document, losses) = written(&request);
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "one"}, {"text": "two"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [{"text": "hello"}]},
            {"role": "user", "parts": [{"text": "be brief"}, {"text": "go on"}]},
        ],
    });
    assert_eq!(document, expected);
    assert_eq!(losses, "messages.role=degraded");
    let (document, _) = written(&foreign(vec![message(Role::System, vec![text("alone")])]));
    assert_eq!(document, json!({"contents": [{"role": "user", "parts": [{"text": "alone"}]}]}));
}

#[test]
fn results_follow_their_calls_in_their_order() {
    let mut failed = result("b", vec![text("boom")]);
    let Part::ToolResult(inner) = &mut failed.parts[0] else { panic!("a result") };
    inner.is_error = Some(true);
    let request = foreign(vec![
        message(Role::User, vec![text("go")]),
        message(
            Role::Assistant,
            vec![text("so"), call("a", "read", r#"{"p":1.0}"#), call("b", "write", ""), call("c", "read", "[")],
        ),
        failed,
        result("c", vec![text("[1]")]),
        result("a", vec![text(r#"{"t": 21}"#)]),
        message(Role::User, vec![text("and?")]),
        // The same id once more: ids are unique within a turn only.
        message(Role::Assistant, vec![call("a", "list", "{}")]),
        result("a", vec![text("none")]),
    ]);
    let (document, losses) = written(&request);
    let contents = json!([
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [
            {"text": "so"},
            {"functionCall": {"name": "read", "args": {"p": 1.0}}},
            {"functionCall": {"name": "write", "args": {}}},
            {"functionCall": {"name": "read", "args": {"_raw": "["}}},
        ]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "read", "response": {"t": 21}}},
            {"functionResponse": {"name": "write", "response": {"error": "boom"}}},
            {"functionResponse": {"name": "read", "response": {"output": "[1]"}}},
            {"text": "and?"},
        ]},
        {"role": "model", "parts": [{"functionCall": {"name": "list", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "list", "response": {"output": "none"}}}]},
    ]);
    assert_eq!(document["contents"], contents);
    assert_eq!(losses, "messages.tool_calls.arguments=degraded");
}

#[test]
fn the_first_call_of_a_step_is_signed_for_models_that_ask() {
    let own = Signature { issuer: ProtocolId::Gemini, value: "own".into() };
    let signed = Part::ToolCall(ToolCall {
        id: None,
        name: "f".into(),
        arguments: "{}".into(),
        signature: Some(own),
        ext: Ext::default(),
    });
    let request = foreign(vec![
        message(Role::Assistant, vec![call("a", "f", "{}"), call("b", "f", "{}")]),
        result("a", vec![text("x")]),
        result("b", vec![text("x")]),
        message(Role::Assistant, vec![signed]),
    ]);
    let signatures = |model: &str| -> Vec<Value> {
        let (document, _) = written_for(model, &request);
        let parts =
            document["contents"].as_array().unwrap().iter().flat_map(|c| c["parts"].as_array().unwrap().clone());
        parts.filter(|part| part.get("functionCall").is_some()).map(|part| part["thoughtSignature"].clone()).collect()
    };
    assert_eq!(signatures("gemini-3-flash"), [json!("skip_thought_signature_validator"), Value::Null, json!("own")]);
    assert_eq!(signatures("gemini-2.5-pro"), [Value::Null, Value::Null, json!("own")]);
}

#[test]
fn thoughts_go_back_only_to_their_issuer() {
    let thought = |issuer| {
        let signature = Some(Signature { issuer, value: "s".into() });
        Part::Reasoning(Reasoning { text: "hm".into(), signature, ..Reasoning::default() })
    };
    let parts = vec![thought(ProtocolId::AnthropicMessages), thought(ProtocolId::Gemini), text("so")];
    let (document, losses) = written(&foreign(vec![message(Role::Assistant, parts)]));
    let parts = json!([{"text": "hm", "thought": true, "thoughtSignature": "s"}, {"text": "so"}]);
    assert_eq!(document["contents"][0]["parts"], parts);
    assert_eq!(losses, "messages.reasoning=dropped");
}

#[test]
fn media_are_inlined_or_addressed() {
    let document = MediaSource::Text { media_type: "text/plain".into(), text: "hi".into() };
    let document =
        Part::Media(Media { kind: MediaKind::File, source: document, detail: None, name: None, ext: Ext::default() });
    let parts = vec![
        image("data:image/png;base64,AA=="),
        image("https://example.com/a.webp?x=1"),
        image("https://example.com/a"),
        document,
    ];
    let (written, losses) = written(&foreign(vec![message(Role::User, parts)]));
    let expected = json!([
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://example.com/a.webp?x=1"}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://example.com/a"}},
        {"inlineData": {"mimeType": "text/plain", "data": "aGk="}},
    ]);
    assert_eq!(written["contents"][0]["parts"], expected);
    assert_eq!(losses, "messages.content.url=degraded, messages.content.source=emulated");
}

#[test]
fn media_in_results_stand_inside_or_after() {
    let request = foreign(vec![
        message(Role::Assistant, vec![call("a", "shot", "{}")]),
        result("a", vec![text("done"), image("data:image/png;base64,AA==")]),
    ]);
    let file = json!({"inlineData": {"mimeType": "image/png", "data": "AA=="}});
    let answer = json!({"name": "shot", "response": {"output": "done"}});
    let (old, losses) = written_for("gemini-2.5-flash", &request);
    assert_eq!(old["contents"][1]["parts"], json!([{"functionResponse": answer}, file]));
    assert_eq!(losses, "messages.tool.content=emulated");
    let (new, losses) = written_for("gemini-3-flash", &request);
    let with_file = json!({"name": "shot", "response": {"output": "done"}, "parts": [file]});
    assert_eq!(new["contents"][1]["parts"], json!([{"functionResponse": with_file}]));
    assert_eq!(losses, "");
}

#[test]
fn settings_are_carried_or_reported() {
    let schema =
        r##"{"type":"object", "properties":{"properties":{"$ref":"#/$defs/a"}}, "additionalProperties":true}"##;
    let mut request = foreign(vec![message(Role::User, vec![text("hi")])]);
    request.tools = Some(vec![Tool {
        kind: ToolKind::Function {
            name: "a/b".into(),
            description: Some(String::new()),
            parameters: raw(schema),
            strict: None,
        },
        ext: Ext::default(),
    }]);
    request.tool_choice = Some(ToolChoice::Allowed { names: vec!["a/b".into()], required: false });
    request.parallel_tool_calls = Some(false);
    request.user = Some("u".into());
    request.metadata = raw("{}");
    request.sampling.stop = Some(["1", "2", "3", "4", "5", "6"].map(str::to_owned).to_vec());
    request.sampling.seed = Some(5_000_000_000_u64.into());
    request.sampling.candidates = Some(2);
    request.output = Some(OutputFormat::Schema {
        name: Some("n".into()),
        description: None,
        schema: raw(schema).unwrap(),
        strict: None,
    });
    let (document, losses) = written(&request);
    assert_eq!(document["tools"][0]["functionDeclarations"][0]["name"], "a_x2F_b");
    let calling = json!({"mode": "VALIDATED", "allowedFunctionNames": ["a_x2F_b"]});
    assert_eq!(document["toolConfig"]["functionCallingConfig"], calling);
    let config = json!({"stopSequences": ["1", "2", "3", "4", "5"], "candidateCount": 2,
        "responseMimeType": "application/json", "responseJsonSchema": serde_json::from_str::<Value>(schema).unwrap()});
    assert_eq!(document["generationConfig"], config);
    let expected = "stop=degraded, seed=dropped, parallel_tool_calls=dropped, user=dropped, metadata=dropped";
    assert_eq!(losses, expected);
    let quirks = Quirks::default();
    let destination = Destination { model: "m", quirks: &quirks, max_output_tokens: None };
    let mut out = Vec::new();
    encode(&request, &destination, &mut out, &mut Losses::default()).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out.matches(schema).count(), 2, "both schemas stay byte for byte: {out}");
}

#[test]
fn thinking_is_asked_for_in_the_models_words() {
    let config = |model: &str, reasoning: ReasoningRequest| {
        let mut request = foreign(vec![message(Role::User, vec![text("hi")])]);
        request.reasoning = Some(reasoning);
        let (document, losses) = written_for(model, &request);
        (document["generationConfig"]["thinkingConfig"].clone(), losses)
    };
    let effort = |effort| ReasoningRequest { effort: Some(effort), ..ReasoningRequest::default() };
    let budget = |budget| ReasoningRequest { budget: Some(budget), ..ReasoningRequest::default() };
    let quiet = |value: Value| (value, String::new());
    assert_eq!(config("gemini-2.5-flash", effort(ReasoningEffort::Low)), quiet(json!({"thinkingBudget": 1024})));
    assert_eq!(config("gemini-3-flash", effort(ReasoningEffort::High)), quiet(json!({"thinkingLevel": "HIGH"})));
    let (lowest, losses) = config("gemini-2.5-pro", effort(ReasoningEffort::None));
    assert_eq!((lowest, losses.as_str()), (json!({"thinkingBudget": 128}), "reasoning=degraded"));
    let (clamped, losses) = config("gemini-2.5-flash", budget(60_000));
    assert_eq!(clamped, json!({"thinkingBudget": 24_576, "includeThoughts": true}));
    assert_eq!(losses, "reasoning.budget=degraded");
    let (level, losses) = config("gemini-3-flash", budget(4000));
    assert_eq!(level, json!({"thinkingLevel": "MEDIUM", "includeThoughts": true}));
    assert_eq!(losses, "reasoning.budget=degraded");
}

#[test]
fn a_count_wraps_the_request() {
    let quirks = Quirks::default();
    let destination = Destination { model: "gemini-x", quirks: &quirks, max_output_tokens: None };
    let request = foreign(vec![message(Role::User, vec![text("hi")])]);
    let mut out = Vec::new();
    super::super::tokens::encode_request(&request, &destination, &mut out, &mut Losses::default()).unwrap();
    let head = Head { operation: Operation::CountTokens, path_model: Some("m"), path_stream: false, alt_sse: false };
    assert_eq!(decode(&head, &out).unwrap().messages, request.messages);
    let document: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(document["generateContentRequest"]["model"], "models/gemini-x");
    assert!(decode(&Head { operation: Operation::Generate, ..head }, &out).is_err());
}
