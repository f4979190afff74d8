//! Export to a collector, seen by a receiver of our own that decodes with the official protobuf types.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::HeaderMap;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{provider_key, providers};
use crate::http_client;
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::{Daemon, Sandbox};

/// One export as it arrived.
struct Export {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// A collector; it stops when dropped.
struct Collector {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Export>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the collector answers.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Good,
    Refuses,
    Hangs,
}

impl Collector {
    /// Over HTTP.
    async fn http(mood: Mood) -> Collector {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        let take = async move |uri: axum::http::Uri, headers: HeaderMap, body: Bytes| {
            let mut plain = Vec::new();
            if headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
                flate2::read::GzDecoder::new(&*body).read_to_end(&mut plain).unwrap();
            } else {
                plain.extend_from_slice(&body);
            }
            kept.lock().unwrap().push(Export { path: uri.path().to_owned(), headers, body: plain });
            match mood {
                Mood::Good => axum::http::StatusCode::OK,
                Mood::Refuses => axum::http::StatusCode::FORBIDDEN,
                Mood::Hangs => std::future::pending().await,
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(take);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Collector { address, seen, task }
    }

    /// Over gRPC: a message is five bytes of head and the protobuf (gRPC over HTTP/2, "Length-Prefixed-Message").
    async fn grpc() -> Collector {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_grpc(stream, kept.clone()));
            }
        });
        Collector { address, seen, task }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|export| export.path.ends_with(path)).map(|export| export.body.clone()).collect()
    }

    /// Every span so far, with what describes its process.
    fn spans(&self) -> Vec<(Span, BTreeMap<String, Value>)> {
        let mut spans = Vec::new();
        for body in [self.bodies("v1/traces"), self.bodies("TraceService/Export")].concat() {
            for group in ExportTraceServiceRequest::decode(&*body).unwrap().resource_spans {
                let resource = attributes(&group.resource.unwrap().attributes);
                let all = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(all.map(|span| (span, resource.clone())));
            }
        }
        spans
    }

    /// The spans of the only request, in the order of their beginnings, once there are so many.
    async fn wait(&self, daemon: &Daemon, count: usize) -> Vec<Span> {
        daemon.until("the spans are there", async |_| self.spans().len() >= count).await;
        let mut spans: Vec<Span> = self.spans().into_iter().map(|(span, _)| span).collect();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans.sort_by_key(|span| (span.start_time_unix_nano, span.kind));
        spans
    }

    /// The newest data of a metric.
    fn metric(&self, name: &str) -> Option<Data> {
        let mut found = None;
        for body in self.bodies("v1/metrics") {
            let groups = ExportMetricsServiceRequest::decode(&*body).unwrap().resource_metrics;
            let metrics = groups.into_iter().flat_map(|group| group.scope_metrics).flat_map(|scope| scope.metrics);
            found = metrics.filter(|metric| metric.name == name).map(|metric| metric.data.unwrap()).next().or(found);
        }
        found
    }
}

async fn serve_grpc(stream: tokio::net::TcpStream, kept: Arc<Mutex<Vec<Export>>>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let kept = kept.clone();
        tokio::spawn(async move {
            let (parts, mut body) = request.into_parts();
            let mut bytes = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                let _ = body.flow_control().release_capacity(piece.len());
                bytes.extend_from_slice(&piece);
            }
            assert_eq!(bytes[0], 0, "not compressed");
            kept.lock().unwrap().push(Export {
                path: parts.uri.path().to_owned(),
                headers: parts.headers,
                body: bytes[5..].to_vec(),
            });
            let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
            let mut send = respond.send_response(head, false).unwrap();
            send.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            send.send_trailers(trailers).unwrap();
        });
    }
}

fn value(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::BoolValue(flag)) => json!(flag),
        Some(Any::ArrayValue(list)) => list.values.iter().map(|one| self::value(Some(one))).collect(),
        other => panic!("{other:?}"),
    }
}

fn attributes(list: &[KeyValue]) -> BTreeMap<String, Value> {
    list.iter().map(|pair| (pair.key.clone(), value(pair.value.as_ref()))).collect()
}

#[track_caller]
fn assert_has(span: &Span, expected: Value) {
    let have = attributes(&span.attributes);
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(have.get(name).unwrap_or(&Value::Null), value, "`{name}` of {have:#?}");
    }
}

/// A gateway in front of `mock`, which is `up` in its file.
async fn start(mock: &MockUpstream, more: &str, env: &[(&str, &str)]) -> (Sandbox, Daemon) {
    let mut sandbox = Sandbox::with(&file(mock, more)).env("KEY_OF_up", &provider_key("up"));
    sandbox = sandbox.env("OTEL_BSP_SCHEDULE_DELAY", "50").env("OTEL_METRIC_EXPORT_INTERVAL", "200");
    for (name, value) in env {
        sandbox = sandbox.env(name, value);
    }
    let daemon = sandbox.start(&[]).await;
    (sandbox, daemon)
}

fn file(mock: &MockUpstream, more: &str) -> String {
    let providers = providers(&[("up", "openai-chat", mock)]);
    format!("{providers}retries: {{ attempts: 1 }}\npresets: {{ two: up/m1 > up/m2 }}\n{more}")
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

async fn ask(daemon: &Daemon, model: &str, stream: bool) {
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "vendor=x")];
    let body = Caller::Messages.body(model, "hello", stream).to_string();
    http_client::request(daemon.address, "POST", "/v1/messages", &headers, body.as_bytes()).await.expect_status(200);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_request_is_a_span_and_each_try_is_one_below_it() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::start([Act::status(500), Act::Answer]).await;
    let more = format!(
        "telemetry: {{ otlp: {{ endpoint: \"{}/base/\", headers: {{ api-key: env:OTLP_KEY }}, gzip: true, resource: {{ zone: a }} }} }}\n",
        collector.url()
    );
    let (_sandbox, daemon) = start(&mock, &more, &[("OTLP_KEY", "otlp-secret-1"), ("OTEL_SERVICE_NAME", "gw")]).await;
    ask(&daemon, "@two", true).await;
    let spans = collector.wait(&daemon, 3).await;
    let [server, first, second] = &spans[..] else { panic!() };
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE && span.trace_state == "vendor=x"));
    assert_eq!((hex(&server.parent_span_id).as_str(), server.kind, server.name.as_str()), (PARENT, 2, "chat @two"));
    assert_eq!((&first.parent_span_id, first.kind, first.name.as_str()), (&server.span_id, 3, "chat m1"));
    assert_eq!((&second.parent_span_id, second.name.as_str()), (&server.span_id, "chat m2"));
    assert!(server.start_time_unix_nano <= first.start_time_unix_nano);
    assert!(first.end_time_unix_nano <= second.start_time_unix_nano);
    assert!(second.end_time_unix_nano <= server.end_time_unix_nano);
    assert_has(
        server,
        json!({
            "gen_ai.operation.name": "chat", "gen_ai.request.model": "@two", "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 7, "http.response.status_code": 200, "routeplane.protocol": "anthropic-messages",
            "routeplane.route": "@two", "routeplane.target": "up/m2", "routeplane.attempts": 2, "routeplane.stream": true,
            "routeplane.generation": 1, "routeplane.outcome": "ok", "error.type": null,
        }),
    );
    assert!(attributes(&server.attributes)["gen_ai.response.time_to_first_chunk"].as_f64().unwrap() > 0.0);
    let failed = json!({
        "gen_ai.provider.name": "up", "gen_ai.request.model": "m1", "http.response.status_code": 500,
        "error.type": "status", "routeplane.attempt": 1, "routeplane.lane": "translate",
    });
    assert_has(first, failed);
    assert_eq!((first.status.as_ref().unwrap().code, second.status.as_ref().unwrap().code), (2, 0));
    let served = json!({
        "gen_ai.request.model": "m2", "gen_ai.usage.output_tokens": 7, "routeplane.retry_cause": "status",
        "gen_ai.response.finish_reasons": ["stop"],
    });
    assert_has(second, served);
    // Each upstream request says whose child it is, once.
    for (request, span) in mock.requests().iter().zip([first, second]) {
        let of = |name: &str| {
            let headers = request.request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            headers.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        assert_eq!(of("traceparent"), [format!("00-{TRACE}-{}-01", hex(&span.span_id))]);
        assert_eq!(of("tracestate"), ["vendor=x"]);
    }
    let (_, resource) = &collector.spans()[0];
    assert_eq!((&resource["service.name"], &resource["zone"]), (&json!("gw"), &json!("a")));
    let seen = collector.seen.lock().unwrap();
    let export = seen.iter().find(|export| export.path == "/base/v1/traces").unwrap();
    assert_eq!(export.headers["api-key"], "otlp-secret-1");
    assert_eq!(export.headers["content-type"], "application/x-protobuf");
}

#[tokio::test]
async fn variables_alone_export_over_grpc() {
    let collector = Collector::grpc().await;
    let mock = MockUpstream::good().await;
    let url = collector.url();
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=grpc%20key"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ];
    let (_sandbox, daemon) = start(&mock, "", &env).await;
    Caller::Chat.ask(daemon.address, "up/m1", "hello", false).await.expect_status(200);
    let spans = collector.wait(&daemon, 2).await;
    assert_eq!((spans[0].name.as_str(), spans[1].name.as_str()), ("chat up/m1", "chat m1"));
    assert!(spans[0].parent_span_id.is_empty());
    let seen = collector.seen.lock().unwrap();
    assert!(seen.iter().all(|export| export.path == "/opentelemetry.proto.collector.trace.v1.TraceService/Export"));
    assert_eq!(seen[0].headers["api-key"], "grpc key");
}

#[tokio::test]
async fn metrics_have_the_names_and_buckets_of_the_conventions() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::good().await;
    let (_sandbox, daemon) = start(&mock, &format!("telemetry: {{ otlp: \"{}\" }}\n", collector.url()), &[]).await;
    for _ in 0..3 {
        Caller::Chat.ask(daemon.address, "up/m1", "hello", true).await.expect_status(200);
    }
    let count = |name: &str| match collector.metric(name) {
        Some(Data::Histogram(data)) => data.data_points.iter().map(|point| point.count).sum(),
        _ => 0,
    };
    daemon.until("three requests are measured", async |_| count("gen_ai.server.request.duration") == 3).await;
    for name in
        ["gen_ai.client.operation.duration", "gen_ai.server.time_to_first_token", "gen_ai.server.time_per_output_token"]
    {
        assert_eq!(count(name), 3, "{name}");
    }
    let Some(Data::Histogram(tokens)) = collector.metric("gen_ai.client.token.usage") else { panic!() };
    let mut sums: Vec<_> = tokens
        .data_points
        .iter()
        .map(|point| {
            let labels = attributes(&point.attributes);
            assert_eq!(labels["gen_ai.provider.name"], "up");
            (labels["gen_ai.token.type"].clone(), point.sum.unwrap(), point.explicit_bounds[1])
        })
        .collect();
    sums.sort_by_key(|(kind, ..)| kind.to_string());
    assert_eq!(sums, [(json!("input"), 33.0, 4.0), (json!("output"), 21.0, 4.0)]);
    // Our own metrics are there under their own names.
    let Some(Data::Sum(requests)) = collector.metric("routeplane_requests") else { panic!("no routeplane_requests") };
    assert!(requests.is_monotonic);
    let Some(Data::Sum(cost)) = collector.metric("routeplane_attempts") else { panic!("no routeplane_attempts") };
    assert_eq!(attributes(&cost.data_points[0].attributes)["provider"], "up");
    let Some(Data::Gauge(generation)) = collector.metric("routeplane_config_generation") else { panic!() };
    assert_eq!(generation.data_points.len(), 1);
}

#[tokio::test]
async fn no_collector_is_no_reason_to_wait() {
    let hanging = Collector::http(Mood::Hangs).await;
    let refusing = Collector::http(Mood::Refuses).await;
    let nobody = format!("http://{}", crate::gateway::free_address());
    for url in [hanging.url(), refusing.url(), nobody] {
        let mock = MockUpstream::good().await;
        let more = format!("telemetry: {{ otlp: {{ endpoint: \"{url}\", timeout: 1s, metrics: false }} }}\n");
        let (_sandbox, mut daemon) = start(&mock, &more, &[("OTEL_BSP_MAX_QUEUE_SIZE", "8")]).await;
        for _ in 0..20 {
            Caller::Chat.ask(daemon.address, "up/m1", "hello", false).await.expect_status(200);
        }
        daemon
            .until("lost spans are counted", async |daemon| {
                daemon.metric("routeplane_telemetry_dropped_total{sink=\"otlp_traces\"}").await > 0.0
            })
            .await;
        assert_eq!(daemon.metric("routeplane_telemetry_dropped_total{sink=\"queue\"}").await, 0.0);
        daemon.signal("TERM");
        assert_eq!(daemon.end().await, Some(0));
    }
}

#[tokio::test]
async fn a_reload_changes_the_collector_and_loses_no_span() {
    let (old, new) = (Collector::http(Mood::Good).await, Collector::http(Mood::Good).await);
    let mock = MockUpstream::good().await;
    let more = |collector: &Collector| {
        format!("telemetry: {{ otlp: {{ endpoint: \"{}\", metrics: false }} }}\n", collector.url())
    };
    // Spans wait for long: those of the old collector are sent because of the reload.
    let (sandbox, daemon) = start(&mock, &more(&old), &[("OTEL_BSP_SCHEDULE_DELAY", "3600000")]).await;
    ask(&daemon, "up/m1", false).await;
    daemon
        .until("it is recorded", async |daemon| daemon.get("/admin/requests").await.json()["requests"][0].is_object())
        .await;
    sandbox.write("routeplane.yaml", &file(&mock, &more(&new)));
    assert_eq!(daemon.reload().await.json()["result"], "ack");
    old.wait(&daemon, 2).await;
    ask(&daemon, "up/m1", false).await;
    daemon
        .until("it is recorded", async |daemon| daemon.get("/admin/requests").await.json()["requests"][1].is_object())
        .await;
    // The rest is sent at the end.
    let mut daemon = daemon;
    daemon.signal("TERM");
    assert_eq!(daemon.end().await, Some(0));
    assert_eq!((old.spans().len(), new.spans().len()), (2, 2));
}

#[tokio::test]
async fn what_is_not_sampled_is_not_exported_and_says_so_upstream() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::good().await;
    let more = format!("telemetry: {{ otlp: {{ endpoint: \"{}\", sample: 0 }} }}\n", collector.url());
    let (_sandbox, daemon) = start(&mock, &more, &[]).await;
    Caller::Chat.ask(daemon.address, "up/m1", "hello", false).await.expect_status(200);
    // A caller that has decided is followed.
    ask(&daemon, "up/m1", false).await;
    let spans = collector.wait(&daemon, 2).await;
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    let sent = mock.requests()[0].request.header("traceparent").unwrap().to_owned();
    assert!(sent.starts_with("00-") && sent.ends_with("-00"), "{sent}");
}

#[tokio::test]
async fn a_wrong_setting_is_refused_with_its_name() {
    let sandbox = Sandbox::with("version: 1\n").env("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317");
    let refused = sandbox.run(&["start", "--listen", "127.0.0.1:0"]);
    assert!(refused.code != 0 && refused.stderr.contains("`localhost:4317/v1/traces` is not a URL"), "{refused:#?}");
}

#[tokio::test]
async fn no_secret_and_no_prompt_is_told_to_anybody() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::start([Act::EchoHeaders(401), Act::EchoHeadersInStream(3), Act::Answer]).await;
    let more = format!(
        "telemetry: {{ otlp: {{ endpoint: \"{}\", headers: {{ api-key: env:OTLP_KEY }} }} }}\naccess_log: {{ to: calls.jsonl, facts: all }}\n\
         keys: {{ ci: env:CI_KEY }}\n",
        collector.url()
    );
    let secrets = ["otlp-secret-canary", "client-secret-canary", &provider_key("up"), "prompt-canary"];
    let env = [("OTLP_KEY", secrets[0]), ("CI_KEY", secrets[1]), ("ROUTEPLANE_LOG", "trace")];
    let (sandbox, daemon) = start(&mock, &more, &env).await;
    let bearer = format!("Bearer {}", secrets[1]);
    let headers = [("authorization", bearer.as_str()), ("cookie", "client-secret-canary")];
    for stream in [false, true, false] {
        let body = Caller::Chat.body("up/m1", "prompt-canary", stream).to_string();
        http_client::request(daemon.address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).await;
    }
    daemon
        .until("all is exported", async |_| collector.spans().len() >= 6 && !collector.bodies("v1/metrics").is_empty())
        .await;
    let token = format!("Bearer {}", daemon.token);
    let admin = [("authorization", token.as_str())];
    let mut told = vec![
        ("log", daemon.log()),
        ("standard output", daemon.stdout()),
        ("metrics", http_client::request(daemon.address, "GET", "/metrics", &headers, b"").await.text()),
        ("access log", std::fs::read_to_string(sandbox.path("calls.jsonl")).unwrap()),
        ("requests", http_client::request(daemon.address, "GET", "/admin/requests", &admin, b"").await.text()),
        ("status", http_client::request(daemon.address, "GET", "/admin/config/status", &admin, b"").await.text()),
    ];
    for path in ["v1/traces", "v1/metrics"] {
        let bodies = collector.bodies(path).concat();
        told.push((path, String::from_utf8_lossy(&bodies).into_owned()));
    }
    for (place, text) in &told {
        assert!(text.len() > 20 || *place == "standard output", "{place} says nothing: {text}");
        for secret in secrets {
            assert!(!text.contains(secret), "{place} tells `{secret}`:\n{text}");
        }
    }
}
