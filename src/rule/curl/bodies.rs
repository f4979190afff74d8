//! Bodies of OpenAI Responses and of Converse, and paths that name a model.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::{MOST, Said, word};
use crate::rule::predicate::ValueFact;
use crate::rule::request::RequestShape;
use crate::rule::{OutputKind, ReasoningLevel};

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Path and body.
type Written = (String, Map<String, Value>);

impl Said {
    pub(super) fn responses(&mut self, shape: &RequestShape, mut body: Map<String, Value>) -> Written {
        body.insert("model".to_owned(), shape.model.clone().into());
        let text = json!({ "type": "input_text", "text": "Hello" });
        let image = |n| json!({ "type": "input_image", "image_url": format!("https://example.com/{n}.png") });
        let said = self.pictured(shape, "Hello".into(), text, &image);
        let mut items = vec![json!({ "role": "user", "content": said })];
        if let Some(tool) = &shape.last_tool {
            items.push(json!({ "type": "function_call", "call_id": "call_1", "name": tool, "arguments": "{}" }));
            items.push(json!({ "type": "function_call_output", "call_id": "call_1", "output": "done" }));
        }
        let items = self.counted_messages(shape, items, "Hello".into());
        body.insert("input".to_owned(), items.into());
        self.tools(
            shape,
            &mut body,
            &|name| json!({ "type": "function", "name": name, "parameters": { "type": "object" } }),
        );
        if shape.stream {
            body.insert("stream".to_owned(), true.into());
        }
        if shape.max_tokens > 0 {
            body.insert("max_output_tokens".to_owned(), shape.max_tokens.into());
        }
        if let Some(user) = &shape.user {
            body.insert("user".to_owned(), user.clone().into());
        }
        if !shape.tags.is_empty() {
            body.insert("metadata".to_owned(), json!(shape.tags));
        }
        if shape.reasoning != ReasoningLevel::None {
            body.insert("reasoning".to_owned(), json!({ "effort": effort(shape.reasoning) }));
        }
        let format = match shape.output {
            OutputKind::Text => None,
            OutputKind::Json => Some(json!({ "type": "json_object" })),
            OutputKind::Schema => {
                Some(json!({ "type": "json_schema", "name": "answer", "schema": { "type": "object" } }))
            }
        };
        body.extend(format.map(|format| ("text".to_owned(), json!({ "format": format }))));
        self.sizes(shape);
        ("/v1/responses".to_owned(), body)
    }

    /// Pictures are bytes there, which make a command long; what they are for is in the comment.
    pub(super) fn converse(&mut self, shape: &RequestShape, mut body: Map<String, Value>) -> Written {
        if shape.images > 0 {
            self.note("images", shape.images);
        }
        let mut messages = vec![json!({ "role": "user", "content": [{ "text": "Hello" }] })];
        if let Some(tool) = &shape.last_tool {
            let call = json!({ "toolUse": { "toolUseId": "call_1", "name": tool, "input": {} } });
            messages.push(json!({ "role": "assistant", "content": [call] }));
            let result = json!({ "toolResult": { "toolUseId": "call_1", "content": [{ "text": "done" }] } });
            messages.push(json!({ "role": "user", "content": [result] }));
        }
        let messages = self.counted_messages(shape, messages, json!([{ "text": "Hello" }]));
        body.insert("messages".to_owned(), messages.into());
        let mut config = Map::new();
        self.tools(
            shape,
            &mut config,
            &|name| json!({ "toolSpec": { "name": name, "inputSchema": { "json": { "type": "object" } } } }),
        );
        if !config.is_empty() {
            body.insert("toolConfig".to_owned(), config.into());
        }
        if shape.max_tokens > 0 {
            body.insert("inferenceConfig".to_owned(), json!({ "maxTokens": shape.max_tokens }));
        }
        if shape.reasoning != ReasoningLevel::None {
            let fields = json!({ "reasoning_effort": effort(shape.reasoning) });
            body.insert("additionalModelRequestFields".to_owned(), fields);
        }
        if shape.output == OutputKind::Schema {
            let schema = json!({ "name": "answer", "schema": "{\"type\":\"object\"}" });
            let format = json!({ "type": "json_schema", "structure": { "jsonSchema": schema } });
            body.insert("outputConfig".to_owned(), json!({ "textFormat": format }));
        } else if shape.output == OutputKind::Json {
            self.note("output", word(&ValueFact::Output, shape.output as u64));
        }
        let mut metadata: Map<String, Value> =
            shape.tags.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        if let Some(user) = &shape.user {
            metadata.insert("user_id".to_owned(), user.clone().into());
        }
        if !metadata.is_empty() {
            body.insert("requestMetadata".to_owned(), metadata.into());
        }
        self.sizes(shape);
        let method = if shape.stream { "converse-stream" } else { "converse" };
        (format!("/model/{}/{method}", utf8_percent_encode(&shape.model, SEGMENT)), body)
    }

    /// The user's words, with pictures where there are some.
    pub(super) fn pictured(
        &mut self,
        shape: &RequestShape,
        alone: Value,
        text: Value,
        image: &dyn Fn(u64) -> Value,
    ) -> Value {
        if shape.images == 0 {
            return alone;
        }
        if shape.images > MOST {
            self.note("images", shape.images);
        }
        std::iter::once(text).chain((1..=shape.images.min(MOST)).map(image)).collect()
    }
}

/// The level in the words of OpenAI.
pub(super) fn effort(level: ReasoningLevel) -> &'static str {
    if level == ReasoningLevel::Max { "xhigh" } else { word(&ValueFact::Reasoning, level as u64) }
}
