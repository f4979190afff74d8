//! The access log: what its lines say, where they go, and that nothing waits for them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use routeplane::telemetry::Record;
use routeplane::telemetry::inputs::{Inputs, Measured};
use routeplane::telemetry::otlp::Trace;
use routeplane::telemetry::record::{Charge, Fact, Fault, Skipped, Tried};
use routeplane::wire::ProtocolId;
use routeplane::wire::ir::Usage;
use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{provider_key, providers};
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::{Daemon, Sandbox};

const DEMO: &str = "demo/chat";

async fn ask(daemon: &Daemon) {
    Caller::Chat.ask(daemon.address, DEMO, "hello", false).await.expect_status(200);
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "a line that is not whole: {text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Waits until the file has so many lines.
async fn until(daemon: &Daemon, path: &Path, count: usize) -> Vec<Value> {
    daemon.until("the lines are there", async |_| lines(path).len() >= count).await;
    let lines = lines(path);
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

#[tokio::test]
async fn a_line_is_the_record() {
    let sandbox = Sandbox::with("access_log: calls.jsonl\n");
    let daemon = sandbox.start(&[]).await;
    ask(&daemon).await;
    Caller::Messages.ask(daemon.address, "nothing", "hello", true).await.expect_status(404);
    let lines = until(&daemon, &sandbox.path("calls.jsonl"), 2).await;
    let mut listed = daemon.get("/admin/requests").await.json()["requests"].as_array().unwrap().clone();
    listed.reverse();
    for (listed, line) in listed.iter_mut().zip(&lines) {
        listed.as_object_mut().unwrap().remove("number");
        assert_eq!(listed, line);
    }
    assert_eq!(lines[1]["error"]["code"], "model_not_found");
}

/// Where the last requests are not kept, none is listed and nothing is added up; a log has its line nevertheless. Without a log,
/// a request leaves nothing.
#[tokio::test]
async fn what_is_not_kept_is_still_logged() {
    let sandbox = Sandbox::with("telemetry: { recent: false }\naccess_log: calls.jsonl\n");
    let daemon = sandbox.start(&[]).await;
    let path = sandbox.path("calls.jsonl");
    ask(&daemon).await;
    until(&daemon, &path, 1).await;
    assert_eq!(daemon.get("/admin/requests").await.json()["requests"], json!([]));
    assert_eq!(daemon.get("/admin/spend").await.json()["total"]["requests"], 0);
    for (file, model) in [("version: 1\ntelemetry: { recent: false }\n", "demo/silent"), ("version: 1\n", DEMO)] {
        sandbox.write("routeplane.yaml", file);
        assert_eq!(daemon.reload().await.json()["result"], "ack");
        Caller::Chat.ask(daemon.address, model, "hello", false).await;
    }
    let listed = async |daemon: &Daemon| daemon.get("/admin/requests").await.json()["requests"].clone();
    daemon.until("it is listed", async |daemon| listed(daemon).await[0].is_object()).await;
    let listed = listed(&daemon).await;
    assert_eq!(
        (listed.as_array().unwrap().len(), &listed[0]["number"], &listed[0]["model"]),
        (1, &json!(1), &json!(DEMO))
    );
    assert_eq!(lines(&path).len(), 1);
}

#[tokio::test]
async fn rotation_loses_no_line() {
    let sandbox = Sandbox::with("access_log: calls.jsonl\n");
    let daemon = sandbox.start(&[]).await;
    let (path, old) = (sandbox.path("calls.jsonl"), sandbox.path("calls.jsonl.1"));
    ask(&daemon).await;
    until(&daemon, &path, 1).await;
    // Moved away, without a word.
    std::fs::rename(&path, &old).unwrap();
    ask(&daemon).await;
    until(&daemon, &path, 1).await;
    // Moved away, with SIGHUP: the new file is there before the next line.
    std::fs::rename(&path, &old).unwrap();
    daemon.signal("HUP");
    daemon.until("the file is there again", async |_| path.exists()).await;
    ask(&daemon).await;
    until(&daemon, &path, 1).await;
    // Copied and cut.
    std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    ask(&daemon).await;
    until(&daemon, &path, 1).await;
    assert_eq!(daemon.metric("routeplane_telemetry_dropped_total{sink=\"access_log\"}").await, 0.0);
}

#[tokio::test]
async fn a_full_disk_costs_lines_and_no_request() {
    let sandbox = Sandbox::with("access_log: /dev/full\n");
    let daemon = sandbox.start(&[]).await;
    for _ in 0..3 {
        ask(&daemon).await;
    }
    daemon
        .until("lost lines are counted", async |daemon| {
            daemon.metric("routeplane_telemetry_dropped_total{sink=\"access_log\"}").await == 3.0
        })
        .await;
    assert_eq!(daemon.log().matches("the access log cannot be written").count(), 1, "{}", daemon.log());
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_costs_lines_and_no_request() {
    let sandbox = Sandbox::with("access_log: pipe\n");
    sandbox.shell("mkfifo pipe");
    let refused = sandbox.run(&["start", "--listen", "127.0.0.1:0"]);
    assert!(refused.code != 0 && refused.stderr.contains("the access log"), "{refused:#?}");
    // A reader that reads nothing: the pipe fills up.
    let _reader = std::fs::File::options().read(true).write(true).open(sandbox.path("pipe")).unwrap();
    let daemon = sandbox.start(&[]).await;
    let mut lost = 0.0;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while lost == 0.0 {
        assert!(tokio::time::Instant::now() < deadline, "the pipe takes everything");
        ask(&daemon).await;
        lost = daemon.metric("routeplane_telemetry_dropped_total{sink=\"access_log\"}").await;
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_is_refused_with_the_way_out() {
    let sandbox = Sandbox::with("access_log: /nowhere/at/all.log\n");
    let refused = sandbox.run(&["start", "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.code, 78, "{refused:#?}");
    assert!(refused.stderr.contains("the access log `/nowhere/at/all.log` cannot be written"), "{refused:#?}");
    // A reload that asks for it is refused, and what is live stays.
    let sandbox = Sandbox::with("access_log: calls.jsonl\n");
    let daemon = sandbox.start(&[]).await;
    sandbox.write("routeplane.yaml", "access_log: /nowhere/at/all.log\n");
    assert_eq!(daemon.reload().await.json()["result"], "nack");
    ask(&daemon).await;
    until(&daemon, &sandbox.path("calls.jsonl"), 1).await;
}

#[tokio::test]
async fn a_reload_moves_the_log_and_loses_no_line() {
    let sandbox = Sandbox::with("access_log: one.jsonl\n");
    let daemon = sandbox.start(&[]).await;
    for _ in 0..20 {
        ask(&daemon).await;
    }
    sandbox.write("routeplane.yaml", "access_log: { to: two.jsonl, facts: all }\n");
    assert_eq!(daemon.reload().await.json()["result"], "ack");
    ask(&daemon).await;
    until(&daemon, &sandbox.path("one.jsonl"), 20).await;
    let line = until(&daemon, &sandbox.path("two.jsonl"), 1).await.pop().unwrap();
    assert_eq!((&line["facts"]["messages"], &line["generation"]), (&json!(1), &json!(2)), "all facts: {line:#}");
    sandbox.write("routeplane.yaml", "access_log: { to: two.jsonl, facts: none }\n");
    assert_eq!(daemon.reload().await.json()["result"], "ack");
    ask(&daemon).await;
    let line = until(&daemon, &sandbox.path("two.jsonl"), 2).await.pop().unwrap();
    assert_eq!(line["facts"], Value::Null, "no facts: {line:#}");
}

#[tokio::test]
async fn the_flag_wins_over_the_file_and_people_get_a_readable_line() {
    let sandbox = Sandbox::with("access_log: calls.jsonl\n");
    let daemon = sandbox.start(&["--access-log", "stdout"]).await;
    ask(&daemon).await;
    daemon.until("the line is there", async |daemon| daemon.stdout().contains("\"model\":\"demo/chat\"")).await;
    assert!(lines(&sandbox.path("calls.jsonl")).is_empty());
    let sandbox = Sandbox::with("access_log: { to: stdout, format: text }\n");
    let daemon = sandbox.start(&[]).await;
    ask(&daemon).await;
    daemon.until("the line is there", async |daemon| daemon.stdout().contains("ms openai-chat demo/chat ")).await;
}

#[tokio::test]
async fn what_the_end_of_the_gateway_cuts_off_is_recorded() {
    let mock = MockUpstream::start([Act::StallMidStream(3), Act::StallBeforeHead]).await;
    let file = providers(&[("up", "openai-chat", &mock)]);
    let sandbox = Sandbox::with(&format!("{file}limits: {{ drain: 50ms }}\naccess_log: calls.jsonl\n"))
        .env("KEY_OF_up", &provider_key("up"));
    let mut daemon = sandbox.start(&[]).await;
    let mut streaming = Caller::Chat.begin(daemon.address, "up/m1", "hello", true).await;
    streaming.head().await;
    streaming.chunk().await.unwrap();
    let _waiting = Caller::Chat.begin(daemon.address, "up/m1", "hello", false).await;
    mock.wait_for_requests(2).await;
    daemon.signal("TERM");
    assert_eq!(daemon.end().await, Some(0));
    let mut lines = lines(&sandbox.path("calls.jsonl"));
    lines.sort_by_key(|line| line["status"].as_u64());
    let told: Vec<Value> = lines
        .iter()
        .map(|line| json!([line["status"], line["outcome"], line["error"]["code"], line["attempts"][0]["cause"]]))
        .collect();
    let expected = [json!([200, "cut_off", "draining", "cut_off"]), json!([503, "cut_off", "draining", "cut_off"])];
    assert_eq!(told, expected, "{lines:#?}");
}

/// A record with something in every field.
fn full() -> Record {
    let mut record = Record::new(SystemTime::UNIX_EPOCH, "r".into(), 1, ProtocolId::OpenAiChat);
    let text = || Some("x".into());
    (record.key, record.model, record.rule, record.response_model) = (text(), text(), Some(1), text());
    (record.route, record.target) = (Some("x".into()), Some("x".into()));
    record.attempts = smallvec::smallvec![Tried {
        target: "x/y".into(),
        told_apart: true,
        lane: "x",
        cause: "x",
        status: Some(1),
        start: Duration::ZERO,
        first: Some(Duration::ZERO),
        end: Some(Duration::ZERO),
        losses: vec!["x".into()],
        left: Some(Box::new(Charge { usage: Usage::default(), cost_usd: Some(1.0) })),
        span: 1,
        server: None,
        content: None,
    }];
    record.skipped = vec![Skipped { target: "x".into(), reason: "x" }];
    record.finish_reasons = smallvec::smallvec!["x".into()];
    record.usage = Some(Usage { input: Some(1), ..Usage::default() });
    (record.cost_usd, record.cost_estimated_usd) = (Some(1.0), Some(1.0));
    record.usage_estimated = record.usage.map(Box::new);
    record.error = Some(Fault { code: Some("x".into()), origin: "gateway" });
    record.cached = true;
    (record.decided, record.first, record.draw) = (Some(Duration::ZERO), Some(Duration::ZERO), Some(0.5));
    record.tags = vec![("a".into(), "b".into())];
    record.facts = smallvec::smallvec![("user".into(), Fact::Absent)];
    let measured =
        Measured { cooling_ms: Some(Duration::ZERO), first_token_ms: Some(1.0), latency_ms: Some(1.0), in_flight: 1 };
    record.inputs = Some(Box::new(Inputs {
        health: vec![("x".into(), measured)],
        turns: vec![("x".into(), 1)],
        wishes: Some(json!({})),
    }));
    record.trace = Some(Trace { id: 1, span: 1, parent: None, sampled: true, state: None, extra: None });
    record
}

/// Names of members; those of the objects in `attempts`, `skipped`, `error`, `inputs` and `trace` with the outer name before them.
fn names(record: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (name, value) in record.as_object().unwrap() {
        names.insert(name.clone());
        let inner = match value {
            Value::Array(list) => list.first().and_then(Value::as_object),
            Value::Object(object) if matches!(name.as_str(), "error" | "trace" | "inputs") => Some(object),
            _ => None,
        };
        names.extend(inner.into_iter().flatten().map(|(inner, _)| format!("{name}.{inner}")));
    }
    names
}

#[test]
fn the_page_lists_every_field_and_no_other() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/access-log.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let written: BTreeSet<String> = rows.map(|(name, _)| name.to_owned()).collect();
    let record = serde_json::to_value(full()).unwrap();
    assert_eq!(written, names(&record));
    let Value::Object(facts) = &record["facts"] else { panic!() };
    assert_eq!(facts["user"], Value::Null);
}

#[tokio::test]
async fn what_passes_as_it_comes_says_who_answered_and_why_it_ended() {
    for (caller, model, finish) in [
        (Caller::Chat, json!("m1"), "stop"),
        (Caller::Responses, json!("m1"), "stop"),
        (Caller::Messages, json!("m1"), "end_turn"),
        (Caller::Gemini, json!("m1"), "STOP"),
        // Converse does not say who answers.
        (Caller::Converse, Value::Null, "end_turn"),
    ] {
        let mock = MockUpstream::good().await;
        let file = providers(&[("up", caller.protocol(), &mock)]) + "access_log: calls.jsonl\n";
        let sandbox = Sandbox::with(&file).env("KEY_OF_up", &provider_key("up"));
        let daemon = sandbox.start(&[]).await;
        for stream in [false, true] {
            caller.ask(daemon.address, "up/m1", "hello", stream).await.expect_status(200);
        }
        for line in until(&daemon, &sandbox.path("calls.jsonl"), 2).await {
            assert_eq!(line["attempts"][0]["lane"], "passthrough", "{line:#}");
            assert_eq!((&line["response_model"], &line["finish_reasons"]), (&model, &json!([finish])), "{line:#}");
        }
    }
}
