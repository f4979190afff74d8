//! A conversation from another protocol, in Gemini's turns.
//!
//! Gemini wants alternating `user` and `model` contents, the results of a turn's calls right after it, in the order of the
//! calls, each under the function's name. System texts that do not lead are folded into the next user turn, where the model
//! sees them at their place.

use super::super::names;
use super::super::part::{self, joined};
use super::super::thinking::{Generation, NO_SIGNATURE};
use super::encode::is_system;
use crate::wire::ProtocolId;
use crate::wire::ir::{
    Error, Media, MediaKind, MediaSource, Message, Part, Request, Role, Signature, ToolCall, ToolResult,
};
use crate::wire::json::{self, Ext, ObjectWriter};
use crate::wire::loss::Losses;

/// A conversation in Gemini's turns, parts written.
#[derive(Default)]
pub(super) struct Conversation {
    system: Vec<Vec<u8>>,
    turns: Vec<Turn>,
}

struct Turn {
    role: &'static str,
    parts: Vec<Vec<u8>>,
    /// Ids of the calls in this turn, in order.
    calls: Vec<Call>,
    /// Results come before everything else in their turn.
    results: Vec<(usize, Vec<u8>)>,
}

struct Call {
    id: Option<String>,
    name: String,
    answered: bool,
}

impl Conversation {
    pub(super) fn write(&self, w: &mut ObjectWriter<'_>) {
        if !self.system.is_empty() {
            w.object("systemInstruction", |w| w.array("parts", &self.system, |part, out| out.extend_from_slice(part)));
        }
        w.array("contents", &self.turns, |turn, out| {
            json::object(out, |w| {
                w.field("role", turn.role);
                let parts = turn.results.iter().map(|(_, part)| part).chain(&turn.parts);
                w.array("parts", parts, |part, out| out.extend_from_slice(part));
            });
        });
    }

    /// The turn that goes on or begins with `role`.
    fn turn(&mut self, role: &'static str) -> &mut Turn {
        if self.turns.last().is_none_or(|turn| turn.role != role) {
            self.turns.push(Turn { role, parts: Vec::new(), calls: Vec::new(), results: Vec::new() });
        }
        let at = self.turns.len().saturating_sub(1);
        #[expect(clippy::indexing_slicing, reason = "a turn was pushed if there was none")]
        &mut self.turns[at]
    }

    /// The nearest call before that has this id and no answer yet, or, without an id, the first of the last turn's. Its place
    /// among its turn's calls, and its name.
    fn answer(&mut self, id: Option<&str>) -> Option<(usize, String)> {
        for turn in self.turns.iter_mut().rev().filter(|turn| !turn.calls.is_empty()) {
            let fits = |call: &&mut Call| !call.answered && (id.is_none() || call.id.as_deref() == id);
            if let Some((at, call)) = turn.calls.iter_mut().enumerate().find(|(_, call)| fits(call)) {
                call.answered = true;
                return Some((at, call.name.clone()));
            }
        }
        None
    }
}

/// Puts a foreign conversation into turns.
///
/// # Errors
/// A tool name that Gemini cannot take.
pub(super) fn translate(request: &Request, generation: Generation, losses: &mut Losses) -> Result<Conversation, Error> {
    let mut conversation = Conversation::default();
    let leading = request.messages.iter().take_while(|message| is_system(message)).count();
    let (system, rest) = request.messages.split_at(leading);
    for message in system {
        report_message(message, losses);
        for part in &message.parts {
            conversation.system.extend(user_part(part, losses));
        }
    }
    for message in rest {
        report_message(message, losses);
        match message.role {
            Role::Assistant => push(message, "model", generation, &mut conversation, losses)?,
            Role::System | Role::Developer => {
                losses.degraded("messages.role", "a system message that does not lead becomes part of a user turn");
                push(message, "user", generation, &mut conversation, losses)?;
            }
            Role::User | Role::Tool => push(message, "user", generation, &mut conversation, losses)?,
        }
    }
    conversation.turns.retain(|turn| !turn.parts.is_empty() || !turn.results.is_empty());
    if conversation.turns.is_empty() && !conversation.system.is_empty() {
        losses.degraded("messages.role", "Gemini needs a user turn; the system text is sent as one");
        let parts = std::mem::take(&mut conversation.system);
        conversation.turn("user").parts = parts;
    }
    Ok(conversation)
}

fn report_message(message: &Message, losses: &mut Losses) {
    if message.name.is_some() {
        losses.dropped("messages.name", "Gemini has no names of speakers");
    }
    losses.dropped_ext("messages.", &message.ext);
}

fn push(
    message: &Message,
    role: &'static str,
    generation: Generation,
    conversation: &mut Conversation,
    losses: &mut Losses,
) -> Result<(), Error> {
    for part in &message.parts {
        match part {
            Part::ToolResult(result) if role == "user" => push_result(result, generation, conversation, losses)?,
            Part::ToolCall(call) if role == "model" => push_call(call, generation, conversation, losses)?,
            part => {
                if let Some(written) = user_part(part, losses) {
                    conversation.turn(role).parts.push(written);
                }
            }
        }
    }
    Ok(())
}

/// A part that is neither a call nor a result, `None` where nothing of it can be sent.
fn user_part(part: &Part, losses: &mut Losses) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match part {
        Part::Text(text) => {
            report_ext(&text.ext, losses);
            // Gemini refuses an empty part.
            (!text.text.is_empty()).then(|| write_text(&text.text, &mut out))?;
        }
        Part::Refusal(text) => {
            report_ext(&text.ext, losses);
            losses.emulated("messages.refusal", "a refusal is sent as text");
            (!text.text.is_empty()).then(|| write_text(&text.text, &mut out))?;
        }
        Part::Media(media) => part::encode_media(&portable_media(media, losses)?, &mut out),
        Part::Reasoning(thought) => match &thought.signature {
            Some(Signature { issuer: ProtocolId::Gemini, .. }) => {
                let plain = crate::wire::ir::Reasoning { ext: Ext::default(), ..thought.clone() };
                part::encode_reasoning(&plain, &mut out);
            }
            _ => {
                losses.dropped("messages.reasoning", "Gemini takes back only thoughts that it signed");
                return None;
            }
        },
        Part::Opaque(opaque) if opaque.origin == ProtocolId::Gemini => {
            out.extend_from_slice(opaque.raw.get().as_bytes());
        }
        Part::Opaque(opaque) => {
            losses.dropped_part("messages.content", &opaque.raw, "Gemini has no such part");
            return None;
        }
        Part::ToolCall(_) | Part::ToolResult(_) => {
            losses.dropped("messages.content", "only the model calls tools, and only the user's turns have results");
            return None;
        }
    }
    Some(out)
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    json::object(out, |w| w.field("text", text));
}

fn report_ext(ext: &Ext, losses: &mut Losses) {
    losses.dropped_ext("messages.content.", ext);
}

/// A medium without what only its protocol understands.
fn portable_media(media: &Media, losses: &mut Losses) -> Option<Media> {
    report_ext(&media.ext, losses);
    if media.name.is_some() {
        losses.dropped("messages.content.name", "the Gemini API takes no names of files");
    }
    if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
        losses.dropped("messages.content.detail", "Gemini sets the resolution for all media at once");
    }
    let source = match &media.source {
        MediaSource::Base64 { .. } => media.source.clone(),
        MediaSource::Text { .. } => {
            losses.emulated("messages.content.source", "a text document is sent as a file of its own type");
            media.source.clone()
        }
        MediaSource::Url { url, media_type } => url_source(url, media_type.as_deref(), media.kind, losses),
        MediaSource::FileId(_) => {
            losses.dropped("messages.content.file_id", "the file lies at another provider; send its content instead");
            return None;
        }
    };
    Some(Media { kind: media.kind, source, detail: None, name: None, ext: Ext::default() })
}

/// An address. Google fetches public ones by itself, though not every one; a data URL holds the content.
fn url_source(url: &str, media_type: Option<&str>, kind: MediaKind, losses: &mut Losses) -> MediaSource {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    if let Some((media_type, data)) = inline {
        return MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() };
    }
    losses.degraded(
        "messages.content.url",
        "Google fetches the address itself, and refuses some; send the content to be sure",
    );
    let fallback = (kind == MediaKind::Image).then_some("image/jpeg");
    let media_type = media_type.or_else(|| part::media_type_of(url)).or(fallback).map(str::to_owned);
    MediaSource::Url { url: url.to_owned(), media_type }
}

/// Ids are left out: Gemini knows only its own, and matches by name and order.
fn push_call(
    call: &ToolCall,
    generation: Generation,
    conversation: &mut Conversation,
    losses: &mut Losses,
) -> Result<(), Error> {
    let name = names::encode(&call.name)?;
    if matches!(part::arguments(&call.arguments), std::borrow::Cow::Owned(_)) {
        losses.degraded("messages.tool_calls.arguments", "the arguments are no JSON object and are sent as `_raw`");
    }
    losses.dropped_ext("messages.tool_calls.", &call.ext);
    let turn = conversation.turn("model");
    let own = call.signature.as_ref().filter(|signature| signature.issuer == ProtocolId::Gemini);
    let first = turn.calls.is_empty();
    let stand_in = (first && generation.wants_signatures()).then_some(NO_SIGNATURE);
    let signature = own.map(|signature| signature.value.as_str()).or(stand_in);
    let plain = ToolCall { id: None, ext: Ext::default(), ..call.clone() };
    let mut out = Vec::new();
    part::encode_call(&plain, &name, signature, &mut out);
    turn.parts.push(out);
    turn.calls.push(Call { id: call.id.clone(), name: call.name.clone(), answered: false });
    Ok(())
}

fn push_result(
    result: &ToolResult,
    generation: Generation,
    conversation: &mut Conversation,
    losses: &mut Losses,
) -> Result<(), Error> {
    report_ext(&result.ext, losses);
    let answered = conversation.answer(result.call_id.as_deref());
    let (place, name) = answered.map_or((usize::MAX, None), |(place, name)| (place, Some(name)));
    // A result whose call is gone (compacted histories) still needs a name.
    let name = result.name.clone().or(name).or_else(|| result.call_id.clone()).unwrap_or_else(|| "unknown".to_owned());
    let (said, others): (Vec<&Part>, Vec<&Part>) =
        result.content.iter().partition(|part| part::text_of(part).is_some());
    let media: Vec<Vec<u8>> = others.into_iter().filter_map(|part| user_part(part, losses)).collect();
    let (inside, after) = if generation.wants_signatures() { (media, Vec::new()) } else { (Vec::new(), media) };
    if !after.is_empty() {
        losses.emulated("messages.tool.content", "this model takes media only beside a tool's result");
    }
    let name = names::encode(&name)?;
    let mut out = Vec::new();
    json::object(&mut out, |w| {
        w.object("functionResponse", |w| {
            w.field("name", &*name);
            part::write_output(&joined(&said), false, result.is_error, w.key("response"));
            if !inside.is_empty() {
                w.array("parts", inside, |file, out| out.extend_from_slice(&file));
            }
        });
    });
    let turn = conversation.turn("user");
    let at = turn.results.partition_point(|(other, _)| *other <= place);
    turn.results.insert(at, (place, out));
    turn.parts.extend(after);
    Ok(())
}
