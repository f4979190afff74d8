//! Parts of a message's content, and of a tool's result.

use serde_json::value::RawValue;

use super::{SELF, cite, note};
use crate::wire::ir::{Media, MediaKind, MediaSource, Opaque, Part, Text, citation};
use crate::wire::json::{self, Object, ObjectWriter};

/// Reads one part; what cannot be read as the type it names stays verbatim. `usual` is the type of texts here.
pub(super) fn decode(raw: &RawValue, usual: &str) -> Part {
    known(raw, usual).unwrap_or_else(|| Part::Opaque(Opaque { origin: SELF, raw: raw.to_owned() }))
}

fn known(raw: &RawValue, usual: &str) -> Option<Part> {
    let mut part = Object::of(raw).ok()?;
    let kind = part.string("type").ok()??;
    match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            let text = part.string("text").ok()??;
            let mut ext = part.rest();
            if kind != usual {
                note::add(&mut ext, "#type", &json::quoted(&kind));
            }
            Some(Part::Text(Text { text, ext }))
        }
        "refusal" => {
            let text = part.string("refusal").ok()??;
            Some(Part::Refusal(Text { text, ext: part.rest() }))
        }
        "input_image" => image(part),
        "input_file" => file(part),
        _ => None,
    }
}

fn image(mut part: Object<'_>) -> Option<Part> {
    let url = part.string("image_url").ok()?;
    let id = part.string("file_id").ok()?;
    let source = match (url, id) {
        (Some(url), None) => source_of_url(url),
        (None, Some(id)) => MediaSource::FileId(id),
        (None, None) | (Some(_), Some(_)) => return None,
    };
    let detail = part.string("detail").ok()?;
    Some(Part::Media(Media { kind: MediaKind::Image, source, detail, name: None, ext: part.rest() }))
}

fn file(mut part: Object<'_>) -> Option<Part> {
    let (data, url) = (part.string("file_data").ok()?, part.string("file_url").ok()?);
    let id = part.string("file_id").ok()?;
    let source = match (data, url, id) {
        // Base64 without the prefix of a `data:` URL says no type: kept verbatim.
        (Some(data), None, None) => match source_of_url(data) {
            source @ MediaSource::Base64 { .. } => source,
            MediaSource::Url { .. } | MediaSource::FileId(_) | MediaSource::Text { .. } => return None,
        },
        (None, Some(url), None) => MediaSource::Url { url, media_type: None },
        (None, None, Some(id)) => MediaSource::FileId(id),
        _ => return None,
    };
    let name = part.string("filename").ok()?;
    Some(Part::Media(Media { kind: MediaKind::File, source, detail: None, name, ext: part.rest() }))
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

/// Writes a part of this protocol as it came.
pub(super) fn write_own(part: &Part, usual: &str, out: &mut Vec<u8>) {
    match part {
        Part::Text(text) => json::object(out, |writer| {
            let kind = text.ext.get("#type").and_then(json::str_of);
            writer.field("type", kind.as_deref().unwrap_or(usual));
            writer.field("text", &text.text);
            write_ext(&text.ext, writer);
            let cited = citation::verbatim(&text.ext);
            if !cited.is_empty() {
                writer.array(cite::MEMBER, cited, |one, out| out.extend_from_slice(one.get().as_bytes()));
            }
        }),
        Part::Refusal(text) => json::object(out, |writer| {
            writer.field("type", "refusal");
            writer.field("refusal", &text.text);
            write_ext(&text.ext, writer);
        }),
        Part::Media(media) => json::object(out, |writer| {
            write_media(media, writer);
            write_ext(&media.ext, writer);
        }),
        Part::Opaque(opaque) => out.extend_from_slice(opaque.raw.get().as_bytes()),
        // The decoder puts none of these among a message's parts.
        Part::Reasoning(_) | Part::ToolCall(_) | Part::ToolResult(_) => json::object(out, |_| {}),
    }
}

fn write_ext(ext: &json::Ext, writer: &mut ObjectWriter<'_>) {
    for (key, value) in ext.0.iter().filter(|(key, _)| !key.starts_with('#')) {
        writer.raw(key, value);
    }
}

pub(super) fn write_text(kind: &str, text: &str, out: &mut Vec<u8>) {
    json::object(out, |writer| {
        writer.field("type", kind);
        writer.field("text", text);
    });
}

/// The members of an image or a file, without what nobody modelled.
pub(super) fn write_media(media: &Media, writer: &mut ObjectWriter<'_>) {
    let is_image = media.kind == MediaKind::Image;
    writer.field("type", if is_image { "input_image" } else { "input_file" });
    match &media.source {
        MediaSource::Url { url, .. } => writer.field(if is_image { "image_url" } else { "file_url" }, url),
        MediaSource::Base64 { media_type, data } => {
            let url = format!("data:{media_type};base64,{data}");
            writer.field(if is_image { "image_url" } else { "file_data" }, &url);
        }
        MediaSource::FileId(id) => writer.field("file_id", id),
        MediaSource::Text { text, .. } => writer.field("text", text),
    }
    writer.optional("detail", &media.detail);
    writer.optional("filename", &media.name);
}
