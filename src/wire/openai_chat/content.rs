//! Content: a string, `null`, or a list of parts.

use serde_json::value::RawValue;

use super::nested;
use crate::wire::ProtocolId;
use crate::wire::ir::{ContentShape, Error, Media, MediaKind, MediaSource, Opaque, Part, Reasoning, Text};
use crate::wire::json::{self, Ext, JsonError, Kind, Object, ObjectWriter};

/// Takes the member `content` of a message.
///
/// # Errors
/// Content that is neither a string, nor `null`, nor a list.
pub(super) fn decode(message: &mut Object<'_>) -> Result<(Vec<Part>, ContentShape), Error> {
    let Some(raw) = message.take("content") else { return Ok((Vec::new(), ContentShape::Absent)) };
    match json::kind(raw) {
        Kind::Null => Ok((Vec::new(), ContentShape::Null)),
        Kind::String => {
            let text = json::str_of(raw).unwrap_or_default();
            Ok((vec![Part::Text(Text::new(text))], ContentShape::Text))
        }
        Kind::Array => {
            let elements = json::elements(raw, "content")?;
            Ok((elements.into_iter().map(decode_part).collect(), ContentShape::Parts))
        }
        Kind::Bool | Kind::Number | Kind::Object => {
            Err(JsonError::Type { key: "content".to_owned(), expected: "a string or a list of parts" }.into())
        }
    }
}

/// Reads one part. A part of an unknown type, or whose members are not what its type says, is kept verbatim.
pub(super) fn decode_part(raw: &RawValue) -> Part {
    known_part(raw).unwrap_or_else(|| opaque(raw))
}

fn opaque(raw: &RawValue) -> Part {
    Part::Opaque(Opaque { origin: ProtocolId::OpenAiChat, raw: raw.to_owned() })
}

fn known_part(raw: &RawValue) -> Option<Part> {
    if json::kind(raw) == Kind::String {
        return None;
    }
    let mut part = Object::of(raw).ok()?;
    let kind = part.string("type").ok()??;
    match kind.as_str() {
        "text" => {
            let text = part.string("text").ok()??;
            Some(Part::Text(Text { text, ext: part.rest() }))
        }
        "refusal" => {
            let text = part.string("refusal").ok()??;
            Some(Part::Refusal(Text { text, ext: part.rest() }))
        }
        "image_url" => url_part(part, "image_url", MediaKind::Image),
        "video_url" => url_part(part, "video_url", MediaKind::Video),
        "input_audio" => audio(part),
        "file" => file(part),
        "thinking" => thinking(part),
        _ => None,
    }
}

/// `{"image_url": {"url", "detail"}}`, or, at Mistral and others, `{"image_url": "..."}`.
fn url_part(mut part: Object<'_>, member: &str, kind: MediaKind) -> Option<Part> {
    let inner = part.take(member)?;
    if json::kind(inner) == Kind::String {
        let source = source_of_url(json::str_of(inner)?.into_owned());
        let mut ext = part.rest();
        nested::mark(&mut ext, member);
        return Some(Part::Media(Media { kind, source, detail: None, name: None, ext }));
    }
    let mut inner = Object::of(inner).ok()?;
    let source = source_of_url(inner.string("url").ok()??);
    let detail = inner.string("detail").ok()?;
    let mut ext = part.rest();
    nested::keep(&mut ext, member, inner);
    Some(Part::Media(Media { kind, source, detail, name: None, ext }))
}

/// A `data:` URL becomes its content; one with parameters that would be lost stays an address.
fn source_of_url(url: String) -> MediaSource {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) if !media_type.is_empty() && !media_type.contains([';', ',']) => {
            MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
        }
        Some(_) | None => MediaSource::Url { url, media_type: None },
    }
}

fn audio(mut part: Object<'_>) -> Option<Part> {
    let mut inner = Object::of(part.take("input_audio")?).ok()?;
    let data = inner.string("data").ok()??;
    let media_type = audio_media_type(&inner.string("format").ok()??);
    let mut ext = part.rest();
    nested::keep(&mut ext, "input_audio", inner);
    let source = MediaSource::Base64 { media_type, data };
    Some(Part::Media(Media { kind: MediaKind::Audio, source, detail: None, name: None, ext }))
}

fn audio_media_type(format: &str) -> String {
    match format {
        "mp3" => "audio/mpeg".to_owned(),
        other => format!("audio/{other}"),
    }
}

/// The word for `format` of `input_audio`.
pub(super) fn audio_format(media_type: &str) -> &str {
    match media_type {
        "audio/mpeg" => "mp3",
        "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        other => other.strip_prefix("audio/").unwrap_or(other),
    }
}

fn file(mut part: Object<'_>) -> Option<Part> {
    let mut inner = Object::of(part.take("file")?).ok()?;
    let name = inner.string("filename").ok()?;
    let id = inner.string("file_id").ok()?;
    let data = inner.string("file_data").ok()?;
    let source = match (id, data) {
        (Some(id), None) => MediaSource::FileId(id),
        (None, Some(data)) => match source_of_url(data) {
            // OpenAI refuses base64 without a `data:` prefix, other upstreams guess its type: kept verbatim.
            MediaSource::Url { url, .. } if !url.contains("://") => return None,
            source => source,
        },
        (None, None) | (Some(_), Some(_)) => return None,
    };
    let mut ext = part.rest();
    nested::keep(&mut ext, "file", inner);
    Some(Part::Media(Media { kind: MediaKind::File, source, detail: None, name, ext }))
}

/// Member of the `ext` of reasoning: the texts it came in, where they were not one.
const PIECES: &str = "#thinking";

/// Member of the `ext` of reasoning: that it has ended, which its end says everywhere else.
const CLOSED: &str = "#closed";

/// Thoughts as a part of the content of a turn.
pub(super) fn thoughts(text: &str) -> Part {
    let mut ext = Ext::default();
    nested::mark(&mut ext, "thinking");
    Part::Reasoning(Reasoning { text: text.to_owned(), signature: None, redacted: None, ext })
}

/// Mistral's reasoning: `{"type": "thinking", "thinking": [{"type": "text", "text": "..."}]}`.
fn thinking(mut part: Object<'_>) -> Option<Part> {
    let inner = part.get("thinking")?;
    let mut text = String::new();
    let elements = json::elements(inner, "thinking").ok()?;
    let single = elements.len() == 1;
    let mut plain = true;
    for element in elements {
        let mut element = Object::of(element).ok()?;
        let is_text = element.get("type").and_then(json::str_of).is_some_and(|kind| kind == "text");
        plain &= is_text && element.members().len() == 2;
        text.push_str(&element.string("text").ok()?.unwrap_or_default());
    }
    if plain {
        part.take("thinking");
    }
    let closed = part.get("closed").is_some_and(|closed| closed.get() == "true").then(|| part.take("closed"));
    let mut ext = part.rest();
    if let Some(closed) = closed.flatten() {
        ext.0.push((CLOSED.to_owned(), closed.to_owned()));
    }
    match (plain, single) {
        (true, true) => nested::mark(&mut ext, "thinking"),
        // Nothing of it is lost elsewhere: how many pieces it was in says nothing.
        (true, false) => ext.0.push((PIECES.to_owned(), inner.to_owned())),
        // Other kinds of pieces (references) are known to this protocol only.
        (false, _) => {}
    }
    Some(Part::Reasoning(Reasoning { text, signature: None, redacted: None, ext }))
}

/// Whether this reasoning stood in the content list (Mistral) and not in a member of the message.
pub(super) fn is_in_content(reasoning: &Reasoning) -> bool {
    reasoning.ext.get("thinking").is_some() || reasoning.ext.get(PIECES).is_some()
}

/// Writes a part that came in this protocol as it came; nothing for parts that are no content.
pub(super) fn write_own_part(part: &Part, out: &mut Vec<u8>) {
    match part {
        Part::Text(text) => typed(out, "text", |part| {
            part.field("text", &text.text);
            part.ext(&text.ext);
        }),
        Part::Refusal(text) => typed(out, "refusal", |part| {
            part.field("refusal", &text.text);
            part.ext(&text.ext);
        }),
        Part::Media(media) => write_own_media(media, out),
        Part::Reasoning(reasoning) => typed(out, "thinking", |part| write_thinking(reasoning, part)),
        Part::Opaque(opaque) => out.extend_from_slice(opaque.raw.get().as_bytes()),
        Part::ToolCall(_) | Part::ToolResult(_) => {}
    }
}

fn typed(out: &mut Vec<u8>, kind: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    json::object(out, |part| {
        part.field("type", kind);
        fill(part);
    });
}

fn write_thinking(reasoning: &Reasoning, part: &mut ObjectWriter<'_>) {
    if nested::is_marked(&reasoning.ext, "thinking") {
        part.array("thinking", [&reasoning.text], |text, out| typed(out, "text", |inner| inner.field("text", text)));
    }
    for (key, value) in &reasoning.ext.0 {
        if key == PIECES {
            part.raw("thinking", value);
        } else if key == CLOSED {
            part.raw("closed", value);
        } else if key != "thinking" || !nested::is_null(value) {
            part.raw(key, value);
        }
    }
}

fn write_own_media(media: &Media, out: &mut Vec<u8>) {
    match media.kind {
        MediaKind::Image => write_url_part(media, "image_url", out),
        MediaKind::Video => write_url_part(media, "video_url", out),
        MediaKind::Audio => write_audio(media, out),
        MediaKind::File => write_file(media, out),
    }
}

/// An image or a video.
pub(super) fn write_url_part(media: &Media, member: &str, out: &mut Vec<u8>) {
    let url = url_of_source(&media.source);
    typed(out, member, |part| {
        if nested::is_marked(&media.ext, member) {
            part.field(member, &url);
        } else {
            part.object(member, |inner| {
                inner.field("url", &url);
                inner.optional("detail", &media.detail);
                nested::write(&media.ext, member, inner);
            });
        }
        nested::write_rest(&media.ext, &[member], part);
    });
}

/// The address, or the content as a `data:` URL.
pub(super) fn url_of_source(source: &MediaSource) -> String {
    match source {
        MediaSource::Url { url, .. } => url.clone(),
        MediaSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        MediaSource::FileId(id) => id.clone(),
        MediaSource::Text { media_type, text } => {
            use base64::Engine;
            format!("data:{media_type};base64,{}", base64::engine::general_purpose::STANDARD.encode(text))
        }
    }
}

pub(super) fn write_audio(media: &Media, out: &mut Vec<u8>) {
    typed(out, "input_audio", |part| {
        part.object("input_audio", |inner| {
            if let MediaSource::Base64 { media_type, data } = &media.source {
                inner.field("data", data);
                inner.field("format", audio_format(media_type));
            }
            nested::write(&media.ext, "input_audio", inner);
        });
        nested::write_rest(&media.ext, &["input_audio"], part);
    });
}

pub(super) fn write_file(media: &Media, out: &mut Vec<u8>) {
    typed(out, "file", |part| {
        part.object("file", |inner| {
            inner.optional("filename", &media.name);
            match &media.source {
                MediaSource::FileId(id) => inner.field("file_id", id),
                source @ (MediaSource::Url { .. } | MediaSource::Base64 { .. } | MediaSource::Text { .. }) => {
                    inner.field("file_data", &url_of_source(source));
                }
            }
            nested::write(&media.ext, "file", inner);
        });
        nested::write_rest(&media.ext, &["file"], part);
    });
}

/// Writes a plain text part.
pub(super) fn write_text_part(text: &str, out: &mut Vec<u8>) {
    typed(out, "text", |part| part.field("text", text));
}

/// A media part without anything of its origin's: what another protocol's caller sent, in this protocol's words.
pub(super) fn stripped(media: &Media) -> Media {
    Media { ext: Ext::default(), ..media.clone() }
}
