//! The messages of a request, written for an upstream.

mod foreign;
mod media;
mod own;

use super::content;
use super::details::Thoughts;
use super::tool_ids::ToolIds;
use crate::wire::ProtocolId;
use crate::wire::ir::{Error, Part, Request, Role};
use crate::wire::json::ObjectWriter;
use crate::wire::loss::Losses;
use crate::wire::quirk::{Quirks, ReasoningReplay};

/// What every message is written with.
struct Context<'a> {
    quirks: &'a Quirks,
    ids: ToolIds,
    losses: &'a mut Losses,
}

impl Context<'_> {
    fn role_word(&self, role: Role) -> &'static str {
        match role {
            Role::System => "system",
            Role::Developer if self.quirks.developer_as_system => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }

    /// Whether the upstream takes names of speakers; reports the loss of one that is given.
    fn takes_name(&mut self, name: &Option<String>) -> bool {
        let refused = self.quirks.refused_members.iter().any(|member| member == "messages.name");
        if refused && name.is_some() {
            self.losses.dropped("messages.name", "this upstream refuses it");
        }
        !refused
    }
}

/// Refuses what no message can hold.
///
/// # Errors
/// Media of another protocol's caller that this one has no part for.
pub(super) fn check(request: &Request) -> Result<(), Error> {
    match request.origin {
        ProtocolId::OpenAiChat => Ok(()),
        _ => media::check(request),
    }
}

/// Writes the array of messages.
pub(super) fn write(request: &Request, quirks: &Quirks, out: &mut Vec<u8>, losses: &mut Losses) {
    let mut context = Context { quirks, ids: ToolIds::new(quirks.short_tool_ids), losses };
    let mut list = List::new(out);
    for message in &request.messages {
        if request.origin == ProtocolId::OpenAiChat {
            own::write(message, &mut context, list.next());
        } else {
            foreign::write(message, &mut context, &mut list);
        }
    }
    list.end();
}

/// Writes thoughts as the upstream takes them: lists that it gave itself, and the text of what other vendors' models thought.
fn write_thoughts(thoughts: &Thoughts, context: &mut Context<'_>, writer: &mut ObjectWriter<'_>) {
    let as_details = context.quirks.reasoning_replay == ReasoningReplay::ReasoningDetails;
    if thoughts.are_proven() || (as_details && !thoughts.text.is_empty()) {
        thoughts.write(if as_details { &thoughts.text } else { "" }, writer);
    }
    if thoughts.text.is_empty() {
        return;
    }
    match context.quirks.reasoning_replay {
        ReasoningReplay::None => {
            let reason = "this upstream takes no reasoning of earlier turns back";
            context.losses.dropped("messages.content.reasoning", reason);
        }
        ReasoningReplay::ReasoningContent => writer.field("reasoning_content", &thoughts.text),
        ReasoningReplay::Reasoning => writer.field("reasoning", &thoughts.text),
        // Among the details, and in the content.
        ReasoningReplay::ReasoningDetails | ReasoningReplay::Thinking => {}
    }
}

/// The part of the content that tells thoughts to an upstream that takes them there.
fn thoughts_as_part(text: &str, quirks: &Quirks) -> Option<Part> {
    let told = quirks.reasoning_replay == ReasoningReplay::Thinking && !text.is_empty();
    told.then(|| content::thoughts(text))
}

/// A JSON array under construction: one message of the hub may become several here.
struct List<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> List<'o> {
    fn new(out: &'o mut Vec<u8>) -> List<'o> {
        out.push(b'[');
        List { out, first: true }
    }

    /// Begins an element; the caller writes it.
    fn next(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out
    }

    fn end(self) {
        self.out.push(b']');
    }
}
