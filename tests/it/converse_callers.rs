//! Callers that speak Bedrock Converse, end to end.

use routeplane::wire::frame::{Decoder, Frame, Framing};
use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::{Act, MockUpstream};

/// The model's name as AWS's SDKs write it into the path.
const CONVERSE: &str = "/model/up%2Fanthropic.claude-sonnet-4-5-20250929-v1%3A0/converse";

fn request() -> Value {
    json!({
        "system": [{ "text": "Be kind." }],
        "messages": [{ "role": "user", "content": [{ "text": "hi" }] }],
        "inferenceConfig": { "maxTokens": 50 },
    })
}

/// A gateway in front of an upstream of `protocol` that plays `act`.
async fn start(protocol: &str, act: Act) -> (Gateway, MockUpstream) {
    let mock = MockUpstream::start([act]).await;
    let yaml = providers(&[("up", protocol, &mock)]);
    (Gateway::start(&format!("{yaml}retries: {{ attempts: 1 }}\n")).await, mock)
}

async fn post(gateway: &Gateway, target: &str, headers: &[(&str, &str)], body: &Value) -> Response {
    http_client::request(gateway.address, "POST", target, headers, body.to_string().as_bytes()).await
}

/// Names and payloads of a stream's messages.
fn messages(bytes: &[u8]) -> Vec<(String, Value)> {
    let mut messages = Vec::new();
    let mut each =
        |frame: Frame<'_>| messages.push((frame.event.to_owned(), serde_json::from_str(frame.data).unwrap()));
    Decoder::new(Framing::EventStream, 1 << 20).push(bytes, &mut each).unwrap();
    messages
}

#[tokio::test]
async fn a_caller_of_converse_reaches_every_protocol() {
    for upstream in Caller::ALL {
        let (gateway, mock) = start(upstream.protocol(), Act::Answer).await;
        let whole = post(&gateway, "/model/up%2Fm1/converse", &[], &request()).await.expect_status(200).json();
        let text = "Hello from the mock.";
        assert_eq!(whole["output"]["message"], json!({ "role": "assistant", "content": [{ "text": text }] }));
        assert_eq!((&whole["stopReason"], &whole["usage"]["outputTokens"]), (&json!("end_turn"), &json!(7)));
        let stream = post(&gateway, "/model/up%2Fm1/converse-stream", &[], &request()).await.expect_status(200);
        assert_eq!(stream.header("content-type"), Some("application/vnd.amazon.eventstream"), "{upstream:?}");
        let messages = messages(&stream.body);
        let said = messages.iter().filter_map(|(_, data)| data["delta"]["text"].as_str()).collect::<String>();
        assert_eq!(said, text, "{upstream:?}: {messages:?}");
        let names: Vec<&str> = messages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.first(), Some(&"messageStart"), "{upstream:?}");
        assert!(names.ends_with(&["contentBlockStop", "messageStop", "metadata"]), "{upstream:?}: {names:?}");
        assert_eq!(messages.last().unwrap().1["usage"], whole["usage"], "{upstream:?}");
        let sent = mock.requests().first().unwrap().request.text();
        assert!(sent.contains("Be kind.") && sent.contains("50"), "{upstream:?}: {sent}");
    }
}

#[tokio::test]
async fn converse_is_relayed_byte_for_byte() {
    let answer = "{ \"output\":{},\t\"a\":\"\\u0065\" }";
    let headers = vec![("x-amzn-requestid", "id-1".to_owned())];
    let act = Act::Respond { status: 200, headers, body: answer.as_bytes().to_vec() };
    let (gateway, mock) = start("bedrock-converse", act).await;
    let sent = "{ \"messages\" : [ ],\n\"x\": 1.0 }";
    let got = http_client::request(gateway.address, "POST", CONVERSE, &[], sent.as_bytes()).await.expect_status(200);
    assert_eq!((got.text().as_str(), got.header("x-amzn-requestid")), (answer, Some("id-1")));
    let seen = mock.only_request().request;
    assert_eq!(seen.path(), "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse");
    assert_eq!(seen.text(), sent);
}

#[tokio::test]
async fn a_converse_stream_is_relayed_byte_for_byte() {
    let mut stream = Vec::new();
    for (name, payload) in [
        ("messageStart", r#"{"role":"assistant","p":"ab"}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":0, "delta":{"text":"Hi"}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        ("messageStop", r#"{"stopReason":"end_turn"}"#),
        ("metadata", r#"{"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}"#),
    ] {
        routeplane::wire::frame::event_stream::write_event(name, |out| out.extend(payload.bytes()), &mut stream);
    }
    let headers = vec![("content-type", "application/vnd.amazon.eventstream".to_owned())];
    let (gateway, _mock) = start("bedrock-converse", Act::Respond { status: 200, headers, body: stream.clone() }).await;
    let got = post(&gateway, &format!("{CONVERSE}-stream"), &[], &request()).await.expect_status(200);
    assert_eq!(got.body, stream);
    assert_eq!(got.header("content-type"), Some("application/vnd.amazon.eventstream"));
}

#[tokio::test]
async fn errors_have_the_names_and_statuses_of_aws() {
    let (gateway, _mock) = start("openai-chat", Act::status(429)).await;
    let got = post(&gateway, "/model/up%2Fm1/converse", &[], &request()).await.expect_status(429);
    assert_eq!(got.header("x-amzn-errortype"), Some("ThrottlingException"));
    assert!(got.json()["message"].as_str().is_some_and(|text| !text.is_empty()));
    let got = post(&gateway, "/model/nowhere%2Fm1/converse", &[], &request()).await.expect_status(404);
    assert_eq!(got.header("x-amzn-errortype"), Some("ResourceNotFoundException"));
    let got = post(&gateway, "/model/up%2Fm1/converse", &[], &json!({ "messages": 1 })).await.expect_status(400);
    assert_eq!(got.header("x-amzn-errortype"), Some("ValidationException"));
    assert_eq!(got.json()["message"], "`messages` must be an array");
}

#[tokio::test]
async fn an_upstreams_own_error_keeps_its_name() {
    let headers = vec![("x-amzn-errortype", "ModelNotReadyException:http://internal".to_owned())];
    let body = br#"{"message":"warming up"}"#.to_vec();
    let (gateway, _mock) = start("bedrock-converse", Act::Respond { status: 429, headers, body }).await;
    let got = post(&gateway, CONVERSE, &[], &request()).await.expect_status(429);
    assert_eq!(got.header("x-amzn-errortype"), Some("ModelNotReadyException:http://internal"));
    assert_eq!(got.text(), r#"{"message":"warming up"}"#);
}

#[tokio::test]
async fn a_signature_is_no_client_key_and_a_bearer_token_is() {
    let mock = MockUpstream::good().await;
    let yaml = providers(&[("up", "openai-chat", &mock)]);
    let key = "rp-a-client-key-of-some-length-0001";
    let gateway =
        Gateway::start_with(&format!("{yaml}keys: {{ tester: env:CLIENT_KEY }}\n"), &[("CLIENT_KEY", key)]).await;
    let signature =
        "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0";
    let got = post(&gateway, "/model/up%2Fm1/converse", &[("authorization", signature)], &request()).await;
    let got = got.expect_status(403);
    assert_eq!(got.header("x-amzn-errortype"), Some("AccessDeniedException"));
    assert!(got.json()["message"].as_str().unwrap().contains("`AWS_BEARER_TOKEN_BEDROCK`"), "{}", got.text());
    let bearer = format!("Bearer {key}");
    post(&gateway, "/model/up%2Fm1/converse", &[("authorization", &bearer)], &request()).await.expect_status(200);
}

#[tokio::test]
async fn tokens_are_counted_by_the_upstream_or_estimated() {
    let counted = json!({ "input": { "converse": request() } });
    let (gateway, mock) = start("anthropic-messages", Act::Answer).await;
    let got = post(&gateway, "/model/up%2Fm1/count-tokens", &[], &counted).await.expect_status(200);
    assert_eq!(got.json(), json!({ "inputTokens": 23 }));
    assert!(mock.only_request().request.text().contains("Be kind."));
    let (gateway, _mock) = start("openai-chat", Act::Answer).await;
    let got = post(&gateway, "/model/up%2Fm1/count-tokens", &[], &counted).await.expect_status(200);
    assert_eq!(got.header("x-routeplane-estimated"), Some("true"));
    assert!(got.json()["inputTokens"].as_u64().is_some_and(|count| count > 0));
}

#[tokio::test]
async fn a_presets_parameters_reach_a_caller_of_converse() {
    let mock = MockUpstream::good().await;
    let yaml = providers(&[("up", "openai-chat", &mock)]);
    let preset = "presets:\n  quick: { route: up/m1, params: { max_tokens: 99, seed: 7 }, system: Stay calm. }\n";
    let gateway = Gateway::start(&format!("{yaml}{preset}")).await;
    let body = json!({ "messages": [{ "role": "user", "content": [{ "text": "hi" }] }] });
    post(&gateway, "/model/quick/converse", &[], &body).await.expect_status(200);
    let sent: Value = serde_json::from_str(&mock.only_request().request.text()).unwrap();
    assert_eq!((&sent["max_tokens"], &sent["seed"]), (&json!(99), &json!(7)), "{sent}");
    assert!(sent["messages"][0]["content"].to_string().contains("Stay calm."), "{sent}");
}
