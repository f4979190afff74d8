//! Requests for a target: sealed proofs are opened, those of the target's issuer go there as they were, all others stay
//! behind.

use super::{Carriage, Issuer, Kind, Mark, Read, Token};
use crate::wire::Outbound;
use crate::wire::ir::{Media, Message, Part, Reasoning, Request, Role, Signature, Text, ToolCall};
use crate::wire::loss::Losses;

/// The target, as far as proofs are concerned.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub issuer: Issuer<'a>,
    /// Of the caller's protocol.
    pub from: Carriage,
    /// Of the target's protocol.
    pub to: Carriage,
    pub outbound: &'a dyn Outbound,
    /// The model, as the target knows it.
    pub model: &'a str,
    /// Thoughts whose proof stays behind go as plain text.
    pub as_text: bool,
    /// No proof is to go, whoever made it: the target has refused one.
    pub bare: bool,
}

/// What became of the proofs of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Something stayed behind that the target would have got otherwise.
    pub stripped: bool,
    /// A proof of another issuer stood in the turn that the model is to go on with.
    pub breaks_turn: bool,
}

const LOST: &str = "messages.content.signature";
const FOREIGN: &str = "only the provider that made a proof of reasoning understands it";
const REFUSED: &str = "the target refused the proofs of reasoning, it was asked again without them";

/// Fits the proofs of `request` to the target.
pub fn fit(request: &mut Request, target: &Target<'_>, losses: &mut Losses) -> Outcome {
    let turn = current_turn(&request.messages);
    let own = request.origin == target.issuer.protocol;
    let mut fitting = Fitting { target, own, losses, outcome: Outcome::default(), in_turn: false };
    for (at, message) in request.messages.iter_mut().enumerate() {
        if message.role == Role::Assistant {
            fitting.in_turn = at >= turn;
            fitting.message(message);
        }
    }
    let mut outcome = fitting.outcome;
    let thinks = request.reasoning.as_ref().is_some_and(|reasoning| reasoning.budget.is_some());
    if target.bare && own && thinks && target.to.mark == Mark::CallsWithoutThoughts {
        outcome.stripped |= admit_no_thoughts(&mut request.messages);
    }
    outcome
}

/// Where the turn begins that the model is to go on with: behind the last thing that the user said, results of tools apart.
fn current_turn(messages: &[Message]) -> usize {
    let spoke = |message: &Message| {
        message.role == Role::User && !message.parts.iter().any(|part| matches!(part, Part::ToolResult(_)))
    };
    messages.iter().rposition(spoke).map_or(0, |at| at + 1)
}

/// Makes the turn that is to be continued begin with thoughts that nobody proves, so that the encoder asks for none.
fn admit_no_thoughts(messages: &mut [Message]) -> bool {
    let [.., asking, answering] = messages else { return false };
    let continues = answering.parts.iter().any(|part| matches!(part, Part::ToolResult(_)));
    if !continues || asking.role != Role::Assistant || matches!(asking.parts.first(), Some(Part::Reasoning(_))) {
        return false;
    }
    asking.parts.insert(0, Part::Reasoning(Reasoning::default()));
    true
}

struct Fitting<'f, 'a> {
    target: &'f Target<'a>,
    /// The caller speaks the target's protocol.
    own: bool,
    losses: &'f mut Losses,
    outcome: Outcome,
    in_turn: bool,
}

/// What becomes of one proof.
enum Verdict {
    /// It goes to the target.
    Fits(Kind, String),
    /// It stays behind.
    Foreign(Kind),
}

impl Fitting<'_, '_> {
    fn message(&mut self, message: &mut Message) {
        let mut out = Vec::with_capacity(message.parts.len());
        let mut of_next_call = None;
        let mut of_said = Vec::new();
        let mut called = false;
        for part in std::mem::take(&mut message.parts) {
            match part {
                Part::Reasoning(reasoning) => {
                    if let Some(proof) = self.reasoning(reasoning, &mut of_next_call, &mut out) {
                        self.said(proof, &mut of_said, &mut out);
                    }
                }
                Part::ToolCall(mut call) => {
                    let first = !std::mem::replace(&mut called, true);
                    self.call(&mut call, of_next_call.take(), first);
                    out.push(Part::ToolCall(call));
                }
                mut part @ (Part::Text(_)
                | Part::Refusal(_)
                | Part::Media(_)
                | Part::ToolResult(_)
                | Part::Opaque(_)) => {
                    let kept = !(self.own && self.target.bare) || self.forget(&mut part);
                    let waiting = of_said.iter().position(|(kind, _)| *kind == Kind::Before);
                    match waiting.filter(|_| is_said(&part)) {
                        Some(at) => {
                            let (_, value) = of_said.remove(at);
                            out.push(self.restored(part, &value));
                        }
                        None => out.extend(kept.then_some(part)),
                    }
                }
            }
        }
        for (kind, value) in of_said {
            match kind {
                Kind::Alone => out.push(self.restored(Part::Text(Text::default()), &value)),
                // What it proves is gone.
                kind => self.lost(kind),
            }
        }
        message.parts = out;
    }

    /// Gives what was said its proof back, which stands behind it; at clients that keep proofs in a member of their own it
    /// comes first, and waits in `of_said`.
    fn said(&mut self, (kind, value): (Kind, String), of_said: &mut Vec<(Kind, String)>, out: &mut Vec<Part>) {
        let spoke = out.iter().any(|part| !matches!(part, Part::Reasoning(_)));
        match (kind, out.iter().rposition(is_said)) {
            (Kind::Alone, _) if spoke => out.push(self.restored(Part::Text(Text::default()), &value)),
            (Kind::Before, Some(at)) => {
                let part = out.remove(at);
                out.insert(at, self.restored(part, &value));
            }
            (kind, _) => of_said.push((kind, value)),
        }
    }

    fn restored(&mut self, part: Part, value: &str) -> Part {
        if let Part::Text(Text { ext, .. }) | Part::Media(Media { ext, .. }) = &part {
            self.losses.dropped_ext("messages.content.", ext);
        }
        match self.target.outbound.kept_proofs() {
            Some(kept) => (kept.restore)(part, value),
            None => part,
        }
    }

    /// Takes proofs out of a part that keeps them in its protocol's own way; `false`: nothing is left of it.
    fn forget(&mut self, part: &mut Part) -> bool {
        let before = part.clone();
        let kept = self.target.outbound.forget_proofs(part);
        self.outcome.stripped |= !kept || before != *part;
        kept
    }

    fn verdict(&self, proof: &Signature) -> Verdict {
        let Issuer { protocol, group } = self.target.issuer;
        match Token::read(&proof.value) {
            Read::Sealed(token)
                if token.is_of(group)
                    && token.kind != Kind::Mark
                    && !self.target.bare
                    && (token.protocol == protocol || !token.has_shape()) =>
            {
                Verdict::Fits(token.kind, token.value)
            }
            Read::Sealed(token) => Verdict::Foreign(token.kind),
            Read::Damaged => Verdict::Foreign(Kind::Signature),
            // Who made a bare one is not known; in its own protocol the target itself is the judge.
            Read::Bare if self.target.bare => Verdict::Foreign(Kind::Signature),
            Read::Bare if proof.issuer == protocol || self.target.from.group == Some(group) => {
                Verdict::Fits(Kind::Signature, proof.value.clone())
            }
            Read::Bare => Verdict::Foreign(Kind::Signature),
        }
    }

    fn of_target(&self, value: String) -> Signature {
        Signature { issuer: self.target.issuer.protocol, value }
    }

    /// Fits thoughts. What is returned proves something else that was said.
    fn reasoning(
        &mut self,
        mut thoughts: Reasoning,
        of_next_call: &mut Option<Signature>,
        out: &mut Vec<Part>,
    ) -> Option<(Kind, String)> {
        if let Some(redacted) = thoughts.redacted.take() {
            match self.verdict(&redacted) {
                Verdict::Fits(_, value) => {
                    thoughts.redacted = Some(self.of_target(value));
                    out.push(Part::Reasoning(thoughts));
                }
                Verdict::Foreign(kind) => self.unproven(thoughts, kind, out),
            }
            return None;
        }
        let Some(proof) = thoughts.signature.take() else {
            let mut part = Part::Reasoning(thoughts);
            if self.own && self.target.bare && !self.forget(&mut part) {
                self.losses.dropped("messages.content.reasoning", REFUSED);
                return None;
            }
            match part {
                Part::Reasoning(thoughts) if !self.own && self.target.as_text => self.left(thoughts, out),
                part => out.push(part),
            }
            return None;
        };
        let verdict = self.verdict(&proof);
        match verdict {
            Verdict::Fits(kind, value) if kind.is_of_said() => return Some((kind, value)),
            Verdict::Foreign(kind) if kind.is_of_said() => {
                self.lost(kind);
                return None;
            }
            Verdict::Fits(..) | Verdict::Foreign(_) => {}
        }
        if proof.value.is_empty() || !matches!(Token::read(&proof.value), Read::Bare) {
            gather(&mut thoughts, out);
        }
        match verdict {
            Verdict::Fits(Kind::Call, value) => *of_next_call = Some(self.of_target(value)),
            Verdict::Fits(Kind::Redacted, value) => {
                let redacted = Some(self.of_target(value));
                out.push(Part::Reasoning(Reasoning { redacted, ext: thoughts.ext, ..Reasoning::default() }));
            }
            Verdict::Fits(Kind::Signature | Kind::Mark | Kind::Before | Kind::Alone, value) => {
                thoughts.signature = Some(self.of_target(value));
                out.push(Part::Reasoning(thoughts));
            }
            Verdict::Foreign(kind) => self.unproven(thoughts, kind, out),
        }
        None
    }

    /// Thoughts whose proof stays behind.
    fn unproven(&mut self, thoughts: Reasoning, kind: Kind, out: &mut Vec<Part>) {
        self.lost(kind);
        self.left(thoughts, out);
    }

    /// What is left of thoughts without their proof.
    fn left(&mut self, thoughts: Reasoning, out: &mut Vec<Part>) {
        if self.target.as_text && !thoughts.text.is_empty() {
            self.losses.degraded("messages.content.reasoning", "thoughts of another vendor's model go as plain text");
            out.push(Part::Text(Text::new(format!("<thinking>\n{}\n</thinking>", thoughts.text))));
        } else if !self.target.to.removes_unproven {
            out.push(Part::Reasoning(thoughts));
        } else if !thoughts.text.is_empty() {
            self.losses.dropped("messages.content.reasoning", "this target takes back only thoughts of its own");
        }
    }

    fn call(&mut self, call: &mut ToolCall, before: Option<Signature>, first: bool) {
        let verdict = call.signature.take().map(|proof| self.verdict(&proof));
        let foreign = match verdict {
            Some(Verdict::Fits(_, value)) => {
                call.signature = Some(self.of_target(value));
                return;
            }
            Some(Verdict::Foreign(kind)) => {
                self.lost(kind);
                true
            }
            None => false,
        };
        call.signature = before;
        if call.signature.is_none() && first && (foreign || self.target.bare) {
            let stand_in = self.target.outbound.stand_in_proof(self.target.model);
            self.outcome.stripped |= stand_in.is_some();
            call.signature = stand_in.map(|value| self.of_target(value.to_owned()));
        }
    }

    fn lost(&mut self, kind: Kind) {
        self.outcome.stripped = true;
        if kind == Kind::Mark {
            return;
        }
        // A vendor goes on without the proof of what was merely said.
        self.outcome.breaks_turn |= self.in_turn && !kind.is_of_said();
        self.losses.dropped(LOST, if self.target.bare { REFUSED } else { FOREIGN });
    }
}

/// Whether a part may have a proof that its protocol keeps among its members.
fn is_said(part: &Part) -> bool {
    matches!(part, Part::Text(_) | Part::Media(_))
}

/// Thoughts that a client put together from a stream stand before their proof, as parts of their own.
fn gather(thoughts: &mut Reasoning, out: &mut Vec<Part>) {
    let is_piece =
        |part: &&Part| matches!(part, Part::Reasoning(piece) if piece.signature.is_none() && piece.redacted.is_none());
    if !thoughts.text.is_empty() {
        return;
    }
    let pieces = out.iter().rev().take_while(is_piece).count();
    for part in out.split_off(out.len() - pieces) {
        if let Part::Reasoning(piece) = part {
            thoughts.text.push_str(&piece.text);
        }
    }
}

#[cfg(test)]
mod tests;
