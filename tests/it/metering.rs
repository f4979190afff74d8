//! What is counted, and what the caller sees of the counting.

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::Gateway;
use crate::mock_upstream::MockUpstream;

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
