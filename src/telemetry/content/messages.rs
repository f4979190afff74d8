//! Conversations as the semantic conventions for generative AI write them (their JSON schemas of `gen_ai.input.messages`,
//! `gen_ai.output.messages` and `gen_ai.system_instructions`): messages of parts. Media are named, never held.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::wire::ir::{
    FinishReason, Media, MediaKind, MediaSource, Message, Part, Request, Response, Role, ToolResult,
};

/// Stands behind a text that goes on.
const MORE: &str = "… [cut]";
/// What a part takes besides its text.
const FRAME: usize = 64;

/// Cleans texts, and cuts what does not fit.
pub(super) struct Clip<'c> {
    clean: &'c dyn Fn(&str) -> String,
    limit: usize,
    /// Bytes that the attribute in hand may still take.
    left: usize,
    cut: bool,
}

impl<'c> Clip<'c> {
    /// `limit`: of each attribute, in bytes.
    pub(super) fn new(clean: &'c dyn Fn(&str) -> String, limit: usize) -> Clip<'c> {
        Clip { clean, limit, left: limit, cut: false }
    }

    /// Whether something was left out.
    pub(super) fn has_cut(&self) -> bool {
        self.cut
    }

    /// The next attribute begins.
    fn begin(&mut self) {
        self.left = self.limit;
    }

    /// Room for one more part; where there is none, it is left out.
    fn part(&mut self) -> bool {
        let fits = self.left > FRAME;
        self.left = self.left.saturating_sub(FRAME);
        self.cut |= !fits;
        fits
    }

    /// A text, clean and no longer than there is room.
    fn text(&mut self, text: &str) -> String {
        let mut text = (self.clean)(text);
        if text.len() > self.left {
            text.truncate(text.floor_char_boundary(self.left));
            text.push_str(MORE);
            self.cut = true;
        }
        self.left = self.left.saturating_sub(text.len());
        text
    }
}

/// The system's texts, where there are some, and the conversation. What is newest has its place first.
pub(super) fn input(request: &Request, clip: &mut Clip<'_>) -> (Option<String>, String) {
    let is_system = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
    let leading = request.messages.iter().take_while(is_system).count();
    let (system, turns) = request.messages.split_at_checked(leading).unwrap_or_default();
    clip.begin();
    let system: Vec<Value> = system.iter().flat_map(|message| parts(&message.parts, clip)).collect();
    clip.begin();
    let mut messages = Vec::new();
    for message in turns.iter().rev() {
        let parts = parts(&message.parts, clip);
        if !parts.is_empty() {
            messages.push(json!({ "role": role(message.role), "parts": parts }));
        }
    }
    messages.reverse();
    ((!system.is_empty()).then(|| Value::from(system).to_string()), Value::from(messages).to_string())
}

/// The answers.
pub(super) fn output(answer: &Response, clip: &mut Clip<'_>) -> String {
    clip.begin();
    let candidates = answer.candidates.iter().map(|candidate| {
        let finish = candidate.finish.as_ref().map_or("unknown", |finish| finish_reason(finish.reason));
        json!({ "role": "assistant", "parts": parts(&candidate.parts, clip), "finish_reason": finish })
    });
    Value::Array(candidates.collect()).to_string()
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::Pause => "stop",
        FinishReason::ToolCalls => "tool_call",
        FinishReason::Length | FinishReason::ContextWindow => "length",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
        FinishReason::Malformed => "error",
        FinishReason::Other => "unknown",
    }
}

fn parts(parts: &[Part], clip: &mut Clip<'_>) -> Vec<Value> {
    parts.iter().filter_map(|part| clip.part().then(|| self::part(part, clip))?).collect()
}

fn part(part: &Part, clip: &mut Clip<'_>) -> Option<Value> {
    Some(match part {
        Part::Text(text) | Part::Refusal(text) => json!({ "type": "text", "content": clip.text(&text.text) }),
        // Thoughts that were withheld, and proofs, say nothing to anybody.
        Part::Reasoning(reasoning) if reasoning.text.is_empty() => return None,
        Part::Reasoning(reasoning) => json!({ "type": "reasoning", "content": clip.text(&reasoning.text) }),
        Part::ToolCall(call) => {
            let arguments = clip.text(&call.arguments);
            let arguments = serde_json::from_str(&arguments).unwrap_or(Value::String(arguments));
            let name = clip.text(&call.name);
            json!({ "type": "tool_call", "id": call.id, "name": name, "arguments": arguments })
        }
        Part::ToolResult(result) => tool_result(result, clip),
        Part::Media(media) => self::media(media, clip),
        Part::Opaque(opaque) => json!({ "type": kind(&opaque.raw) }),
    })
}

fn tool_result(result: &ToolResult, clip: &mut Clip<'_>) -> Value {
    let response = match &*result.content {
        [Part::Text(text)] => Value::String(clip.text(&text.text)),
        several => Value::from(parts(several, clip)),
    };
    json!({ "type": "tool_call_response", "id": result.call_id, "response": response })
}

/// What kind of thing it is, and where, without what it holds.
fn media(media: &Media, clip: &mut Clip<'_>) -> Value {
    let mut part = Map::new();
    let mut put = |name: &str, value: Value| drop(part.insert(name.to_owned(), value));
    let modality = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
        MediaKind::File => "file",
    };
    match &media.source {
        MediaSource::Base64 { media_type, data } => {
            put("type", "blob".into());
            put("mime_type", media_type.as_str().into());
            put("content", format!("[{} bytes of base64 left out]", data.len()).into());
        }
        MediaSource::Url { url, media_type } => {
            put("type", "uri".into());
            put("mime_type", media_type.as_deref().into());
            // Addresses of what is private are signed in their query.
            put("uri", clip.text(url.split(['?', '#']).next().unwrap_or_default()).into());
        }
        MediaSource::FileId(id) => {
            put("type", "file".into());
            put("file_id", clip.text(id).into());
        }
        MediaSource::Text { media_type, text } => {
            put("type", "text".into());
            put("mime_type", media_type.as_str().into());
            put("content", clip.text(text).into());
        }
    }
    put("modality", modality.into());
    Value::Object(part)
}

/// The origin's own word for a part that only it knows.
fn kind(raw: &RawValue) -> String {
    const LONGEST: usize = 64;
    let document = serde_json::from_str::<Value>(raw.get()).unwrap_or_default();
    let kind = document.get("type").and_then(Value::as_str).unwrap_or("unknown");
    kind.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Head, Operation, ProtocolId};

    fn request(body: &Value) -> Request {
        let inbound = ProtocolId::OpenAiChat.codec().unwrap().inbound().unwrap();
        let head = Head { operation: Operation::Generate, path_model: None, path_stream: false, alt_sse: false };
        inbound.decode_request(&head, body.to_string().as_bytes()).unwrap()
    }

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_part_has_its_form() {
        let body = json!({ "model": "m", "messages": [
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": [
                { "type": "text", "text": "look" },
                { "type": "image_url", "image_url": { "url": "https://x.example/a.png?signature=1" } },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } },
            ] },
            { "role": "assistant", "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } } ] },
            { "role": "tool", "tool_call_id": "c1", "content": "42" },
        ] });
        let clean = str::to_owned;
        let mut clip = Clip::new(&clean, 1 << 20);
        let (system, input) = input(&request(&body), &mut clip);
        assert_eq!(read(&system.unwrap()), json!([{ "type": "text", "content": "be brief" }]));
        let call = json!({ "type": "tool_call", "id": "c1", "name": "f", "arguments": { "a": 1 } });
        let expected = json!([
            { "role": "user", "parts": [
                { "type": "text", "content": "look" },
                { "type": "uri", "mime_type": null, "uri": "https://x.example/a.png", "modality": "image" },
                { "type": "blob", "mime_type": "image/png", "content": "[4 bytes of base64 left out]",
                    "modality": "image" },
            ] },
            { "role": "assistant", "parts": [call] },
            { "role": "tool", "parts": [{ "type": "tool_call_response", "id": "c1", "response": "42" }] },
        ]);
        assert_eq!(read(&input), expected);
        assert!(!clip.has_cut());
    }

    #[test]
    fn the_newest_turns_stay_and_nothing_grows_beyond_its_limit() {
        let turn = |number: usize| json!({ "role": "user", "content": format!("turn {number} {}", "ä".repeat(100)) });
        let body = json!({ "model": "m", "messages": (0..1000).map(turn).collect::<Vec<_>>() });
        let clean = str::to_owned;
        for limit in [0, 10, 100, 1000, 10_000] {
            let mut clip = Clip::new(&clean, limit);
            let (system, input) = input(&request(&body), &mut clip);
            assert!(system.is_none() && clip.has_cut());
            assert!(input.len() <= limit + 100, "{} of {limit}", input.len());
            assert!(limit < 1000 || input.contains("turn 999"), "{input}");
        }
    }
}
