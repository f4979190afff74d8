//! What is said, on spans: only where a preset asks for it, without secrets, and never anywhere else.

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::collector::{Collector, Mood, attributes};
use crate::gateway::{provider_key, providers};
use crate::http_client;
use crate::mock_upstream::dialect::{REASONING, TEXT};
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::{Daemon, Sandbox};

const PROMPT: &str = "the-prompt-canary";

/// Attributes that hold text.
const TEXTS: [&str; 3] = ["gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages"];

async fn start(upstream: Caller, mock: &MockUpstream, collector: &Collector, more: &str) -> (Sandbox, Daemon) {
    let file = format!(
        "{}retries: {{ attempts: 1 }}\ntelemetry: {{ otlp: \"{}\", redact: '[\\w.]+@[\\w.]+' }}\n\
         access_log: {{ to: calls.log, facts: all }}\n{more}",
        providers(&[("up", upstream.protocol(), mock)]),
        collector.url()
    );
    let mut sandbox = Sandbox::with(&file).env("KEY_OF_up", &provider_key("up"));
    for (name, value) in [("OTEL_BSP_SCHEDULE_DELAY", "50"), ("OTEL_METRIC_EXPORT_INTERVAL", "200")] {
        sandbox = sandbox.env(name, value);
    }
    let daemon = sandbox.start(&[]).await;
    (sandbox, daemon)
}

const PRESETS: &str = "presets:\n  told: { route: up/m1, trace_content: true }\n  short: { route: up/m1, trace_content: { limit: 300 } }\n  \
                       silent: { route: \"@told\", trace_content: false }\n";

fn parsed(span: &opentelemetry_proto::tonic::trace::v1::Span, name: &str) -> Value {
    let attributes = attributes(&span.attributes);
    let text = attributes.get(name).unwrap_or_else(|| panic!("no `{name}` in {attributes:#?}"));
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn prompts_and_answers_are_on_the_span_of_the_try_where_a_preset_asks_for_that() {
    for upstream in [Caller::Chat, Caller::Messages, Caller::Gemini] {
        for (caller, stream) in Caller::ALL.into_iter().flat_map(|caller| [(caller, false), (caller, true)]) {
            let collector = Collector::http(Mood::Good).await;
            let mock = MockUpstream::good().await;
            let (_sandbox, daemon) = start(upstream, &mock, &collector, PRESETS).await;
            caller.ask(daemon.address, "@told", PROMPT, stream).await.expect_status(200);
            let spans = collector.wait(&daemon, 2).await;
            let about = format!("{caller:?} {upstream:?} {stream}");
            let user = json!([{ "role": "user", "parts": [{ "type": "text", "content": PROMPT }] }]);
            assert_eq!(parsed(&spans[1], "gen_ai.input.messages"), user, "{about}");
            let answer = json!([{
                "role": "assistant", "parts": [{ "type": "text", "content": TEXT }], "finish_reason": "stop",
            }]);
            assert_eq!(parsed(&spans[1], "gen_ai.output.messages"), answer, "{about}");
            let server = attributes(&spans[0].attributes);
            assert!(TEXTS.iter().all(|name| !server.contains_key(*name)), "{about}: {server:#?}");
            assert!(!attributes(&spans[1].attributes).contains_key("routeplane.content.cut"), "{about}");
        }
    }
}

#[tokio::test]
async fn calls_thoughts_and_what_broke_off_are_told_too() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::start([Act::Answer, Act::Answer, Act::ResetMidStream(4)]).await;
    let (_sandbox, daemon) = start(Caller::Messages, &mock, &collector, PRESETS).await;
    for (text, stream) in [("case:tools", true), ("case:reasoning", false), (PROMPT, true)] {
        Caller::Chat.ask(daemon.address, "@told", text, stream).await.expect_status(200);
    }
    let spans = collector.wait(&daemon, 6).await;
    let tries: Vec<_> = spans.iter().filter(|span| span.kind == 3).collect();
    let parts = |at: usize| parsed(tries[at], "gen_ai.output.messages")[0]["parts"].clone();
    let called = parts(0).as_array().unwrap().iter().filter(|part| part["type"] == "tool_call").count();
    assert!(called > 0, "{:#}", parts(0));
    assert_eq!(parts(1)[0], json!({ "type": "reasoning", "content": REASONING }));
    let begun = parts(2)[0]["content"].as_str().unwrap().to_owned();
    assert!(TEXT.starts_with(&begun) && begun != TEXT, "{begun}");
    assert_eq!(parsed(tries[2], "gen_ai.output.messages")[0]["finish_reason"], "unknown");
}

/// Without a preset that asks for it no text is anywhere; with it, in traces alone.
#[tokio::test]
async fn nothing_is_told_unasked_and_nowhere_but_on_spans() {
    for (model, told) in [("up/m1", false), ("@silent", false), ("@told", true)] {
        let collector = Collector::http(Mood::Good).await;
        let mock = MockUpstream::good().await;
        let (sandbox, daemon) = start(Caller::Messages, &mock, &collector, PRESETS).await;
        for stream in [false, true] {
            Caller::Chat.ask(daemon.address, model, PROMPT, stream).await.expect_status(200);
        }
        collector.wait(&daemon, 4).await;
        daemon
            .until("lines and metrics are there", async |_| {
                let lines = std::fs::read_to_string(sandbox.path("calls.log")).unwrap_or_default();
                lines.lines().count() == 2 && collector.metric("routeplane_requests").is_some()
            })
            .await;
        let has = |text: &[u8]| [PROMPT, TEXT].map(|canary| String::from_utf8_lossy(text).contains(canary));
        let traces = collector.bodies("v1/traces").concat();
        assert_eq!(has(&traces), [told, told], "{model}");
        let lines = std::fs::read(sandbox.path("calls.log")).unwrap();
        let others = [collector.bodies("v1/logs"), collector.bodies("v1/metrics")].concat().concat();
        let pages = [daemon.get("/admin/requests").await.body, daemon.get("/metrics").await.body].concat();
        for text in [lines, others, pages, daemon.log().into_bytes()] {
            assert_eq!(has(&text), [false, false], "{model}");
        }
    }
}

#[tokio::test]
async fn secrets_are_taken_out_and_long_texts_are_cut() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::good().await;
    let (_sandbox, daemon) = start(Caller::Chat, &mock, &collector, PRESETS).await;
    let secrets = [provider_key("up"), "brought-by-the-caller-1".to_owned(), "ada@example.org".to_owned()];
    let looks = ["sk-proj-abcdefghij0123456789", "AKIAIOSFODNN7EXAMPLE"].map(str::to_owned);
    let all: Vec<&String> = secrets.iter().chain(&looks).collect();
    let text = |secret: &str| format!("{secret} stays-here");
    let turns: Vec<Value> = all.iter().map(|secret| json!({ "role": "user", "content": text(secret) })).collect();
    let system = json!({ "role": "system", "content": format!("use {}", provider_key("up")) });
    let messages = [vec![system], turns.clone()].concat();
    let body = json!({ "model": "@told", "messages": messages }).to_string();
    let headers = [("x-api-key", "brought-by-the-caller-1")];
    let path = "/v1/chat/completions";
    http_client::request(daemon.address, "POST", path, &headers, body.as_bytes()).await.expect_status(200);
    let long = json!({ "model": "@short", "messages": [
        { "role": "user", "content": "the oldest turn" }, { "role": "user", "content": "x".repeat(10_000) },
    ] });
    http_client::request(daemon.address, "POST", path, &[], long.to_string().as_bytes()).await.expect_status(200);
    let spans = collector.wait(&daemon, 4).await;
    let tries: Vec<_> = spans.iter().filter(|span| span.kind == 3).collect();
    let traces = String::from_utf8_lossy(&collector.bodies("v1/traces").concat()).into_owned();
    for secret in all {
        assert!(!traces.contains(secret.as_str()), "{secret}");
    }
    let messages = parsed(tries[0], "gen_ai.input.messages");
    let contents: Vec<&Value> = messages.as_array().unwrap().iter().map(|turn| &turn["parts"][0]["content"]).collect();
    assert_eq!(contents, vec!["[redacted] stays-here"; turns.len()]);
    assert_eq!(parsed(tries[0], TEXTS[0]), json!([{ "type": "text", "content": "use [redacted]" }]));
    let short = attributes(&tries[1].attributes);
    assert_eq!(short["routeplane.content.cut"], true);
    let input = short["gen_ai.input.messages"].as_str().unwrap();
    assert!(input.len() < 500 && input.contains("xxx") && !input.contains("oldest"), "{input}");
}

/// A target that fails has heard the prompt too; a mirror has both.
#[tokio::test]
async fn tries_that_fail_and_mirrors_tell_what_they_heard() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::start([Act::status(500), Act::Answer]).await;
    let presets =
        "presets:\n  told: { route: \"shadow(up/m1 > up/m2, mirror up/m3, sample 100%)\", trace_content: true }\n";
    let (_sandbox, daemon) = start(Caller::Chat, &mock, &collector, presets).await;
    Caller::Chat.ask(daemon.address, "@told", PROMPT, false).await.expect_status(200);
    let spans = collector.wait(&daemon, 4).await;
    let of = |model: &str| {
        let name = json!(model);
        spans.iter().find(|span| attributes(&span.attributes)["gen_ai.request.model"] == name).unwrap()
    };
    for (model, answered, mirror) in [("m1", false, false), ("m2", true, false), ("m3", true, true)] {
        let span = of(model);
        let attributes = attributes(&span.attributes);
        assert!(attributes["gen_ai.input.messages"].as_str().unwrap().contains(PROMPT), "{model}");
        assert_eq!(attributes.contains_key("gen_ai.output.messages"), answered, "{model}");
        assert_eq!(attributes.contains_key("routeplane.mirror"), mirror, "{model}");
    }
}
