//! From a whole answer to the hub.

use super::{SELF, block, cite, finish, legal, usage};
use crate::wire::ir::{Candidate, Error, Part, Response, Text, ToolCall};
use crate::wire::json::{self, Ext, JsonError, Object};
use crate::wire::usage_left;

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
    let blocks = message.array("content")?.unwrap_or_default().into_iter().map(block::decode);
    let mut parts = Vec::new();
    for block in blocks {
        cite_before(block?, &mut parts);
    }
    let parts = parts.into_iter().map(part).collect();
    let left = usage_left::member(answer.get("usage"), usage::READ);
    let usage = answer.object("usage")?.and_then(usage::read);
    let stop = answer.get("additionalModelResponseFields").and_then(usage::stop_sequence);
    let finish = answer.string("stopReason")?.map(|word| finish::read(word, stop));
    let mut ext = answer.rest();
    ext.0.extend(left);
    Ok(Response {
        origin: SELF,
        id: None,
        model: None,
        created: None,
        candidates: vec![Candidate { parts, finish, ext: Ext::default() }],
        usage,
        ext,
    })
}

/// Adds a block. Citations without a text are of the text before them: Nova's grounding tells them so.
fn cite_before(block: Part, parts: &mut Vec<Part>) {
    match (block, parts.last_mut()) {
        (Part::Text(alone), Some(Part::Text(before))) if alone.text.is_empty() && !cited(&alone).is_empty() => {
            let both = [cited(before), cited(&alone)].concat();
            before.ext.0.retain(|(key, _)| key != block::CITATIONS);
            before.ext.0.extend(cite::list(&both).0);
        }
        (block, _) => parts.push(block),
    }
}

fn cited(text: &Text) -> Vec<Vec<u8>> {
    let list = text.ext.get(block::CITATIONS).and_then(|list| json::elements(list, block::CITATIONS).ok());
    list.unwrap_or_default().into_iter().map(|one| one.get().as_bytes().to_vec()).collect()
}

/// A block of an answer, whose calls have the names that were sent.
fn part(part: Part) -> Part {
    match part {
        Part::ToolCall(call) => Part::ToolCall(ToolCall { name: legal::original_name(&call.name), ..call }),
        Part::Text(mut text) => {
            cite::mark(&mut text.ext);
            Part::Text(text)
        }
        part => part,
    }
}
