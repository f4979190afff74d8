//! Client keys that end, are switched off, or come from another gateway.

use serde_json::json;

use crate::gateway::{Gateway, provider_key, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::MockUpstream;

/// As TensorZero makes them: a public part of 12 characters and a secret one of 48.
const FOREIGN: &str = "sk-t0-AbCdEfGhIjKl-0123456789abcdef0123456789abcdef0123456789abcdef";

async fn ask(gateway: &Gateway, path: &str, body: &serde_json::Value, key: &str) -> Response {
    let bearer = format!("Bearer {key}");
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    http_client::request(gateway.address, "POST", path, &headers, body.to_string().as_bytes()).await
}

async fn chat(gateway: &Gateway, key: &str) -> Response {
    let body = json!({ "model": "up/m1", "messages": [{ "role": "user", "content": "hi" }] });
    ask(gateway, "/v1/chat/completions", &body, key).await
}

fn file(mock: &MockUpstream, keys: &str) -> String {
    format!("{}keys:\n{keys}", providers(&[("up", "openai-chat", mock)]))
}

#[tokio::test]
async fn a_key_that_has_ended_or_is_disabled_opens_nothing_and_says_so() {
    let mock = MockUpstream::good().await;
    let keys = r#"  old: { key: env:KEY_OF_old, expires: 2020-02-29 }
  late: { key: env:KEY_OF_late, expires: "2020-01-01T12:00:00+01:00" }
  new: { key: env:KEY_OF_new, expires: 9999-12-31 }
  off: { key: env:KEY_OF_off, disabled: true }
"#;
    let gateway = Gateway::start(&file(&mock, keys)).await;
    for (name, code, words) in [
        ("old", "expired_api_key", "`old` has expired (2020-02-29)"),
        ("late", "expired_api_key", "`late` has expired"),
        ("off", "disabled_api_key", "`off` is disabled"),
        ("none", "invalid_api_key", "asks for one of its client keys"),
    ] {
        let refused = chat(&gateway, &provider_key(name)).await.expect_status(401);
        assert_eq!(refused.header("x-routeplane-code"), Some(code), "{name}");
        assert!(refused.text().contains(words), "{name}: {}", refused.text());
    }
    chat(&gateway, &provider_key("new")).await.expect_status(200);
    // A reload is enough to take a key away, and to give it back.
    let turned = keys.replace(", disabled: true", "").replace("9999-12-31", "9999-12-31, disabled: true");
    gateway.edit(&file(&mock, &turned));
    gateway.cli(&["reload"]).await;
    chat(&gateway, &provider_key("new")).await.expect_status(401);
    chat(&gateway, &provider_key("off")).await.expect_status(200);
}

#[tokio::test]
async fn tensorzeros_keys_go_on_and_its_clients_know_a_wrong_one() {
    let mock = MockUpstream::good().await;
    let rest = "  t0: env:FOREIGN\npresets: { small: up/m1 }\ntensorzero: { models: { small: \"@small\" } }\n";
    let gateway = Gateway::start_with(&file(&mock, rest), &[("FOREIGN", FOREIGN)]).await;
    let messages = json!([{ "role": "user", "content": "hi" }]);
    let native = json!({ "model_name": "small", "input": { "messages": messages } });
    let open = json!({ "model": "tensorzero::model_name::small", "messages": messages });
    for (path, body) in [("/inference", &native), ("/openai/v1/chat/completions", &open)] {
        ask(&gateway, path, body, FOREIGN).await.expect_status(200);
        let wrong = FOREIGN.replace("abcdef", "fedcba");
        let refused = ask(&gateway, path, body, &wrong).await.expect_status(401).json();
        let message = refused["error"].as_str().or(refused["error"]["message"].as_str()).unwrap();
        assert!(message.starts_with("TensorZero authentication error: "), "{message}");
    }
    // The state of the gateway is for everybody, as there.
    http_client::request(gateway.address, "GET", "/status", &[], b"").await.expect_status(200);
}
