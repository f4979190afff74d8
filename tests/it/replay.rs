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

const CHOOSING: &str = "version: 1\nallow_request_routing: true\npresets:\n  quick: fastest(demo/chat, demo/echo, demo/delay-1ms)\n  \
                        idle: least_busy(demo/chat, demo/echo)\n  turns: round_robin(demo/chat, demo/echo, demo/delay-1ms)\n  \
                        deep: split(40 @quick, 30 @turns, 30 @idle)\n  cheap: cheapest(demo/chat, demo/echo)\n\
                        access_log: { to: calls.jsonl }\nreload: { watch: off }\n";

/// Strategies go by what was measured at that moment: with it in the record, each call is decided as it was.
#[tokio::test]
async fn what_strategies_went_by_is_recorded() {
    let sandbox = Sandbox::with(CHOOSING);
    let mut daemon = sandbox.start(&[]).await;
    let mut calls = 0;
    for round in 0..12 {
        for model in ["quick", "idle", "turns", "deep", "cheap", "demo/chat"] {
            let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] });
            if round % 3 == 0 {
                body["models"] = json!(["demo/echo"]);
                body["routing"] = json!({ "model": { "sort": "latency" } });
            }
            http_client::post(daemon.address, "/v1/chat/completions", &body).await.expect_status(200);
            calls += 1;
        }
    }
    daemon.signal("TERM");
    assert_eq!(daemon.end().await, Some(0));
    let json = sandbox.run(&["replay", "calls.jsonl", "--format", "json"]).expect(0).json();
    assert_eq!((&json["same"]["calls"], &json["cannot_be_decided"]), (&json!(calls), &json!({})), "{json}");

    let lines = std::fs::read_to_string(sandbox.path("calls.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |model: &str, wished: bool| {
        let has = move |line: &&Value| line["model"] == model && line["inputs"]["wishes"].is_object() == wished;
        lines.iter().find(has).unwrap_or_else(|| panic!("no call of {model}"))
    };
    assert_eq!(of("demo/chat", false)["inputs"], Value::Null, "a decision that hangs on nothing more has no inputs");
    assert_eq!(of("cheap", false)["inputs"], Value::Null);
    assert_eq!(of("idle", false)["inputs"]["health"].as_object().unwrap().len(), 2);
    let wished = json!({ "models": ["demo/echo"], "routing": { "model": { "sort": "latency" } } });
    assert_eq!(of("demo/chat", true)["inputs"]["wishes"], wished);

    // A strategy that was not there goes by what nobody has measured; and callers may no longer choose.
    sandbox.write(
        "new.yaml",
        &CHOOSING.replace("idle: least_busy", "idle: fastest").replace("turns: round_robin", "turns: least_busy"),
    );
    let said = sandbox.run(&["replay", "calls.jsonl", "--config", "new.yaml"]).expect(0).stdout;
    assert!(said.contains("cannot be decided: the log does not say `health(demo/"), "{said}");
    assert!(said.contains("of the targets that were compared then") && !said.contains("facts: all"), "{said}");
    sandbox.write("new.yaml", &CHOOSING.replace("routing: true", "routing: false"));
    let said = sandbox.run(&["replay", "calls.jsonl", "--config", "new.yaml"]).expect(0).stdout;
    assert!(said.contains("refused with 400 instead of demo/"), "{said}");
}

#[test]
fn the_world_of_a_call_is_taken_as_it_was() {
    let quick = |inputs: Value, was: &str| {
        record(json!({ "model": "quick", "attempts": [{ "target": was }], "draw": 0.9, "inputs": inputs }))
    };
    let chat = json!({ "first_token_ms": 200.5, "in_flight": 1 });
    let cooling = |pause: u64| json!({ "cooling_ms": pause, "in_flight": 0 });
    let facts = json!({ "header(x-team)": null, "images": 0, "tools": 0, "input_tokens": 9, "max_tokens": 0 });
    let wishes = |wishes: Value| record(json!({ "facts": facts, "inputs": { "wishes": wishes } }));
    let lines = [
        quick(json!({ "health": { "box/m": { "first_token_ms": 10.0, "in_flight": 0 }, "demo/chat": chat } }), "box/m"),
        quick(
            json!({ "health": { "box/m": { "first_token_ms": 900.0, "in_flight": 0 }, "demo/chat": chat } }),
            "demo/chat",
        ),
        // Where all were cooling, the one that was ready first was tried first.
        quick(json!({ "health": { "box/m": cooling(900), "demo/chat": cooling(20) } }), "demo/chat"),
        quick(json!({ "health": { "box/m": cooling(20), "demo/chat": cooling(900) } }), "box/m"),
        // Known of one alone, and of none.
        quick(json!({ "health": { "demo/chat": chat } }), "box/m"),
        quick(json!({}), "box/m"),
        // What was asked for is not kept, or cannot be obeyed any more.
        wishes(json!("models")),
        wishes(
            json!({ "models": ["box/m"], "provider": { "order": ["box"] }, "routing": { "model": { "sort": "cost" } } }),
        ),
        wishes(json!({ "models": ["gone/m"] })),
    ];
    let new = format!("{NEW}\nallow_request_routing: true\n")
        .replace("presets: {", "presets: { quick: \"fastest(box/m, demo/chat)\",");
    let sandbox = Sandbox::with(&new).env("K", "k");
    sandbox.write("calls.jsonl", &lines.join("\n"));
    let json = sandbox.run(&["replay", "calls.jsonl", "--format", "json"]).expect(0).json();
    assert_eq!(json["same"]["calls"], 4, "{json}");
    assert_eq!(json["cannot_be_decided"], json!({ "health(box/m)": 2, "models": 1 }), "{json}");
    let changed: Vec<(&Value, &Value)> =
        json["changed"].as_array().unwrap().iter().map(|group| (&group["new"], &group["calls"])).collect();
    assert!(changed.contains(&(&json!("refused with 400"), &json!(1))), "{json}");
    assert!(changed.contains(&(&json!("box/m"), &json!(1))) && changed.len() == 2, "{json}");
}
