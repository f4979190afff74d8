//! Requests for a target: sealed proofs are opened, those of the target's issuer go there as they were, all others stay
//! behind.

use super::{Carriage, Issuer, Kind, Mark, Read, Token};
use crate::wire::Outbound;
use crate::wire::ir::{Message, Part, Reasoning, Request, Role, Signature, Text, ToolCall};
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
        let mut called = false;
        for part in std::mem::take(&mut message.parts) {
            match part {
                Part::Reasoning(reasoning) => self.reasoning(reasoning, &mut of_next_call, &mut out),
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
                    out.extend(kept.then_some(part));
                }
            }
        }
        message.parts = out;
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
            Read::Sealed(token) if token.is_of(group) && token.kind != Kind::Mark && !self.target.bare => {
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

    fn reasoning(&mut self, mut thoughts: Reasoning, of_next_call: &mut Option<Signature>, out: &mut Vec<Part>) {
        if let Some(redacted) = thoughts.redacted.take() {
            match self.verdict(&redacted) {
                Verdict::Fits(_, value) => thoughts.redacted = Some(self.of_target(value)),
                Verdict::Foreign(kind) => return self.unproven(thoughts, kind, out),
            }
            return out.push(Part::Reasoning(thoughts));
        }
        let Some(proof) = thoughts.signature.take() else {
            let taken = self.own || !self.target.as_text;
            if taken {
                out.push(Part::Reasoning(thoughts))
            } else {
                self.left(thoughts, out)
            }
            return;
        };
        if proof.value.is_empty() || !matches!(Token::read(&proof.value), Read::Bare) {
            gather(&mut thoughts, out);
        }
        match self.verdict(&proof) {
            Verdict::Fits(Kind::Call, value) => *of_next_call = Some(self.of_target(value)),
            Verdict::Fits(Kind::Redacted, value) => {
                let redacted = Some(self.of_target(value));
                out.push(Part::Reasoning(Reasoning { redacted, ext: thoughts.ext, ..Reasoning::default() }));
            }
            Verdict::Fits(Kind::Signature | Kind::Mark, value) => {
                thoughts.signature = Some(self.of_target(value));
                out.push(Part::Reasoning(thoughts));
            }
            Verdict::Foreign(kind) => self.unproven(thoughts, kind, out),
        }
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
        self.outcome.breaks_turn |= self.in_turn;
        self.losses.dropped(LOST, if self.target.bare { REFUSED } else { FOREIGN });
    }
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
mod tests {
    use super::*;
    use crate::wire::ProtocolId;
    use crate::wire::ir::{ContentShape, Sampling, ToolResult};
    use crate::wire::json::Ext;

    const CALLER: ProtocolId = ProtocolId::OpenAiChat;

    fn signature(issuer: ProtocolId, value: impl Into<String>) -> Option<Signature> {
        Some(Signature { issuer, value: value.into() })
    }

    fn sealed(from: ProtocolId, group: &str, kind: Kind, value: &str) -> Option<Signature> {
        signature(CALLER, Token::new(from, group, kind, value).write(false).unwrap())
    }

    fn thoughts(text: &str, signature: Option<Signature>) -> Part {
        Part::Reasoning(Reasoning { text: text.to_owned(), signature, ..Reasoning::default() })
    }

    fn call(signature: Option<Signature>) -> Part {
        let (name, arguments) = ("f".to_owned(), "{}".to_owned());
        Part::ToolCall(ToolCall { id: None, name, arguments, signature, ext: Ext::default() })
    }

    fn message(role: Role, parts: Vec<Part>) -> Message {
        Message { role, role_raw: None, parts, shape: ContentShape::Parts, name: None, ext: Ext::default() }
    }

    fn result() -> Message {
        let result = ToolResult {
            call_id: None,
            name: None,
            content: Vec::new(),
            shape: ContentShape::Parts,
            is_error: None,
            ext: Ext::default(),
        };
        message(Role::Tool, vec![Part::ToolResult(result)])
    }

    fn request(messages: Vec<Message>) -> Request {
        Request {
            origin: CALLER,
            model: String::new(),
            stream: false,
            stream_given: false,
            include_usage: None,
            messages,
            tools: None,
            tool_choice: None,
            parallel_tool_calls: None,
            sampling: Sampling::default(),
            reasoning: None,
            output: None,
            user: None,
            metadata: None,
            ext: Ext::default(),
        }
    }

    fn target(protocol: ProtocolId, group: &str) -> Target<'_> {
        let codec = protocol.codec().unwrap();
        Target {
            issuer: Issuer { protocol, group },
            from: CALLER.codec().unwrap().carriage(),
            to: codec.carriage(),
            outbound: codec.outbound().unwrap(),
            model: "gemini-3-pro",
            as_text: false,
            bare: false,
        }
    }

    /// What the target gets of one turn of the model's, and what became of the proofs.
    fn fitted(parts: Vec<Part>, target: &Target<'_>) -> (Vec<Part>, Outcome, String) {
        let mut request = request(vec![message(Role::User, Vec::new()), message(Role::Assistant, parts), result()]);
        let mut losses = Losses::default();
        let outcome = fit(&mut request, target, &mut losses);
        (request.messages.remove(1).parts, outcome, losses.to_string())
    }

    const ANTHROPIC: ProtocolId = ProtocolId::AnthropicMessages;
    const GEMINI: ProtocolId = ProtocolId::Gemini;

    #[test]
    fn the_issuer_gets_its_own() {
        let redacted = Part::Reasoning(Reasoning { redacted: signature(ANTHROPIC, "r"), ..Reasoning::default() });
        let given = vec![
            thoughts("a", sealed(ANTHROPIC, "anthropic", Kind::Signature, "s")),
            thoughts("", sealed(ANTHROPIC, "anthropic", Kind::Redacted, "r")),
            thoughts("b", sealed(ProtocolId::BedrockConverse, "anthropic", Kind::Signature, "t")),
        ];
        let expected =
            vec![thoughts("a", signature(ANTHROPIC, "s")), redacted, thoughts("b", signature(ANTHROPIC, "t"))];
        assert_eq!(fitted(given, &target(ANTHROPIC, "anthropic")), (expected, Outcome::default(), String::new()));
    }

    #[test]
    fn others_do_not() {
        let foreign = || vec![thoughts("a", sealed(ANTHROPIC, "anthropic", Kind::Signature, "s")), call(None)];
        let outcome = Outcome { stripped: true, breaks_turn: true };
        let lost = "messages.content.signature=dropped";
        let left = vec![thoughts("a", None), call(None)];
        assert_eq!(fitted(foreign(), &target(ANTHROPIC, "relay")), (left, outcome, lost.to_owned()));
        let lost = format!("{lost}, messages.content.reasoning=dropped");
        assert_eq!(
            fitted(foreign(), &target(ProtocolId::OpenAiResponses, "openai")),
            (vec![call(None)], outcome, lost)
        );
    }

    #[test]
    fn the_proof_of_a_call_goes_back_to_its_call() {
        let given = || {
            vec![
                thoughts("", sealed(GEMINI, "google", Kind::Call, "c")),
                call(None),
                call(sealed(GEMINI, "google", Kind::Call, "d")),
            ]
        };
        let expected = vec![call(signature(GEMINI, "c")), call(signature(GEMINI, "d"))];
        assert_eq!(fitted(given(), &target(GEMINI, "google")).0, expected);
        // Vertex does not read what AI Studio signed, and the stand-in is for the first call.
        let (parts, _, _) = fitted(vec![call(sealed(GEMINI, "google", Kind::Call, "d"))], &target(GEMINI, "vertex"));
        assert_eq!(parts, [call(signature(GEMINI, "skip_thought_signature_validator"))]);
    }

    #[test]
    fn marks_are_no_loss() {
        let given = vec![call(sealed(ProtocolId::OpenAiResponses, "openai", Kind::Mark, ""))];
        let (parts, outcome, losses) = fitted(given, &target(GEMINI, "google"));
        assert_eq!(parts, [call(signature(GEMINI, "skip_thought_signature_validator"))]);
        assert_eq!((outcome.breaks_turn, losses.as_str()), (false, ""));
    }

    #[test]
    fn thoughts_in_pieces_are_put_together_for_their_proof() {
        let proof = || sealed(ANTHROPIC, "anthropic", Kind::Signature, "s");
        let given = vec![thoughts("one ", None), thoughts("two", None), thoughts("", proof())];
        let (parts, _, _) = fitted(given, &target(ANTHROPIC, "anthropic"));
        assert_eq!(parts, [thoughts("one two", signature(ANTHROPIC, "s"))]);
    }

    #[test]
    fn a_bare_target_gets_none_at_all() {
        let bare = Target { bare: true, ..target(ANTHROPIC, "anthropic") };
        let own = vec![thoughts("a", sealed(ANTHROPIC, "anthropic", Kind::Signature, "s"))];
        let (parts, outcome, _) = fitted(own, &bare);
        assert_eq!((parts, outcome.stripped), (vec![thoughts("a", None)], true));
        assert_eq!(fitted(vec![call(None)], &bare).1, Outcome::default());
    }

    #[test]
    fn only_the_turn_that_goes_on_is_broken() {
        let foreign = || vec![thoughts("a", sealed(ANTHROPIC, "anthropic", Kind::Signature, "s"))];
        let before = vec![
            message(Role::User, Vec::new()),
            message(Role::Assistant, foreign()),
            message(Role::User, vec![Part::Text(Text::new("and now?"))]),
        ];
        let mut request = request(before);
        let outcome = fit(&mut request, &target(GEMINI, "google"), &mut Losses::default());
        assert_eq!(outcome, Outcome { stripped: true, breaks_turn: false });
    }

    #[test]
    fn thoughts_that_were_shown_go_as_text_where_that_is_asked_for() {
        let foreign = vec![thoughts("a", sealed(ANTHROPIC, "anthropic", Kind::Signature, "s")), thoughts("b", None)];
        let (parts, _, losses) = fitted(foreign, &Target { as_text: true, ..target(GEMINI, "google") });
        let text = |text: &str| Part::Text(Text::new(format!("<thinking>\n{text}\n</thinking>")));
        assert_eq!(parts, [text("a"), text("b")]);
        assert_eq!(losses, "messages.content.signature=dropped, messages.content.reasoning=degraded");
    }
}
