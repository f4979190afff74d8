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
    let expected = vec![thoughts("a", signature(ANTHROPIC, "s")), redacted, thoughts("b", signature(ANTHROPIC, "t"))];
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
    assert_eq!(fitted(foreign(), &target(ProtocolId::OpenAiResponses, "openai")), (vec![call(None)], outcome, lost));
}

fn text(text: &str) -> Part {
    Part::Text(Text::new(text))
}

/// A text that Gemini gets verbatim.
fn signed(text: &str, signature: &str) -> Part {
    let raw = format!(r#"{{"text":"{text}","thoughtSignature":"{signature}"}}"#);
    Part::Opaque(crate::wire::ir::Opaque { origin: GEMINI, raw: crate::wire::json::raw(raw).unwrap() })
}

#[test]
fn the_proof_of_a_text_goes_back_to_its_text() {
    let before = |value: &str| thoughts("", sealed(GEMINI, "google", Kind::Before, value));
    let alone = |value: &str| thoughts("", sealed(GEMINI, "google", Kind::Alone, value));
    let cases = [
        // Clients with blocks have them in order, those with a member for proofs first.
        (vec![text("a"), before("s"), text("b"), before("t")], vec![signed("a", "s"), signed("b", "t")]),
        (vec![before("s"), text("a"), text("b")], vec![signed("a", "s"), text("b")]),
        (vec![text("a"), alone("s")], vec![text("a"), signed("", "s")]),
        (vec![alone("s"), text("a")], vec![text("a"), signed("", "s")]),
        (vec![before("s"), call(None)], vec![call(None)]),
    ];
    for (given, expected) in cases {
        let lost = !given.contains(&text("a"));
        let (parts, outcome, losses) = fitted(given, &target(GEMINI, "google"));
        assert_eq!(parts, expected);
        assert!(!outcome.breaks_turn);
        assert_eq!(losses, if lost { "messages.content.signature=dropped" } else { "" });
    }
}

#[test]
fn the_proof_of_a_text_stays_behind_and_breaks_no_turn() {
    for kind in [Kind::Before, Kind::Alone] {
        for (protocol, group) in [(ANTHROPIC, "anthropic"), (GEMINI, "vertex"), (ProtocolId::OpenAiChat, "google")] {
            let given = vec![text("a"), thoughts("", sealed(GEMINI, "google", kind, "s"))];
            let (parts, outcome, losses) = fitted(given, &target(protocol, group));
            assert_eq!(parts, [text("a")]);
            assert_eq!(outcome, Outcome { stripped: true, breaks_turn: false });
            assert_eq!(losses, "messages.content.signature=dropped");
        }
    }
}

#[test]
fn a_proof_in_the_shape_of_its_protocol_goes_to_no_other_endpoint_of_its_issuer() {
    let list = r#"[{"type":"reasoning.encrypted","data":"e"}]"#;
    let given = || vec![thoughts("a", sealed(ProtocolId::OpenAiChat, "openrouter", Kind::Signature, list))];
    let own = fitted(given(), &target(ProtocolId::OpenAiChat, "openrouter")).0;
    assert_eq!(own, [thoughts("a", signature(ProtocolId::OpenAiChat, list))]);
    assert_eq!(fitted(given(), &target(ANTHROPIC, "openrouter")).0, [thoughts("a", None)]);
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
