//! Whole answers.

use serde_json::value::RawValue;

use super::usage::{self, Counts};
use super::{SELF, block, cite, legal, request::text_of};
use crate::wire::ir::{
    Candidate, Error, ErrorKind, Finish, FinishReason, Part, Reasoning, Response, Scope, Text, ToolCall, citation,
};
use crate::wire::json::{self, Ext, JsonError, Kind, Object, ObjectWriter, kind, str_of};
use crate::wire::loss::Losses;
use crate::wire::usage_left;

/// Reads an answer.
pub(super) fn decode(body: &[u8]) -> Result<Response, Error> {
    read(body).map_err(|error| Error::new(ErrorKind::Upstream, format!("the upstream's answer is no message: {error}")))
}

fn read(body: &[u8]) -> Result<Response, JsonError> {
    let mut message = Object::parse(text_of(body)?)?;
    for constant in ["type", "role"] {
        message.take(constant);
    }
    let content = message.array("content")?.ok_or(JsonError::Missing { key: "content".to_owned() })?;
    let mut parts: Vec<Part> = content.into_iter().map(part).collect();
    let finish = finish(&mut message);
    parts.extend(message.get("stop_details").and_then(refusal).map(|text| Part::Refusal(Text::new(text))));
    let (id, model) = (message.string("id")?, message.string("model")?);
    let (counts, rest) = read_usage(&mut message);
    let mut ext = message.rest();
    ext.0.extend(rest.map(|rest| ("usage".to_owned(), rest)));
    Ok(Response {
        origin: SELF,
        id,
        model,
        created: None,
        candidates: vec![Candidate { parts, finish, ext: Ext::default() }],
        usage: counts.usage(),
        ext,
    })
}

/// A block; what cannot be read as the type it names stays verbatim.
fn part(raw: &RawValue) -> Part {
    match block::decode(raw) {
        Ok(Part::ToolCall(call)) => {
            Part::ToolCall(ToolCall { name: legal::original_name(&call.name).into_owned(), ..call })
        }
        Ok(Part::Text(mut text)) => {
            cite::mark(&mut text.ext);
            Part::Text(text)
        }
        Ok(part) => part,
        Err(_) => block::opaque(raw),
    }
}

/// Takes `stop_reason` and `stop_sequence`.
pub(super) fn finish(object: &mut Object<'_>) -> Option<Finish> {
    let stop_sequence = object.string("stop_sequence").ok().flatten();
    let raw = object.string("stop_reason").ok().flatten();
    // Both are written in any case: a `null` must not stay for `ext`.
    object.take("stop_sequence");
    object.take("stop_reason");
    let raw = raw?;
    Some(Finish { reason: reason(&raw), raw: Some(raw), stop_sequence })
}

fn reason(word: &str) -> FinishReason {
    match word {
        "end_turn" => FinishReason::Stop,
        "stop_sequence" => FinishReason::StopSequence,
        "tool_use" => FinishReason::ToolCalls,
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        "refusal" => FinishReason::Refusal,
        "pause_turn" => FinishReason::Pause,
        _ => FinishReason::Other,
    }
}

/// The words of a refusal, in `stop_details`.
pub(super) fn refusal(stop_details: &RawValue) -> Option<String> {
    let details = Object::of(stop_details).ok()?;
    details.get("explanation").and_then(str_of).filter(|text| !text.is_empty()).map(|text| text.into_owned())
}

/// Takes `usage`: the counts, and the members that the hub has none for.
pub(super) fn read_usage(message: &mut Object<'_>) -> (Counts, Option<Box<RawValue>>) {
    let Some(mut usage) =
        message.get("usage").filter(|raw| kind(raw) == Kind::Object).and_then(|raw| Object::of(raw).ok())
    else {
        return (Counts::default(), None);
    };
    message.take("usage");
    (Counts::read(&mut usage), usage::rest(&usage))
}

// === writing ===

/// Writes an answer.
pub(super) fn encode(response: &Response, out: &mut Vec<u8>, losses: &mut Losses) {
    let own = response.origin == SELF;
    let model = response.model.as_deref().unwrap_or_default();
    let id = legal::message_id(response.id.as_deref(), model, response.created);
    if response.candidates.len() > 1 {
        losses.dropped("choices", "Anthropic Messages has one answer; the first is given");
    }
    let candidate = response.candidates.first();
    let parts: Vec<Block<'_>> = candidate.map_or_else(Vec::new, |candidate| blocks(&candidate.parts, own, &id, losses));
    let said = Said {
        calls: parts.iter().any(|block| matches!(block, Block::Call { .. })),
        refusal: candidate.is_some_and(|candidate| candidate.parts.iter().any(|part| matches!(part, Part::Refusal(_)))),
    };
    if !own {
        losses.dropped_extra(Scope::Response, &response.ext);
        losses.dropped_counts(&response.usage.unwrap_or_default(), usage::SAID);
        candidate.iter().for_each(|candidate| losses.dropped_ext("choices.", &candidate.ext));
    }
    if let Some(finish) = candidate.and_then(|candidate| candidate.finish.as_ref()) {
        losses.degraded_finish(finish, UNSAID);
    }
    json::object(out, |body| {
        body.field("id", &id);
        body.field("type", "message");
        body.field("role", "assistant");
        body.field("model", model);
        body.array("content", &parts, Block::write);
        write_stop(candidate.and_then(|candidate| candidate.finish.as_ref()), own, said, body);
        write_rest(response, own, body);
    });
}

fn write_rest(response: &Response, own: bool, body: &mut ObjectWriter<'_>) {
    let usage = response.usage.unwrap_or_default();
    usage_left::write(Some(&response.ext).filter(|_| own), body, |body| usage::write(&usage, body));
    if own {
        usage_left::write_others(&response.ext, body);
    }
}

/// What an answer consists of, as far as it decides why it stopped.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    pub(super) calls: bool,
    pub(super) refusal: bool,
}

/// Writes `stop_reason` and `stop_sequence`.
pub(super) fn write_stop(finish: Option<&Finish>, own: bool, said: Said, body: &mut ObjectWriter<'_>) {
    match finish {
        None if own => body.field("stop_reason", &()),
        Some(Finish { raw: Some(raw), .. }) if own => body.field("stop_reason", raw),
        finish => {
            body.field("stop_reason", stop_reason(finish.map_or(FinishReason::Stop, |finish| finish.reason), said))
        }
    }
    body.field("stop_sequence", &finish.and_then(|finish| finish.stop_sequence.as_deref()));
}

/// Clients act on tool calls by this word, so it follows the blocks, unless the answer was cut or withheld.
/// Reasons that are called `end_turn` here.
pub(super) const UNSAID: &[FinishReason] = &[FinishReason::Malformed, FinishReason::Other];

fn stop_reason(reason: FinishReason, said: Said) -> &'static str {
    match reason {
        FinishReason::Length => "max_tokens",
        FinishReason::ContextWindow => "model_context_window_exceeded",
        FinishReason::ContentFilter | FinishReason::Refusal => "refusal",
        FinishReason::Pause => "pause_turn",
        _ if said.calls => "tool_use",
        _ if said.refusal => "refusal",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Malformed | FinishReason::Other => "end_turn",
    }
}

enum Block<'a> {
    Part(&'a Part),
    /// A text and its citations.
    Text(&'a str, Vec<Vec<u8>>),
    Thinking(&'a Reasoning),
    Call {
        id: String,
        call: &'a ToolCall,
        own: bool,
    },
}

fn blocks<'a>(parts: &'a [Part], own: bool, id: &str, losses: &mut Losses) -> Vec<Block<'a>> {
    parts.iter().enumerate().filter_map(|(position, part)| self::written(part, position, own, id, losses)).collect()
}

fn written<'a>(part: &'a Part, position: usize, own: bool, id: &str, losses: &mut Losses) -> Option<Block<'a>> {
    match part {
        // The refusal's words are in `stop_details`, which is written back.
        Part::Refusal(_) if own => None,
        Part::ToolCall(call) => {
            if !own {
                report_call(call, losses);
            }
            Some(Block::Call { id: visible_id(call.id.as_deref(), id, position), call, own })
        }
        part if own => Some(Block::Part(part)),
        Part::Text(text) | Part::Refusal(text) => {
            losses.dropped_but_citations("content.", &text.ext);
            let cited = citation::beside(text, cite::foreign, losses);
            (!text.text.is_empty()).then_some(Block::Text(&text.text, cited))
        }
        Part::Reasoning(reasoning) => shown_thoughts(reasoning, losses).then_some(Block::Thinking(reasoning)),
        Part::Opaque(opaque) if opaque.origin == SELF => Some(Block::Part(part)),
        Part::Opaque(opaque) => {
            losses.dropped_part("content", &opaque.raw, NO_COUNTERPART);
            None
        }
        Part::Media(_) => {
            losses.dropped("content.media", NO_COUNTERPART);
            None
        }
        Part::ToolResult(_) => {
            losses.dropped("content", NO_COUNTERPART);
            None
        }
    }
}

pub(super) const NO_COUNTERPART: &str = "the part has no counterpart in an answer of Anthropic Messages";

/// The id of a call in an answer to a caller of this protocol.
pub(super) fn visible_id(given: Option<&str>, message_id: &str, position: usize) -> String {
    match given {
        Some(id) if !id.is_empty() => legal::call_id(id).into_owned(),
        _ => legal::minted_call_id(message_id, position),
    }
}

fn report_call(call: &ToolCall, losses: &mut Losses) {
    if call.signature.is_some() {
        losses.dropped("content.signature", "another vendor's signature has no place in Anthropic Messages");
    }
    if block::is_wrapped(&call.arguments) {
        losses.degraded("content.arguments", "arguments that are no JSON object are given as the text `_raw` of one");
    }
    losses.dropped_ext("content.", &call.ext);
}

fn shown_thoughts(reasoning: &Reasoning, losses: &mut Losses) -> bool {
    let is_own = |proof: &Option<crate::wire::ir::Signature>| proof.as_ref().is_some_and(|proof| proof.issuer == SELF);
    if is_own(&reasoning.redacted) || is_own(&reasoning.signature) {
        return true;
    }
    if reasoning.redacted.is_some() || reasoning.signature.is_some() {
        losses.dropped("content.signature", "another vendor's signature has no place in Anthropic Messages");
    }
    losses.dropped_ext("content.", &reasoning.ext);
    !reasoning.text.is_empty()
}

impl Block<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Block::Part(part) => block::write(part, out),
            Block::Text(text, cited) => write_cited(text, cited, out),
            Block::Thinking(reasoning) => write_thoughts(reasoning, out),
            Block::Call { id, call, own } => {
                let none = Ext::default();
                let ext = if *own { &call.ext } else { &none };
                block::write_call(id, &legal::name_for_caller(&call.name), &call.arguments, ext, out);
            }
        }
    }
}

fn write_cited(text: &str, cited: &[Vec<u8>], out: &mut Vec<u8>) {
    json::object(out, |body| {
        body.field("type", "text");
        body.field("text", text);
        if !cited.is_empty() {
            body.array(cite::MEMBER, cited, |one, out| out.extend_from_slice(one));
        }
    });
}

/// Clients read `signature` of every thinking block, also where nobody signed.
fn write_thoughts(reasoning: &Reasoning, out: &mut Vec<u8>) {
    let own = |proof: &&crate::wire::ir::Signature| proof.issuer == SELF;
    if reasoning.redacted.as_ref().is_some_and(|proof| proof.issuer == SELF) {
        return block::write_reasoning(reasoning, &Ext::default(), out);
    }
    json::object(out, |body| {
        body.field("type", "thinking");
        body.field("thinking", &reasoning.text);
        body.field("signature", reasoning.signature.as_ref().filter(own).map_or("", |proof| proof.value.as_str()));
    });
}
