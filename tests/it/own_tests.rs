//! Tests in the file, run by the binary: recorded bodies of every client protocol, and what of them is lost.

use crate::sandbox::Sandbox;

const FILE: &str = r#"version: 1
providers:
  claude: { protocol: anthropic-messages, base_url: "http://10.0.0.7:1", models: [c] }
  gpt: { protocol: openai-chat, base_url: "http://10.0.0.8:1/v1", models: [g] }
presets:
  strict: { route: gpt/g > claude/c, on_loss: refuse }
rules: |
  when last_tool == "grep" and tools == 2 and tool("bash") -> claude/c
  when images > 0 and stream                               -> gpt/g
  when header("x-strict") == "1"                           -> @strict
  when user == "u1" and session == "s1" and tag("env") == "prod" -> gpt/g
  otherwise                                                -> claude/c
"#;

/// The same conversation in each protocol: two tools, and the result of one of them.
const BODIES: [(&str, &str); 6] = [
    (
        "chat.json",
        r#"{"model":"x","messages":[{"role":"user","content":"find it"},{"role":"assistant","content":null,"tool_calls":[
        {"id":"c1","type":"function","function":{"name":"grep","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1",
        "content":"found"}],"tools":[{"type":"function","function":{"name":"grep","parameters":{"type":"object"}}},
        {"type":"function","function":{"name":"bash","parameters":{"type":"object"}}}]}"#,
    ),
    (
        "responses.json",
        r#"{"model":"x","input":[{"role":"user","content":"find it"},{"type":"function_call","call_id":"c1","name":"grep",
        "arguments":"{}"},{"type":"function_call_output","call_id":"c1","output":"found"}],"tools":[{"type":"function",
        "name":"grep","parameters":{"type":"object"}},{"type":"function","name":"bash","parameters":{"type":"object"}}]}"#,
    ),
    (
        "messages.json",
        r#"{"model":"x","max_tokens":5,"messages":[{"role":"user","content":"find it"},{"role":"assistant","content":[
        {"type":"tool_use","id":"c1","name":"grep","input":{}}]},{"role":"user","content":[{"type":"tool_result",
        "tool_use_id":"c1","content":"found"}]}],"tools":[{"name":"grep","input_schema":{"type":"object"}},
        {"name":"bash","input_schema":{"type":"object"}}]}"#,
    ),
    (
        "gemini.json",
        r#"{"contents":[{"role":"user","parts":[{"text":"find it"}]},{"role":"model","parts":[{"functionCall":{"name":"grep",
        "args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"grep","response":{"output":"found"}}}]}],
        "tools":[{"functionDeclarations":[{"name":"grep"},{"name":"bash"}]}]}"#,
    ),
    (
        "converse.json",
        r#"{"messages":[{"role":"user","content":[{"text":"find it"}]},{"role":"assistant","content":[{"toolUse":{
        "toolUseId":"c1","name":"grep","input":{}}}]},{"role":"user","content":[{"toolResult":{"toolUseId":"c1",
        "content":[{"text":"found"}]}}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"grep","inputSchema":{"json":
        {"type":"object"}}}},{"toolSpec":{"name":"bash","inputSchema":{"json":{"type":"object"}}}}]}}"#,
    ),
    ("embeddings.json", r#"{"model":"x","input":"hello"}"#),
];

fn sandbox(tests: &str) -> Sandbox {
    let sandbox = Sandbox::with(&format!("{FILE}tests:\n{tests}"));
    for (name, text) in BODIES {
        sandbox.write(&format!("recorded/{name}"), text);
    }
    sandbox.write(
        "recorded/seeded.json",
        r#"{"model":"x","seed":7,"logit_bias":{"1":2},"messages":[{"role":"user","content":"hi"}],"user":"u1"}"#,
    );
    sandbox
}

#[test]
fn recorded_bodies_of_every_protocol_have_the_facts_that_callers_have() {
    let mut tests = String::new();
    for protocol in ["chat", "responses", "messages", "gemini", "converse"] {
        tests.push_str(&format!(
            "  - request: {{ body: recorded/{protocol}.json, protocol: {protocol}, model: any }}\n    expect: {{ rule: 1 }}\n"
        ));
    }
    tests.push_str(
        "  - request: { body: recorded/embeddings.json, protocol: embeddings }\n    expect: { rule: 5 }\n\
         \x20 - request: { body: recorded/seeded.json, headers: { x-session-id: s1, x-routeplane-tag-env: prod } }\n\
         \x20   expect: { rule: 4, served_by: gpt/g, losses: [], degraded: false }\n\
         \x20 - request: { body: recorded/seeded.json }\n\
         \x20   expect: { rule: 5, lane: translated, losses: [seed, logit_bias], degraded: true }\n",
    );
    let checked = sandbox(&tests).run(&["check"]).expect(0);
    assert!(checked.stdout.contains("8 tests passed"), "{}", checked.stdout);
}

/// What is wrong is said at its place, with the decision and what it loses beside it.
#[test]
fn failures_show_the_decision() {
    let sandbox = sandbox(
        "  - name: nothing is lost\n    request: { body: recorded/seeded.json }\n    expect: { losses: [seed] }\n\
         \x20 - name: refused\n    request: { body: recorded/seeded.json, headers: { x-strict: 1 } }\n\
         \x20   given: { down: [gpt] }\n    expect: { degraded: false }\n\
         \x20 - name: no file\n    request: { body: recorded/absent.json }\n    expect: { rule: 1 }\n\
         \x20 - name: no such protocol\n    request: { body: recorded/gemini.json, model: x }\n    expect: { rule: 1 }\n\
         \x20 - name: no model\n    request: { body: recorded/gemini.json, protocol: gemini }\n    expect: { rule: 1 }\n\
         \x20 - name: twice\n    request: { body: recorded/chat.json, tools: [grep], session: s }\n    expect: { rule: 1 }\n",
    );
    let failed = sandbox.run(&["check"]).expect(3);
    insta::with_settings!({
        snapshot_path => "../../snapshots/cli",
        prepend_module_to_snapshot => false,
        omit_expression => true,
        filters => [(r"(?m) +$", "")],
    }, { insta::assert_snapshot!("own-tests-fail", failed.stderr) });
}

/// A recorded body belongs to the file: a reload judges it as `check` does.
#[tokio::test]
async fn a_reload_refuses_what_check_refuses() {
    let good = "  - request: { body: recorded/seeded.json }\n    expect: { losses: [seed, logit_bias] }\nreload: { watch: off }\n";
    let sandbox = sandbox(good);
    let daemon = sandbox.start(&[]).await;
    sandbox.write("recorded/seeded.json", r#"{"model":"x","messages":[{"role":"user","content":"hi"}]}"#);
    sandbox.run(&["check"]).expect(3);
    let nack = daemon.reload().await.expect_status(422).json();
    assert_eq!(nack["errors"][0]["code"], "RP0160", "{nack}");
}
