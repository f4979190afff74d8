//! Parts: one piece of a content, in requests and in answers.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{member, names, note};
use crate::wire::ProtocolId;
use crate::wire::ir::citation;
use crate::wire::ir::message::Opaque;
use crate::wire::ir::{
    ContentShape, Error, Media, MediaKind, MediaSource, Part, Reasoning, Signature, Text, ToolCall, ToolResult,
};
use crate::wire::json::{self, Ext, Kind, Object, ObjectWriter};

const CALL: &str = "functionCall.";
const RESULT: &str = "functionResponse.";
const INLINE: &str = "inlineData.";
const FILE: &str = "fileData.";
/// What [`note::write_top`] must leave to the nested objects of a part.
const NESTED: &[&str] = &[CALL, RESULT, INLINE, FILE];

/// Host of the addresses that the Files API gives out; only Google can read them.
const FILES_HOST: &str = "https://generativelanguage.googleapis.com/";

/// Reads one part. What nobody modelled (`executableCode`, `toolCall`, ...) stays as it is.
///
/// # Errors
/// A part that is not an object, or a member of the wrong type.
pub(super) fn decode(raw: &RawValue) -> Result<Part, Error> {
    if json::kind(raw) != Kind::Object {
        return Err(Error::invalid("a part must be an object such as {\"text\": \"...\"}").with_param("contents.parts"));
    }
    let mut object = Object::of(raw)?;
    let opaque = || Part::Opaque(Opaque { origin: ProtocolId::Gemini, raw: raw.to_owned() });
    let thought = object.get("thought").is_some_and(|value| value.get() == "true");
    if let Some(text) = member::string(&mut object, "text")? {
        let signed = has_signature(&object);
        return match (thought, text.is_empty() && signed) {
            (true, _) => reasoning(object, text, Ext::default()),
            // Nothing but a proof: to anyone but Gemini it would be an empty text.
            (false, true) => Ok(opaque()),
            (false, false) => Ok(Part::Text(Text { text, ext: rest(object)? })),
        };
    }
    if let Some(call) = member::object(&mut object, "functionCall")? {
        return call_of(object, call).map(Part::ToolCall);
    }
    if let Some(result) = member::object(&mut object, "functionResponse")? {
        return result_of(object, result).map(Part::ToolResult);
    }
    if let Some(data) = member::object(&mut object, "inlineData")? {
        return inline_of(object, data).map(Part::Media);
    }
    if let Some(file) = member::object(&mut object, "fileData")? {
        return file_of(object, file).map(Part::Media);
    }
    let only_thought = object.members().iter().all(|m| matches!(&*m.key, "thought" | "thoughtSignature"));
    if thought && only_thought {
        let mut ext = Ext::default();
        note::add(&mut ext, note::NO_TEXT);
        return reasoning(object, String::new(), ext);
    }
    Ok(opaque())
}

fn has_signature(object: &Object<'_>) -> bool {
    object
        .get("thoughtSignature")
        .or_else(|| object.get("thought_signature"))
        .is_some_and(|value| value.get() != "null")
}

fn signature_of(object: &mut Object<'_>) -> Result<Option<Signature>, Error> {
    let value = member::string(object, "thoughtSignature")?;
    Ok(value.map(|value| Signature { issuer: ProtocolId::Gemini, value }))
}

/// The members left over, with the signature under its usual name.
fn rest(mut object: Object<'_>) -> Result<Ext, Error> {
    let signature = member::take(&mut object, "thoughtSignature").map(RawValue::to_owned);
    let mut ext = object.rest();
    ext.0.extend(signature.map(|signature| ("thoughtSignature".to_owned(), signature)));
    Ok(ext)
}

fn reasoning(mut object: Object<'_>, text: String, mut ext: Ext) -> Result<Part, Error> {
    object.take("thought");
    let signature = signature_of(&mut object)?;
    ext.0.extend(object.rest().0);
    Ok(Part::Reasoning(Reasoning { text, signature, redacted: None, ext }))
}

fn call_of(mut object: Object<'_>, mut call: Object<'_>) -> Result<ToolCall, Error> {
    let Some(name) = member::string(&mut call, "name")? else {
        return Err(Error::invalid("`functionCall.name` is missing").with_param("contents.parts.functionCall.name"));
    };
    let id = member::string(&mut call, "id")?;
    let args = member::take(&mut call, "args").map(|args| args.get().to_owned());
    let signature = signature_of(&mut object)?;
    let mut ext = object.rest();
    if args.is_none() {
        note::add(&mut ext, note::NO_ARGS);
    }
    note::keep(&mut ext, CALL, call, false);
    let arguments = args.unwrap_or_else(|| "{}".to_owned());
    Ok(ToolCall { id, name: names::decode(&name), arguments, signature, ext })
}

fn result_of(object: Object<'_>, mut result: Object<'_>) -> Result<ToolResult, Error> {
    let name = member::string(&mut result, "name")?.map(|name| names::decode(&name));
    let call_id = member::string(&mut result, "id")?;
    let response = member::take(&mut result, "response");
    let files = member::array(&mut result, "parts")?.unwrap_or_default();
    let mut ext = rest(object)?;
    note::keep(&mut ext, RESULT, result, false);
    let (mut content, shape, is_error) = response.map_or((Vec::new(), ContentShape::Absent, None), output_of);
    for file in files {
        content.push(decode(file)?);
    }
    Ok(ToolResult { call_id, name, content, shape, is_error, ext })
}

/// What a `response` says. Google's convention is `output` for a result and `error` for a failure; a lone text under either
/// is that text ([`ContentShape::Text`]), anything else is the JSON text of the whole.
fn output_of(response: &RawValue) -> (Vec<Part>, ContentShape, Option<bool>) {
    let verbatim = || (vec![Part::Text(Text::new(response.get()))], ContentShape::Parts, None);
    let Ok(object) = Object::of(response) else { return verbatim() };
    let [only] = object.members() else { return verbatim() };
    let Some(text) = json::str_of(only.value) else { return verbatim() };
    let content = vec![Part::Text(Text::new(text))];
    match &*only.key {
        "output" => (content, ContentShape::Text, None),
        "error" => (content, ContentShape::Text, Some(true)),
        _ => verbatim(),
    }
}

fn inline_of(object: Object<'_>, mut data: Object<'_>) -> Result<Media, Error> {
    let (Some(media_type), Some(text)) = (member::string(&mut data, "mimeType")?, member::string(&mut data, "data")?)
    else {
        let message = "`inlineData` needs `mimeType` and `data`";
        return Err(Error::invalid(message).with_param("contents.parts.inlineData"));
    };
    let name = member::string(&mut data, "displayName")?;
    let mut ext = rest(object)?;
    note::keep(&mut ext, INLINE, data, false);
    let kind = kind_of(&media_type);
    let data = standard_base64(text);
    Ok(Media { kind, source: MediaSource::Base64 { media_type, data }, detail: None, name, ext })
}

/// Google reads both alphabets of base64, with and without padding, and its own SDK for Python sends the URL-safe one; the
/// other protocols read the standard one only.
fn standard_base64(text: String) -> String {
    let mut text = if text.contains(['-', '_']) { text.replace('-', "+").replace('_', "/") } else { text };
    while !text.is_empty() && !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn file_of(object: Object<'_>, mut file: Object<'_>) -> Result<Media, Error> {
    let Some(uri) = member::string(&mut file, "fileUri")? else {
        return Err(Error::invalid("`fileData` needs `fileUri`").with_param("contents.parts.fileData.fileUri"));
    };
    let name = member::string(&mut file, "displayName")?;
    let mut ext = rest(object)?;
    let public = (uri.starts_with("https://") || uri.starts_with("http://")) && !uri.starts_with(FILES_HOST);
    let (kind, source) = if public {
        let media_type = member::string(&mut file, "mimeType")?;
        let kind = media_type.as_deref().or_else(|| media_type_of(&uri)).map_or(MediaKind::File, kind_of);
        (kind, MediaSource::Url { url: uri, media_type })
    } else {
        // The type stays with the members nobody modelled: an uploaded file's id is all that another protocol has.
        let media_type = member::take(&mut file, "mimeType");
        ext.0.extend(media_type.map(|raw| ("fileData.mimeType".to_owned(), raw.to_owned())));
        let kind = media_type.and_then(json::str_of).map_or(MediaKind::File, |word| kind_of(&word));
        (kind, MediaSource::FileId(uri))
    };
    note::keep(&mut ext, FILE, file, false);
    Ok(Media { kind, source, detail: None, name, ext })
}

fn kind_of(media_type: &str) -> MediaKind {
    match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::File,
    }
}

/// The media type that an address ends in, from its extension.
pub(super) fn media_type_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/quicktime",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        _ => return None,
    })
}

/// Writes a part that came from Gemini, as it came.
pub(super) fn encode_native(part: &Part, out: &mut Vec<u8>) -> Result<(), Error> {
    match part {
        Part::Text(text) | Part::Refusal(text) => json::object(out, |w| {
            w.field("text", &text.text);
            note::write_top(w, &text.ext, &[citation::NOTE]);
        }),
        Part::Media(media) => encode_media(media, out),
        Part::Reasoning(thought) => encode_reasoning(thought, out),
        Part::ToolCall(call) => {
            let name = names::encode(&call.name)?;
            encode_call(call, &name, call.signature.as_ref().map(|signature| signature.value.as_str()), out);
        }
        Part::ToolResult(result) => encode_native_result(result, out)?,
        Part::Opaque(opaque) => out.extend_from_slice(opaque.raw.get().as_bytes()),
    }
    Ok(())
}

pub(super) fn encode_reasoning(thought: &Reasoning, out: &mut Vec<u8>) {
    json::object(out, |w| {
        if !note::has(&thought.ext, note::NO_TEXT) {
            w.field("text", &thought.text);
        }
        w.field("thought", &true);
        if let Some(signature) = &thought.signature {
            w.field("thoughtSignature", &signature.value);
        }
        note::write_top(w, &thought.ext, &[]);
    });
}

/// Writes a call under the name and with the signature given; `ext` is written, so it must be Gemini's or empty.
pub(super) fn encode_call(call: &ToolCall, name: &str, signature: Option<&str>, out: &mut Vec<u8>) {
    json::object(out, |w| {
        w.object("functionCall", |w| {
            w.optional("id", &call.id);
            w.field("name", name);
            if !note::has(&call.ext, note::NO_ARGS) {
                w.key("args").extend_from_slice(arguments(&call.arguments).as_bytes());
            }
            note::write_under(w, &call.ext, CALL, &[]);
        });
        if let Some(signature) = signature {
            w.field("thoughtSignature", signature);
        }
        note::write_top(w, &call.ext, NESTED);
    });
}

/// Arguments as the object that Gemini wants. Text that is no object is kept under `_raw`: a fault of a model must not
/// fail the request that tells it so.
pub(super) fn arguments(text: &str) -> Cow<'_, str> {
    match text.trim() {
        "" | "null" => Cow::Borrowed("{}"),
        trimmed if is_object(trimmed) => Cow::Borrowed(trimmed),
        _ => {
            let mut out = Vec::new();
            json::object(&mut out, |w| w.field("_raw", text));
            Cow::Owned(String::from_utf8(out).unwrap_or_else(|_| "{}".to_owned()))
        }
    }
}

fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok()
}

fn encode_native_result(result: &ToolResult, out: &mut Vec<u8>) -> Result<(), Error> {
    let (said, files): (Vec<&Part>, Vec<&Part>) = result.content.iter().partition(|part| matches!(part, Part::Text(_)));
    let name = result.name.as_deref().map(names::encode).transpose()?;
    let files = files.into_iter().map(encoded).collect::<Result<Vec<_>, Error>>()?;
    json::object(out, |w| {
        w.object("functionResponse", |w| {
            w.optional("id", &result.call_id);
            w.optional("name", &name);
            if result.shape != ContentShape::Absent {
                write_output(&joined(&said), result.shape == ContentShape::Text, result.is_error, w.key("response"));
            }
            if !files.is_empty() {
                w.array("parts", files, |file, out| out.extend_from_slice(&file));
            }
            note::write_under(w, &result.ext, RESULT, &[]);
        });
        note::write_top(w, &result.ext, NESTED);
    });
    Ok(())
}

/// A part as Gemini's own, in a buffer of its own.
fn encoded(part: &Part) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    encode_native(part, &mut out)?;
    Ok(out)
}

/// The texts among `parts`, joined by line ends.
pub(super) fn joined(parts: &[&Part]) -> String {
    let texts: Vec<&str> = parts.iter().filter_map(|part| text_of(part)).collect();
    texts.join("\n")
}

/// The words of a text or of a refusal.
pub(super) fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) | Part::Refusal(text) => Some(&text.text),
        Part::Media(_) | Part::Reasoning(_) | Part::ToolCall(_) | Part::ToolResult(_) | Part::Opaque(_) => None,
    }
}

/// Writes a result as the object that Gemini wants: an object as it is, everything else under `output` or, for a failure,
/// `error`. `wrap` forces the latter.
pub(super) fn write_output(text: &str, wrap: bool, is_error: Option<bool>, out: &mut Vec<u8>) {
    let failed = is_error == Some(true);
    if !wrap && !failed && is_object(text) && !reads_as_wrapped(text) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    json::object(out, |w| w.field(if failed { "error" } else { "output" }, text));
}

/// Whether [`output_of`] would take the object for a wrapped text.
fn reads_as_wrapped(text: &str) -> bool {
    json::raw(text).is_some_and(|raw| output_of(&raw).1 == ContentShape::Text)
}

/// Writes a picture, a sound, a file or a video; `ext` is written, so it must be Gemini's or empty.
pub(super) fn encode_media(media: &Media, out: &mut Vec<u8>) {
    json::object(out, |w| {
        match &media.source {
            MediaSource::Base64 { media_type, data } => write_inline(w, media, media_type, data),
            MediaSource::Text { media_type, text } => {
                use base64::Engine as _;
                write_inline(w, media, media_type, &base64::engine::general_purpose::STANDARD.encode(text));
            }
            MediaSource::Url { url, media_type } => write_file(w, media, url, media_type.as_deref()),
            MediaSource::FileId(uri) => write_file(w, media, uri, None),
        }
        note::write_top(w, &media.ext, NESTED);
    });
}

fn write_inline(w: &mut ObjectWriter<'_>, media: &Media, media_type: &str, data: &str) {
    w.object("inlineData", |w| {
        w.field("mimeType", media_type);
        w.field("data", data);
        w.optional("displayName", &media.name);
        note::write_under(w, &media.ext, INLINE, &[]);
    });
}

fn write_file(w: &mut ObjectWriter<'_>, media: &Media, uri: &str, media_type: Option<&str>) {
    w.object("fileData", |w| {
        w.optional("mimeType", &media_type);
        w.field("fileUri", uri);
        w.optional("displayName", &media.name);
        note::write_under(w, &media.ext, FILE, &[]);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes and writes a part, as a JSON value.
    fn round(text: &str) -> (Part, serde_json::Value) {
        let part = decode(&json::raw(text).unwrap()).unwrap();
        let out = encoded(&part).unwrap();
        (part, serde_json::from_slice(&out).unwrap())
    }

    fn value(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_part_comes_back() {
        for text in [
            r#"{"text":"hi"}"#,
            r#"{"text":"","thought":false}"#,
            r#"{"text":"","thoughtSignature":"s"}"#,
            r#"{"text":"hi","thoughtSignature":"s","partMetadata":{"a":1}}"#,
            r#"{"text":"hm","thought":true,"thoughtSignature":"s"}"#,
            r#"{"thought":true,"thoughtSignature":"s"}"#,
            r#"{"functionCall":{"name":"f","args":{"b":1.0,"a":null},"id":"x"},"thoughtSignature":"s","thought":false}"#,
            r#"{"functionCall":{"name":"f"}}"#,
            r#"{"functionResponse":{"name":"f","response":{"output":"x"},"scheduling":"SILENT"}}"#,
            r#"{"functionResponse":{"name":"f","response":{"error":"x"}}}"#,
            r#"{"functionResponse":{"name":"f","response":{"output":["x"]}}}"#,
            r#"{"functionResponse":{"name":"f","response":{},"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}}"#,
            r#"{"functionResponse":{"name":"f"}}"#,
            r#"{"inlineData":{"mimeType":"image/png","data":"AA==","displayName":"n"},"mediaResolution":{"level":"LOW"}}"#,
            r#"{"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/a","mimeType":"video/mp4"}}"#,
            r#"{"fileData":{"fileUri":"https://example.com/a.png"},"videoMetadata":{"fps":1}}"#,
            r#"{"executableCode":{"language":"PYTHON","code":"1"},"thoughtSignature":"s"}"#,
        ] {
            assert_eq!(round(text).1, value(text));
        }
    }

    #[test]
    fn snake_case_becomes_camel_case() {
        let (part, written) = round(
            r#"{"function_response":{"name":"f","response":{"a_b":1},"parts":[{"inline_data":{"mime_type":"image/png","data":"AA=="}}]}}"#,
        );
        assert!(matches!(part, Part::ToolResult(_)));
        let expected = r#"{"functionResponse":{"name":"f","response":{"a_b":1},"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}}"#;
        assert_eq!(written, value(expected));
    }

    #[test]
    fn a_result_means_what_it_wraps() {
        let (Part::ToolResult(result), _) = round(r#"{"functionResponse":{"name":"f","response":{"error":"no"}}}"#)
        else {
            panic!("a result")
        };
        assert_eq!((result.is_error, text_of(&result.content[0])), (Some(true), Some("no")));
    }

    #[test]
    fn broken_arguments_are_kept() {
        assert_eq!(arguments(""), "{}");
        assert_eq!(arguments("null"), "{}");
        assert_eq!(arguments(r#"{"a": 10000000000000000000000}"#), r#"{"a": 10000000000000000000000}"#);
        assert_eq!(arguments(r#"{"a":"#), r#"{"_raw":"{\"a\":"}"#);
        assert_eq!(arguments("[1]"), r#"{"_raw":"[1]"}"#);
    }

    #[test]
    fn an_output_is_always_an_object() {
        let written = |text: &str, failed| {
            let mut out = Vec::new();
            write_output(text, false, failed, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written("sunny", None), r#"{"output":"sunny"}"#);
        assert_eq!(written(r#"{"t":21.0}"#, Some(false)), r#"{"t":21.0}"#);
        assert_eq!(written(r#"{"t":21}"#, Some(true)), r#"{"error":"{\"t\":21}"}"#);
        assert_eq!(written(r#"{"output":"x"}"#, None), r#"{"output":"{\"output\":\"x\"}"}"#);
        assert_eq!(written("[1]", None), r#"{"output":"[1]"}"#);
    }
}
