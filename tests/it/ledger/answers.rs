//! What of an answer reaches a caller of another protocol, or is reported.

use routeplane::wire::ir::fold;
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{CALLERS_ONLY, PROTOCOLS, Protocol, ProtocolId};
use serde_json::Value;

use super::ablation::{Silence, Written};
use crate::laws::fixtures::{both_roles, cases, encode_stream, events, inbound, outbound, streaming_request};
use crate::laws::gist;

/// Members of answers that are left out in silence, because nothing is lost with them. A path that begins with `*` is an
/// ending, one that ends with `*` a beginning.
pub(super) const UNSAID: Reasons = &[
    (
        ProtocolId::OpenAiChat,
        &["object", "*.role", "*.type", "*.index", "choices.finish_reason", "*[thinking].closed"],
        "says what its place says, or what its absence says",
    ),
    (ProtocolId::OpenAiResponses, &["object", "*.type", "*.role", "*.status", "status"], "says what its place says"),
    (ProtocolId::AnthropicMessages, &["role", "type", "*.type"], "says what its place says"),
    (ProtocolId::Gemini, &["*.role", "*.index"], "says what its place says"),
    (ProtocolId::BedrockConverse, &["*.role", "*.toolUse.type", "*[text].type"], "says what its place says"),
    (
        ProtocolId::OpenAiChat,
        &["id", "model", "created"],
        "the caller's protocol has no member for it; `x-request-id` and `x-routeplane-target` name the answer and its model",
    ),
    (
        ProtocolId::OpenAiResponses,
        &["id", "model", "created_at"],
        "the caller's protocol has no member for it; `x-request-id` and `x-routeplane-target` name the answer and its model",
    ),
    (
        ProtocolId::AnthropicMessages,
        &["id", "model"],
        "the caller's protocol has no member for it; `x-request-id` and `x-routeplane-target` name the answer and its model",
    ),
    (
        ProtocolId::Gemini,
        &["responseId", "modelVersion", "createTime"],
        "the caller's protocol has no member for it; `x-request-id` and `x-routeplane-target` name the answer and its model",
    ),
    (
        ProtocolId::OpenAiResponses,
        &["*].id"],
        "a number of the provider that stored the item; no other protocol gives it back",
    ),
    (
        ProtocolId::OpenAiResponses,
        &[
            "background",
            "frequency_penalty",
            "instructions*",
            "max_output_tokens",
            "max_tool_calls",
            "metadata*",
            "parallel_tool_calls",
            "presence_penalty",
            "previous_response_id",
            "prompt_cache_*",
            "reasoning*",
            "safety_identifier",
            "service_tier",
            "store",
            "temperature",
            "text*",
            "tool_choice*",
            "tools*",
            "top_logprobs",
            "top_p",
            "truncation",
            "user",
        ],
        "repeats what was asked for",
    ),
    (ProtocolId::Gemini, &["candidates.content"], "an empty text, after which there is nothing to be said"),
    (ProtocolId::OpenAiResponses, &["*.output_format"], "says what its absence says"),
    (
        ProtocolId::OpenAiResponses,
        &["output[reasoning].content*"],
        "the thoughts in full, where their summary stands beside them: callers get the summary, as OpenAI shows it",
    ),
    (ProtocolId::OpenAiResponses, &["output_text"], "repeats the text of the messages"),
    (ProtocolId::OpenAiResponses, &["billing*", "completed_at", "tool_usage*"], "the provider's accounting"),
    (ProtocolId::AnthropicMessages, &["stop_reason"], "says what its absence says"),
    (ProtocolId::BedrockConverse, &["stopReason"], "says what its absence says"),
    (ProtocolId::OpenAiChat, &["usage.total_tokens", "usage.prompt_cache_miss_tokens"], SUM),
    (ProtocolId::OpenAiResponses, &["usage.total_tokens"], SUM),
    (ProtocolId::AnthropicMessages, &["usage.cache_creation_input_tokens"], SUM),
    (
        ProtocolId::OpenAiChat,
        &["usage.completion_tokens_details.reasoning_tokens"],
        "where it is what the total counts beyond",
    ),
    (ProtocolId::OpenAiChat, &["usage.cache_creation", "usage.draft_tokens_acceptance"], "counts nothing"),
    (
        ProtocolId::OpenAiChat,
        &["usage.cache_read_input_tokens", "usage.cache_creation_input_tokens", "usage.num_cached_tokens"],
        "where it is given under both names",
    ),
    (ProtocolId::AnthropicMessages, &["usage.cache_creation"], "counts nothing"),
    (
        ProtocolId::BedrockConverse,
        &[
            "usage.cacheReadInputTokenCount",
            "usage.cacheReadInputTokens",
            "usage.cacheWriteInputTokenCount",
            "usage.cacheWriteInputTokens",
        ],
        "where it is given under both names",
    ),
    (ProtocolId::Gemini, &["usageMetadata.totalTokenCount"], SUM),
    (ProtocolId::BedrockConverse, &["usage.totalTokens"], SUM),
    (
        ProtocolId::OpenAiChat,
        &["usage.cost", "usage.cost.total_cost", "usage.cost_in_usd_ticks"],
        "told in `x-routeplane-cost-usd`, the log and the metrics",
    ),
    (
        ProtocolId::OpenAiResponses,
        &["usage.cost", "usage.cost_in_usd_ticks"],
        "told in `x-routeplane-cost-usd`, the log and the metrics",
    ),
    (
        ProtocolId::AnthropicMessages,
        &["stop_details.category", "stop_details.recommended_model"],
        "the words of the refusal are given, and the reason to stop says that it is one",
    ),
];

const SUM: &str = "a sum or a difference of other counts";

/// Protocols, with paths of members and why nothing is lost with them.
pub(super) type Reasons = &'static [(ProtocolId, &'static [&'static str], &'static str)];

pub(super) fn is_unsaid(reasons: Reasons, protocol: ProtocolId, path: &str) -> bool {
    let fits = |pattern: &&str| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(ending), _) => path.ends_with(ending),
        (None, Some(beginning)) => path.starts_with(beginning),
        (None, None) => path == *pattern,
    };
    reasons.iter().filter(|(of, ..)| *of == protocol).any(|(_, patterns, _)| patterns.iter().any(fits))
}

/// An answer in the words of another protocol.
fn translated(protocol: &'static dyn Protocol, target: &'static dyn Protocol, body: &Value) -> Option<Written> {
    let answer = outbound(protocol).decode_response(body.to_string().as_bytes(), &Quirks::default()).ok()?;
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    inbound(target).encode_response(&answer, &mut out, &mut losses);
    Some((out, losses))
}

/// Adds what of `body` reaches no caller of another protocol in silence.
pub(crate) fn search(silence: &mut Silence, protocol: &'static dyn Protocol, body: &Value) {
    let callers = PROTOCOLS.iter().chain(CALLERS_ONLY).copied();
    let callers = callers.filter(|target| target.inbound().is_some() && target.id() != protocol.id());
    for target in callers {
        let prefix = format!("{} to {}: ", protocol.id(), target.id());
        silence.search(&prefix, body, |body| translated(protocol, target, body));
    }
}

/// What is silent without a reason.
pub(crate) fn unexplained(silence: &Silence) -> Vec<&str> {
    without_reason(silence, UNSAID)
}

pub(super) fn without_reason(silence: &Silence, reasons: Reasons) -> Vec<&str> {
    silence.silent().into_iter().filter(|line| !explained(line, reasons)).collect()
}

/// Whether there is a reason for a line: `source to target: path`.
pub(super) fn explained(line: &str, reasons: Reasons) -> bool {
    let (pair, path) = line.split_once(": ").unwrap();
    let protocol = ProtocolId::from_name(pair.split(" to ").next().unwrap()).unwrap();
    is_unsaid(reasons, protocol, path)
}

#[test]
fn no_member_of_an_answer_is_lost_in_silence() {
    let mut silence = Silence::default();
    for case in cases() {
        if let Some(body) = case.read("response.json") {
            search(&mut silence, case.protocol, &serde_json::from_slice(&body).unwrap());
        }
    }
    assert!(silence.len() > 100);
    assert_eq!(unexplained(&silence), [""; 0]);
}

#[test]
fn text_and_a_call_in_one_chunk_both_arrive() {
    let chat = concat!(
        r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi","tool_calls":[{"index":0,"#,
        r#""id":"call_1","type":"function","function":{"name":"now","arguments":"{\"a\":1}"}}]},"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        "\n\ndata: [DONE]\n\n"
    );
    let gemini = concat!(
        r#"data: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"Hi"},"#,
        r#"{"functionCall":{"name":"now","args":{"a":1}}}]},"finishReason":"STOP"}]}"#,
        "\n\n"
    );
    for (source, stream) in [(ProtocolId::OpenAiChat, chat), (ProtocolId::Gemini, gemini)] {
        let said = events(source.codec().unwrap(), &[stream.as_bytes()]);
        for target in both_roles() {
            let written = encode_stream(target, &said, &streaming_request());
            let back = fold(target.id(), &events(target, &[&written])).unwrap();
            let answer = gist::answer(&back).remove(0);
            let calls = vec![("now".to_owned(), serde_json::json!({ "a": 1 }))];
            assert_eq!((answer.text.as_str(), answer.calls), ("Hi", calls), "{source} to {}", target.id());
        }
    }
}

/// Clients take an absent count for none, and a `null` for a mistake.
#[test]
fn no_count_and_no_list_of_an_answer_is_null() {
    fn check(value: &Value, counted: bool, name: &str) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let counts = counted || key.to_lowercase().starts_with("usage");
                    let list = matches!(key.as_str(), "choices" | "output" | "candidates" | "tool_calls" | "parts");
                    // A chunk of Chat Completions says by `null` that the usage comes later.
                    assert!(!value.is_null() || !(counted || list), "{name}: `{key}` is null");
                    check(value, counts, name);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| check(element, counted, name)),
            _ => {}
        }
    }
    let mut answers = 0;
    for case in cases() {
        let Some(body) = case.read("response.json") else { continue };
        let body: Value = serde_json::from_slice(&body).unwrap();
        for target in PROTOCOLS.iter().copied().filter(|target| target.id() != case.protocol.id()) {
            let Some((written, _)) = translated(case.protocol, target, &body) else { continue };
            answers += 1;
            check(&serde_json::from_slice(&written).unwrap(), false, &format!("{} to {}", case.name(), target.id()));
        }
    }
    assert!(answers > 50);
}
