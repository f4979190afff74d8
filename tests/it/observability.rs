//! The dashboard and the alert rules: they can be read, every metric and label in them is one of the program's, and Prometheus
//! itself takes them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use routeplane::telemetry::catalogue::{self, Described};
use serde_json::Value;

use crate::callers::Caller;
use crate::gateway::{free_address, provider_key, providers};
use crate::http_client;
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::Sandbox;

fn file(name: &str) -> String {
    let path = format!("{}/docs/observability/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every PromQL expression of the dashboard.
fn of_dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids: Vec<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.len(), panels.len(), "two panels with one id");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// Every PromQL expression of the alerts.
fn of_alerts() -> Vec<String> {
    let text = file("alerts.yaml");
    let lines: Vec<&str> = text.lines().collect();
    let mut expressions = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(first) = line.trim().strip_prefix("expr: ") else { continue };
        let indent = |line: &str| line.len() - line.trim_start().len();
        let folded = lines[at + 1..].iter().take_while(|next| indent(next) > indent(line)).map(|next| next.trim());
        let text: Vec<&str> = if first == ">-" { folded.collect() } else { vec![first] };
        expressions.push(text.join(" "));
    }
    assert_eq!(expressions.len(), text.matches("- alert:").count());
    expressions
}

/// Names of samples, each with the labels that it has.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let always = ["instance", "job"].map(str::to_owned);
    let labels = |metric: &Described| metric.labels.iter().cloned().chain(always.clone()).collect();
    catalogue::all().into_iter().map(|metric| (metric.name.clone(), labels(&metric))).collect()
}

/// Words of an expression that are names: no numbers, texts, functions or units.
fn names(expression: &str) -> Vec<String> {
    let mut plain = String::new();
    for (at, part) in expression.split('"').enumerate() {
        plain.push_str(if at % 2 == 0 { part } else { " " });
    }
    let words = plain.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic())).map(str::to_owned).collect()
}

#[test]
fn every_metric_of_the_dashboard_and_the_alerts_exists() {
    const WORDS: [&str; 9] = ["sum", "min", "max", "by", "rate", "increase", "clamp_min", "and", "e"];
    let known = known();
    let expressions = [of_dashboard(), of_alerts()].concat();
    assert!(expressions.len() > 15);
    for expression in expressions {
        let names = names(&expression);
        let metrics: Vec<&String> = names.iter().filter(|name| name.starts_with("routeplane_")).collect();
        assert!(!metrics.is_empty(), "{expression}");
        let mut labels: BTreeSet<&str> = BTreeSet::new();
        for metric in metrics {
            let own = known.get(metric).unwrap_or_else(|| panic!("no metric `{metric}`: {expression}"));
            labels.extend(own.iter().map(String::as_str));
        }
        for name in names.iter().filter(|name| !name.starts_with("routeplane_")) {
            assert!(WORDS.contains(&&**name) || labels.contains(&**name), "`{name}` is no label here: {expression}");
        }
        let balance = |open: char, close: char| expression.matches(open).count() == expression.matches(close).count();
        assert!(balance('(', ')') && balance('{', '}') && balance('[', ']'), "{expression}");
    }
}

/// Whoever looks at a panel is told what it shows, in which unit, and which line is whose.
#[test]
fn every_panel_says_what_it_shows() {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    for panel in panels {
        let text = |pointer: &str| panel.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let title = text("/title");
        assert!(!title.is_empty() && text("/description").len() > 20, "{panel:#}");
        assert!(!text("/fieldConfig/defaults/unit").is_empty(), "{title} has no unit");
        let targets = panel["targets"].as_array().unwrap();
        assert!(
            targets.iter().all(|target| target["legendFormat"].as_str().is_some_and(|it| !it.is_empty())),
            "{title}"
        );
        if panel["type"] == "timeseries" {
            assert_eq!(text("/options/legend/placement"), "bottom", "{title}");
        }
    }
    // No two panels lie upon each other, and none beyond the grid's 24 columns.
    let place = |panel: &Value| ["x", "y", "w", "h"].map(|name| panel["gridPos"][name].as_u64().unwrap());
    for (at, one) in panels.iter().enumerate() {
        let [x, y, w, h] = place(one);
        assert!(x + w <= 24, "{}", one["title"]);
        for other in &panels[at + 1..] {
            let [u, v, width, height] = place(other);
            let apart = x + w <= u || u + width <= x || y + h <= v || v + height <= y;
            assert!(apart, "{} lies upon {}", one["title"], other["title"]);
        }
    }
}

/// What is counted is also looked at: every metric is in a panel or an alert, but for those that say the same as another.
#[test]
fn every_metric_is_looked_at() {
    const ELSEWHERE: [&str; 7] = [
        "routeplane_config_compile_seconds",
        "routeplane_config_desired_active_drift",
        "routeplane_config_info",
        "routeplane_config_last_reload_success_timestamp_seconds",
        "routeplane_config_live_generations",
        "routeplane_config_watch_mode",
        "routeplane_stream_bytes_total",
    ];
    let looked: BTreeSet<String> = [of_dashboard(), of_alerts()].concat().iter().flat_map(|it| names(it)).collect();
    for metric in catalogue::all() {
        assert!(
            looked.contains(&metric.name) || ELSEWHERE.contains(&&*metric.name),
            "`{}` is in no panel and no alert",
            metric.name
        );
    }
}

/// Each alert fires where it should, and none where all is well: tests/observability/alerts.test.yaml.
#[test]
#[ignore = "needs promtool (Debian: apt-get install prometheus)"]
fn alerts_fire_where_they_should() {
    let root = env!("CARGO_MANIFEST_DIR");
    for arguments in [
        ["check", "config", "docs/observability/prometheus.yaml"],
        ["check", "rules", "docs/observability/alerts.yaml"],
        ["test", "rules", "tests/observability/alerts.test.yaml"],
    ] {
        let ended = Command::new("promtool").args(arguments).current_dir(root).output();
        let ended = ended.expect("install promtool (Debian: apt-get install prometheus)");
        let said = [ended.stdout, ended.stderr].concat();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&said));
    }
    let (rules, tests) = (file("alerts.yaml"), file("../../tests/observability/alerts.test.yaml"));
    for rule in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert_eq!(
            tests.matches(&format!("alertname: {rule}")).count(),
            2,
            "`{rule}` is tested where it fires and where not"
        );
    }
}

/// What a gateway says that has worked is as `promtool` wants it, which reads the older format.
#[tokio::test]
#[ignore = "needs promtool (Debian: apt-get install prometheus)"]
async fn promtool_has_nothing_to_say_of_the_metrics() {
    let mock = MockUpstream::start([Act::status(500), Act::Answer]).await;
    let yaml = format!("{}retries: {{ attempts: 1 }}\n", providers(&[("up", "openai-chat", &mock)]));
    let sandbox = Sandbox::with(&yaml).env("KEY_OF_up", &provider_key("up"));
    let daemon = sandbox.start(&[]).await;
    for status in [500, 200] {
        Caller::Chat.ask(daemon.address, "up/m1", "hello", false).await.expect_status(status);
    }
    let answer = daemon.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    std::fs::write(sandbox.path("metrics.txt"), &answer.body).unwrap();
    let input = std::fs::File::open(sandbox.path("metrics.txt")).unwrap();
    let ended = Command::new("promtool").args(["check", "metrics"]).stdin(input).output();
    let ended = ended.expect("install promtool (Debian: apt-get install prometheus)");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let headers = [("accept", "application/openmetrics-text;version=1.0.0")];
    let open = http_client::request(daemon.address, "GET", "/metrics", &headers, b"").await;
    assert!(open.text().ends_with("# EOF\n"));
}

/// A Prometheus with the files of docs/observability scrapes the gateway, has the rules, and answers every panel of the
/// dashboard.
#[tokio::test]
#[ignore = "needs Prometheus (Debian: apt-get install prometheus)"]
async fn prometheus_scrapes_the_gateway_and_answers_every_panel() {
    let mock = MockUpstream::start([Act::status(500), Act::Answer]).await;
    let yaml = format!("{}retries: {{ attempts: 1 }}\n", providers(&[("up", "openai-chat", &mock)]));
    let sandbox = Sandbox::with(&yaml).env("KEY_OF_up", &provider_key("up"));
    let daemon = sandbox.start(&[]).await;
    Caller::Chat.ask(daemon.address, "up/m1", "hello", false).await.expect_status(500);
    Caller::Chat.ask(daemon.address, "up/m1", "hello", false).await.expect_status(200);

    let config = file("prometheus.yaml").replace("127.0.0.1:4356", &daemon.address.to_string());
    assert!(config.contains(&daemon.address.to_string()) && config.contains("15s"));
    let config = sandbox.write("prometheus.yaml", &config.replace("15s", "1s"));
    sandbox.write("alerts.yaml", &file("alerts.yaml"));
    let address = free_address();
    let _prometheus = tokio::process::Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", sandbox.path("prometheus").display()))
        .arg(format!("--web.listen-address={address}"))
        .kill_on_drop(true)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(sandbox.path("prometheus.log")).unwrap())
        .spawn()
        .expect("install Prometheus (Debian: apt-get install prometheus)");
    let query = async |expression: &str| {
        let expression = percent_encoding::utf8_percent_encode(expression, percent_encoding::NON_ALPHANUMERIC);
        http_client::get(address, &format!("/api/v1/query?query={expression}")).await
    };
    daemon.until("Prometheus listens", async |_| tokio::net::TcpStream::connect(address).await.is_ok()).await;
    daemon
        .until("it has scraped", async |_| {
            let answer = query("sum(routeplane_requests_total)").await;
            answer.status == 200 && answer.json()["data"]["result"][0]["value"][1] == "2"
        })
        .await;
    let targets = http_client::get(address, "/api/v1/targets").await.expect_status(200).json();
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!((target["health"].as_str(), target["lastError"].as_str()), (Some("up"), Some("")), "{target}");
    let rules = http_client::get(address, "/api/v1/rules").await.expect_status(200).json();
    assert_eq!(rules["data"]["groups"][0]["rules"].as_array().unwrap().len(), of_alerts().len());
    for expression in of_dashboard() {
        let answer = query(&expression).await.expect_status(200).json();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
    }
    // Every metric is known there by its type and its help.
    let known = http_client::get(address, "/api/v1/metadata").await.expect_status(200).json();
    let absent =
        ["cache", "circuit_open", "circuit_openings", "hedges", "rate_limited", "shadows", "structured_answers"];
    for metric in catalogue::all() {
        // Prometheus knows counters of OpenMetrics by their family.
        let family = metric.name.trim_end_matches("_total");
        if absent.iter().any(|name| family == format!("routeplane_{name}")) {
            continue;
        }
        let entry = &known["data"][family][0];
        assert_eq!(entry["type"], metric.kind.as_str(), "{family}: {entry}");
        assert!(entry["help"].as_str().is_some_and(|help| !help.is_empty()), "{family}");
    }
}
