//! Thoughts in the history of a caller of this protocol. Where another vendor's model answered a turn, this gateway wrote its
//! thoughts with an empty signature, which clients need and Anthropic refuses: such thoughts stay behind.

use std::borrow::Cow;

use crate::wire::ir::{Message, Part, Role};
use crate::wire::loss::Losses;

/// Whether the part is a thought that nobody signed.
fn is_unproven(part: &Part) -> bool {
    matches!(part, Part::Reasoning(reasoning) if reasoning.signature.is_none() && reasoning.redacted.is_none())
}

/// The messages without unproven thoughts, and without those that held nothing else.
pub(super) fn messages<'m>(messages: &'m [Message], losses: &mut Losses) -> Vec<Cow<'m, Message>> {
    messages.iter().filter_map(|message| proven(message, losses)).collect()
}

fn proven<'m>(message: &'m Message, losses: &mut Losses) -> Option<Cow<'m, Message>> {
    if !message.parts.iter().any(is_unproven) {
        return Some(Cow::Borrowed(message));
    }
    losses.dropped("messages.content.thinking", "Anthropic refuses thoughts without a signature of its own");
    let mut message = message.clone();
    message.parts.retain(|part| !is_unproven(part));
    (!message.parts.is_empty()).then_some(Cow::Owned(message))
}

/// Whether the model is in the middle of a turn, between its tool calls and its answer, that began with unproven thoughts.
pub(super) fn continues_unproven(messages: &[Message]) -> bool {
    let [.., asking, answering] = messages else { return false };
    asking.role == Role::Assistant
        && asking.parts.first().is_some_and(is_unproven)
        && answering.parts.iter().any(|part| matches!(part, Part::ToolResult(_)))
}
