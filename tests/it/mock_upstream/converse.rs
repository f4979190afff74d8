//! The mock's Bedrock Converse.

use std::time::Duration;

use routeplane::wire::frame::event_stream;
use serde_json::{Value, json};

use super::dialect::{self, Facts, Said, Stream};
use super::http::Request;

pub(crate) fn read(request: &Request) -> Facts {
    let body = request.json();
    let model = request.path().strip_prefix("/model/").and_then(|rest| rest.rsplit_once('/'));
    let schema = body.pointer("/outputConfig/textFormat/structure/jsonSchema/schema").and_then(Value::as_str);
    let mut facts = Facts {
        model: model.map_or_else(String::new, |(model, _)| model.to_owned()),
        stream: request.path().ends_with("-stream"),
        schema: schema.and_then(|schema| serde_json::from_str(schema).ok()),
        ..Facts::default()
    };
    check(&body, &mut facts.faults);
    let tools = array(&body["toolConfig"]["tools"]).iter();
    facts.tools = tools.filter_map(|tool| tool["toolSpec"]["name"].as_str()).map(str::to_owned).collect();
    for block in array(&body["messages"]).iter().flat_map(|message| array(&message["content"])) {
        read_block(block, &mut facts);
    }
    facts
}

/// What Bedrock insists on.
fn check(body: &Value, faults: &mut Vec<String>) {
    let messages = array(&body["messages"]);
    let mut must = |holds: bool, fault: &str| {
        if !holds {
            faults.push(fault.to_owned());
        }
    };
    must(messages.first().is_some_and(|first| first["role"] == "user"), "the first turn is not `user`");
    must(messages.windows(2).all(|pair| pair[0]["role"] != pair[1]["role"]), "the turns do not alternate");
    must(messages.iter().all(|message| message["content"].is_array()), "`content` is no list");
    must(body.get("model").is_none() && body.get("stream").is_none(), "a member that Bedrock does not know");
}

fn read_block(block: &Value, facts: &mut Facts) {
    if let Some(result) = block.get("toolResult") {
        let id = result["toolUseId"].as_str().unwrap_or("no id");
        let text = |part: &Value| match part.get("json") {
            Some(json) => json.to_string(),
            None => part["text"].as_str().unwrap_or_default().to_owned(),
        };
        let text: String = array(&result["content"]).iter().map(text).collect();
        facts.tool_results.push(format!("{id}={text}"));
    }
    if let Some(image) = block.get("image") {
        let data = image["source"]["bytes"].as_str().unwrap_or_default();
        let media_type = format!("image/{}", image["format"].as_str().unwrap_or_default());
        facts.image = Some((media_type, dialect::decoded_length(data)));
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn usage(said: &Said) -> Value {
    let input = dialect::INPUT_TOKENS - dialect::CACHED_TOKENS;
    let output = dialect::TEXT_TOKENS + said.reasoning_tokens();
    json!({
        "inputTokens": input, "outputTokens": output, "totalTokens": dialect::INPUT_TOKENS + output,
        "cacheReadInputTokens": dialect::CACHED_TOKENS, "cacheWriteInputTokens": 0,
    })
}

fn stop_reason(said: &Said) -> &'static str {
    if said.calls.is_empty() { "end_turn" } else { "tool_use" }
}

pub(crate) fn whole(_facts: &Facts, said: &Said) -> Value {
    let mut content = Vec::new();
    content.extend(said.reasoning.map(
        |text| json!({ "reasoningContent": { "reasoningText": { "text": text, "signature": dialect::SIGNATURE } } }),
    ));
    if !said.text.is_empty() {
        content.push(json!({ "text": said.whole_text() }));
    }
    for (id, name, arguments) in &said.calls {
        let input: Value = serde_json::from_str(arguments).unwrap();
        content.push(json!({ "toolUse": { "toolUseId": id, "name": name, "input": input } }));
    }
    json!({
        "output": { "message": { "role": "assistant", "content": content } }, "stopReason": stop_reason(said),
        "usage": usage(said), "metrics": { "latencyMs": 7 },
    })
}

pub(crate) fn stream(_facts: &Facts, said: &Said) -> Stream {
    let mut events = vec![event("messageStart", &json!({ "role": "assistant", "p": "abcd" }))];
    let mut index = 0;
    let mut block = |start: Option<Value>, deltas: Vec<Value>| {
        let start =
            start.map(|start| event("contentBlockStart", &json!({ "contentBlockIndex": index, "start": start })));
        events.extend(start);
        events.extend(deltas.iter().map(|delta| {
            event("contentBlockDelta", &json!({ "contentBlockIndex": index, "delta": delta, "p": "abc" }))
        }));
        events.push(event("contentBlockStop", &json!({ "contentBlockIndex": index })));
        index += 1;
    };
    if let Some(text) = said.reasoning {
        let thought = |member: &str, text: &str| json!({ "reasoningContent": { member: text } });
        block(None, vec![thought("text", text), thought("signature", dialect::SIGNATURE)]);
    }
    if !said.text.is_empty() {
        block(None, said.text.iter().map(|text| json!({ "text": text })).collect());
    }
    for (id, name, arguments) in &said.calls {
        let (left, right) = arguments.split_at(arguments.len() / 2);
        let pieces = ["", left, right].map(|piece| json!({ "toolUse": { "input": piece } }));
        block(Some(json!({ "toolUse": { "toolUseId": id, "name": name } })), pieces.to_vec());
    }
    events.push(event("messageStop", &json!({ "stopReason": stop_reason(said) })));
    events.push(event("metadata", &json!({ "usage": usage(said), "metrics": { "latencyMs": 7 } })));
    Stream {
        content_type: "application/vnd.amazon.eventstream",
        events,
        pause: Duration::ZERO,
        error: Box::new(|message| {
            let mut out = Vec::new();
            let write = |out: &mut Vec<u8>| out.extend(error(message).bytes());
            event_stream::write_exception("serviceUnavailableException", write, &mut out);
            out
        }),
    }
}

fn event(name: &str, payload: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    event_stream::write_event(name, |out| out.extend(payload.to_string().bytes()), &mut out);
    out
}

pub(crate) fn error(message: &str) -> String {
    json!({ "message": message }).to_string()
}
