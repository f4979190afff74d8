//! Thoughts that nobody proves, in the history of a caller whose own upstreams refuse them. Where another vendor's model
//! answered a turn, this gateway wrote its thoughts with an empty or a sealed signature: such thoughts stay behind.

use std::borrow::Cow;

use crate::wire::ir::{Message, Part, Role};
use crate::wire::loss::Losses;

fn is_unproven(part: &Part) -> bool {
    matches!(part, Part::Reasoning(reasoning) if reasoning.signature.is_none() && reasoning.redacted.is_none())
}

/// The messages without unproven thoughts, and without those that held nothing else; what is left behind is reported as
/// `field`.
pub fn left_out<'m>(messages: &'m [Message], field: &'static str, losses: &mut Losses) -> Vec<Cow<'m, Message>> {
    messages.iter().filter_map(|message| proven(message, field, losses)).collect()
}

fn proven<'m>(message: &'m Message, field: &'static str, losses: &mut Losses) -> Option<Cow<'m, Message>> {
    if !message.parts.iter().any(is_unproven) {
        return Some(Cow::Borrowed(message));
    }
    losses.dropped(field, "Anthropic refuses thoughts without a signature of its own");
    let mut message = message.clone();
    message.parts.retain(|part| !is_unproven(part));
    (!message.parts.is_empty()).then_some(Cow::Owned(message))
}

/// Whether the model is in the middle of a turn, between its tool calls and its answer, that began with unproven thoughts.
/// A thinking budget is refused then.
pub fn continues(messages: &[Message]) -> bool {
    let [.., asking, answering] = messages else { return false };
    asking.role == Role::Assistant
        && asking.parts.first().is_some_and(is_unproven)
        && answering.parts.iter().any(|part| matches!(part, Part::ToolResult(_)))
}

/// What is reported where a budget is left out because of [`continues`].
pub const GOES_ON_WITHOUT: &str = "the turn to be continued began without thoughts of Anthropic's, it goes on without";
