use serde_json::{Value, json};

use super::encode;
use crate::wire::loss::Losses;
use crate::wire::quirk::Quirks;
use crate::wire::{Destination, Head, Operation, ProtocolId, ir};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn written(protocol: ProtocolId, model: &str, body: &Value) -> Result<(Value, String), ir::Error> {
    let head = Head { operation: Operation::Generate, path_model: None, path_stream: false, alt_sse: false };
    let inbound = protocol.codec().unwrap().inbound().unwrap();
    let request = inbound.decode_request(&head, body.to_string().as_bytes())?;
    let (mut out, mut losses, quirks) = (Vec::new(), Losses::default(), Quirks::default());
    encode(&request, &Destination { model, quirks: &quirks, max_output_tokens: None }, &mut out, &mut losses)?;
    Ok((serde_json::from_slice(&out).unwrap(), losses.to_string()))
}

fn from_messages(model: &str, mut body: Value) -> (Value, String) {
    body["model"] = "m".into();
    body["max_tokens"] = json!(body.get("max_tokens").and_then(Value::as_u64).unwrap_or(99));
    written(ProtocolId::AnthropicMessages, model, &body).unwrap()
}

fn from_chat(model: &str, mut body: Value) -> (Value, String) {
    body["model"] = "m".into();
    written(ProtocolId::OpenAiChat, model, &body).unwrap()
}

fn hi() -> Value {
    json!([{ "role": "user", "content": "hi" }])
}

#[test]
fn every_cache_mark_becomes_a_cache_point_behind_what_it_marks() {
    let mark = json!({ "type": "ephemeral" });
    let (body, losses) = from_messages(
        CLAUDE,
        json!({
            "system": [{ "type": "text", "text": "s", "cache_control": mark }],
            "tools": [
                { "name": "a", "input_schema": { "type": "object" } },
                { "name": "b", "input_schema": { "type": "object" }, "cache_control": { "type": "ephemeral", "ttl": "1h" } },
            ],
            "messages": [
                { "role": "user", "content": [{ "type": "text", "text": "u", "cache_control": mark }] },
                { "role": "assistant", "content": [{ "type": "tool_use", "id": "t", "name": "a", "input": {} }] },
                { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": "r", "cache_control": mark }] },
            ],
        }),
    );
    let point = json!({ "cachePoint": { "type": "default" } });
    assert_eq!(body["system"], json!([{ "text": "s" }, point]));
    assert_eq!(body["toolConfig"]["tools"][2], json!({ "cachePoint": { "type": "default", "ttl": "1h" } }));
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 3, "a cache point is an element of its own");
    assert_eq!(body["messages"][0]["content"], json!([{ "text": "u" }, point]));
    assert_eq!(body["messages"][2]["content"][1], point);
    assert_eq!(losses, "");
}

#[test]
fn a_model_that_does_not_know_an_hour_is_not_asked_for_one() {
    let body = json!({ "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "u", "cache_control": { "type": "ephemeral", "ttl": "1h" } },
    ] }] });
    let (old, losses) = from_messages("anthropic.claude-3-7-sonnet-20250219-v1:0", body.clone());
    assert_eq!(old["messages"][0]["content"][1], json!({ "cachePoint": { "type": "default" } }));
    assert_eq!(losses, "messages.content.cache_control.ttl=degraded");
    let (none, losses) = from_messages("meta.llama3-1-8b-instruct-v1:0", body);
    assert_eq!(none["messages"][0]["content"], json!([{ "text": "u" }]));
    assert_eq!(losses, "messages.content.cache_control=dropped");
}

#[test]
fn top_k_goes_where_the_model_looks_for_it() {
    let fields = |model: &str| {
        let body = json!({ "messages": hi(), "top_k": 7, "temperature": 0.5, "stop_sequences": ["x"] });
        from_messages(model, body).0
    };
    let claude = fields(CLAUDE);
    assert_eq!(claude["additionalModelRequestFields"], json!({ "top_k": 7 }));
    assert_eq!(claude["inferenceConfig"], json!({ "maxTokens": 99, "temperature": 0.5, "stopSequences": ["x"] }));
    assert_eq!(claude["additionalModelResponseFieldPaths"], json!(["/stop_sequence"]));
    assert_eq!(
        fields("amazon.nova-lite-v1:0")["additionalModelRequestFields"],
        json!({ "inferenceConfig": { "topK": 7 } })
    );
    assert_eq!(fields("meta.llama3-1-8b-instruct-v1:0")["additionalModelRequestFields"], json!({ "top_k": 7 }));
}

fn with_calls() -> Value {
    json!([
        { "role": "system", "content": "s" },
        { "role": "user", "content": "u" },
        { "role": "user", "content": "v" },
        { "role": "assistant", "content": "", "tool_calls": [
            { "id": "functions.f:0", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } },
            { "id": "two", "type": "function", "function": { "name": "fs.read", "arguments": "" } },
        ] },
        { "role": "tool", "tool_call_id": "two", "content": "2" },
        { "role": "tool", "tool_call_id": "functions.f:0", "content": "" },
        { "role": "user", "content": "w" },
    ])
}

#[test]
fn turns_alternate_and_results_stand_together_in_one() {
    let (body, _) = from_chat(CLAUDE, json!({ "messages": with_calls() }));
    let turns = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = turns.iter().map(|turn| turn["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(turns[0]["content"], json!([{ "text": "u" }, { "text": "v" }]));
    let [first, second] = [0, 1].map(|at| turns[1]["content"][at]["toolUse"].clone());
    assert_eq!(
        (&first["input"], &second["input"], &second["name"]),
        (&json!({ "a": 1 }), &json!({}), &json!("fs_x2e_read"))
    );
    assert_eq!(turns[2]["content"][0]["toolResult"]["toolUseId"], "two");
    let answered = &turns[2]["content"][1]["toolResult"];
    assert_eq!(
        (&answered["toolUseId"], &answered["content"]),
        (&first["toolUseId"], &json!([{ "text": "(no output)" }]))
    );
    assert_eq!(turns[2]["content"][2], json!({ "text": "w" }));
}

#[test]
fn a_history_with_calls_declares_their_tools() {
    let (body, losses) = from_chat(CLAUDE, json!({ "messages": with_calls() }));
    let names: Vec<&Value> =
        body["toolConfig"]["tools"].as_array().unwrap().iter().map(|tool| &tool["toolSpec"]["name"]).collect();
    assert_eq!(names, ["f", "fs_x2e_read"]);
    assert!(losses.contains("tools=emulated"), "{losses}");
    let (plain, _) = from_chat(CLAUDE, json!({ "messages": hi() }));
    assert!(plain.get("toolConfig").is_none());
}

#[test]
fn calls_are_forbidden_by_leaving_the_tools_out_or_in_words() {
    let tools = json!([{ "type": "function", "function": { "name": "f", "description": "", "parameters": { "type": "object" } } }]);
    let (body, losses) = from_chat(CLAUDE, json!({ "messages": hi(), "tools": tools, "tool_choice": "none" }));
    assert!(body.get("toolConfig").is_none());
    assert_eq!(losses, "tool_choice=emulated");
    let (body, _) = from_chat(CLAUDE, json!({ "messages": with_calls(), "tools": tools, "tool_choice": "none" }));
    assert_eq!(
        body["toolConfig"],
        json!({ "tools": [
        { "toolSpec": { "name": "f", "inputSchema": { "json": { "type": "object" } } } },
    ] })
    );
    assert_eq!(body["system"][1]["text"], super::tools::NO_CALLS);
}

#[test]
fn documents_get_a_name_and_a_text_beside_them() {
    let (body, losses) = from_messages(
        CLAUDE,
        json!({ "messages": [{ "role": "user", "content": [
        { "type": "document", "title": "q_1.pdf", "source": { "type": "base64", "media_type": "application/pdf", "data": "AA==" } },
    ] }] }),
    );
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            { "document": { "format": "pdf", "name": "q 1 pdf", "source": { "bytes": "AA==" } } },
            { "text": "." },
        ])
    );
    assert_eq!(losses, "messages.content.name=degraded, messages.content=emulated");
}

#[test]
fn an_address_is_refused_in_words() {
    let image = |url: &str| {
        let content = json!([{ "type": "image_url", "image_url": { "url": url } }]);
        let body = json!({ "model": "m", "messages": [{ "role": "user", "content": content }] });
        written(ProtocolId::OpenAiChat, CLAUDE, &body)
    };
    let error = image("https://example.org/a.png").unwrap_err();
    assert_eq!(
        (error.code.as_deref(), error.param.as_deref()),
        (Some("unsupported_content"), Some("messages.0.content.0"))
    );
    let (body, _) = image("data:image/jpg;base64,AA==").unwrap();
    assert_eq!(
        body["messages"][0]["content"][0],
        json!({ "image": { "format": "jpeg", "source": { "bytes": "AA==" } } })
    );
}

#[test]
fn a_thinking_budget_stays_below_the_limit() {
    let thinking = |limit: u64| {
        let body =
            json!({ "messages": hi(), "max_completion_tokens": limit, "reasoning_effort": "high", "temperature": 0.5 });
        let (body, losses) = from_chat(CLAUDE, body);
        (body["additionalModelRequestFields"]["thinking"].clone(), losses)
    };
    assert_eq!(thinking(20_000).0, json!({ "type": "enabled", "budget_tokens": 16_384 }));
    assert_eq!(thinking(4000).0, json!({ "type": "enabled", "budget_tokens": 3000 }));
    assert_eq!(thinking(1000), (json!({ "type": "disabled" }), "reasoning_effort=dropped".to_owned()));
    assert!(thinking(20_000).1.contains("temperature=dropped"));
}

#[test]
fn thoughts_go_back_with_a_valid_signature_only() {
    let (body, losses) = from_messages(
        CLAUDE,
        json!({ "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "hm", "signature": "c2ln" },
            { "type": "redacted_thinking", "data": "ZGF0YQ==" },
            { "type": "thinking", "thinking": "forged", "signature": "" },
            { "type": "text", "text": "b" },
        ] },
        { "role": "user", "content": "c" },
    ] }),
    );
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            { "reasoningContent": { "reasoningText": { "text": "hm", "signature": "c2ln" } } },
            { "reasoningContent": { "redactedContent": "ZGF0YQ==" } },
            { "text": "b" },
        ])
    );
    assert_eq!(losses, "messages.reasoning=dropped");
}

#[test]
fn a_schema_is_sent_as_text() {
    let format = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": { "type": "object" } } });
    let body = json!({ "messages": hi(), "response_format": format });
    let (native, losses) = from_chat(CLAUDE, body);
    assert_eq!(
        native["outputConfig"]["textFormat"]["structure"]["jsonSchema"],
        json!({ "name": "n", "schema": "{\"type\":\"object\"}" })
    );
    assert_eq!(losses, "");
}

#[test]
fn metadata_is_carried_as_far_as_converse_takes_it() {
    let (body, losses) = from_chat(CLAUDE, json!({ "messages": hi(), "metadata": { "team": "lab 1", "run": "7" } }));
    assert_eq!((&body["requestMetadata"], losses.as_str()), (&json!({ "team": "lab 1", "run": "7" }), ""));
    let odd =
        json!({ "messages": hi(), "user": "u1", "metadata": { "a": "ok", "b": "naïve", "user_id": "x", "c": 1 } });
    let (body, losses) = from_chat(CLAUDE, odd);
    assert_eq!(body["requestMetadata"], json!({ "user_id": "u1", "a": "ok" }));
    assert_eq!(losses, "metadata=degraded");
    let many: serde_json::Map<String, Value> = (0..17).map(|n| (format!("k{n}"), "v".into())).collect();
    let (body, losses) = from_chat(CLAUDE, json!({ "messages": hi(), "metadata": many }));
    assert_eq!((body["requestMetadata"].as_object().unwrap().len(), losses.as_str()), (16, "metadata=degraded"));
}

#[test]
fn an_effort_beside_thoughts_that_are_turned_off_is_reported() {
    let asked = json!({ "messages": hi(), "thinking": { "type": "disabled" }, "output_config": { "effort": "high" } });
    let (body, losses) = from_messages(CLAUDE, asked);
    assert_eq!(body["additionalModelRequestFields"], json!({ "thinking": { "type": "disabled" } }));
    assert_eq!(losses, "reasoning_effort=dropped");
}
