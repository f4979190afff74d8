//! A request as a command that anybody can run: `curl ...`, and in a comment what a short command cannot carry (a size, the
//! time of day, whose key it is).

mod bodies;

use std::fmt::Display;

use serde_json::{Map, Value, json};

use super::analysis::Space;
use super::facts::{self, tag_header};
use super::predicate::{Quoted, ValueFact};
use super::request::RequestShape;
use super::{NumberFact, OutputKind, ReasoningLevel};
use crate::wire::ProtocolId;

/// The longest text and the most things of a kind that are written out.
const LONGEST: usize = 200;
const MOST: u64 = 4;

/// The command that makes a request of this shape at `address`.
pub fn curl(shape: &RequestShape, address: impl Display) -> String {
    let mut said = Said { notes: Vec::new(), headers: Vec::new() };
    let (path, body) = said.request(shape);
    said.surroundings(shape);
    let mut command = format!("curl http://{address}{path}");
    for (name, value) in &said.headers {
        command.push_str(&format!(" -H {}", shell(&format!("{name}: {value}"))));
    }
    if shape.key.is_some() {
        command.push_str(" -H \"authorization: Bearer $ROUTEPLANE_KEY\"");
    }
    command.push_str(&format!(" -d {}", shell(&Value::Object(body).to_string())));
    if !said.notes.is_empty() {
        command.push_str(&format!("  # where {}", said.notes.join(" and ")));
    }
    command
}

/// What does not stand in the body.
struct Said {
    /// Conditions that hold besides.
    notes: Vec<String>,
    headers: Vec<(String, String)>,
}

impl Said {
    fn note(&mut self, fact: impl Display, value: impl Display) {
        self.notes.push(format!("{fact} == {value}"));
    }

    fn request(&mut self, shape: &RequestShape) -> (String, Map<String, Value>) {
        let mut body = Map::new();
        if shape.embeddings {
            body.insert("model".to_owned(), shape.model.clone().into());
            body.insert("input".to_owned(), "Hello".into());
            self.uncarried(shape);
            self.user_in_header(shape);
            return ("/v1/embeddings".to_owned(), body);
        }
        match shape.protocol {
            ProtocolId::OpenAiChat | ProtocolId::TensorZero | ProtocolId::TensorZeroChat => self.chat(shape, &mut body),
            ProtocolId::AnthropicMessages => self.messages(shape, &mut body),
            ProtocolId::OpenAiResponses => self.responses(shape, body),
            ProtocolId::BedrockConverse => self.converse(shape, body),
            ProtocolId::Gemini => self.gemini(shape, body),
        }
    }

    fn chat(&mut self, shape: &RequestShape, body: &mut Map<String, Value>) -> (String, Map<String, Value>) {
        body.insert("model".to_owned(), shape.model.clone().into());
        let image = |n| json!({ "type": "image_url", "image_url": { "url": format!("https://example.com/{n}.png") } });
        let mut messages = vec![json!({ "role": "user", "content": self.content(shape, &image) })];
        if let Some(tool) = &shape.last_tool {
            let function = json!({ "name": tool, "arguments": "{}" });
            messages.push(json!({
                "role": "assistant", "content": null,
                "tool_calls": [{ "id": "call_1", "type": "function", "function": function }],
            }));
            messages.push(json!({ "role": "tool", "tool_call_id": "call_1", "content": "done" }));
        }
        body.insert("messages".to_owned(), self.counted_messages(shape, messages, "Hello".into()).into());
        let tool = |name: &str| json!({ "type": "function", "function": { "name": name, "parameters": { "type": "object" } } });
        self.tools(shape, body, &tool);
        if shape.stream {
            body.insert("stream".to_owned(), true.into());
        }
        if shape.max_tokens > 0 {
            body.insert("max_tokens".to_owned(), shape.max_tokens.into());
        }
        if let Some(user) = &shape.user {
            body.insert("user".to_owned(), user.clone().into());
        }
        if !shape.tags.is_empty() {
            body.insert("metadata".to_owned(), json!(shape.tags));
        }
        if shape.reasoning != ReasoningLevel::None {
            body.insert("reasoning_effort".to_owned(), bodies::effort(shape.reasoning).into());
        }
        let format = match shape.output {
            OutputKind::Text => None,
            OutputKind::Json => Some(json!({ "type": "json_object" })),
            OutputKind::Schema => Some(
                json!({ "type": "json_schema", "json_schema": { "name": "answer", "schema": { "type": "object" } } }),
            ),
        };
        body.extend(format.map(|format| ("response_format".to_owned(), format)));
        self.sizes(shape);
        ("/v1/chat/completions".to_owned(), std::mem::take(body))
    }

    fn messages(&mut self, shape: &RequestShape, body: &mut Map<String, Value>) -> (String, Map<String, Value>) {
        body.insert("model".to_owned(), shape.model.clone().into());
        // The protocol asks for a limit; a rule that wants none gets one that changes nothing else.
        let limit = if shape.max_tokens > 0 { shape.max_tokens } else { 1024 };
        body.insert("max_tokens".to_owned(), limit.into());
        let image =
            |n| json!({ "type": "image", "source": { "type": "url", "url": format!("https://example.com/{n}.png") } });
        let mut messages = vec![json!({ "role": "user", "content": self.content(shape, &image) })];
        if let Some(tool) = &shape.last_tool {
            let call = json!({ "type": "tool_use", "id": "call_1", "name": tool, "input": {} });
            messages.push(json!({ "role": "assistant", "content": [call] }));
            let result = json!({ "type": "tool_result", "tool_use_id": "call_1", "content": "done" });
            messages.push(json!({ "role": "user", "content": [result] }));
        }
        body.insert("messages".to_owned(), self.counted_messages(shape, messages, "Hello".into()).into());
        self.tools(shape, body, &|name| json!({ "name": name, "input_schema": { "type": "object" } }));
        if shape.stream {
            body.insert("stream".to_owned(), true.into());
        }
        if let Some(user) = &shape.user {
            body.insert("metadata".to_owned(), json!({ "user_id": user }));
        }
        let budget = match shape.reasoning {
            ReasoningLevel::None => None,
            ReasoningLevel::Minimal => Some(1024),
            ReasoningLevel::Low => Some(4096),
            ReasoningLevel::Medium => Some(8192),
            ReasoningLevel::High => Some(16_384),
            ReasoningLevel::Max => Some(32_000),
        };
        body.extend(
            budget.map(|budget| ("thinking".to_owned(), json!({ "type": "enabled", "budget_tokens": budget }))),
        );
        if shape.output != OutputKind::Text {
            self.note("output", word(&ValueFact::Output, shape.output as u64));
        }
        self.tags_in_headers(shape);
        self.sizes(shape);
        ("/v1/messages".to_owned(), std::mem::take(body))
    }

    /// The command shows the path and the model, and the comment the rest.
    fn gemini(&mut self, shape: &RequestShape, mut body: Map<String, Value>) -> (String, Map<String, Value>) {
        self.uncarried(shape);
        self.user_in_header(shape);
        self.tags_in_headers(shape);
        body.insert("contents".to_owned(), json!([{ "role": "user", "parts": [{ "text": "Hello" }] }]));
        let verb = if shape.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        let model = percent_encoding::utf8_percent_encode(&shape.model, percent_encoding::NON_ALPHANUMERIC);
        (format!("/v1beta/models/{model}:{verb}"), body)
    }

    fn content(&mut self, shape: &RequestShape, image: &dyn Fn(u64) -> Value) -> Value {
        self.pictured(shape, "Hello".into(), json!({ "type": "text", "text": "Hello" }), image)
    }

    /// As many messages as there are to be, the given ones last; `said` is what the others say.
    fn counted_messages(&mut self, shape: &RequestShape, messages: Vec<Value>, said: Value) -> Vec<Value> {
        let plain = Space::plain(&ValueFact::Number(NumberFact::Messages));
        let there = messages.len() as u64;
        if shape.messages == plain || shape.messages == there {
            return messages;
        }
        if shape.messages == 0 && there == plain && shape.images == 0 {
            return Vec::new();
        }
        if shape.messages < there || shape.messages - there > MOST {
            self.note("messages", shape.messages);
            return messages;
        }
        let roles = ["user", "assistant"].into_iter().cycle();
        let before = roles.map(|role| json!({ "role": role, "content": said }));
        before.take(usize::try_from(shape.messages - there).unwrap_or(0)).chain(messages).collect()
    }

    fn tools(&mut self, shape: &RequestShape, body: &mut Map<String, Value>, tool: &dyn Fn(&str) -> Value) {
        let count = (shape.tools.len() as u64).saturating_add(shape.other_tools);
        if count == 0 {
            return;
        }
        let others = (1..=shape.other_tools.min(MOST)).map(|n| tool(&format!("another_{n}")));
        let named = shape.tools.iter().take(LONGEST).map(|name| tool(name));
        let tools: Vec<Value> = named.chain(others).collect();
        if tools.len() as u64 != count {
            self.note("tools", count);
        }
        body.insert("tools".to_owned(), tools.into());
    }

    /// Sizes that would make the command long, and parts that few protocols have.
    fn sizes(&mut self, shape: &RequestShape) {
        if shape.input_tokens != Space::plain(&ValueFact::Number(NumberFact::InputTokens)) {
            self.note("input_tokens", shape.input_tokens);
        }
        for (name, count) in [("files", shape.files), ("audio", shape.audio)] {
            if count > 0 {
                self.note(name, count);
            }
        }
    }

    /// Everything that a body could hold, in the comment.
    fn uncarried(&mut self, shape: &RequestShape) {
        self.sizes(shape);
        let tools = (shape.tools.len() as u64).saturating_add(shape.other_tools);
        for (name, count) in [("tools", tools), ("images", shape.images), ("max_tokens", shape.max_tokens)] {
            if count > 0 {
                self.note(name, count);
            }
        }
        for name in shape.tools.iter().take(LONGEST) {
            self.notes.push(format!("tool({})", Quoted(name)));
        }
        if shape.messages != Space::plain(&ValueFact::Number(NumberFact::Messages)) {
            self.note("messages", shape.messages);
        }
        if let Some(tool) = &shape.last_tool {
            self.note("last_tool", Quoted(tool));
        }
        if shape.reasoning != ReasoningLevel::None {
            self.note("reasoning", word(&ValueFact::Reasoning, shape.reasoning as u64));
        }
        if shape.output != OutputKind::Text {
            self.note("output", word(&ValueFact::Output, shape.output as u64));
        }
        if shape.embeddings && shape.stream {
            self.notes.push("stream".to_owned());
        }
    }

    fn user_in_header(&mut self, shape: &RequestShape) {
        if let Some(user) = &shape.user {
            self.headers.push((facts::USER_HEADER.to_owned(), user.clone()));
        }
    }

    fn tags_in_headers(&mut self, shape: &RequestShape) {
        self.headers.extend(shape.tags.iter().map(|(name, value)| (tag_header(name), value.clone())));
    }

    /// Headers, the clock and the key: the same for every protocol.
    fn surroundings(&mut self, shape: &RequestShape) {
        self.headers.extend(shape.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        if let Some(session) = &shape.session {
            let [first, ..] = facts::SESSION_HEADERS;
            self.headers.push((first.to_owned(), session.clone()));
        }
        if !shape.request_id.is_empty() {
            self.headers.push(("x-request-id".to_owned(), shape.request_id.clone()));
        }
        if let Some(key) = &shape.key {
            self.note("key", Quoted(key));
        }
        if shape.hour > 0 {
            self.note("hour", shape.hour);
        }
        if shape.weekday > 0 {
            self.note("weekday", word(&ValueFact::Number(NumberFact::Weekday), shape.weekday));
        }
    }
}

/// The word at this position.
fn word(fact: &ValueFact, position: u64) -> &'static str {
    let words = fact.words().map_or(&[][..], |words| words.list);
    usize::try_from(position).ok().and_then(|at| words.get(at)).copied().unwrap_or("")
}

/// In single quotes, as a POSIX shell takes it.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
