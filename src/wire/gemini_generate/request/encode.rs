//! The hub's request, for a Gemini upstream.

use super::super::thinking::Generation;
use super::super::{config, note, part, tools};
use super::history;
use crate::wire::ir::{ContentShape, Error, MediaSource, Message, Request, Role};
use crate::wire::json::{self, Ext, ObjectWriter};
use crate::wire::loss::Losses;
use crate::wire::{Destination, ProtocolId, untaken};

/// Paths in a request's ext that belong to nested objects.
const NESTED: &[&str] = &[note::GENERATION_CONFIG, note::TOOL_CONFIG];

/// Writes a request: as it came where it came from Gemini, and otherwise in Gemini's words.
///
/// # Errors
/// A tool name that Gemini cannot take, and a file of another provider's store.
pub(in super::super) fn encode(
    request: &Request,
    destination: &Destination<'_>,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let mut result = Ok(());
    json::object(out, |w| result = write(request, destination, w, losses));
    result
}

/// Writes a request's members.
///
/// # Errors
/// As [`encode`].
pub(in super::super) fn write(
    request: &Request,
    destination: &Destination<'_>,
    w: &mut ObjectWriter<'_>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let native = request.origin == ProtocolId::Gemini;
    if native {
        write_native_conversation(request, w)?;
    } else {
        untaken::check(request, "Gemini", |media| {
            matches!(media.source, MediaSource::FileId(_)).then_some(untaken::UPLOADED)
        })?;
        let generation = Generation::of(destination.model);
        let conversation = history::translate(request, generation, losses)?;
        conversation.write(w);
    }
    if let Some(tools) = &request.tools {
        tools::encode(request, tools, w, losses)?;
    }
    let none = Ext::default();
    tools::encode_choice(request.tool_choice.as_ref(), if native { &request.ext } else { &none }, w)?;
    config::encode(request, destination.model, w, losses);
    if native {
        note::write_top(w, &request.ext, NESTED);
    } else {
        report_members(request, losses);
    }
    Ok(())
}

/// What of a foreign request Gemini has no member for.
fn report_members(request: &Request, losses: &mut Losses) {
    if request.parallel_tool_calls == Some(false) {
        losses.dropped("parallel_tool_calls", "Gemini cannot be kept from calling several functions at once");
    }
    if request.user.is_some() {
        losses.dropped("user", "Gemini has no member for the caller's user");
    }
    if request.metadata.is_some() {
        losses.dropped("metadata", "Gemini has no member for metadata");
    }
    losses.dropped_ext("", &request.ext);
}

fn write_native_conversation(request: &Request, w: &mut ObjectWriter<'_>) -> Result<(), Error> {
    let leading = request.messages.iter().take_while(|message| is_system(message)).count();
    let (system, contents) = request.messages.split_at(leading);
    if let Some((first, more)) = system.split_first() {
        let mut parts = native_parts(first)?;
        for message in more {
            parts.extend(native_parts(message)?);
        }
        w.object("systemInstruction", |w| write_content(first, &parts, w));
    }
    let mut written = Vec::with_capacity(contents.len());
    for message in contents {
        written.push((message, native_parts(message)?));
    }
    w.array("contents", written, |(message, parts), out| json::object(out, |w| write_content(message, &parts, w)));
    Ok(())
}

pub(super) fn is_system(message: &Message) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

fn native_parts(message: &Message) -> Result<Vec<Vec<u8>>, Error> {
    let each = message.parts.iter().map(|part| {
        let mut out = Vec::new();
        part::encode_native(part, &mut out).map(|()| out)
    });
    each.collect()
}

fn write_content(message: &Message, parts: &[Vec<u8>], w: &mut ObjectWriter<'_>) {
    let usual = match message.role {
        Role::System | Role::Developer => None,
        Role::User | Role::Tool => Some("user"),
        Role::Assistant => Some("model"),
    };
    match message.role_raw.as_deref() {
        Some("") => {}
        Some(word) => w.field("role", word),
        None => w.optional("role", &usual),
    }
    match (message.shape, parts) {
        (ContentShape::Absent, []) => {}
        (ContentShape::Text, [only]) => w.key("parts").extend_from_slice(only),
        _ => w.array("parts", parts, |part, out| out.extend_from_slice(part)),
    }
    note::write_top(w, &message.ext, &[]);
}
