//! Answers of a given form, from every caller to every kind of target: the right thing on the wire, the right answer back.

mod bad_answers;

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::Gateway;
use crate::http_client::{self, Response};
use crate::mock_upstream::dialect::STRUCTURED;
use crate::mock_upstream::{Act, MockUpstream};

/// A target: its name here, its protocol, what its file says of it, its model, and by which means a schema reaches it.
struct Kind {
    name: &'static str,
    protocol: &'static str,
    quirks: &'static str,
    model: &'static str,
    means: Means,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    Native,
    Tool,
    JsonMode,
    Prompt,
}

const fn kind(
    name: &'static str,
    protocol: &'static str,
    quirks: &'static str,
    model: &'static str,
    means: Means,
) -> Kind {
    Kind { name, protocol, quirks, model, means }
}

const KINDS: [Kind; 13] = [
    kind("chat", "openai-chat", "{}", "m1", Means::Native),
    kind("chat-strict", "openai-chat", "{ structured_output: strict }", "m1", Means::Native),
    kind("chat-tool", "openai-chat", "{ structured_output: tool }", "m1", Means::Tool),
    kind("chat-json", "openai-chat", "{ structured_output: json }", "m1", Means::JsonMode),
    kind("chat-prompt", "openai-chat", "{ structured_output: prompt }", "m1", Means::Prompt),
    kind("responses", "openai-responses", "{}", "m1", Means::Native),
    kind("responses-json", "openai-responses", "{ structured_output: json }", "m1", Means::JsonMode),
    kind("messages", "anthropic-messages", "{}", "claude-sonnet-4-6", Means::Native),
    kind("messages-old", "anthropic-messages", "{}", "claude-3-5-haiku-20241022", Means::Tool),
    kind("messages-prompt", "anthropic-messages", "{ structured_output: prompt }", "m1", Means::Prompt),
    kind("gemini", "gemini", "{}", "gemini-2.5-flash", Means::Native),
    kind("converse", "bedrock-converse", "{}", "anthropic.claude-sonnet-4-5-20250929-v1:0", Means::Native),
    kind("gemini-tool", "gemini", "{ structured_output: tool }", "gemini-2.5-flash", Means::Tool),
];

/// One upstream behind a provider for each kind, and a preset of the kind's name.
struct Setup {
    gateway: Gateway,
    mock: MockUpstream,
}

impl Setup {
    async fn start(presets: &str) -> Setup {
        Setup::with(MockUpstream::good().await, presets).await
    }

    async fn with(mock: MockUpstream, presets: &str) -> Setup {
        let mut yaml = "version: 1\nproviders:\n".to_owned();
        for Kind { name, protocol, quirks, .. } in &KINDS {
            let url = mock.base_url(protocol);
            yaml +=
                &format!("  {name}: {{ protocol: {protocol}, base_url: \"{url}\", auth: none, quirks: {quirks} }}\n");
        }
        yaml += "presets:\n";
        for Kind { name, model, .. } in &KINDS {
            yaml += &format!("  to-{name}: {name}/{model}\n");
        }
        Setup { gateway: Gateway::start(&format!("{yaml}{presets}")).await, mock }
    }

    async fn ask(&self, caller: Caller, model: &str, case: &str, stream: bool) -> Response {
        caller.ask(self.gateway.address, model, case, stream).await
    }

    /// The last request that the upstream got.
    fn sent(&self) -> Value {
        self.mock.requests().pop().unwrap().request.json()
    }
}

fn heard(caller: Caller, answer: &Response, stream: bool) -> (String, String) {
    let heard = if stream { caller.heard_in_stream(answer) } else { caller.heard(answer) };
    assert!(heard.calls.is_empty(), "{caller:?} must not see the gateway's tool: {heard:?}");
    (heard.text, heard.stop)
}

fn usual_stop(caller: Caller) -> &'static str {
    match caller {
        Caller::Chat => "stop",
        Caller::Responses => "completed",
        Caller::Messages | Caller::Converse => "end_turn",
        Caller::Gemini => "STOP",
    }
}

/// By which means the upstream was asked.
fn means_of(protocol: &str, body: &Value) -> Means {
    let text = body.to_string();
    let (native, json_mode, forced) = match protocol {
        "openai-chat" => (
            body.pointer("/response_format/json_schema/schema"),
            body.pointer("/response_format/type").filter(|kind| **kind == "json_object"),
            body.pointer("/tool_choice/function/name"),
        ),
        "openai-responses" => (
            body.pointer("/text/format/schema"),
            body.pointer("/text/format/type").filter(|kind| **kind == "json_object"),
            body.pointer("/tool_choice/name"),
        ),
        "bedrock-converse" => (
            body.pointer("/outputConfig/textFormat/structure/jsonSchema/schema"),
            None,
            body.pointer("/toolConfig/toolChoice"),
        ),
        "anthropic-messages" => (body.pointer("/output_config/format/schema"), None, body.pointer("/tool_choice/name")),
        _ => (
            body.pointer("/generationConfig/responseJsonSchema"),
            None,
            body.pointer("/toolConfig/functionCallingConfig/allowedFunctionNames/0"),
        ),
    };
    let told = text.contains("must satisfy this JSON Schema");
    match (native, json_mode, forced, told) {
        (Some(_), None, None, false) => Means::Native,
        (None, None, Some(_), false) => Means::Tool,
        (None, Some(_), None, true) => Means::JsonMode,
        (None, None, None, true) => Means::Prompt,
        other => panic!("{protocol}: {other:?} in {body}"),
    }
}

#[tokio::test]
async fn a_schema_gets_from_every_caller_to_every_target_and_json_comes_back() {
    let setup = Setup::start("").await;
    for caller in Caller::ALL {
        for Kind { name, protocol, means, .. } in &KINDS {
            for stream in [false, true] {
                let what = format!("{caller:?} to {name}, stream {stream}");
                let answer = setup.ask(caller, &format!("to-{name}"), "case:structured", stream).await;
                assert_eq!(answer.status, 200, "{what}: {answer:?}");
                let sent = setup.sent();
                assert_eq!(means_of(protocol, &sent), *means, "{what}");
                assert_eq!(
                    heard(caller, &answer, stream),
                    (STRUCTURED.to_owned(), usual_stop(caller).to_owned()),
                    "{what}"
                );
                let losses = answer.header("x-routeplane-losses").unwrap_or_default();
                let effect = match means {
                    Means::Native => None,
                    Means::Tool => Some("response_format=emulated"),
                    Means::JsonMode | Means::Prompt => Some("response_format=degraded"),
                };
                match effect {
                    Some(effect) => assert!(losses.contains(effect), "{what}: `{losses}`"),
                    None => assert!(
                        !losses.contains("response_format=") && !losses.contains("schema.schema"),
                        "{what}: `{losses}`"
                    ),
                }
                if stream {
                    assert!(caller.has_end_marker(&answer), "{what}: {answer:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_target_with_the_callers_own_form_gets_its_very_bytes() {
    let setup = Setup::start("").await;
    for (caller, name, model) in [
        (Caller::Chat, "chat", "m1"),
        (Caller::Chat, "chat-strict", "m1"),
        (Caller::Responses, "responses", "m1"),
        (Caller::Messages, "messages", "claude-sonnet-4-6"),
        (Caller::Gemini, "gemini", "gemini-2.5-flash"),
    ] {
        let target = format!("{name}/{model}");
        let body = caller.body(model, "case:structured", false);
        let mut asked = body.clone();
        if caller != Caller::Gemini {
            asked["model"] = json!(target);
        }
        caller.post(setup.gateway.address, &target, &asked, false).await.expect_status(200);
        assert_eq!(setup.mock.requests().pop().unwrap().request.text(), body.to_string(), "{caller:?}");
    }
}

#[tokio::test]
async fn json_mode_reaches_every_target() {
    let setup = Setup::start("").await;
    for Kind { name, protocol, quirks, model, .. } in &KINDS {
        let mut body = Caller::Responses.body(&format!("{name}/{model}"), "hello", false);
        body["text"] = json!({ "format": { "type": "json_object" } });
        let answer = Caller::Responses.post(setup.gateway.address, "", &body, false).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let sent = setup.sent();
        let losses = answer.header("x-routeplane-losses").unwrap_or_default();
        let native = match *protocol {
            "openai-chat" if !quirks.contains("prompt") => sent["response_format"]["type"] == "json_object",
            "openai-responses" => sent["text"]["format"]["type"] == "json_object",
            "gemini" => sent["generationConfig"]["responseMimeType"] == "application/json",
            _ => {
                assert!(losses.contains("response_format=degraded"), "{name}: `{losses}`");
                assert!(sent.to_string().contains("one valid JSON object"), "{name}: {sent}");
                continue;
            }
        };
        assert!(native, "{name}: {sent}");
    }
}

#[tokio::test]
async fn the_callers_own_tools_are_not_taken_away_for_a_schema() {
    let setup = Setup::start("").await;
    for (name, model, means) in [
        ("chat-tool", "m1", Means::JsonMode),
        ("messages-old", "claude-3-5-haiku-20241022", Means::Prompt),
        ("messages", "claude-sonnet-4-6", Means::Native),
        ("gemini", "gemini-2.5-flash", Means::Prompt),
    ] {
        let mut body = Caller::Responses.body(&format!("{name}/{model}"), "case:tools", false);
        body["text"] = Caller::Responses.body("", "case:structured", false)["text"].clone();
        let answer = Caller::Responses.post(setup.gateway.address, "", &body, false).await.expect_status(200);
        assert_eq!(Caller::Responses.heard(&answer).calls.len(), 3, "{name}: {answer:?}");
        let sent = setup.sent();
        let protocol = KINDS.iter().find(|kind| kind.name == name).unwrap().protocol;
        assert_eq!(means_of(protocol, &sent), means, "{name}");
    }
}

/// Row 80 of the list of bugs.
#[tokio::test]
async fn a_schema_rewritten_for_one_target_reaches_the_next_as_it_was() {
    let presets = "  chain: messages/claude-sonnet-4-6 > messages-old/claude-3-5-haiku-20241022 > chat/m1\n";
    let mock = MockUpstream::start([Act::status(404), Act::status(404), Act::Answer]).await;
    let setup = Setup::with(mock, presets).await;
    let schema = json!({ "type": "object", "required": ["answer"], "properties": {
        "answer": { "type": "integer", "minimum": 3 }, "unit": { "type": "string", "minLength": 1 },
    } });
    let tool = json!({ "type": "object", "properties": { "city": { "type": "string", "minLength": 2 } } });
    let mut body = Caller::Chat.body("chain", "case:tools", false);
    body["response_format"] = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": schema } });
    body["tools"][0]["function"]["parameters"] = tool.clone();
    Caller::Chat.post(setup.gateway.address, "chain", &body, false).await.expect_status(200);
    let sent: Vec<Value> = setup.mock.requests().iter().map(|record| record.request.json()).collect();
    assert_eq!(sent.len(), 3);
    let first = &sent[0]["output_config"]["format"]["schema"];
    assert_eq!(first["additionalProperties"], false);
    assert!(first["properties"]["answer"].get("minimum").is_none(), "{first}");
    assert!(sent[1].to_string().contains(&serde_json::to_string(&schema.to_string()).unwrap()[1..20]), "{}", sent[1]);
    assert_eq!(sent[2]["response_format"]["json_schema"]["schema"], schema, "nothing of the first two is left");
    assert_eq!(sent[2]["messages"], body["messages"]);
    assert_eq!(sent[2]["tools"], body["tools"]);
    assert_eq!(sent[0]["tools"][0]["input_schema"], tool);
}

/// Row 79 of the list of bugs.
#[tokio::test]
async fn conditional_branches_reach_gemini() {
    let setup = Setup::start("").await;
    let conditional = json!({
        "type": "object", "properties": { "answer": { "type": "integer" }, "kind": { "enum": ["a", "b"] } },
        "required": ["answer"],
        "allOf": [{
            "if": { "properties": { "kind": { "const": "a" } } },
            "then": { "properties": { "only_with_a": { "type": "string" } }, "required": ["only_with_a"] },
        }],
    });
    let mut body = Caller::Chat.body("gemini/gemini-3-pro-preview", "case:tools", false);
    body["tools"][0]["function"]["parameters"] = conditional.clone();
    Caller::Chat.post(setup.gateway.address, "", &body, false).await.expect_status(200);
    let declared = &setup.sent()["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"];
    assert_eq!(declared, &conditional, "a tool's schema goes as it is");

    let mut body = Caller::Chat.body("gemini/gemini-3-pro-preview", "case:structured", false);
    body["response_format"]["json_schema"]["schema"] = conditional;
    let answer = Caller::Chat.post(setup.gateway.address, "", &body, false).await.expect_status(200);
    let sent = setup.sent();
    let schema = &sent["generationConfig"]["responseJsonSchema"];
    assert_eq!(schema["properties"]["only_with_a"], json!({ "type": "string" }), "{schema}");
    assert!(schema["description"].as_str().unwrap().contains("only_with_a"), "{schema}");
    let losses = answer.header("x-routeplane-losses").unwrap_or_default();
    assert!(losses.contains("response_format.json_schema.schema=degraded"), "{losses}");
}

#[tokio::test]
async fn degradation_can_be_refused() {
    let mut presets = String::new();
    for Kind { name, model, .. } in &KINDS {
        presets += &format!("  strict-{name}: {{ route: {name}/{model}, degrade: refuse }}\n");
    }
    presets +=
        "  chain: { route: [chat-prompt/m1, chat-json/m1, messages-old/claude-3-5-haiku-20241022], degrade: refuse }\n";
    let setup = Setup::start(&presets).await;
    for caller in [Caller::Responses, Caller::Gemini] {
        for Kind { name, means, .. } in &KINDS {
            let before = setup.mock.requests().len();
            let answer = setup.ask(caller, &format!("strict-{name}"), "case:structured", false).await;
            let refused = matches!(means, Means::JsonMode | Means::Prompt);
            assert_eq!(answer.status, if refused { 400 } else { 200 }, "{name}: {answer:?}");
            assert_eq!(setup.mock.requests().len() - before, usize::from(!refused), "{name}");
            if refused {
                assert_eq!(answer.header("x-routeplane-code"), Some("would_degrade"));
                let (_, message) = caller.error(&answer.json());
                assert!(message.contains("`degrade: refuse`") && message.contains(name), "{message}");
            }
            // What asks for no form goes anywhere.
            setup.ask(caller, &format!("strict-{name}"), "case:text", false).await.expect_status(200);
        }
        let answer = setup.ask(caller, "chain", "case:structured", false).await.expect_status(200);
        assert_eq!(answer.header("x-routeplane-target"), Some("messages-old/claude-3-5-haiku-20241022"));
    }
}

#[tokio::test]
async fn a_preset_asks_for_a_form_where_the_caller_has_none() {
    let schema =
        "{ type: object, properties: { answer: { type: integer } }, required: [answer], additionalProperties: true }";
    let mut presets = String::new();
    for Kind { name, model, .. } in &KINDS {
        presets += &format!("  facts-{name}: {{ route: {name}/{model}, output: {schema}, on_invalid: error }}\n");
    }
    let setup = Setup::start(&presets).await;
    for caller in Caller::ALL {
        for Kind { name, protocol, means, .. } in &KINDS {
            let model = format!("facts-{name}");
            let mut body = caller.body(&model, "hello", false);
            match caller {
                Caller::Chat => body["messages"][0]["content"] = json!("case:structured"),
                Caller::Responses => body["input"] = json!("case:structured"),
                Caller::Messages => body["messages"][0]["content"] = json!("case:structured"),
                Caller::Converse => body["messages"][0]["content"][0]["text"] = json!("case:structured"),
                Caller::Gemini => body["contents"][0]["parts"][0]["text"] = json!("case:structured"),
            }
            let answer = caller.post(setup.gateway.address, &model, &body, false).await.expect_status(200);
            assert_eq!(means_of(protocol, &setup.sent()), *means, "{caller:?} {name}");
            assert_eq!(heard(caller, &answer, false).0, STRUCTURED, "{caller:?} {name}");
            assert_eq!(answer.header("x-routeplane-output"), Some("valid"));
            // The caller's own schema goes before the file's.
            setup.ask(caller, &model, "case:structured", false).await.expect_status(200);
            assert!(setup.sent().to_string().contains("unit"), "{caller:?} {name}: {}", setup.sent());
        }
    }
}

#[tokio::test]
async fn hostile_schemas_hurt_nobody() {
    let setup = Setup::start(&bad_answers::policies()).await;
    let ask = |schema: Value, model: &'static str| {
        let mut body = Caller::Chat.body(model, "case:text", false);
        body["response_format"] = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": schema } });
        body
    };
    let recursive = json!({ "type": "object", "properties": { "next": { "$ref": "#" } } });
    let wide: serde_json::Map<String, Value> = (0..20_000)
        .map(|n| (format!("member_{n}_with_a_long_name"), json!({ "type": "string", "minLength": 1 })))
        .collect();
    let wide = json!({ "type": "object", "properties": wide });
    assert!(wide.to_string().len() > 1 << 20);
    let bomb = json!({ "type": "object", "properties": { "a": { "type": "string", "pattern": "^(?!x)((a+)+)+$" } } });
    let remote = json!({ "$ref": "http://127.0.0.1:1/schema.json" });
    for schema in [recursive, wide, bomb, remote, json!({ "type": 6 })] {
        for model in ["repair-chat", "repair-messages", "to-chat-strict", "to-messages-old", "repair-gemini"] {
            let answer = Caller::Chat.post(setup.gateway.address, model, &ask(schema.clone(), model), false).await;
            assert!([200, 400].contains(&answer.status), "{model}: {answer:?}");
        }
    }
    let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(10_000), "}".repeat(10_000));
    let body = ask(json!("DEEP"), "repair-messages").to_string().replace("\"DEEP\"", &deep);
    let answer =
        http_client::request(setup.gateway.address, "POST", "/v1/chat/completions", &[], body.as_bytes()).await;
    assert_eq!(answer.expect_status(400).json()["error"]["code"], "json_depth");
    setup.ask(Caller::Chat, "to-chat", "case:structured", false).await.expect_status(200);
}
