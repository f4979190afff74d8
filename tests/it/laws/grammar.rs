//! The grammar of each protocol's streams: what official clients rely on.

use std::collections::BTreeMap;

use routeplane::wire::ProtocolId;
use routeplane::wire::frame::{Decoder, Frame, Framing};
use serde_json::Value;

/// Asserts that `stream` is a clean stream of `protocol`.
pub(crate) fn check(protocol: ProtocolId, stream: &[u8], case: &str) {
    let frames = frames(protocol, stream);
    match protocol {
        ProtocolId::OpenAiChat => chat(&frames, case),
        ProtocolId::AnthropicMessages => messages(&frames, case),
        ProtocolId::Gemini => gemini(&frames, case),
        ProtocolId::OpenAiResponses => responses(&frames, case),
        ProtocolId::BedrockConverse => converse(&frames, case),
        ProtocolId::TensorZero | ProtocolId::TensorZeroChat => panic!("{case}: only callers speak it"),
    }
}

fn frames(protocol: ProtocolId, stream: &[u8]) -> Vec<(String, String)> {
    let framing = if protocol == ProtocolId::BedrockConverse { Framing::EventStream } else { Framing::Sse };
    let mut frames = Vec::new();
    let mut decoder = Decoder::new(framing, 1 << 24);
    let mut each = |frame: Frame<'_>| frames.push((frame.event.to_owned(), frame.data.to_owned()));
    decoder.push(stream, &mut each).unwrap();
    decoder.finish(&mut each).unwrap();
    frames
}

/// One role first, calls numbered from 0, exactly one finish per choice, nothing of a choice after it, `[DONE]` last.
fn chat(frames: &[(String, String)], case: &str) {
    let ((_, last), chunks) = frames.split_last().unwrap();
    assert_eq!(last, "[DONE]", "{case}");
    let mut finished: BTreeMap<u64, bool> = BTreeMap::new();
    let mut calls: BTreeMap<u64, u64> = BTreeMap::new();
    for (position, (event, data)) in chunks.iter().enumerate() {
        assert_eq!(event, "", "{case}: chunks have no names");
        let chunk: Value = serde_json::from_str(data).unwrap();
        assert!(chunk["id"].is_string() && chunk["model"].is_string() && chunk["created"].is_u64(), "{case}: {data}");
        assert_eq!(chunk["object"], "chat.completion.chunk", "{case}");
        let choices = chunk["choices"].as_array().unwrap();
        assert!(
            !choices.is_empty() || position + 1 == chunks.len(),
            "{case}: only the last chunk, with usage, has no choice"
        );
        for choice in choices {
            let index = choice["index"].as_u64().unwrap();
            assert!(choice["delta"].is_object(), "{case}: each choice has a delta, be it empty: {data}");
            let is_first = !finished.contains_key(&index);
            assert_eq!(choice["delta"]["role"].is_string(), is_first, "{case}: one role chunk, first: {data}");
            assert_ne!(finished.get(&index), Some(&true), "{case}: a choice goes on after its finish: {data}");
            finished.insert(index, choice["finish_reason"].is_string());
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                let known = calls.entry(index).or_insert(0);
                if call["id"].is_string() {
                    assert_eq!(call["index"].as_u64(), Some(*known), "{case}: calls are numbered from 0");
                    let named = call["function"]["name"].is_string() || call["custom"]["name"].is_string();
                    assert!(named, "{case}: a call begins with its name");
                    *known += 1;
                } else {
                    assert!(call["index"].as_u64().unwrap() < *known, "{case}: a call begins before its arguments");
                }
            }
        }
    }
    assert!(!finished.is_empty() && finished.values().all(|finished| *finished), "{case}: each choice has its finish");
}

/// `message_start`, blocks one after another, `message_delta`, `message_stop`; names equal types.
fn messages(frames: &[(String, String)], case: &str) {
    let mut open: Option<u64> = None;
    let mut next = 0;
    let mut stage = 0;
    for (event, data) in frames {
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"], event.as_str(), "{case}: the name of an event is its type");
        match event.as_str() {
            "message_start" => {
                assert_eq!(stage, 0, "{case}: `message_start` comes first");
                assert!(data["message"]["usage"].is_object(), "{case}: clients read the usage of `message_start`");
                stage = 1;
            }
            "content_block_start" => {
                assert_eq!((stage, open, data["index"].as_u64()), (1, None, Some(next)), "{case}: blocks in a row");
                open = Some(next);
                next += 1;
            }
            "content_block_delta" => {
                assert_eq!((data["index"].as_u64(), stage), (open, 1), "{case}: deltas of the open block")
            }
            "content_block_stop" => {
                assert_eq!(data["index"].as_u64(), open, "{case}: the open block stops");
                open = None;
            }
            "message_delta" => {
                assert_eq!((stage, open), (1, None), "{case}: `message_delta` after all blocks");
                assert!(data["delta"]["stop_reason"].is_string(), "{case}: a reason");
                stage = 2;
            }
            "message_stop" => {
                assert_eq!(stage, 2, "{case}: `message_stop` after `message_delta`");
                stage = 3;
            }
            "ping" => {}
            other => panic!("{case}: unknown event `{other}`"),
        }
    }
    assert_eq!(stage, 3, "{case}: the stream ends with `message_stop`");
}

/// `created`, `in_progress`, items one after another, one terminal with all of them; names equal types, numbers count up.
fn responses(frames: &[(String, String)], case: &str) {
    let mut open: Option<u64> = None;
    let mut part: Option<u64> = None;
    let mut done: Vec<Value> = Vec::new();
    for (position, (event, data)) in frames.iter().enumerate() {
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"], event.as_str(), "{case}: the name of an event is its type");
        assert_eq!(data["sequence_number"].as_u64(), Some(position as u64), "{case}: events are numbered: {data}");
        let index = data["output_index"].as_u64();
        match event.as_str() {
            "response.created" => assert_eq!(position, 0, "{case}"),
            "response.in_progress" => assert_eq!(position, 1, "{case}"),
            "response.output_item.added" => {
                assert_eq!((open, index), (None, Some(done.len() as u64)), "{case}: items in a row: {data}");
                open = index;
            }
            "response.content_part.added" => {
                assert_eq!((index, part), (open, None), "{case}: parts in a row");
                part = data["content_index"].as_u64();
            }
            "response.content_part.done" => {
                assert_eq!((index, data["content_index"].as_u64()), (open, part), "{case}");
                part = None;
            }
            "response.output_item.done" => {
                assert_eq!((index, part), (open, None), "{case}: the open item ends");
                done.push(data["item"].clone());
                open = None;
            }
            "response.completed" | "response.incomplete" => {
                assert_eq!((position + 1, open), (frames.len(), None), "{case}: a terminal is the last event");
                assert_eq!(
                    data["response"]["output"],
                    Value::Array(done.clone()),
                    "{case}: all items, as they were told"
                );
                let status = event.trim_start_matches("response.");
                assert_eq!(data["response"]["status"], status, "{case}");
                return;
            }
            "response.output_text.delta" | "response.output_text.done" => {
                assert_eq!((index, data["content_index"].as_u64()), (open, part), "{case}: a text of the open part");
                assert!(data["logprobs"].is_array() && data["item_id"].is_string(), "{case}: {data}");
            }
            other => {
                assert!(
                    other.ends_with(".delta") || other.ends_with(".done") || other.ends_with(".added"),
                    "{case}: {other}"
                );
                assert!(index == open && data["item_id"].is_string(), "{case}: {data}");
            }
        }
    }
    panic!("{case}: no terminal event");
}

/// `messageStart`, blocks one after another, none of them empty, `messageStop`, `metadata` with usage and metrics. Only calls
/// and images begin with a `contentBlockStart`.
fn converse(frames: &[(String, String)], case: &str) {
    const STOPS: [&str; 9] = [
        "end_turn",
        "tool_use",
        "max_tokens",
        "stop_sequence",
        "guardrail_intervened",
        "content_filtered",
        "malformed_model_output",
        "malformed_tool_use",
        "model_context_window_exceeded",
    ];
    let [(first, start), blocks @ .., (stop, stopped), (last, metadata)] = frames else {
        panic!("{case}: too few events: {frames:?}")
    };
    assert_eq!([first, stop, last], ["messageStart", "messageStop", "metadata"], "{case}");
    let read = |data: &str| serde_json::from_str::<Value>(data).unwrap();
    assert_eq!(read(start)["role"], "assistant", "{case}");
    assert!(STOPS.contains(&read(stopped)["stopReason"].as_str().unwrap()), "{case}: {stopped}");
    let metadata = read(metadata);
    for count in ["inputTokens", "outputTokens", "totalTokens"] {
        assert!(metadata["usage"][count].is_u64(), "{case}: {metadata}");
    }
    assert!(metadata["metrics"]["latencyMs"].is_u64(), "{case}: {metadata}");
    // The type of the open block, and whether anything came of it.
    let mut open: Option<(String, bool)> = None;
    let mut index = 0;
    for (event, data) in blocks {
        let data = read(data);
        assert_eq!(data["contentBlockIndex"].as_u64(), Some(index), "{case}: blocks in a row: {data}");
        match event.as_str() {
            "contentBlockStart" => {
                assert!(open.is_none(), "{case}: a block begins once: {data}");
                let (kind, start) = data["start"].as_object().unwrap().iter().next().unwrap();
                let is_call = start["toolUseId"].is_string() && start["name"].is_string();
                assert!(kind == "image" || is_call, "{case}: {data}");
                open = Some((kind.clone(), false));
            }
            "contentBlockDelta" => {
                let kind = data["delta"].as_object().unwrap().keys().next().unwrap().clone();
                let (known, said) = open.get_or_insert((kind.clone(), false));
                assert!(kind == *known || (kind == "citation" && known == "text"), "{case}: one kind a block: {data}");
                assert!(*said || kind != "toolUse" || data["delta"][&kind]["input"].is_string(), "{case}: {data}");
                *said = true;
            }
            "contentBlockStop" => {
                assert!(open.take().is_some_and(|(_, said)| said), "{case}: no block is empty: {data}");
                index += 1;
            }
            other => panic!("{case}: unknown event `{other}`"),
        }
    }
    assert!(open.is_none(), "{case}: every block ends");
}

/// Chunks are answers; every candidate finishes once, and a blocked prompt has no candidate; there is no end marker.
fn gemini(frames: &[(String, String)], case: &str) {
    let mut finishes: BTreeMap<u64, u32> = BTreeMap::new();
    let mut blocked = false;
    for (event, data) in frames {
        assert_eq!(event, "", "{case}: chunks have no names");
        let chunk: Value = serde_json::from_str(data).unwrap();
        blocked |= chunk["promptFeedback"]["blockReason"].is_string();
        for candidate in chunk["candidates"].as_array().into_iter().flatten() {
            let finishes = finishes.entry(candidate["index"].as_u64().unwrap_or(0)).or_default();
            *finishes += u32::from(candidate["finishReason"].is_string());
        }
    }
    assert!(finishes.values().all(|count| *count == 1), "{case}: {finishes:?}");
    assert_ne!(blocked, !finishes.is_empty(), "{case}: candidates, or a blocked prompt: {finishes:?}");
}
