//! Content blocks: objects with one member, which names their type. What the hub has no part for stays verbatim.
//!
//! A cache point is a block of its own, behind what it closes. In the hub it is `cache_control` among the members of that
//! part, in the words of Anthropic Messages, where it comes from.

use serde_json::value::RawValue;

use super::{SELF, formats};
use crate::wire::ir::citation;
use crate::wire::ir::{Media, MediaKind, MediaSource, Opaque, Part, Reasoning, Signature, Text, ToolCall, ToolResult};
use crate::wire::json::{self, Ext, JsonError, Kind, Object, ObjectWriter, kind, str_of};

/// Member of a text's or an image's `ext`: it stood in a `guardContent`, of which this is the rest.
const GUARD: &str = "guardContent";
/// Member of a text's `ext`: it stood in a `citationsContent`, and these are its citations.
pub(super) const CITATIONS: &str = "citations";
/// Member of an `ext`: a text in several pieces, as they were.
const PIECES: &str = "content";
/// The type of a call of the caller's tools.
const CALL: &str = "tool_use";
/// Note in the `ext` of a call or a text: its type, which says what its place says.
const TYPE: &str = "#converse_type";
/// Member of a text's `ext` in a tool's result: it is JSON.
const JSON: &str = "json";
/// Members that [`write`] puts somewhere else than at the end of a block.
const PLACED: [&str; 6] = [GUARD, PIECES, CACHE, "format", "s3Location", JSON];
/// Member of any part's `ext`: a cache point follows it.
pub(super) const CACHE: &str = "cache_control";

/// An opaque text that this service issued.
pub(super) fn signed(value: String) -> Signature {
    Signature { issuer: SELF, value }
}

pub(super) fn opaque(raw: &RawValue) -> Opaque {
    Opaque { origin: SELF, raw: raw.to_owned() }
}

/// The only member of an object.
fn only<'a>(object: &Object<'a>) -> Option<(String, &'a RawValue)> {
    match object.members() {
        [member] => Some((member.key.clone().into_owned(), member.value)),
        _ => None,
    }
}

fn entry(key: &str, text: impl Into<String>) -> Option<(String, Box<RawValue>)> {
    json::raw(text).map(|raw| (key.to_owned(), raw))
}

/// The members as one object.
fn raw_object(members: &Ext) -> String {
    let mut text = Vec::new();
    json::object(&mut text, |object| object.ext(members));
    String::from_utf8(text).unwrap_or_default()
}

// === reading ===

/// Reads one block.
///
/// # Errors
/// A member of the wrong type, a call without a name.
pub(super) fn decode(raw: &RawValue) -> Result<Part, JsonError> {
    let block = Object::of(raw)?;
    let Some((member, value)) = only(&block) else {
        return Ok(typed_text(&block).map_or_else(|| Part::Opaque(opaque(raw)), Part::Text));
    };
    let object = || json::read::<Object<'_>>(value, &member, "an object");
    let part = match member.as_str() {
        "text" => Some(Part::Text(Text::new(json::read::<String>(value, "text", "a string")?))),
        "toolUse" => call(object()?)?,
        "toolResult" => result(object()?)?.map(Part::ToolResult),
        "reasoningContent" => reasoning(object()?)?,
        "citationsContent" => Some(cited(object()?)?),
        GUARD => guarded(&object()?)?,
        name => media_kind(name).and_then(|kind| media(kind, value)).map(Part::Media),
    };
    Ok(part.unwrap_or_else(|| Part::Opaque(opaque(raw))))
}

/// A text that is written as Anthropic's are, `{"type": "text", "text": "..."}`: some that stand in for the service write them so.
fn typed_text(block: &Object<'_>) -> Option<Text> {
    let kind =
        block.get("type").filter(|kind| block.members().len() == 2 && str_of(kind).as_deref() == Some("text"))?;
    let text = block.get("text").and_then(str_of)?.into_owned();
    Some(Text { text, ext: Ext(vec![(TYPE.to_owned(), kind.to_owned())]) })
}

/// Adds the blocks of a list to `parts`; `at` says where in the document a problem lies.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_all<E>(
    list: Vec<&RawValue>,
    parts: &mut Vec<Part>,
    at: impl Fn(usize, JsonError) -> E,
) -> Result<(), E> {
    for (position, raw) in list.into_iter().enumerate() {
        if let Some(mark) = cache_control(raw)
            && let Some(ext) = parts.last_mut().and_then(markable)
            && ext.get(CACHE).is_none()
        {
            ext.0.push((CACHE.to_owned(), mark));
            continue;
        }
        parts.push(decode(raw).map_err(|error| at(position, error))?);
    }
    Ok(())
}

/// Where a part keeps its cache point. Thoughts and what nobody modelled can have none.
fn markable(part: &mut Part) -> Option<&mut Ext> {
    match part {
        Part::Text(text) | Part::Refusal(text) => Some(&mut text.ext),
        Part::Media(media) => Some(&mut media.ext),
        Part::ToolCall(call) => Some(&mut call.ext),
        Part::ToolResult(result) => Some(&mut result.ext),
        Part::Reasoning(_) | Part::Opaque(_) => None,
    }
}

/// A cache point as Anthropic's `cache_control`.
pub(super) fn cache_control(raw: &RawValue) -> Option<Box<RawValue>> {
    let mut point = Object::of(only(&Object::of(raw).ok()?).filter(|(name, _)| name == "cachePoint")?.1).ok()?;
    let is_default = point.take("type").and_then(str_of)? == "default";
    let ttl = point.string("ttl").ok()?;
    if !is_default || !point.members().is_empty() {
        return None;
    }
    let mut text = Vec::new();
    json::object(&mut text, |mark| {
        mark.field("type", "ephemeral");
        mark.optional("ttl", &ttl);
    });
    json::raw(String::from_utf8(text).ok()?)
}

/// Whether the service itself runs the tool of this call, as `type: server_tool_use` says. A call of the caller's tools has no
/// type, or, of Amazon's own models, `tool_use`.
pub(super) fn runs_at_service(call: &Object<'_>) -> bool {
    call.get("type").is_some_and(|kind| str_of(kind).as_deref() != Some(CALL))
}

/// `None` for a call of a tool that the service runs.
fn call(mut call: Object<'_>) -> Result<Option<Part>, JsonError> {
    if runs_at_service(&call) {
        return Ok(None);
    }
    let spelled = call.take("type").map(|kind| (TYPE.to_owned(), kind.to_owned()));
    let id = call.string("toolUseId")?;
    let name = call.string("name")?.ok_or(JsonError::Missing { key: "name".to_owned() })?;
    let arguments = call.take("input").map_or("{}", RawValue::get).to_owned();
    let mut ext = call.rest();
    ext.0.extend(spelled);
    Ok(Some(Part::ToolCall(ToolCall { id, name, arguments, signature: None, ext })))
}

/// `None` for the result of a tool that the service runs.
fn result(mut result: Object<'_>) -> Result<Option<ToolResult>, JsonError> {
    if result.get("type").is_some() {
        return Ok(None);
    }
    let call_id = result.string("toolUseId")?;
    let mut content = Vec::new();
    for raw in result.array("content")?.unwrap_or_default() {
        content.push(match only(&Object::of(raw)?) {
            Some((member, value)) if member == JSON => {
                let ext = Ext(entry(JSON, "null").into_iter().collect());
                Part::Text(Text { text: value.get().to_owned(), ext })
            }
            _ => decode(raw)?,
        });
    }
    let is_error = match result.get("status").and_then(str_of).as_deref() {
        Some("error") => Some(true),
        Some("success") => Some(false),
        Some(_) | None => None,
    };
    if is_error.is_some() {
        result.take("status");
    }
    let shape = Default::default();
    Ok(Some(ToolResult { call_id, name: None, content, shape, is_error, ext: result.rest() }))
}

fn reasoning(mut thoughts: Object<'_>) -> Result<Option<Part>, JsonError> {
    if let Some(redacted) = thoughts.string("redactedContent")? {
        return Ok(Some(Part::Reasoning(Reasoning { redacted: Some(signed(redacted)), ..Reasoning::default() })));
    }
    let Some(mut shown) = thoughts.object("reasoningText")? else { return Ok(None) };
    let text = shown.string("text")?.unwrap_or_default();
    let signature = shown.string("signature")?.filter(|signature| !signature.is_empty()).map(signed);
    Ok(Some(Part::Reasoning(Reasoning { text, signature, redacted: None, ext: shown.rest() })))
}

fn cited(mut cited: Object<'_>) -> Result<Part, JsonError> {
    let pieces = cited.get(PIECES);
    let mut text = String::new();
    let list = cited.array(PIECES)?.unwrap_or_default();
    for piece in &list {
        text.push_str(&Object::of(piece)?.string("text")?.unwrap_or_default());
    }
    let mut ext = cited.rest();
    if ext.get(CITATIONS).is_none() {
        ext.0.extend(entry(CITATIONS, "null"));
    }
    if let Some(pieces) = pieces.filter(|_| list.len() != 1) {
        ext.0.push((PIECES.to_owned(), pieces.to_owned()));
    }
    Ok(Part::Text(Text { text, ext }))
}

fn guarded(guarded: &Object<'_>) -> Result<Option<Part>, JsonError> {
    let Some((member, value)) = only(guarded) else { return Ok(None) };
    if member == "image" {
        let mut image = media(MediaKind::Image, value);
        image.iter_mut().for_each(|image| image.ext.0.extend(entry(GUARD, "{}")));
        return Ok(image.map(Part::Media));
    }
    if member != "text" {
        return Ok(None);
    }
    let mut text = json::read::<Object<'_>>(value, "text", "an object")?;
    let said = text.string("text")?.unwrap_or_default();
    let ext = Ext(entry(GUARD, raw_object(&text.rest())).into_iter().collect());
    Ok(Some(Part::Text(Text { text: said, ext })))
}

fn media_kind(member: &str) -> Option<MediaKind> {
    match member {
        "image" => Some(MediaKind::Image),
        "document" => Some(MediaKind::File),
        "video" => Some(MediaKind::Video),
        "audio" => Some(MediaKind::Audio),
        _ => None,
    }
}

fn member_of(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::File => "document",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
    }
}

/// `None` for media in a form that nobody knows. What lies in S3 is a file that only Bedrock can fetch.
pub(super) fn media(kind: MediaKind, value: &RawValue) -> Option<Media> {
    let mut media = Object::of(value).ok()?;
    let (member, value) = only(&media.object("source").ok()??)?;
    let format = media.string("format").ok()?;
    let name = media.string("name").ok()?;
    let mut ext = media.rest();
    let media_type = |otherwise: &str| {
        format.as_deref().map_or_else(|| otherwise.to_owned(), |format| formats::media_type(member_of(kind), format))
    };
    let source = match member.as_str() {
        "bytes" => {
            MediaSource::Base64 { media_type: media_type("application/octet-stream"), data: str_of(value)?.into() }
        }
        "text" => MediaSource::Text { media_type: media_type("text/plain"), text: str_of(value)?.into() },
        PIECES => {
            let mut text = String::new();
            for piece in json::elements(value, PIECES).ok()? {
                text.push_str(&Object::of(piece).ok()?.string("text").ok()?.unwrap_or_default());
            }
            ext.0.push((PIECES.to_owned(), value.to_owned()));
            MediaSource::Text { media_type: media_type("text/plain"), text }
        }
        "s3Location" => {
            let mut place = Object::of(value).ok()?;
            let uri = place.string("uri").ok()??;
            ext.0.extend(entry("s3Location", raw_object(&place.rest())));
            ext.0.extend(format.as_deref().and_then(|format| entry("format", json::quoted(format))));
            MediaSource::FileId(uri)
        }
        _ => return None,
    };
    if format.is_none() && ext.get("format").is_none() {
        ext.0.extend(entry("format", "null"));
    }
    Some(Media { kind, source, detail: None, name, ext })
}

// === writing back ===

/// Writes blocks that came in this protocol as they came.
pub(super) fn write_all<'p>(parts: impl IntoIterator<Item = &'p Part>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (position, part) in parts.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write(part, out);
        if let Some(mark) = ext_of(part).and_then(|ext| ext.get(CACHE)) {
            out.push(b',');
            write_cache_point(mark, out);
        }
    }
    out.push(b']');
}

fn ext_of(part: &Part) -> Option<&Ext> {
    match part {
        Part::Text(text) | Part::Refusal(text) => Some(&text.ext),
        Part::Media(media) => Some(&media.ext),
        Part::ToolCall(call) => Some(&call.ext),
        Part::ToolResult(result) => Some(&result.ext),
        Part::Reasoning(_) | Part::Opaque(_) => None,
    }
}

/// Writes the cache point that a `cache_control` stands for.
pub(super) fn write_cache_point(mark: &RawValue, out: &mut Vec<u8>) {
    let ttl = Object::of(mark).ok().and_then(|mut mark| mark.string("ttl").ok().flatten());
    json::object(out, |block| {
        block.object("cachePoint", |point| {
            point.field("type", "default");
            point.optional("ttl", &ttl);
        });
    });
}

/// Writes one block, without the cache point behind it.
pub(super) fn write(part: &Part, out: &mut Vec<u8>) {
    match part {
        Part::Opaque(opaque) => out.extend_from_slice(opaque.raw.get().as_bytes()),
        part => json::object(out, |block| write_member(part, block)),
    }
}

fn write_member(part: &Part, block: &mut ObjectWriter<'_>) {
    match part {
        Part::Text(text) | Part::Refusal(text) => write_text(text, block),
        Part::Media(media) => match media.ext.get(GUARD) {
            Some(_) => block.object(GUARD, |guard| write_media(media, guard)),
            None => write_media(media, block),
        },
        Part::Reasoning(reasoning) => {
            block.object("reasoningContent", |body| write_reasoning(reasoning, &reasoning.ext, body));
        }
        Part::ToolCall(call) => {
            write_call(call.id.as_deref().unwrap_or_default(), &call.name, &call.arguments, &call.ext, block);
        }
        Part::ToolResult(result) => write_result(result, block),
        // Written by the caller.
        Part::Opaque(_) => {}
    }
}

fn write_text(text: &Text, block: &mut ObjectWriter<'_>) {
    let pieces = |body: &mut ObjectWriter<'_>| match text.ext.get(PIECES) {
        Some(pieces) => body.raw(PIECES, pieces),
        None => body.array(PIECES, [&text.text], |text, out| json::object(out, |piece| piece.field("text", text))),
    };
    if let Some(guard) = text.ext.get(GUARD) {
        block.object(GUARD, |body| {
            body.object("text", |body| {
                body.field("text", &text.text);
                write_members(guard, body);
            });
        });
    } else if text.ext.get(JSON).is_some() {
        block.key(JSON).extend_from_slice(text.text.as_bytes());
    } else if [CITATIONS, citation::NOTE].into_iter().any(|key| text.ext.get(key).is_some()) {
        block.object("citationsContent", |body| {
            pieces(body);
            let written = text.ext.0.iter().filter(|(key, value)| is_written(key, value));
            citation::write_back(&Ext(written.cloned().collect()), CITATIONS, body);
        });
    } else {
        text.ext.get(TYPE).into_iter().for_each(|kind| block.raw("type", kind));
        block.field("text", &text.text);
    }
}

/// Whether a member of an `ext` stands at the end of its block.
fn is_written(key: &str, value: &RawValue) -> bool {
    !PLACED.contains(&key) && (key != CITATIONS || kind(value) != Kind::Null)
}

/// Writes the members of an object.
pub(super) fn write_members(raw: &RawValue, body: &mut ObjectWriter<'_>) {
    for member in Object::of(raw).iter().flat_map(Object::members) {
        body.raw(&member.key, member.value);
    }
}

fn write_media(media: &Media, block: &mut ObjectWriter<'_>) {
    let member = member_of(media.kind);
    block.object(member, |body| {
        match (media.ext.get("format"), &media.source) {
            (Some(format), _) if kind(format) == Kind::Null => {}
            (Some(format), _) => body.raw("format", format),
            (None, MediaSource::Base64 { media_type, .. } | MediaSource::Text { media_type, .. }) => {
                body.field("format", formats::word(member, media_type));
            }
            (None, MediaSource::FileId(_) | MediaSource::Url { .. }) => {}
        }
        body.optional("name", &media.name);
        body.object("source", |source| match (&media.source, media.ext.get(PIECES)) {
            (_, Some(pieces)) => source.raw(PIECES, pieces),
            (MediaSource::Base64 { data, .. }, None) => source.field("bytes", data),
            (MediaSource::Text { text, .. }, None) => source.field("text", text),
            (MediaSource::FileId(uri) | MediaSource::Url { url: uri, .. }, None) => {
                source.object("s3Location", |place| {
                    place.field("uri", uri);
                    media.ext.get("s3Location").iter().for_each(|rest| write_members(rest, place));
                });
            }
        });
        for (key, value) in media.ext.0.iter().filter(|(key, _)| !PLACED.contains(&key.as_str())) {
            body.raw(key, value);
        }
    });
}

/// Writes what stands in a `reasoningContent`.
pub(super) fn write_reasoning(reasoning: &Reasoning, ext: &Ext, body: &mut ObjectWriter<'_>) {
    if let Some(redacted) = &reasoning.redacted {
        return body.field("redactedContent", &redacted.value);
    }
    body.object("reasoningText", |body| {
        body.field("text", &reasoning.text);
        body.optional("signature", &reasoning.signature.as_ref().map(|signature| &signature.value));
        body.ext(ext);
    });
}

/// Writes a `toolUse`. Arguments that are no JSON object are the text `_raw` of one.
pub(super) fn write_call(id: &str, name: &str, arguments: &str, ext: &Ext, block: &mut ObjectWriter<'_>) {
    block.object("toolUse", |body| {
        body.field("toolUseId", id);
        body.field("name", name);
        match input(arguments) {
            Some(input) => body.key("input").extend_from_slice(input.as_bytes()),
            None => body.object("input", |input| input.field("_raw", arguments)),
        }
        for (key, value) in ext.0.iter().filter(|(key, _)| key != CACHE) {
            body.raw(if key == TYPE { "type" } else { key }, value);
        }
    });
}

fn write_result(result: &ToolResult, block: &mut ObjectWriter<'_>) {
    block.object("toolResult", |body| {
        body.optional("toolUseId", &result.call_id);
        body.array("content", &result.content, write);
        body.optional("status", &result.is_error.map(|failed| if failed { "error" } else { "success" }));
        for (key, value) in result.ext.0.iter().filter(|(key, _)| key != CACHE) {
            body.raw(key, value);
        }
    });
}

/// The arguments as an object, `None` where they are none. No arguments at all are `{}`.
pub(super) fn input(arguments: &str) -> Option<&str> {
    match arguments.trim() {
        "" | "null" => Some("{}"),
        input if input.starts_with('{') && serde_json::from_str::<&RawValue>(input).is_ok() => Some(input),
        _ => None,
    }
}
