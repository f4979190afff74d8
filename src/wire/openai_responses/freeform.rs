//! Freeform tools of Chat Completions, `type: custom`, which Responses has too, with their members one level higher
//! ("Create chat completion" and "Create a model response", platform.openai.com).

use serde_json::value::RawValue;

use crate::wire::ProtocolId;
use crate::wire::ir::{Request, ToolCall};
use crate::wire::json::{self, Kind, Object, says_nothing};
use crate::wire::loss::Losses;

/// The member of a tool, a call and a choice in Chat Completions; also the mark of its calls in the hub.
const CUSTOM: &str = "custom";

/// Chat's definition in the words of Responses; `None` for other tools, and for formats that nobody knows.
pub(super) fn tool(origin: ProtocolId, raw: &RawValue, losses: &mut Losses) -> Option<Vec<u8>> {
    let mut tool = custom(origin, raw)?;
    let mut inner = Object::of(tool.take(CUSTOM)?).ok()?;
    let name = inner.string("name").ok()??;
    let description = inner.string("description").ok()?;
    let format = match inner.take("format").filter(|raw| !says_nothing(raw)) {
        Some(raw) => Some(format(raw)?),
        None => None,
    };
    losses.dropped_ext("tools.", &tool.rest());
    losses.dropped_ext("tools.custom.", &inner.rest());
    let mut out = Vec::new();
    json::object(&mut out, |tool| {
        tool.field("type", CUSTOM);
        tool.field("name", &name);
        tool.optional("description", &description);
        if let Some(format) = format {
            tool.key("format").extend_from_slice(&format);
        }
    });
    Some(out)
}

/// An object of Chat's with `type: custom`, that member taken.
fn custom(origin: ProtocolId, raw: &RawValue) -> Option<Object<'_>> {
    if origin != ProtocolId::OpenAiChat || json::kind(raw) != Kind::Object {
        return None;
    }
    let mut object = Object::of(raw).ok()?;
    (object.string("type").ok()?? == CUSTOM).then_some(object)
}

/// A grammar is an object of its own in Chat.
fn format(raw: &RawValue) -> Option<Vec<u8>> {
    let mut format = Object::of(raw).ok()?;
    let kind = format.string("type").ok()??;
    let grammar = match kind.as_str() {
        "text" => None,
        "grammar" => Some(format.object("grammar").ok()??.rest()),
        _ => return None,
    };
    let mut out = Vec::new();
    json::object(&mut out, |writer| {
        writer.field("type", &kind);
        grammar.iter().for_each(|grammar| writer.ext(grammar));
    });
    Some(out)
}

/// The tool that Chat's choice names, which the hub has no word for.
pub(super) fn chosen(request: &Request) -> Option<String> {
    let mut choice = custom(request.origin, request.ext.get("tool_choice")?)?;
    choice.object(CUSTOM).ok()??.string("name").ok()?
}

/// Whether a call of Chat's is one of a freeform tool.
pub(super) fn is_call(call: &ToolCall) -> bool {
    call.ext.get(CUSTOM).is_some_and(|raw| json::kind(raw) == Kind::Null)
}
