//! The exact cache on the running gateway: what is the same request, who gets an answer again, what is never kept.

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::{Act, MockUpstream};
use crate::records::records;

fn file(mock: &MockUpstream, protocol: &str, rest: &str) -> String {
    format!("{}{rest}", providers(&[("up", protocol, mock)]))
}

const KEPT: &str = "presets: { kept: { route: up/m1, cache: 1h } }\n";

async fn ask(gateway: &Gateway, body: &Value, headers: &[(&str, &str)]) -> Response {
    let headers = [&[("content-type", "application/json")], headers].concat();
    http_client::request(gateway.address, "POST", "/v1/chat/completions", &headers, body.to_string().as_bytes()).await
}

fn chat(text: &str, more: Value) -> Value {
    let mut body = json!({ "model": "@kept", "messages": [{ "role": "user", "content": text }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn cached(answer: &Response) -> Option<&str> {
    answer.header("x-routeplane-cache")
}

#[tokio::test]
async fn an_equal_request_gets_the_same_answer_in_every_dialect_whole_and_streamed() {
    for upstream in [Caller::Chat, Caller::Messages, Caller::Gemini, Caller::Converse] {
        let mock = MockUpstream::good().await;
        let gateway = Gateway::start(&file(&mock, upstream.protocol(), KEPT)).await;
        for caller in Caller::ALL {
            for case in ["case:text", "case:tools", "case:reasoning"] {
                for stream in [false, true] {
                    let asked = mock.requests().len();
                    let first = caller.ask(gateway.address, "@kept", case, stream).await.expect_status(200);
                    // Callers whose requests become the same upstream share what is kept.
                    let fresh = mock.requests().len() - asked;
                    assert_eq!(cached(&first), Some(if fresh == 1 { "miss" } else { "hit" }), "{caller:?} {case}");
                    let again = caller.ask(gateway.address, "@kept", case, stream).await.expect_status(200);
                    assert_eq!(cached(&again), Some("hit"), "{upstream:?} {caller:?} {case} {stream}");
                    assert!(again.header("age").is_some() && again.complete);
                    assert_eq!(mock.requests().len(), asked + fresh);
                    let heard = |answer: &Response| match stream {
                        true => caller.heard_in_stream(answer),
                        false => caller.heard(answer),
                    };
                    let (one, two) = (heard(&first), heard(&again));
                    assert_eq!((&one.text, &one.calls, &one.reasoning), (&two.text, &two.calls, &two.reasoning));
                }
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_kept_unless_the_preset_asks_and_a_caller_may_say_no() {
    let mock = MockUpstream::good().await;
    let rest = "presets: { kept: { route: up/m1, cache: 1h }, plain: up/m1, reader: { route: up/m1, cache: { mode: read_only } } }\n";
    let gateway = Gateway::start(&file(&mock, "openai-chat", rest)).await;
    let with = |model: &str| chat("hello", json!({ "model": model }));
    for _ in 0..2 {
        assert_eq!(cached(&ask(&gateway, &with("@plain"), &[]).await.expect_status(200)), None);
        assert_eq!(cached(&ask(&gateway, &with("@reader"), &[]).await.expect_status(200)), Some("miss"));
    }
    assert_eq!(mock.requests().len(), 4);
    let no_store = ask(&gateway, &with("@kept"), &[("cache-control", "no-store")]).await.expect_status(200);
    assert_eq!((cached(&no_store), mock.requests().len()), (None, 5));
    assert_eq!(cached(&ask(&gateway, &with("@kept"), &[]).await), Some("miss"));
    assert_eq!(cached(&ask(&gateway, &with("@kept"), &[("cache-control", "no-cache")]).await), None);
    assert_eq!(mock.requests().len(), 7);
    // What the target would get is what counts, not the name that led there.
    assert_eq!(cached(&ask(&gateway, &with("@reader"), &[]).await), Some("hit"));
    assert_eq!(cached(&ask(&gateway, &chat("hello", json!({ "temperature": 0.5 })), &[]).await), Some("miss"));
    assert_eq!(cached(&ask(&gateway, &chat("hello!", json!({})), &[]).await), Some("miss"));
}

#[tokio::test]
async fn an_answer_from_the_cache_costs_nothing_and_takes_nothing_of_limits() {
    let mock = MockUpstream::good().await;
    let gateway =
        Gateway::start(&file(&mock, "openai-chat", &format!("{KEPT}rate_limits: {{ few: {{ attempts: 1/day }} }}\n")))
            .await;
    let body = chat("hello", json!({}));
    let first = ask(&gateway, &body, &[]).await.expect_status(200);
    for _ in 0..3 {
        let again = ask(&gateway, &body, &[]).await.expect_status(200);
        assert_eq!((cached(&again), again.header("x-routeplane-cost-usd")), (Some("hit"), Some("0")));
        assert_eq!(again.body, first.body);
    }
    ask(&gateway, &chat("other", json!({})), &[]).await.expect_status(429);
    assert_eq!(mock.requests().len(), 1);
    let records = records(&gateway, 5).await;
    assert!(records[0]["usage"]["input"].is_u64() && records[1]["usage"].is_null(), "{records:#?}");
    let metrics = http_client::get(gateway.address, "/metrics").await.text();
    for line in ["routeplane_cache_total{result=\"hit\"} 3", "routeplane_cache_total{result=\"stored\"} 1"] {
        assert!(metrics.lines().any(|known| known == line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn one_key_never_gets_what_another_asked_for() {
    let mock = MockUpstream::good().await;
    let rest = format!("{KEPT}keys: {{ a: env:KEY_OF_a, b: env:KEY_OF_b }}\n");
    let gateway = Gateway::start(&file(&mock, "openai-chat", &rest)).await;
    let bearer = |name: &str| format!("Bearer {}", crate::gateway::provider_key(name));
    let body = chat("hello", json!({}));
    for (key, expected) in [("a", "miss"), ("a", "hit"), ("b", "miss"), ("b", "hit")] {
        let answer = ask(&gateway, &body, &[("authorization", &bearer(key))]).await.expect_status(200);
        assert_eq!(cached(&answer), Some(expected), "{key}");
    }
}

#[tokio::test]
async fn answers_by_a_callers_own_credential_are_its_own() {
    let mock = MockUpstream::good().await;
    let yaml = format!(
        "version: 1\nproviders: {{ up: {{ protocol: openai-chat, base_url: \"{}\", key: request:TEAM }} }}\n{KEPT}",
        mock.base_url("openai-chat")
    );
    let gateway = Gateway::start(&yaml).await;
    let body = chat("hello", json!({}));
    for (key, expected) in [("sk-one", "miss"), ("sk-two", "miss"), ("sk-one", "hit")] {
        let answer = ask(&gateway, &body, &[("x-routeplane-credential-team", key)]).await.expect_status(200);
        assert_eq!(cached(&answer), Some(expected), "{key}");
    }
}

#[tokio::test]
async fn failures_and_broken_streams_are_never_kept() {
    for (act, stream) in [
        (Act::status(500), false),
        (Act::Truncate(3), true),
        (Act::StreamError(3), true),
        (Act::ResetMidStream(3), true),
    ] {
        let mock = MockUpstream::start([act.clone(), Act::Answer]).await;
        let rest = format!("{KEPT}retries: {{ attempts: 1 }}\n");
        let gateway = Gateway::start(&file(&mock, "openai-chat", &rest)).await;
        let body = chat("hello", json!({ "stream": stream }));
        ask(&gateway, &body, &[]).await;
        let second = ask(&gateway, &body, &[]).await.expect_status(200);
        assert_eq!(cached(&second), Some("miss"), "{act:?}");
        let third = ask(&gateway, &body, &[]).await.expect_status(200);
        assert_eq!(cached(&third), Some("hit"), "{act:?}");
        assert!(third.complete && third.body == second.body);
    }
}

#[tokio::test]
async fn vectors_are_kept_too() {
    let mock = MockUpstream::good().await;
    let rest = "presets: { kept: { route: up/e1, cache: 1h } }\n";
    for upstream in [Caller::Chat, Caller::Gemini] {
        let gateway = Gateway::start(&file(&mock, upstream.protocol(), rest)).await;
        let asked = mock.requests().len();
        let body = json!({ "model": "@kept", "input": ["one", "three"] });
        let first = http_client::post(gateway.address, "/v1/embeddings", &body).await.expect_status(200);
        let again = http_client::post(gateway.address, "/v1/embeddings", &body).await.expect_status(200);
        assert_eq!((cached(&first), cached(&again)), (Some("miss"), Some("hit")), "{upstream:?}");
        assert_eq!(first.json()["data"], again.json()["data"]);
        assert_eq!(mock.requests().len(), asked + 1);
    }
}

const SURFACE: &str = r#"presets: { small: up/m1, f.v1: "@small", f: "@f.v1" }
tensorzero:
  functions: { f: { type: chat, variants: { v1: "@f.v1" } } }
  models: { small: "@small" }
"#;

fn infer(text: &str, cache: &Value, more: Value) -> Value {
    let mut body = json!({ "function_name": "f", "cache_options": cache,
        "input": { "messages": [{ "role": "user", "content": text }] } });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn cache_options_do_as_tensorzero_does() {
    let mock = MockUpstream::good().await;
    let gateway = Gateway::start(&file(&mock, "openai-chat", SURFACE)).await;
    let give = async |text: &str, cache: Value, more: Value| {
        let body = infer(text, &cache, more);
        let answer = http_client::post(gateway.address, "/inference", &body).await.expect_status(200);
        (cached(&answer).map(str::to_owned), answer.json())
    };
    let on = || json!({ "enabled": "on" });
    // A dry run puts nothing there.
    assert_eq!(give("a", on(), json!({ "dryrun": true })).await.0.as_deref(), Some("miss"));
    let (state, first) = give("a", on(), json!({})).await;
    assert_eq!(state.as_deref(), Some("miss"));
    let (state, again) = give("a", on(), json!({})).await;
    assert_eq!(state.as_deref(), Some("hit"));
    assert_eq!(again["content"], first["content"]);
    assert_ne!(again["inference_id"], first["inference_id"]);
    assert_eq!(again["usage"], json!({ "input_tokens": 0, "output_tokens": 0, "cost": null }));
    assert!(first["usage"]["input_tokens"].as_u64().unwrap() > 0);
    assert_eq!(give("a", json!({ "enabled": "off" }), json!({})).await.0, None);
    assert_eq!(give("a", json!({ "enabled": "write_only" }), json!({})).await.0, None);
    assert_eq!(give("b", json!({ "enabled": "read_only" }), json!({})).await.0.as_deref(), Some("miss"));
    assert_eq!(give("b", json!({ "enabled": "read_only" }), json!({})).await.0.as_deref(), Some("miss"));
    // The streams of OpenAI's form.
    let mut body = json!({ "model": "tensorzero::model_name::small", "stream": true, "stream_options": { "include_usage": true },
        "tensorzero::cache_options": { "enabled": "on" }, "messages": [{ "role": "user", "content": "c" }] });
    for expected in ["miss", "hit"] {
        let answer = http_client::post(gateway.address, "/openai/v1/chat/completions", &body).await.expect_status(200);
        assert_eq!(cached(&answer), Some(expected));
        let free = answer.text().contains("\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0,");
        assert_eq!(free, expected == "hit", "{}", answer.text());
    }
    body["tensorzero::cache_options"]["max_age_s"] = json!(3600);
    let answer = http_client::post(gateway.address, "/openai/v1/chat/completions", &body).await.expect_status(200);
    assert_eq!(cached(&answer), Some("hit"));
}

#[tokio::test]
async fn a_file_may_switch_the_cache_off_and_bound_it() {
    let mock = MockUpstream::good().await;
    let gateway = Gateway::start(&file(&mock, "openai-chat", &format!("{SURFACE}cache: {{ enabled: false }}\n"))).await;
    let body = infer("a", &json!({ "enabled": "on" }), json!({}));
    for _ in 0..2 {
        let answer = http_client::post(gateway.address, "/inference", &body).await.expect_status(200);
        assert_eq!(cached(&answer), None);
    }
    gateway.edit(&file(&mock, "openai-chat", &format!("{SURFACE}cache: {{ memory: 1KiB }}\n")));
    gateway.cli(&["reload"]).await;
    for _ in 0..2 {
        // An answer is larger than a quarter of it.
        let answer = http_client::post(gateway.address, "/inference", &body).await.expect_status(200);
        assert_eq!(cached(&answer), Some("miss"));
    }
}
