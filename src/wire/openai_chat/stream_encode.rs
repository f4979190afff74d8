//! Streams, written.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::response::{NO_ID, losses_of_finish, lost_opaque, lost_signature};
use super::{cite, content, error, finish, message, stream_extra, tool_ids, tools, usage};
use crate::wire::frame::sse;
use crate::wire::ir::{Delta, Event, Finish, MediaKind, PartKind, Scope, Signature, Usage, citation};
use crate::wire::json::{self, Ext, ObjectWriter};
use crate::wire::loss::Losses;
use crate::wire::{ProtocolId, StreamEncoder, logprobs, usage_left};

#[derive(Debug)]
pub(super) struct Encoder {
    /// The caller asked for a chunk with usage.
    include_usage: bool,
    id: Option<String>,
    model: String,
    created: u64,
    candidates: BTreeMap<u32, Candidate>,
    parts: Vec<Part>,
    /// Thoughts whose proof is told with their whole text, by the number of their part.
    thoughts: BTreeMap<u32, Thoughts>,
    /// A call whose beginning waits for the event after it, which may be its proof: clients read that with the name.
    held: Option<HeldCall>,
    /// Arguments of calls of freeform tools, by the number of their part: their input is told when it is whole.
    freeform: BTreeMap<u32, String>,
    usage: Option<Usage>,
    /// Members of every chunk that this protocol's own upstream gave and nobody modelled.
    ext: Ext,
    failed: bool,
    losses: Losses,
}

/// What has been written of one answer.
#[derive(Debug, Clone, Default)]
struct Candidate {
    /// The chunk with the role, which is the first.
    begun: bool,
    calls: usize,
    refused: bool,
    /// Characters of the content so far.
    length: u64,
}

#[derive(Debug, Default)]
struct Thoughts {
    text: String,
    proof: Option<Signature>,
}

#[derive(Debug)]
struct HeldCall {
    /// Number of the part.
    index: u32,
    candidate: u32,
    position: usize,
    id: String,
    name: String,
}

/// Where the deltas of a part go.
#[derive(Debug, Clone, Copy)]
struct Part {
    index: u32,
    candidate: u32,
    place: Place,
    /// Where its text begins and how long it is, in characters of the content.
    before: u64,
    length: u64,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Content,
    Refusal,
    Reasoning,
    /// Number of the call in its answer.
    Call(usize),
    /// Nowhere: reported as a loss.
    None,
}

impl Encoder {
    pub(super) fn new(include_usage: bool) -> Encoder {
        Encoder {
            include_usage,
            id: None,
            model: String::new(),
            created: 0,
            candidates: BTreeMap::new(),
            parts: Vec::new(),
            thoughts: BTreeMap::new(),
            held: None,
            freeform: BTreeMap::new(),
            usage: None,
            ext: Ext::default(),
            failed: false,
            losses: Losses::default(),
        }
    }

    fn chunk(&self, choices: impl FnOnce(&mut Vec<u8>), usage: Option<&Usage>, out: &mut Vec<u8>) {
        let write = |data: &mut Vec<u8>| {
            json::object(data, |chunk| {
                chunk.field("id", self.id.as_deref().unwrap_or(NO_ID));
                chunk.field("object", "chat.completion.chunk");
                chunk.field("created", &self.created);
                chunk.field("model", &self.model);
                choices(chunk.key("choices"));
                if let Some(usage) = usage {
                    usage_left::write(Some(&self.ext), chunk, |counts| usage::write(usage, counts));
                }
                usage_left::write_others(&self.ext, chunk);
            });
        };
        sse::write_data(None, write, out);
    }

    fn choice(
        &self,
        candidate: u32,
        finish_reason: Option<&str>,
        delta: impl FnOnce(&mut ObjectWriter<'_>),
        out: &mut Vec<u8>,
    ) {
        self.choice_with(candidate, finish_reason, &Ext::default(), delta, out);
    }

    fn choice_with(
        &self,
        candidate: u32,
        finish_reason: Option<&str>,
        ext: &Ext,
        delta: impl FnOnce(&mut ObjectWriter<'_>),
        out: &mut Vec<u8>,
    ) {
        let write = |data: &mut Vec<u8>| {
            data.push(b'[');
            json::object(data, |choice| {
                choice.field("index", &candidate);
                choice.object("delta", delta);
                if ext.get("logprobs").is_none() {
                    choice.field("logprobs", &());
                }
                choice.field("finish_reason", &finish_reason);
                choice.ext(ext);
            });
            data.push(b']');
        };
        self.chunk(write, None, out);
    }

    fn candidate(&mut self, number: u32) -> &mut Candidate {
        self.candidates.entry(number).or_default()
    }

    fn begin(&mut self, number: u32, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.candidate(number).begun, true) {
            let delta = |delta: &mut ObjectWriter<'_>| {
                delta.field("role", "assistant");
                delta.field("content", "");
            };
            self.choice(number, None, delta, out);
        }
    }

    fn part_start(&mut self, index: u32, number: u32, kind: &PartKind, out: &mut Vec<u8>) {
        self.begin(number, out);
        let place = match kind {
            PartKind::Text => Place::Content,
            PartKind::Refusal => {
                self.candidate(number).refused = true;
                Place::Refusal
            }
            PartKind::Reasoning => {
                self.thoughts.insert(index, Thoughts::default());
                Place::Reasoning
            }
            PartKind::ToolCall { id, name } => self.call_start(index, number, id.as_deref(), name),
            PartKind::RedactedReasoning(_) => {
                lost_signature(&mut self.losses);
                Place::None
            }
            PartKind::Media(media) if media.kind == MediaKind::Image => {
                let beside = media.ext.0.iter().filter(|(key, _)| !matches!(key.as_str(), "image_url" | "index"));
                self.losses.dropped_ext("content.", &Ext(beside.cloned().collect()));
                self.losses.degraded("content.image", "an image goes in `images`, which few clients read");
                let delta = |delta: &mut ObjectWriter<'_>| {
                    delta.array("images", [media], |media, out| {
                        content::write_url_part(&content::stripped(media), "image_url", out);
                    });
                };
                self.choice(number, None, delta, out);
                Place::None
            }
            PartKind::Media(_) => {
                self.losses.dropped("content.media", "Chat Completions answers carry no such media");
                Place::None
            }
            PartKind::Opaque(opaque) => {
                lost_opaque(opaque, &mut self.losses);
                Place::None
            }
        };
        let before = self.candidate(number).length;
        self.parts.push(Part { index, candidate: number, place, before, length: 0 });
    }

    fn call_start(&mut self, index: u32, number: u32, id: Option<&str>, name: &str) -> Place {
        let calls = &mut self.candidate(number).calls;
        let position = *calls;
        *calls += 1;
        let derived = || tool_ids::of_answer(self.id.as_deref(), number as usize, position);
        let id = id.filter(|id| !id.is_empty()).map_or_else(derived, ToOwned::to_owned);
        self.held = Some(HeldCall { index, candidate: number, position, id, name: name.to_owned() });
        Place::Call(position)
    }

    /// Writes the beginning of the call that waits, with the proof where one came.
    fn release(&mut self, proof: Option<&Signature>, out: &mut Vec<u8>) {
        let Some(held) = self.held.take() else { return };
        let delta = |call: &mut ObjectWriter<'_>| {
            call.field("id", &held.id);
            if self.freeform.contains_key(&held.index) {
                call.field("type", "custom");
                tools::write_custom(Some(&held.name), None, call);
            } else {
                call.field("type", "function");
                call.object("function", |function| {
                    function.field("name", &held.name);
                    function.field("arguments", "");
                });
            }
            if let Some(proof) = proof {
                tools::write_proof(proof, call);
            }
        };
        self.call_delta(held.candidate, held.position, delta, out);
    }

    fn proof(&mut self, index: u32, proof: &Signature, out: &mut Vec<u8>) {
        if proof.issuer != ProtocolId::OpenAiChat {
            self.release(None, out);
            return lost_signature(&mut self.losses);
        }
        if let Some(thoughts) = self.thoughts.get_mut(&index) {
            thoughts.proof = Some(proof.clone());
        } else if self.held.as_ref().is_some_and(|held| held.index == index) {
            self.release(Some(proof), out);
        } else if let Some(Part { candidate, place: Place::Call(position), .. }) = self.part(index) {
            self.call_delta(candidate, position, |call| tools::write_proof(proof, call), out);
        }
    }

    fn part(&self, index: u32) -> Option<Part> {
        self.parts.iter().rev().find(|part| part.index == index).copied()
    }

    /// Thoughts are complete: their proof can be told with all of them.
    fn part_end(&mut self, index: u32, out: &mut Vec<u8>) {
        if let Some(arguments) = self.freeform.remove(&index)
            && let Some(Part { candidate, place: Place::Call(position), .. }) = self.part(index)
        {
            let fill = |call: &mut ObjectWriter<'_>| tools::write_custom(None, Some(&arguments), call);
            self.call_delta(candidate, position, fill, out);
        }
        let Some(Thoughts { text, proof: Some(proof) }) = self.thoughts.remove(&index) else { return };
        let Some(part) = self.part(index) else { return };
        let number = self.parts.iter().filter(|other| other.index < index && matches!(other.place, Place::Reasoning));
        let number = number.count();
        let delta = |delta: &mut ObjectWriter<'_>| {
            delta.array("reasoning_details", [(number, &text, &proof)], |(number, text, proof), out| {
                json::object(out, |detail| message::write_detail(number, text, proof, detail));
            });
        };
        self.choice(part.candidate, None, delta, out);
    }

    fn call_delta(&self, number: u32, position: usize, fill: impl FnOnce(&mut ObjectWriter<'_>), out: &mut Vec<u8>) {
        let delta = |delta: &mut ObjectWriter<'_>| {
            let calls = delta.key("tool_calls");
            calls.push(b'[');
            json::object(calls, |call| {
                call.field("index", &position);
                fill(call);
            });
            calls.push(b']');
        };
        self.choice(number, None, delta, out);
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<u8>) {
        if let Delta::Signature(proof) = delta {
            return self.proof(index, proof, out);
        }
        self.release(None, out);
        let Some(part) = self.part(index) else { return };
        let (text, member) = match (delta, part.place) {
            (Delta::Signature(_), _) => return,
            (Delta::Arguments(text), Place::Call(position)) => {
                if let Some(arguments) = self.freeform.get_mut(&index) {
                    arguments.push_str(text);
                    return;
                }
                let fill = |call: &mut ObjectWriter<'_>| {
                    call.object("function", |function| function.field("arguments", text));
                };
                return self.call_delta(part.candidate, position, fill, out);
            }
            (Delta::Text(text), Place::Content) => (text, "content"),
            (Delta::Text(text), Place::Refusal) => (text, "refusal"),
            (Delta::Text(text), Place::Reasoning) => {
                if let Some(thoughts) = self.thoughts.get_mut(&index) {
                    thoughts.text.push_str(text);
                }
                (text, "reasoning_content")
            }
            (Delta::Text(_), Place::Call(_) | Place::None)
            | (Delta::Arguments(_), Place::Content | Place::Refusal | Place::Reasoning | Place::None) => return,
        };
        if !text.is_empty() {
            self.choice(part.candidate, None, |delta| delta.field(member, text), out);
        }
        if let Place::Content = part.place {
            let more = text.chars().count() as u64;
            self.candidate(part.candidate).length += more;
            self.parts
                .iter_mut()
                .rev()
                .find(|part| part.index == index)
                .into_iter()
                .for_each(|part| part.length += more);
        }
    }

    /// How likely the pieces of a text were that has been told, said by an upstream of another protocol.
    fn logprobs(&mut self, candidate: u32, pieces: &[Box<RawValue>], out: &mut Vec<u8>) {
        if !pieces.is_empty() {
            self.begin(candidate, out);
            let mut text = Vec::new();
            json::object(&mut text, |member| logprobs::write_choice(pieces, member));
            let member = String::from_utf8(text).ok().and_then(json::raw);
            let ext = Ext(member.map(|member| (logprobs::MEMBER.to_owned(), member)).into_iter().collect());
            self.choice_with(candidate, None, &ext, |_| {}, out);
        }
    }

    /// What a text rests on, said by an upstream of another protocol.
    fn foreign_citations(&mut self, index: u32, ext: &Ext, out: &mut Vec<u8>) {
        self.losses.dropped_but_citations("content.", &logprobs::others(ext));
        let candidate = self.part(index).map_or(0, |part| part.candidate);
        self.logprobs(candidate, &logprobs::of_text(ext), out);
        let Some(part) = self.part(index).filter(|part| matches!(part.place, Place::Content)) else { return };
        let cited = cite::foreign(&citation::of(ext), part.before, part.length, &mut self.losses);
        if !cited.is_empty() {
            let delta = |delta: &mut ObjectWriter<'_>| {
                delta.array(cite::MEMBER, &cited, |one, out| out.extend_from_slice(one));
            };
            self.choice(part.candidate, None, delta, out);
        }
    }

    /// Members that this protocol's own upstream gave.
    fn extra(&mut self, scope: Scope, ext: &Ext, out: &mut Vec<u8>) {
        let number = match scope {
            Scope::Response => return self.ext.replace(ext),
            Scope::Candidate(number) => number,
            Scope::Part(index) => {
                let part = self.parts.iter().find(|part| part.index == index);
                let Some(number) = part.map(|part| part.candidate) else { return };
                return self.choice(number, None, |delta| citation::write_back(ext, cite::MEMBER, delta), out);
            }
        };
        self.begin(number, out);
        let (of_delta, of_choice): (Vec<_>, Vec<_>) =
            ext.0.iter().cloned().partition(|(key, _)| key.starts_with(stream_extra::MESSAGE));
        let delta = |delta: &mut ObjectWriter<'_>| {
            for (key, value) in &of_delta {
                delta.raw(key.trim_start_matches(stream_extra::MESSAGE), value);
            }
        };
        self.choice_with(number, None, &Ext(of_choice), delta, out);
    }

    fn finished(&mut self, number: u32, finish: &Finish, out: &mut Vec<u8>) {
        self.begin(number, out);
        losses_of_finish(finish, &mut self.losses);
        let refused = self.candidate(number).refused;
        self.choice(number, Some(finish::word(finish.reason, refused)), |_| {}, out);
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        // Told before anything of the call is, for just this reason.
        if let Event::Extra { scope: Scope::Part(index), ext, .. } = event
            && self.held.as_ref().is_some_and(|held| held.index == *index)
            && tools::is_custom(ext)
        {
            self.freeform.insert(*index, String::new());
        }
        if !matches!(event, Event::Delta { .. } | Event::Ping) {
            self.release(None, out);
        }
        match event {
            Event::Start { id, model, created } => {
                self.id = id.clone().filter(|id| !id.is_empty());
                self.model = model.clone().unwrap_or_default();
                self.created = created.unwrap_or(0);
            }
            Event::PartStart { index, candidate, kind } => self.part_start(*index, *candidate, kind, out),
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::PartEnd { index } => self.part_end(*index, out),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { candidate, finish } => self.finished(*candidate, finish, out),
            Event::Extra { origin: ProtocolId::OpenAiChat, scope, ext } => self.extra(*scope, ext, out),
            Event::Extra { scope: Scope::Part(index), ext, .. } => self.foreign_citations(*index, ext, out),
            Event::Extra { scope: scope @ Scope::Candidate(number), ext, .. } => {
                self.logprobs(*number, &logprobs::of_members(ext), out);
                self.losses.dropped_extra(*scope, &logprobs::others(ext));
            }
            Event::Extra { scope, ext, .. } => self.losses.dropped_extra(*scope, ext),
            Event::Error(error) => {
                self.failed = true;
                sse::write_data(None, |data| error::encode(error, data), out);
            }
            Event::Ping => out.extend_from_slice(b": keep-alive\n\n"),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        self.release(None, out);
        if let Some(usage) = &self.usage {
            self.losses.dropped_counts(usage, usage::SAID);
        }
        if self.include_usage
            && let Some(usage) = self.usage.take()
        {
            self.chunk(|data| data.extend_from_slice(b"[]"), Some(&usage), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}
