//! Where a preset's parameters and system text go in a Chat Completions request.

use crate::wire::envelope::{Edit, Envelope};
use crate::wire::json;
use crate::wire::quirk::{MaxTokensMember, Quirks};

pub(super) fn parameter(name: &str, quirks: &Quirks) -> &'static [&'static str] {
    match (name, quirks.max_tokens) {
        ("max_tokens", MaxTokensMember::MaxCompletionTokens) => &["/max_completion_tokens", "/max_tokens"],
        ("max_tokens", MaxTokensMember::MaxTokens) => &["/max_tokens", "/max_completion_tokens"],
        _ => &[],
    }
}

pub(super) fn prepend_system(envelope: &Envelope<'_>, text: &str) -> Option<Edit<'static>> {
    let mut message = Vec::new();
    json::object(&mut message, |message| {
        message.field("role", "system");
        message.field("content", text);
    });
    let messages = json::prepend(envelope.members.get("messages")?, &message)?;
    Some(Edit::Set("messages", messages.into()))
}
