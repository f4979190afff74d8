//! What TensorZero's clients add to the export of a request's trace, as a collector sees it.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};

use crate::collector::{Collector, Export, Mood, Wire, attributes};
use crate::gateway::{provider_key, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::{Daemon, Sandbox};

const PREFIX: &str = "tensorzero-otlp-traces-extra-";

/// A gateway whose spans wait for `delay` milliseconds.
async fn start(mock: &MockUpstream, collector: &Collector, protocol: &str, delay: &str) -> (Sandbox, Daemon) {
    let providers = providers(&[("up", "openai-chat", mock)]);
    let file = format!(
        "{providers}retries: {{ attempts: 1 }}\npresets: {{ two: up/m1 > up/m2 }}\ntensorzero: {{ models: {{ two: \"@two\" }}, embedding_models: {{ e: up/e1 }} }}\n\
         telemetry: {{ otlp: {{ endpoint: \"{}\", protocol: {protocol}, metrics: false, logs: false, headers: {{ x-space: env:SPACE, x-own: own }}, resource: {{ zone: a }} }} }}\n",
        collector.url()
    );
    let sandbox = Sandbox::with(&file).env("KEY_OF_up", &provider_key("up")).env("SPACE", "of-the-file");
    let sandbox = sandbox.env("OTEL_BSP_SCHEDULE_DELAY", delay);
    let daemon = sandbox.start(&[]).await;
    (sandbox, daemon)
}

async fn ask(daemon: &Daemon, additions: &[(&str, &str)]) -> Response {
    let named: Vec<(String, &str)> =
        additions.iter().map(|(name, value)| (format!("{PREFIX}{name}"), *value)).collect();
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(named.iter().map(|(name, value)| (name.as_str(), *value)));
    let body = json!({ "model_name": "two", "input": { "messages": [{ "role": "user", "content": "hi" }] } });
    http_client::request(daemon.address, "POST", "/inference", &headers, body.to_string().as_bytes()).await
}

/// What an export says: the attributes of its resource, and those of each of its spans.
fn said(export: &Export) -> (BTreeMap<String, Value>, Vec<BTreeMap<String, Value>>) {
    let mut groups = ExportTraceServiceRequest::decode(&*export.body).unwrap().resource_spans;
    let group = groups.pop().unwrap();
    assert!(groups.is_empty());
    let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
    (attributes(&group.resource.unwrap().attributes), spans.map(|span| attributes(&span.attributes)).collect())
}

#[tokio::test]
async fn additions_of_a_request_are_on_its_export_and_on_no_other() {
    for (wire, protocol) in [(Wire::Grpc, "grpc"), (Wire::Http, "http/protobuf")] {
        let collector = Collector::start(wire, false).await;
        // The first target fails: attributes are on the spans of all tries.
        let acts = [Act::status(500), Act::Answer, Act::status(500), Act::Answer, Act::status(500), Act::Answer];
        let mock = MockUpstream::start(acts).await;
        // Nothing leaves before the end.
        let (_sandbox, mut daemon) = start(&mock, &collector, protocol, "600000").await;
        let apart = [
            ("attribute-user", "\"ann\""),
            ("resource-service.name", "tenant"),
            ("header-x-space", "of-the-caller"),
            ("header-x-more", "1"),
        ];
        ask(&daemon, &apart).await.expect_status(200);
        ask(&daemon, &[]).await.expect_status(200);
        ask(&daemon, &[("attribute-user", "\"bob\""), ("attribute-beta", "false")]).await.expect_status(200);
        daemon.signal("TERM");
        assert_eq!(daemon.end().await, Some(0));
        let seen = collector.seen();
        assert_eq!(seen.len(), 2, "{protocol}");
        let sent_apart = |export: &&Export| export.headers.contains_key("x-more");
        let (own, all) = (seen.iter().find(sent_apart).unwrap(), seen.iter().find(|one| !sent_apart(one)).unwrap());
        let headers =
            |export: &Export| ["x-space", "x-own"].map(|name| export.headers[name].to_str().unwrap().to_owned());
        assert_eq!(
            (headers(own), headers(all)),
            (["of-the-caller", "own"].map(str::to_owned), ["of-the-file", "own"].map(str::to_owned))
        );
        let ((resource, spans), (common, others)) = (said(own), said(all));
        assert_eq!((&resource["service.name"], &resource["zone"]), (&json!("tenant"), &json!("a")));
        assert_eq!((&common["service.name"], &common["zone"]), (&json!("routeplane"), &json!("a")));
        assert_eq!((spans.len(), others.len()), (3, 6), "{protocol}");
        assert!(spans.iter().all(|span| span["user"] == "ann"), "{spans:#?}");
        let users: Vec<Option<&Value>> = others.iter().map(|span| span.get("user")).collect();
        assert_eq!(users, [[None; 3], [Some(&json!("bob")); 3]].concat());
        assert!(others[3..].iter().all(|span| span["beta"] == false));
        // The upstream hears nothing of it, and neither does the log.
        let heard = mock.requests();
        assert!(heard.iter().flat_map(|request| &request.request.headers).all(|(name, _)| !name.starts_with(PREFIX)));
        assert!(!daemon.log().contains("of-the-caller"));
    }
}

/// What the gateway refuses is a span of the caller's trace, too; what no export can have is a 400 before anything else.
#[tokio::test]
async fn refused_requests_have_their_additions() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::good().await;
    let (_sandbox, daemon) = start(&mock, &collector, "http/protobuf", "50").await;
    for (name, value, words) in [
        ("attribute-user", "ann", "must hold JSON"),
        ("attribute-user", "1", "write numbers as texts"),
        ("header-content-length", "1", "no export may have"),
    ] {
        let refused = ask(&daemon, &[(name, value)]).await.expect_status(400).json();
        assert!(refused["error"].as_str().unwrap().contains(words), "{name}: {refused}");
    }
    assert!(mock.requests().is_empty());
    let body = json!({ "model": "tensorzero::embedding_model_name::none", "input": "a" }).to_string();
    let name = format!("{PREFIX}attribute-user");
    let headers = [("content-type", "application/json"), (name.as_str(), "\"ann\"")];
    let refused = http_client::request(daemon.address, "POST", "/openai/v1/embeddings", &headers, body.as_bytes());
    refused.await.expect_status(404);
    let spans = collector.wait(&daemon, 4).await;
    let users: Vec<Value> = spans.iter().filter_map(|span| attributes(&span.attributes).get("user").cloned()).collect();
    assert_eq!(users, ["ann"]);
}

/// More ways than are kept open at a time: the oldest leave early, and no span is lost or goes another way.
#[tokio::test]
async fn ways_without_end_are_bounded() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::good().await;
    let (_sandbox, mut daemon) = start(&mock, &collector, "http/protobuf", "600000").await;
    for way in 0..34 {
        ask(&daemon, &[("header-x-space", &way.to_string())]).await.expect_status(200);
    }
    daemon.until("the oldest have left", async |_| collector.seen().len() == 2).await;
    daemon.signal("TERM");
    assert_eq!(daemon.end().await, Some(0));
    let seen = collector.seen();
    let mut ways: Vec<usize> = Vec::new();
    for export in seen.iter() {
        assert_eq!(said(export).1.len(), 2);
        ways.push(export.headers["x-space"].to_str().unwrap().parse().unwrap());
    }
    assert_eq!(ways, (0..34).collect::<Vec<_>>());
}
