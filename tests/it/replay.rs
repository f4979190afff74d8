//! `routeplane replay`: recorded calls, decided again by another file.

use serde_json::{Value, json};

use crate::http_client;
use crate::sandbox::Sandbox;

const NEW: &str = r#"version: 1
providers:
  box: { protocol: openai-chat, base_url: "http://10.0.0.7:1/v1", models: [m], prices: { m: { input: 1, output: 2 } } }
keys: { ci: { key: env:K, team: lab }, other: env:K }
presets: { canary: "split(50 box/m, 50 demo/chat)" }
rules: |
  when header("x-team") == "research" -> box/m
  when images > 0                     -> deny 403
  when key.team == "lab" and hour == 22 and weekday == sat -> box/m
  when tool("bash")                   -> box/m
  otherwise                           -> as requested
"#;

fn record(change: Value) -> String {
    let mut record = json!({
        "v": 1, "time": "2026-11-21T10:00:00.000Z", "request_id": "r1", "generation": 1, "protocol": "openai-chat",
        "operation": "generate", "stream": false, "model": "demo/chat", "route": "demo/chat", "status": 200, "outcome": "ok",
        "attempts": [{ "target": "demo/chat" }], "draw": 0.25, "usage": { "input": 1000, "output": 500 }, "cost_usd": 0.004,
        "facts": { "user": null, "session": null, "header(x-team)": null, "images": 0, "tools": 0 },
    });
    for (name, value) in change.as_object().unwrap() {
        record[name] = value.clone();
    }
    record.to_string()
}

fn research() -> Value {
    json!({ "header(x-team)": "research", "images": 0, "tools": 0 })
}

#[test]
fn recorded_calls_are_decided_again() {
    let lines = [
        record(json!({})),
        record(json!({ "request_id": "r2", "facts": research() })),
        record(json!({ "request_id": "r3", "facts": research(), "cost_usd": null })),
        // On the file's clock, and by the new file's key.
        record(json!({ "request_id": "r4", "key": "ci", "time": "2026-11-21T22:30:00.000Z" })),
        // What was down then is down now.
        record(json!({ "request_id": "r5", "model": "canary", "skipped": [{ "target": "box/m", "reason": "down" }] })),
        record(json!({ "request_id": "r6", "facts": { "header(x-team)": null } })),
        record(json!({ "request_id": "r7", "facts": { "header(x-team)": null, "images": 0, "tools": 2 } })),
        record(json!({ "request_id": "r8", "model": "gone", "attempts": [{ "target": "box/old" }] })),
        record(
            json!({ "request_id": "r9", "attempts": [], "status": 401, "outcome": "refused", "model": null, "route": null }),
        ),
        "not json".to_owned(),
        r#"{"request_id":"x","protocol":"telepathy"}"#.to_owned(),
    ];
    let sandbox = Sandbox::with(NEW).env("K", "k");
    sandbox.write("calls.jsonl", &lines.join("\n"));
    let said = sandbox.run(&["replay", "calls.jsonl", "--config", "routeplane.yaml"]).expect(0).stdout;
    insta::with_settings!({
        snapshot_path => "../../snapshots/cli",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("replay", said) });
    let json = sandbox.run(&["replay", "calls.jsonl", "--format", "json", "--exit-code"]).expect(3).json();
    assert_eq!(json["same"]["calls"], 2, "{json}");
    assert_eq!(json["cannot_be_decided"], json!({ "images": 1, "tool(bash)": 1 }), "{json}");
    assert_eq!(json["changed"][0]["calls"], 3, "{json}");
    assert_eq!((&json["unreadable"], &json["not_decided_then"]), (&json!(2), &json!(1)), "{json}");
    sandbox.write("text.log", "10:00 demo/chat 200\n");
    sandbox.run(&["replay", "text.log"]).expect(1);
    sandbox.run(&["replay", "absent.jsonl"]).expect(66);
}

/// What the gateway writes is what replay reads: by its own file, every call is decided as before.
#[tokio::test]
async fn a_log_of_the_gateway_is_read() {
    let file = "version: 1\npresets: { fast: \"split(50 demo/chat, 50 demo/delay-1ms)\" }\naccess_log: { to: calls.jsonl, facts: all }\n\
                reload: { watch: off }\nrules: |\n  when header(\"x-team\") == \"lab\" -> demo/chat\n  otherwise -> as requested\n";
    let sandbox = Sandbox::with(file);
    let mut daemon = sandbox.start(&[]).await;
    for model in ["fast", "fast", "fast", "fast", "nothing/here"] {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] });
        http_client::post(daemon.address, "/v1/chat/completions", &body).await;
    }
    daemon.signal("TERM");
    assert_eq!(daemon.end().await, Some(0));
    let json = sandbox.run(&["replay", "calls.jsonl", "--format", "json"]).expect(0).json();
    assert_eq!(
        (&json["same"]["calls"], &json["changed"], &json["unreadable"]),
        (&json!(5), &json!([]), &json!(0)),
        "{json}"
    );
    sandbox.write("new.yaml", &file.replace("split(50 demo/chat, 50 demo/delay-1ms)", "demo/other"));
    let said = sandbox.run(&["replay", "calls.jsonl", "--config", "new.yaml"]).expect(0).stdout;
    assert!(said.contains("demo/other instead of demo/"), "{said}");
}
