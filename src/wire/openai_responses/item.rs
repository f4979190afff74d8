//! Items: of a request's input and of an answer's output.

use serde_json::value::RawValue;

use super::{SELF, content, note};
use crate::wire::ir::{
    ContentShape, Error, Message, Opaque, Part, Reasoning, Role, Signature, Text, ToolCall, ToolResult,
};
use crate::wire::json::{self, Ext, Kind, Object};

/// Reads `input`'s items into turns.
///
/// # Errors
/// An element that is no object.
pub(super) fn decode_input(items: Vec<&RawValue>, messages: &mut Vec<Message>) -> Result<(), Error> {
    for (at, raw) in items.into_iter().enumerate() {
        let path = format!("input[{at}]");
        if json::kind(raw) != Kind::Object {
            return Err(Error::invalid(format!("`{path}` must be an object")).with_param(path));
        }
        match said_by_caller(raw) {
            Some(message) => messages.push(message),
            None => match messages.last_mut().filter(|last| last.role == Role::Assistant) {
                Some(turn) => turn.parts.extend(decode_output(raw)),
                None => messages.push(message(Role::Assistant, decode_output(raw), ContentShape::Parts)),
            },
        }
    }
    Ok(())
}

pub(super) fn message(role: Role, parts: Vec<Part>, shape: ContentShape) -> Message {
    Message { role, role_raw: None, parts, shape, name: None, ext: Ext::default() }
}

/// A message that is not the model's, or a tool's result; `None` for every other item.
fn said_by_caller(raw: &RawValue) -> Option<Message> {
    let mut item = Object::of(raw).ok()?;
    let kind = item.string("type").ok()?;
    match kind.as_deref() {
        Some("message") | None => {
            let role = match item.string("role").ok()??.as_str() {
                "user" => Role::User,
                "system" => Role::System,
                "developer" => Role::Developer,
                _ => return None,
            };
            let (parts, shape) = content_of(item.take("content")?, "input_text")?;
            let mut message = message(role, parts, shape);
            message.ext = note::rest(item);
            if kind.is_none() {
                note::add(&mut message.ext, "#untyped", "true");
            }
            Some(message)
        }
        Some(kind @ ("function_call_output" | "custom_tool_call_output")) => {
            let call_id = item.string("call_id").ok()??;
            let (content, shape) = content_of(item.take("output")?, "input_text")?;
            let mut ext = note::rest(item);
            if kind != "function_call_output" {
                note::add(&mut ext, "#custom", "true");
            }
            let result = ToolResult { call_id: Some(call_id), name: None, content, shape, is_error: None, ext };
            Some(message(Role::Tool, vec![Part::ToolResult(result)], ContentShape::Parts))
        }
        Some(_) => None,
    }
}

fn content_of(raw: &RawValue, usual: &str) -> Option<(Vec<Part>, ContentShape)> {
    match json::kind(raw) {
        Kind::String => Some((vec![Part::Text(Text::new(json::str_of(raw)?))], ContentShape::Text)),
        Kind::Array => {
            let parts = json::elements(raw, "content").ok()?;
            Some((parts.into_iter().map(|part| content::decode(part, usual)).collect(), ContentShape::Parts))
        }
        Kind::Null | Kind::Bool | Kind::Number | Kind::Object => None,
    }
}

/// The parts that an item of the model's holds: several for a message, else one. What nobody modelled stays verbatim.
pub(super) fn decode_output(raw: &RawValue) -> Vec<Part> {
    known(raw).unwrap_or_else(|| vec![Part::Opaque(Opaque { origin: SELF, raw: raw.to_owned() })])
}

fn known(raw: &RawValue) -> Option<Vec<Part>> {
    let mut item = Object::of(raw).ok()?;
    let kind = item.string("type").ok()?;
    match kind.as_deref() {
        Some("message") | None => said(item, kind.is_none()),
        Some("reasoning") => reasoning(item).map(|part| vec![part]),
        Some("function_call") => {
            let (id, name) = (item.string("call_id").ok()?, item.string("name").ok()??);
            let arguments = item.string("arguments").ok()??;
            Some(vec![Part::ToolCall(ToolCall { id, name, arguments, signature: None, ext: note::rest(item) })])
        }
        Some("custom_tool_call") => {
            let (id, name) = (item.string("call_id").ok()?, item.string("name").ok()??);
            let arguments = wrapped(&item.string("input").ok()??);
            let mut ext = note::rest(item);
            note::add(&mut ext, "#custom", "true");
            Some(vec![Part::ToolCall(ToolCall { id, name, arguments, signature: None, ext })])
        }
        Some(_) => None,
    }
}

/// The input of a freeform tool as arguments: one text, which every other protocol can carry.
pub(super) fn wrapped(input: &str) -> String {
    format!("{{\"input\":{}}}", json::quoted(input))
}

/// The other way.
pub(super) fn unwrapped(arguments: &str) -> String {
    let object = Object::parse(arguments).ok();
    object.and_then(|mut object| object.string("input").ok()?).unwrap_or_else(|| arguments.to_owned())
}

/// A message of the model's: its texts, the first with a note of what the message was. `None` where a part is none of
/// these, because the note would have no place.
fn said(mut item: Object<'_>, untyped: bool) -> Option<Vec<Part>> {
    if item.string("role").ok()?.as_deref() != Some("assistant") {
        return None;
    }
    let (mut parts, shape) = content_of(item.take("content")?, "output_text")?;
    let phase = item.take("phase").map(ToOwned::to_owned);
    let mut rest = item.rest();
    if untyped {
        note::add(&mut rest, "#untyped", "true");
    }
    if shape == ContentShape::Text {
        note::add(&mut rest, "#string", "true");
    }
    let is_text = |part: &Part| matches!(part, Part::Text(_) | Part::Refusal(_));
    if !parts.iter().all(is_text) {
        return None;
    }
    match parts.first_mut()? {
        Part::Text(text) | Part::Refusal(text) => {
            note::add(&mut text.ext, "#message", &note::object_text(&rest));
            text.ext.0.extend(phase.map(|phase| ("phase".to_owned(), phase)));
        }
        Part::Media(_) | Part::Reasoning(_) | Part::ToolCall(_) | Part::ToolResult(_) | Part::Opaque(_) => {}
    }
    Some(parts)
}

/// Thoughts: the summary is what was shown; open models show the thoughts themselves, in `content`.
fn reasoning(mut item: Object<'_>) -> Option<Part> {
    let signature = item.string("encrypted_content").ok()?.map(|value| Signature { issuer: SELF, value });
    let summary = item.get("summary").and_then(texts).unwrap_or_default();
    let thoughts = item.get("content").and_then(texts).unwrap_or_default();
    let text = if summary.is_empty() { thoughts.concat() } else { summary.join("\n\n") };
    let mut spelled = Vec::new();
    for key in ["summary", "content"] {
        spelled.extend(item.take(key).map(|raw| (format!("#{key}"), raw.to_owned())));
    }
    let mut ext = note::rest(item);
    ext.0.extend(spelled);
    Some(Part::Reasoning(Reasoning { text, signature, redacted: None, ext }))
}

fn texts(raw: &RawValue) -> Option<Vec<String>> {
    let parts = json::elements(raw, "summary").ok()?;
    Some(parts.into_iter().filter_map(|part| Object::of(part).ok()?.string("text").ok()?).collect())
}
