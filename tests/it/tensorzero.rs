//! TensorZero's surface on the running gateway: what is not a matter of parity with the original, because the original needs a
//! database for it or does not have it, and TensorZero's own client.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::gateway::{Gateway, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::MockUpstream;
use crate::sdk::python_with;

const SECTION: &str = r#"
presets:
  small: up/m1
  draft.v1: "@small"
  draft.v2: { route: up/m2 }
  draft.eu: up/m3
  draft: "@draft.v1 > @draft.v2"
  extract.v1: "@small"
  extract: "@extract.v1"
tensorzero:
  functions:
    draft:
      { type: chat, variants: { v1: "@draft.v1", v2: "@draft.v2", eu: "@draft.eu" }, namespaces: { eu: "@draft.eu" }, variant_namespaces: { eu: eu } }
    extract: { type: json, variants: { v1: "@extract.v1" }, output_schema: { type: object } }
  models: { small: "@small", own: up/m4 }
  model_namespaces: { own: eu }
  embedding_models: { e: up/e1 }
  metrics:
    thumbs: { type: boolean, optimize: max, level: inference }
    score: { type: float, optimize: max, level: episode }
"#;

async fn gateway(mock: &MockUpstream, more: &str) -> Gateway {
    Gateway::start(&format!("{}{SECTION}{more}", providers(&[("up", "openai-chat", mock)]))).await
}

async fn get(gateway: &Gateway, path: &str) -> Response {
    http_client::request(gateway.address, "GET", path, &[], b"").await
}

async fn infer(gateway: &Gateway, more: Value) -> Value {
    let mut body = json!({ "function_name": "draft", "input": { "messages": [{ "role": "user", "content": "hi" }] } });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    http_client::post(gateway.address, "/inference", &body).await.expect_status(200).json()
}

#[tokio::test]
async fn feedback_is_checked_and_kept_in_the_file_with_the_id_of_its_inference() {
    let mock = MockUpstream::good().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("feedback.jsonl");
    let gateway = gateway(&mock, &format!("  feedback: {}\n", file.display())).await;
    let inference = infer(&gateway, json!({})).await;
    let (id, episode) = (&inference["inference_id"], &inference["episode_id"]);
    let give = async |body: Value| http_client::post(gateway.address, "/feedback", &body).await;
    let unseen = "018b0000-0000-7000-8000-000000000001";

    for (body, status, words) in [
        (json!({ "metric_name": "thumbs", "value": 1, "inference_id": id }), 400, "must be a boolean"),
        (json!({ "metric_name": "thumbs", "value": true, "episode_id": episode }), 400, "is of an inference"),
        (json!({ "metric_name": "nope", "value": true, "inference_id": id }), 404, "unknown metric `nope`"),
        (json!({ "metric_name": "thumbs", "value": true, "inference_id": unseen }), 400, "not known here"),
        (json!({ "metric_name": "thumbs", "value": true }), 400, "exactly one of"),
        (json!({ "metric_name": "thumbs", "value": true, "inference_id": id, "x": 1 }), 400, "unknown member `x`"),
        (json!({ "metric_name": "comment", "value": 1, "inference_id": id }), 400, "is a text"),
        (json!({ "metric_name": "demonstration", "value": "a", "episode_id": episode }), 400, "not of an episode"),
    ] {
        let refused = give(body.clone()).await.expect_status(status).json();
        assert!(refused["error"].as_str().unwrap().contains(words), "{body}: {refused}");
    }
    assert!(!file.exists(), "nothing of that is kept");

    let mut given = Vec::new();
    for body in [
        json!({ "metric_name": "thumbs", "value": true, "inference_id": id, "tags": { "a": "b" } }),
        json!({ "metric_name": "score", "value": 0.5, "episode_id": episode }),
        json!({ "metric_name": "comment", "value": "good", "episode_id": episode }),
        json!({ "metric_name": "demonstration", "value": "better", "inference_id": id }),
    ] {
        given.push(give(body).await.expect_status(200).json()["feedback_id"].clone());
    }
    give(json!({ "metric_name": "thumbs", "value": true, "inference_id": id, "dryrun": true }))
        .await
        .expect_status(200);
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["feedback_id"].clone()).collect::<Vec<_>>(), given);
    let first = &lines[0];
    assert_eq!(
        (&first["inference_id"], &first["tags"], &first["variant_name"]),
        (id, &json!({ "a": "b" }), &json!("v1"))
    );
    assert_eq!(first["function_name"], "tensorzero::function_name::draft");
    assert!(first["request_id"].as_str().unwrap().starts_with("rp-"));
    assert_eq!(lines[1]["episode_id"], *episode);
}

#[tokio::test]
async fn what_is_asked_for_by_name_is_what_answers() {
    let mock = MockUpstream::good().await;
    let gateway = gateway(&mock, "").await;
    let asked = |index: usize| mock.requests()[index].request.json()["model"].clone();
    assert_eq!(infer(&gateway, json!({})).await["variant_name"], "v1");
    assert_eq!(infer(&gateway, json!({ "variant_name": "v2" })).await["variant_name"], "v2");
    infer(&gateway, json!({ "namespace": "eu" })).await;
    infer(&gateway, json!({ "namespace": "us" })).await;
    assert_eq!([asked(0), asked(1), asked(2), asked(3)], ["m1", "m2", "m3", "m1"]);
    let episode = "018b0000-0000-7000-8000-000000000001";
    assert_eq!(infer(&gateway, json!({ "episode_id": episode })).await["episode_id"], episode);
    let json = infer(&gateway, json!({ "function_name": "extract" })).await;
    assert_eq!(json["output"]["parsed"], Value::Null, "{json}");
    assert!(json["output"]["raw"].is_string() && json.get("content").is_none(), "{json}");
}

#[tokio::test]
async fn what_is_of_a_namespace_is_refused_to_requests_of_others() {
    let mock = MockUpstream::good().await;
    let gateway = gateway(&mock, "").await;
    let message = json!({ "messages": [{ "role": "user", "content": "hi" }] });
    let brought = json!({ "type": "chat_completion", "model": "own" });
    let calls = [
        json!({ "model_name": "own", "input": message }),
        json!({ "function_name": "draft", "variant_name": "eu", "input": message }),
        json!({ "function_name": "draft", "dryrun": true, "internal_dynamic_variant_config": brought, "input": message }),
    ];
    for call in calls {
        for (namespace, status) in [(json!("eu"), 200), (json!("us"), 400), (Value::Null, 400)] {
            let mut body = call.clone();
            body["namespace"] = namespace.clone();
            let answer = http_client::post(gateway.address, "/inference", &body).await.expect_status(status).json();
            let said = answer["error"].as_str().unwrap_or_default();
            assert_eq!(said.contains("of the namespace `eu` only"), status == 400, "{body}: {answer}");
        }
    }
    let models: Vec<Value> = mock.requests().iter().map(|request| request.request.json()["model"].clone()).collect();
    assert_eq!(models, ["m4", "m3", "m4"]);
}

#[tokio::test]
async fn tools_of_an_upstreams_own_reach_it_byte_for_byte_where_their_scope_fits() {
    let tool = r#"{ "type":"web_search_1",  "max_uses":1.0, "x":"\u00e4" }"#;
    let ask = |gateway: &Gateway, whom: &str, scope: &str| {
        let body = format!(
            r#"{{{whom}, "input": {{"messages": [{{"role": "user", "content": "hi"}}]}}, "provider_tools": [{{"scope": {scope}, "tool": {tool}}}]}}"#
        );
        let address = gateway.address;
        async move { http_client::request(address, "POST", "/inference", &[], body.as_bytes()).await }
    };
    let (model, function) = (r#""model_name": "small""#, r#""function_name": "draft", "variant_name": "v1""#);
    for protocol in ["anthropic-messages", "openai-responses"] {
        let mock = MockUpstream::good().await;
        let gateway = Gateway::start(&format!("{}{SECTION}", providers(&[("up", protocol, &mock)]))).await;
        let fits = [
            (model, "null", true),
            (model, r#"{"model_name": "small"}"#, true),
            (model, r#"{"model_name": "small", "provider_name": "up"}"#, true),
            (model, r#"{"model_name": "another"}"#, false),
            (function, r#"{"model_name": "small"}"#, true),
            (function, r#"{"model_name": "another"}"#, false),
            (r#""function_name": "draft", "variant_name": "v2""#, r#"{"model_name": "small"}"#, false),
        ];
        for (at, (whom, scope, fits)) in fits.into_iter().enumerate() {
            ask(&gateway, whom, scope).await.expect_status(200);
            let sent = String::from_utf8(mock.requests()[at].request.body.clone()).unwrap();
            assert_eq!(sent.contains(&format!(r#""tools":[{tool}]"#)), fits, "{protocol} {whom} {scope}: {sent}");
            assert_eq!(sent.contains("web_search_1"), fits, "{protocol} {whom} {scope}: {sent}");
        }
        let unknown = ask(&gateway, model, r#"{"model_name": "small", "provider_name": "else"}"#).await;
        let error = unknown.expect_status(400).json()["error"].to_string();
        assert!(error.contains("`small`, which has `up` here"), "{error}");
    }
    let mock = MockUpstream::good().await;
    let gateway = gateway(&mock, "").await;
    for (whom, status) in [(model, 502), (function, 500)] {
        let error = ask(&gateway, whom, "null").await.expect_status(status).json()["error"].to_string();
        assert!(error.contains("`up/m1` does not take `provider_tools`"), "{error}");
    }
    assert!(mock.requests().is_empty());
    ask(&gateway, model, r#"{"model_name": "another"}"#).await.expect_status(200);
    assert!(!mock.only_request().request.json().to_string().contains("web_search_1"));
}

#[tokio::test]
async fn what_is_beside_the_calls_is_there() {
    let mock = MockUpstream::good().await;
    let gateway = gateway(&mock, "  base_path: /gw\n").await;
    let listed = get(&gateway, "/gw/openai/v1/models").await.expect_status(200).json();
    let ids: Vec<&str> = listed["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    let expected = [
        "tensorzero::function_name::draft",
        "tensorzero::function_name::extract",
        "tensorzero::model_name::own",
        "tensorzero::model_name::small",
        "tensorzero::embedding_model_name::e",
    ];
    assert_eq!(ids, expected);
    let status = get(&gateway, "/gw/status").await.expect_status(200);
    assert_eq!(
        (&status.json()["status"], status.header("x-tensorzero-gateway-version")),
        (&json!("ok"), Some("2026.6.0"))
    );
    get(&gateway, "/gw/health").await.expect_status(200);
    let gone = get(&gateway, "/gw/v1/datasets/x/datapoints").await.expect_status(501).json();
    assert!(gone["error"].as_str().unwrap().contains("has no datasets"), "{gone}");
    assert_eq!(get(&gateway, "/gw/inference").await.expect_status(405).text(), "");
    get(&gateway, "/inference").await.expect_status(404);
    let body = json!({ "model": "x", "messages": [] });
    let refused = http_client::post(gateway.address, "/gw/openai/v1/chat/completions", &body).await.expect_status(400);
    assert!(refused.json()["error"]["message"].is_string() && refused.json()["error"].get("type").is_none());
    assert_eq!(refused.header("x-tensorzero-gateway-version"), Some("2026.6.0"));
}

#[tokio::test]
async fn without_the_section_there_is_no_surface() {
    let mock = MockUpstream::good().await;
    let gateway = Gateway::start(&providers(&[("up", "openai-chat", &mock)])).await;
    http_client::post(gateway.address, "/inference", &json!({})).await.expect_status(404);
    http_client::post(gateway.address, "/openai/v1/chat/completions", &json!({})).await.expect_status(404);
}

#[tokio::test]
async fn keys_of_tensorzeros_form_are_keys_like_others() {
    let mock = MockUpstream::good().await;
    let file = providers(&[("up", "openai-chat", &mock)]);
    let yaml = format!("{file}{SECTION}keys: {{ ci: env:CI_KEY }}\n");
    let key = format!("sk-t0-{}-{}", "a".repeat(12), "b".repeat(48));
    let gateway = Gateway::start_with(&yaml, &[("CI_KEY", &key)]).await;
    let body = json!({ "model_name": "small", "input": { "messages": [{ "role": "user", "content": "hi" }] } });
    let refused = http_client::post(gateway.address, "/inference", &body).await.expect_status(401);
    assert!(refused.json()["error"].is_string());
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let text = body.to_string();
    http_client::request(gateway.address, "POST", "/inference", &headers, text.as_bytes()).await.expect_status(200);
    get(&gateway, "/health").await.expect_status(200);
}

/// TensorZero's client and OpenAI's SDK, with nothing changed but the address.
#[tokio::test]
async fn tensorzeros_client_and_openais_work_unchanged() {
    let mock = MockUpstream::good().await;
    let gateway = gateway(&mock, "").await;
    let python = python_with("parity", "parity/requirements.txt").await;
    let output = Command::new(python.join("bin/python"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/clients.py"))
        .arg(format!("http://{}", gateway.address))
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}\n{}", gateway.log());
    assert_eq!(said.lines().last(), Some("all well"), "{said}\n{complained}");
}
