//! Every metric of `/metrics`: its name, type, unit and labels. The reference page, the export to a collector and the check of the
//! dashboard come from here.

use std::collections::BTreeMap;

use super::metrics::{Metrics, WatchState};
use crate::wire::structured::check::Verdict;
use crate::wire::structured::judged::Judged;

/// One metric.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Described {
    /// Of its samples.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    pub unit: &'static str,
    pub labels: Vec<String>,
    pub about: String,
}

/// All of them, by name.
pub fn all() -> Vec<Described> {
    let mut found: BTreeMap<String, Described> = BTreeMap::new();
    let text = specimen().render();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), Some(about)) => {
                found.entry(name.to_owned()).or_default().about = about.trim_end_matches('.').to_owned();
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let described = found.entry(name.to_owned()).or_default();
                described.name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
                described.kind = kind.to_owned();
                described.unit = unit(name);
            }
            (Some("#"), ..) => {}
            _ => {
                let Some((name, labels)) = line.split_once('{') else { continue };
                let names =
                    labels.split("\",").filter_map(|pair| pair.split_once("=\"")).map(|(name, _)| name.to_owned());
                if let Some(described) = found.values_mut().find(|described| described.name == name) {
                    described.labels = names.collect();
                }
            }
        }
    }
    found.into_values().collect()
}

/// With something in every family: an empty one is left out of the text.
fn specimen() -> Metrics {
    let metrics = Metrics::new();
    let provider = metrics.traffic.provider("demo");
    provider.failed("connect");
    provider.judged(&Judged { verdicts: vec![Verdict::Valid], text: String::new() });
    metrics.traffic.circuit("demo", "model", true);
    metrics.traffic.hedged("demo", "model", "first");
    metrics.traffic.shadowed("demo", "model", "same");
    metrics.traffic.limited("name", "tokens");
    metrics.traffic.cached("hit");
    metrics.config.activated(1, "id", 0.0);
    metrics.config.watch(WatchState::Off);
    metrics
}

fn unit(name: &str) -> &'static str {
    match name.rsplit('_').next() {
        Some("seconds") => "seconds",
        Some("usd") => "USD",
        Some("bytes") => "bytes",
        Some("tokens") => "tokens",
        _ => "",
    }
}
