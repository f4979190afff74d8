//! Answers for callers of another protocol than the upstream's: each proof becomes a [`Token`] in a place that the caller's
//! protocol has.

use super::{Carriage, Issuer, Kind, Mark, Token};
use crate::wire::frame::Frame;
use crate::wire::ir::{Delta, Event, Part, PartKind, Reasoning, Response, Scope, Signature};
use crate::wire::{ProtocolId, StreamDecoder};

/// How the proofs of one answer are sealed.
#[derive(Debug, Clone)]
pub struct Seal {
    from: ProtocolId,
    group: String,
    to: ProtocolId,
    carriage: Carriage,
    /// The caller asked for thoughts with a budget.
    thinking: bool,
}

impl Seal {
    /// `None` where the answer stays in its protocol. `carriage`: of `to`.
    pub fn new(from: Issuer<'_>, to: ProtocolId, carriage: Carriage, thinking: bool) -> Option<Seal> {
        let seal = || Seal { from: from.protocol, group: from.group.to_owned(), to, carriage, thinking };
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
        self.carriage.mark == mark && !self.is_native() && (mark != Mark::CallsWithoutThoughts || self.thinking)
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
        match &mut part {
            Part::Reasoning(reasoning) => {
                turn.thought = true;
                self.thoughts(reasoning);
            }
            Part::ToolCall(call) => {
                let proof = call.signature.take().map(|proof| self.proof(Kind::Call, proof));
                let (in_place, before) = self.of_call(proof, turn);
                call.signature = in_place;
                out.extend(
                    before.map(|proof| Part::Reasoning(Reasoning { signature: Some(proof), ..Reasoning::default() })),
                );
            }
            Part::Text(_) | Part::Refusal(_) | Part::Media(_) | Part::ToolResult(_) | Part::Opaque(_) => {}
        }
        out.push(part);
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
        Box::new(Sealing {
            decoder,
            seal: self,
            events: Vec::new(),
            parts: Vec::new(),
            next: 0,
            held: None,
            turns: Vec::new(),
        })
    }
}

/// What an answer has said so far.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    thought: bool,
    called: bool,
}

/// A decoder whose proofs are sealed.
struct Sealing {
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
    is_thought: bool,
    proven: bool,
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
            Event::Extra { origin, scope: Scope::Part(index), ext } => {
                self.release(None, out);
                out.push(Event::Extra { origin, scope: Scope::Part(self.number(index)), ext });
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
        let is_thought = matches!(kind, PartKind::Reasoning);
        let index = self.begin(candidate, kind, out);
        self.parts.push(PartState { index, is_thought, proven: false });
        index
    }

    fn part_start(&mut self, part: Held, out: &mut Vec<Event>) {
        let Held { candidate, kind, .. } = part;
        match kind {
            PartKind::ToolCall { .. } => self.held = Some(Held { kind, ..part }),
            PartKind::RedactedReasoning(proof) => {
                self.turn(candidate).thought = true;
                let proof = self.seal.proof(Kind::Redacted, proof);
                if self.seal.is_native() {
                    self.known(candidate, PartKind::RedactedReasoning(proof), out);
                    return;
                }
                let index = self.known(candidate, PartKind::Reasoning, out);
                self.prove(part.index);
                out.push(Event::Delta { index, delta: Delta::Signature(proof) });
            }
            PartKind::Reasoning => {
                self.turn(candidate).thought = true;
                self.known(candidate, kind, out);
            }
            PartKind::Text | PartKind::Refusal | PartKind::Media(_) | PartKind::Opaque(_) => {
                self.known(candidate, kind, out);
            }
        }
    }

    fn prove(&mut self, index: u32) {
        if let Some(part) = self.parts.get_mut(index as usize) {
            part.proven = true;
        }
    }

    fn part_end(&mut self, index: u32, out: &mut Vec<Event>) {
        let number = self.number(index);
        let unproven = self.parts.get(index as usize).is_some_and(|part| part.is_thought && !part.proven);
        if unproven && self.seal.marks(Mark::Thoughts) {
            out.push(Event::Delta { index: number, delta: Delta::Signature(self.seal.mark()) });
        }
        out.push(Event::PartEnd { index: number });
    }

    fn proof(&mut self, index: u32, proof: Signature, out: &mut Vec<Event>) {
        if self.held.as_ref().is_some_and(|held| held.index == index) {
            let proof = self.seal.proof(Kind::Call, proof);
            return self.release(Some(proof), out);
        }
        self.release(None, out);
        let is_thought = self.parts.get(index as usize).is_some_and(|part| part.is_thought);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ir::{Finish, FinishReason, fold};
    use crate::wire::proof::Read;

    /// A decoder that says what it was given.
    struct Told(Vec<Event>);

    impl StreamDecoder for Told {
        fn frame(&mut self, _frame: &Frame<'_>, out: &mut Vec<Event>) {
            out.append(&mut self.0);
        }

        fn finish(&mut self, _out: &mut Vec<Event>) {}
    }

    const FROM: ProtocolId = ProtocolId::Gemini;

    fn proof(value: &str) -> Signature {
        Signature { issuer: FROM, value: value.to_owned() }
    }

    /// Thoughts with and without a proof, encrypted thoughts, and calls with and without.
    fn told() -> Vec<Event> {
        let start = |index, kind| Event::PartStart { index, candidate: 0, kind };
        let call = |name: &str| PartKind::ToolCall { id: None, name: name.to_owned() };
        let signed = |index, value| Event::Delta { index, delta: Delta::Signature(proof(value)) };
        let text = |index, text: &str| Event::Delta { index, delta: Delta::Text(text.to_owned()) };
        let arguments = |index| Event::Delta { index, delta: Delta::Arguments("{}".to_owned()) };
        let end = |index| Event::PartEnd { index };
        vec![
            Event::Start { id: None, model: None, created: None },
            start(0, PartKind::Reasoning),
            text(0, "one"),
            signed(0, "s0"),
            end(0),
            start(1, PartKind::Reasoning),
            text(1, "two"),
            end(1),
            start(2, PartKind::RedactedReasoning(proof("r2"))),
            end(2),
            start(3, PartKind::Text),
            text(3, "said"),
            end(3),
            start(4, call("a")),
            signed(4, "c4"),
            arguments(4),
            end(4),
            start(5, call("b")),
            arguments(5),
            end(5),
            start(6, call("c")),
            end(6),
            Event::Finish { candidate: 0, finish: Finish::new(FinishReason::ToolCalls) },
        ]
    }

    fn carriages() -> impl Iterator<Item = (ProtocolId, Carriage)> {
        crate::wire::PROTOCOLS.iter().filter(|codec| codec.id() != FROM).map(|codec| (codec.id(), codec.carriage()))
    }

    fn streamed(seal: &Seal, events: Vec<Event>) -> Vec<Event> {
        let mut decoder = seal.clone().stream(Box::new(Told(events)));
        let mut out = Vec::new();
        decoder.frame(&Frame { event: "", data: "" }, &mut out);
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn a_sealed_stream_folds_to_the_sealed_answer() {
        for (to, carriage) in carriages() {
            for thinking in [false, true] {
                let seal = Seal::new(Issuer { protocol: FROM, group: "google" }, to, carriage, thinking).unwrap();
                let mut whole = fold(FROM, &told()).unwrap();
                seal.response(&mut whole);
                assert_eq!(fold(FROM, &streamed(&seal, told())).unwrap(), whole, "{to}");
            }
        }
    }

    #[test]
    fn every_proof_is_sealed_for_every_caller() {
        for (to, carriage) in carriages() {
            let seal = Seal::new(Issuer { protocol: FROM, group: "google" }, to, carriage, true).unwrap();
            let mut answer = fold(FROM, &told()).unwrap();
            seal.response(&mut answer);
            let mut values = Vec::new();
            for part in &answer.candidates[0].parts {
                let proof = match part {
                    Part::Reasoning(Reasoning { signature, redacted: None, .. }) => signature,
                    Part::ToolCall(call) => &call.signature,
                    _ => continue,
                };
                let Some(proof) = proof else { continue };
                assert_eq!(proof.issuer, to);
                let Read::Sealed(token) = Token::read(&proof.value) else { panic!("{}", proof.value) };
                assert!(token.is_of("google"));
                values.extend(Some(token.value).filter(|_| token.kind != Kind::Mark));
            }
            assert_eq!(values, ["s0", "r2", "c4"], "{to}");
        }
    }

    #[test]
    fn proofs_that_the_caller_s_vendor_reads_stay_bare() {
        let carriage = Carriage { group: Some("anthropic"), ..Carriage::default() };
        let from = Issuer { protocol: ProtocolId::BedrockConverse, group: "anthropic" };
        let seal = Seal::new(from, ProtocolId::AnthropicMessages, carriage, true).unwrap();
        let events = streamed(&seal, told());
        let bare = |value: &str| Signature { issuer: ProtocolId::AnthropicMessages, value: value.to_owned() };
        assert!(events.contains(&Event::Delta { index: 0, delta: Delta::Signature(bare("s0")) }));
        let redacted = PartKind::RedactedReasoning(bare("r2"));
        assert!(events.contains(&Event::PartStart { index: 2, candidate: 0, kind: redacted }));
    }

    #[test]
    fn an_answer_in_the_caller_s_protocol_is_not_sealed() {
        assert!(Seal::new(Issuer { protocol: FROM, group: "g" }, FROM, Carriage::default(), true).is_none());
    }

    #[test]
    fn a_call_without_thoughts_is_marked_for_those_who_asked_for_some() {
        let call = PartKind::ToolCall { id: None, name: "a".to_owned() };
        let events =
            || vec![Event::PartStart { index: 0, candidate: 0, kind: call.clone() }, Event::PartEnd { index: 0 }];
        let carriage = Carriage { mark: Mark::CallsWithoutThoughts, ..Carriage::default() };
        for (thinking, parts) in [(false, 1), (true, 2)] {
            let from = Issuer { protocol: FROM, group: "g" };
            let seal = Seal::new(from, ProtocolId::AnthropicMessages, carriage, thinking).unwrap();
            let answer = fold(FROM, &streamed(&seal, events())).unwrap();
            assert_eq!(answer.candidates[0].parts.len(), parts);
            assert_eq!(matches!(answer.candidates[0].parts[0], Part::Reasoning(_)), thinking);
        }
    }
}
