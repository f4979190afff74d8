//! The mock's OpenAI Responses.

use std::time::Duration;

use serde_json::{Value, json};

use super::dialect::{self, Facts, Said, Stream};
use super::http::Request;

/// What the mock encrypts its thoughts to.
pub(crate) const ENCRYPTED: &str = "bW9jayB0aG91Z2h0cw==";

pub(crate) fn read(request: &Request) -> Facts {
    let body = request.json();
    let mut facts = Facts {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        stream: body["stream"] == json!(true),
        schema: body.pointer("/text/format/schema").cloned(),
        ..Facts::default()
    };
    if facts.model.is_empty() {
        facts.faults.push("no `model`".to_owned());
    }
    if !body["input"].is_string() && array(&body["input"]).is_empty() {
        facts.faults.push("no `input`".to_owned());
    }
    for tool in array(&body["tools"]) {
        facts.tools.push(tool["name"].as_str().unwrap_or_default().to_owned());
    }
    for item in array(&body["input"]) {
        if item["type"] == "function_call_output" {
            let id = item["call_id"].as_str().unwrap_or("no id");
            facts.tool_results.push(format!("{id}={}", text_of(&item["output"])));
        }
        for part in array(&item["content"]) {
            if let Some(url) = part["image_url"].as_str() {
                facts.image = image(url);
            }
        }
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

/// The items of an answer, complete.
fn items(said: &Said) -> Vec<Value> {
    let mut items = Vec::new();
    items.extend(said.reasoning.map(|text| {
        json!({
            "id": "rs_mock", "type": "reasoning", "summary": [{ "type": "summary_text", "text": text }],
            "encrypted_content": ENCRYPTED,
        })
    }));
    if !said.text.is_empty() {
        let text = json!({ "type": "output_text", "text": said.whole_text(), "annotations": [], "logprobs": [] });
        items.push(json!({
            "id": "msg_mock", "type": "message", "status": "completed", "role": "assistant", "content": [text],
        }));
    }
    for (id, name, arguments) in &said.calls {
        items.push(json!({
            "id": format!("fc_{id}"), "type": "function_call", "status": "completed", "call_id": id, "name": name,
            "arguments": arguments,
        }));
    }
    items
}

fn usage(said: &Said) -> Value {
    let output = dialect::TEXT_TOKENS + said.reasoning_tokens();
    json!({
        "input_tokens": dialect::INPUT_TOKENS,
        "input_tokens_details": { "cached_tokens": dialect::CACHED_TOKENS },
        "output_tokens": output,
        "output_tokens_details": { "reasoning_tokens": said.reasoning_tokens() },
        "total_tokens": dialect::INPUT_TOKENS + output,
    })
}

pub(crate) fn whole(facts: &Facts, said: &Said) -> Value {
    response(facts, "completed", &items(said), &usage(said))
}

fn response(facts: &Facts, status: &str, output: &[Value], usage: &Value) -> Value {
    json!({
        "id": facts.id("resp_mock"), "object": "response", "created_at": 1_700_000_000, "status": status, "error": null,
        "incomplete_details": null, "instructions": null, "metadata": {}, "model": facts.model, "output": output,
        "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "usage": usage,
    })
}

pub(crate) fn stream(facts: &Facts, said: &Said) -> Stream {
    let begun = response(facts, "in_progress", &[], &Value::Null);
    let mut events = vec![
        json!({ "type": "response.created", "response": begun }),
        json!({ "type": "response.in_progress", "response": begun }),
    ];
    for (index, item) in items(said).into_iter().enumerate() {
        stream_item(index, &item, said, &mut events);
    }
    events.push(json!({ "type": "response.completed", "response": whole(facts, said) }));
    for (sequence, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(sequence);
    }
    let next = events.len();
    let error = move |message: &str| {
        sse(&json!({
            "type": "error", "code": "server_is_overloaded", "message": message, "param": null, "sequence_number": next,
        }))
    };
    Stream {
        content_type: "text/event-stream; charset=utf-8",
        events: events.iter().map(sse).collect(),
        pause: Duration::ZERO,
        error: Box::new(error),
    }
}

fn stream_item(index: usize, item: &Value, said: &Said, events: &mut Vec<Value>) {
    let id = &item["id"];
    let mut begun = item.clone();
    let (member, empty) = match item["type"].as_str().unwrap() {
        "reasoning" => ("summary", json!([])),
        "message" => ("content", json!([])),
        _ => ("arguments", json!("")),
    };
    begun[member] = empty;
    events.push(json!({ "type": "response.output_item.added", "output_index": index, "item": begun }));
    let mut event = |kind: &str, members: Value| {
        let mut event = json!({ "type": format!("response.{kind}"), "item_id": id, "output_index": index });
        event.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        events.push(event);
    };
    match member {
        "summary" => {
            let text = &item["summary"][0]["text"];
            event(
                "reasoning_summary_part.added",
                json!({
                    "summary_index": 0, "part": { "type": "summary_text", "text": "" },
                }),
            );
            event("reasoning_summary_text.delta", json!({ "summary_index": 0, "delta": text }));
            event("reasoning_summary_text.done", json!({ "summary_index": 0, "text": text }));
            event("reasoning_summary_part.done", json!({ "summary_index": 0, "part": item["summary"][0] }));
        }
        "content" => {
            let part = &item["content"][0];
            let mut empty = part.clone();
            empty["text"] = json!("");
            event("content_part.added", json!({ "content_index": 0, "part": empty }));
            for text in &said.text {
                event("output_text.delta", json!({ "content_index": 0, "delta": text, "logprobs": [] }));
            }
            event("output_text.done", json!({ "content_index": 0, "text": part["text"], "logprobs": [] }));
            event("content_part.done", json!({ "content_index": 0, "part": part }));
        }
        _ => {
            let arguments = item["arguments"].as_str().unwrap();
            let (left, right) = arguments.split_at(arguments.len() / 2);
            for half in [left, right] {
                event("function_call_arguments.delta", json!({ "delta": half }));
            }
            event("function_call_arguments.done", json!({ "arguments": arguments, "name": item["name"] }));
        }
    }
    events.push(json!({ "type": "response.output_item.done", "output_index": index, "item": item }));
}

fn sse(event: &Value) -> Vec<u8> {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()).into_bytes()
}
