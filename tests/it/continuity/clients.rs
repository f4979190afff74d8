//! Clients that keep a conversation as the vendors' SDKs do: what the model said goes back as it came.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http_client::{self, Response};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Chat,
    Messages,
    Gemini,
    Responses,
    Converse,
}

/// A conversation in one dialect.
pub(crate) struct Conversation {
    pub(crate) client: Client,
    pub(crate) stream: bool,
    pub(crate) history: Vec<Value>,
}

/// What the model did.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) response: Response,
    pub(crate) text: String,
    /// Id and name of each call.
    calls: Vec<(Value, String)>,
}

impl Turn {
    pub(crate) fn target(&self) -> &str {
        self.response.header("x-routeplane-target").unwrap_or_default()
    }

    pub(crate) fn losses(&self) -> &str {
        self.response.header("x-routeplane-losses").unwrap_or_default()
    }
}

impl Client {
    pub(crate) const ALL: [Client; 5] =
        [Client::Chat, Client::Messages, Client::Gemini, Client::Responses, Client::Converse];

    fn target(self, model: &str, stream: bool) -> String {
        match self {
            Client::Chat => "/v1/chat/completions".to_owned(),
            Client::Messages => "/v1/messages".to_owned(),
            Client::Gemini if stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            Client::Gemini => format!("/v1beta/models/{model}:generateContent"),
            Client::Responses => "/v1/responses".to_owned(),
            Client::Converse => {
                let model = model.replace('/', "%2F").replace(':', "%3A");
                format!("/model/{model}/{}", if stream { "converse-stream" } else { "converse" })
            }
        }
    }
}

impl Conversation {
    pub(crate) fn new(client: Client, stream: bool) -> Conversation {
        Conversation { client, stream, history: Vec::new() }
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.history.push(match self.client {
            Client::Gemini => json!({ "role": "user", "parts": [{ "text": text }] }),
            Client::Converse => json!({ "role": "user", "content": [{ "text": text }] }),
            Client::Chat | Client::Messages | Client::Responses => json!({ "role": "user", "content": text }),
        });
    }

    /// The request for the next turn, with thoughts and one tool.
    pub(crate) fn body(&self, model: &str) -> Value {
        let history = &self.history;
        let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
        let mut body = match self.client {
            Client::Chat => json!({
                "model": model, "messages": history, "reasoning_effort": "medium",
                "tools": [{ "type": "function", "function": { "name": "step", "parameters": schema } }],
            }),
            Client::Messages => json!({
                "model": model, "messages": history, "max_tokens": 4000,
                "thinking": { "type": "enabled", "budget_tokens": 2000 },
                "tools": [{ "name": "step", "input_schema": schema }],
            }),
            Client::Gemini => json!({
                "contents": history, "tools": [{ "functionDeclarations": [{ "name": "step", "parameters": schema }] }],
                "generationConfig": { "thinkingConfig": { "includeThoughts": true, "thinkingLevel": "HIGH" } },
            }),
            Client::Responses => json!({
                "model": model, "input": history, "store": false, "include": ["reasoning.encrypted_content"],
                "reasoning": { "effort": "medium", "summary": "auto" },
                "tools": [{ "type": "function", "name": "step", "parameters": schema, "strict": false }],
            }),
            Client::Converse => json!({
                "messages": history, "inferenceConfig": { "maxTokens": 4000 },
                "additionalModelRequestFields": { "thinking": { "type": "enabled", "budget_tokens": 2000 } },
                "toolConfig": { "tools": [{ "toolSpec": { "name": "step", "inputSchema": { "json": schema } } }] },
            }),
        };
        if self.stream && !matches!(self.client, Client::Gemini | Client::Converse) {
            body["stream"] = json!(true);
        }
        body
    }

    /// Asks for the next turn, whatever the answer.
    pub(crate) async fn post(&self, gateway: SocketAddr, model: &str) -> Response {
        self.post_body(gateway, model, &self.body(model)).await
    }

    pub(crate) async fn post_body(&self, gateway: SocketAddr, model: &str, body: &Value) -> Response {
        let target = self.client.target(model, self.stream);
        let headers: &[(&str, &str)] =
            if self.client == Client::Messages { &[("anthropic-version", "2023-06-01")] } else { &[] };
        http_client::request(gateway, "POST", &target, headers, body.to_string().as_bytes()).await
    }

    /// Asks for the next turn and keeps it; calls are answered.
    pub(crate) async fn turn(&mut self, gateway: SocketAddr, model: &str) -> Turn {
        let response = self.post(gateway, model).await;
        assert_eq!(response.status, 200, "{:?} asking {model}: {response:?}\n{:#?}", self.client, self.history);
        let (said, text, calls) = match self.client {
            Client::Chat => chat(&response, self.stream),
            Client::Messages => messages(&response, self.stream),
            Client::Gemini => gemini(&response, self.stream),
            Client::Responses => responses(&response, self.stream),
            Client::Converse => converse(&response, self.stream),
        };
        self.history.extend(said);
        let turn = Turn { response, text, calls };
        self.answer(&turn);
        turn
    }

    fn answer(&mut self, turn: &Turn) {
        let results = turn.calls.iter().map(|(id, name)| match self.client {
            Client::Chat => json!({ "role": "tool", "tool_call_id": id, "content": "stepped" }),
            Client::Messages => json!({ "type": "tool_result", "tool_use_id": id, "content": "stepped" }),
            Client::Gemini => json!({ "functionResponse": { "name": name, "response": { "output": "stepped" } } }),
            Client::Responses => json!({ "type": "function_call_output", "call_id": id, "output": "stepped" }),
            Client::Converse => json!({ "toolResult": { "toolUseId": id, "content": [{ "text": "stepped" }] } }),
        });
        let results: Vec<Value> = results.collect();
        match self.client {
            _ if results.is_empty() => {}
            Client::Chat | Client::Responses => self.history.extend(results),
            Client::Messages | Client::Converse => {
                self.history.push(json!({ "role": "user", "content": results }));
            }
            Client::Gemini => self.history.push(json!({ "role": "user", "parts": results })),
        }
    }
}

type Said = (Vec<Value>, String, Vec<(Value, String)>);

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn chat(response: &Response, stream: bool) -> Said {
    let message = if stream {
        let mut message = json!({});
        for event in response.json_events() {
            merge(&mut message, &event["choices"][0]["delta"]);
        }
        // What only a stream has.
        for call in message["tool_calls"].as_array_mut().into_iter().flatten() {
            call.as_object_mut().unwrap().remove("index");
        }
        message
    } else {
        response.json()["choices"][0]["message"].clone()
    };
    let calls = list(&message["tool_calls"]).iter().map(|call| (call["id"].clone(), text(&call["function"]["name"])));
    (vec![message.clone()], text(&message["content"]), calls.collect())
}

/// Puts a delta into what came before it, as the official SDK for Python does: texts are joined, lists merged by `index`.
/// (That SDK joins `format` of OpenRouter's details, too; those who talk to OpenRouter do not.)
fn merge(known: &mut Value, delta: &Value) {
    let Some(delta) = delta.as_object() else { return };
    for (key, new) in delta {
        let old = &mut known[key.as_str()];
        match (&mut *old, new) {
            (Value::String(old), Value::String(new)) if !matches!(key.as_str(), "type" | "role" | "id" | "format") => {
                old.push_str(new);
            }
            (Value::Object(_), Value::Object(_)) => merge(old, new),
            (Value::Array(old), Value::Array(new)) => {
                new.iter().for_each(|new| match old.iter_mut().find(|old| old["index"] == new["index"]) {
                    Some(old) => merge(old, new),
                    None => old.push(new.clone()),
                })
            }
            (_, Value::Null) => {}
            (old, new) => *old = new.clone(),
        }
    }
}

fn messages(response: &Response, stream: bool) -> Said {
    let content = if stream {
        let mut blocks: Vec<Value> = Vec::new();
        for event in response.json_events() {
            match event["type"].as_str().unwrap() {
                "content_block_start" => blocks.push(event["content_block"].clone()),
                "content_block_delta" => {
                    let block = blocks.last_mut().unwrap();
                    for (key, into) in [("text", "text"), ("thinking", "thinking"), ("signature", "signature")] {
                        if let Some(more) = event["delta"][key].as_str() {
                            block[into] = json!(text(&block[into]) + more);
                        }
                    }
                    if let Some(more) = event["delta"]["partial_json"].as_str() {
                        block["json"] = json!(text(&block["json"]) + more);
                    }
                }
                _ => {}
            }
        }
        for block in &mut blocks {
            if let Some(arguments) = block.as_object_mut().unwrap().remove("json") {
                block["input"] = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
            }
        }
        json!(blocks)
    } else {
        response.json()["content"].clone()
    };
    let calls = list(&content).iter().filter(|block| block["type"] == "tool_use");
    let calls = calls.map(|block| (block["id"].clone(), text(&block["name"]))).collect();
    let said = list(&content).iter().map(|block| text(&block["text"])).collect();
    (vec![json!({ "role": "assistant", "content": content })], said, calls)
}

fn gemini(response: &Response, stream: bool) -> Said {
    let chunks = if stream { response.json_events() } else { vec![response.json()] };
    let parts = chunks.iter().flat_map(|chunk| list(&chunk["candidates"][0]["content"]["parts"]));
    let parts: Vec<Value> = parts.cloned().collect();
    let calls = parts.iter().filter(|part| part["functionCall"].is_object());
    let calls = calls.map(|part| (Value::Null, text(&part["functionCall"]["name"]))).collect();
    let said = parts.iter().filter(|part| part["thought"] != true).map(|part| text(&part["text"])).collect();
    (vec![json!({ "role": "model", "parts": parts })], said, calls)
}

fn responses(response: &Response, stream: bool) -> Said {
    let answer = if stream {
        let completed = response.json_events().into_iter().rfind(|event| event["type"] == "response.completed");
        completed.unwrap_or_else(|| panic!("no end: {response:?}"))["response"].clone()
    } else {
        response.json()
    };
    let items = list(&answer["output"]).to_vec();
    let calls = items.iter().filter(|item| item["type"] == "function_call");
    let calls = calls.map(|item| (item["call_id"].clone(), text(&item["name"]))).collect();
    let said = items.iter().flat_map(|item| list(&item["content"])).map(|part| text(&part["text"])).collect();
    (items, said, calls)
}

fn converse(response: &Response, stream: bool) -> Said {
    let content =
        if stream { converse_blocks(response) } else { response.json()["output"]["message"]["content"].clone() };
    let calls = list(&content).iter().filter(|block| block["toolUse"].is_object());
    let calls = calls.map(|block| (block["toolUse"]["toolUseId"].clone(), text(&block["toolUse"]["name"]))).collect();
    let said = list(&content).iter().map(|block| text(&block["text"])).collect();
    (vec![json!({ "role": "assistant", "content": content })], said, calls)
}

/// The blocks that a stream tells, put together as AWS's own examples do it.
fn converse_blocks(response: &Response) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    for event in response.json_events() {
        let (name, data) = event.as_object().unwrap().iter().next().unwrap();
        let delta = &data["delta"];
        match name.as_str() {
            "contentBlockStart" => blocks.push(json!({ "toolUse": data["start"]["toolUse"] })),
            "contentBlockDelta" => {
                if blocks.len() <= data["contentBlockIndex"].as_u64().unwrap() as usize {
                    blocks.push(json!({}));
                }
                let block = blocks.last_mut().unwrap();
                input.push_str(delta["toolUse"]["input"].as_str().unwrap_or_default());
                if let Some(more) = delta["text"].as_str() {
                    block["text"] = json!(text(&block["text"]) + more);
                }
                let thoughts = &delta["reasoningContent"];
                for member in ["text", "signature"].into_iter().filter(|member| thoughts[*member].is_string()) {
                    let known = &mut block["reasoningContent"]["reasoningText"];
                    known[member] = json!(text(&known[member]) + thoughts[member].as_str().unwrap());
                }
            }
            "contentBlockStop" if !input.is_empty() => {
                blocks.last_mut().unwrap()["toolUse"]["input"] = serde_json::from_str(&input).unwrap();
                input.clear();
            }
            _ => {}
        }
    }
    json!(blocks)
}
