//! The words and numbers of the protocols, in tables: usage, stop reasons, choices of tools, errors.

use routeplane::wire::ProtocolId::{self, AnthropicMessages, Gemini, OpenAiChat};
use routeplane::wire::ir::{
    Candidate, Error, ErrorKind, Finish, FinishReason, Part, Response, Text, ToolCall, ToolChoice, Usage,
};
use routeplane::wire::json::Ext;
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use serde_json::{Value, json};

use crate::laws::fixtures::{destination, head, inbound, outbound};

/// An answer of `protocol` that ends with `word` and counts `usage`.
fn answer(protocol: ProtocolId, word: &str, usage: &Value) -> Value {
    match protocol {
        AnthropicMessages => json!({ "id": "a", "type": "message", "role": "assistant", "model": "m",
            "content": [{ "type": "text", "text": "hi" }], "stop_reason": word, "stop_sequence": null, "usage": usage }),
        Gemini => json!({ "responseId": "a", "modelVersion": "m", "usageMetadata": usage, "candidates": [
            { "index": 0, "content": { "role": "model", "parts": [{ "text": "hi" }] }, "finishReason": word } ] }),
        _ => json!({ "id": "a", "object": "chat.completion", "created": 1, "model": "m", "usage": usage, "choices": [
            { "index": 0, "message": { "role": "assistant", "content": "hi" }, "finish_reason": word } ] }),
    }
}

fn decoded(protocol: ProtocolId, body: &Value) -> Response {
    let codec = outbound(protocol.codec().unwrap());
    codec.decode_response(body.to_string().as_bytes(), &Quirks::default()).unwrap()
}

fn encoded(protocol: ProtocolId, response: &Response) -> (Value, String) {
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    inbound(protocol.codec().unwrap()).encode_response(response, &mut out, &mut losses);
    (serde_json::from_slice(&out).unwrap(), losses.to_string())
}

fn hub(parts: Vec<Part>, finish: Finish, usage: Option<Usage>) -> Response {
    Response {
        origin: ProtocolId::OpenAiResponses,
        id: Some("a".into()),
        model: Some("m".into()),
        created: Some(1),
        candidates: vec![Candidate { parts, finish: Some(finish), ext: Ext::default() }],
        usage,
        ext: Ext::default(),
    }
}

fn text() -> Part {
    Part::Text(Text::new("hi"))
}

fn usage(input: u64, cache_read: Option<u64>, cache_write: Option<u64>, output: u64, reasoning: Option<u64>) -> Usage {
    Usage { input: Some(input), cache_read, cache_write, output: Some(output), reasoning, ..Usage::default() }
}

#[test]
fn every_vendors_counts_have_one_meaning() {
    let all = usage(10, Some(4), None, 7, Some(5));
    for (protocol, counts, expected) in [
        (
            OpenAiChat,
            json!({ "prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17,
            "prompt_tokens_details": { "cached_tokens": 4 }, "completion_tokens_details": { "reasoning_tokens": 5 } }),
            all,
        ),
        // xAI counts reasoning apart.
        (
            OpenAiChat,
            json!({ "prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 17,
            "prompt_tokens_details": { "cached_tokens": 4 }, "completion_tokens_details": { "reasoning_tokens": 5 } }),
            all,
        ),
        // DeepSeek, Perplexity.
        (
            OpenAiChat,
            json!({ "prompt_tokens": 10, "completion_tokens": 7, "prompt_cache_hit_tokens": 4,
            "reasoning_tokens": 5 }),
            all,
        ),
        // Moonshot; fractions.
        (
            OpenAiChat,
            json!({ "prompt_tokens": 10.0, "completion_tokens": 7, "cached_tokens": 4, "reasoning_tokens": 5 }),
            all,
        ),
        // More reasoning than output.
        (
            OpenAiChat,
            json!({ "prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13,
            "completion_tokens_details": { "reasoning_tokens": 9 } }),
            usage(10, None, None, 3, Some(9)),
        ),
        (
            AnthropicMessages,
            json!({ "input_tokens": 6, "cache_read_input_tokens": 4, "output_tokens": 7,
            "output_tokens_details": { "thinking_tokens": 5 } }),
            all,
        ),
        (
            AnthropicMessages,
            json!({ "input_tokens": 1, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 5,
            "output_tokens": 7 }),
            usage(10, Some(4), Some(5), 7, None),
        ),
        (
            Gemini,
            json!({ "promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 2,
            "thoughtsTokenCount": 5, "totalTokenCount": 17 }),
            all,
        ),
        (
            Gemini,
            json!({ "promptTokenCount": 7, "toolUsePromptTokenCount": 3, "cachedContentTokenCount": 4,
            "candidatesTokenCount": 2, "thoughtsTokenCount": 5, "totalTokenCount": 17 }),
            Usage { tool_prompt: Some(3), ..all },
        ),
    ] {
        let word = if protocol == Gemini {
            "STOP"
        } else if protocol == OpenAiChat {
            "stop"
        } else {
            "end_turn"
        };
        let body = answer(protocol, word, &counts);
        assert_eq!(decoded(protocol, &body).usage, Some(expected), "{protocol}: {counts}");
        assert_eq!(outbound(protocol.codec().unwrap()).usage(body.to_string().as_bytes()), Some(expected), "{counts}");
    }
}

#[test]
fn every_protocol_counts_in_its_own_way() {
    let response = hub(vec![text()], Finish::new(FinishReason::Stop), Some(usage(10, Some(4), Some(1), 7, Some(5))));
    for (protocol, pointer, expected) in [
        (OpenAiChat, "/usage/prompt_tokens", 10),
        (OpenAiChat, "/usage/completion_tokens", 7),
        (OpenAiChat, "/usage/total_tokens", 17),
        (OpenAiChat, "/usage/prompt_tokens_details/cached_tokens", 4),
        (OpenAiChat, "/usage/completion_tokens_details/reasoning_tokens", 5),
        (AnthropicMessages, "/usage/input_tokens", 5),
        (AnthropicMessages, "/usage/cache_read_input_tokens", 4),
        (AnthropicMessages, "/usage/cache_creation_input_tokens", 1),
        (AnthropicMessages, "/usage/output_tokens", 7),
        (Gemini, "/usageMetadata/promptTokenCount", 10),
        (Gemini, "/usageMetadata/cachedContentTokenCount", 4),
        (Gemini, "/usageMetadata/candidatesTokenCount", 2),
        (Gemini, "/usageMetadata/thoughtsTokenCount", 5),
        (Gemini, "/usageMetadata/totalTokenCount", 17),
    ] {
        let body = encoded(protocol, &response).0;
        assert_eq!(body.pointer(pointer).and_then(Value::as_u64), Some(expected), "{protocol} {pointer}: {body}");
    }
}

#[test]
fn every_stop_reason_is_read() {
    use FinishReason::{ContentFilter, ContextWindow, Length, Malformed, Other, Pause, Refusal, Stop, StopSequence};
    let table: [(ProtocolId, &[(&str, FinishReason)]); 3] = [
        (
            OpenAiChat,
            &[
                ("stop", Stop),
                ("eos", Stop),
                ("eos_token", Stop),
                ("COMPLETE", Stop),
                ("end_turn", Stop),
                ("completed", Stop),
                ("STOP", Stop),
                ("stop_sequence", StopSequence),
                ("STOP_SEQUENCE", StopSequence),
                ("length", Length),
                ("max_tokens", Length),
                ("MAX_TOKENS", Length),
                ("model_length", Length),
                ("max_output_tokens", Length),
                ("content_filter", ContentFilter),
                ("SAFETY", ContentFilter),
                ("insufficient_system_resource", Other),
                ("a new word", Other),
            ],
        ),
        (
            AnthropicMessages,
            &[
                ("end_turn", Stop),
                ("stop_sequence", StopSequence),
                ("max_tokens", Length),
                ("refusal", Refusal),
                ("pause_turn", Pause),
                ("model_context_window_exceeded", ContextWindow),
                ("compaction", Other),
                ("a new word", Other),
            ],
        ),
        (
            Gemini,
            &[
                ("STOP", Stop),
                ("MAX_TOKENS", Length),
                ("SAFETY", ContentFilter),
                ("RECITATION", ContentFilter),
                ("BLOCKLIST", ContentFilter),
                ("PROHIBITED_CONTENT", ContentFilter),
                ("SPII", ContentFilter),
                ("MALFORMED_FUNCTION_CALL", Malformed),
                ("UNEXPECTED_TOOL_CALL", Malformed),
                ("OTHER", Other),
                ("LANGUAGE", Other),
                ("a new word", Other),
            ],
        ),
    ];
    for (protocol, words) in table {
        for (word, reason) in words {
            let response = decoded(protocol, &answer(protocol, word, &json!({})));
            let finish = response.candidates[0].finish.clone().unwrap();
            assert_eq!((finish.reason, finish.raw.as_deref()), (*reason, Some(*word)), "{protocol}");
        }
    }
}

#[test]
fn every_stop_reason_is_written() {
    let call = Part::ToolCall(ToolCall {
        id: Some("c".into()),
        name: "f".into(),
        arguments: "{}".into(),
        signature: None,
        ext: Ext::default(),
    });
    for (reason, chat, messages, gemini) in [
        (FinishReason::Stop, "stop", "end_turn", "STOP"),
        (FinishReason::StopSequence, "stop", "stop_sequence", "STOP"),
        (FinishReason::ToolCalls, "tool_calls", "tool_use", "STOP"),
        (FinishReason::Length, "length", "max_tokens", "MAX_TOKENS"),
        (FinishReason::ContextWindow, "length", "model_context_window_exceeded", "MAX_TOKENS"),
        (FinishReason::ContentFilter, "content_filter", "refusal", "SAFETY"),
        (FinishReason::Refusal, "content_filter", "refusal", "SAFETY"),
        (FinishReason::Pause, "stop", "pause_turn", "STOP"),
        (FinishReason::Malformed, "stop", "end_turn", "MALFORMED_FUNCTION_CALL"),
        (FinishReason::Other, "stop", "end_turn", "OTHER"),
    ] {
        let part = if reason == FinishReason::ToolCalls { call.clone() } else { text() };
        let finish = Finish { reason, raw: Some("a foreign word".into()), stop_sequence: None };
        let response = hub(vec![part], finish, None);
        for (protocol, pointer, word) in [
            (OpenAiChat, "/choices/0/finish_reason", chat),
            (AnthropicMessages, "/stop_reason", messages),
            (Gemini, "/candidates/0/finishReason", gemini),
        ] {
            let body = encoded(protocol, &response).0;
            assert_eq!(body.pointer(pointer), Some(&json!(word)), "{reason:?} in {protocol}");
        }
    }
}

/// A request of `protocol` with one tool, `f`, and this choice.
fn choosing(protocol: ProtocolId, choice: &Value) -> Value {
    match protocol {
        AnthropicMessages => json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }],
            "tools": [{ "name": "f", "input_schema": { "type": "object" } }], "tool_choice": choice }),
        Gemini => json!({ "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }],
            "tools": [{ "functionDeclarations": [{ "name": "f" }] }],
            "toolConfig": { "functionCallingConfig": choice } }),
        _ => json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }],
            "tools": [{ "type": "function", "function": { "name": "f" } }], "tool_choice": choice }),
    }
}

fn requested(from: ProtocolId, to: ProtocolId, body: &Value) -> (Value, String) {
    let request = inbound(from.codec().unwrap()).decode_request(&head(false), body.to_string().as_bytes()).unwrap();
    let (mut out, mut losses, quirks) = (Vec::new(), Losses::default(), Quirks::default());
    let target = outbound(to.codec().unwrap());
    target.encode_request(&request, &destination("m", &quirks), &mut out, &mut losses).unwrap();
    (serde_json::from_slice(&out).unwrap(), losses.to_string())
}

#[test]
fn choices_of_tools_survive_in_every_pair() {
    for (choice, chat, messages, gemini) in [
        (ToolChoice::Auto, json!("auto"), json!({ "type": "auto" }), json!({ "mode": "AUTO" })),
        (ToolChoice::None, json!("none"), json!({ "type": "none" }), json!({ "mode": "NONE" })),
        (ToolChoice::Required, json!("required"), json!({ "type": "any" }), json!({ "mode": "ANY" })),
        (
            ToolChoice::Tool("f".into()),
            json!({ "type": "function", "function": { "name": "f" } }),
            json!({ "type": "tool", "name": "f" }),
            json!({ "mode": "ANY", "allowedFunctionNames": ["f"] }),
        ),
    ] {
        let words = [(OpenAiChat, &chat), (AnthropicMessages, &messages), (Gemini, &gemini)];
        for (from, given) in words {
            let body = choosing(from, given);
            let read = inbound(from.codec().unwrap()).decode_request(&head(false), body.to_string().as_bytes());
            assert_eq!(read.unwrap().tool_choice.as_ref(), Some(&choice), "{from}");
            for (to, expected) in words {
                let written = requested(from, to, &body).0;
                let place = if to == Gemini { "/toolConfig/functionCallingConfig" } else { "/tool_choice" };
                assert_eq!(written.pointer(place), Some(expected), "{from} to {to}: {choice:?}");
            }
        }
    }
}

#[test]
fn parallel_calls_are_forbidden_in_both_dialects() {
    let mut chat = choosing(OpenAiChat, &json!("auto"));
    chat["parallel_tool_calls"] = json!(false);
    let messages = choosing(AnthropicMessages, &json!({ "type": "auto", "disable_parallel_tool_use": true }));
    let expected = json!({ "type": "auto", "disable_parallel_tool_use": true });
    assert_eq!(requested(OpenAiChat, AnthropicMessages, &chat).0["tool_choice"], expected);
    assert_eq!(requested(AnthropicMessages, OpenAiChat, &messages).0["parallel_tool_calls"], json!(false));
    for (from, body) in [(OpenAiChat, &chat), (AnthropicMessages, &messages)] {
        assert!(requested(from, Gemini, body).1.contains("parallel_tool_calls=dropped"), "{from}");
    }
    chat.as_object_mut().unwrap().remove("tool_choice");
    assert_eq!(requested(OpenAiChat, AnthropicMessages, &chat).0["tool_choice"], expected);
}

#[test]
fn every_kind_of_error_has_its_words() {
    for (kind, status, chat, code, messages, gemini) in [
        (ErrorKind::InvalidRequest, 400, "invalid_request_error", None, "invalid_request_error", "INVALID_ARGUMENT"),
        (
            ErrorKind::ContextLength,
            400,
            "invalid_request_error",
            Some("context_length_exceeded"),
            "invalid_request_error",
            "INVALID_ARGUMENT",
        ),
        (
            ErrorKind::Authentication,
            401,
            "invalid_request_error",
            Some("invalid_api_key"),
            "authentication_error",
            "UNAUTHENTICATED",
        ),
        (
            ErrorKind::Billing,
            402,
            "insufficient_quota",
            Some("insufficient_quota"),
            "billing_error",
            "RESOURCE_EXHAUSTED",
        ),
        (
            ErrorKind::Permission,
            403,
            "invalid_request_error",
            Some("permission_denied"),
            "permission_error",
            "PERMISSION_DENIED",
        ),
        (ErrorKind::NotFound, 404, "invalid_request_error", Some("model_not_found"), "not_found_error", "NOT_FOUND"),
        (ErrorKind::TooLarge, 413, "invalid_request_error", None, "request_too_large", "INVALID_ARGUMENT"),
        (ErrorKind::RateLimit, 429, "requests", Some("rate_limit_exceeded"), "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (ErrorKind::Internal, 500, "server_error", None, "api_error", "INTERNAL"),
        (ErrorKind::Upstream, 502, "server_error", None, "api_error", "INTERNAL"),
        (ErrorKind::Overloaded, 503, "server_error", Some("overloaded"), "overloaded_error", "UNAVAILABLE"),
        (ErrorKind::Timeout, 504, "server_error", Some("timeout"), "timeout_error", "DEADLINE_EXCEEDED"),
    ] {
        let error = Error::new(kind, "m");
        assert_eq!(error.status, status, "{kind:?}");
        let written = |protocol: ProtocolId| -> Value {
            let mut out = Vec::new();
            inbound(protocol.codec().unwrap()).encode_error(&error, &mut out);
            serde_json::from_slice(&out).unwrap()
        };
        let body = written(OpenAiChat);
        assert_eq!((&body["error"]["type"], body["error"]["code"].as_str()), (&json!(chat), code), "{kind:?}");
        assert_eq!(written(AnthropicMessages)["error"]["type"], messages, "{kind:?}");
        let body = written(Gemini);
        assert_eq!((&body["error"]["status"], &body["error"]["code"]), (&json!(gemini), &json!(status)), "{kind:?}");
    }
}

#[test]
fn every_vendors_error_is_understood() {
    for (protocol, status, body, kind, message) in [
        (OpenAiChat, 404, r#"{"error":{"code":"DeploymentNotFound","message":"m"}}"#, ErrorKind::NotFound, "m"),
        (
            OpenAiChat,
            429,
            r#"{"error":{"code":"RateLimitReached","message":"m","details":"d"}}"#,
            ErrorKind::RateLimit,
            "m",
        ),
        (
            OpenAiChat,
            400,
            r#"{"error":{"message":"m","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"x"}}"#,
            ErrorKind::InvalidRequest,
            "m",
        ),
        (OpenAiChat, 401, r#"{"detail":"m"}"#, ErrorKind::Authentication, "m"),
        (OpenAiChat, 422, r#"{"detail":[{"loc":["body"],"msg":"m","type":"t"}]}"#, ErrorKind::InvalidRequest, "m"),
        (
            OpenAiChat,
            400,
            r#"{"object":"error","message":"m","type":"t","param":null,"code":"1500","raw_status_code":400}"#,
            ErrorKind::InvalidRequest,
            "m",
        ),
        (OpenAiChat, 401, r#"{"id":"x","message":"m"}"#, ErrorKind::Authentication, "m"),
        (OpenAiChat, 400, r#"{"code":"invalid-argument","error":"m"}"#, ErrorKind::InvalidRequest, "m"),
        (
            OpenAiChat,
            402,
            r#"{"error":{"message":"m","type":"unknown_error","code":"invalid_request_error"}}"#,
            ErrorKind::Billing,
            "m",
        ),
        (
            OpenAiChat,
            400,
            r#"{"error":{"code":400,"message":"m","type":"exceed_context_size_error","n_ctx":1}}"#,
            ErrorKind::ContextLength,
            "m",
        ),
        (OpenAiChat, 500, r#"{"error":"m"}"#, ErrorKind::Upstream, "m"),
        (OpenAiChat, 400, r#"{"error":["m"]}"#, ErrorKind::InvalidRequest, "m"),
        (
            OpenAiChat,
            429,
            r#"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            ErrorKind::Billing,
            "m",
        ),
        (
            AnthropicMessages,
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"},"request_id":null}"#,
            ErrorKind::Overloaded,
            "m",
        ),
        (AnthropicMessages, 403, r#"{"Message":"m"}"#, ErrorKind::Permission, "m"),
        (
            Gemini,
            429,
            r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#,
            ErrorKind::RateLimit,
            "m",
        ),
        (
            Gemini,
            400,
            r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#,
            ErrorKind::Authentication,
            "m",
        ),
    ] {
        let error = outbound(protocol.codec().unwrap()).decode_error(status, body.as_bytes());
        assert_eq!((error.kind, error.message.as_str(), error.status), (kind, message, status), "{body}");
    }
}
