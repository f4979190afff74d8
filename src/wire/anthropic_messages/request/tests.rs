//! Rules of writing a request that the laws do not show: what becomes of another protocol's request.

use serde_json::{Value, json};

use super::super::test_support::{decode_request, foreign_request};
use crate::wire::Destination;
use crate::wire::ProtocolId;
use crate::wire::ir::{
    Error, OutputFormat, Part, Reasoning, ReasoningEffort, ReasoningRequest, Request, Signature, ToolChoice, ToolKind,
};
use crate::wire::json::{self, Ext};
use crate::wire::loss::Losses;
use crate::wire::quirk::Quirks;

fn try_encode(request: &Request, model: &str, quirks: &Quirks) -> Result<(Value, String), Error> {
    let destination = Destination { model, quirks, max_output_tokens: Some(64_000) };
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    super::encode(request, &destination, &mut out, &mut losses)?;
    Ok((serde_json::from_slice(&out).unwrap(), losses.to_string()))
}

fn encode(request: &Request) -> (Value, String) {
    try_encode(request, "claude-sonnet-4-6", &Quirks::default()).unwrap()
}

/// A request of another protocol with this conversation.
fn conversation(messages: &Value) -> Request {
    foreign_request(&json!({"model": "m", "max_tokens": 100, "messages": messages}).to_string())
}

fn with(member: &str, value: Value) -> Request {
    let mut body = json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}]});
    body[member] = value;
    foreign_request(&body.to_string())
}

fn call(id: &str, name: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": {}})
}

fn result(id: &str, content: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": content})
}

// === the conversation ===

#[test]
fn roles_alternate_and_results_come_first_in_one_turn() {
    let (body, losses) = encode(&conversation(&json!([
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "assistant", "content": [call("t1", "f"), call("t2", "g")]},
        {"role": "user", "content": "first things first"},
        {"role": "user", "content": [result("t1", "1")]},
        {"role": "user", "content": [result("t2", "2")]},
    ])));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "c"}, call("t1", "f"), call("t2", "g")]},
            {"role": "user", "content": [result("t1", "1"), result("t2", "2"), {"type": "text", "text": "first things first"}]},
        ])
    );
    assert_eq!(losses, "");
}

#[test]
fn leading_system_texts_are_hoisted_and_later_ones_become_reminders() {
    let (body, losses) = encode(&conversation(&json!([
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "c"},
    ])));
    assert_eq!(body["system"], "be brief");
    assert_eq!(
        body["messages"][2]["content"],
        json!([{"type": "text", "text": "<system-reminder>\nbe kind\n</system-reminder>"}, {"type": "text", "text": "c"}])
    );
    assert_eq!(losses, "messages.role=degraded");
}

#[test]
fn a_conversation_that_does_not_begin_with_the_user_gets_a_first_turn() {
    for messages in
        [json!([]), json!([{"role": "assistant", "content": "hello"}]), json!([{"role": "user", "content": " "}])]
    {
        let (body, losses) = encode(&conversation(&messages));
        assert_eq!(body["messages"][0], json!({"role": "user", "content": "."}));
        assert_eq!(losses, "messages=emulated");
    }
}

#[test]
fn empty_texts_go_and_a_prefill_stays_without_its_trailing_space() {
    let (body, losses) = encode(&conversation(&json!([
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "a"}]},
        {"role": "assistant", "content": "The answer is "},
    ])));
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "The answer is"}])
    );
    assert_eq!(losses, "messages.content=degraded");
}

#[test]
fn cache_marks_survive_in_any_protocol() {
    let marked = json!([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]);
    let (body, losses) = encode(&conversation(&json!([{"role": "user", "content": marked}])));
    assert_eq!((&body["messages"][0]["content"], losses.as_str()), (&marked, ""));
}

#[test]
fn only_thoughts_that_anthropic_signed_go_back() {
    let mut request = conversation(&json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "ZA=="},
            {"type": "thinking", "thinking": "unsigned", "signature": ""},
            {"type": "text", "text": "b"},
        ]},
        {"role": "user", "content": "c"},
    ]));
    let signature = Some(Signature { issuer: ProtocolId::Gemini, value: "Z2Vt".into() });
    request.messages[1].parts.push(Part::Reasoning(Reasoning {
        text: "elsewhere".into(),
        signature,
        ..Reasoning::default()
    }));
    let (body, losses) = encode(&request);
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"type": "thinking", "thinking": "", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "ZA=="},
            {"type": "text", "text": "b"},
        ])
    );
    assert_eq!(losses, "messages.reasoning=dropped");
}

#[test]
fn ids_are_unique_legal_and_follow_their_results() {
    let (body, _) = encode(&conversation(&json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [call("call_0", "f"), call("functions.g:1", "g")]},
        {"role": "user", "content": [result("functions.g:1", "1"), result("call_0", "2")]},
        {"role": "assistant", "content": [call("call_0", "f")]},
        {"role": "user", "content": [result("call_0", "3")]},
    ])));
    let ids = |message: usize, member: &str| -> Vec<String> {
        let blocks = body["messages"][message]["content"].as_array().unwrap();
        blocks.iter().map(|block| block[member].as_str().unwrap().to_owned()).collect()
    };
    let (first, second) = (ids(1, "id"), ids(3, "id"));
    assert_eq!(ids(2, "tool_use_id"), [first[1].clone(), first[0].clone()]);
    assert_eq!(ids(4, "tool_use_id"), second);
    assert_ne!(first[0], second[0]);
    assert!(first.iter().all(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')));
}

#[test]
fn missing_ids_are_derived_and_matched_by_name_and_order() {
    let mut request = conversation(&json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [call("x", "f"), call("y", "g"), call("z", "f")]},
        {"role": "user", "content": [result("x", "1"), result("y", "2"), result("z", "3")]},
    ]));
    for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
        match part {
            Part::ToolCall(call) => call.id = None,
            Part::ToolResult(result) => {
                result.name = Some(if result.call_id.as_deref() == Some("y") { "g" } else { "f" }.to_owned());
                result.call_id = None;
            }
            _ => {}
        }
    }
    let (body, _) = encode(&request);
    let content = |message: usize| body["messages"][message]["content"].as_array().unwrap().clone();
    for (call, result) in content(1).iter().zip(content(2)) {
        assert!(call["id"].as_str().unwrap().starts_with("toolu_"));
        assert_eq!(call["id"], result["tool_use_id"]);
    }
}

#[test]
fn audio_is_refused_with_the_place_where_it_stands() {
    let mut request = conversation(&json!([{"role": "user", "content": [
        {"type": "text", "text": "listen"},
        {"type": "image", "source": {"type": "base64", "media_type": "audio/wav", "data": "AA=="}},
    ]}]));
    let Part::Media(media) = &mut request.messages[0].parts[1] else { panic!() };
    media.kind = crate::wire::ir::MediaKind::Audio;
    let error = try_encode(&request, "m", &Quirks::default()).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("messages.0.content.1"));
    assert!(error.message.contains("takes no audio"), "{}", error.message);
}

// === tools ===

fn tools() -> Value {
    json!([
        {"name": "fs.read", "description": "reads", "input_schema": {"type": "object", "additionalProperties": false}, "strict": true},
        {"name": "now", "strict": false},
        {"name": "loose", "input_schema": {"properties": {}}},
    ])
}

#[test]
fn tools_become_legal() {
    let mut request = with("tools", tools());
    request.tool_choice = Some(ToolChoice::Tool("fs.read".into()));
    request.parallel_tool_calls = Some(false);
    let (body, losses) = encode(&request);
    assert_eq!(
        body["tools"],
        json!([
            {"name": "fs_x2e_read", "description": "reads", "input_schema": {"type": "object", "additionalProperties": false}, "strict": true},
            {"name": "now", "input_schema": {"type": "object", "properties": {}}},
            {"name": "loose", "input_schema": {"type": "object", "properties": {}}},
        ])
    );
    assert_eq!(body["tool_choice"], json!({"type": "tool", "name": "fs_x2e_read", "disable_parallel_tool_use": true}));
    assert_eq!(losses, "tools.name=emulated, tool_choice=emulated");
}

#[test]
fn every_tool_choice_has_a_counterpart() {
    for (choice, parallel, expected) in [
        (None, None, Value::Null),
        (None, Some(true), Value::Null),
        (None, Some(false), json!({"type": "auto", "disable_parallel_tool_use": true})),
        (Some(ToolChoice::Auto), None, json!({"type": "auto"})),
        (Some(ToolChoice::None), Some(false), json!({"type": "none"})),
        (Some(ToolChoice::Required), None, json!({"type": "any"})),
        (Some(ToolChoice::Tool("now".into())), None, json!({"type": "tool", "name": "now"})),
        (Some(ToolChoice::Allowed { names: vec!["now".into()], required: true }), None, json!({"type": "any"})),
        (Some(ToolChoice::Allowed { names: vec!["now".into()], required: false }), None, json!({"type": "auto"})),
    ] {
        let mut request = with("tools", tools());
        (request.tool_choice, request.parallel_tool_calls) = (choice.clone(), parallel);
        let (body, _) = encode(&request);
        assert_eq!(body.get("tool_choice").cloned().unwrap_or_default(), expected, "{choice:?}");
        let offered = body["tools"].as_array().unwrap().len();
        assert_eq!(offered, if matches!(choice, Some(ToolChoice::Allowed { .. })) { 1 } else { 3 });
    }
}

#[test]
fn a_tool_that_anthropic_runs_is_no_tool_of_anyone_else() {
    let tools = json!([{"type": "web_search_20250305", "name": "web_search"}]);
    let mut request = with("tools", tools.clone());
    request.tool_choice = Some(ToolChoice::Auto);
    let (body, losses) = encode(&request);
    assert_eq!((&body["tools"], &body["tool_choice"]["type"], losses.as_str()), (&tools, &json!("auto"), ""));
    for tool in request.tools.iter_mut().flatten() {
        if let ToolKind::Opaque { origin, .. } = &mut tool.kind {
            *origin = ProtocolId::Gemini;
        }
    }
    let (body, losses) = encode(&request);
    assert_eq!((body.get("tools"), body.get("tool_choice"), losses.as_str()), (None, None, "tools.web_search=dropped"));
}

// === sampling, output, reasoning ===

#[test]
fn what_anthropic_lacks_is_reported() {
    let mut request = with("temperature", json!(1.7));
    request.sampling.seed = Some(7.into());
    request.sampling.frequency_penalty = Some(1.into());
    request.sampling.presence_penalty = Some(0.into());
    request.sampling.candidates = Some(2);
    request.sampling.logprobs = Some(true);
    request.sampling.stop = Some(vec!["\n".into(), "END".into()]);
    request.ext = Ext(vec![
        ("logit_bias".into(), json::raw("{\"50256\":-100}").unwrap()),
        ("store".into(), json::raw("false").unwrap()),
    ]);
    let (body, losses) = encode(&request);
    assert_eq!((&body["temperature"], &body["stop_sequences"]), (&json!(1), &json!(["END"])));
    assert_eq!(
        losses,
        "seed=dropped, frequency_penalty=dropped, n=dropped, logprobs=dropped, logit_bias=dropped, temperature=degraded, stop=dropped"
    );
}

#[test]
fn a_limit_is_always_given() {
    let mut request = with("temperature", json!(0.5));
    request.sampling.max_tokens = None;
    let quirks = Quirks::default();
    for (most, expected) in [(None, 4096), (Some(8192), 8192), (Some(200_000), 32_000)] {
        let destination = Destination { model: "m", quirks: &quirks, max_output_tokens: most };
        let (mut out, mut losses) = (Vec::new(), Losses::default());
        super::encode(&request, &destination, &mut out, &mut losses).unwrap();
        let body: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&body["max_tokens"], losses.to_string().as_str()), (&json!(expected), "max_tokens=emulated"));
    }
}

#[test]
fn sampling_yields_to_thinking() {
    let mut request = with("temperature", json!(0.3));
    request.sampling.top_p = Some(1.into());
    request.sampling.top_k = Some(40.into());
    request.sampling.max_tokens = None;
    request.reasoning = Some(ReasoningRequest { effort: Some(ReasoningEffort::Medium), ..ReasoningRequest::default() });
    let (body, losses) = encode(&request);
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 8192}));
    assert!(["temperature", "top_p", "top_k"].iter().all(|member| body.get(member).is_none()));
    assert_eq!(losses, "max_tokens=emulated, reasoning_effort=emulated, temperature=dropped, top_k=dropped");

    let (body, _) = try_encode(&request, "claude-opus-4-7", &Quirks::default()).unwrap();
    assert_eq!(
        (&body["thinking"], &body["output_config"]),
        (&json!({"type": "adaptive"}), &json!({"effort": "medium"}))
    );
}

#[test]
fn a_forced_call_wins_over_a_thinking_budget() {
    let mut request = with("tools", tools());
    request.tool_choice = Some(ToolChoice::Required);
    request.reasoning = Some(ReasoningRequest { effort: Some(ReasoningEffort::High), ..ReasoningRequest::default() });
    let (body, _) = encode(&request);
    assert_eq!((&body["tool_choice"]["type"], &body["thinking"]["type"]), (&json!("any"), &json!("disabled")));
}

#[test]
fn some_models_cannot_be_forced() {
    let mut request = with("tools", tools());
    request.tool_choice = Some(ToolChoice::Required);
    let (body, losses) = try_encode(&request, "claude-fable-5", &Quirks::default()).unwrap();
    assert_eq!(body["tool_choice"], json!({"type": "auto"}));
    assert!(losses.contains("tool_choice=degraded"), "{losses}");
}

#[test]
fn structured_output_is_native_where_it_can_be() {
    let schema = r#"{"type":"object", "properties":{"b":{},"a":{}},"additionalProperties":false}"#;
    let mut request = with("temperature", json!(0.5));
    request.output = Some(OutputFormat::Schema {
        name: Some("n".into()),
        description: None,
        schema: json::raw(schema).unwrap(),
        strict: Some(true),
    });
    let quirks = Quirks::default();
    let destination = Destination { model: "claude-sonnet-4-6", quirks: &quirks, max_output_tokens: None };
    let mut out = Vec::new();
    super::encode(&request, &destination, &mut out, &mut Losses::default()).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains(&format!(r#""output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}"#)),
        "{text}"
    );

    request.output = Some(OutputFormat::Json);
    let (body, losses) = encode(&request);
    assert_eq!((body.get("output_config"), losses.as_str()), (None, "response_format=dropped"));
}

#[test]
fn refused_members_go() {
    let quirks = Quirks { refused_members: vec!["metadata".into()], ..Quirks::default() };
    let (body, losses) = try_encode(&with("metadata", json!({"user_id": "u"})), "m", &quirks).unwrap();
    assert_eq!((body.get("metadata"), losses.as_str()), (None, "metadata=dropped"));
}

#[test]
fn a_count_has_only_the_members_that_count() {
    let body = json!({
        "model": "m", "max_tokens": 5, "stream": true, "temperature": 0.5, "metadata": {"user_id": "u"}, "service_tier": "auto",
        "stop_sequences": ["x"], "system": "s", "messages": [{"role": "user", "content": "x"}], "tools": [],
        "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}
    });
    let request = decode_request(&body.to_string());
    let quirks = Quirks::default();
    let destination = Destination { model: "m", quirks: &quirks, max_output_tokens: None };
    let mut out = Vec::new();
    super::encode_count_tokens(&request, &destination, &mut out, &mut Losses::default()).unwrap();
    let counted: Value = serde_json::from_slice(&out).unwrap();
    let mut members: Vec<&str> = counted.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["messages", "model", "output_config", "system", "thinking", "tools"]);
}

// === the same protocol ===

#[test]
fn a_request_of_this_protocol_is_written_as_it_came() {
    for member in [
        json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        json!({"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "xhigh"}}),
        json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "low", "novelty": 1}}),
        json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}),
        json!({"output_format": {"type": "json_schema", "schema": {"type": "object"}}}),
        json!({"output_config": {}}),
        json!({"output_config": {"effort": "novel", "format": {"type": "novel"}}}),
        json!({"metadata": {"user_id": "u", "novelty": null}}),
        json!({"metadata": {}}),
        json!({"metadata": null, "temperature": null, "system": null, "tools": null, "stream": null}),
        json!({"tool_choice": {"type": "auto", "disable_parallel_tool_use": false}, "tools": []}),
        json!({"tool_choice": {"type": "tool", "name": "a", "novelty": 1}}),
        json!({"tool_choice": null}),
        json!({"stream": false, "service_tier": "auto", "container": {"id": "c"}, "mcp_servers": [], "context_management": {"edits": []}}),
        json!({"temperature": 1.0, "top_p": 0.95, "top_k": 3, "stop_sequences": []}),
        json!({"system": [], "messages": [{"role": "system", "content": "first"}, {"role": "user", "content": []}]}),
        json!({"messages": [{"role": "system", "content": "first and alone"}]}),
        json!({"tools": [{"type": "custom", "name": "a.b", "input_schema": {}, "strict": false, "defer_loading": true}, {"type": "bash_20250124", "name": "bash"}]}),
    ] {
        let mut body = json!({"model": "m", "max_tokens": 7, "messages": [{"role": "user", "content": "x"}]});
        body.as_object_mut().unwrap().extend(member.as_object().unwrap().clone());
        let (written, losses) = try_encode(&decode_request(&body.to_string()), "m", &Quirks::default()).unwrap();
        assert_eq!((written, losses), (body, String::new()));
    }
}

// === a history with another vendor's thoughts ===

fn history(body: &Value) -> (Value, String) {
    encode(&decode_request(&body.to_string()))
}

#[test]
fn thoughts_that_nobody_signed_stay_behind() {
    let unsigned = json!({"type": "thinking", "thinking": "hm", "signature": ""});
    let signed = json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"});
    let text = json!({"type": "text", "text": "b"});
    let (body, losses) = history(&json!({"model": "m", "max_tokens": 2000,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [unsigned, text]},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": [unsigned]},
        {"role": "user", "content": "d"},
        {"role": "assistant", "content": [signed, text]},
        {"role": "user", "content": "e"},
    ]}));
    let assistant: Vec<&Value> =
        body["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "assistant").collect();
    assert_eq!(assistant.len(), 2, "a turn without anything else is gone: {body}");
    assert_eq!(assistant[0]["content"], json!([text]));
    assert_eq!(assistant[1]["content"], json!([signed, text]));
    assert_eq!(body["thinking"]["budget_tokens"], 1024);
    assert_eq!(losses, "messages.content.thinking=dropped");
}

#[test]
fn a_turn_that_began_with_unsigned_thoughts_goes_on_without() {
    let body = |signature: &str| {
        json!({"model": "claude-sonnet-4-6", "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": signature}, call("t1", "f"),
            ]},
            {"role": "user", "content": [result("t1", "1")]},
        ]})
    };
    let (written, losses) = history(&body(""));
    assert_eq!(written.get("thinking"), None, "{written}");
    assert_eq!(losses, "thinking=dropped, messages.content.thinking=dropped");
    let (written, losses) = history(&body("c2ln"));
    assert_eq!((written, losses.as_str()), (body("c2ln"), ""));
}
