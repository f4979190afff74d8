//! Bytes that nobody should send, to every reader of every protocol.

use proptest::prelude::*;
use routeplane::wire::ProtocolId::{self, AnthropicMessages, Gemini, OpenAiChat, OpenAiResponses};
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use serde_json::Value;

use crate::laws::fixtures::{destination, events, head, inbound, outbound};

const ALL: [ProtocolId; 4] = [OpenAiChat, OpenAiResponses, AnthropicMessages, Gemini];

#[test]
fn hostile_bytes_are_refused_and_never_fatal() {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "text",
            "user",
            "assistant",
            "tool",
            "function",
            "image",
            "thinking",
            "tool_use",
            "tool_result",
            "message_start",
            "content_block_start",
            "content_block_delta",
            "STOP",
            "response.output_item.added",
            "response.completed",
            "function_call",
            "reasoning"
        ])
        .prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "model",
        "messages",
        "contents",
        "parts",
        "role",
        "content",
        "type",
        "text",
        "tools",
        "function",
        "name",
        "tool_calls",
        "choices",
        "delta",
        "index",
        "usage",
        "candidates",
        "functionCall",
        "args",
        "message",
        "content_block",
        "input",
        "error",
        "details",
        "thinking",
        "finish_reason",
        "source",
        "response",
        "item",
        "output",
        "output_index",
        "arguments",
        "call_id",
        "summary",
    ]);
    let value = scalar.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|members| {
                Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    });
    let bytes =
        prop_oneof![prop::collection::vec(any::<u8>(), 0..64), value.prop_map(|value| value.to_string().into_bytes()),];
    proptest!(|(bytes in bytes)| {
        for protocol in ALL {
            let codec = protocol.codec().unwrap();
            let _ = inbound(codec).peek(&head(false), &bytes);
            if let Ok(request) = inbound(codec).decode_request(&head(false), &bytes) {
                for target in ALL {
                    let quirks = Quirks::default();
                    let written = outbound(target.codec().unwrap())
                        .encode_request(&request, &destination("m", &quirks), &mut Vec::new(), &mut Losses::default());
                    prop_assert!(written.is_ok() || !written.unwrap_err().message.is_empty());
                }
            }
            if let Ok(response) = outbound(codec).decode_response(&bytes, &Quirks::default()) {
                for target in ALL {
                    let mut out = Vec::new();
                    inbound(target.codec().unwrap()).encode_response(&response, &mut out, &mut Losses::default());
                    prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
                }
            }
            prop_assert!(!outbound(codec).decode_error(500, &bytes).message.is_empty());
            let frame = [b"data: ".as_slice(), &bytes, b"\n\n"].concat();
            let _ = events(codec, &[&frame]);
            let _ = outbound(codec).usage(&bytes);
        }
    });
}
