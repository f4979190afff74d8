//! Export to a collector, seen by a receiver of our own that decodes with the official protobuf types.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

use crate::callers::Caller;
use crate::collector::{Collector, Mood, Wire, attributes, authority, caller, hex, value};
use crate::gateway::{provider_key, providers};
use crate::http_client;
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::{Daemon, Sandbox};

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
    sandbox = sandbox.env("OTEL_BLRP_SCHEDULE_DELAY", "50");
    for (name, value) in env {
        sandbox = sandbox.env(name, value);
    }
    let daemon = sandbox.start(&[]).await;
    (sandbox, daemon)
}

fn file(mock: &MockUpstream, more: &str) -> String {
    let providers = providers(&[("up", "openai-chat", mock)]);
    format!("{providers}retries: {{ attempts: 1 }}\npresets:\n  two: up/m1 > up/m2\n{more}")
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

async fn ask(daemon: &Daemon, model: &str, stream: bool) {
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "vendor=x")];
    let body = Caller::Messages.body(model, "hello", stream).to_string();
    http_client::request(daemon.address, "POST", "/v1/messages", &headers, body.as_bytes()).await.expect_status(200);
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
        "gen_ai.response.finish_reasons": ["stop"], "server.address": "127.0.0.1", "server.port": mock.address().port(),
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
    let seen = collector.seen();
    let export = seen.iter().find(|export| export.path == "/base/v1/traces").unwrap();
    assert_eq!(export.headers["api-key"], "otlp-secret-1");
    assert_eq!(export.headers["content-type"], "application/x-protobuf");
}

#[tokio::test]
async fn variables_alone_export_over_grpc() {
    let collector = Collector::start(Wire::Grpc, false).await;
    let mock = MockUpstream::good().await;
    let url = collector.url();
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=grpc%20key"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    let (_sandbox, daemon) = start(&mock, "", &env).await;
    Caller::Chat.ask(daemon.address, "up/m1", "hello", false).await.expect_status(200);
    let spans = collector.wait(&daemon, 2).await;
    assert_eq!((spans[0].name.as_str(), spans[1].name.as_str()), ("chat up/m1", "chat m1"));
    assert!(spans[0].parent_span_id.is_empty());
    let seen = collector.seen();
    assert!(seen.iter().all(|export| export.path == "/opentelemetry.proto.collector.trace.v1.TraceService/Export"));
    assert_eq!(seen[0].headers["api-key"], "grpc key");
}

/// Every signal reaches a collector that is known by its own certificate, compressed; without that certificate, none does.
#[tokio::test]
async fn every_signal_goes_over_tls_and_compressed() {
    for (wire, protocol) in [(Wire::Grpc, "grpc"), (Wire::Http, "http/protobuf")] {
        let collector = Collector::start(wire, true).await;
        let url = collector.url();
        let authority = authority();
        let trusted = [("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.as_str())];
        for certificate in [&trusted[..], &[]] {
            let before = collector.seen().len();
            let mock = MockUpstream::good().await;
            let env = [
                &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")],
                &[("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000")],
                certificate,
            ];
            let (_sandbox, daemon) = start(&mock, "", &env.concat()).await;
            Caller::Chat.ask(daemon.address, "up/m1", "hello", false).await.expect_status(200);
            if certificate.is_empty() {
                for sink in ["otlp_traces", "otlp_metrics", "otlp_logs"] {
                    let lost = format!("routeplane_telemetry_dropped_total{{sink=\"{sink}\"}}");
                    daemon.until("it is counted", async |daemon| daemon.metric(&lost).await > 0.0).await;
                }
                assert_eq!(collector.seen().len(), before, "{protocol}");
                continue;
            }
            collector.wait(&daemon, 2).await;
            daemon
                .until("all signals are there", async |_| {
                    collector.metric("routeplane_requests").is_some() && !collector.lines().is_empty()
                })
                .await;
            let paths: BTreeSet<String> = collector.seen().iter().map(|export| export.path.clone()).collect();
            let expected = match wire {
                Wire::Grpc => ["logs.v1.Logs", "metrics.v1.Metrics", "trace.v1.Trace"]
                    .map(|name| format!("/opentelemetry.proto.collector.{name}Service/Export")),
                Wire::Http => ["/v1/logs", "/v1/metrics", "/v1/traces"].map(str::to_owned),
            };
            assert_eq!(paths, BTreeSet::from(expected));
            assert!(collector.seen().iter().all(|export| export.gzip), "{protocol}");
        }
    }
}

/// A collector that asks who calls takes telemetry from a gateway that can say so, by variables or by the file.
#[tokio::test]
async fn a_collector_may_ask_who_calls() {
    let (authority, [certificate, key]) = (authority(), caller());
    for (wire, protocol) in [(Wire::Grpc, "grpc"), (Wire::Http, "http/protobuf")] {
        let collector = Collector::mutual(wire).await;
        let url = collector.url();
        let trusted = [("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.as_str()), ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000")];
        let shown = [
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate.as_str()),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", certificate.as_str()),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key.as_str()),
        ];
        let by_file = format!("tls: {{ ca_file: {authority}, cert_file: {certificate}, key_file: {key} }}, ");
        let none: &[(&str, &str)] = &[];
        for (tls, env, taken) in [("", &shown[..], true), (&by_file, none, true), ("", none, false)] {
            let before = collector.spans().len();
            let mock = MockUpstream::good().await;
            let more = format!(
                "telemetry: {{ otlp: {{ {tls}endpoint: \"{url}\", protocol: {protocol}, metrics: false }} }}\n"
            );
            let trusted = if tls.is_empty() { &trusted[..] } else { none };
            let (_sandbox, daemon) = start(&mock, &more, &[trusted, env].concat()).await;
            Caller::Chat.ask(daemon.address, "up/m1", "hello", false).await.expect_status(200);
            if taken {
                daemon.until("the spans are there", async |_| collector.spans().len() == before + 2).await;
            } else {
                let lost = "routeplane_telemetry_dropped_total{sink=\"otlp_traces\"}";
                daemon.until("they are counted", async |daemon| daemon.metric(lost).await > 0.0).await;
                assert_eq!(collector.spans().len(), before, "{protocol}");
            }
        }
    }
}

/// A mirror is a client span of the same trace, which its upstream learns of; a stream's, too.
#[tokio::test]
async fn a_mirror_is_a_span_of_the_same_trace() {
    for stream in [false, true] {
        let collector = Collector::http(Mood::Good).await;
        let mock = MockUpstream::good().await;
        let more = format!(
            "  seen: \"shadow(up/m1, mirror up/m2, sample 100%)\"\ntelemetry: {{ otlp: \"{}\" }}\n",
            collector.url()
        );
        let (_sandbox, daemon) = start(&mock, &more, &[]).await;
        ask(&daemon, "@seen", stream).await;
        let spans = collector.wait(&daemon, 3).await;
        let of = |model: &str| {
            let name = json!(model);
            spans.iter().find(|span| attributes(&span.attributes)["gen_ai.request.model"] == name).unwrap()
        };
        let (server, main, mirror) = (of("@seen"), of("m1"), of("m2"));
        assert_eq!((mirror.kind, &mirror.parent_span_id), (3, &server.span_id));
        assert_eq!(hex(&mirror.trace_id), TRACE);
        assert_ne!(mirror.span_id, main.span_id);
        assert_has(main, json!({ "routeplane.mirror": null }));
        let expected = json!({
            "routeplane.mirror": true, "gen_ai.provider.name": "up", "gen_ai.usage.output_tokens": 7,
            "gen_ai.response.finish_reasons": ["stop"], "routeplane.lane": "translate", "error.type": null,
        });
        assert_has(mirror, expected);
        let requests = mock.requests();
        let told = requests.iter().map(|request| {
            let parent = request.request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
            parent.unwrap().1.clone()
        });
        let expected = [main, mirror].map(|span| format!("00-{TRACE}-{}-01", hex(&span.span_id)));
        assert_eq!(BTreeSet::from_iter(told), BTreeSet::from(expected));
        let spent = async |daemon: &Daemon| daemon.get("/admin/spend").await.json();
        daemon.until("the mirror is paid for", async |it| spent(it).await["total"]["output_tokens"] == 14).await;
        let spent = spent(&daemon).await;
        let of = |book: &str, name: &str| [&spent[book][name]["requests"], &spent[book][name]["output_tokens"]];
        assert_eq!([of("keys", "(mirrors)"), of("routes", "(mirrors)")], [[&json!(0), &json!(7)]; 2]);
        assert_eq!([&spent["total"]["requests"], &spent["models"]["up/m2"]["output_tokens"]], [&json!(1), &json!(7)]);
    }
    // What fails is told, too, and is nothing to the caller.
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::start([Act::Answer, Act::status(500)]).await;
    let more = format!(
        "  seen: \"shadow(up/m1, mirror up/m2, sample 100%)\"\ntelemetry: {{ otlp: \"{}\" }}\n",
        collector.url()
    );
    let (_sandbox, daemon) = start(&mock, &more, &[]).await;
    ask(&daemon, "@seen", false).await;
    let spans = collector.wait(&daemon, 3).await;
    let failed = spans.iter().find(|span| attributes(&span.attributes).contains_key("routeplane.mirror")).unwrap();
    assert_has(
        failed,
        json!({ "error.type": "status", "http.response.status_code": 500, "gen_ai.usage.output_tokens": null }),
    );
}

/// What the gateway says of itself goes to the collector: not what libraries say, and not what the export says.
#[tokio::test]
async fn the_gateways_own_log_is_exported() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::good().await;
    let more = format!("telemetry: {{ otlp: \"{}\" }}\n", collector.url());
    let (sandbox, daemon) = start(&mock, &more, &[("ROUTEPLANE_LOG", "trace")]).await;
    sandbox.write("routeplane.yaml", "version: 1\nretriez: {}\n");
    assert_eq!(daemon.reload().await.json()["result"], "nack");
    let said = |words: &str| {
        let lines = collector.lines();
        lines.into_iter().find(|(line, _)| value(line.body.as_ref()).as_str().is_some_and(|text| text.contains(words)))
    };
    daemon.until("it is told", async |_| said("configuration refused").is_some()).await;
    let (refused, scope) = said("configuration refused").unwrap();
    assert_eq!((refused.severity_number, refused.severity_text.as_str()), (17, "ERROR"));
    assert_eq!(scope, "routeplane::live::reload");
    assert_eq!(attributes(&refused.attributes)["active"], 1);
    assert!(value(refused.body.as_ref()).as_str().unwrap().contains("retriez"), "{refused:?}");
    assert!(refused.time_unix_nano > 0 && refused.trace_id.is_empty() && refused.event_name.is_empty());
    for (line, scope) in collector.lines() {
        let own = scope.starts_with("routeplane") && !scope.starts_with("routeplane::telemetry::otlp");
        assert!(own, "{scope}: {line:?}");
    }
    // The log on stderr is as it was, libraries' own words included.
    assert!(daemon.log().contains("configuration refused") && daemon.log().contains("hyper"));
}

/// Feedback is an event at the span of the request that it is about.
#[tokio::test]
async fn feedback_is_an_event_in_the_trace_of_its_inference() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::good().await;
    let more = format!(
        "telemetry: {{ otlp: \"{}\" }}\ntensorzero:\n  metrics:\n    thumbs: {{ type: boolean, optimize: max, level: inference }}\n  \
         models: {{ small: up/m1 }}\n",
        collector.url()
    );
    let (_sandbox, daemon) = start(&mock, &more, &[]).await;
    let body = json!({ "model_name": "small", "input": { "messages": [{ "role": "user", "content": "hi" }] } });
    let answer = http_client::post(daemon.address, "/inference", &body).await.expect_status(200).json();
    let spans = collector.wait(&daemon, 2).await;
    for (name, value) in [("thumbs", json!(true)), ("comment", json!("written by a person"))] {
        let body = json!({ "metric_name": name, "value": value, "inference_id": answer["inference_id"] });
        http_client::post(daemon.address, "/feedback", &body).await.expect_status(200);
    }
    let events = || {
        let named = collector.lines().into_iter().map(|(line, _)| line);
        named.filter(|line| line.event_name == "gen_ai.evaluation.result").collect::<Vec<_>>()
    };
    daemon.until("both are there", async |_| events().len() == 2).await;
    for event in events() {
        assert_eq!((&event.trace_id, &event.span_id), (&spans[0].trace_id, &spans[0].span_id));
        assert!(!format!("{event:?}").contains("written by a person"), "{event:?}");
    }
    let thumbs = attributes(&events()[0].attributes);
    let has = |name: &str| thumbs.get(name).cloned().unwrap_or_default();
    assert_eq!(has("gen_ai.evaluation.name"), "thumbs");
    assert_eq!(
        (has("gen_ai.evaluation.score.value"), has("gen_ai.evaluation.score.label")),
        (json!(1.0), json!("true"))
    );
    assert_eq!(has("routeplane.feedback.id"), answer["inference_id"]);
    assert!(!daemon.log().contains("written by a person"));
}

/// A collector of other people's, from PyPI, between the gateway and the receiver.
#[tokio::test]
#[ignore = "needs Python 3 with its `venv` module, and PyPI"]
async fn a_collector_of_others_takes_and_passes_on_every_signal() {
    let collector = Collector::http(Mood::Good).await;
    let (grpc, http) = (crate::gateway::free_address(), crate::gateway::free_address());
    let python = crate::sdk::python_with("collector", "observability/requirements.txt").await;
    let find = "import rotel, pathlib; print(next(pathlib.Path(rotel.__file__).parent.glob('rotel-agent*')))";
    let found = tokio::process::Command::new(python.join("bin/python")).args(["-c", find]).output().await.unwrap();
    let agent = String::from_utf8(found.stdout).unwrap();
    let mut command = tokio::process::Command::new(agent.trim());
    command.args(["start", "--batch-timeout", "100ms", "--exporter", "otlp", "--otlp-exporter-protocol", "http"]);
    command.args(["--otlp-exporter-endpoint", &collector.url()]);
    command.args(["--otlp-grpc-endpoint", &grpc.to_string(), "--otlp-http-endpoint", &http.to_string()]);
    let mut agent = command.kill_on_drop(true).stdout(std::process::Stdio::null()).spawn().unwrap();
    for address in [grpc, http] {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert_eq!(agent.try_wait().unwrap(), None, "the collector has ended");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    for (protocol, address) in [("grpc", grpc), ("http/protobuf", http)] {
        let (spans, lines) = (collector.spans().len(), collector.lines().len());
        let mock = MockUpstream::good().await;
        let url = format!("http://{address}");
        let env = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_SERVICE_NAME", protocol),
        ];
        let (_sandbox, daemon) = start(&mock, "", &env).await;
        ask(&daemon, "up/m1", true).await;
        daemon
            .until("everything came through", async |_| {
                collector.spans().len() == spans + 2
                    && collector.lines().len() > lines
                    && collector.metric("gen_ai.client.token.usage").is_some()
            })
            .await;
        for (span, resource) in collector.spans().iter().skip(spans) {
            assert_eq!((hex(&span.trace_id).as_str(), &resource["service.name"]), (TRACE, &json!(protocol)));
        }
        for sink in ["otlp_traces", "otlp_metrics", "otlp_logs"] {
            let lost = format!("routeplane_telemetry_dropped_total{{sink=\"{sink}\"}}");
            assert_eq!(daemon.metric(&lost).await, 0.0, "{protocol}: {sink}");
        }
    }
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
        let more = format!("telemetry: {{ otlp: {{ endpoint: \"{url}\", timeout: 1s }} }}\n");
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
        assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    }
}

#[tokio::test]
async fn a_busy_collector_is_asked_again() {
    let collector = Collector::http(Mood::Busy).await;
    let mock = MockUpstream::good().await;
    let more = format!("telemetry: {{ otlp: {{ endpoint: \"{}\", metrics: false, logs: false }} }}\n", collector.url());
    let (_sandbox, daemon) = start(&mock, &more, &[]).await;
    Caller::Chat.ask(daemon.address, "up/m1", "hello", false).await.expect_status(200);
    daemon.until("it was asked twice", async |_| collector.seen().len() == 2).await;
    let bodies = collector.bodies("v1/traces");
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(collector.spans().len(), 4);
    assert_eq!(daemon.metric("routeplane_telemetry_dropped_total{sink=\"otlp_traces\"}").await, 0.0);
}

/// Each export is of so many spans at most, and all of them get there.
#[tokio::test]
async fn spans_go_in_exports_of_the_asked_size() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::good().await;
    let more = format!("telemetry: {{ otlp: {{ endpoint: \"{}\", metrics: false, logs: false }} }}\n", collector.url());
    let env = [("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"), ("OTEL_BSP_SCHEDULE_DELAY", "3600000")];
    let (_sandbox, mut daemon) = start(&mock, &more, &env).await;
    for _ in 0..5 {
        Caller::Chat.ask(daemon.address, "up/m1", "hello", false).await.expect_status(200);
    }
    daemon.until("two exports are full", async |_| collector.seen().len() == 2).await;
    assert_eq!(collector.spans().len(), 8);
    // The rest is sent at the end.
    daemon.signal("TERM");
    assert_eq!(daemon.end().await, Some(0));
    assert_eq!(collector.bodies("v1/traces").len(), 3);
    assert_eq!(collector.spans().len(), 10);
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
async fn a_hedge_and_what_was_left_out_are_told_on_spans() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::start([Act::StallBeforeHead, Act::Answer]).await;
    let more = format!("  race: \"hedge(up/m1, up/m2, after 50ms)\"\ntelemetry: {{ otlp: \"{}\" }}\n", collector.url());
    let (_sandbox, daemon) = start(&mock, &more, &[]).await;
    ask(&daemon, "@race", false).await;
    let spans = collector.wait(&daemon, 3).await;
    let [_, first, second] = &spans[..] else { panic!() };
    assert_has(
        first,
        json!({ "gen_ai.request.model": "m1", "error.type": "outrun", "routeplane.hedge": null, "routeplane.usage.estimated": true }),
    );
    assert_has(
        second,
        json!({ "gen_ai.request.model": "m2", "routeplane.hedge": true, "routeplane.retry_cause": null, "error.type": null }),
    );
}

/// What decided, who asked, what was lost and left out, and every kind of tokens.
#[tokio::test]
async fn what_decided_and_all_that_was_used_is_on_spans() {
    let collector = Collector::http(Mood::Good).await;
    let usage = json!({
        "prompt_tokens": 30, "completion_tokens": 9, "total_tokens": 39,
        "prompt_tokens_details": { "cached_tokens": 20 }, "completion_tokens_details": { "reasoning_tokens": 5 },
    });
    let answer = json!({
        "id": "c-1", "object": "chat.completion", "created": 1, "model": "m2-dated", "usage": usage,
        "choices": [{ "index": 0, "finish_reason": "length", "message": { "role": "assistant", "content": "so" } }],
    });
    let respond = |status, headers, body: &Value| Act::Respond { status, headers, body: body.to_string().into_bytes() };
    let json = vec![("content-type", "application/json".to_owned())];
    let resting = vec![("retry-after", "60".to_owned())];
    let mock = MockUpstream::start([respond(429, resting, &json!({})), respond(200, json, &answer)]).await;
    let more = format!(
        "keys: {{ ci: env:CI_KEY }}\nrules: |\n  when header(\"x-team\") == \"a\" -> @two\n  otherwise -> as requested\n\
         telemetry: {{ otlp: \"{}\" }}\n",
        collector.url()
    );
    let (_sandbox, daemon) = start(&mock, &more, &[("CI_KEY", "client-key-0123456789")]).await;
    let mut body = Caller::Messages.body("up/m3", "hello", false);
    body["top_k"] = json!(3);
    let headers = [("authorization", "Bearer client-key-0123456789"), ("x-team", "a")];
    for _ in 0..2 {
        let body = body.to_string();
        http_client::request(daemon.address, "POST", "/v1/messages", &headers, body.as_bytes())
            .await
            .expect_status(200);
    }
    let spans = collector.wait(&daemon, 5).await;
    let second = spans.iter().filter(|span| span.kind == 2).max_by_key(|span| span.start_time_unix_nano).unwrap();
    let tried = spans.iter().find(|span| span.parent_span_id == second.span_id).unwrap();
    let used = json!({
        "gen_ai.usage.input_tokens": 30, "gen_ai.usage.output_tokens": 9, "gen_ai.usage.cache_read.input_tokens": 20,
        "gen_ai.usage.reasoning.output_tokens": 5, "gen_ai.response.model": "m2-dated",
        "gen_ai.response.finish_reasons": ["length"],
    });
    for span in [second, tried] {
        assert_has(span, used.clone());
    }
    assert_has(
        second,
        json!({
            "gen_ai.request.model": "up/m3", "routeplane.rule": 1, "routeplane.route": "@two", "routeplane.key": "ci",
            "routeplane.skipped": ["up/m1=cooling"], "routeplane.target": "up/m2", "routeplane.usage.estimated": null,
        }),
    );
    assert_has(tried, json!({ "routeplane.lane": "translate", "routeplane.losses": ["top_k=dropped"] }));
}

#[tokio::test]
async fn an_answer_from_the_cache_is_told_on_its_span() {
    let collector = Collector::http(Mood::Good).await;
    let mock = MockUpstream::good().await;
    let more = format!("  kept: {{ route: up/m1, cache: 10m }}\ntelemetry: {{ otlp: \"{}\" }}\n", collector.url());
    let (_sandbox, daemon) = start(&mock, &more, &[]).await;
    for _ in 0..2 {
        ask(&daemon, "@kept", false).await;
    }
    let spans = collector.wait(&daemon, 4).await;
    let servers: Vec<&Span> = spans.iter().filter(|span| span.kind == 2).collect();
    assert_has(servers[0], json!({ "routeplane.cached": null }));
    assert_has(servers[1], json!({ "routeplane.cached": true }));
    assert_eq!(mock.requests().len(), 1);
}

/// A stop right behind a reload waits for the old collector too.
#[tokio::test]
async fn a_stop_behind_a_reload_loses_no_span() {
    let (old, new) = (Collector::http(Mood::Late).await, Collector::http(Mood::Good).await);
    let mock = MockUpstream::good().await;
    let more = |collector: &Collector| {
        format!("telemetry: {{ otlp: {{ endpoint: \"{}\", metrics: false }} }}\n", collector.url())
    };
    let (sandbox, mut daemon) = start(&mock, &more(&old), &[("OTEL_BSP_SCHEDULE_DELAY", "3600000")]).await;
    ask(&daemon, "up/m1", false).await;
    daemon
        .until("it is recorded", async |daemon| daemon.get("/admin/requests").await.json()["requests"][0].is_object())
        .await;
    sandbox.write("routeplane.yaml", &file(&mock, &more(&new)));
    assert_eq!(daemon.reload().await.json()["result"], "ack");
    daemon.signal("TERM");
    assert_eq!(daemon.end().await, Some(0));
    assert_eq!((old.spans().len(), new.spans().len()), (2, 0));
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
        .until("all is exported", async |_| {
            let there = |path| !collector.bodies(path).is_empty();
            collector.spans().len() >= 6 && there("v1/metrics") && there("v1/logs")
        })
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
    for path in ["/admin/table", "/admin/spend", "/admin/health", "/admin/reloads", "/console", "/console/console.js"] {
        told.push((
            path,
            http_client::request(daemon.address, "GET", path, &admin, b"").await.expect_status(200).text(),
        ));
    }
    for path in ["v1/traces", "v1/metrics", "v1/logs"] {
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
