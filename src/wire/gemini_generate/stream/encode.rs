//! Events, into chunks.
//!
//! Every chunk carries what is known of the whole answer (usage, `modelVersion`, `responseId`), as Google's do. A function
//! call is written when it is complete, `finishReason` in the last chunk, which waits for the stream's end because other
//! protocols report usage after it.

use std::collections::BTreeMap;

use super::super::grounding::{self, Grounds};
use super::super::response::{block_reason, encode_part};
use super::super::{error, finish, note, usage};
use crate::wire::ir::message::Opaque;
use crate::wire::ir::{
    Delta, Error, Event, Finish, Part, PartKind, Reasoning, Scope, Signature, Text, ToolCall, Usage, citation,
};
use crate::wire::json::{self, Ext};
use crate::wire::loss::Losses;
use crate::wire::{Head, ProtocolId};

/// Writes a stream, as server-sent events or as one JSON array.
pub(in super::super) struct Encoder {
    framing: Outer,
    id: Option<String>,
    model: Option<String>,
    usage: Option<Usage>,
    /// Unmodelled members of the response, written in every chunk.
    ext: Ext,
    parts: BTreeMap<u32, Piece>,
    candidates: BTreeMap<u32, Candidate>,
    ended: bool,
    losses: Losses,
}

/// How chunks are put together.
enum Outer {
    Sse,
    Array { begun: bool },
}

/// A part that has begun.
struct Piece {
    candidate: u32,
    kind: Kind,
}

enum Kind {
    /// What was said of it, for what it rests on is told in its words.
    Text(Said),
    Reasoning,
    /// Grows until it is complete.
    Call(ToolCall),
    /// Was written whole.
    Whole,
}

#[derive(Default)]
struct Said {
    /// Bytes of the candidate's texts before it.
    before: usize,
    text: String,
}

#[derive(Default)]
struct Candidate {
    /// Unmodelled members that wait for the candidate's next chunk.
    ext: Ext,
    finish: Option<Finish>,
    /// Content was written for it.
    spoke: bool,
    /// Bytes of its texts.
    length: usize,
    /// What an upstream of another protocol said that they rest on.
    grounds: Grounds,
}

impl Encoder {
    pub(in super::super) fn new(alt_sse: bool) -> Encoder {
        Encoder {
            framing: if alt_sse { Outer::Sse } else { Outer::Array { begun: false } },
            id: None,
            model: None,
            usage: None,
            ext: Ext::default(),
            parts: BTreeMap::new(),
            candidates: BTreeMap::new(),
            ended: false,
            losses: Losses::default(),
        }
    }

    fn part_start(&mut self, index: u32, candidate: u32, kind: &PartKind, out: &mut Vec<u8>) {
        let kind = match kind {
            PartKind::Text => self.text(candidate),
            PartKind::Refusal => {
                self.losses.emulated("refusal", "a refusal is given as text");
                self.text(candidate)
            }
            PartKind::Reasoning => Kind::Reasoning,
            PartKind::RedactedReasoning(_) => {
                self.losses.dropped("reasoning.redacted", "encrypted thoughts are of use only to their issuer");
                Kind::Whole
            }
            PartKind::ToolCall { id, name } => Kind::Call(ToolCall {
                id: id.clone(),
                name: name.clone(),
                arguments: String::new(),
                signature: None,
                ext: Ext::default(),
            }),
            PartKind::Media(media) => {
                self.whole(candidate, &Part::Media(media.clone()), out);
                Kind::Whole
            }
            PartKind::Opaque(Opaque { origin, raw }) => {
                self.whole(candidate, &Part::Opaque(Opaque { origin: *origin, raw: raw.clone() }), out);
                Kind::Whole
            }
        };
        self.parts.insert(index, Piece { candidate, kind });
    }

    fn text(&mut self, candidate: u32) -> Kind {
        let before = self.candidates.entry(candidate).or_default().length;
        Kind::Text(Said { before, text: String::new() })
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(piece) = self.parts.get_mut(&index) else { return };
        let candidate = piece.candidate;
        match (&mut piece.kind, delta) {
            (Kind::Call(call), Delta::Arguments(more)) => call.arguments.push_str(more),
            (Kind::Call(call), Delta::Signature(signature)) => call.signature = Some(signature.clone()),
            (Kind::Text(said), Delta::Text(text)) if !text.is_empty() => {
                said.text.push_str(text);
                self.candidates.entry(candidate).or_default().length += text.len();
                self.whole(candidate, &Part::Text(Text::new(text)), out);
            }
            (Kind::Reasoning, Delta::Text(text)) if !text.is_empty() => {
                self.whole(candidate, &thought(text.clone(), None), out);
            }
            (Kind::Reasoning, Delta::Signature(signature)) if signature.issuer == ProtocolId::Gemini => {
                self.whole(candidate, &thought(String::new(), Some(signature.clone())), out);
            }
            (_, Delta::Signature(_)) => {
                self.losses.dropped("reasoning.signature", "a signature of another issuer");
            }
            (_, Delta::Text(_) | Delta::Arguments(_)) => {}
        }
    }

    fn part_end(&mut self, index: u32, out: &mut Vec<u8>) {
        let Some(piece) = self.parts.get_mut(&index) else { return };
        let candidate = piece.candidate;
        if let Kind::Call(call) = &mut piece.kind {
            let call = Part::ToolCall(call.clone());
            piece.kind = Kind::Whole;
            self.whole(candidate, &call, out);
        }
    }

    fn extra(&mut self, origin: ProtocolId, scope: Scope, ext: &Ext, out: &mut Vec<u8>) {
        if origin != ProtocolId::Gemini {
            return match scope {
                Scope::Part(index) => self.foreign_citations(index, ext),
                Scope::Response | Scope::Candidate(_) => self.losses.dropped_extra(scope, ext),
            };
        }
        match scope {
            Scope::Response => self.ext.replace(ext),
            Scope::Candidate(candidate) => self.candidates.entry(candidate).or_default().ext.replace(ext),
            Scope::Part(index) => self.part_extra(index, ext, out),
        }
    }

    /// What a text rests on, which its candidate's last chunk tells.
    fn foreign_citations(&mut self, index: u32, ext: &Ext) {
        self.losses.dropped_but_citations("content.", ext);
        let Some(Piece { candidate, kind: Kind::Text(said) }) = self.parts.get(&index) else { return };
        let grounds = &mut self.candidates.entry(*candidate).or_default().grounds;
        grounds.add(&citation::of(ext), &said.text, 0, said.before, &mut self.losses);
    }

    /// Members of a part: a call's wait for it, a text's (its signature) follow it with an empty text.
    fn part_extra(&mut self, index: u32, ext: &Ext, out: &mut Vec<u8>) {
        let Some(piece) = self.parts.get_mut(&index) else { return };
        let candidate = piece.candidate;
        let part = match &mut piece.kind {
            Kind::Call(call) => return call.ext.replace(ext),
            Kind::Text(_) if ext.keys().next().is_none() => return,
            Kind::Text(_) => Part::Text(Text { text: String::new(), ext: ext.clone() }),
            Kind::Reasoning => Part::Reasoning(Reasoning { ext: ext.clone(), ..Reasoning::default() }),
            Kind::Whole => return,
        };
        self.whole(candidate, &part, out);
    }

    /// Writes a chunk with one part.
    fn whole(&mut self, number: u32, part: &Part, out: &mut Vec<u8>) {
        // Parts are written as native ones: what came from elsewhere has an empty ext by construction.
        let Some(part) = encode_part(part, true, &mut self.losses) else { return };
        let candidate = self.candidates.entry(number).or_default();
        candidate.spoke = true;
        let ext = std::mem::take(&mut candidate.ext);
        let mut written = Vec::with_capacity(part.len() + 64);
        json::object(&mut written, |w| {
            w.object("content", |w| {
                w.array("parts", [part], |part, out| out.extend_from_slice(&part));
                w.field("role", "model");
            });
            w.field("index", &number);
            grounding::write_kept(&ext, &[], w);
        });
        self.chunk(&[written], out);
    }

    /// Writes a chunk around its candidates.
    fn chunk(&mut self, candidates: &[Vec<u8>], out: &mut Vec<u8>) {
        self.framing.begin(out);
        json::object(out, |w| {
            if !candidates.is_empty() {
                w.array("candidates", candidates, |candidate, out| out.extend_from_slice(candidate));
            }
            usage::encode(w, self.usage.as_ref(), &self.ext);
            w.optional("modelVersion", &self.model);
            w.optional("responseId", &self.id);
            note::write_top(w, &self.ext, &[usage::USAGE]);
        });
        self.framing.end_chunk(out);
    }

    /// The last chunk's candidates: each one's reason, and the members that still wait.
    fn last_candidates(&mut self) -> Vec<Vec<u8>> {
        let blocked = block_reason(self.ext.get("promptFeedback")).is_some();
        let mut written = Vec::new();
        for (number, candidate) in &self.candidates {
            if blocked && !candidate.spoke {
                continue;
            }
            let mut out = Vec::new();
            json::object(&mut out, |w| {
                w.object("content", |w| w.field("role", "model"));
                w.optional("finishReason", &candidate.finish.as_ref().map(finish::encode));
                w.field("index", number);
                grounding::write_kept(&candidate.ext, &[], w);
                candidate.grounds.write(w);
            });
            written.push(out);
        }
        written
    }
}

impl crate::wire::StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, model, created: _ } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
            }
            Event::PartStart { index, candidate, kind } => self.part_start(*index, *candidate, kind, out),
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::PartEnd { index } => self.part_end(*index, out),
            Event::Usage(usage) => {
                self.usage = Some(*usage);
                self.ext.0.retain(|(key, _)| !key.starts_with(usage::USAGE));
            }
            Event::Extra { origin, scope, ext } => self.extra(*origin, *scope, ext, out),
            Event::Finish { candidate, finish } => {
                self.losses.dropped_stop_sequence(finish);
                self.losses.degraded_finish(finish, finish::UNSAID);
                self.candidates.entry(*candidate).or_default().finish = Some(finish.clone());
            }
            Event::Error(error) => {
                self.ended = true;
                self.framing.begin(out);
                error::encode(error, out);
                self.framing.end_chunk(out);
                self.framing.end(out);
            }
            Event::Ping => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Some(usage) = &self.usage {
            self.losses.dropped_counts(usage, usage::SAID);
        }
        let candidates = self.last_candidates();
        self.chunk(&candidates, out);
        self.framing.end(out);
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl Outer {
    fn begin(&mut self, out: &mut Vec<u8>) {
        match self {
            Outer::Sse => out.extend_from_slice(b"data: "),
            Outer::Array { begun } => {
                out.extend_from_slice(if *begun { b",\n" } else { b"[" });
                *begun = true;
            }
        }
    }

    fn end_chunk(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self {
            Outer::Sse => b"\r\n\r\n".as_slice(),
            Outer::Array { .. } => b"\n",
        });
    }

    fn end(&self, out: &mut Vec<u8>) {
        if let Outer::Array { .. } = self {
            out.push(b']');
        }
    }
}

/// Writes an error into a stream that has begun elsewhere: an event, or the last element of the open array.
pub(in super::super) fn encode_error(error: &Error, head: &Head<'_>, out: &mut Vec<u8>) {
    let mut framing = if head.alt_sse { Outer::Sse } else { Outer::Array { begun: true } };
    framing.begin(out);
    error::encode(error, out);
    framing.end_chunk(out);
    framing.end(out);
}

fn thought(text: String, signature: Option<Signature>) -> Part {
    Part::Reasoning(Reasoning { text, signature, ..Reasoning::default() })
}
