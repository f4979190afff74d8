//! Whole answers.

use serde_json::value::RawValue;

use super::finish::{self, Held};
use super::stream_extra::MESSAGE;
use super::{cite, content, details, error, message, tool_ids, tools, usage};
use crate::wire::ir::{
    Candidate, Error, ErrorKind, Finish, Media, MediaKind, Opaque, Part, Response, Scope, Signature, citation,
};
use crate::wire::json::{self, Ext, Kind, Object, ObjectWriter};
use crate::wire::loss::Losses;
use crate::wire::{ProtocolId, logprobs, usage_left};

/// # Errors
/// A body that is not an answer, and an error that came under HTTP 200.
pub(super) fn decode(body: &[u8]) -> Result<Response, Error> {
    let broken =
        |what: &str| Error::new(ErrorKind::Upstream, format!("the upstream's answer is no chat completion: {what}"));
    let text = std::str::from_utf8(body).map_err(|error| broken(&error.to_string()))?;
    let mut answer: Object<'_> = serde_json::from_str(text).map_err(|error| broken(&error.to_string()))?;
    if answer.get("error").is_some_and(|raw| !json::says_nothing(raw)) {
        return Err(error::decode(200, body));
    }
    let Some(choices) = answer.get("choices").and_then(|raw| json::elements(raw, "choices").ok()) else {
        return Err(if answer.get("detail").or(answer.get("message")).is_some() {
            error::decode(200, body)
        } else {
            broken("`choices` is missing")
        });
    };
    answer.take("choices");
    answer.take("object");
    let usage = usage::of_answer(body);
    let left = usage_left::member(answer.take("usage"), usage::READ);
    let text = |answer: &mut Object<'_>, key| answer.string(key).ok().flatten();
    let (id, model) = (text(&mut answer, "id"), text(&mut answer, "model"));
    let created = answer.number("created").ok().flatten().and_then(|created| created.as_u64());
    let candidates = choices.into_iter().map(|raw| {
        candidate(raw).map_err(|error| match error {
            Fault::Refused(error) => *error,
            Fault::Broken(what) => broken(&what),
        })
    });
    let mut candidates = candidates.collect::<Result<Vec<_>, _>>()?;
    // Stable: choices without a number keep their places.
    candidates.sort_by_key(|(number, _)| *number);
    let candidates = candidates.into_iter().map(|(_, candidate)| candidate).collect();
    let mut ext = answer.rest();
    ext.0.extend(left);
    Ok(Response { origin: ProtocolId::OpenAiChat, id, model, created, candidates, usage, ext })
}

/// Why a choice is none.
enum Fault {
    /// The provider failed for this choice (OpenRouter).
    Refused(Box<Error>),
    Broken(String),
}

/// A choice and its number.
fn candidate(raw: &RawValue) -> Result<(u64, Candidate), Fault> {
    let fault = |error: &dyn std::fmt::Display| Fault::Broken(error.to_string());
    let mut choice: Object<'_> = serde_json::from_str(raw.get()).map_err(|error| fault(&error))?;
    if choice.get("error").is_some_and(|raw| !json::says_nothing(raw)) {
        return Err(Fault::Refused(Box::new(error::decode(200, raw.get().as_bytes()))));
    }
    let number = choice.u64("index").ok().flatten().unwrap_or(0);
    choice.take("index");
    let finish = choice.string("finish_reason").ok().flatten();
    let mut parts = Vec::new();
    let mut inner = Ext::default();
    if let Some(message) = choice.object("message").map_err(|error| fault(&error))? {
        inner = read_message(message, &mut parts).map_err(|error| fault(&error.message))?;
        cite::mark(&mut inner, &mut parts);
    }
    let held = Held {
        calls: parts.iter().any(|part| matches!(part, Part::ToolCall(_))),
        refusal: parts.iter().any(|part| matches!(part, Part::Refusal(_))),
    };
    let mut ext = choice.rest();
    let inner = inner.0.into_iter().filter(|(_, value)| speaks(value));
    ext.0.extend(inner.map(|(key, value)| (format!("{MESSAGE}{key}"), value)));
    Ok((number, Candidate { parts, finish: finish.map(|word| finish::of_word(&word, held)), ext }))
}

/// Reads the message's parts and returns what nobody modelled.
fn read_message(mut message: Object<'_>, parts: &mut Vec<Part>) -> Result<Ext, Error> {
    message.take("role");
    message::decode_reasoning(&mut message, parts);
    let (content, _) = content::decode(&mut message)?;
    parts.extend(content.into_iter().filter(|part| !is_empty(part)));
    message::decode_refusal(&mut message, parts);
    read_images(&mut message, parts);
    tools::decode_calls(&mut message, "message.", parts)?;
    Ok(message.rest())
}

fn is_empty(part: &Part) -> bool {
    matches!(part, Part::Text(text) if text.text.is_empty() && text.ext.is_empty())
}

/// OpenRouter gives the images that a model made in a member of their own.
fn read_images(message: &mut Object<'_>, parts: &mut Vec<Part>) {
    let Some(images) = message.get("images").and_then(|raw| json::elements(raw, "images").ok()) else { return };
    let images: Vec<Part> = images.into_iter().map(content::decode_part).collect();
    if images.iter().all(|part| matches!(part, Part::Media(_))) {
        message.take("images");
        parts.extend(images);
    }
}

pub(super) fn encode(response: &Response, out: &mut Vec<u8>, losses: &mut Losses) {
    let own = response.origin == ProtocolId::OpenAiChat;
    json::object(out, |answer| {
        answer.field("id", response.id.as_deref().unwrap_or(NO_ID));
        answer.field("object", "chat.completion");
        answer.field("created", &response.created.unwrap_or(0));
        answer.field("model", response.model.as_deref().unwrap_or_default());
        answer.array("choices", response.candidates.iter().enumerate(), |(index, candidate), out| {
            json::object(out, |choice| write_choice(index, candidate, response, choice, losses));
        });
        if let Some(usage) = &response.usage {
            let left = Some(&response.ext).filter(|_| own);
            usage_left::write(left, answer, |counts| usage::write(usage, counts));
        }
        if own {
            usage_left::write_others(&response.ext, answer);
        } else {
            losses.dropped_extra(Scope::Response, &response.ext);
            losses.dropped_counts(&response.usage.unwrap_or_default(), usage::SAID);
        }
    });
}

/// Clients require an id; an answer without one cannot be told apart anyway.
pub(super) const NO_ID: &str = "chatcmpl-unknown";

fn write_choice(
    index: usize,
    candidate: &Candidate,
    response: &Response,
    choice: &mut ObjectWriter<'_>,
    losses: &mut Losses,
) {
    let own = response.origin == ProtocolId::OpenAiChat;
    choice.field("index", &index);
    let mut answer = Answer::default();
    for part in &candidate.parts {
        answer.add(part, own, losses);
    }
    choice.object("message", |message| {
        answer.write(index, response.id.as_deref(), message);
        for (key, value) in candidate.ext.0.iter().filter(|_| own) {
            match key.strip_prefix(MESSAGE) {
                Some("content" | "refusal") | None => {}
                Some(key) => message.raw(key, value),
            }
        }
    });
    let pieces = if own { Vec::new() } else { logprobs::of(candidate) };
    if !pieces.is_empty() {
        choice.object(logprobs::MEMBER, |member| logprobs::write_choice(&pieces, member));
    } else if !own || candidate.ext.get(logprobs::MEMBER).is_none() {
        choice.field(logprobs::MEMBER, &());
    }
    let refusal_told = !answer.refusal.is_empty();
    let word = candidate.finish.as_ref().map(|finish| {
        losses_of_finish(finish, losses);
        finish::word(finish.reason, refusal_told)
    });
    choice.field("finish_reason", &word);
    if own {
        let is_choices = |key: &str| key != "finish_reason" && !key.starts_with(MESSAGE);
        candidate.ext.0.iter().filter(|(key, _)| is_choices(key)).for_each(|(key, value)| choice.raw(key, value));
    } else {
        losses.dropped_ext("choices.", &logprobs::others(&candidate.ext));
    }
}

pub(super) fn losses_of_finish(finish: &Finish, losses: &mut Losses) {
    losses.dropped_stop_sequence(finish);
    losses.degraded_finish(finish, finish::UNSAID);
}

/// The parts of an answer, as this protocol groups them.
#[derive(Default)]
struct Answer<'r> {
    text: String,
    /// How many characters the text has, and what it rests on.
    length: u64,
    annotations: Vec<Vec<u8>>,
    refusal: String,
    reasoning: String,
    /// Members that vendors have for reasoning, verbatim.
    reasoning_ext: Vec<&'r Ext>,
    /// Thoughts with a proof that the caller's client can send back.
    proven: Vec<(&'r str, &'r Signature)>,
    images: Vec<&'r Media>,
    calls: Vec<&'r crate::wire::ir::ToolCall>,
}

impl<'r> Answer<'r> {
    fn add(&mut self, part: &'r Part, own: bool, losses: &mut Losses) {
        match part {
            Part::Text(text) => {
                let length = citation::Characters::of(&text.text).count();
                if own {
                    let verbatim = citation::verbatim(&text.ext);
                    self.annotations.extend(verbatim.iter().map(|one| one.get().as_bytes().to_vec()));
                } else {
                    losses.dropped_but_citations("content.", &logprobs::others(&text.ext));
                    self.annotations.extend(cite::foreign(&citation::of(&text.ext), self.length, length, losses));
                }
                self.length += length;
                self.text.push_str(&text.text);
            }
            Part::Refusal(text) => {
                if !own {
                    losses.dropped_ext("content.", &text.ext);
                }
                self.refusal.push_str(&text.text);
            }
            Part::Reasoning(reasoning) => {
                if own {
                    self.reasoning_ext.push(&reasoning.ext);
                } else {
                    losses.dropped_ext("content.", &reasoning.ext);
                }
                match &reasoning.signature {
                    Some(proof) if proof.issuer == ProtocolId::OpenAiChat => self.proven.push((&reasoning.text, proof)),
                    None if reasoning.redacted.is_none() => {}
                    Some(_) | None => lost_signature(losses),
                }
                self.reasoning.push_str(&reasoning.text);
            }
            Part::ToolCall(call) => {
                if call.signature.is_some() && tools::own_proof(call).is_none() {
                    lost_signature(losses);
                }
                if !own {
                    losses.dropped_ext("content.", &call.ext);
                }
                self.calls.push(call);
            }
            Part::Media(media) if media.kind == MediaKind::Image => {
                if !own {
                    losses.degraded("content.image", "an image goes in `images`, which few clients read");
                    losses.dropped_ext("content.", &media.ext);
                }
                self.images.push(media);
            }
            Part::Media(_) => losses.dropped("content.media", "Chat Completions answers carry no such media"),
            Part::ToolResult(_) => losses.dropped("content.tool_result", "Chat Completions answers carry no results"),
            Part::Opaque(opaque) => lost_opaque(opaque, losses),
        }
    }

    fn write(&self, candidate: usize, id: Option<&str>, message: &mut ObjectWriter<'_>) {
        message.field("role", "assistant");
        let silent = self.text.is_empty() && (!self.calls.is_empty() || !self.refusal.is_empty());
        message.field("content", &Some(&self.text).filter(|_| !silent));
        message.field("refusal", &Some(&self.refusal).filter(|refusal| !refusal.is_empty()));
        if !self.annotations.is_empty() {
            message.array(cite::MEMBER, &self.annotations, |one, out| out.extend_from_slice(one));
        }
        if !self.reasoning.is_empty() {
            message.field("reasoning_content", &self.reasoning);
        }
        for ext in &self.reasoning_ext {
            if let Some(list) = ext.get(details::MEMBER) {
                message.raw(details::MEMBER, list);
            }
        }
        if !self.proven.is_empty() {
            message.array(details::MEMBER, self.proven.iter().enumerate(), |(index, (text, proof)), out| {
                json::object(out, |detail| message::write_detail(index, text, proof, detail));
            });
        }
        if !self.images.is_empty() {
            message.array("images", &self.images, |image, out| {
                content::write_url_part(&content::stripped(image), "image_url", out);
            });
        }
        if !self.calls.is_empty() {
            message.array("tool_calls", self.calls.iter().enumerate(), |(position, call), out| {
                let derived = || tool_ids::of_answer(id, candidate, position);
                let id = call.id.clone().filter(|id| !id.is_empty()).unwrap_or_else(derived);
                tools::write_answered_call(&id, call, out);
            });
        }
    }
}

pub(super) fn lost_signature(losses: &mut Losses) {
    losses.dropped("content.signature", "Chat Completions has no member for the proof of reasoning");
}

pub(super) fn lost_opaque(opaque: &Opaque, losses: &mut Losses) {
    losses.dropped_part("content", &opaque.raw, "only the provider whose word it is understands a part");
}

/// Whether a member of a message or a delta says something.
pub(super) fn speaks(raw: &RawValue) -> bool {
    match json::kind(raw) {
        Kind::Null => false,
        Kind::String => raw.get().len() > 2,
        Kind::Array => json::count(raw) > 0,
        Kind::Object => !json::is_blank(raw),
        Kind::Bool | Kind::Number => true,
    }
}
