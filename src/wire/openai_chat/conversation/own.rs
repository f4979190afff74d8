//! Messages that came in this protocol: written as they came, but for what the upstream's quirks ask.

use super::super::details::{self, Thoughts};
use super::super::{content, message, nested, tools};
use super::Context;
use crate::wire::ir::{ContentShape, Message, Part, Reasoning, Role, ToolCall, ToolResult};
use crate::wire::json::{self, ObjectWriter};
use crate::wire::quirk::ReasoningReplay;

pub(super) fn write(message: &Message, context: &mut Context<'_>, out: &mut Vec<u8>) {
    json::object(out, |writer| {
        let word = context.role_word(message.role);
        writer.field("role", message.role_raw.as_deref().unwrap_or(word));
        if let (Role::Tool, Some(Part::ToolResult(result))) = (message.role, message.parts.first()) {
            write_result(result, context, writer);
        } else {
            match super::thoughts_as_part(&thoughts_of_members(&message.parts), context.quirks) {
                Some(thoughts) => {
                    let others = message.parts.iter().filter(|part| is_content(part));
                    writer.array("content", std::iter::once(&thoughts).chain(others), content::write_own_part);
                }
                None => write_content(&message.parts, message.shape, writer),
            }
            write_proven(&message.parts, context, writer);
            for part in &message.parts {
                write_member(part, context, writer);
            }
            write_calls(&message.parts, context, writer);
            if context.takes_name(&message.name) {
                writer.optional("name", &message.name);
            }
        }
        writer.ext(&message.ext);
    });
}

fn write_result(result: &ToolResult, context: &mut Context<'_>, writer: &mut ObjectWriter<'_>) {
    if let Some(call_id) = &result.call_id {
        writer.field("tool_call_id", &context.ids.spelled(call_id));
    }
    // The name of a legacy function message is no speaker's: it cannot go.
    if result.call_id.is_none() || context.takes_name(&result.name) {
        writer.optional("name", &result.name);
    }
    write_content(&result.content, result.shape, writer);
    writer.ext(&result.ext);
}

fn write_content(parts: &[Part], shape: ContentShape, writer: &mut ObjectWriter<'_>) {
    match shape {
        ContentShape::Absent => {}
        ContentShape::Null => writer.field("content", &()),
        ContentShape::Text => {
            writer.field("content", &parts.iter().filter_map(text_of).collect::<Vec<_>>().join("\n\n"));
        }
        ContentShape::Parts => {
            writer.array("content", parts.iter().filter(|part| is_content(part)), content::write_own_part);
        }
    }
}

fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) => Some(&text.text),
        Part::Refusal(_)
        | Part::Media(_)
        | Part::Reasoning(_)
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Opaque(_) => None,
    }
}

/// Whether a part stood in the content list, and not in a member of the message.
fn is_content(part: &Part) -> bool {
    match part {
        Part::Text(_) | Part::Media(_) | Part::Opaque(_) => true,
        Part::Refusal(text) => !nested::is_marked(&text.ext, "refusal"),
        Part::Reasoning(reasoning) => content::is_in_content(reasoning),
        Part::ToolCall(_) | Part::ToolResult(_) => false,
    }
}

/// The thoughts that stood in members of the message.
fn thoughts_of_members(parts: &[Part]) -> String {
    let thoughts = parts.iter().filter(|part| !is_content(part)).filter_map(|part| match part {
        Part::Reasoning(reasoning) => Some(reasoning.text.as_str()),
        Part::Text(_)
        | Part::Media(_)
        | Part::Refusal(_)
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Opaque(_) => None,
    });
    thoughts.collect()
}

/// Writes a part that is a member of the message.
fn write_member(part: &Part, context: &mut Context<'_>, writer: &mut ObjectWriter<'_>) {
    match part {
        Part::Refusal(text) if !is_content(part) => writer.field("refusal", &text.text),
        Part::Reasoning(reasoning) if !is_content(part) && !is_proven(reasoning) => {
            write_reasoning(reasoning, context, writer);
        }
        Part::ToolCall(call) if tools::is_legacy_call(call) => {
            tools::write_own_legacy_call(call, writer.key("function_call"));
        }
        Part::Text(_)
        | Part::Media(_)
        | Part::Refusal(_)
        | Part::Reasoning(_)
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Opaque(_) => {}
    }
}

/// Whether thoughts came in `reasoning_details` of this gateway's own.
fn is_proven(reasoning: &Reasoning) -> bool {
    nested::is_marked(&reasoning.ext, message::PROVEN)
}

/// Thoughts that came with proofs of this gateway's: of other vendors' this protocol's upstreams take the text at most.
fn write_proven(parts: &[Part], context: &mut Context<'_>, writer: &mut ObjectWriter<'_>) {
    let mut thoughts = Thoughts::default();
    let mut known = true;
    for part in parts {
        if let Part::Reasoning(reasoning) = part
            && is_proven(reasoning)
        {
            known &= thoughts.add(reasoning);
        }
    }
    if !known {
        let reason = "a list with proofs of this gateway's has others, too, of which nobody knows whose they are";
        context.losses.dropped("messages.reasoning_details", reason);
    }
    super::write_thoughts(&thoughts, context, writer);
}

/// Where the upstream wants reasoning in another member than the caller wrote, its text goes there.
fn write_reasoning(reasoning: &Reasoning, context: &mut Context<'_>, writer: &mut ObjectWriter<'_>) {
    let given = reasoning.ext.get(details::MEMBER);
    let came_as = if nested::is_marked(&reasoning.ext, "reasoning") {
        Some("reasoning")
    } else if given.is_none() || nested::is_marked(&reasoning.ext, "reasoning_content") {
        Some("reasoning_content")
    } else {
        None
    };
    let (member, list) = match (context.quirks.reasoning_replay, given) {
        (ReasoningReplay::None, given) | (ReasoningReplay::ReasoningDetails, given @ Some(_)) => (came_as, given),
        (ReasoningReplay::ReasoningContent, _) => (Some("reasoning_content"), None),
        (ReasoningReplay::Reasoning, _) | (ReasoningReplay::ReasoningDetails, None) => (Some("reasoning"), None),
        // The content has it.
        (ReasoningReplay::Thinking, _) => (None, None),
    };
    if let Some(member) = member {
        writer.field(member, &reasoning.text);
    }
    match list {
        Some(list) => writer.raw(details::MEMBER, list),
        None if given.is_some() => {
            context.losses.degraded("messages.reasoning_details", "this upstream takes the text only");
        }
        None => {}
    }
}

fn write_calls(parts: &[Part], context: &mut Context<'_>, writer: &mut ObjectWriter<'_>) {
    let calls: Vec<&ToolCall> = parts.iter().filter_map(call_of).collect();
    if calls.is_empty() {
        return;
    }
    writer.array("tool_calls", calls, |call, out| {
        let id = call.id.as_deref().map(|id| context.ids.spelled(id));
        tools::write_own_call(call, &id, out);
    });
}

fn call_of(part: &Part) -> Option<&ToolCall> {
    match part {
        Part::ToolCall(call) if !tools::is_legacy_call(call) => Some(call),
        Part::Text(_)
        | Part::Refusal(_)
        | Part::Media(_)
        | Part::Reasoning(_)
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Opaque(_) => None,
    }
}
