//! A record as measurements: the histograms of the semantic conventions for generative AI, with their buckets, and the
//! metrics of `/metrics` under their own names.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use super::spans::{operation, provider};
use crate::telemetry::catalogue;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::{Outcome, Record, Tried};
use crate::telemetry::traffic::OTHER_MODELS;

/// Seconds of whole operations.
const SECONDS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Seconds to the first token.
const FIRST: [f64; 16] = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Seconds for each token behind the first.
const EACH: [f64; 12] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0];
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

pub(super) struct Measures {
    tokens: Histogram<u64>,
    client: Histogram<f64>,
    server: Histogram<f64>,
    first: Histogram<f64>,
    each: Histogram<f64>,
}

impl Measures {
    pub(super) fn new(meter: &Meter, own: &Arc<Metrics>) -> Measures {
        let seconds = |name: &'static str, about: &'static str, buckets: &[f64]| {
            meter.f64_histogram(name).with_unit("s").with_description(about).with_boundaries(buckets.to_vec()).build()
        };
        mirror(meter, own);
        Measures {
            tokens: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_unit("{token}")
                .with_description("Tokens of input and output, as the upstream reported them")
                .with_boundaries(TOKENS.to_vec())
                .build(),
            client: seconds("gen_ai.client.operation.duration", "One try at one target, to its end", &SECONDS),
            server: seconds("gen_ai.server.request.duration", "One request, to its end", &SECONDS),
            first: seconds("gen_ai.server.time_to_first_token", "Until the first content of a stream", &FIRST),
            each: seconds("gen_ai.server.time_per_output_token", "For each token behind the first", &EACH),
        }
    }

    /// Adds a request. Attributes are names of the configuration, and of the models that are told apart.
    pub(super) fn add(&self, record: &Record) {
        let operation = KeyValue::new("gen_ai.operation.name", operation(record.operation));
        for tried in &record.attempts {
            let mut labels = vec![
                operation.clone(),
                KeyValue::new("gen_ai.provider.name", provider(tried.provider()).to_owned()),
                request_model(tried),
            ];
            if tried.cause != "ok" {
                labels.push(KeyValue::new("error.type", tried.cause));
            }
            let end = tried.end.unwrap_or(record.total);
            self.client.record(end.saturating_sub(tried.start).as_secs_f64(), &labels);
        }
        let mut labels = vec![operation];
        let served = record.attempts.iter().rfind(|tried| tried.first.is_some());
        if let Some(served) = served {
            labels.push(KeyValue::new("gen_ai.provider.name", provider(served.provider()).to_owned()));
            labels.push(request_model(served));
            // An upstream may repeat whatever it was asked for.
            let answering = record.response_model.as_ref().filter(|_| served.told_apart);
            labels.extend(answering.map(|model| KeyValue::new("gen_ai.response.model", model.to_string())));
        }
        if let (Some(usage), Some(_)) = (record.usage, served) {
            for (kind, count) in [("input", usage.input), ("output", usage.output)] {
                let Some(count) = count else { continue };
                let mut labels = labels.clone();
                labels.push(KeyValue::new("gen_ai.token.type", kind));
                self.tokens.record(count, &labels);
            }
        }
        if let (Some(first), Some(_), true) = (record.first, served, record.stream) {
            self.first.record(first.as_secs_f64(), &labels);
            let behind = record.usage.and_then(|usage| usage.output).unwrap_or(0).saturating_sub(1);
            if behind > 0 && record.outcome == Outcome::Ok {
                self.each.record(record.total.saturating_sub(first).as_secs_f64() / behind as f64, &labels);
            }
        }
        if record.outcome != Outcome::Ok {
            labels.push(KeyValue::new("error.type", record.outcome.word()));
        }
        self.server.record(record.total.as_secs_f64(), &labels);
    }
}

/// The model that was asked for, by its name where callers cannot choose it at will.
fn request_model(tried: &Tried) -> KeyValue {
    let model = if tried.told_apart { tried.model().to_owned() } else { OTHER_MODELS.to_owned() };
    KeyValue::new("gen_ai.request.model", model)
}

/// Every counter and gauge of `/metrics`, by its name there, as it is when the collector is told.
fn mirror(meter: &Meter, own: &Arc<Metrics>) {
    for metric in catalogue::all() {
        let (sample, own) = (metric.name.clone(), own.clone());
        let read = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
            samples(&own.render(), &sample, |value, labels| observer.observe(value, labels));
        };
        let name = metric.name.trim_end_matches("_total").to_owned();
        match metric.kind.as_str() {
            "counter" => {
                meter.f64_observable_counter(name).with_description(metric.about).with_callback(read).build();
            }
            "gauge" => {
                meter.f64_observable_gauge(name).with_description(metric.about).with_callback(read).build();
            }
            // Histograms of requests have names of the conventions.
            _ => {}
        }
    }
}

/// The samples of one metric in our own text.
fn samples(text: &str, name: &str, mut each: impl FnMut(f64, &[KeyValue])) {
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => match rest.rsplit_once("} ") {
                Some(split) => split,
                None => continue,
            },
            None => match rest.strip_prefix(' ') {
                Some(value) => ("", value),
                None => continue,
            },
        };
        let labels: Vec<KeyValue> = labels
            .split("\",")
            .filter_map(|pair| pair.split_once("=\""))
            .map(|(name, value)| KeyValue::new(name.to_owned(), value.trim_end_matches('"').to_owned()))
            .collect();
        if let Ok(value) = value.trim().parse() {
            each(value, &labels);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_that_callers_choose_at_will_are_one() {
        let tried = |told_apart| Tried {
            target: "a/random-1".into(),
            told_apart,
            lane: "passthrough",
            cause: "ok",
            status: Some(200),
            start: Duration::ZERO,
            first: None,
            end: None,
            losses: Vec::new(),
            left: None,
            content: None,
            span: 0,
        };
        let name = |told_apart| request_model(&tried(told_apart)).value.to_string();
        assert_eq!((name(true), name(false)), ("random-1".to_owned(), "other".to_owned()));
    }

    #[test]
    fn our_own_text_is_read_back() {
        let text = "# TYPE a counter\na_total{x=\"1\",y=\"b c\"} 2.5\na_total 7\na_total_more 9\nb 1\n";
        let mut seen = Vec::new();
        samples(text, "a_total", |value, labels| {
            let labels: Vec<String> = labels.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect();
            seen.push((value, labels.join(" ")));
        });
        assert_eq!(seen, [(2.5, "x=1 y=b c".to_owned()), (7.0, String::new())]);
    }
}
