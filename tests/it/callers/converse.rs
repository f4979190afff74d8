//! Bedrock Converse from the caller's side.

use serde_json::{Value, json};

use super::{Heard, IMAGE, number, parsed, text};
use crate::mock_upstream::dialect;

pub(super) fn tools(tools: &Value) -> Value {
    let spec = |tool: &Value| {
        json!({ "toolSpec": {
            "name": tool["name"], "description": tool["description"], "inputSchema": { "json": tool["parameters"] },
        } })
    };
    json!({ "tools": tools.as_array().unwrap().iter().map(spec).collect::<Vec<_>>() })
}

pub(super) fn add_image(body: &mut Value) {
    let image = json!({ "image": { "format": "png", "source": { "bytes": IMAGE } } });
    body["messages"][0]["content"].as_array_mut().unwrap().push(image);
}

pub(super) fn schema(schema: &Value) -> Value {
    let form = json!({ "jsonSchema": { "name": "answer", "schema": schema.to_string() } });
    json!({ "textFormat": { "type": "json_schema", "structure": form } })
}

/// The first turn, the three calls, and their results.
pub(super) fn tool_results(body: &mut Value) {
    let call = |(id, name, arguments): &dialect::Call| json!({ "toolUse": { "toolUseId": id, "name": name, "input": parsed(arguments) } });
    let result = |((id, ..), text): (&dialect::Call, &str)| json!({ "toolResult": { "toolUseId": id, "content": [{ "text": text }] } });
    let results = dialect::CALLS.iter().zip(["sunny", "rainy", "noon"]);
    let turns = body["messages"].as_array_mut().unwrap();
    turns.push(json!({ "role": "assistant", "content": dialect::CALLS.iter().map(call).collect::<Vec<_>>() }));
    turns.push(json!({ "role": "user", "content": results.map(result).collect::<Vec<_>>() }));
}

fn usage(usage: &Value) -> (u64, u64, u64) {
    let cached = number(&usage["cacheReadInputTokens"]);
    let prompt = number(&usage["inputTokens"]) + cached + number(&usage["cacheWriteInputTokens"]);
    (prompt, cached, number(&usage["outputTokens"]))
}

pub(super) fn heard(body: &Value) -> Heard {
    let mut heard = Heard { stop: text(&body["stopReason"]), usage: usage(&body["usage"]), ..Heard::default() };
    for block in body["output"]["message"]["content"].as_array().expect("content blocks") {
        let (kind, value) = block.as_object().unwrap().iter().next().unwrap();
        match kind.as_str() {
            "text" => heard.text += &text(value),
            "reasoningContent" => heard.reasoning += &text(&value["reasoningText"]["text"]),
            "toolUse" => heard.calls.push((text(&value["name"]), value["input"].clone())),
            other => panic!("unexpected block `{other}`"),
        }
    }
    heard
}

/// `events`: objects with one member, named by the event, as AWS's SDKs give them.
pub(super) fn heard_in_stream(events: &[Value]) -> Heard {
    let mut heard = Heard::default();
    let mut calls: Vec<(String, String)> = Vec::new();
    for event in events {
        let (kind, event) = event.as_object().unwrap().iter().next().unwrap();
        let delta = &event["delta"];
        match kind.as_str() {
            "contentBlockStart" => calls.push((text(&event["start"]["toolUse"]["name"]), String::new())),
            "contentBlockDelta" => {
                heard.text += &text(&delta["text"]);
                heard.reasoning += &text(&delta["reasoningContent"]["text"]);
                if delta["toolUse"].is_object() {
                    calls.last_mut().expect("an open call").1 += &text(&delta["toolUse"]["input"]);
                }
            }
            "messageStop" => heard.stop = text(&event["stopReason"]),
            "metadata" => heard.usage = usage(&event["usage"]),
            _ => {}
        }
    }
    heard.calls = calls.into_iter().map(|(name, arguments)| (name, parsed(&arguments))).collect();
    heard
}

/// The message of the exception that ends a stream.
pub(super) fn in_band_error(events: &[Value]) -> Option<String> {
    let (kind, event) = events.last()?.as_object()?.iter().next()?;
    kind.starts_with("exception:").then(|| text(&event["message"]))
}
