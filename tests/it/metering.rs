//! What is counted, and what the caller sees of the counting.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::mock_upstream::{Act, MockUpstream};

/// A file with one provider, `up`, that speaks Chat Completions and has `more` keys.
fn chat_file(mock: &MockUpstream, more: &str) -> String {
    let base_url = mock.base_url("openai-chat");
    format!(
        "version: 1\nproviders:\n  up: {{ protocol: openai-chat, base_url: \"{base_url}\", key: env:KEY_OF_up, {more} }}\n"
    )
}

/// A streamed request whose `stream_options` are `options`.
fn body(options: &Value) -> Value {
    let mut body = Caller::Chat.body("up/m1", "hello", true);
    match options {
        Value::Null => drop(body.as_object_mut().unwrap().remove("stream_options")),
        options => body["stream_options"] = options.clone(),
    }
    body
}

fn has_only_usage(event: &Value) -> bool {
    event["choices"].as_array().is_some_and(Vec::is_empty) && event["usage"].is_object()
}

#[tokio::test]
async fn usage_is_asked_for_on_the_gateways_account_and_stays_there() {
    for (more, options, sent, seen) in [
        ("", json!(null), json!({ "include_usage": true }), false),
        ("", json!({ "include_usage": false, "x": 1 }), json!({ "include_usage": true, "x": 1 }), false),
        ("", json!({ "include_usage": true }), json!({ "include_usage": true }), true),
        // The mock tells its usage unasked.
        ("include_usage: false", json!(null), json!(null), true),
        ("quirks: { no_stream_options: true }", json!(null), json!(null), true),
    ] {
        let mock = MockUpstream::good().await;
        let gateway = Gateway::start(&chat_file(&mock, more)).await;
        let direct = Caller::Chat.post(mock.address(), "m1", &body(&json!({ "include_usage": true })), true).await;
        let answer = Caller::Chat.post(gateway.address, "up/m1", &body(&options), true).await.expect_status(200);
        let place = format!("{more} {options}: {answer:?}");
        let got = mock.requests().last().unwrap().request.json();
        assert_eq!(got["stream_options"], sent, "{place}");
        let expected: String = direct
            .text()
            .replace("\"up/m1\"", "\"m1\"")
            .split_inclusive("\n\n")
            .filter(|event| {
                let data = event.trim().trim_start_matches("data: ");
                seen || !serde_json::from_str(data).is_ok_and(|event: Value| has_only_usage(&event))
            })
            .collect();
        assert_eq!(answer.text(), expected, "{place}");
        let metrics = crate::http_client::get(gateway.address, "/metrics").await.text();
        assert!(metrics.contains("routeplane_tokens_total{provider=\"up\",kind=\"input\"} 11"), "{metrics}");
    }
}

/// The value of one line of `/metrics`; 0 while the line is not there.
fn value(metrics: &str, name: &str) -> f64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// Tokens as upstreams reported them, and by estimate: input and output of each.
fn tokens(metrics: &str) -> [f64; 4] {
    let of = |name: &str, kind: &str| value(metrics, &format!("{name}{{provider=\"up\",kind=\"{kind}\"}}"));
    let [reported, estimated] = ["routeplane_tokens_total", "routeplane_tokens_estimated_total"];
    [of(reported, "input"), of(reported, "output"), of(estimated, "input"), of(estimated, "output")]
}

/// Waits until something of an answer that nobody waits for is counted, and no stream is open.
async fn counted(gateway: &Gateway, before: [f64; 4]) -> [f64; 4] {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let metrics = crate::http_client::get(gateway.address, "/metrics").await.text();
        let now = tokens(&metrics);
        if now != before && value(&metrics, "routeplane_streams_open") == 0.0 {
            return std::array::from_fn(|at| now[at] - before[at]);
        }
        assert!(Instant::now() < deadline, "nothing is counted:\n{metrics}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const NONE: [f64; 4] = [0.0; 4];

/// Protocols whose streams tell their usage at the end.
const AT_THE_END: [Caller; 3] = [Caller::Chat, Caller::Responses, Caller::Converse];

async fn start(upstream: Caller, act: Act) -> (Gateway, MockUpstream) {
    let mock = MockUpstream::start([act]).await;
    let file = providers(&[("up", upstream.protocol(), &mock)]);
    (Gateway::start(&format!("{file}retries: {{ attempts: 1 }}\n")).await, mock)
}

#[tokio::test]
async fn what_is_reported_is_never_estimated() {
    for upstream in Caller::ALL {
        let (gateway, _mock) = start(upstream, Act::Answer).await;
        let mut before = NONE;
        for caller in Caller::ALL {
            for stream in [false, true] {
                let answer = caller.ask(gateway.address, "up/m1", "hello", stream).await.expect_status(200);
                assert_eq!(answer.header("x-routeplane-usage"), None, "{answer:?}");
                let counted = counted(&gateway, before).await;
                assert_eq!(counted, [11.0, 7.0, 0.0, 0.0], "{caller:?} to {upstream:?}, stream: {stream}");
                before = std::array::from_fn(|at| before[at] + counted[at]);
            }
        }
    }
}

#[tokio::test]
async fn an_answer_without_usage_is_counted_by_estimate_and_says_so() {
    let answer = json!({
        "id": "c", "object": "chat.completion", "created": 0, "model": "m1",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "x".repeat(400) }, "finish_reason": "stop" }],
    });
    let act = Act::Respond { status: 200, headers: Vec::new(), body: answer.to_string().into_bytes() };
    let mock = MockUpstream::start([act]).await;
    let gateway = Gateway::start(&chat_file(&mock, "prices: { m1: { input: 0, output: 10000 } }")).await;
    let mut before = NONE;
    for caller in Caller::ALL {
        let answer = caller.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
        assert_eq!(answer.header("x-routeplane-usage"), Some("estimated"), "{caller:?}: {answer:?}");
        assert_eq!(answer.header("x-routeplane-cost-usd"), Some("1"), "{caller:?}: 100 tokens for a cent each");
        let counted = counted(&gateway, before).await;
        assert_eq!((counted[0], counted[1], counted[3]), (0.0, 0.0, 100.0), "{caller:?}");
        assert!((1.0..40.0).contains(&counted[2]), "{caller:?}: {counted:?}");
        before = std::array::from_fn(|at| before[at] + counted[at]);
    }
    let metrics = crate::http_client::get(gateway.address, "/metrics").await.text();
    assert_eq!(value(&metrics, "routeplane_cost_usd_total{provider=\"up\"}"), 0.0, "{metrics}");
    let estimated = value(&metrics, "routeplane_cost_estimated_usd_total{provider=\"up\"}");
    assert!((estimated - Caller::ALL.len() as f64).abs() < 1e-6, "{metrics}");
}

#[tokio::test]
async fn a_stream_that_its_caller_leaves_is_counted_up_to_there() {
    for upstream in Caller::ALL {
        let (gateway, _mock) = start(upstream, Act::StallMidStream(6)).await;
        let mut before = NONE;
        for caller in Caller::ALL {
            let mut connection = caller.begin(gateway.address, "up/m1", "hello", true).await;
            connection.head().await;
            assert!(connection.chunk().await.is_some());
            drop(connection);
            let counted = counted(&gateway, before).await;
            let place = format!("{caller:?} to {upstream:?}: {counted:?}");
            assert!(counted[0] + counted[2] > 0.0 && counted[1] + counted[3] > 0.0, "{place}");
            assert_eq!(counted[0] == 0.0, AT_THE_END.contains(&upstream), "{place}");
            assert_eq!(counted[2] > 0.0, AT_THE_END.contains(&upstream), "{place}");
            before = std::array::from_fn(|at| before[at] + counted[at]);
        }
    }
}

#[tokio::test]
async fn a_prompt_is_counted_whenever_its_caller_leaves() {
    for upstream in Caller::ALL {
        for (act, stream) in [
            (Act::StallBeforeHead, false),
            (Act::StallBeforeHead, true),
            (Act::StallMidBody, false),
            (Act::StallMidStream(0), true),
        ] {
            let (gateway, mock) = start(upstream, act.clone()).await;
            let mut before = NONE;
            for (index, caller) in Caller::ALL.into_iter().enumerate() {
                let connection = caller.begin(gateway.address, "up/m1", "hello", stream).await;
                mock.wait_for_requests(index + 1).await;
                drop(connection);
                let counted = counted(&gateway, before).await;
                assert!(counted[2] > 0.0, "{act:?}, {caller:?} to {upstream:?}: {counted:?}");
                assert_eq!((counted[0], counted[1], counted[3]), (0.0, 0.0, 0.0), "{caller:?} to {upstream:?}");
                before = std::array::from_fn(|at| before[at] + counted[at]);
            }
        }
    }
}

#[tokio::test]
async fn limits_reach_the_caller_in_its_words_and_a_used_up_one_rests() {
    let headers = vec![
        ("x-ratelimit-limit-requests", "10".to_owned()),
        ("x-ratelimit-remaining-requests", "0".to_owned()),
        ("x-ratelimit-reset-requests", "1m0s".to_owned()),
    ];
    let mock = MockUpstream::start([Act::Respond { status: 429, headers, body: Vec::new() }]).await;
    let gateway = Gateway::start(&chat_file(&mock, "")).await;
    for caller in Caller::ALL {
        let answer = caller.ask(gateway.address, "up/m1", "hello", false).await.expect_status(429);
        assert_eq!(answer.header("retry-after"), Some("60"), "{caller:?}: {answer:?}");
        assert_eq!(answer.header("retry-after-ms"), Some("60000"), "{caller:?}: {answer:?}");
    }
    // A pause that long is the caller's to wait for.
    assert_eq!(mock.requests().len(), Caller::ALL.len());
}
