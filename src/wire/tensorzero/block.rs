//! Blocks of content, of both faces, and the messages that they make.

use serde_json::value::RawValue;

use crate::wire::ProtocolId;
use crate::wire::ir::{
    ContentShape, Error, Media, MediaKind, MediaSource, Message, Opaque, Part, Reasoning, Role, Signature, Text, Tool,
    ToolCall, ToolKind, ToolResult,
};
use crate::wire::json::{self, Ext, JsonError, Kind, Object};

/// A message of these parts.
pub(super) fn turn(role: Role, parts: Vec<Part>) -> Message {
    let shape = shape_of(&parts);
    Message { role, role_raw: None, parts, shape, name: None, ext: Ext::default() }
}

/// All system texts as the one message before the others.
pub(super) fn system(parts: Vec<Part>) -> Option<Message> {
    if parts.is_empty() {
        return None;
    }
    if parts.iter().all(|part| matches!(part, Part::Text(_))) {
        let texts = parts.iter().filter_map(|part| if let Part::Text(text) = part { Some(&*text.text) } else { None });
        let text = texts.collect::<Vec<_>>().join("\n");
        return Some(turn(Role::System, vec![Part::Text(Text::new(text))]));
    }
    Some(turn(Role::System, parts))
}

/// One text goes bare, as every upstream takes it; lists are for the rest.
fn shape_of(parts: &[Part]) -> ContentShape {
    let mut said =
        parts.iter().filter(|part| !matches!(part, Part::Reasoning(_) | Part::ToolCall(_) | Part::ToolResult(_)));
    match (said.next(), said.next()) {
        (None, _) => ContentShape::Absent,
        // A template or a raw text becomes a text.
        (Some(Part::Text(_) | Part::Opaque(_)), None) => ContentShape::Text,
        (Some(_), _) => ContentShape::Parts,
    }
}

/// The result of a tool, in a message of its own.
pub(super) fn result(call_id: Option<String>, name: Option<String>, content: Vec<Part>) -> Message {
    let shape = match shape_of(&content) {
        ContentShape::Absent => ContentShape::Text,
        shape => shape,
    };
    let result = ToolResult { call_id, name, content, shape, is_error: None, ext: Ext::default() };
    Message {
        role: Role::Tool,
        role_raw: None,
        parts: vec![Part::ToolResult(result)],
        shape: ContentShape::Parts,
        name: None,
        ext: Ext::default(),
    }
}

fn text(text: String) -> Part {
    Part::Text(Text::new(text))
}

fn media(kind: MediaKind, source: MediaSource, detail: Option<String>, name: Option<String>) -> Part {
    Part::Media(Media { kind, source, detail, name, ext: Ext::default() })
}

/// A block of OpenAI's form.
///
/// # Errors
/// A block of an unknown type, or without what its type needs.
pub(super) fn chat(raw: &RawValue, role: Role, path: &str) -> Result<Part, Error> {
    let fault = |error: JsonError| Error::at_path(error, path);
    let mut block = Object::of(raw).map_err(fault)?;
    let kind = block.string("type").map_err(fault)?.ok_or_else(|| fault(missing("type")))?;
    let part = match kind.as_str() {
        "text" => match block.take("tensorzero::arguments") {
            Some(arguments) => template(name_of(role), arguments),
            None => text(needed(&mut block, "text").map_err(fault)?),
        },
        "tensorzero::raw_text" => raw_text(&mut block).map_err(fault)?,
        "tensorzero::template" => named_template(&mut block).map_err(fault)?,
        "image_url" => chat_image(&mut block).map_err(fault)?,
        "file" => chat_file(&mut block).map_err(fault)?,
        "input_audio" => chat_audio(&mut block).map_err(fault)?,
        other => {
            let message = format!(
                "`{path}.type` is `{other}`; it must be `text`, `image_url`, `file`, `input_audio`, `tensorzero::raw_text` or `tensorzero::template`"
            );
            return Err(Error::invalid(message).with_param(format!("{path}.type")));
        }
    };
    Ok(part)
}

/// The template that makes the texts of a role.
pub(super) fn name_of(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::Assistant => "assistant",
        Role::User | Role::Tool => "user",
    }
}

/// Arguments for a template, which is known when an attempt is made: variants have templates of their own.
pub(super) fn template(name: &str, arguments: &RawValue) -> Part {
    let mut raw = Vec::new();
    json::object(&mut raw, |block| {
        block.field("type", "template");
        block.field("name", name);
        block.raw("arguments", arguments);
    });
    opaque(raw)
}

fn opaque(raw: Vec<u8>) -> Part {
    let raw = String::from_utf8(raw).ok().and_then(json::raw).unwrap_or_else(|| RawValue::NULL.to_owned());
    Part::Opaque(Opaque { origin: ProtocolId::OpenAiChat, raw })
}

fn named_template(block: &mut Object<'_>) -> Result<Part, JsonError> {
    let name = needed(block, "name")?;
    let arguments = block.take("arguments").ok_or_else(|| missing("arguments"))?;
    Ok(template(&name, arguments))
}

/// A text that no template touches.
fn raw_text(block: &mut Object<'_>) -> Result<Part, JsonError> {
    let value = needed(block, "value")?;
    let mut raw = Vec::new();
    json::object(&mut raw, |block| {
        block.field("type", "raw_text");
        block.field("value", &value);
    });
    Ok(opaque(raw))
}

fn missing(key: &str) -> JsonError {
    JsonError::Missing { key: key.to_owned() }
}

fn needed(object: &mut Object<'_>, key: &str) -> Result<String, JsonError> {
    object.string(key)?.ok_or_else(|| missing(key))
}

/// `data:` URLs become what they hold.
fn source_of(url: String, media_type: Option<String>) -> MediaSource {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((own, data)) if !own.is_empty() && !own.contains([';', ',']) => {
            MediaSource::Base64 { media_type: media_type.unwrap_or_else(|| own.to_owned()), data: data.to_owned() }
        }
        Some(_) | None => MediaSource::Url { url, media_type },
    }
}

fn kind_of(media_type: &str) -> MediaKind {
    match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::File,
    }
}

fn chat_image(block: &mut Object<'_>) -> Result<Part, JsonError> {
    let mut inner = block.object("image_url")?.ok_or_else(|| missing("image_url"))?;
    let url = needed(&mut inner, "url")?;
    let detail = inner.string("detail")?;
    let media_type = inner.string("tensorzero::mime_type")?;
    Ok(media(MediaKind::Image, source_of(url, media_type), detail, None))
}

fn chat_file(block: &mut Object<'_>) -> Result<Part, JsonError> {
    let mut inner = block.object("file")?.ok_or_else(|| missing("file"))?;
    let data = needed(&mut inner, "file_data")?;
    let name = inner.string("filename")?;
    match source_of(data, None) {
        source @ MediaSource::Base64 { .. } => Ok(media(MediaKind::File, source, None, name)),
        _ => Err(JsonError::Type { key: "file.file_data".to_owned(), expected: "a `data:` URL with base64 in it" }),
    }
}

fn chat_audio(block: &mut Object<'_>) -> Result<Part, JsonError> {
    let mut inner = block.object("input_audio")?.ok_or_else(|| missing("input_audio"))?;
    let data = needed(&mut inner, "data")?;
    let format = needed(&mut inner, "format")?;
    let media_type = if format == "mp3" { "audio/mpeg".to_owned() } else { format!("audio/{format}") };
    Ok(media(MediaKind::Audio, MediaSource::Base64 { media_type, data }, None, None))
}

/// A call in OpenAI's form.
///
/// # Errors
/// A call without the function's name.
pub(super) fn chat_call(raw: &RawValue, path: &str) -> Result<Part, Error> {
    let fault = |error: JsonError| Error::at_path(error, path);
    let mut call = Object::of(raw).map_err(fault)?;
    let id = call.string("id").map_err(fault)?;
    let mut function = call.object("function").map_err(fault)?.ok_or_else(|| fault(missing("tool_calls.function")))?;
    let name = needed(&mut function, "name").map_err(fault)?;
    let arguments = needed(&mut function, "arguments").map_err(fault)?;
    Ok(Part::ToolCall(ToolCall { id, name, arguments, signature: None, ext: Ext::default() }))
}

/// A block of `tensorzero_extra_content`, with the place where it stood.
///
/// # Errors
/// A block that is neither a thought nor one that nobody knew.
pub(super) fn extra(raw: &RawValue, path: &str) -> Result<Option<(Option<usize>, Part)>, Error> {
    let fault = |error: JsonError| Error::at_path(error, path);
    let mut block = Object::of(raw).map_err(fault)?;
    let at = block.u64("insert_index").map_err(fault)?.and_then(|at| usize::try_from(at).ok());
    match block.string("type").map_err(fault)?.as_deref() {
        Some("thought") => Ok(Some((at, thought(&mut block).map_err(fault)?))),
        Some("unknown") => Ok(unknown(&mut block).map(|part| (at, part))),
        _ => Err(Error::invalid(format!("`{path}.tensorzero_extra_content` holds thoughts and unknown blocks only"))),
    }
}

fn thought(block: &mut Object<'_>) -> Result<Part, JsonError> {
    let text = block.string("text")?.unwrap_or_default();
    // Its issuer is in the value, where this gateway sealed it; another's proof is of no use anywhere.
    let signature = block.string("signature")?.map(|value| Signature { issuer: ProtocolId::TensorZero, value });
    Ok(Part::Reasoning(Reasoning { text, signature, redacted: None, ext: Ext::default() }))
}

/// What an upstream said that nobody knew, for the same kind of upstream.
fn unknown(block: &mut Object<'_>) -> Option<Part> {
    let raw = block.take("data")?.to_owned();
    Some(Part::Opaque(Opaque { origin: ProtocolId::OpenAiChat, raw }))
}

/// A block of the native form. A result of a tool stands in a message of its own.
pub(super) enum Block {
    Part(Part),
    Result(Message),
}

/// # Errors
/// A block of an unknown type, or without what its type needs.
pub(super) fn native(raw: &RawValue, role: Role, path: &str) -> Result<Option<Block>, Error> {
    let fault = |error: JsonError| Error::at_path(error, path);
    let mut block = Object::of(raw).map_err(fault)?;
    let kind = block.string("type").map_err(fault)?.ok_or_else(|| fault(missing("type")))?;
    let part = match kind.as_str() {
        "text" => match block.take("arguments") {
            Some(arguments) => template(name_of(role), arguments),
            None => text(needed(&mut block, "text").map_err(fault)?),
        },
        "raw_text" => raw_text(&mut block).map_err(fault)?,
        "template" => named_template(&mut block).map_err(fault)?,
        "tool_call" => native_call(&mut block).map_err(fault)?,
        "tool_result" => {
            let (id, name) = (block.string("id").map_err(fault)?, block.string("name").map_err(fault)?);
            let content = needed(&mut block, "result").map_err(fault)?;
            // The call says the name; upstreams of OpenAI's form do not know one here.
            let name = name.filter(|_| id.is_none());
            return Ok(Some(Block::Result(result(id, name, vec![text(content)]))));
        }
        "thought" => thought(&mut block).map_err(fault)?,
        "file" | "image" => file(&mut block).map_err(fault)?,
        "unknown" => return Ok(unknown(&mut block).map(Block::Part)),
        other => {
            let message = format!(
                "`{path}.type` is `{other}`; it must be `text`, `raw_text`, `template`, `tool_call`, `tool_result`, `thought`, `file` or `unknown`"
            );
            return Err(Error::invalid(message).with_param(format!("{path}.type")));
        }
    };
    Ok(Some(Block::Part(part)))
}

/// A call as callers write it, or as answers give it.
fn native_call(block: &mut Object<'_>) -> Result<Part, JsonError> {
    let id = block.string("id")?;
    let name = match block.string("raw_name")? {
        Some(name) => name,
        None => needed(block, "name")?,
    };
    let raw = block.take("raw_arguments").filter(|raw| json::kind(raw) != Kind::Null);
    let raw = raw.or_else(|| block.take("arguments")).ok_or_else(|| missing("arguments"))?;
    let arguments = match json::str_of(raw) {
        Some(text) => text.into_owned(),
        None => raw.get().to_owned(),
    };
    Ok(Part::ToolCall(ToolCall { id, name, arguments, signature: None, ext: Ext::default() }))
}

/// `{file_type: url | base64, ...}`, or the older form without `file_type`.
fn file(block: &mut Object<'_>) -> Result<Part, JsonError> {
    let media_type = block.string("mime_type")?;
    let detail = block.string("detail")?;
    let name = block.string("filename")?;
    let source = match (block.string("url")?, block.string("data")?) {
        (Some(url), _) => source_of(url, media_type.clone()),
        (None, Some(data)) => {
            let media_type = media_type.clone().ok_or_else(|| missing("mime_type"))?;
            MediaSource::Base64 { media_type, data }
        }
        (None, None) => return Err(missing("url")),
    };
    let kind = match &source {
        MediaSource::Base64 { media_type, .. } => kind_of(media_type),
        _ => media_type.as_deref().map_or(MediaKind::Image, kind_of),
    };
    Ok(media(kind, source, detail, name))
}

/// A function that models may call, from the members of both forms.
///
/// # Errors
/// No name, or no parameters.
pub(super) fn tool(mut function: Object<'_>) -> Result<Tool, JsonError> {
    let name = needed(&mut function, "name")?;
    let description = function.string("description")?;
    let parameters = function.take("parameters").ok_or_else(|| missing("parameters"))?.to_owned();
    let strict = function.bool("strict")?.filter(|strict| *strict);
    let kind = ToolKind::Function { name, description, parameters: Some(parameters), strict };
    Ok(Tool { kind, ext: Ext::default() })
}
