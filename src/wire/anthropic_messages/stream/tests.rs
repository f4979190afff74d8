//! The grammar of what the encoder writes, by a small automaton, and its answers to unruly streams.

use serde_json::{Value, json};

use super::super::AnthropicMessages;
use super::super::test_support::{decode_request, generate};
use crate::wire::frame::{Decoder as FrameDecoder, Framing};
use crate::wire::ir::{Delta, Error, ErrorKind, Event, Finish, FinishReason, PartKind, Signature, Usage};
use crate::wire::{Inbound, ProtocolId};

struct Written {
    events: Vec<Value>,
    losses: String,
}

fn write(events: &[Event]) -> Written {
    let request = decode_request(r#"{"model":"asked","max_tokens":1,"messages":[]}"#);
    let mut encoder = AnthropicMessages.stream_encoder(&generate(), &request);
    let mut out = Vec::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    encoder.finish(&mut out);
    let losses = encoder.losses().to_string();
    let mut read = Vec::new();
    let mut each = |frame: crate::wire::frame::Frame<'_>| {
        let data: Value = serde_json::from_str(frame.data).unwrap();
        assert_eq!(data["type"], frame.event, "the `event:` line names the type");
        read.push(data);
    };
    let mut frames = FrameDecoder::new(Framing::Sse, 1 << 22);
    frames.push(&out, &mut each).unwrap();
    frames.finish(&mut each).unwrap();
    check_grammar(&read);
    Written { events: read, losses }
}

/// What may come next in a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Grammar {
    Start,
    Between { next: u64 },
    Open { block: u64, empty: bool },
    Delta,
    End,
}

fn check_grammar(events: &[Value]) {
    let mut now = Grammar::Start;
    for event in events {
        let index = event["index"].as_u64();
        now = match (now, event["type"].as_str().unwrap()) {
            (Grammar::Start, "message_start") => {
                assert!(event["message"]["usage"].is_object());
                Grammar::Between { next: 0 }
            }
            (now, "ping") if now != Grammar::End && now != Grammar::Start => now,
            (Grammar::Between { next }, "content_block_start") => {
                assert_eq!(index, Some(next));
                let may_be_empty = event["content_block"]["type"] != "text";
                Grammar::Open { block: next, empty: !may_be_empty }
            }
            (Grammar::Open { block, .. }, "content_block_delta") => {
                assert_eq!(index, Some(block));
                Grammar::Open { block, empty: false }
            }
            (Grammar::Open { block, empty }, "content_block_stop") => {
                assert_eq!((index, empty), (Some(block), false));
                Grammar::Between { next: block + 1 }
            }
            (Grammar::Between { .. }, "message_delta") => Grammar::Delta,
            (Grammar::Delta, "message_stop") => Grammar::End,
            (now, "error") if now != Grammar::End => Grammar::End,
            (now, other) => panic!("`{other}` in {now:?}"),
        };
    }
    assert_eq!(now, Grammar::End);
}

fn start() -> Event {
    Event::Start { id: Some("chatcmpl-1".into()), model: Some("answered".into()), created: Some(5) }
}

fn begin(index: u32, kind: PartKind) -> Event {
    Event::PartStart { index, candidate: 0, kind }
}

fn call(index: u32, id: &str, name: &str) -> Event {
    begin(index, PartKind::ToolCall { id: Some(id.into()), name: name.into() })
}

fn text(index: u32, text: &str) -> Event {
    Event::Delta { index, delta: Delta::Text(text.into()) }
}

fn arguments(index: u32, text: &str) -> Event {
    Event::Delta { index, delta: Delta::Arguments(text.into()) }
}

fn end(index: u32) -> Event {
    Event::PartEnd { index }
}

fn finish(reason: FinishReason) -> Event {
    Event::Finish { candidate: 0, finish: Finish::new(reason) }
}

impl Written {
    fn all(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["type"] == kind).collect()
    }

    /// The blocks, put together as a client does.
    fn blocks(&self) -> Vec<Value> {
        let mut blocks: Vec<Value> = Vec::new();
        for event in &self.events {
            if event["type"] == "content_block_start" {
                blocks.push(event["content_block"].clone());
            }
            let (Some(block), "content_block_delta") = (blocks.last_mut(), event["type"].as_str().unwrap()) else {
                continue;
            };
            let (member, target) = match event["delta"]["type"].as_str().unwrap() {
                "text_delta" => ("text", "text"),
                "thinking_delta" => ("thinking", "thinking"),
                "signature_delta" => ("signature", "signature"),
                _ => ("partial_json", "json"),
            };
            let known = block[target].as_str().unwrap_or_default().to_owned();
            block[target] = Value::String(known + event["delta"][member].as_str().unwrap());
        }
        blocks
    }

    fn stop_reason(&self) -> &str {
        self.all("message_delta")[0]["delta"]["stop_reason"].as_str().unwrap()
    }
}

#[test]
fn a_plain_answer() {
    let usage = Usage { input: Some(110), cache_read: Some(100), output: Some(3), ..Usage::default() };
    let written = write(&[
        start(),
        begin(0, PartKind::Text),
        text(0, "He"),
        text(0, ""),
        text(0, "llo"),
        end(0),
        finish(FinishReason::Stop),
        Event::Usage(usage),
    ]);
    let kinds: Vec<&str> = written.events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(written.events[0]["message"]["model"], "answered");
    assert_eq!(
        written.all("message_delta")[0]["usage"],
        json!({"input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 3})
    );
    assert_eq!((written.stop_reason(), written.losses.as_str()), ("end_turn", ""));
}

#[test]
fn interleaved_calls_come_one_after_the_other() {
    let written = write(&[
        start(),
        begin(0, PartKind::Text),
        text(0, "Both."),
        end(0),
        call(1, "call_a", "a"),
        arguments(1, "{\"x\":"),
        call(2, "call_b", "b"),
        arguments(2, "{\"y\":"),
        arguments(1, "1}"),
        arguments(2, "2}"),
        end(2),
        end(1),
        finish(FinishReason::Stop),
    ]);
    let blocks = written.blocks();
    assert_eq!(blocks[1], json!({"type": "tool_use", "id": "call_a", "name": "a", "input": {}, "json": "{\"x\":1}"}));
    assert_eq!(blocks[2], json!({"type": "tool_use", "id": "call_b", "name": "b", "input": {}, "json": "{\"y\":2}"}));
    assert_eq!(written.stop_reason(), "tool_use");
}

#[test]
fn no_arguments_are_one_empty_piece() {
    for pieces in [&[][..], &[""], &["null"], &["nu", "ll"]] {
        let mut events = vec![start(), call(0, "call_a", "now")];
        events.extend(pieces.iter().map(|piece| arguments(0, piece)));
        events.extend([end(0), finish(FinishReason::ToolCalls)]);
        let deltas: Vec<Value> = write(&events).all("content_block_delta").into_iter().cloned().collect();
        assert_eq!(deltas.len(), 1, "{pieces:?}");
        assert_eq!(deltas[0]["delta"], json!({"type": "input_json_delta", "partial_json": ""}));
    }
    let written = write(&[
        start(),
        call(0, "c", "f"),
        arguments(0, "n"),
        arguments(0, "o"),
        end(0),
        finish(FinishReason::Length),
    ]);
    assert_eq!((written.blocks()[0]["json"].as_str(), written.stop_reason()), (Some("no"), "max_tokens"));
}

#[test]
fn no_block_is_empty_and_none_is_left_open() {
    let written = write(&[
        start(),
        begin(0, PartKind::Text),
        begin(1, PartKind::Reasoning),
        text(1, "hm"),
        call(2, "call_a", "a"),
        text(0, "late"),
        finish(FinishReason::Stop),
    ]);
    let types: Vec<String> = written.blocks().iter().map(|block| block["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(types, ["thinking", "text", "tool_use"]);
    assert_eq!(
        write(&[start(), begin(0, PartKind::Text), end(0), finish(FinishReason::Stop)]).blocks(),
        Vec::<Value>::new()
    );
    assert_eq!(write(&[]).stop_reason(), "end_turn");
}

#[test]
fn only_anthropics_signature_is_shown() {
    let proof = |issuer| Event::Delta { index: 0, delta: Delta::Signature(Signature { issuer, value: "c2ln".into() }) };
    let own = write(&[start(), begin(0, PartKind::Reasoning), proof(ProtocolId::AnthropicMessages), end(0)]);
    assert_eq!(own.blocks(), [json!({"type": "thinking", "thinking": "", "signature": "c2ln"})]);
    let foreign = write(&[start(), begin(0, PartKind::Reasoning), text(0, "hm"), proof(ProtocolId::Gemini), end(0)]);
    assert_eq!(foreign.blocks(), [json!({"type": "thinking", "thinking": "hm", "signature": ""})]);
    assert_eq!(foreign.losses, "content.signature=dropped");
}

#[test]
fn missing_and_illegal_ids_and_names_become_legal() {
    let nameless = begin(0, PartKind::ToolCall { id: None, name: "fs.read".into() });
    let written =
        write(&[start(), nameless, end(0), call(1, "functions.g:1", "g"), end(1), finish(FinishReason::Stop)]);
    for block in written.blocks() {
        let legal =
            |member: &str| block[member].as_str().unwrap().chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        assert!(legal("id") && legal("name"), "{block}");
    }
    assert_eq!(written.blocks()[0]["name"], "fs_x2e_read");
}

#[test]
fn nothing_follows_an_error() {
    let problem = Event::Error(Error::new(ErrorKind::Overloaded, "Overloaded"));
    let written = write(&[start(), begin(0, PartKind::Text), text(0, "He"), problem, text(0, "llo"), end(0)]);
    assert_eq!(
        written.events.last().unwrap(),
        &json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    );
}

#[test]
fn a_second_answer_is_left_out_and_said_so() {
    let written = write(&[
        start(),
        begin(0, PartKind::Text),
        text(0, "a"),
        Event::PartStart { index: 1, candidate: 1, kind: PartKind::Text },
        text(1, "b"),
        end(0),
        end(1),
        finish(FinishReason::Stop),
        Event::Finish { candidate: 1, finish: Finish::new(FinishReason::Length) },
    ]);
    assert_eq!(written.blocks(), [json!({"type": "text", "text": "a"})]);
    assert_eq!((written.stop_reason(), written.losses.as_str()), ("end_turn", "choices=dropped"));
}

#[test]
fn a_refusal_is_text_and_a_reason() {
    let written = write(&[start(), begin(0, PartKind::Refusal), text(0, "No."), end(0), finish(FinishReason::Stop)]);
    assert_eq!((written.blocks()[0]["text"].as_str(), written.stop_reason()), (Some("No."), "refusal"));
}

#[test]
fn arguments_of_any_size_and_cut_come_whole() {
    for size in [0, 1, 10, 1000, 1 << 20] {
        let whole = format!("{{\"text\":\"{}\"}}", "x".repeat(size));
        for cut in [1, 7, 4096, 1 << 21] {
            if whole.len() / cut > 2000 {
                continue;
            }
            let mut events = vec![start(), call(0, "c", "f")];
            let pieces = whole.as_bytes().chunks(cut).map(|piece| arguments(0, std::str::from_utf8(piece).unwrap()));
            events.extend(pieces);
            events.extend([end(0), finish(FinishReason::ToolCalls)]);
            assert_eq!(write(&events).blocks()[0]["json"], whole);
        }
    }
}
