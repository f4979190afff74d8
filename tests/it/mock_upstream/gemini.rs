//! The mock's generateContent. Its streams use CRLF, as Google's do.

use std::time::Duration;

use serde_json::{Value, json};

use super::dialect::{self, Facts, Said, Stream};
use super::http::Request;

pub(crate) fn read(request: &Request) -> Facts {
    let body = request.json();
    let stream = request.path().ends_with(":streamGenerateContent");
    let mut facts = Facts { model: model(request), stream, schema: schema(&body), ..Facts::default() };
    check(request, &body, &mut facts);
    for tool in array(&body["tools"]) {
        let names = array(&tool["functionDeclarations"]).iter().filter_map(|function| function["name"].as_str());
        facts.tools.extend(names.map(str::to_owned));
    }
    for content in array(&body["contents"]) {
        for part in array(&content["parts"]) {
            read_part(part, &mut facts);
        }
    }
    facts
}

/// What Google insists on.
fn check(request: &Request, body: &Value, facts: &mut Facts) {
    if array(&body["contents"]).is_empty() {
        facts.faults.push("no `contents`".to_owned());
    }
    if facts.stream && !request.target.ends_with("alt=sse") {
        facts.faults.push("the mock streams with `alt=sse` only".to_owned());
    }
    if request.target.contains("key=") {
        facts.faults.push("a key in the URL".to_owned());
    }
}

fn model(request: &Request) -> String {
    let name = request.path().split("/models/").nth(1).unwrap_or_default();
    name.split(':').next().unwrap_or_default().to_owned()
}

fn schema(body: &Value) -> Option<Value> {
    let config = &body["generationConfig"];
    let schema = config.get("responseJsonSchema").or_else(|| config.get("responseSchema"))?;
    (config["responseMimeType"] == "application/json").then(|| schema.clone())
}

fn read_part(part: &Value, facts: &mut Facts) {
    if let Some(result) = part.get("functionResponse") {
        facts.tool_results.push(format!("{}={}", result["name"].as_str().unwrap_or("no name"), result["response"]));
    }
    if let Some(data) = part.get("inlineData") {
        // Google reads both alphabets of base64; its own Python SDK sends the URL-safe one.
        let text = data["data"].as_str().unwrap_or_default().replace('-', "+").replace('_', "/");
        let length = dialect::decoded_length(&text);
        // Protobuf's JSON has both spellings, and that SDK mixes them.
        let media_type = data.get("mimeType").or_else(|| data.get("mime_type")).and_then(Value::as_str);
        facts.image = Some((media_type.unwrap_or_default().to_owned(), length));
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The calls; the first of them carries the signature where no text does.
fn calls(said: &Said) -> Vec<Value> {
    let call = |(_, name, arguments): &dialect::Call| {
        let args: Value = serde_json::from_str(arguments).unwrap();
        json!({ "functionCall": { "name": name, "args": args } })
    };
    let mut calls: Vec<Value> = said.calls.iter().map(call).collect();
    if let Some(first) = calls.first_mut().filter(|_| said.reasoning.is_some() && said.text.is_empty()) {
        first["thoughtSignature"] = json!(dialect::SIGNATURE);
    }
    calls
}

fn usage(said: &Said) -> Value {
    let mut usage = json!({
        "promptTokenCount": dialect::INPUT_TOKENS,
        "cachedContentTokenCount": dialect::CACHED_TOKENS,
        "candidatesTokenCount": dialect::TEXT_TOKENS,
        "totalTokenCount": dialect::INPUT_TOKENS + dialect::TEXT_TOKENS + said.reasoning_tokens(),
    });
    if said.reasoning_tokens() > 0 {
        usage["thoughtsTokenCount"] = json!(said.reasoning_tokens());
    }
    usage
}

fn response(facts: &Facts, said: &Said, parts: Vec<Value>, last: bool) -> Value {
    let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
    if last {
        candidate["finishReason"] = json!("STOP");
    }
    json!({
        "candidates": [candidate], "usageMetadata": usage(said), "modelVersion": facts.model, "responseId": facts.id("resp-mock"),
    })
}

fn thought(text: &str) -> Value {
    json!({ "text": text, "thought": true })
}

/// A text part; after reasoning its first piece carries the signature.
fn text_part(text: &str, signed: bool) -> Value {
    let mut part = json!({ "text": text });
    if signed {
        part["thoughtSignature"] = json!(dialect::SIGNATURE);
    }
    part
}

pub(crate) fn whole(facts: &Facts, said: &Said) -> Value {
    let mut parts: Vec<Value> = said.reasoning.map(thought).into_iter().collect();
    if !said.text.is_empty() {
        parts.push(text_part(&said.whole_text(), said.reasoning.is_some()));
    }
    parts.extend(calls(said));
    response(facts, said, parts, true)
}

pub(crate) fn stream(facts: &Facts, said: &Said) -> Stream {
    let mut parts: Vec<Value> = said.reasoning.map(thought).into_iter().collect();
    let signed = |at: usize| at == 0 && said.reasoning.is_some();
    parts.extend(said.text.iter().enumerate().map(|(at, text)| text_part(text, signed(at))));
    parts.extend(calls(said));
    let last = parts.len() - 1;
    let event = |(at, part): (usize, Value)| {
        format!("data: {}\r\n\r\n", response(facts, said, vec![part], at == last)).into_bytes()
    };
    Stream {
        content_type: "text/event-stream",
        events: parts.into_iter().enumerate().map(event).collect(),
        pause: Duration::ZERO,
        error: Box::new(|message| format!("data: {}\r\n\r\n", error(503, message)).into_bytes()),
    }
}

pub(crate) fn error(code: u16, message: &str) -> String {
    let status = match code {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    json!({ "error": { "code": code, "message": message, "status": status } }).to_string()
}

/// # Errors
/// A batch whose members name another model than the path: Google refuses it.
pub(crate) fn embeddings(request: &Request) -> Result<Value, String> {
    let body = request.json();
    let values = |request: &Value| {
        let text = request["content"]["parts"][0]["text"].as_str().unwrap_or_default();
        json!({ "values": dialect::vector(text) })
    };
    if request.path().ends_with(":embedContent") {
        return Ok(json!({ "embedding": values(&body) }));
    }
    let model = format!("models/{}", model(request));
    match array(&body["requests"]).iter().find(|one| one["model"] != model.as_str()) {
        Some(one) => Err(format!("a request of the batch is for {}, the path for {model}", one["model"])),
        None => Ok(json!({ "embeddings": array(&body["requests"]).iter().map(values).collect::<Vec<_>>() })),
    }
}
