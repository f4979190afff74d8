//! What streams carry besides words and calls.

use serde_json::{Value, json};

use super::{stream_decode, stream_encode};
use crate::wire::frame::Frame;
use crate::wire::ir::{Event, Scope};
use crate::wire::{Head, Operation, ProtocolId, StreamDecoder, StreamEncoder};

fn read(chunks: &[Value]) -> Vec<Event> {
    let mut decoder = stream_decode::Decoder::default();
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.frame(&Frame { event: "", data: &chunk.to_string() }, &mut events);
    }
    decoder.frame(&Frame { event: "", data: "[DONE]" }, &mut events);
    events
}

fn chunk(delta: &Value) -> Value {
    json!({ "id": "c", "model": "m", "created": 1, "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn last() -> Value {
    json!({ "id": "c", "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] })
}

fn extras(events: &[Event]) -> Vec<(Scope, Value)> {
    let extra = |event: &Event| match event {
        Event::Extra { origin, scope, ext } => {
            assert_eq!(*origin, ProtocolId::OpenAiChat);
            let members = ext.0.iter().map(|(key, raw)| (key.clone(), serde_json::from_str(raw.get()).unwrap()));
            Some((*scope, Value::Object(members.collect())))
        }
        _ => None,
    };
    events.iter().filter_map(extra).collect()
}

/// What an encoder of `protocol` reports of the events as lost.
fn losses(protocol: ProtocolId, events: &[Event]) -> String {
    let codec = protocol.codec().and_then(crate::wire::Protocol::inbound).unwrap();
    let head = Head { operation: Operation::Generate, path_model: Some("m"), path_stream: true, alt_sse: true };
    let chat = ProtocolId::OpenAiChat.codec().and_then(crate::wire::Protocol::inbound).unwrap();
    let request = chat.decode_request(&head, br#"{"model":"m","messages":[],"stream":true}"#).unwrap();
    let mut encoder = codec.stream_encoder(&head, &request);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(&mut out);
    encoder.losses().to_string()
}

fn annotation() -> Value {
    let page = json!({ "start_index": 0, "end_index": 2, "url": "https://example.com", "title": "t" });
    json!({ "type": "url_citation", "url_citation": page })
}

/// One stream with everything that vendors add.
fn rich() -> Vec<Value> {
    let citations = json!(["https://example.com"]);
    let mut cited = chunk(&json!({ "role": "assistant", "content": "hi", "annotations": [annotation()] }));
    cited["citations"] = citations.clone();
    cited["obfuscation"] = json!("xxxx");
    let mut again = chunk(&json!({ "content": " there", "annotations": [], "refusal": null }));
    again["citations"] = citations;
    again["choices"][0]["logprobs"] = json!({ "content": [{ "token": " there", "logprob": -0.5 }] });
    vec![
        chunk(&json!({ "reasoning": "hm", "reasoning_details": [{ "type": "reasoning.text", "text": "hm" }] })),
        cited,
        again,
        chunk(&json!({ "reasoning_details": [{ "type": "reasoning.encrypted", "data": "AAAA" }] })),
        chunk(&json!({ "audio": { "id": "a", "data": "UklGRg==" } })),
        last(),
    ]
}

#[test]
fn what_nobody_modelled_is_told_once_and_in_its_place() {
    let events = read(&rich());
    assert!(matches!(events.first(), Some(Event::Start { .. })), "{events:?}");
    let cited = json!({
        "verbatim": annotation(), "start": 0, "end": 2, "url": "https://example.com", "title": "t", "quote": null,
        "file": null, "place": null, "unsaid": []
    });
    assert_eq!(
        extras(&events),
        [
            (Scope::Part(0), json!({ "reasoning_details": [{ "type": "reasoning.text", "text": "hm" }] })),
            (Scope::Response, json!({ "citations": ["https://example.com"] })),
            (Scope::Candidate(0), json!({ "logprobs": { "content": [{ "token": " there", "logprob": -0.5 }] } })),
            (Scope::Part(1), json!({ "#citations": [cited] })),
            (Scope::Part(2), json!({ "reasoning_details": [{ "type": "reasoning.encrypted", "data": "AAAA" }] })),
            (Scope::Candidate(0), json!({ "message.audio": { "id": "a", "data": "UklGRg==" } })),
        ]
    );
}

#[test]
fn members_before_the_first_choice_wait_for_the_start() {
    let azure = json!({ "id": "", "model": "", "choices": [], "prompt_filter_results": [{ "prompt_index": 0 }] });
    let events = read(&[azure, chunk(&json!({ "content": "hi" })), last()]);
    assert!(matches!(events.first(), Some(Event::Start { id: Some(id), .. }) if id == "c"), "{events:?}");
    assert_eq!(extras(&events), [(Scope::Response, json!({ "prompt_filter_results": [{ "prompt_index": 0 }] }))]);
}

#[test]
fn other_protocols_report_it_as_lost() {
    let events = read(&rich());
    for protocol in [ProtocolId::AnthropicMessages, ProtocolId::Gemini] {
        let losses = losses(protocol, &events);
        for field in ["content.reasoning_details", "citations", "choices.logprobs", "choices.message.audio"] {
            assert!(losses.split(", ").any(|loss| loss == format!("{field}=dropped")), "{protocol}: {field}: {losses}");
        }
    }
    assert!(losses(ProtocolId::AnthropicMessages, &events).contains("content.citations.start_index=degraded"));
    assert_eq!(losses(ProtocolId::OpenAiChat, &events), "");
}

#[test]
fn this_protocols_own_encoder_writes_it_back() {
    let events = read(&rich());
    let mut encoder = stream_encode::Encoder::new(false);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    let text = String::from_utf8(out).unwrap();
    let chunks: Vec<Value> =
        text.split("\n\n").filter_map(|frame| serde_json::from_str(frame.strip_prefix("data: ")?).ok()).collect();
    assert_eq!(extras(&read(&chunks)), extras(&events), "{text}");
}

#[test]
fn members_of_usage_are_lost_by_their_names_and_written_back_in_this_protocol() {
    let mut counted = last();
    counted["usage"] = json!({
        "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "queue_time": 0.5, "is_byok": false,
        "prompt_tokens_details": { "cached_tokens": 4, "text_tokens": 6 },
    });
    let events = read(&[chunk(&json!({ "content": "hi" })), counted.clone()]);
    for protocol in [ProtocolId::AnthropicMessages, ProtocolId::Gemini, ProtocolId::BedrockConverse] {
        let losses = losses(protocol, &events);
        assert_eq!(losses, "usage.queue_time=dropped, usage.prompt_tokens_details.text_tokens=dropped", "{protocol}");
    }
    let mut encoder = stream_encode::Encoder::new(true);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let last =
        text.split("\n\n").filter_map(|frame| serde_json::from_str::<Value>(frame.strip_prefix("data: ")?).ok()).last();
    assert_eq!(last.unwrap()["usage"], counted["usage"], "{text}");
}
