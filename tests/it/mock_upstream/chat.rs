//! The mock's Chat Completions.

use std::time::Duration;

use serde_json::{Value, json};

use super::dialect::{self, Facts, Said, Stream};
use super::http::Request;

pub(crate) fn read(request: &Request) -> Facts {
    let body = request.json();
    let mut facts = Facts {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        stream: body["stream"] == json!(true),
        schema: body.pointer("/response_format/json_schema/schema").cloned(),
        ..Facts::default()
    };
    if facts.model.is_empty() {
        facts.faults.push("no `model`".to_owned());
    }
    for tool in array(&body["tools"]) {
        facts.tools.push(tool["function"]["name"].as_str().unwrap_or_default().to_owned());
    }
    for message in array(&body["messages"]) {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or("no id");
            facts.tool_results.push(format!("{id}={}", text_of(&message["content"])));
        }
        for part in array(&message["content"]) {
            if let Some(url) = part["image_url"]["url"].as_str() {
                facts.image = image(url);
            }
        }
    }
    if array(&body["messages"]).is_empty() {
        facts.faults.push("no `messages`".to_owned());
    }
    facts
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        parts => array(parts).iter().filter_map(|part| part["text"].as_str()).collect(),
    }
}

fn image(url: &str) -> Option<(String, usize)> {
    let (media_type, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    Some((media_type.to_owned(), dialect::decoded_length(data)))
}

pub(crate) fn whole(facts: &Facts, said: &Said) -> Value {
    let mut message = json!({ "role": "assistant", "content": null });
    if !said.text.is_empty() {
        message["content"] = json!(said.whole_text());
    }
    if let Some(reasoning) = said.reasoning {
        message["reasoning_content"] = json!(reasoning);
    }
    if !said.calls.is_empty() {
        let call = |(id, name, arguments): &dialect::Call| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
        message["tool_calls"] = said.calls.iter().map(call).collect();
    }
    json!({
        "id": facts.id("chatcmpl-mock"), "object": "chat.completion", "created": 1_700_000_000, "model": facts.model,
        "choices": [{ "index": 0, "message": message, "finish_reason": finish_reason(said), "logprobs": null }],
        "usage": usage(said),
    })
}

fn finish_reason(said: &Said) -> &'static str {
    match said.calls.as_slice() {
        _ if said.cut => "length",
        [] => "stop",
        _ => "tool_calls",
    }
}

fn usage(said: &Said) -> Value {
    let output = dialect::TEXT_TOKENS + said.reasoning_tokens();
    json!({
        "prompt_tokens": dialect::INPUT_TOKENS,
        "completion_tokens": output,
        "total_tokens": dialect::INPUT_TOKENS + output,
        "prompt_tokens_details": { "cached_tokens": dialect::CACHED_TOKENS },
        "completion_tokens_details": { "reasoning_tokens": said.reasoning_tokens() },
    })
}

pub(crate) fn stream(facts: &Facts, said: &Said) -> Stream {
    let mut deltas = vec![json!({ "role": "assistant", "content": "" })];
    deltas.extend(said.reasoning.iter().map(|text| json!({ "reasoning_content": text })));
    deltas.extend(said.text.iter().map(|text| json!({ "content": text })));
    for (index, (id, name, arguments)) in said.calls.iter().enumerate() {
        let (left, right) = arguments.split_at(arguments.len() / 2);
        let start =
            json!({ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": "" } });
        deltas.push(json!({ "tool_calls": [start] }));
        for half in [left, right] {
            deltas.push(json!({ "tool_calls": [{ "index": index, "function": { "arguments": half } }] }));
        }
    }
    let mut events: Vec<Vec<u8>> = deltas.iter().map(|delta| chunk(facts, delta, &Value::Null)).collect();
    events.push(chunk(facts, &json!({}), &json!(finish_reason(said))));
    // Sent whether asked for or not, as Mistral does: a caller that did not ask must not mind.
    let mut last = envelope(facts);
    last["choices"] = json!([]);
    last["usage"] = usage(said);
    events.push(format!("data: {last}\n\n").into_bytes());
    events.push(b"data: [DONE]\n\n".to_vec());
    Stream {
        content_type: "text/event-stream",
        events,
        pause: Duration::ZERO,
        error: Box::new(|message| format!("data: {}\n\n", error(503, message)).into_bytes()),
    }
}

fn envelope(facts: &Facts) -> Value {
    json!({
        "id": facts.id("chatcmpl-mock"), "object": "chat.completion.chunk", "created": 1_700_000_000, "model": facts.model,
    })
}

fn chunk(facts: &Facts, delta: &Value, finish_reason: &Value) -> Vec<u8> {
    let mut chunk = envelope(facts);
    chunk["choices"] = json!([{ "index": 0, "delta": delta, "finish_reason": finish_reason }]);
    format!("data: {chunk}\n\n").into_bytes()
}

pub(crate) fn error(status: u16, message: &str) -> String {
    let (kind, code) = match status {
        401 => ("invalid_request_error", "invalid_api_key"),
        404 => ("invalid_request_error", "model_not_found"),
        429 => ("requests", "rate_limit_exceeded"),
        503 => ("server_error", "server_is_overloaded"),
        500.. => ("server_error", "server_error"),
        _ => ("invalid_request_error", "invalid_value"),
    };
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } }).to_string()
}

pub(crate) fn embeddings(request: &Request) -> Value {
    let body = request.json();
    let inputs: Vec<&str> = match &body["input"] {
        Value::String(text) => vec![text],
        many => array(many).iter().filter_map(Value::as_str).collect(),
    };
    let embedding = |text: &str| {
        let vector = dialect::vector(text);
        if body["encoding_format"] == "base64" { json!(base64_floats(&vector)) } else { json!(vector) }
    };
    let item =
        |(index, text): (usize, &&str)| json!({ "object": "embedding", "index": index, "embedding": embedding(text) });
    json!({
        "object": "list", "model": body["model"],
        "data": inputs.iter().enumerate().map(item).collect::<Vec<_>>(),
        "usage": { "prompt_tokens": dialect::INPUT_TOKENS, "total_tokens": dialect::INPUT_TOKENS },
    })
}

/// Little-endian `f32`, as the official SDKs ask for.
fn base64_floats(vector: &[f64]) -> String {
    use base64::Engine;
    #[expect(clippy::cast_possible_truncation, reason = "the vectors hold small binary fractions")]
    let bytes: Vec<u8> = vector.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
