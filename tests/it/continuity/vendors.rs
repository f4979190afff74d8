//! Upstreams that verify proofs of reasoning as their vendors do: each takes its own, refuses all others in the vendor's
//! words, and misses those that it demands. Each thinks and calls `step` until the current turn has three results, then it
//! is done.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::mock_upstream::dialect::{Reply, Stream};
use crate::mock_upstream::http::Request;

pub(crate) const STEPS: usize = 3;
pub(crate) const STAND_IN: &str = "skip_thought_signature_validator";
pub(crate) const FINAL: &str = "All three steps are done.";

/// The proof that a vendor gives for what it said.
pub(crate) fn sign(vendor: &str, what: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{vendor} said: {what}"))
}

pub(crate) fn thought(vendor: &str, step: usize) -> String {
    format!("thought {step} of {vendor}")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn refusal(body: Value) -> Reply {
    Reply::Whole { status: 400, headers: Vec::new(), body: body.to_string() }
}

pub(crate) fn stream(events: Vec<String>) -> Reply {
    Reply::Stream(Stream {
        content_type: "text/event-stream",
        events: events.into_iter().map(String::into_bytes).collect(),
        pause: Duration::ZERO,
        error: Box::new(|_| b"data: {}\n\n".to_vec()),
    })
}

fn refuse_tokens(request: &Request) {
    let text = request.text();
    assert!(!text.contains("rp1.") && !text.contains("cnAxL"), "a sealed proof reached an upstream: {text}");
}

// === Anthropic ===

/// `vendor` signs, so that there can be several that do not take each other's.
pub(crate) fn anthropic(vendor: &'static str) -> impl Fn(&Request) -> Reply {
    move |request| {
        refuse_tokens(request);
        let body = request.json();
        if let Err(message) = verify_messages(vendor, &body) {
            let error = json!({ "type": "invalid_request_error", "message": message });
            return refusal(json!({ "type": "error", "error": error, "request_id": "req_1" }));
        }
        let turns = list(&body["messages"]);
        let is_result = |block: &Value| block["type"] == "tool_result";
        let asked =
            turns.iter().rposition(|turn| turn["role"] == "user" && !list(&turn["content"]).iter().any(is_result));
        let results = turns.iter().skip(asked.unwrap_or(0)).flat_map(|turn| list(&turn["content"]));
        let steps = results.filter(|block| is_result(block)).count();
        let mut content = Vec::new();
        if body["thinking"]["type"] == "enabled" {
            let text = thought(vendor, steps);
            content.push(json!({ "type": "thinking", "thinking": text, "signature": sign(vendor, &text) }));
        }
        content.push(match steps {
            ..STEPS => json!({
                "type": "tool_use", "id": format!("toolu_{vendor}{}", turns.len()), "name": "step", "input": { "n": steps },
            }),
            _ => json!({ "type": "text", "text": FINAL }),
        });
        let stop = if steps < STEPS { "tool_use" } else { "end_turn" };
        let usage = json!({ "input_tokens": 5, "output_tokens": 7 });
        let mut answer = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": content,
            "stop_reason": stop, "stop_sequence": null, "usage": usage,
        });
        if body["stream"] != true {
            return Reply::ok(answer);
        }
        answer["content"] = json!([]);
        answer["stop_reason"] = Value::Null;
        let mut events = vec![json!({ "type": "message_start", "message": answer })];
        for (index, block) in content.iter().enumerate() {
            events.extend(block_events(index, block));
        }
        let delta = json!({ "stop_reason": stop, "stop_sequence": null });
        events.push(json!({ "type": "message_delta", "delta": delta, "usage": usage }));
        events.push(json!({ "type": "message_stop" }));
        stream(
            events
                .iter()
                .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
                .collect(),
        )
    }
}

fn block_events(index: usize, block: &Value) -> Vec<Value> {
    let (start, deltas) = match block["type"].as_str().unwrap() {
        "thinking" => {
            let text = block["thinking"].as_str().unwrap();
            let (left, right) = text.split_at(text.len() / 2);
            let delta = |half: &str| json!({ "type": "thinking_delta", "thinking": half });
            let signature = json!({ "type": "signature_delta", "signature": block["signature"] });
            (json!({ "type": "thinking", "thinking": "", "signature": "" }), vec![delta(left), delta(right), signature])
        }
        "tool_use" => (
            json!({ "type": "tool_use", "id": block["id"], "name": block["name"], "input": {} }),
            vec![json!({ "type": "input_json_delta", "partial_json": block["input"].to_string() })],
        ),
        _ => (json!({ "type": "text", "text": "" }), vec![json!({ "type": "text_delta", "text": block["text"] })]),
    };
    let mut events = vec![json!({ "type": "content_block_start", "index": index, "content_block": start })];
    events.extend(deltas.iter().map(|delta| json!({ "type": "content_block_delta", "index": index, "delta": delta })));
    events.push(json!({ "type": "content_block_stop", "index": index }));
    events
}

fn verify_messages(vendor: &str, body: &Value) -> Result<(), String> {
    let turns = list(&body["messages"]);
    for (at, turn) in turns.iter().enumerate() {
        for (block_at, block) in list(&turn["content"]).iter().enumerate() {
            let valid = match block["type"].as_str().unwrap() {
                "thinking" => block["signature"] == sign(vendor, block["thinking"].as_str().unwrap()),
                "redacted_thinking" => block["data"].as_str().unwrap().starts_with(&sign(vendor, "")[..8]),
                _ => true,
            };
            if !valid {
                return Err(format!("messages.{at}.content.{block_at}: Invalid `signature` in `thinking` block"));
            }
        }
    }
    if body["thinking"]["type"] == "enabled"
        && let [.., asking, answering] = turns
        && list(&answering["content"]).iter().any(|block| block["type"] == "tool_result")
        && asking["content"][0]["type"] != "thinking"
    {
        return Err(format!(
            "messages.{}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{}`.",
            turns.len() - 2,
            asking["content"][0]["type"]
        ));
    }
    Ok(())
}

// === Google ===

pub(crate) fn google(vendor: &'static str) -> impl Fn(&Request) -> Reply {
    move |request| {
        refuse_tokens(request);
        let body = request.json();
        if let Err(message) = verify_gemini(vendor, &body) {
            return refusal(json!({ "error": { "code": 400, "message": message, "status": "INVALID_ARGUMENT" } }));
        }
        let steps = gemini_turn(&body).iter().flat_map(|content| list(&content["parts"]));
        let steps = steps.filter(|part| part["functionResponse"].is_object()).count();
        let mut parts = vec![json!({ "text": thought(vendor, steps), "thought": true })];
        let n = json!({ "n": steps });
        parts.push(match steps {
            ..STEPS => json!({
                "functionCall": { "name": "step", "args": n }, "thoughtSignature": sign(vendor, &n.to_string()),
            }),
            _ => json!({ "text": FINAL, "thoughtSignature": sign(vendor, FINAL) }),
        });
        let chunk = |parts: &[Value], last: bool| {
            let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": 0 });
            if last {
                candidate["finishReason"] = json!("STOP");
            }
            let usage = json!({ "promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12 });
            json!({ "candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3-pro", "responseId": "r1" })
        };
        if !request.target.contains("streamGenerateContent") {
            return Reply::ok(chunk(&parts, true));
        }
        let mut last = Vec::new();
        // In streams the signature of a text comes behind it.
        if let Some(signature) = parts[1]["text"].is_string().then(|| parts[1]["thoughtSignature"].take()) {
            parts[1].as_object_mut().unwrap().remove("thoughtSignature");
            last.push(json!({ "text": "", "thoughtSignature": signature }));
        }
        let chunks = [chunk(&parts[..1], false), chunk(&parts[1..], false), chunk(&last, true)];
        stream(chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect())
    }
}

/// What came behind the last thing that the user said.
fn gemini_turn(body: &Value) -> &[Value] {
    let contents = list(&body["contents"]);
    let spoke = |content: &Value| {
        content["role"] == "user" && !list(&content["parts"]).iter().any(|part| part["functionResponse"].is_object())
    };
    &contents[contents.iter().rposition(spoke).map_or(0, |at| at + 1)..]
}

fn verify_gemini(vendor: &str, body: &Value) -> Result<(), String> {
    for part in list(&body["contents"]).iter().flat_map(|content| list(&content["parts"])) {
        let Some(signature) = part["thoughtSignature"].as_str() else { continue };
        let of_call = sign(vendor, &part["functionCall"]["args"].to_string());
        let own = match part["text"].as_str() {
            Some("" | FINAL) => sign(vendor, FINAL),
            Some(_) | None => of_call,
        };
        if signature != own && signature != STAND_IN {
            return Err("Corrupted thought signature.".to_owned());
        }
    }
    for content in gemini_turn(body).iter().filter(|content| content["role"] == "model") {
        let first = list(&content["parts"]).iter().find(|part| part["functionCall"].is_object());
        if first.is_some_and(|call| call["thoughtSignature"].is_null()) {
            return Err("Function call is missing a thought_signature in functionCall parts.".to_owned());
        }
    }
    Ok(())
}

// === Bedrock ===

/// Claude, behind Converse; it signs as Claude does elsewhere. Answers are whole.
pub(crate) fn bedrock(request: &Request) -> Reply {
    refuse_tokens(request);
    let body = request.json();
    let refused = |message: String| refusal(json!({ "message": message }));
    let turns = list(&body["messages"]);
    for block in turns.iter().flat_map(|turn| list(&turn["content"])) {
        let thoughts = &block["reasoningContent"]["reasoningText"];
        if thoughts.is_object()
            && thoughts["signature"] != sign("anthropic", thoughts["text"].as_str().unwrap_or_default())
        {
            return refused("The value at reasoningContent.reasoningText.signature is not valid".to_owned());
        }
    }
    let thinks = body["additionalModelRequestFields"]["thinking"]["type"] == "enabled";
    if thinks
        && let [.., asking, answering] = turns
        && list(&answering["content"]).iter().any(|block| block["toolResult"].is_object())
        && asking["content"][0]["reasoningContent"].is_null()
    {
        return refused("Expected `thinking` or `redacted_thinking`, but found `tool_use`.".to_owned());
    }
    let is_result = |block: &Value| block["toolResult"].is_object();
    let asked = turns.iter().rposition(|turn| turn["role"] == "user" && !list(&turn["content"]).iter().any(is_result));
    let results = turns.iter().skip(asked.unwrap_or(0)).flat_map(|turn| list(&turn["content"]));
    let steps = results.filter(|block| is_result(block)).count();
    let mut content = Vec::new();
    if thinks {
        let text = thought("anthropic", steps);
        let signature = sign("anthropic", &text);
        content.push(json!({ "reasoningContent": { "reasoningText": { "text": text, "signature": signature } } }));
    }
    content.push(match steps {
        ..STEPS => json!({
            "toolUse": { "toolUseId": format!("tooluse_{}", turns.len()), "name": "step", "input": { "n": steps } },
        }),
        _ => json!({ "text": FINAL }),
    });
    Reply::ok(json!({
        "output": { "message": { "role": "assistant", "content": content } },
        "stopReason": if steps < STEPS { "tool_use" } else { "end_turn" },
        "usage": { "inputTokens": 5, "outputTokens": 7, "totalTokens": 12 }, "metrics": { "latencyMs": 1 },
    }))
}

// === OpenRouter ===

/// Chat Completions with `reasoning_details`, which are to come back as they were, with each call that they led to. The
/// second step's thoughts are withheld.
pub(crate) fn openrouter(request: &Request) -> Reply {
    refuse_tokens(request);
    let body = request.json();
    let turns = list(&body["messages"]);
    let details = |steps: usize| {
        let text = thought("openrouter", steps);
        match steps {
            1 => {
                json!([{ "type": "reasoning.encrypted", "data": sign("openrouter", &text), "id": "rs_1", "index": 0 }])
            }
            _ => json!([{
                "type": "reasoning.text", "text": text, "signature": sign("openrouter", &text), "index": 0,
                "format": "anthropic-claude-v1",
            }]),
        }
    };
    for turn in turns.iter().filter(|turn| turn["role"] == "assistant") {
        let id = turn["tool_calls"][0]["id"].as_str().unwrap_or_default();
        let step = id.strip_prefix("call_openrouter_").and_then(|rest| rest.split('_').next()?.parse().ok());
        let proven = list(&turn["reasoning_details"])
            .iter()
            .any(|detail| !detail["signature"].is_null() || !detail["data"].is_null());
        let valid = match step {
            Some(step) => turn["reasoning_details"] == details(step),
            None => !proven,
        };
        if !valid {
            let message = format!("reasoning_details of {id} did not come back as they were: {turn}");
            return refusal(json!({ "error": { "message": message, "code": 400 } }));
        }
    }
    let asked = turns.iter().rposition(|turn| turn["role"] == "user").unwrap_or(0);
    let steps = turns.iter().skip(asked).filter(|turn| turn["role"] == "tool").count();
    let call = json!({
        "id": format!("call_openrouter_{steps}_{}", turns.len()), "type": "function",
        "function": { "name": "step", "arguments": json!({ "n": steps }).to_string() },
    });
    let mut message = json!({ "role": "assistant", "content": null });
    let reason = if steps < STEPS { "tool_calls" } else { "stop" };
    match steps {
        ..STEPS => {
            message["tool_calls"] = json!([call]);
            message["reasoning_details"] = details(steps);
            if steps != 1 {
                message["reasoning"] = json!(thought("openrouter", steps));
            }
        }
        _ => message["content"] = json!(FINAL),
    }
    let answer = |object: &str, choice: Value| {
        let usage = json!({ "prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12 });
        json!({
            "id": "gen-1", "object": object, "created": 1, "model": body["model"], "choices": [choice], "usage": usage,
        })
    };
    if body["stream"] != true {
        let choice = json!({ "index": 0, "message": message, "finish_reason": reason });
        return Reply::ok(answer("chat.completion", choice));
    }
    let mut deltas = Vec::new();
    if let Some(text) = message["reasoning"].as_str() {
        let (left, right) = text.split_at(text.len() / 2);
        let mut piece = message["reasoning_details"][0].clone();
        let signature = piece["signature"].take();
        piece.as_object_mut().unwrap().remove("signature");
        for half in [left, right] {
            piece["text"] = json!(half);
            deltas.push(json!({ "reasoning": half, "reasoning_details": [piece] }));
        }
        piece.as_object_mut().unwrap().remove("text");
        piece["signature"] = signature;
        deltas.push(json!({ "content": "", "reasoning": null, "reasoning_details": [piece] }));
    } else if steps < STEPS {
        deltas.push(json!({ "reasoning_details": message["reasoning_details"] }));
    }
    match steps {
        ..STEPS => {
            message["tool_calls"][0]["index"] = json!(0);
            deltas.push(json!({ "content": null, "tool_calls": message["tool_calls"] }));
        }
        _ => deltas.push(json!({ "content": FINAL })),
    }
    let chunk = |delta: &Value, reason: Value| {
        let mut delta = delta.clone();
        delta["role"] = json!("assistant");
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
        format!("data: {}\n\n", answer("chat.completion.chunk", choice))
    };
    let mut events: Vec<String> = deltas.iter().map(|delta| chunk(delta, Value::Null)).collect();
    events.push(chunk(&json!({}), json!(reason)));
    events.push("data: [DONE]\n\n".to_owned());
    stream(events)
}

// === OpenAI ===

/// Chat Completions has no proofs; what is not in its description is refused, as strict servers do.
pub(crate) fn openai(request: &Request) -> Reply {
    refuse_tokens(request);
    let body = request.json();
    let unknown = |object: &Value, known: &[&str]| {
        object.as_object().unwrap().keys().find(|key| !known.contains(&key.as_str())).cloned()
    };
    for message in list(&body["messages"]) {
        let known = ["role", "content", "refusal", "tool_calls", "tool_call_id", "name"];
        let calls = list(&message["tool_calls"]).iter();
        let found = unknown(message, &known);
        let found = found.or_else(|| calls.into_iter().find_map(|call| unknown(call, &["id", "type", "function"])));
        if let Some(key) = found {
            let message = format!("Additional properties are not allowed ('{key}' was unexpected)");
            return refusal(json!({ "error": { "message": message, "type": "invalid_request_error", "code": null } }));
        }
    }
    let turns = list(&body["messages"]);
    let asked = turns.iter().rposition(|turn| turn["role"] == "user").unwrap_or(0);
    let steps = turns.iter().skip(asked).filter(|turn| turn["role"] == "tool").count();
    let call = json!({
        "id": format!("call_openai{}", turns.len()), "type": "function",
        "function": { "name": "step", "arguments": json!({ "n": steps }).to_string() },
    });
    let (message, reason) = match steps {
        ..STEPS => (json!({ "role": "assistant", "content": null, "tool_calls": [call] }), "tool_calls"),
        _ => (json!({ "role": "assistant", "content": FINAL }), "stop"),
    };
    let usage = json!({ "prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12 });
    if body["stream"] != true {
        let choice = json!({ "index": 0, "message": message, "finish_reason": reason });
        return Reply::ok(json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice],
            "usage": usage,
        }));
    }
    let mut delta = message;
    if let Some(call) = delta["tool_calls"].get_mut(0) {
        call["index"] = json!(0);
    }
    let chunk = |choices: Value| {
        let mut chunk =
            json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"] });
        chunk["choices"] = choices;
        format!("data: {chunk}\n\n")
    };
    stream(vec![
        chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null }])),
        chunk(json!([{ "index": 0, "delta": {}, "finish_reason": reason }])),
        "data: [DONE]\n\n".to_owned(),
    ])
}

/// Responses without a store: thoughts come back encrypted, with what followed them.
pub(crate) fn responses(vendor: &'static str) -> impl Fn(&Request) -> Reply {
    move |request| {
        refuse_tokens(request);
        let body = request.json();
        assert_eq!(body["store"], false, "{body}");
        let items = list(&body["input"]);
        if let Err((code, message)) = verify_items(vendor, items) {
            return refusal(json!({ "error": { "message": message, "type": "invalid_request_error", "code": code } }));
        }
        let asked = items.iter().rposition(|item| item["role"] == "user").unwrap_or(0);
        let steps = items.iter().skip(asked).filter(|item| item["type"] == "function_call_output").count();
        let text = thought(vendor, steps);
        let thoughts = json!({
            "type": "reasoning", "id": format!("rs_{}", items.len()),
            "summary": [{ "type": "summary_text", "text": text }], "encrypted_content": sign(vendor, &text),
        });
        let said = match steps {
            ..STEPS => json!({
                "type": "function_call", "id": format!("fc_{}", items.len()), "status": "completed",
                "call_id": format!("call_{vendor}{}", items.len()), "name": "step",
                "arguments": json!({ "n": steps }).to_string(),
            }),
            _ => json!({
                "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{ "type": "output_text", "text": FINAL, "annotations": [] }],
            }),
        };
        let answer = |status: &str, output: &[Value]| {
            json!({
                "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": body["model"],
                "output": output, "usage": { "input_tokens": 5, "output_tokens": 7, "total_tokens": 12 },
            })
        };
        let output = [thoughts, said];
        if body["stream"] != true {
            return Reply::ok(answer("completed", &output));
        }
        let mut events = vec![json!({ "type": "response.created", "response": answer("in_progress", &[]) })];
        for (index, item) in output.iter().enumerate() {
            events.push(json!({ "type": "response.output_item.added", "output_index": index, "item": item }));
            events.push(json!({ "type": "response.output_item.done", "output_index": index, "item": item }));
        }
        events.push(json!({ "type": "response.completed", "response": answer("completed", &output) }));
        stream(
            events
                .iter()
                .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
                .collect(),
        )
    }
}

fn verify_items(vendor: &str, items: &[Value]) -> Result<(), (&'static str, String)> {
    for (at, item) in items.iter().enumerate().filter(|(_, item)| item["type"] == "reasoning") {
        let id = &item["id"];
        let Some(proof) = item["encrypted_content"].as_str() else {
            let message =
                format!("Item with id '{id}' not found. Items are not persisted when `store` is set to false.");
            return Err(("item_not_found", message));
        };
        if proof != sign(vendor, item["summary"][0]["text"].as_str().unwrap_or_default()) {
            let message = format!("The encrypted content {proof} could not be verified. Reason: it is not ours.");
            return Err(("invalid_encrypted_content", message));
        }
        let follows = items.get(at + 1).is_some_and(|next| {
            next["type"] == "function_call" || (next["role"] == "assistant" && next["type"] != "reasoning")
        });
        if !follows {
            let message = format!("Item '{id}' of type 'reasoning' was provided without its required following item.");
            return Err(("invalid_value", message));
        }
    }
    Ok(())
}
