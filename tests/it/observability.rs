//! The dashboard and the alert rules: they can be read, and every metric and label in them is one of the program's.

use std::collections::{BTreeMap, BTreeSet};

use routeplane::telemetry::catalogue::{self, Described};
use serde_json::Value;

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
    const WORDS: [&str; 8] = ["sum", "min", "by", "rate", "increase", "clamp_min", "and", "e"];
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
