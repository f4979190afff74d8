//! Answers for callers of another protocol than the upstream's: each proof becomes a [`Token`] in a place that the caller's
//! protocol has.

mod stream;

use super::{Carriage, Issuer, Kept, Kind, Mark, Token};
use crate::wire::ir::{Media, Opaque, Part, Reasoning, Request, Response, Signature, Text};
use crate::wire::json::Ext;
use crate::wire::{ProtocolId, StreamDecoder};

/// How the proofs of one answer are sealed.
#[derive(Debug, Clone)]
pub struct Seal {
    from: ProtocolId,
    group: String,
    to: ProtocolId,
    carriage: Carriage,
    asked: Asked,
    kept: Option<Kept>,
}

/// What the caller asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Thoughts, in whatever way.
    pub thoughts: bool,
    /// Thoughts with a budget.
    pub budget: bool,
}

impl Asked {
    pub fn of(request: &Request) -> Asked {
        let reasoning = request.reasoning.as_ref();
        Asked { thoughts: reasoning.is_some(), budget: reasoning.is_some_and(|reasoning| reasoning.budget.is_some()) }
    }
}

impl Seal {
    /// `None` where the answer stays in its protocol. `carriage`: of `to`.
    pub fn new(from: Issuer<'_>, to: ProtocolId, carriage: Carriage, asked: Asked) -> Option<Seal> {
        let outbound = || from.protocol.codec()?.outbound();
        let seal = || Seal {
            from: from.protocol,
            group: from.group.to_owned(),
            to,
            carriage,
            asked,
            kept: outbound().and_then(|outbound| outbound.kept_proofs()),
        };
        (from.protocol != to).then(seal)
    }

    /// Whether the caller's own vendor takes these proofs as they are.
    fn is_native(&self) -> bool {
        self.carriage.group == Some(&self.group)
    }

    /// The proof as the caller gets it. One that is too large stays, which the encoder reports as a loss.
    fn proof(&self, kind: Kind, proof: Signature) -> Signature {
        if self.is_native() {
            return Signature { issuer: self.to, ..proof };
        }
        let token = Token::new(self.from, &self.group, kind, proof.value.as_str());
        token.write(self.carriage.base64).map_or(proof, |value| Signature { issuer: self.to, value })
    }

    fn mark(&self) -> Signature {
        self.proof(Kind::Mark, Signature { issuer: self.from, value: String::new() })
    }

    fn marks(&self, mark: Mark) -> bool {
        self.carriage.mark == mark && !self.is_native() && (mark != Mark::CallsWithoutThoughts || self.asked.budget)
    }

    /// Seals a whole answer.
    pub fn response(&self, response: &mut Response) {
        for candidate in &mut response.candidates {
            let mut turn = Turn::default();
            for part in std::mem::take(&mut candidate.parts) {
                self.part(part, &mut turn, &mut candidate.parts);
            }
        }
    }

    fn part(&self, mut part: Part, turn: &mut Turn, out: &mut Vec<Part>) {
        let mut behind = None;
        match &mut part {
            Part::Reasoning(reasoning) => {
                turn.thought = true;
                if reasoning.signature.is_none() && reasoning.redacted.is_none() {
                    reasoning.signature = self.take_kept(&mut reasoning.ext);
                }
                self.thoughts(reasoning);
            }
            Part::ToolCall(call) => {
                let proof = call.signature.take().map(|proof| self.proof(Kind::Call, proof));
                let (in_place, before) = self.of_call(proof, turn);
                call.signature = in_place;
                out.extend(before.map(thought));
            }
            Part::Text(Text { ext, .. }) | Part::Media(Media { ext, .. }) if self.seals_texts() => {
                behind = self.take_kept(ext).map(|proof| self.proof(Kind::Before, proof));
            }
            Part::Opaque(opaque) => {
                if let Some(proof) = self.alone(opaque) {
                    part = thought(proof);
                }
            }
            Part::Text(_) | Part::Media(_) | Part::Refusal(_) | Part::ToolResult(_) => {}
        }
        out.push(part);
        out.extend(behind.map(thought));
    }

    /// Whether proofs of what was said have a place: thoughts that nobody asked for would surprise behind an answer.
    fn seals_texts(&self) -> bool {
        self.carriage.aside || self.asked.thoughts
    }

    /// Takes the proof that the upstream's protocol keeps among the members of a part.
    fn take_kept(&self, ext: &mut Ext) -> Option<Signature> {
        let kept = self.kept?;
        let mut gather = (kept.gather)();
        gather.add(ext.get(kept.member)?);
        let value = gather.proof()?;
        ext.0.retain(|(key, _)| key != kept.member);
        Some(Signature { issuer: self.from, value })
    }

    /// The proof that a part of the upstream's protocol is, sealed.
    fn alone(&self, opaque: &Opaque) -> Option<Signature> {
        let kept = self.kept.filter(|_| self.seals_texts() && opaque.origin == self.from)?;
        let value = (kept.alone)(opaque)?;
        Some(self.proof(Kind::Alone, Signature { issuer: self.from, value }))
    }

    fn thoughts(&self, reasoning: &mut Reasoning) {
        match reasoning.redacted.take() {
            Some(redacted) if self.is_native() => reasoning.redacted = Some(self.proof(Kind::Redacted, redacted)),
            Some(redacted) => reasoning.signature = Some(self.proof(Kind::Redacted, redacted)),
            None => match reasoning.signature.take() {
                Some(proof) => reasoning.signature = Some(self.proof(Kind::Signature, proof)),
                None if self.marks(Mark::Thoughts) => reasoning.signature = Some(self.mark()),
                None => {}
            },
        }
    }

    /// Where the proof of a call goes: with the call, or before it.
    fn of_call(&self, proof: Option<Signature>, turn: &mut Turn) -> (Option<Signature>, Option<Signature>) {
        let first = !std::mem::replace(&mut turn.called, true);
        match proof {
            Some(proof) if self.carriage.calls => (Some(proof), None),
            Some(proof) => {
                turn.thought = true;
                (None, Some(proof))
            }
            None if first && self.marks(Mark::Calls) => (Some(self.mark()), None),
            None if first && !turn.thought && self.marks(Mark::CallsWithoutThoughts) => (None, Some(self.mark())),
            None => (None, None),
        }
    }

    /// Seals a stream on its way out of `decoder`.
    pub fn stream(self, decoder: Box<dyn StreamDecoder>) -> Box<dyn StreamDecoder> {
        Box::new(stream::Sealing::new(self, decoder))
    }
}

/// A part that is nothing but a proof.
fn thought(proof: Signature) -> Part {
    Part::Reasoning(Reasoning { signature: Some(proof), ..Reasoning::default() })
}

/// What an answer has said so far.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    thought: bool,
    called: bool,
}

#[cfg(test)]
mod tests;
