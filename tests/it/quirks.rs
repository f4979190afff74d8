//! Quirks of Chat Completions upstreams, on requests that came in another protocol.

use routeplane::wire::ProtocolId;
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::{MaxTokensMember, Quirks, ReasoningMember, ReasoningReplay};
use serde_json::{Value, json};

use crate::laws::fixtures::{destination, head, inbound, outbound};

/// `body`, a request of `origin`, as an upstream with `quirks` gets it, and the losses.
fn translated(origin: ProtocolId, body: &Value, quirks: &Quirks) -> (Value, String) {
    let request = inbound(origin.codec().unwrap()).decode_request(&head(false), body.to_string().as_bytes()).unwrap();
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    let chat = outbound(ProtocolId::OpenAiChat.codec().unwrap());
    chat.encode_request(&request, &destination("m", quirks), &mut out, &mut losses).unwrap();
    (serde_json::from_slice(&out).unwrap(), losses.to_string())
}

fn anthropic(members: &Value, quirks: &Quirks) -> (Value, String) {
    let mut body = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
    for (key, value) in members.as_object().unwrap() {
        body[key] = value.clone();
    }
    translated(ProtocolId::AnthropicMessages, &body, quirks)
}

#[test]
fn a_schema_has_its_member() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let asked = json!({ "output_config": { "format": { "type": "json_schema", "schema": schema } } });
    let (body, losses) = anthropic(&asked, &Quirks::default());
    assert_eq!((&body["response_format"]["json_schema"]["schema"], losses.as_str()), (&schema, ""));
}

#[test]
fn refused_members_are_left_out_and_reported() {
    let quirks = Quirks { refused_members: vec!["temperature".into(), "user".into()], ..Quirks::default() };
    let (body, losses) = anthropic(&json!({ "temperature": 0.5, "metadata": { "user_id": "u" } }), &quirks);
    assert_eq!((body.get("temperature"), body.get("user")), (None, None));
    assert_eq!(losses, "temperature=dropped, user=dropped");
}

#[test]
fn reasoning_goes_where_the_upstream_wants_it() {
    let history = json!({ "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "hm", "signature": "c2ln" }, { "type": "text", "text": "b" },
        ] },
        { "role": "user", "content": "c" },
    ] });
    for (replay, member, expected) in [
        (ReasoningReplay::ReasoningContent, "reasoning_content", json!("hm")),
        (ReasoningReplay::Reasoning, "reasoning", json!("hm")),
        (ReasoningReplay::ReasoningDetails, "reasoning_details", json!([{ "type": "reasoning.text", "text": "hm" }])),
    ] {
        let (body, losses) = anthropic(&history, &Quirks { reasoning_replay: replay, ..Quirks::default() });
        let mut message = json!({ "role": "assistant", "content": "b" });
        message[member] = expected;
        assert_eq!(body["messages"][1], message);
        assert_eq!(losses, "messages.content.signature=dropped", "{replay:?}");
    }
    let in_content = Quirks { reasoning_replay: ReasoningReplay::Thinking, ..Quirks::default() };
    let thoughts = json!({ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] });
    let (body, losses) = anthropic(&history, &in_content);
    let content = json!([thoughts, { "type": "text", "text": "b" }]);
    assert_eq!(body["messages"][1], json!({ "role": "assistant", "content": content }));
    assert_eq!(losses, "messages.content.signature=dropped");
    // A Chat client's own thoughts stand in a member; a turn of nothing but calls has them, too.
    let call = json!([{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } }]);
    let turn = json!({ "role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": call });
    let own = json!({ "model": "m", "messages": [turn] });
    let (body, losses) = translated(ProtocolId::OpenAiChat, &own, &in_content);
    let told = json!({ "role": "assistant", "content": [thoughts], "tool_calls": call });
    assert_eq!((&body["messages"][0], losses.as_str()), (&told, ""));

    let (body, losses) = anthropic(&history, &Quirks::default());
    assert_eq!(body["messages"][1], json!({ "role": "assistant", "content": "b" }));
    assert_eq!(losses, "messages.content.signature=dropped, messages.content.reasoning=dropped");
}

#[test]
fn a_developer_may_speak_as_the_system() {
    let body = json!({ "model": "m", "messages": [{ "role": "developer", "content": "x" }] });
    for (developer_as_system, role) in [(false, "developer"), (true, "system")] {
        let quirks = Quirks { developer_as_system, ..Quirks::default() };
        assert_eq!(translated(ProtocolId::OpenAiChat, &body, &quirks).0["messages"][0]["role"], role);
    }
}

#[test]
fn streams_ask_for_usage_where_they_may() {
    for no_stream_options in [false, true] {
        let quirks = Quirks { no_stream_options, ..Quirks::default() };
        let (body, losses) = anthropic(&json!({ "stream": true }), &quirks);
        assert_eq!(body["stream_options"]["include_usage"] == json!(true), !no_stream_options);
        assert_eq!(losses, "", "the caller did not ask for it");
    }
}

#[test]
fn a_forced_call_has_the_upstreams_word() {
    let members = json!({ "tools": [{ "name": "f", "input_schema": {} }], "tool_choice": { "type": "any" } });
    for (tool_choice_any, word) in [(false, "required"), (true, "any")] {
        let quirks = Quirks { tool_choice_any, ..Quirks::default() };
        assert_eq!(anthropic(&members, &quirks).0["tool_choice"], word);
    }
}

#[test]
fn ids_of_calls_and_results_are_shortened_alike() {
    let (body, losses) = anthropic(
        &json!({ "messages": [
            { "role": "user", "content": "a" },
            { "role": "assistant", "content": [{ "type": "tool_use", "id": "toolu_1", "name": "f", "input": {} }] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "toolu_1", "content": "1" }] },
        ] }),
        &Quirks { short_tool_ids: true, ..Quirks::default() },
    );
    let id = body["messages"][1]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!(body["messages"][2], json!({ "role": "tool", "tool_call_id": id, "content": "1" }));
    assert_eq!(losses, "");
}

#[test]
fn a_seed_goes_by_the_name_that_the_upstream_has_for_it() {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }], "seed": 3 });
    for (random_seed, member, other) in [(true, "random_seed", "seed"), (false, "seed", "random_seed")] {
        let quirks = Quirks { random_seed, ..Quirks::default() };
        let (body, losses) = translated(ProtocolId::OpenAiChat, &body, &quirks);
        assert_eq!((&body[member], body.get(other), losses.as_str()), (&json!(3), None, ""));
    }
}

#[test]
fn an_effort_that_is_refused_is_reported() {
    let members = json!({ "output_config": { "effort": "high" } });
    let (body, losses) = anthropic(&members, &Quirks { no_reasoning_effort: true, ..Quirks::default() });
    assert_eq!((body.get("reasoning_effort"), losses.as_str()), (None, "reasoning_effort=dropped"));
    assert_eq!(anthropic(&members, &Quirks::default()).0["reasoning_effort"], "high");
}

#[test]
fn the_limit_has_the_upstreams_name() {
    for (max_tokens, member) in
        [(MaxTokensMember::MaxTokens, "max_tokens"), (MaxTokensMember::MaxCompletionTokens, "max_completion_tokens")]
    {
        let (body, _) = anthropic(&json!({}), &Quirks { max_tokens, ..Quirks::default() });
        assert_eq!(body[member], 9);
    }
}

#[test]
fn media_and_failures_of_tools_are_told_in_words() {
    let image = json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AA==" } });
    let (body, losses) = anthropic(
        &json!({ "messages": [
            { "role": "user", "content": "a" },
            { "role": "assistant", "content": [
                { "type": "tool_use", "id": "t1", "name": "f", "input": {} },
                { "type": "tool_use", "id": "t2", "name": "f", "input": {} },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "t1", "content": [{ "type": "text", "text": "seen" }, image] },
                { "type": "tool_result", "tool_use_id": "t2", "content": "broke", "is_error": true },
                { "type": "text", "text": "go on" },
            ] },
        ] }),
        &Quirks::default(),
    );
    let result = |at: usize| (body["messages"][at]["role"].as_str(), body["messages"][at]["content"].as_str());
    assert_eq!(result(2), (Some("tool"), Some("seen\nThe result is in the next user message.")));
    assert_eq!(result(3), (Some("tool"), Some("Error: broke")));
    assert_eq!(
        body["messages"][4],
        json!({ "role": "user", "content": [
            { "type": "text", "text": "Result of the tool call t1:" },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } },
            { "type": "text", "text": "go on" },
        ] })
    );
    assert_eq!(losses, "messages.content.tool_result=emulated, messages.content.is_error=emulated");
}

#[test]
fn documents_go_as_files_or_as_text() {
    let document = |source: Value| json!({ "type": "document", "title": "a.txt", "source": source });
    let (body, losses) = anthropic(
        &json!({ "messages": [{ "role": "user", "content": [
            document(json!({ "type": "text", "media_type": "text/plain", "data": "words" })),
            document(json!({ "type": "base64", "media_type": "application/pdf", "data": "AA==" })),
        ] }] }),
        &Quirks::default(),
    );
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            { "type": "text", "text": "a.txt\n\nwords" },
            { "type": "file", "file": { "filename": "a.txt", "file_data": "data:application/pdf;base64,AA==" } },
        ])
    );
    assert_eq!(losses, "messages.content.document=emulated");
}

#[test]
fn how_much_to_think_is_said_in_the_upstreams_own_member() {
    let budget =
        |tokens: u64| json!({ "max_tokens": 9000, "thinking": { "type": "enabled", "budget_tokens": tokens } });
    let off = || json!({ "thinking": { "type": "disabled" } });
    let effort = |word: &str| json!({ "output_config": { "effort": word } });
    let cases = [
        (ReasoningMember::Reasoning, budget(2000), json!({ "reasoning": { "max_tokens": 2000 } }), ""),
        (ReasoningMember::Reasoning, off(), json!({ "reasoning": { "effort": "none" } }), ""),
        (ReasoningMember::Reasoning, effort("low"), json!({ "reasoning": { "effort": "low" } }), ""),
        (
            ReasoningMember::Reasoning,
            effort("max"),
            json!({ "reasoning": { "effort": "xhigh" } }),
            "reasoning_effort=degraded",
        ),
        (
            ReasoningMember::Thinking,
            budget(2000),
            json!({ "thinking": { "type": "enabled" } }),
            "reasoning.budget=degraded",
        ),
        (ReasoningMember::Thinking, off(), json!({ "thinking": { "type": "disabled" } }), ""),
        (
            ReasoningMember::EnableThinking,
            budget(2000),
            json!({ "enable_thinking": true, "thinking_budget": 2000 }),
            "",
        ),
        (ReasoningMember::EnableThinking, off(), json!({ "enable_thinking": false }), ""),
        (
            ReasoningMember::EnableThinking,
            effort("low"),
            json!({ "enable_thinking": true, "thinking_budget": 2048 }),
            "reasoning_effort=degraded",
        ),
        (
            ReasoningMember::ChatTemplate,
            effort("high"),
            json!({ "chat_template_kwargs": { "enable_thinking": true } }),
            "reasoning_effort=degraded",
        ),
        (ReasoningMember::ChatTemplate, off(), json!({ "chat_template_kwargs": { "enable_thinking": false } }), ""),
    ];
    for (member, asked, expected, lost) in cases {
        let (body, losses) = anthropic(&asked, &Quirks { reasoning_member: member, ..Quirks::default() });
        let members =
            ["reasoning", "reasoning_effort", "thinking", "enable_thinking", "thinking_budget", "chat_template_kwargs"];
        let said: serde_json::Map<String, Value> = (body.as_object().unwrap().iter())
            .filter(|(key, _)| members.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!((Value::Object(said), losses.as_str()), (expected, lost), "{member:?}: {asked}");
    }
    // Gemini's callers say whether they want to see the thoughts.
    let hidden = json!({
        "contents": [{ "parts": [{ "text": "hi" }] }],
        "generationConfig": { "thinkingConfig": { "thinkingBudget": -1, "includeThoughts": false } },
    });
    let quirks = Quirks { reasoning_member: ReasoningMember::Reasoning, ..Quirks::default() };
    let (body, losses) = translated(ProtocolId::Gemini, &hidden, &quirks);
    assert_eq!((&body["reasoning"], losses.as_str()), (&json!({ "enabled": true, "exclude": true }), ""));
    // Whoever speaks Chat Completions writes what the upstream knows.
    let own = json!({ "model": "m", "messages": [], "reasoning_effort": "low" });
    assert_eq!(translated(ProtocolId::OpenAiChat, &own, &quirks).0["reasoning_effort"], "low");
}
