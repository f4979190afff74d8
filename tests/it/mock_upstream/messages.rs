//! The mock's Anthropic Messages.

use std::time::Duration;

use serde_json::{Value, json};

use super::dialect::{self, Facts, Said, Stream};
use super::http::Request;

pub(crate) fn read(request: &Request) -> Facts {
    let body = request.json();
    let mut facts = Facts {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        stream: body["stream"] == json!(true),
        schema: body.pointer("/output_config/format/schema").cloned(),
        ..Facts::default()
    };
    check(request, &body, &mut facts.faults);
    facts.tools = array(&body["tools"]).iter().filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect();
    for message in array(&body["messages"]) {
        for block in array(&message["content"]) {
            read_block(block, &mut facts);
        }
    }
    facts
}

/// What Anthropic insists on.
fn check(request: &Request, body: &Value, faults: &mut Vec<String>) {
    let mut must = |holds: bool, fault: &str| {
        if !holds {
            faults.push(fault.to_owned());
        }
    };
    must(request.header("anthropic-version").is_some(), "no `anthropic-version` header");
    must(body["model"].is_string(), "no `model`");
    must(body["max_tokens"].as_u64().is_some_and(|limit| limit > 0), "no `max_tokens`");
    must(array(&body["messages"]).first().is_some_and(|first| first["role"] == "user"), "the first turn is not `user`");
    let betas = request.header("anthropic-beta").unwrap_or_default();
    let known: &[&str] = if betas.contains("mid-conversation-system") {
        &["user", "assistant", "system"]
    } else {
        &["user", "assistant"]
    };
    let roles = array(&body["messages"]).iter().all(|message| known.iter().any(|role| message["role"] == *role));
    must(roles, "a role is neither `user` nor `assistant`");
}

fn read_block(block: &Value, facts: &mut Facts) {
    if block["type"] == "tool_result" {
        let id = block["tool_use_id"].as_str().unwrap_or("no id");
        let text = match &block["content"] {
            Value::String(text) => text.clone(),
            parts => array(parts).iter().filter_map(|part| part["text"].as_str()).collect(),
        };
        facts.tool_results.push(format!("{id}={text}"));
    }
    if block["type"] == "image" {
        let source = &block["source"];
        let data = source["data"].as_str().unwrap_or_default();
        facts.image =
            Some((source["media_type"].as_str().unwrap_or_default().to_owned(), dialect::decoded_length(data)));
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The blocks of an answer, complete.
fn blocks(said: &Said) -> Vec<Value> {
    let mut blocks = Vec::new();
    blocks.extend(
        said.reasoning.map(|text| json!({ "type": "thinking", "thinking": text, "signature": dialect::SIGNATURE })),
    );
    if !said.text.is_empty() {
        blocks.push(json!({ "type": "text", "text": said.whole_text() }));
    }
    for (id, name, arguments) in &said.calls {
        let input: Value = serde_json::from_str(arguments).unwrap();
        blocks.push(json!({ "type": "tool_use", "id": id, "name": name, "input": input }));
    }
    blocks
}

fn usage(said: &Said) -> Value {
    json!({
        "input_tokens": dialect::INPUT_TOKENS - dialect::CACHED_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": dialect::CACHED_TOKENS,
        "output_tokens": dialect::TEXT_TOKENS + said.reasoning_tokens(),
    })
}

fn stop_reason(said: &Said) -> &'static str {
    match said.calls.as_slice() {
        _ if said.cut => "max_tokens",
        [] => "end_turn",
        _ => "tool_use",
    }
}

pub(crate) fn whole(facts: &Facts, said: &Said) -> Value {
    json!({
        "id": facts.id("msg_mock"), "type": "message", "role": "assistant", "model": facts.model, "content": blocks(said),
        "stop_reason": stop_reason(said), "stop_sequence": null, "usage": usage(said),
    })
}

pub(crate) fn stream(facts: &Facts, said: &Said) -> Stream {
    let mut start = whole(facts, said);
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    start["usage"]["output_tokens"] = json!(1);
    let mut events = vec![json!({ "type": "message_start", "message": start })];
    for (index, block) in blocks(said).into_iter().enumerate() {
        stream_block(index, block, said, &mut events);
        if index == 0 {
            events.insert(2, json!({ "type": "ping" }));
        }
    }
    events.push(json!({
        "type": "message_delta", "delta": { "stop_reason": stop_reason(said), "stop_sequence": null },
        "usage": usage(said),
    }));
    events.push(json!({ "type": "message_stop" }));
    Stream {
        content_type: "text/event-stream; charset=utf-8",
        events: events.iter().map(sse).collect(),
        pause: Duration::ZERO,
        error: Box::new(|message| sse(&serde_json::from_str(&error(529, message)).unwrap())),
    }
}

fn stream_block(index: usize, block: Value, said: &Said, events: &mut Vec<Value>) {
    let kind = block["type"].as_str().unwrap();
    let (start, deltas) = match kind {
        "thinking" => (
            json!({ "type": "thinking", "thinking": "", "signature": "" }),
            vec![
                json!({ "type": "thinking_delta", "thinking": block["thinking"] }),
                json!({ "type": "signature_delta", "signature": block["signature"] }),
            ],
        ),
        "text" => (
            json!({ "type": "text", "text": "" }),
            said.text.iter().map(|text| json!({ "type": "text_delta", "text": text })).collect(),
        ),
        _ => {
            let arguments = block["input"].to_string();
            let (left, right) = arguments.split_at(arguments.len() / 2);
            (
                json!({ "type": "tool_use", "id": block["id"], "name": block["name"], "input": {} }),
                ["", left, right].map(|half| json!({ "type": "input_json_delta", "partial_json": half })).to_vec(),
            )
        }
    };
    events.push(json!({ "type": "content_block_start", "index": index, "content_block": start }));
    events.extend(
        deltas.into_iter().map(|delta| json!({ "type": "content_block_delta", "index": index, "delta": delta })),
    );
    events.push(json!({ "type": "content_block_stop", "index": index }));
}

fn sse(event: &Value) -> Vec<u8> {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()).into_bytes()
}

pub(crate) fn error(status: u16, message: &str) -> String {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 | 503 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_mock" }).to_string()
}
