//! Pass-through where the document cannot stay as it is.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::http_client;
use crate::mock_upstream::{Act, MockUpstream};

/// An upstream that answers `answer`, and a gateway in front of it that calls it `up`.
async fn start(caller: Caller, answer: &str) -> (Gateway, MockUpstream) {
    let body = answer.as_bytes().to_vec();
    let mock = MockUpstream::start([Act::Respond { status: 200, headers: Vec::new(), body }]).await;
    let gateway = Gateway::start(&providers(&[("up", caller.protocol(), &mock)])).await;
    (gateway, mock)
}

#[tokio::test]
async fn anothers_thoughts_do_not_reach_anthropic() {
    let answer = "{ \"content\":[],\t\"a\":\"\\u0065\" }";
    let (gateway, mock) = start(Caller::Messages, answer).await;
    let sent = json!({ "model": "up/claude-sonnet-4-5", "max_tokens": 9, "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "hm", "signature": "" }, { "type": "text", "text": "b" },
        ] },
        { "role": "user", "content": "c" },
    ] });
    let mut headers = Caller::Messages.headers().to_vec();
    headers.push(("anthropic-beta", "tools-2026"));
    let target = Caller::Messages.target("up/claude-sonnet-4-5", false);
    let got = http_client::request(gateway.address, "POST", &target, &headers, sent.to_string().as_bytes()).await;
    let got = got.expect_status(200);
    assert_eq!(got.text(), answer, "the answer is relayed");
    assert_eq!(got.header("x-routeplane-losses"), Some("messages.content.thinking=dropped"));
    let seen = mock.only_request().request;
    let body: Value = serde_json::from_str(&seen.text()).unwrap();
    assert_eq!(body["messages"][1]["content"], json!([{ "type": "text", "text": "b" }]));
    assert_eq!(seen.header("anthropic-beta"), Some("tools-2026"));
}

#[tokio::test]
async fn a_google_body_does_not_contradict_its_path() {
    let (gateway, mock) = start(Caller::Gemini, r#"{"candidates":[]}"#).await;
    let sent = r#"{"model": "models/up/m1", "contents": [ {"parts":[{"text":"hi"}]} ]}"#;
    let target = Caller::Gemini.target("up/m1", false);
    let got = http_client::request(gateway.address, "POST", &target, Caller::Gemini.headers(), sent.as_bytes()).await;
    got.expect_status(200);
    assert_eq!(mock.only_request().request.text(), r#"{ "contents": [ {"parts":[{"text":"hi"}]} ]}"#);
}

#[tokio::test]
async fn a_google_count_names_the_model_of_its_path() {
    let (gateway, mock) = start(Caller::Gemini, r#"{"totalTokens":1}"#).await;
    let sent = json!({ "generateContentRequest": { "model": "models/up/m1", "contents": [] } });
    http_client::post(gateway.address, "/v1beta/models/up/m1:countTokens", &sent).await.expect_status(200);
    let seen: Value = serde_json::from_str(&mock.only_request().request.text()).unwrap();
    assert_eq!(seen["generateContentRequest"]["model"], "models/m1");
}

/// What a caller gives the model to cite from is text that every model can read.
#[tokio::test]
async fn texts_to_cite_from_reach_every_protocol() {
    let found = json!({ "type": "search_result", "source": "https://a.example", "title": "Rivers",
        "content": [{ "type": "text", "text": "The Rhine is long." }], "citations": { "enabled": true } });
    let chunks = json!({ "type": "document", "title": "Lakes",
        "source": { "type": "content", "content": [{ "type": "text", "text": "The Bodensee is deep." }] } });
    let content = json!([found, chunks, { "type": "text", "text": "Which is long?" }]);
    let body =
        json!({ "model": "up/m", "max_tokens": 9, "messages": [{ "role": "user", "content": content }] }).to_string();
    for protocol in ["openai-chat", "openai-responses", "anthropic-messages", "gemini", "bedrock-converse"] {
        let mock = MockUpstream::good().await;
        let gateway = Gateway::start(&providers(&[("up", protocol, &mock)])).await;
        let answer = http_client::request(gateway.address, "POST", "/v1/messages", &[], body.as_bytes()).await;
        let answer = answer.expect_status(200);
        let got = mock.only_request().request.text();
        for text in ["The Rhine is long.", "The Bodensee is deep.", "https://a.example"] {
            // Gemini and Converse take documents as base64.
            let from = |offset: usize| base64::engine::general_purpose::STANDARD.encode(&text[offset..]);
            let arrives = got.contains(text)
                || (0..3).any(|offset| {
                    let encoded = from(offset);
                    got.contains(&encoded[..encoded.len() - 4])
                });
            assert!(arrives, "{text} to {protocol}: {got}");
        }
        let losses = answer.header("x-routeplane-losses").unwrap_or_default();
        assert_eq!(losses.contains("citations"), protocol != "anthropic-messages", "{protocol}: {losses}");
    }
}
