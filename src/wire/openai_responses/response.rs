//! Whole answers.

use serde_json::value::RawValue;

use super::encode::{output_items, write_summary};
use super::{SELF, cite, echo, item, note, picture, stream, usage};
use crate::wire::ir::count::count;
use crate::wire::ir::{Candidate, Error, ErrorKind, Finish, FinishReason, Part, Response, Scope, Usage, citation};
use crate::wire::json::{self, Ext, JsonError, Object, ObjectWriter};
use crate::wire::loss::Losses;
use crate::wire::{Answering, logprobs, usage_left};

/// # Errors
/// A body that is no answer, and an answer that failed.
pub(super) fn decode(body: &[u8]) -> Result<Response, Error> {
    let broken =
        |error: JsonError| Error::new(ErrorKind::Upstream, format!("the upstream's answer is no response: {error}"));
    let text = std::str::from_utf8(body).map_err(|error| broken(JsonError::Syntax(error.to_string())))?;
    let mut answer = Object::parse(text).map_err(broken)?;
    let failed = answer.get("status").and_then(json::str_of).is_some_and(|status| status == "failed");
    if failed || answer.get("error").is_some_and(|raw| !json::says_nothing(raw)) {
        return Err(stream::decode_error(200, body));
    }
    let output = answer.array("output").map_err(broken)?;
    let output = output.ok_or_else(|| broken(JsonError::Missing { key: "output".to_owned() }))?;
    let parts: Vec<Part> = output.into_iter().flat_map(answered).collect();
    let finish = finish(&answer, Said::of(&parts));
    let head = head(&mut answer);
    let mut ext = note::rest(answer);
    ext.0.extend(head.usage_left);
    Ok(Response {
        origin: SELF,
        id: head.id,
        model: head.model,
        created: head.created,
        candidates: vec![Candidate { parts, finish: Some(finish), ext: Ext::default() }],
        usage: head.usage,
        ext,
    })
}

/// The parts of an item of an answer: pictures are media, and texts have their citations.
pub(super) fn answered(item: &RawValue) -> Vec<Part> {
    if let Some(picture) = picture::read(item) {
        return vec![Part::Media(picture)];
    }
    let mut parts = item::decode_output(item);
    for part in &mut parts {
        if let Part::Text(text) = part {
            cite::mark(&mut text.ext);
        }
    }
    parts
}

/// What an answer says of itself.
pub(super) struct HeadOf {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) created: Option<u64>,
    pub(super) usage: Option<Usage>,
    /// A member of the answer's `ext`.
    pub(super) usage_left: Option<(String, Box<RawValue>)>,
}

/// Takes what is written anew in any case.
pub(super) fn head(answer: &mut Object<'_>) -> HeadOf {
    let id = answer.string("id").ok().flatten();
    let model = answer.string("model").ok().flatten();
    let created = answer.take("created_at").and_then(count);
    let counts = answer.take("usage");
    let usage_left = usage_left::member(counts, usage::READ);
    let usage = counts.and_then(usage::read);
    for written in ["object", "status", "error", "incomplete_details", "output"] {
        answer.take(written);
    }
    HeadOf { id, model, created, usage, usage_left }
}

/// What an answer holds, as far as it decides why it stopped.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    pub(super) calls: bool,
    pub(super) refusal: bool,
}

impl Said {
    pub(super) fn of(parts: &[Part]) -> Said {
        Said {
            calls: parts.iter().any(|part| matches!(part, Part::ToolCall(_))),
            refusal: parts.iter().any(|part| matches!(part, Part::Refusal(_))),
        }
    }
}

/// Reads `status` and `incomplete_details`.
pub(super) fn finish(answer: &Object<'_>, said: Said) -> Finish {
    let status = answer.get("status").and_then(json::str_of).unwrap_or_default();
    if status == "incomplete" {
        let details = answer.get("incomplete_details").and_then(|raw| Object::of(raw).ok());
        let word = details.and_then(|details| details.get("reason").and_then(json::str_of)).unwrap_or_default();
        let reason = match &*word {
            "max_output_tokens" | "max_tokens" | "length" => FinishReason::Length,
            "content_filter" => FinishReason::ContentFilter,
            _ => FinishReason::Other,
        };
        return Finish { raw: Some(word.into_owned()), ..Finish::new(reason) };
    }
    let reason = match said {
        Said { calls: true, .. } => FinishReason::ToolCalls,
        Said { refusal: true, .. } => FinishReason::Refusal,
        Said { .. } => FinishReason::Stop,
    };
    Finish { raw: Some(status.into_owned()), ..Finish::new(reason) }
}

/// Reasons that are called `completed` here.
pub(super) const UNSAID: &[FinishReason] = &[FinishReason::Pause, FinishReason::Malformed, FinishReason::Other];

/// `status`, and the reason of an incomplete answer. A refusal that is told in words is an answer.
pub(super) fn words(finish: Option<&Finish>, refusal_told: bool) -> (&'static str, Option<&'static str>) {
    match finish.map(|finish| finish.reason) {
        Some(FinishReason::Length | FinishReason::ContextWindow) => ("incomplete", Some("max_output_tokens")),
        Some(FinishReason::ContentFilter) => ("incomplete", Some("content_filter")),
        Some(FinishReason::Refusal) if !refusal_told => ("incomplete", Some("content_filter")),
        Some(
            FinishReason::Refusal
            | FinishReason::Stop
            | FinishReason::StopSequence
            | FinishReason::ToolCalls
            | FinishReason::Pause
            | FinishReason::Malformed
            | FinishReason::Other,
        )
        | None => ("completed", None),
    }
}

pub(super) fn encode(response: &Response, out: &mut Vec<u8>, losses: &mut Losses) {
    let id = response_id(response.id.as_deref());
    let none = Ext::default();
    let ext = if response.origin == SELF { &response.ext } else { &none };
    write(&Frame { id: &id, model: "", created: response.created, ext, freeform: &[] }, response, out, losses);
}

/// As [`encode`], with what is known of the request.
pub(super) fn encode_answer(answering: &Answering<'_>, response: &Response, out: &mut Vec<u8>, losses: &mut Losses) {
    if response.origin == SELF {
        return encode(response, out, losses);
    }
    let id = answering.id.map_or_else(|| response_id(response.id.as_deref()), str::to_owned);
    let frame = Frame {
        id: &id,
        model: &answering.request.model,
        created: response.created.or(Some(answering.now)),
        ext: &echo::of(answering),
        freeform: &echo::freeform_tools(answering.request),
    };
    write(&frame, response, out, losses);
}

/// What an answer says besides what was answered.
struct Frame<'a> {
    id: &'a str,
    /// Where the upstream names none.
    model: &'a str,
    created: Option<u64>,
    ext: &'a Ext,
    freeform: &'a [String],
}

fn write(frame: &Frame<'_>, response: &Response, out: &mut Vec<u8>, losses: &mut Losses) {
    let own = response.origin == SELF;
    let model = response.model.as_deref().unwrap_or(frame.model);
    if response.candidates.len() > 1 {
        losses.dropped("choices", "Responses has one answer; the first is given");
    }
    let candidate = response.candidates.first();
    let parts = candidate.map_or(&[][..], |candidate| &candidate.parts);
    let mut items = Vec::new();
    if own {
        output_items(parts, &mut items);
    } else {
        losses.dropped_extra(Scope::Response, &response.ext);
        losses.dropped_counts(&response.usage.unwrap_or_default(), usage::SAID);
        let mut pieces = candidate.map(logprobs::of).unwrap_or_default();
        candidate.iter().for_each(|candidate| losses.dropped_ext("choices.", &logprobs::others(&candidate.ext)));
        foreign_items(parts, frame, &mut pieces, &mut items, losses);
        if !pieces.is_empty() {
            losses.dropped("choices.logprobs", NO_TEXT);
        }
    }
    let finish = candidate.and_then(|candidate| candidate.finish.as_ref());
    if let Some(finish) = finish {
        losses.dropped_stop_sequence(finish);
        losses.degraded_finish(finish, UNSAID);
    }
    let (status, reason) = words(finish, Said::of(parts).refusal);
    let body = Body {
        id: frame.id,
        model,
        created: frame.created,
        status,
        reason,
        usage: response.usage.as_ref(),
        ext: frame.ext,
    };
    body.write(&items, None, out);
}

/// An id of this protocol: the upstream's own where it is one.
pub(super) fn response_id(given: Option<&str>) -> String {
    match given {
        Some(id) if id.starts_with("resp_") => id.to_owned(),
        given => format!("resp_{}", given.unwrap_or("unknown")),
    }
}

/// The id of an item of an answer.
pub(super) fn item_id(prefix: &str, response: &str, position: usize) -> String {
    let hash = blake3::hash(format!("{response}/{position}").as_bytes());
    let hex: String = hash.to_hex().chars().take(32).collect();
    format!("{prefix}_{hex}")
}

/// The object `response`, as clients' types want it: every member that they require is there.
pub(super) struct Body<'a> {
    pub(super) id: &'a str,
    pub(super) model: &'a str,
    pub(super) created: Option<u64>,
    pub(super) status: &'static str,
    pub(super) reason: Option<&'static str>,
    pub(super) usage: Option<&'a Usage>,
    /// Of an upstream of this protocol.
    pub(super) ext: &'a Ext,
}

/// Members that clients require, and what they say where nobody knows better.
const REQUIRED: [(&str, &str); 10] = [
    ("instructions", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "null"),
];

impl Body<'_> {
    pub(super) fn write(&self, items: &[Vec<u8>], error: Option<&Error>, out: &mut Vec<u8>) {
        json::object(out, |answer| {
            answer.field("id", self.id);
            answer.field("object", "response");
            answer.field("created_at", &self.created.unwrap_or(0));
            answer.field("status", self.status);
            match error {
                Some(error) => answer.object("error", |inner| {
                    inner.field("code", stream::code_of(error));
                    inner.field("message", &error.message);
                }),
                None => answer.field("error", &()),
            }
            match self.reason {
                Some(reason) => answer.object("incomplete_details", |details| details.field("reason", reason)),
                None => answer.field("incomplete_details", &()),
            }
            answer.field("model", self.model);
            answer.array("output", items, |item, out| out.extend_from_slice(item));
            for (key, value) in REQUIRED.iter().filter(|(key, _)| !note::has(self.ext, key)) {
                answer.key(key).extend_from_slice(value.as_bytes());
            }
            match self.usage {
                Some(usage) => usage_left::write(Some(self.ext), answer, |counts| usage::write(usage, counts)),
                None => answer.field("usage", &()),
            }
            let others = self.ext.0.iter().filter(|(key, _)| key != usage_left::MEMBER);
            note::write_all(others, answer);
        });
    }
}

/// Takes `pieces` where there is a text: the first has them all.
fn foreign_items(
    parts: &[Part],
    frame: &Frame<'_>,
    pieces: &mut logprobs::Pieces,
    items: &mut Vec<Vec<u8>>,
    losses: &mut Losses,
) {
    let response = frame.id;
    let mut said: Vec<Vec<u8>> = Vec::new();
    for (position, part) in parts.iter().enumerate() {
        match part {
            Part::Text(text) | Part::Refusal(text) => {
                losses.dropped_but_citations("content.", &text.ext);
                let cited = cite::foreign(&text.text, &citation::of(&text.ext), losses);
                let mut out = Vec::new();
                let refusal = matches!(part, Part::Refusal(_));
                let told = if refusal { Ext::default() } else { logprobs::as_member(&std::mem::take(pieces)) };
                json::object(&mut out, |writer| write_said(&text.text, refusal, Some(&told), &cited, writer));
                said.push(out);
                continue;
            }
            Part::Opaque(opaque) => {
                losses.dropped_part("content", &opaque.raw, NO_COUNTERPART);
                continue;
            }
            Part::Media(media) if picture::bytes(media).is_none() => {
                losses.dropped("content.media", NO_COUNTERPART);
                continue;
            }
            Part::ToolResult(_) => {
                losses.dropped("content.tool_result", NO_COUNTERPART);
                continue;
            }
            Part::Reasoning(_) | Part::ToolCall(_) | Part::Media(_) => {}
        }
        close_message(&mut said, response, items);
        let mut out = Vec::new();
        json::object(&mut out, |writer| match part {
            Part::Reasoning(reasoning) => {
                losses.dropped_ext("content.", &reasoning.ext);
                writer.field("id", &item_id("rs", response, items.len()));
                writer.field("type", "reasoning");
                write_summary(&reasoning.text, writer);
                match &reasoning.signature {
                    Some(proof) if proof.issuer == SELF => writer.field("encrypted_content", &proof.value),
                    None if reasoning.redacted.is_none() => {}
                    Some(_) | None => losses.dropped("content.signature", FOREIGN_PROOF),
                }
            }
            Part::ToolCall(call) => {
                losses.dropped_ext("content.", &call.ext);
                if call.signature.is_some() {
                    losses.dropped("content.signature", FOREIGN_PROOF);
                }
                let id = call_id(call.id.as_deref(), response, position);
                if frame.freeform.contains(&call.name) {
                    let own = item_id("ctc", response, items.len());
                    write_freeform_call(&own, &id, &call.name, &item::unwrapped(&call.arguments), writer);
                } else {
                    let own = item_id("fc", response, items.len());
                    write_call(&own, &id, &call.name, &call.arguments, "completed", writer);
                }
            }
            Part::Media(media) => {
                losses.dropped_ext("content.", &media.ext);
                picture::write(media, &item_id("ig", response, items.len()), "completed", writer);
            }
            Part::Text(_) | Part::Refusal(_) | Part::ToolResult(_) | Part::Opaque(_) => {}
        });
        items.push(out);
    }
    close_message(&mut said, response, items);
}

pub(super) const NO_COUNTERPART: &str = "the part has no counterpart in an answer of Responses";
pub(super) const NO_TEXT: &str = "the answer has no text that they could stand at";
pub(super) const FOREIGN_PROOF: &str = "another vendor's signature has no place in Responses";

fn close_message(said: &mut Vec<Vec<u8>>, response: &str, items: &mut Vec<Vec<u8>>) {
    if said.is_empty() {
        return;
    }
    let mut out = Vec::new();
    json::object(&mut out, |writer| {
        write_message(&item_id("msg", response, items.len()), "completed", std::mem::take(said), writer);
    });
    items.push(out);
}

pub(super) fn write_message(id: &str, status: &str, said: Vec<Vec<u8>>, writer: &mut ObjectWriter<'_>) {
    writer.field("id", id);
    writer.field("type", "message");
    writer.field("status", status);
    writer.field("role", "assistant");
    writer.array("content", said, |part, out| out.extend_from_slice(&part));
}

/// A text or a refusal of an answer; `ext` of an upstream of this protocol, `cited` its annotations.
pub(super) fn write_said(
    text: &str,
    refusal: bool,
    ext: Option<&Ext>,
    cited: &[Vec<u8>],
    writer: &mut ObjectWriter<'_>,
) {
    if refusal {
        writer.field("type", "refusal");
        writer.field("refusal", text);
        return;
    }
    writer.field("type", "output_text");
    writer.field("text", text);
    writer.array(cite::MEMBER, cited, |one, out| out.extend_from_slice(one));
    write_logprobs(ext, writer);
}

pub(super) fn write_logprobs(ext: Option<&Ext>, writer: &mut ObjectWriter<'_>) {
    match ext.and_then(|ext| ext.get(logprobs::MEMBER)) {
        Some(value) => writer.raw(logprobs::MEMBER, value),
        None => writer.key(logprobs::MEMBER).extend_from_slice(b"[]"),
    }
}

/// The id of a call, by which its result will name it.
pub(super) fn call_id(given: Option<&str>, response: &str, position: usize) -> String {
    match given {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => item_id("call", response, position),
    }
}

/// A call of a freeform tool.
pub(super) fn write_freeform_call(id: &str, call_id: &str, name: &str, input: &str, writer: &mut ObjectWriter<'_>) {
    writer.field("id", id);
    writer.field("type", "custom_tool_call");
    writer.field("status", "completed");
    writer.field("call_id", call_id);
    writer.field("name", name);
    writer.field("input", input);
}

pub(super) fn write_call(
    id: &str,
    call_id: &str,
    name: &str,
    arguments: &str,
    status: &str,
    writer: &mut ObjectWriter<'_>,
) {
    writer.field("id", id);
    writer.field("type", "function_call");
    writer.field("status", status);
    writer.field("arguments", arguments);
    writer.field("call_id", call_id);
    writer.field("name", name);
}
