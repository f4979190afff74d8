//! OpenAI Responses from the caller's side.

use serde_json::{Value, json};

use super::{Heard, IMAGE, number, parsed, text};
use crate::mock_upstream::dialect;

pub(super) fn add_image(body: &mut Value) {
    let text = body["input"].take();
    let url = format!("data:image/png;base64,{IMAGE}");
    body["input"] = json!([{ "role": "user", "content": [
        { "type": "input_text", "text": text }, { "type": "input_image", "image_url": url, "detail": "auto" },
    ] }]);
}

/// The first turn, the three calls, and their results.
pub(super) fn tool_results(body: &mut Value) {
    let mut items = vec![json!({ "role": "user", "content": body["input"].take() })];
    items.extend(dialect::CALLS.iter().map(
        |(id, name, arguments)| json!({ "type": "function_call", "call_id": id, "name": name, "arguments": arguments }),
    ));
    let results = dialect::CALLS.iter().zip(["sunny", "rainy", "noon"]);
    items.extend(
        results.map(|((id, ..), text)| json!({ "type": "function_call_output", "call_id": id, "output": text })),
    );
    body["input"] = Value::Array(items);
}

pub(super) fn heard(body: &Value) -> Heard {
    let mut heard = Heard { stop: text(&body["status"]), ..Heard::default() };
    for item in body["output"].as_array().expect("the answer's items") {
        let texts = |list: &Value| list.as_array().unwrap().iter().map(|part| text(&part["text"])).collect::<String>();
        match item["type"].as_str().unwrap_or_default() {
            "message" => heard.text += &texts(&item["content"]),
            "reasoning" => heard.reasoning += &texts(&item["summary"]),
            "function_call" => heard.calls.push((text(&item["name"]), parsed(&text(&item["arguments"])))),
            other => panic!("unexpected item `{other}`"),
        }
    }
    let usage = &body["usage"];
    let cached = number(&usage["input_tokens_details"]["cached_tokens"]);
    heard.usage = (number(&usage["input_tokens"]), cached, number(&usage["output_tokens"]));
    heard
}

/// What the deltas say; the status and the counts are the last event's. What the deltas say must be what the last event
/// says: clients read either.
pub(super) fn heard_in_stream(events: &[Value]) -> Heard {
    let mut said = Heard::default();
    let mut calls: Vec<(String, String)> = Vec::new();
    for event in events {
        let delta = text(&event["delta"]);
        match event["type"].as_str().unwrap_or_default() {
            "response.output_text.delta" => said.text += &delta,
            "response.reasoning_summary_text.delta" => said.reasoning += &delta,
            "response.output_item.added" if event["item"]["type"] == "function_call" => {
                calls.push((text(&event["item"]["name"]), String::new()));
            }
            "response.function_call_arguments.delta" => calls.last_mut().expect("an open call").1 += &delta,
            _ => {}
        }
    }
    said.calls = calls.into_iter().map(|(name, arguments)| (name, parsed(&arguments))).collect();
    let last = heard(&events.last().expect("events")["response"]);
    let of_deltas = Heard { stop: last.stop.clone(), usage: last.usage, ..said };
    assert_eq!(of_deltas, last, "the deltas and the finished answer differ");
    of_deltas
}
