//! The embedded `demo` provider: an upstream without a socket. It speaks Chat Completions, streams, calls tools, fills in
//! schemas, and fails or dawdles on demand, so that everything can be tried before there is a key.
//!
//! The model's name says how to behave, `+` between several wishes: `chat`, `delay-500ms` (before the answer),
//! `pace-20ms` (between events), `fail-503` (any status), `stall` (never answers), `break` (a stream that ends in the
//! middle).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body::Frame;
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep};

/// What the model's name asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    delay: Duration,
    pace: Duration,
    fail: Option<StatusCode>,
    stall: bool,
    broken: bool,
}

impl Wishes {
    /// Reads a model name.
    ///
    /// # Errors
    /// The part that is not understood.
    pub fn parse(model: &str) -> Result<Wishes, String> {
        let mut wishes = Wishes::default();
        for wish in model.split('+') {
            match wish.split_once('-') {
                None if matches!(wish, "chat" | "demo" | "embed") => {}
                None if wish == "stall" => wishes.stall = true,
                None if wish == "break" => wishes.broken = true,
                Some(("delay", text)) => wishes.delay = duration(text).ok_or_else(|| wish.to_owned())?,
                Some(("pace", text)) => wishes.pace = duration(text).ok_or_else(|| wish.to_owned())?,
                Some(("fail", text)) => {
                    wishes.fail = Some(text.parse().ok().filter(is_failure).ok_or_else(|| wish.to_owned())?);
                }
                _ => return Err(wish.to_owned()),
            }
        }
        Ok(wishes)
    }
}

fn is_failure(status: &StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// `20ms`, `2s`; at most a minute.
fn duration(text: &str) -> Option<Duration> {
    let duration = match text.strip_suffix("ms") {
        Some(number) => Duration::from_millis(number.parse().ok()?),
        None => Duration::from_secs(text.strip_suffix('s')?.parse().ok()?),
    };
    (duration <= Duration::from_secs(60)).then_some(duration)
}

/// The body of a demo answer: pieces, each not before its time.
#[derive(Debug)]
pub struct DemoBody {
    pieces: std::vec::IntoIter<Bytes>,
    pace: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for DemoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(timer) = &mut self.timer {
            std::task::ready!(timer.as_mut().poll(cx));
            let next = Instant::now() + self.pace;
            if let Some(timer) = &mut self.timer {
                timer.as_mut().reset(next);
            }
        }
        Poll::Ready(self.pieces.next().map(|piece| Ok(Frame::data(piece))))
    }
}

/// Answers a request in the OpenAI shape. `path` tells chat from embeddings.
pub async fn answer(path: &str, body: &[u8]) -> Response<DemoBody> {
    let request: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let model = request.get("model").and_then(Value::as_str).unwrap_or("chat");
    let wishes = match Wishes::parse(model) {
        Ok(wishes) => wishes,
        Err(wish) => {
            let message = format!(
                "the demo provider does not know `{wish}`; try `demo/chat`, `demo/delay-500ms`, `demo/pace-50ms`, \
                 `demo/fail-503`, `demo/stall` or `demo/break`, several joined by `+`"
            );
            return failure(StatusCode::NOT_FOUND, &message, "model_not_found");
        }
    };
    if wishes.stall {
        std::future::pending::<()>().await;
    }
    if !wishes.delay.is_zero() {
        tokio::time::sleep(wishes.delay).await;
    }
    if let Some(status) = wishes.fail {
        return failure(status, "the demo provider failed, as asked", "demo_failure");
    }
    if path.ends_with("/embeddings") {
        return whole(StatusCode::OK, &embeddings(&request));
    }
    let reply = Reply::to(&request);
    if request.get("stream").and_then(Value::as_bool).unwrap_or(false) {
        stream(&reply, &request, &wishes)
    } else {
        whole(StatusCode::OK, &reply.completion(model))
    }
}

fn whole(status: StatusCode, value: &Value) -> Response<DemoBody> {
    respond(status, "application/json", vec![Bytes::from(value.to_string())], Duration::ZERO)
}

fn failure(status: StatusCode, message: &str, code: &str) -> Response<DemoBody> {
    whole(status, &json!({"error": {"message": message, "type": "demo_error", "param": null, "code": code}}))
}

fn respond(status: StatusCode, content_type: &'static str, pieces: Vec<Bytes>, pace: Duration) -> Response<DemoBody> {
    let timer = (!pace.is_zero()).then(|| Box::pin(tokio::time::sleep(pace)));
    let mut response = Response::new(DemoBody { pieces: pieces.into_iter(), pace, timer });
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// What the demo model says.
struct Reply {
    content: Option<String>,
    calls: Vec<(String, String)>,
    prompt_tokens: u64,
}

impl Reply {
    fn to(request: &Value) -> Reply {
        let messages = request.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let prompt_tokens = messages.iter().map(|message| message.to_string().len() as u64).sum::<u64>().div_ceil(4);
        // Agents write reminders behind the results of their tools.
        let roles = messages.iter().rev().filter_map(|message| message.get("role")?.as_str());
        let answered = roles.take_while(|role| *role != "assistant").any(|role| role == "tool");
        let calls = if answered { Vec::new() } else { calls(request) };
        let content = calls.is_empty().then(|| text(request, messages));
        Reply { content, calls, prompt_tokens }
    }

    fn completion_tokens(&self) -> u64 {
        let calls: usize = self.calls.iter().map(|(name, arguments)| name.len() + arguments.len()).sum();
        ((self.content.as_ref().map_or(0, String::len) + calls) as u64).div_ceil(4)
    }

    fn usage(&self) -> Value {
        let (prompt, completion) = (self.prompt_tokens, self.completion_tokens());
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
    }

    fn finish_reason(&self) -> &'static str {
        if self.calls.is_empty() { "stop" } else { "tool_calls" }
    }

    fn tool_calls(&self) -> Vec<Value> {
        let call = |(at, (name, arguments)): (usize, &(String, String))| {
            json!({"index": at, "id": format!("call_demo_{at}"), "type": "function",
                   "function": {"name": name, "arguments": arguments}})
        };
        self.calls.iter().enumerate().map(call).collect()
    }

    fn completion(&self, model: &str) -> Value {
        let mut message = json!({"role": "assistant", "content": self.content, "refusal": null});
        if let (false, Some(message)) = (self.calls.is_empty(), message.as_object_mut()) {
            message.insert("tool_calls".to_owned(), Value::Array(self.tool_calls()));
        }
        json!({
            "id": "chatcmpl-demo", "object": "chat.completion", "created": 0, "model": model,
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": self.finish_reason()}],
            "usage": self.usage(),
        })
    }
}

/// One call of each offered tool (or of the one that is demanded), its arguments filled in from its schema.
fn calls(request: &Value) -> Vec<(String, String)> {
    let choice = request.get("tool_choice");
    if choice.and_then(Value::as_str) == Some("none") {
        return Vec::new();
    }
    let only = choice.and_then(|choice| choice.pointer("/function/name")).and_then(Value::as_str);
    let tools = request.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let single = request.get("parallel_tool_calls").and_then(Value::as_bool) == Some(false);
    tools
        .iter()
        .filter_map(|tool| tool.get("function"))
        .filter_map(|function| Some((function.get("name")?.as_str()?, function.get("parameters"))))
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
        .take(if single { 1 } else { usize::MAX })
        .map(|(name, schema)| (name.to_owned(), instance(schema.unwrap_or(&Value::Null), 0).to_string()))
        .collect()
}

fn text(request: &Value, messages: &[Value]) -> String {
    match request.pointer("/response_format/type").and_then(Value::as_str) {
        Some("json_schema") => {
            let schema = request.pointer("/response_format/json_schema/schema").unwrap_or(&Value::Null);
            return instance(schema, 0).to_string();
        }
        Some("json_object") => return json!({"answer": "Hello from the demo provider."}).to_string(),
        _ => {}
    }
    let said = messages.iter().rev().find(|message| message.get("role").is_some_and(|role| role == "user"));
    let said = said.and_then(|message| message.get("content")).map(plain).unwrap_or_default();
    let said: String = said.chars().take(200).collect();
    format!(
        "Hello from Routeplane's built-in demo provider. You said: \"{said}\". Set a provider's key \
         (OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, ...) and a real model answers here."
    )
}

fn plain(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text")).filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

/// A small value that fits `schema`, as far as a demo goes.
fn instance(schema: &Value, depth: usize) -> Value {
    const DEEPEST: usize = 8;
    if let Some(value) = schema.get("const").or_else(|| schema.get("default")) {
        return value.clone();
    }
    if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first()) {
        return first.clone();
    }
    for union in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(union).and_then(Value::as_array).and_then(|branches| branches.first())
            && depth < DEEPEST
        {
            return instance(first, depth + 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("object"),
        _ => "object",
    };
    match kind.to_ascii_lowercase().as_str() {
        "string" => json!("demo"),
        "integer" => schema.get("minimum").filter(|minimum| minimum.is_i64()).cloned().unwrap_or(json!(1)),
        "number" => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        "boolean" => json!(true),
        "null" => Value::Null,
        "array" if depth < DEEPEST => json!([instance(schema.get("items").unwrap_or(&Value::Null), depth + 1)]),
        "array" => json!([]),
        _ => object(schema, depth),
    }
}

fn object(schema: &Value, depth: usize) -> Value {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let members = properties.into_iter().flatten().filter(|(name, _)| required.contains(&name.as_str()));
    members.map(|(name, schema)| (name.clone(), instance(schema, depth + 1))).collect::<serde_json::Map<_, _>>().into()
}

fn stream(reply: &Reply, request: &Value, wishes: &Wishes) -> Response<DemoBody> {
    let model = request.get("model").and_then(Value::as_str).unwrap_or("chat");
    let chunk = |delta: Value, finish: Option<&str>| {
        event(&json!({"id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 0, "model": model,
                      "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]}))
    };
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
    for word in reply.content.iter().flat_map(|content| content.split_inclusive(' ')) {
        events.push(chunk(json!({"content": word}), None));
    }
    for call in reply.tool_calls() {
        events.push(chunk(json!({"tool_calls": [call]}), None));
    }
    if wishes.broken {
        events.truncate(events.len().div_ceil(2).max(2));
        return respond(StatusCode::OK, "text/event-stream", events, wishes.pace);
    }
    events.push(chunk(json!({}), Some(reply.finish_reason())));
    if request.pointer("/stream_options/include_usage").and_then(Value::as_bool).unwrap_or(false) {
        events.push(event(
            &json!({"id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 0, "model": model,
                                  "choices": [], "usage": reply.usage()}),
        ));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    respond(StatusCode::OK, "text/event-stream", events, wishes.pace)
}

fn event(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

/// Eight numbers per text, derived from its bytes.
fn embeddings(request: &Value) -> Value {
    let texts: Vec<String> = match request.get("input") {
        Some(Value::Array(texts)) => {
            texts.iter().map(|text| text.as_str().map_or_else(|| text.to_string(), str::to_owned)).collect()
        }
        Some(Value::String(text)) => vec![text.clone()],
        _ => Vec::new(),
    };
    let base64 = request.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let vector = |text: &str| -> Value {
        let hash = blake3::hash(text.as_bytes());
        let numbers: Vec<f32> = hash.as_bytes().iter().take(8).map(|byte| f32::from(*byte) / 255.0).collect();
        if base64 {
            use base64::Engine as _;
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            return json!(base64::engine::general_purpose::STANDARD.encode(bytes));
        }
        json!(numbers)
    };
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"object": "embedding", "index": index, "embedding": vector(text)}))
        .collect();
    let tokens = texts.iter().map(|text| text.len() as u64).sum::<u64>().div_ceil(4);
    json!({"object": "list", "model": request.get("model"), "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_from_the_models_name() {
        let wishes = Wishes::parse("chat+delay-500ms+fail-503").unwrap();
        assert_eq!(wishes.delay, Duration::from_millis(500));
        assert_eq!(wishes.fail, Some(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(Wishes::parse("fail-200"), Err("fail-200".to_owned()));
        assert_eq!(Wishes::parse("gpt"), Err("gpt".to_owned()));
    }

    #[test]
    fn tools_are_called_once_a_turn() {
        let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
        let calls = |messages: Value| Reply::to(&json!({"messages": messages, "tools": tools})).calls.len();
        let asked = json!([{"role": "user", "content": "go"}]);
        assert_eq!(calls(asked), 1);
        let told = json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "tool_calls": []},
            {"role": "tool", "content": "x"},
            {"role": "user", "content": "a reminder"},
        ]);
        assert_eq!(calls(told), 0, "what an agent adds to the results is no new question");
    }

    #[test]
    fn a_value_is_made_for_a_schema() {
        let schema = json!({"type": "object", "required": ["city", "days"], "properties": {
            "city": {"type": "string"}, "days": {"type": "array", "items": {"type": "integer", "minimum": 3}}, "unit": {"type": "string"}}});
        assert_eq!(instance(&schema, 0), json!({"city": "demo", "days": [3]}));
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let mut schema = json!({"type": "array"});
        for _ in 0..100 {
            schema = json!({"type": "array", "items": schema});
        }
        assert!(instance(&schema, 0).is_array());
    }
}
