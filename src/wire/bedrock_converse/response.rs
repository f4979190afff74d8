//! Whole answers.

use serde_json::value::RawValue;

use super::{SELF, finish, legal, usage};
use crate::wire::ir::message::Opaque;
use crate::wire::ir::{
    Candidate, Error, Media, MediaKind, MediaSource, Part, Reasoning, Response, Signature, Text, ToolCall,
};
use crate::wire::json::{Ext, JsonError, Object, elements};

/// Reads an answer. What the hub does not model (`metrics`, `trace`, ...) stays in `ext`.
///
/// # Errors
/// A body that is no answer.
pub(super) fn decode(body: &[u8]) -> Result<Response, Error> {
    let text = std::str::from_utf8(body).map_err(|_| Error::invalid("the body is not UTF-8"))?;
    let mut answer = Object::parse(text)?;
    let missing = |key: &str| JsonError::Missing { key: key.to_owned() };
    let mut output = answer.object("output")?.ok_or_else(|| missing("output"))?;
    let mut message = output.object("message")?.ok_or_else(|| missing("output.message"))?;
    let parts = message.array("content")?.unwrap_or_default().into_iter().map(part).collect::<Result<_, _>>()?;
    let usage = answer.object("usage")?.and_then(usage::read);
    let stop = answer.get("additionalModelResponseFields").and_then(usage::stop_sequence);
    let finish = answer.string("stopReason")?.map(|word| finish::read(word, stop));
    Ok(Response {
        origin: SELF,
        id: None,
        model: None,
        created: None,
        candidates: vec![Candidate { parts, finish, ext: Ext::default() }],
        usage,
        ext: answer.rest(),
    })
}

/// An opaque text that this service issued.
pub(super) fn signed(value: String) -> Signature {
    Signature { issuer: SELF, value }
}

pub(super) fn opaque(raw: &RawValue) -> Opaque {
    Opaque { origin: SELF, raw: raw.to_owned() }
}

/// Reads one block: an object with one member, which names its type. What the hub has no part for stays verbatim.
fn part(raw: &RawValue) -> Result<Part, JsonError> {
    let mut block = Object::of(raw)?;
    if let Some(text) = block.string("text")? {
        return Ok(Part::Text(Text::new(text)));
    }
    if let Some(mut call) = block.object("toolUse")? {
        return Ok(Part::ToolCall(ToolCall {
            id: call.string("toolUseId")?,
            name: legal::original_name(&call.string("name")?.unwrap_or_default()),
            arguments: call.take("input").map_or("{}", RawValue::get).to_owned(),
            signature: None,
            ext: Ext::default(),
        }));
    }
    if let Some(thoughts) = block.object("reasoningContent")? {
        return reasoning(thoughts);
    }
    if let Some(mut cited) = block.object("citationsContent")? {
        let mut text = String::new();
        for piece in cited.array("content")?.unwrap_or_default() {
            text.push_str(&Object::of(piece)?.string("text")?.unwrap_or_default());
        }
        return Ok(Part::Text(Text { text, ext: cited.rest() }));
    }
    if let Some(image) = block.object("image")?.and_then(image) {
        return Ok(Part::Media(image));
    }
    Ok(Part::Opaque(opaque(raw)))
}

fn reasoning(mut thoughts: Object<'_>) -> Result<Part, JsonError> {
    if let Some(redacted) = thoughts.string("redactedContent")? {
        return Ok(Part::Reasoning(Reasoning { redacted: Some(signed(redacted)), ..Reasoning::default() }));
    }
    let Some(mut shown) = thoughts.object("reasoningText")? else { return Ok(Part::Reasoning(Reasoning::default())) };
    Ok(Part::Reasoning(Reasoning {
        text: shown.string("text")?.unwrap_or_default(),
        signature: shown.string("signature")?.filter(|signature| !signature.is_empty()).map(signed),
        redacted: None,
        ext: Ext::default(),
    }))
}

fn image(mut image: Object<'_>) -> Option<Media> {
    let format = image.string("format").ok()??;
    let data = image.object("source").ok()??.string("bytes").ok()??;
    let source = MediaSource::Base64 { media_type: format!("image/{format}"), data };
    Some(Media { kind: MediaKind::Image, source, detail: None, name: None, ext: Ext::default() })
}

/// The citations of a list of events, as the member that a whole answer has.
pub(super) fn citations(citations: &[Box<RawValue>]) -> Ext {
    let mut list = Vec::new();
    crate::wire::json::array(&mut list, citations, |one, out| out.extend_from_slice(one.get().as_bytes()));
    let list = String::from_utf8(list).ok().and_then(crate::wire::json::raw);
    debug_assert!(list.as_deref().is_none_or(|list| elements(list, "citations").is_ok()));
    Ext(list.map(|list| ("citations".to_owned(), list)).into_iter().collect())
}
