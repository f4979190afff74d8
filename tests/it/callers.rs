//! The client protocols from the caller's side: how a request is written, and what an answer says.

mod converse;
mod responses;

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http_client::{self, Connection, Response};
use crate::mock_upstream::dialect;

/// One client protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Chat,
    Responses,
    Messages,
    Gemini,
    Converse,
}

/// One pixel, as PNG.
pub(crate) const IMAGE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

impl Caller {
    pub(crate) const ALL: [Caller; 5] =
        [Caller::Chat, Caller::Responses, Caller::Messages, Caller::Gemini, Caller::Converse];

    /// The protocol's name in `routeplane.yaml`.
    pub(crate) fn protocol(self) -> &'static str {
        match self {
            Caller::Chat => "openai-chat",
            Caller::Responses => "openai-responses",
            Caller::Messages => "anthropic-messages",
            Caller::Gemini => "gemini",
            Caller::Converse => "bedrock-converse",
        }
    }

    pub(crate) fn target(self, model: &str, stream: bool) -> String {
        match self {
            Caller::Chat => "/v1/chat/completions".to_owned(),
            Caller::Responses => "/v1/responses".to_owned(),
            Caller::Messages => "/v1/messages".to_owned(),
            Caller::Gemini if stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            Caller::Gemini => format!("/v1beta/models/{model}:generateContent"),
            Caller::Converse if stream => format!("/model/{}/converse-stream", model.replace('/', "%2F")),
            Caller::Converse => format!("/model/{}/converse", model.replace('/', "%2F")),
        }
    }

    pub(crate) fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Caller::Messages => &[("anthropic-version", "2023-06-01")],
            Caller::Chat | Caller::Responses | Caller::Gemini | Caller::Converse => &[],
        }
    }

    /// The status that a caller gets where the gateway's own is `status`: AWS has other words for some.
    pub(crate) fn status(self, status: u16) -> u16 {
        match (self, status) {
            (Caller::Converse, 502) => 424,
            (Caller::Converse, 504) => 408,
            _ => status,
        }
    }

    /// A request with one user turn. Reasoning, tools, image and schema follow from the case that `text` names.
    pub(crate) fn body(self, model: &str, text: &str, stream: bool) -> Value {
        let mut body = match self {
            Caller::Chat => json!({ "model": model, "messages": [{ "role": "user", "content": text }] }),
            Caller::Responses => json!({ "model": model, "input": text }),
            Caller::Messages => {
                json!({ "model": model, "max_tokens": 300, "messages": [{ "role": "user", "content": text }] })
            }
            Caller::Gemini => json!({ "contents": [{ "role": "user", "parts": [{ "text": text }] }] }),
            Caller::Converse => json!({ "messages": [{ "role": "user", "content": [{ "text": text }] }] }),
        };
        if stream && !matches!(self, Caller::Gemini | Caller::Converse) {
            body["stream"] = json!(true);
        }
        if stream && self == Caller::Chat {
            body["stream_options"] = json!({ "include_usage": true });
        }
        match text {
            _ if text.contains("case:tools") => self.add_tools(&mut body),
            _ if text.contains("case:image") => self.add_image(&mut body),
            _ if text.contains("case:structured") => self.add_schema(&mut body),
            _ if text.contains("case:reasoning") => self.add_reasoning(&mut body),
            _ => {}
        }
        body
    }

    fn add_tools(self, body: &mut Value) {
        let tool = |name: &str, argument: &str| {
            let schema = json!({
                "type": "object", "properties": { argument: { "type": "string" } }, "required": [argument],
            });
            match self {
                Caller::Chat => json!({ "type": "function", "function": {
                    "name": name, "description": name, "parameters": schema,
                } }),
                Caller::Responses => json!({
                    "type": "function", "name": name, "description": name, "parameters": schema, "strict": false,
                }),
                Caller::Messages => json!({ "name": name, "description": name, "input_schema": schema }),
                Caller::Gemini | Caller::Converse => {
                    json!({ "name": name, "description": name, "parameters": schema })
                }
            }
        };
        let tools = json!([tool("get_weather", "city"), tool("get_time", "zone")]);
        match self {
            Caller::Gemini => body["tools"] = json!([{ "functionDeclarations": tools }]),
            Caller::Converse => body["toolConfig"] = converse::tools(&tools),
            Caller::Chat | Caller::Responses | Caller::Messages => body["tools"] = tools,
        }
    }

    fn add_image(self, body: &mut Value) {
        match self {
            Caller::Chat => {
                let text = body["messages"][0]["content"].take();
                let url = format!("data:image/png;base64,{IMAGE}");
                body["messages"][0]["content"] =
                    json!([{ "type": "text", "text": text }, { "type": "image_url", "image_url": { "url": url } }]);
            }
            Caller::Responses => responses::add_image(body),
            Caller::Messages => {
                let text = body["messages"][0]["content"].take();
                let source = json!({ "type": "base64", "media_type": "image/png", "data": IMAGE });
                body["messages"][0]["content"] =
                    json!([{ "type": "image", "source": source }, { "type": "text", "text": text }]);
            }
            Caller::Gemini => {
                let image = json!({ "inlineData": { "mimeType": "image/png", "data": IMAGE } });
                body["contents"][0]["parts"].as_array_mut().unwrap().push(image);
            }
            Caller::Converse => converse::add_image(body),
        }
    }

    fn add_schema(self, body: &mut Value) {
        let schema = json!({
            "type": "object", "properties": { "answer": { "type": "integer" }, "unit": { "type": "string" } },
            "required": ["answer", "unit"], "additionalProperties": false,
        });
        match self {
            Caller::Chat => {
                let format = json!({ "name": "answer", "schema": schema, "strict": true });
                body["response_format"] = json!({ "type": "json_schema", "json_schema": format });
            }
            Caller::Responses => {
                let format = json!({ "type": "json_schema", "name": "answer", "schema": schema, "strict": true });
                body["text"] = json!({ "format": format });
            }
            Caller::Messages => {
                body["output_config"] = json!({ "format": { "type": "json_schema", "schema": schema } });
            }
            Caller::Gemini => {
                body["generationConfig"] =
                    json!({ "responseMimeType": "application/json", "responseJsonSchema": schema });
            }
            Caller::Converse => body["outputConfig"] = converse::schema(&schema),
        }
    }

    fn add_reasoning(self, body: &mut Value) {
        match self {
            Caller::Chat => body["reasoning_effort"] = json!("medium"),
            Caller::Responses => body["reasoning"] = json!({ "effort": "medium", "summary": "auto" }),
            Caller::Messages => {
                body["max_tokens"] = json!(4000);
                body["thinking"] = json!({ "type": "enabled", "budget_tokens": 2000 });
            }
            Caller::Gemini => {
                body["generationConfig"] = json!({ "thinkingConfig": { "includeThoughts": true } });
            }
            Caller::Converse => {
                body["inferenceConfig"] = json!({ "maxTokens": 4000 });
                let thinking = json!({ "type": "enabled", "budget_tokens": 2000 });
                body["additionalModelRequestFields"] = json!({ "thinking": thinking });
            }
        }
    }

    /// The body of the turn after the three tool calls: they are repeated, with one result each.
    pub(crate) fn tool_results(self, model: &str) -> Value {
        let mut body = self.body(model, "case:tools", false);
        let results = ["sunny", "rainy", "noon"];
        let pairs = || dialect::CALLS.iter().zip(results);
        let arguments = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        match self {
            Caller::Chat => {
                let calls: Vec<Value> = dialect::CALLS
                    .iter()
                    .map(|(id, name, arguments)| {
                        json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
                    })
                    .collect();
                let turns = body["messages"].as_array_mut().unwrap();
                turns.push(json!({ "role": "assistant", "content": null, "tool_calls": calls }));
                turns.extend(
                    pairs().map(|((id, ..), text)| json!({ "role": "tool", "tool_call_id": id, "content": text })),
                );
            }
            Caller::Responses => responses::tool_results(&mut body),
            Caller::Converse => converse::tool_results(&mut body),
            Caller::Messages => {
                let calls: Vec<Value> = dialect::CALLS
                    .iter()
                    .map(|(id, name, text)| {
                        json!({ "type": "tool_use", "id": id, "name": name, "input": arguments(text) })
                    })
                    .collect();
                let result = |((id, ..), text): (&dialect::Call, &str)| json!({ "type": "tool_result", "tool_use_id": id, "content": text });
                let turns = body["messages"].as_array_mut().unwrap();
                turns.push(json!({ "role": "assistant", "content": calls }));
                turns.push(json!({ "role": "user", "content": pairs().map(result).collect::<Vec<_>>() }));
            }
            Caller::Gemini => {
                let calls: Vec<Value> = dialect::CALLS
                    .iter()
                    .map(|(_, name, text)| json!({ "functionCall": { "name": name, "args": arguments(text) } }))
                    .collect();
                let result = |((_, name, _), text): (&dialect::Call, &str)| json!({ "functionResponse": { "name": name, "response": { "result": text } } });
                let turns = body["contents"].as_array_mut().unwrap();
                turns.push(json!({ "role": "model", "parts": calls }));
                turns.push(json!({ "role": "user", "parts": pairs().map(result).collect::<Vec<_>>() }));
            }
        }
        body
    }

    /// Sends one request and reads its whole answer.
    pub(crate) async fn ask(self, gateway: SocketAddr, model: &str, text: &str, stream: bool) -> Response {
        self.post(gateway, model, &self.body(model, text, stream), stream).await
    }

    pub(crate) async fn post(self, gateway: SocketAddr, model: &str, body: &Value, stream: bool) -> Response {
        let body = body.to_string();
        http_client::request(gateway, "POST", &self.target(model, stream), self.headers(), body.as_bytes()).await
    }

    /// Sends one request and leaves its answer unread.
    pub(crate) async fn begin(self, gateway: SocketAddr, model: &str, text: &str, stream: bool) -> Connection {
        let mut connection = Connection::open(gateway).await;
        let body = self.body(model, text, stream).to_string();
        connection.send("POST", &self.target(model, stream), self.headers(), body.as_bytes()).await;
        connection
    }

    /// What a whole answer says.
    pub(crate) fn heard(self, response: &Response) -> Heard {
        match self {
            Caller::Chat => heard_chat(&response.json()),
            Caller::Responses => responses::heard(&response.json()),
            Caller::Messages => heard_messages(&response.json()),
            Caller::Gemini => heard_gemini(std::slice::from_ref(&response.json())),
            Caller::Converse => converse::heard(&response.json()),
        }
    }

    /// What a streamed answer says.
    pub(crate) fn heard_in_stream(self, response: &Response) -> Heard {
        let events = response.json_events();
        match self {
            Caller::Chat => heard_chat_stream(&events),
            Caller::Responses => responses::heard_in_stream(&events),
            Caller::Messages => heard_messages_stream(&events),
            Caller::Gemini => heard_gemini(&events),
            Caller::Converse => converse::heard_in_stream(&events),
        }
    }

    /// The protocol's own end of a stream.
    pub(crate) fn has_end_marker(self, response: &Response) -> bool {
        match self {
            Caller::Chat => response.events().last().is_some_and(|event| event == "[DONE]"),
            Caller::Responses => {
                response.json_events().last().is_some_and(|event| event["type"] == "response.completed")
            }
            Caller::Messages => response.json_events().last().is_some_and(|event| event["type"] == "message_stop"),
            Caller::Gemini => {
                response.json_events().iter().any(|event| event["candidates"][0]["finishReason"].is_string())
            }
            Caller::Converse => response.json_events().last().is_some_and(|event| event.get("metadata").is_some()),
        }
    }

    /// The error in an error body: its kind in the protocol's words, and its message.
    #[track_caller]
    pub(crate) fn error(self, body: &Value) -> (String, String) {
        // AWS names the error in a header.
        let error = if self == Caller::Converse { body } else { &body["error"] };
        let kind = match self {
            Caller::Converse => &Value::Null,
            Caller::Chat | Caller::Responses => {
                assert!(error.get("type").is_some() && error.get("code").is_some(), "not an OpenAI error: {body}");
                &error["code"]
            }
            Caller::Messages => {
                assert_eq!(body["type"], "error", "not an Anthropic error: {body}");
                &error["type"]
            }
            Caller::Gemini => {
                assert!(error["code"].is_u64(), "not a Google error: {body}");
                &error["status"]
            }
        };
        let message = error["message"].as_str().unwrap_or_else(|| panic!("no message in {body}"));
        (kind.as_str().unwrap_or_default().to_owned(), message.to_owned())
    }

    /// The error event of a stream, by message.
    pub(crate) fn in_band_error(self, response: &Response) -> Option<String> {
        let events = response.json_events();
        let last = events.last()?;
        if self == Caller::Responses {
            let error = if last["type"] == "error" { last } else { &last["response"]["error"] };
            return error["message"].as_str().map(str::to_owned);
        }
        if self == Caller::Converse {
            return converse::in_band_error(&events);
        }
        last.get("error").map(|_| self.error(last).1)
    }
}

/// What an answer says, whatever its protocol.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Heard {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    /// Name and arguments of each call, in order.
    pub(crate) calls: Vec<(String, Value)>,
    pub(crate) stop: String,
    /// All of the prompt, its cached part, all of the output.
    pub(crate) usage: (u64, u64, u64),
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn parsed(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|error| panic!("arguments `{arguments}`: {error}"))
}

fn chat_usage(usage: &Value) -> (u64, u64, u64) {
    let cached = &usage["prompt_tokens_details"]["cached_tokens"];
    (number(&usage["prompt_tokens"]), number(cached), number(&usage["completion_tokens"]))
}

fn heard_chat(body: &Value) -> Heard {
    let choice = &body["choices"][0];
    let message = &choice["message"];
    let call = |call: &Value| (text(&call["function"]["name"]), parsed(&text(&call["function"]["arguments"])));
    Heard {
        text: text(&message["content"]),
        reasoning: text(&message["reasoning_content"]),
        calls: message["tool_calls"].as_array().map_or(Vec::new(), |calls| calls.iter().map(call).collect()),
        stop: text(&choice["finish_reason"]),
        usage: chat_usage(&body["usage"]),
    }
}

fn heard_chat_stream(events: &[Value]) -> Heard {
    let mut heard = Heard::default();
    let mut calls: Vec<(String, String)> = Vec::new();
    for event in events {
        let choice = &event["choices"][0];
        heard.text += &text(&choice["delta"]["content"]);
        heard.reasoning += &text(&choice["delta"]["reasoning_content"]);
        heard.stop += &text(&choice["finish_reason"]);
        for call in choice["delta"]["tool_calls"].as_array().unwrap_or(&Vec::new()) {
            let index = usize::try_from(call["index"].as_u64().expect("a call's index")).unwrap();
            calls.resize(calls.len().max(index + 1), Default::default());
            calls[index].0 += &text(&call["function"]["name"]);
            calls[index].1 += &text(&call["function"]["arguments"]);
        }
        if event["usage"].is_object() {
            heard.usage = chat_usage(&event["usage"]);
        }
    }
    heard.calls = calls.into_iter().map(|(name, arguments)| (name, parsed(&arguments))).collect();
    heard
}

fn messages_usage(usage: &Value) -> (u64, u64, u64) {
    let cached = number(&usage["cache_read_input_tokens"]);
    let prompt = number(&usage["input_tokens"]) + cached + number(&usage["cache_creation_input_tokens"]);
    (prompt, cached, number(&usage["output_tokens"]))
}

fn heard_messages(body: &Value) -> Heard {
    let mut heard =
        Heard { stop: text(&body["stop_reason"]), usage: messages_usage(&body["usage"]), ..Heard::default() };
    for block in body["content"].as_array().expect("content blocks") {
        match block["type"].as_str().unwrap_or_default() {
            "text" => heard.text += &text(&block["text"]),
            "thinking" => heard.reasoning += &text(&block["thinking"]),
            "tool_use" => heard.calls.push((text(&block["name"]), block["input"].clone())),
            other => panic!("unexpected block `{other}`"),
        }
    }
    heard
}

fn heard_messages_stream(events: &[Value]) -> Heard {
    let mut heard = Heard::default();
    let mut arguments = String::new();
    let mut usage = json!({});
    for event in events {
        let delta = &event["delta"];
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => usage = event["message"]["usage"].clone(),
            "content_block_start" if event["content_block"]["type"] == "tool_use" => {
                arguments.clear();
                heard.calls.push((text(&event["content_block"]["name"]), Value::Null));
            }
            "content_block_delta" => {
                heard.text += &text(&delta["text"]);
                heard.reasoning += &text(&delta["thinking"]);
                arguments += &text(&delta["partial_json"]);
            }
            "content_block_stop" => {
                if let Some((_, value)) = heard.calls.last_mut().filter(|(_, value)| value.is_null()) {
                    *value = parsed(&arguments);
                }
            }
            "message_delta" => {
                heard.stop = text(&delta["stop_reason"]);
                for (key, value) in event["usage"].as_object().into_iter().flatten() {
                    usage[key] = value.clone();
                }
            }
            _ => {}
        }
    }
    heard.usage = messages_usage(&usage);
    heard
}

fn heard_gemini(chunks: &[Value]) -> Heard {
    let mut heard = Heard::default();
    for chunk in chunks {
        let candidate = &chunk["candidates"][0];
        heard.stop += &text(&candidate["finishReason"]);
        for part in candidate["content"]["parts"].as_array().unwrap_or(&Vec::new()) {
            if let Some(call) = part.get("functionCall") {
                heard.calls.push((text(&call["name"]), call["args"].clone()));
            } else if part["thought"] == true {
                heard.reasoning += &text(&part["text"]);
            } else {
                heard.text += &text(&part["text"]);
            }
        }
        if let Some(usage) = chunk.get("usageMetadata") {
            let output = number(&usage["candidatesTokenCount"]) + number(&usage["thoughtsTokenCount"]);
            heard.usage = (number(&usage["promptTokenCount"]), number(&usage["cachedContentTokenCount"]), output);
        }
    }
    heard
}
