use super::*;
use crate::wire::frame::Frame;
use crate::wire::ir::{Delta, Event, Finish, FinishReason, MediaKind, MediaSource, PartKind, Scope, fold};
use crate::wire::json;
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
const ASKED: Asked = Asked { thoughts: true, budget: true };

fn proof(value: &str) -> Signature {
    Signature { issuer: FROM, value: value.to_owned() }
}

fn member(key: &str, value: &str) -> Ext {
    Ext(vec![(key.to_owned(), json::raw(value).unwrap())])
}

fn picture(ext: Ext) -> Media {
    let source = MediaSource::Base64 { media_type: "image/png".to_owned(), data: "AA==".to_owned() };
    Media { kind: MediaKind::Image, source, detail: None, name: None, ext }
}

fn lone(proof: &str) -> Opaque {
    Opaque { origin: FROM, raw: json::raw(format!(r#"{{"text":"","thoughtSignature":"{proof}"}}"#)).unwrap() }
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
        Event::Extra { origin: FROM, scope: Scope::Part(3), ext: member("thoughtSignature", "\"t3\"") },
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
        start(7, PartKind::Media(picture(member("thoughtSignature", "\"m7\"")))),
        end(7),
        start(8, PartKind::Opaque(lone("a8"))),
        end(8),
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
        for asked in [Asked::default(), ASKED] {
            let seal = Seal::new(Issuer { protocol: FROM, group: "google" }, to, carriage, asked).unwrap();
            let mut whole = fold(FROM, &told()).unwrap();
            seal.response(&mut whole);
            assert_eq!(fold(FROM, &streamed(&seal, told())).unwrap(), whole, "{to}");
        }
    }
}

#[test]
fn every_proof_is_sealed_for_every_caller() {
    for (to, carriage) in carriages() {
        let seal = Seal::new(Issuer { protocol: FROM, group: "google" }, to, carriage, ASKED).unwrap();
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
        assert_eq!(values, ["s0", "r2", "t3", "c4", "m7", "a8"], "{to}");
    }
}

#[test]
fn proofs_that_the_caller_s_vendor_reads_stay_bare() {
    let carriage = Carriage { group: Some("anthropic"), ..Carriage::default() };
    let from = Issuer { protocol: ProtocolId::BedrockConverse, group: "anthropic" };
    let seal = Seal::new(from, ProtocolId::AnthropicMessages, carriage, ASKED).unwrap();
    let events = streamed(&seal, told());
    let bare = |value: &str| Signature { issuer: ProtocolId::AnthropicMessages, value: value.to_owned() };
    assert!(events.contains(&Event::Delta { index: 0, delta: Delta::Signature(bare("s0")) }));
    let redacted = PartKind::RedactedReasoning(bare("r2"));
    assert!(events.contains(&Event::PartStart { index: 2, candidate: 0, kind: redacted }));
}

#[test]
fn an_answer_in_the_caller_s_protocol_is_not_sealed() {
    assert!(Seal::new(Issuer { protocol: FROM, group: "g" }, FROM, Carriage::default(), ASKED).is_none());
}

#[test]
fn a_call_without_thoughts_is_marked_for_those_who_asked_for_some() {
    let call = PartKind::ToolCall { id: None, name: "a".to_owned() };
    let events = || vec![Event::PartStart { index: 0, candidate: 0, kind: call.clone() }, Event::PartEnd { index: 0 }];
    let carriage = Carriage { mark: Mark::CallsWithoutThoughts, ..Carriage::default() };
    for (thinking, parts) in [(false, 1), (true, 2)] {
        let from = Issuer { protocol: FROM, group: "g" };
        let asked = Asked { budget: thinking, ..ASKED };
        let seal = Seal::new(from, ProtocolId::AnthropicMessages, carriage, asked).unwrap();
        let answer = fold(FROM, &streamed(&seal, events())).unwrap();
        assert_eq!(answer.candidates[0].parts.len(), parts);
        assert_eq!(matches!(answer.candidates[0].parts[0], Part::Reasoning(_)), thinking);
    }
}

#[test]
fn proofs_of_texts_do_not_surprise_callers_who_asked_for_no_thoughts() {
    for (to, carriage) in carriages() {
        let seal = Seal::new(Issuer { protocol: FROM, group: "google" }, to, carriage, Asked::default()).unwrap();
        let mut answer = fold(FROM, &told()).unwrap();
        seal.response(&mut answer);
        let parts = &answer.candidates[0].parts;
        let kept =
            parts.iter().any(|part| matches!(part, Part::Text(text) if text.ext.get("thoughtSignature").is_some()));
        assert_eq!(kept, !carriage.aside, "{to}");
        let lone = parts.iter().any(|part| matches!(part, Part::Opaque(_)));
        assert_eq!(lone, !carriage.aside, "{to}");
    }
}

/// OpenRouter's thoughts: in words with their proof, and without either.
fn detailed() -> Vec<Event> {
    let start = |index| Event::PartStart { index, candidate: 0, kind: PartKind::Reasoning };
    let details = |index, list: &str| Event::Extra {
        origin: CHAT,
        scope: Scope::Part(index),
        ext: member("reasoning_details", list),
    };
    let text = |index, text: &str| Event::Delta { index, delta: Delta::Text(text.to_owned()) };
    vec![
        start(0),
        text(0, "one"),
        details(0, r#"[{"type":"reasoning.text","text":"one","index":0}]"#),
        details(0, r#"[{"type":"reasoning.text","signature":"s","index":0}]"#),
        Event::PartEnd { index: 0 },
        start(1),
        details(1, r#"[{"type":"reasoning.encrypted","data":"e"}]"#),
        Event::PartEnd { index: 1 },
        start(2),
        text(2, "bare"),
        details(2, r#"[{"type":"reasoning.text","text":"bare"}]"#),
        Event::PartEnd { index: 2 },
    ]
}

const CHAT: ProtocolId = ProtocolId::OpenAiChat;

#[test]
fn details_of_reasoning_are_sealed_as_one_and_reported_where_they_prove_nothing() {
    for to in
        [ProtocolId::AnthropicMessages, ProtocolId::OpenAiResponses, ProtocolId::Gemini, ProtocolId::BedrockConverse]
    {
        let carriage = to.codec().unwrap().carriage();
        let seal = Seal::new(Issuer { protocol: CHAT, group: "openrouter" }, to, carriage, Asked::default()).unwrap();
        let answer = fold(CHAT, &streamed(&seal, detailed())).unwrap();
        let thoughts: Vec<&Reasoning> = answer.candidates[0]
            .parts
            .iter()
            .map(|part| if let Part::Reasoning(thoughts) = part { thoughts } else { panic!("{part:?}") })
            .collect();
        let [worded, withheld, bare] = *thoughts else { panic!("{thoughts:?}") };
        let opened = |thoughts: &Reasoning| match Token::read(&thoughts.signature.as_ref().unwrap().value) {
            Read::Sealed(token) => token.value,
            read => panic!("{read:?}"),
        };
        let list = r#"[{"text":"one","type":"reasoning.text","index":0,"signature":"s"}]"#;
        let same = |a: &str, b: &str| {
            let [a, b] = [a, b].map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
            assert_eq!(a, b);
        };
        same(&opened(worded), list);
        assert_eq!(opened(withheld), r#"[{"type":"reasoning.encrypted","data":"e"}]"#);
        assert!(worded.ext.is_empty() && withheld.ext.is_empty());
        assert!(bare.ext.get("reasoning_details").is_some(), "the encoder reports it");
    }
}

#[test]
fn whole_details_stay_byte_for_byte() {
    let list = r#"[ {"type":"reasoning.text", "text":"one","signature":"s"} ]"#;
    let thoughts = Reasoning { text: "one".to_owned(), ext: member("reasoning_details", list), ..Reasoning::default() };
    let candidate =
        crate::wire::ir::Candidate { parts: vec![Part::Reasoning(thoughts)], finish: None, ext: Ext::default() };
    let (id, model, created, usage, ext) = Default::default();
    let mut answer = Response { origin: CHAT, id, model, created, candidates: vec![candidate], usage, ext };
    let to = ProtocolId::AnthropicMessages;
    let carriage = to.codec().unwrap().carriage();
    let seal = Seal::new(Issuer { protocol: CHAT, group: "openrouter" }, to, carriage, Asked::default()).unwrap();
    seal.response(&mut answer);
    let [Part::Reasoning(thoughts)] = &*answer.candidates[0].parts else { panic!("{answer:?}") };
    let Read::Sealed(token) = Token::read(&thoughts.signature.as_ref().unwrap().value) else { panic!("{thoughts:?}") };
    assert_eq!((token.value.as_str(), token.kind), (list, Kind::Signature));
}
