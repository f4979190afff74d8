//! Messages that came in another protocol.

use super::super::details::Thoughts;
use super::super::{content, tools};
use super::media::{self, Piece};
use super::{Context, List};
use crate::wire::ir::{Message, Opaque, Part, Reasoning, Role, Text, ToolCall, ToolResult};
use crate::wire::json;

pub(super) fn write(message: &Message, context: &mut Context<'_>, list: &mut List<'_>) {
    context.losses.dropped_ext("messages.", &message.ext);
    match message.role {
        Role::System | Role::Developer => {
            let pieces = pieces(&message.parts, context);
            spoken(message.role, &message.name, &pieces, context, list.next());
        }
        Role::User | Role::Tool => user(message, context, list),
        Role::Assistant => assistant(message, context, list.next()),
    }
}

/// Results of tools first, each its own message; then what the user says, led by the media of those results, because a
/// tool message carries text only.
fn user(message: &Message, context: &mut Context<'_>, list: &mut List<'_>) {
    let mut said = Vec::new();
    let mut has_results = false;
    for part in &message.parts {
        if let Part::ToolResult(result) = part {
            has_results = true;
            tool_result(result, &mut said, context, list.next());
        }
    }
    said.extend(pieces(&message.parts, context));
    if !has_results || !said.is_empty() {
        spoken(Role::User, &message.name, &said, context, list.next());
    }
}

fn tool_result(result: &ToolResult, said: &mut Vec<Piece>, context: &mut Context<'_>, out: &mut Vec<u8>) {
    context.losses.dropped_ext("messages.content.tool_result.", &result.ext);
    let id = context.ids.result(result.call_id.as_deref(), result.name.as_deref());
    let mut texts = Vec::new();
    for piece in pieces(&result.content, context) {
        if let Piece::Text(text) = piece {
            texts.push(text);
        } else {
            context.losses.emulated("messages.content.tool_result", "media of a tool's result go in a user message");
            said.push(Piece::Text(format!("Result of the tool call {id}:")));
            said.push(piece);
            texts.push("The result is in the next user message.".to_owned());
        }
    }
    let mut text = texts.join("\n");
    if result.is_error == Some(true) {
        context.losses.emulated("messages.content.is_error", "the result of a failed tool begins with `Error: `");
        text.insert_str(0, "Error: ");
    }
    json::object(out, |writer| {
        writer.field("role", "tool");
        writer.field("tool_call_id", &id);
        writer.field("content", &text);
    });
}

/// Texts and media; what is neither is reported and left out.
fn pieces(parts: &[Part], context: &mut Context<'_>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) | Part::Refusal(text) => {
                context.losses.dropped_ext("messages.content.", &text.ext);
                pieces.push(Piece::Text(text.text.clone()));
            }
            Part::Media(media) => pieces.extend(media::convert(media, context)),
            Part::Opaque(opaque) => dropped_opaque(opaque, context),
            Part::Reasoning(_) => {
                context.losses.dropped("messages.content.reasoning", "only the model's turns have it");
            }
            Part::ToolCall(_) => {
                context.losses.dropped("messages.content.tool_call", "only the model's turns have calls");
            }
            // Written before, as a message of its own.
            Part::ToolResult(_) => {}
        }
    }
    pieces
}

fn dropped_opaque(opaque: &Opaque, context: &mut Context<'_>) {
    context.losses.dropped_part(
        "messages.content",
        &opaque.raw,
        "only the provider whose word it is understands this part",
    );
}

/// A message without calls. One text goes bare, as every upstream takes it; lists are for the rest.
fn spoken(role: Role, name: &Option<String>, pieces: &[Piece], context: &mut Context<'_>, out: &mut Vec<u8>) {
    json::object(out, |writer| {
        writer.field("role", context.role_word(role));
        match pieces {
            [] => writer.field("content", ""),
            [Piece::Text(text)] => writer.field("content", text),
            pieces => writer.array("content", pieces, Piece::write),
        }
        if context.takes_name(name) {
            writer.optional("name", name);
        }
    });
}

fn assistant(message: &Message, context: &mut Context<'_>, out: &mut Vec<u8>) {
    let mut turn = Turn::default();
    for part in &message.parts {
        turn.add(part, context);
    }
    json::object(out, |writer| {
        writer.field("role", "assistant");
        match super::thoughts_as_part(&turn.thoughts.text, context.quirks) {
            Some(thoughts) => {
                let text = (!turn.text.is_empty()).then(|| Part::Text(Text::new(turn.text.as_str())));
                writer.array("content", [Some(thoughts), text].iter().flatten(), content::write_own_part);
            }
            None if turn.text.is_empty() && !turn.calls.is_empty() => writer.field("content", &()),
            None => writer.field("content", &turn.text),
        }
        super::write_thoughts(&turn.thoughts, context, writer);
        if !turn.calls.is_empty() {
            writer.array("tool_calls", &turn.calls, |call, out| {
                let id = context.ids.call(call.id.as_deref(), &call.name);
                tools::write_call(&id, call, out);
            });
        }
        if context.takes_name(&message.name) {
            writer.optional("name", &message.name);
        }
    });
}

/// A turn of the model's: this protocol has one text and one list of calls, whatever their order was.
#[derive(Default)]
struct Turn<'m> {
    text: String,
    calls: Vec<&'m ToolCall>,
    thoughts: Thoughts,
}

impl<'m> Turn<'m> {
    fn add(&mut self, part: &'m Part, context: &mut Context<'_>) {
        match part {
            Part::Text(text) | Part::Refusal(text) => {
                context.losses.dropped_ext("messages.content.", &text.ext);
                if !self.calls.is_empty() {
                    context.losses.degraded("messages.content", "text after a tool call moves before it");
                }
                self.text.push_str(&text.text);
            }
            Part::ToolCall(call) => {
                context.losses.dropped_ext("messages.content.tool_call.", &call.ext);
                if call.signature.is_some() && tools::own_proof(call).is_none() {
                    foreign_signature(context);
                }
                self.calls.push(call);
            }
            Part::Reasoning(reasoning) => self.add_reasoning(reasoning, context),
            Part::Media(_) => {
                context.losses.dropped("messages.content.media", "Chat Completions has no media in the model's turns");
            }
            Part::Opaque(opaque) => dropped_opaque(opaque, context),
            Part::ToolResult(_) => {
                context.losses.dropped("messages.content.tool_result", "only the user's turns have results");
            }
        }
    }

    fn add_reasoning(&mut self, reasoning: &Reasoning, context: &mut Context<'_>) {
        context.losses.dropped_ext("messages.content.reasoning.", &reasoning.ext);
        if !self.thoughts.add(reasoning) {
            foreign_signature(context);
        }
    }
}

fn foreign_signature(context: &mut Context<'_>) {
    context.losses.dropped("messages.content.signature", "only the provider that signed it understands it");
}
