//! Content blocks, shared by requests and answers.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{SELF, cite};
use crate::wire::ir::citation;
use crate::wire::ir::message::Opaque;
use crate::wire::ir::{
    ContentShape, Media, MediaKind, MediaSource, Part, Reasoning, Signature, Text, ToolCall, ToolResult,
};
use crate::wire::json::{self, Ext, JsonError, Kind, Object, ObjectWriter, kind, str_of};

/// Reads one block. What the hub has no part for stays verbatim.
///
/// # Errors
/// A block of a known type that lacks what the type requires.
pub(super) fn decode(raw: &RawValue) -> Result<Part, JsonError> {
    let block = Object::of(raw)?;
    match block_type(&block)?.as_ref() {
        "thinking" => thinking(block),
        "redacted_thinking" => redacted(block),
        "tool_use" => tool_call(block),
        "tool_result" => tool_result(block),
        _ => plain(raw, block),
    }
}

/// As [`decode`], of a block inside of a tool result: blocks do not nest further.
fn decode_nested(raw: &RawValue) -> Result<Part, JsonError> {
    plain(raw, Object::of(raw)?)
}

fn plain(raw: &RawValue, block: Object<'_>) -> Result<Part, JsonError> {
    match block_type(&block)?.as_ref() {
        "text" => text(block),
        "image" => Ok(media(block, MediaKind::Image).unwrap_or_else(|| opaque(raw))),
        "document" => {
            let document = media(block.clone(), MediaKind::File).or_else(|| chunked(raw, block));
            Ok(document.unwrap_or_else(|| opaque(raw)))
        }
        "search_result" => Ok(search_result(raw, block).unwrap_or_else(|| opaque(raw))),
        _ => Ok(opaque(raw)),
    }
}

/// A block kept verbatim.
pub(super) fn opaque(raw: &RawValue) -> Part {
    Part::Opaque(Opaque { origin: SELF, raw: raw.to_owned() })
}

fn block_type<'a>(block: &Object<'a>) -> Result<Cow<'a, str>, JsonError> {
    let raw = block.get("type").ok_or(JsonError::Missing { key: "type".to_owned() })?;
    str_of(raw).ok_or(JsonError::Type { key: "type".to_owned(), expected: "a string" })
}

fn required(block: &mut Object<'_>, key: &str) -> Result<String, JsonError> {
    block.string(key)?.ok_or(JsonError::Missing { key: key.to_owned() })
}

/// Takes a member unless it is `null`, which stays for `ext`: absent and `null` are written back as they came.
pub(super) fn take_present<'a>(object: &mut Object<'a>, key: &str) -> Option<&'a RawValue> {
    object.get(key).filter(|raw| kind(raw) != Kind::Null)?;
    object.take(key)
}

fn text(mut block: Object<'_>) -> Result<Part, JsonError> {
    block.take("type");
    Ok(Part::Text(Text { text: required(&mut block, "text")?, ext: block.rest() }))
}

fn thinking(mut block: Object<'_>) -> Result<Part, JsonError> {
    block.take("type");
    let text = required(&mut block, "thinking")?;
    // An empty signature proves nothing; it stays in `ext`, where only a writer of this protocol finds it.
    let signature =
        block.get("signature").and_then(str_of).filter(|value| !value.is_empty()).map(|value| value.into_owned());
    if signature.is_some() {
        block.take("signature");
    }
    Ok(Part::Reasoning(Reasoning { text, signature: signature.map(signed), redacted: None, ext: block.rest() }))
}

fn redacted(mut block: Object<'_>) -> Result<Part, JsonError> {
    block.take("type");
    let data = required(&mut block, "data")?;
    Ok(Part::Reasoning(Reasoning { redacted: Some(signed(data)), ext: block.rest(), ..Reasoning::default() }))
}

/// An opaque text that Anthropic issued.
pub(super) fn signed(value: String) -> Signature {
    Signature { issuer: SELF, value }
}

fn tool_call(mut block: Object<'_>) -> Result<Part, JsonError> {
    block.take("type");
    Ok(Part::ToolCall(ToolCall {
        id: block.string("id")?,
        name: required(&mut block, "name")?,
        arguments: block.take("input").map_or_else(String::new, |input| input.get().to_owned()),
        signature: None,
        ext: block.rest(),
    }))
}

fn tool_result(mut block: Object<'_>) -> Result<Part, JsonError> {
    block.take("type");
    let call_id = Some(required(&mut block, "tool_use_id")?);
    let (content, shape) = content(block.take("content"), decode_nested)?;
    let is_error = match take_present(&mut block, "is_error") {
        Some(raw) => Some(json::read(raw, "is_error", "true or false")?),
        None => None,
    };
    Ok(Part::ToolResult(ToolResult { call_id, name: None, content, shape, is_error, ext: block.rest() }))
}

/// Reads content, which is a text or a list of blocks.
pub(super) fn content(
    raw: Option<&RawValue>,
    each: fn(&RawValue) -> Result<Part, JsonError>,
) -> Result<(Vec<Part>, ContentShape), JsonError> {
    let Some(raw) = raw else { return Ok((Vec::new(), ContentShape::Absent)) };
    match kind(raw) {
        Kind::Null => Ok((Vec::new(), ContentShape::Null)),
        Kind::String => {
            let text = json::read::<String>(raw, "content", "a string")?;
            Ok((vec![Part::Text(Text::new(text))], ContentShape::Text))
        }
        Kind::Array => {
            let blocks = json::elements(raw, "content")?;
            let parts = blocks.into_iter().map(each).collect::<Result<_, _>>()?;
            Ok((parts, ContentShape::Parts))
        }
        Kind::Bool | Kind::Number | Kind::Object => {
            Err(JsonError::Type { key: "content".to_owned(), expected: "a string or a list of blocks" })
        }
    }
}

/// An image or a document, `None` where its source is of a kind that the hub does not model.
fn media(mut block: Object<'_>, kind: MediaKind) -> Option<Part> {
    block.take("type");
    let source = source(Object::of(block.take("source")?).ok()?)?;
    let name = take_present(&mut block, "title").map(|raw| str_of(raw).map(Cow::into_owned));
    let name = match name {
        Some(title) => Some(title?),
        None => None,
    };
    Some(Part::Media(Media { kind, source, detail: None, name, ext: block.rest() }))
}

/// Member of a document's `ext`: the block that it was, which has more to it than the hub's document.
pub(in crate::wire) const BLOCK: &str = "#block";

/// A document in pieces, which answers may cite one by one. To other protocols it is the text of all of them.
fn chunked(raw: &RawValue, mut block: Object<'_>) -> Option<Part> {
    block.take("type");
    let mut source = Object::of(block.take("source")?).ok()?;
    let is_chunked = source.string("type").ok()?.is_some_and(|kind| kind == "content");
    let text = texts(source.take("content")?).filter(|_| is_chunked && source.members().is_empty())?;
    let name = block.string("title").ok()?;
    Some(document(raw, text, name, block.rest()))
}

/// What a search of the caller's own found, for answers to cite. To other protocols it is a document that says where it is from.
fn search_result(raw: &RawValue, mut block: Object<'_>) -> Option<Part> {
    block.take("type");
    let (text, from) = (texts(block.take("content")?)?, block.string("source").ok()??);
    let name = block.string("title").ok()?;
    Some(document(raw, format!("{from}\n\n{text}"), name, block.rest()))
}

fn document(raw: &RawValue, text: String, name: Option<String>, mut ext: Ext) -> Part {
    ext.0.push((BLOCK.to_owned(), raw.to_owned()));
    let source = MediaSource::Text { media_type: "text/plain".to_owned(), text };
    Part::Media(Media { kind: MediaKind::File, source, detail: None, name, ext })
}

/// A text or the texts of a list, `None` where the list holds anything else.
fn texts(raw: &RawValue) -> Option<String> {
    let of_block = |raw: &RawValue| {
        let mut block = Object::of(raw).ok()?;
        let is_text = block_type(&block).is_ok_and(|kind| kind == "text");
        block.string("text").ok()?.filter(|_| is_text)
    };
    match kind(raw) {
        Kind::String => str_of(raw).map(Cow::into_owned),
        Kind::Array => {
            let blocks = json::elements(raw, "content").ok()?.into_iter().map(of_block);
            Some(blocks.collect::<Option<Vec<_>>>()?.join("\n\n"))
        }
        Kind::Null | Kind::Bool | Kind::Number | Kind::Object => None,
    }
}

fn source(mut source: Object<'_>) -> Option<MediaSource> {
    let text = |source: &mut Object<'_>, key: &str| source.string(key).ok().flatten();
    let read = match text(&mut source, "type")?.as_str() {
        "base64" => {
            MediaSource::Base64 { media_type: text(&mut source, "media_type")?, data: text(&mut source, "data")? }
        }
        "url" => MediaSource::Url { url: text(&mut source, "url")?, media_type: None },
        "file" => MediaSource::FileId(text(&mut source, "file_id")?),
        "text" => MediaSource::Text { media_type: text(&mut source, "media_type")?, text: text(&mut source, "data")? },
        _ => return None,
    };
    source.members().is_empty().then_some(read)
}

// === writing ===

/// Writes a block as it came from this protocol. `id` and `name` of calls and results are taken as they are.
pub(super) fn write(part: &Part, out: &mut Vec<u8>) {
    match part {
        Part::Text(text) | Part::Refusal(text) => write_text(&text.text, &text.ext, out),
        Part::Media(media) => match media.ext.get(BLOCK) {
            Some(block) => out.extend_from_slice(block.get().as_bytes()),
            None => write_media(media, &media.ext, out),
        },
        Part::Reasoning(reasoning) => write_reasoning(reasoning, &reasoning.ext, out),
        Part::ToolCall(call) => {
            write_call(call.id.as_deref().unwrap_or(""), &call.name, &call.arguments, &call.ext, out)
        }
        Part::ToolResult(result) => write_result(result, result.call_id.as_deref().unwrap_or(""), &result.ext, out),
        Part::Opaque(opaque) => out.extend_from_slice(opaque.raw.get().as_bytes()),
    }
}

fn block(kind: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    json::object(out, |block| {
        block.field("type", kind);
        fill(block);
    });
}

pub(super) fn write_text(text: &str, ext: &Ext, out: &mut Vec<u8>) {
    block("text", out, |block| {
        block.field("text", text);
        citation::write_back(ext, cite::MEMBER, block);
    });
}

pub(super) fn write_reasoning(reasoning: &Reasoning, ext: &Ext, out: &mut Vec<u8>) {
    if let Some(redacted) = &reasoning.redacted {
        return block("redacted_thinking", out, |block| {
            block.field("data", &redacted.value);
            block.ext(ext);
        });
    }
    block("thinking", out, |block| {
        block.field("thinking", &reasoning.text);
        if let Some(signature) = &reasoning.signature {
            block.field("signature", &signature.value);
        }
        block.ext(ext);
    });
}

pub(super) fn write_call(id: &str, name: &str, arguments: &str, ext: &Ext, out: &mut Vec<u8>) {
    block("tool_use", out, |block| {
        block.field("id", id);
        block.field("name", name);
        write_input(arguments, block.key("input"));
        block.ext(ext);
    });
}

/// The arguments as the object that Anthropic wants. What is no JSON object comes as `{"_raw": "..."}`, so that a model's
/// fault never makes a request impossible; no arguments at all are `{}`.
fn write_input(arguments: &str, out: &mut Vec<u8>) {
    match arguments.trim() {
        "" | "null" => out.extend_from_slice(b"{}"),
        input if is_object(input) => out.extend_from_slice(input.as_bytes()),
        _ => json::object(out, |input| input.field("_raw", arguments)),
    }
}

fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Whether [`write_call`] must wrap the arguments.
pub(super) fn is_wrapped(arguments: &str) -> bool {
    let input = arguments.trim();
    !matches!(input, "" | "null") && !is_object(input)
}

pub(super) fn write_result(result: &ToolResult, id: &str, ext: &Ext, out: &mut Vec<u8>) {
    block("tool_result", out, |block| {
        block.field("tool_use_id", id);
        write_content(&result.content, result.shape, block, write);
        block.optional("is_error", &result.is_error);
        block.ext(ext);
    });
}

/// Writes the member `content` in the shape in which it came.
pub(super) fn write_content(
    parts: &[Part],
    shape: ContentShape,
    out: &mut ObjectWriter<'_>,
    each: impl FnMut(&Part, &mut Vec<u8>),
) {
    match (shape, parts) {
        (ContentShape::Absent, []) => {}
        (ContentShape::Null, []) => out.field("content", &()),
        (ContentShape::Text, [Part::Text(text)]) => out.field("content", &text.text),
        _ => out.array("content", parts, each),
    }
}

pub(super) fn write_media(media: &Media, ext: &Ext, out: &mut Vec<u8>) {
    let kind = if media.kind == MediaKind::Image { "image" } else { "document" };
    block(kind, out, |block| {
        block.object("source", |source| write_source(&media.source, source));
        block.optional("title", &media.name.as_ref().filter(|_| media.kind != MediaKind::Image));
        block.ext(ext);
    });
}

fn write_source(source: &MediaSource, out: &mut ObjectWriter<'_>) {
    match source {
        MediaSource::Base64 { media_type, data } => {
            out.field("type", "base64");
            out.field("media_type", media_type);
            out.field("data", data);
        }
        MediaSource::Url { url, media_type: _ } => {
            out.field("type", "url");
            out.field("url", url);
        }
        MediaSource::FileId(id) => {
            out.field("type", "file");
            out.field("file_id", id);
        }
        MediaSource::Text { media_type, text } => {
            out.field("type", "text");
            out.field("media_type", media_type);
            out.field("data", text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> String {
        let raw = json::raw(text).unwrap();
        let mut out = Vec::new();
        write(&decode(&raw).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn blocks_are_written_as_they_came() {
        for same in [
            r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}"#,
            r#"{"type":"text","text":"a","citations":null}"#,
            r#"{"type":"thinking","thinking":"","signature":"c2ln"}"#,
            r#"{"type":"thinking","thinking":"aloud","signature":""}"#,
            r#"{"type":"redacted_thinking","data":"ZGF0YQ=="}"#,
            r#"{"type":"tool_use","id":"toolu_1","name":"n","input":{"a": 1.0, "b":[ ]},"caller":{"type":"direct"}}"#,
            r#"{"type":"tool_result","tool_use_id":"toolu_1"}"#,
            r#"{"type":"tool_result","tool_use_id":"toolu_1","content":"x","is_error":false}"#,
            r#"{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"x"},{"type":"search_result","x":1}]}"#,
            r#"{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}"#,
            r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}"#,
            r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"},"title":"T","citations":{"enabled":true}}"#,
            r#"{"type":"document","source":{"type":"content","content":[{"type":"text","text":"x"}]},"title":null}"#,
            r#"{"type":"document","source":{"type":"file","file_id":"file_1"}}"#,
            r#"{"type":"document","source":{"type":"content","content":"x"},"context":"c","citations":{"enabled":true}}"#,
            r#"{"type":"search_result","source":"https://a","title":"T","content":[{"type":"text","text":"x"}],"cache_control":null}"#,
            r#"{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{ "query":"x"}}"#,
        ] {
            assert_eq!(round_trip(same), same);
        }
    }

    #[test]
    fn texts_to_cite_from_are_documents() {
        for (block, name, text) in [
            (
                r#"{"type":"search_result","source":"https://a","title":"T","content":[{"type":"text","text":"x"},{"type":"text","text":"y"}]}"#,
                Some("T"),
                "https://a\n\nx\n\ny",
            ),
            (r#"{"type":"document","source":{"type":"content","content":"x"}}"#, None, "x"),
        ] {
            let Part::Media(media) = decode(&json::raw(block).unwrap()).unwrap() else { panic!("{block}") };
            let told = MediaSource::Text { media_type: "text/plain".to_owned(), text: text.to_owned() };
            assert_eq!((media.name.as_deref(), media.source), (name, told));
        }
        let picture = r#"{"type":"document","source":{"type":"content","content":[{"type":"image","source":{}}]}}"#;
        assert!(matches!(decode(&json::raw(picture).unwrap()).unwrap(), Part::Opaque(_)));
    }

    #[test]
    fn nested_results_stay_verbatim_whatever_their_depth() {
        let deep =
            format!("{}{}", r#"{"type":"tool_result","tool_use_id":"t","content":["#.repeat(60), "]}".repeat(60));
        assert_eq!(round_trip(&deep), deep);
    }

    #[test]
    fn a_known_block_without_its_member_is_refused() {
        for (block, member) in
            [(r#"{"type":"text"}"#, "text"), ("{}", "type"), (r#"{"type":"tool_use","id":"a"}"#, "name")]
        {
            let error = decode(&json::raw(block).unwrap()).unwrap_err();
            assert_eq!(error, JsonError::Missing { key: member.to_owned() });
        }
    }

    #[test]
    fn arguments_are_an_object_in_any_case() {
        for (arguments, input) in [
            ("", "{}"),
            ("null", "{}"),
            ("{}", "{}"),
            (r#"{"a": 10000000000000000000000001}"#, r#"{"a": 10000000000000000000000001}"#),
            (r#"{"a":"#, r#"{"_raw":"{\"a\":"}"#),
            ("[1]", r#"{"_raw":"[1]"}"#),
        ] {
            let mut out = Vec::new();
            write_input(arguments, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), input);
            assert_eq!(is_wrapped(arguments), input.contains("_raw"));
        }
    }
}
