use serde_json::{Value, json};

use super::*;
use crate::wire::frame::{Decoder as FrameDecoder, Framing};
use crate::wire::ir::message::Opaque;
use crate::wire::ir::{Delta, Error, ErrorKind, Event, Finish, FinishReason, PartKind, Scope, Signature, Usage};
use crate::wire::json::{Ext, raw};
use crate::wire::{Head, Operation, ProtocolId, StreamDecoder as _, StreamEncoder as _};

fn decoded(framing: Framing, bytes: &[u8]) -> Vec<Event> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    let mut frames = FrameDecoder::new(framing, 1 << 20);
    frames.push(bytes, &mut |frame| decoder.frame(&frame, &mut events)).unwrap();
    frames.finish(&mut |frame| decoder.frame(&frame, &mut events)).unwrap();
    decoder.finish(&mut events);
    events
}

/// The events of chunks whose only candidate has these members.
fn events(candidates: &[Value]) -> Vec<Event> {
    let chunk = |candidate: &Value| format!("data: {}\r\n\r\n", json!({"candidates": [candidate]}));
    decoded(Framing::Sse, candidates.iter().map(chunk).collect::<String>().as_bytes())
}

fn part(part: Value) -> Value {
    json!({"content": {"parts": [part], "role": "model"}, "index": 0})
}

fn stop() -> Value {
    json!({"finishReason": "STOP", "index": 0})
}

fn encoded(alt_sse: bool, events: &[Event]) -> String {
    let mut encoder = Encoder::new(alt_sse);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(&mut out);
    String::from_utf8(out).unwrap()
}

fn signature(value: &str) -> Signature {
    Signature { issuer: ProtocolId::Gemini, value: value.into() }
}

fn start() -> Event {
    Event::Start { id: None, model: None, created: None }
}

fn finish(reason: FinishReason) -> Event {
    Event::Finish { candidate: 0, finish: Finish { reason, raw: Some("STOP".into()), stop_sequence: None } }
}

#[test]
fn a_call_in_an_earlier_chunk_makes_the_stop_a_call() {
    let call = json!({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"});
    let kind = PartKind::ToolCall { id: None, name: "f".into() };
    let expected = [
        start(),
        Event::PartStart { index: 0, candidate: 0, kind },
        Event::Delta { index: 0, delta: Delta::Signature(signature("s")) },
        Event::Delta { index: 0, delta: Delta::Arguments(r#"{"a":1}"#.into()) },
        Event::PartEnd { index: 0 },
        finish(FinishReason::ToolCalls),
    ];
    assert_eq!(events(&[part(call), stop()]), expected);
}

#[test]
fn parallel_calls_have_numbers_of_their_own() {
    let call = |name: &str| json!({"functionCall": {"name": name, "args": {}}});
    let both = json!({"content": {"parts": [call("a"), call("b")]}});
    let starts = |event: &Event| matches!(event, Event::PartStart { .. });
    let indices: Vec<u32> = events(&[both, part(call("c")), stop()])
        .iter()
        .filter(|event| starts(event))
        .map(|event| match event {
            Event::PartStart { index, .. } => *index,
            _ => panic!("a start"),
        })
        .collect();
    assert_eq!(indices, [0, 1, 2]);
}

#[test]
fn a_late_signature_belongs_to_its_text() {
    let chunks = [
        part(json!({"text": "hm", "thought": true})),
        part(json!({"text": "a"})),
        part(json!({"text": ""})),
        part(json!({"text": "b"})),
        json!({"content": {"parts": [{"text": "", "thoughtSignature": "s"}]}, "finishReason": "STOP"}),
    ];
    let ext = Ext(vec![("thoughtSignature".into(), raw("\"s\"").unwrap())]);
    let expected = [
        start(),
        Event::PartStart { index: 0, candidate: 0, kind: PartKind::Reasoning },
        Event::Delta { index: 0, delta: Delta::Text("hm".into()) },
        Event::PartEnd { index: 0 },
        Event::PartStart { index: 1, candidate: 0, kind: PartKind::Text },
        Event::Delta { index: 1, delta: Delta::Text("a".into()) },
        Event::Delta { index: 1, delta: Delta::Text("b".into()) },
        Event::Extra { origin: ProtocolId::Gemini, scope: Scope::Part(1), ext },
        Event::PartEnd { index: 1 },
        finish(FinishReason::Stop),
    ];
    assert_eq!(events(&chunks), expected);
}

#[test]
fn a_signature_without_a_text_stays_as_it_is() {
    let lone = json!({"text": "", "thoughtSignature": "s"});
    let all = events(&[part(lone.clone()), stop()]);
    let Event::PartStart { kind: PartKind::Opaque(Opaque { raw, .. }), .. } = &all[1] else { panic!("{all:?}") };
    assert_eq!(serde_json::from_str::<Value>(raw.get()).unwrap(), lone);
}

#[test]
fn a_repeated_finish_ends_once() {
    let chunks = [json!({"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}), stop()];
    let ends = events(&chunks).iter().filter(|event| matches!(event, Event::Finish { .. })).count();
    assert_eq!(ends, 1);
}

#[test]
fn a_blocked_prompt_is_a_filtered_answer() {
    let chunk = br#"data: {"promptFeedback":{"blockReason":"SAFETY"}}"#;
    let Some(Event::Finish { finish, .. }) = decoded(Framing::Sse, chunk).pop() else { panic!("an end") };
    assert_eq!(finish.reason, FinishReason::ContentFilter);
    let events = decoded(Framing::Sse, chunk);
    assert_eq!(encoded(true, &events), "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\r\n\r\n");
}

#[test]
fn a_stream_without_its_end_was_cut() {
    for events in [events(&[part(json!({"text": "a"}))]), events(&[])] {
        assert!(matches!(events.last(), Some(Event::Error(error)) if error.kind == ErrorKind::Truncated), "{events:?}");
    }
}

#[test]
fn errors_end_a_stream() {
    for text in [
        "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}\n\ndata: [DONE]\n\n",
        "data: [{\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}]\n\ndata: {\"candidates\":[]}\n\n",
    ] {
        let events = decoded(Framing::Sse, text.as_bytes());
        let [Event::Error(error)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((error.kind, error.status), (ErrorKind::Overloaded, 503));
    }
    let broken = decoded(Framing::Sse, b"data: {\"candidates\":\n\n");
    assert!(matches!(broken.as_slice(), [Event::Error(error)] if error.kind == ErrorKind::Upstream));
}

#[test]
fn usage_comes_before_content_and_only_when_new() {
    let chunk = |text: &str, said: u64| {
        let chunk = json!({"candidates": [part(json!({"text": text}))],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": said, "totalTokenCount": 3 + said}});
        format!("data: {chunk}\n\n")
    };
    let events = decoded(Framing::Sse, [chunk("a", 1), chunk("b", 1), chunk("c", 2)].concat().as_bytes());
    let usages: Vec<usize> =
        events.iter().enumerate().filter(|(_, event)| matches!(event, Event::Usage(_))).map(|(at, _)| at).collect();
    assert_eq!(usages, [1, 5], "{events:?}");
}

#[test]
fn pieces_of_arguments_are_one_call() {
    let chunks = [
        part(json!({"functionCall": {"name": "f", "willContinue": true}, "thoughtSignature": "s"})),
        part(
            json!({"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "x", "willContinue": true}], "willContinue": true}}),
        ),
        part(json!({"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "y"}], "willContinue": true}})),
        json!({"content": {"parts": [{"functionCall": {}}]}, "finishReason": "STOP"}),
    ];
    let kind = PartKind::ToolCall { id: None, name: "f".into() };
    let expected = [
        start(),
        Event::PartStart { index: 0, candidate: 0, kind },
        Event::Delta { index: 0, delta: Delta::Signature(signature("s")) },
        Event::Delta { index: 0, delta: Delta::Arguments(r#"{"a":"xy"}"#.into()) },
        Event::PartEnd { index: 0 },
        finish(FinishReason::ToolCalls),
    ];
    assert_eq!(events(&chunks), expected);
}

/// A stream as another protocol tells it: usage after the end, arguments in pieces.
fn foreign() -> Vec<Event> {
    let usage = Usage { input: Some(10), output: Some(7), reasoning: Some(2), ..Usage::default() };
    let call = PartKind::ToolCall { id: Some("call_1".into()), name: "f".into() };
    let end = Finish { reason: FinishReason::ToolCalls, raw: Some("tool_calls".into()), stop_sequence: None };
    vec![
        Event::Start { id: Some("r".into()), model: Some("m".into()), created: Some(1) },
        Event::PartStart { index: 0, candidate: 0, kind: PartKind::Text },
        Event::Delta { index: 0, delta: Delta::Text("hi".into()) },
        Event::PartEnd { index: 0 },
        Event::PartStart { index: 1, candidate: 0, kind: call },
        Event::Delta { index: 1, delta: Delta::Arguments("{\"a\"".into()) },
        Event::Ping,
        Event::Delta { index: 1, delta: Delta::Arguments(":1}".into()) },
        Event::PartEnd { index: 1 },
        Event::Finish { candidate: 0, finish: end },
        Event::Usage(usage),
    ]
}

#[test]
fn calls_are_whole_and_the_end_has_usage() {
    let expected = concat!(
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"}],\"role\":\"model\"},\"index\":0}],",
        "\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"call_1\",\"name\":\"f\",\"args\":{\"a\":1}}}],",
        "\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\n",
        "data: {\"candidates\":[{\"content\":{\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],",
        "\"usageMetadata\":{\"promptTokenCount\":10,\"candidatesTokenCount\":5,\"thoughtsTokenCount\":2,\"totalTokenCount\":17},",
        "\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\n",
    );
    assert_eq!(encoded(true, &foreign()), expected);
}

#[test]
fn without_alt_sse_a_stream_is_one_array() {
    let whole: Vec<Value> = serde_json::from_str(&encoded(false, &foreign())).unwrap();
    assert_eq!(whole.len(), 3);
    let mut cut = foreign();
    cut.truncate(3);
    cut.push(Event::Error(Error::new(ErrorKind::Overloaded, "busy")));
    let cut: Vec<Value> = serde_json::from_str(&encoded(false, &cut)).unwrap();
    assert_eq!(cut[1]["error"]["status"], "UNAVAILABLE");
    let at_once: Vec<Value> =
        serde_json::from_str(&encoded(false, &[Event::Error(Error::new(ErrorKind::Timeout, "slow"))])).unwrap();
    assert_eq!(at_once.len(), 1);
}

#[test]
fn an_error_after_chunks_closes_the_array() {
    let mut encoder = Encoder::new(false);
    let mut out = Vec::new();
    foreign().iter().take(3).for_each(|event| encoder.event(event, &mut out));
    let head = Head { operation: Operation::Generate, path_model: None, path_stream: true, alt_sse: false };
    encode_error(&Error::new(ErrorKind::Truncated, "cut"), &head, &mut out);
    let chunks: Vec<Value> = serde_json::from_slice(&out).unwrap();
    assert_eq!(chunks[1]["error"]["message"], "cut");
    let mut out = Vec::new();
    encode_error(&Error::new(ErrorKind::Truncated, "cut"), &Head { alt_sse: true, ..head }, &mut out);
    assert!(out.starts_with(b"data: {\"error\":") && out.ends_with(b"\r\n\r\n"));
}

#[test]
fn chunks_members_survive_the_hub() {
    let chunks = [
        json!({"candidates": [{"content": {"parts": [{"text": "a"}], "role": "model"}, "index": 0, "safetyRatings": [1]}],
            "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3, "serviceTier": "standard"}, "createTime": "t"}),
        json!({"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}], "role": "model"},
            "index": 0}], "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3, "serviceTier": "standard"}, "createTime": "t"}),
        json!({"candidates": [{"content": {"role": "model"}, "finishReason": "STOP", "index": 0, "groundingMetadata": {"a": 1}}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}, "createTime": "t"}),
    ];
    let array = Value::from(chunks.to_vec()).to_string();
    let again = encoded(false, &decoded(Framing::JsonArray, array.as_bytes()));
    let again: Vec<Value> = serde_json::from_str(&again).unwrap();
    assert_eq!(again[0], chunks[0]);
    assert_eq!(again[1], chunks[1]);
    assert_eq!(again[2]["candidates"], chunks[2]["candidates"]);
    assert_eq!(again[2]["usageMetadata"], chunks[2]["usageMetadata"]);
}
