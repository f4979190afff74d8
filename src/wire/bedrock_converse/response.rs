//! From a whole answer to the hub.

use serde_json::value::RawValue;

use super::{SELF, block, cite, finish, legal, usage};
use crate::wire::ir::{Candidate, Error, Part, Response, ToolCall};
use crate::wire::json::{Ext, JsonError, Object};
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
    let parts = message.array("content")?.unwrap_or_default().into_iter().map(part).collect::<Result<_, _>>()?;
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

/// Reads one block of an answer, whose calls have the names that were sent.
fn part(raw: &RawValue) -> Result<Part, JsonError> {
    Ok(match block::decode(raw)? {
        Part::ToolCall(call) => Part::ToolCall(ToolCall { name: legal::original_name(&call.name), ..call }),
        Part::Text(mut text) => {
            cite::mark(&mut text.ext);
            Part::Text(text)
        }
        part => part,
    })
}
