//! Streams on their way from a decoder to an encoder.

use serde_json::value::RawValue;

use super::super::{Gather, Kind, Mark};
use super::{Seal, Turn};
use crate::wire::frame::Frame;
use crate::wire::ir::{Delta, Event, Media, PartKind, Scope, Signature};
use crate::wire::json::Ext;
use crate::wire::{ProtocolId, StreamDecoder};

/// A decoder whose proofs are sealed.
pub(super) struct Sealing {
    decoder: Box<dyn StreamDecoder>,
    seal: Seal,
    events: Vec<Event>,
    /// By the decoder's numbers.
    parts: Vec<PartState>,
    /// The number of the next part for the encoder: parts may be added.
    next: u32,
    /// A call that has begun, and whose proof may be the next thing to come.
    held: Option<Held>,
    /// By candidate.
    turns: Vec<(u32, Turn)>,
}

struct PartState {
    index: u32,
    candidate: u32,
    shape: Shape,
    proven: bool,
    gathering: Option<Gathering>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Thought,
    Call,
    /// What is said, its proof being kept among its members.
    Said,
    Other,
}

/// What has come so far of a proof that the upstream's protocol keeps among a part's members.
struct Gathering {
    pieces: Box<dyn Gather>,
    /// The last piece, to be told where nothing is proven.
    last: Box<RawValue>,
}

struct Held {
    index: u32,
    candidate: u32,
    kind: PartKind,
}

impl StreamDecoder for Sealing {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        let mut events = std::mem::take(&mut self.events);
        self.decoder.frame(frame, &mut events);
        self.seal_all(&mut events, out);
        self.events = events;
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        let mut events = std::mem::take(&mut self.events);
        self.decoder.finish(&mut events);
        self.seal_all(&mut events, out);
        self.release(None, out);
    }
}

impl Sealing {
    pub(super) fn new(seal: Seal, decoder: Box<dyn StreamDecoder>) -> Sealing {
        let (events, parts, turns) = Default::default();
        Sealing { decoder, seal, events, parts, next: 0, held: None, turns }
    }

    fn seal_all(&mut self, events: &mut Vec<Event>, out: &mut Vec<Event>) {
        for event in events.drain(..) {
            self.event(event, out);
        }
    }

    fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        match event {
            Event::Delta { index, delta: Delta::Signature(proof) } => self.proof(index, proof, out),
            Event::PartStart { index, candidate, kind } => {
                self.release(None, out);
                self.part_start(Held { index, candidate, kind }, out);
            }
            Event::Delta { index, delta } => {
                self.release(None, out);
                out.push(Event::Delta { index: self.number(index), delta });
            }
            Event::PartEnd { index } => {
                self.release(None, out);
                self.part_end(index, out);
            }
            Event::Extra { origin, scope: Scope::Part(index), mut ext } => {
                self.release(None, out);
                self.gather(origin, index, &mut ext);
                if !ext.is_empty() {
                    out.push(Event::Extra { origin, scope: Scope::Part(self.number(index)), ext });
                }
            }
            other @ (Event::Finish { .. } | Event::Error(_)) => {
                self.release(None, out);
                out.push(other);
            }
            other @ (Event::Start { .. } | Event::Usage(_) | Event::Extra { .. } | Event::Ping) => out.push(other),
        }
    }

    fn number(&self, index: u32) -> u32 {
        self.parts.get(index as usize).map_or(index, |part| part.index)
    }

    fn turn(&mut self, candidate: u32) -> &mut Turn {
        let at = self.turns.iter().position(|(number, _)| *number == candidate).unwrap_or_else(|| {
            self.turns.push((candidate, Turn::default()));
            self.turns.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found, or pushed just now")]
        &mut self.turns[at].1
    }

    /// A part for the encoder.
    fn begin(&mut self, candidate: u32, kind: PartKind, out: &mut Vec<Event>) -> u32 {
        let index = self.next;
        self.next += 1;
        out.push(Event::PartStart { index, candidate, kind });
        index
    }

    /// A part of the decoder's.
    fn known(&mut self, candidate: u32, kind: PartKind, out: &mut Vec<Event>) -> u32 {
        let shape = match kind {
            PartKind::Reasoning => Shape::Thought,
            PartKind::ToolCall { .. } => Shape::Call,
            PartKind::Text | PartKind::Media(_) if self.seal.seals_texts() => Shape::Said,
            PartKind::Text
            | PartKind::Media(_)
            | PartKind::Refusal
            | PartKind::RedactedReasoning(_)
            | PartKind::Opaque(_) => Shape::Other,
        };
        let index = self.begin(candidate, kind, out);
        self.parts.push(PartState { index, candidate, shape, proven: false, gathering: None });
        index
    }

    fn part_start(&mut self, part: Held, out: &mut Vec<Event>) {
        let Held { index, candidate, kind } = part;
        match kind {
            PartKind::ToolCall { .. } => self.held = Some(Held { index, candidate, kind }),
            PartKind::RedactedReasoning(proof) => {
                self.turn(candidate).thought = true;
                let proof = self.seal.proof(Kind::Redacted, proof);
                if self.seal.is_native() {
                    self.known(candidate, PartKind::RedactedReasoning(proof), out);
                    return;
                }
                self.nothing_but(proof, index, candidate, out);
            }
            PartKind::Reasoning => {
                self.turn(candidate).thought = true;
                self.known(candidate, kind, out);
            }
            PartKind::Opaque(opaque) => match self.seal.alone(&opaque) {
                Some(proof) => self.nothing_but(proof, index, candidate, out),
                None => {
                    self.known(candidate, PartKind::Opaque(opaque), out);
                }
            },
            PartKind::Media(mut media) => {
                let mut ext = self.kept_of(&mut media);
                self.known(candidate, PartKind::Media(media), out);
                self.gather(self.seal.from, index, &mut ext);
            }
            PartKind::Text | PartKind::Refusal => {
                self.known(candidate, kind, out);
            }
        }
    }

    /// The part of the decoder's becomes one that is nothing but a proof.
    fn nothing_but(&mut self, proof: Signature, index: u32, candidate: u32, out: &mut Vec<Event>) {
        let number = self.known(candidate, PartKind::Reasoning, out);
        self.prove(index);
        out.push(Event::Delta { index: number, delta: Delta::Signature(proof) });
    }

    fn prove(&mut self, index: u32) {
        if let Some(part) = self.parts.get_mut(index as usize) {
            part.proven = true;
        }
    }

    /// Takes out of a picture, whose members are all there from the start, those that are a proof.
    fn kept_of(&self, media: &mut Media) -> Ext {
        let Some(kept) = self.seal.kept.filter(|_| self.seal.seals_texts()) else { return Ext::default() };
        let (proof, rest) = std::mem::take(&mut media.ext).0.into_iter().partition(|(key, _)| key == kept.member);
        media.ext = Ext(rest);
        Ext(proof)
    }

    /// Takes a piece of a proof out of the members of a part.
    fn gather(&mut self, origin: ProtocolId, index: u32, ext: &mut Ext) {
        let Some(kept) = self.seal.kept.filter(|_| origin == self.seal.from) else { return };
        let part = self.parts.get_mut(index as usize);
        let part = part.filter(|part| matches!(part.shape, Shape::Thought | Shape::Said) && !part.proven);
        let (Some(part), Some(at)) = (part, ext.0.iter().position(|(key, _)| key == kept.member)) else { return };
        let (_, piece) = ext.0.remove(at);
        match &mut part.gathering {
            Some(gathering) => {
                gathering.pieces.add(&piece);
                gathering.last = piece;
            }
            None => {
                let mut pieces = (kept.gather)();
                pieces.add(&piece);
                part.gathering = Some(Gathering { pieces, last: piece });
            }
        }
    }

    fn part_end(&mut self, index: u32, out: &mut Vec<Event>) {
        let Some(part) = self.parts.get_mut(index as usize) else { return out.push(Event::PartEnd { index }) };
        let (number, candidate, shape) = (part.index, part.candidate, part.shape);
        let (gathering, proven) = (part.gathering.take(), part.proven);
        let proof = gathering.as_ref().and_then(|gathering| gathering.pieces.proof());
        let proof = proof.map(|value| Signature { issuer: self.seal.from, value });
        if let (None, Some(Gathering { last, .. }), Some(kept)) = (&proof, gathering, self.seal.kept) {
            let ext = Ext(vec![(kept.member.to_owned(), last)]);
            out.push(Event::Extra { origin: self.seal.from, scope: Scope::Part(number), ext });
        }
        match (shape, proof) {
            (Shape::Said, Some(proof)) => {
                let proof = self.seal.proof(Kind::Before, proof);
                out.push(Event::PartEnd { index: number });
                return self.lone(candidate, proof, out);
            }
            (Shape::Thought, Some(proof)) => {
                let proof = self.seal.proof(Kind::Signature, proof);
                out.push(Event::Delta { index: number, delta: Delta::Signature(proof) });
            }
            (Shape::Thought, None) if !proven && self.seal.marks(Mark::Thoughts) => {
                out.push(Event::Delta { index: number, delta: Delta::Signature(self.seal.mark()) });
            }
            (_, _) => {}
        }
        out.push(Event::PartEnd { index: number });
    }

    /// A part more, which is nothing but a proof.
    fn lone(&mut self, candidate: u32, proof: Signature, out: &mut Vec<Event>) {
        let index = self.begin(candidate, PartKind::Reasoning, out);
        out.push(Event::Delta { index, delta: Delta::Signature(proof) });
        out.push(Event::PartEnd { index });
    }

    fn proof(&mut self, index: u32, proof: Signature, out: &mut Vec<Event>) {
        if self.held.as_ref().is_some_and(|held| held.index == index) {
            let proof = self.seal.proof(Kind::Call, proof);
            return self.release(Some(proof), out);
        }
        self.release(None, out);
        let is_thought = self.parts.get(index as usize).is_some_and(|part| part.shape == Shape::Thought);
        let number = self.number(index);
        let proof = match (is_thought, self.seal.carriage.calls) {
            (true, _) => self.seal.proof(Kind::Signature, proof),
            (false, true) => self.seal.proof(Kind::Call, proof),
            // Behind the call's beginning there is no place for it any more: the encoder reports it.
            (false, false) => proof,
        };
        self.prove(index);
        out.push(Event::Delta { index: number, delta: Delta::Signature(proof) });
    }

    /// Lets a held call go, with the proof that came for it.
    fn release(&mut self, proof: Option<Signature>, out: &mut Vec<Event>) {
        let Some(Held { candidate, kind, .. }) = self.held.take() else { return };
        let mut turn = *self.turn(candidate);
        let (in_place, before) = self.seal.of_call(proof, &mut turn);
        *self.turn(candidate) = turn;
        if let Some(proof) = before {
            let index = self.begin(candidate, PartKind::Reasoning, out);
            out.push(Event::Delta { index, delta: Delta::Signature(proof) });
            out.push(Event::PartEnd { index });
        }
        let index = self.known(candidate, kind, out);
        if let Some(proof) = in_place {
            out.push(Event::Delta { index, delta: Delta::Signature(proof) });
        }
    }
}
