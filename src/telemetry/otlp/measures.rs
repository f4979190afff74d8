//! A record as measurements: the histograms of the semantic conventions for generative AI, with their buckets, and the
//! metrics of `/metrics` under their own names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundHistogram, Histogram, Meter};

use super::spans::{conventional, operation};
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

/// Series whose places are known, at most; what comes on top is looked up anew.
const KNOWN: usize = 1_000;

pub(super) struct Measures {
    tokens: Histogram<u64>,
    client: Histogram<f64>,
    server: Histogram<f64>,
    first: Histogram<f64>,
    each: Histogram<f64>,
    /// Only the recorder's thread takes this lock.
    known: Mutex<Known>,
}

/// The places of series that were measured before: a measurement goes there without its attributes being made or compared.
#[derive(Default)]
struct Known {
    /// By target; of requests that nobody served, by the empty text.
    targets: BTreeMap<Box<str>, OfTarget>,
    held: usize,
}

#[derive(Default)]
struct OfTarget {
    tries: Vec<(TrySeries, BoundHistogram<f64>)>,
    requests: Vec<(RequestSeries, OfRequest)>,
}

/// What tells the series of tries at one target apart.
#[derive(Clone, Copy, PartialEq)]
struct TrySeries {
    operation: &'static str,
    told_apart: bool,
    cause: &'static str,
}

/// What tells the series of requests that one target served apart.
#[derive(Clone, PartialEq)]
struct RequestSeries {
    operation: &'static str,
    told_apart: bool,
    model: Option<Box<str>>,
    outcome: Outcome,
}

/// Those that were measured so far.
struct OfRequest {
    /// Of all series but the one of whole requests.
    labels: Vec<KeyValue>,
    server: BoundHistogram<f64>,
    input: Option<BoundHistogram<u64>>,
    output: Option<BoundHistogram<u64>>,
    first: Option<BoundHistogram<f64>>,
    each: Option<BoundHistogram<f64>>,
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
            known: Mutex::default(),
        }
    }

    /// Adds a request. Attributes are names of the configuration, and of the models that are told apart.
    pub(super) fn add(&self, record: &Record) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for tried in &record.attempts {
            let end = tried.end.unwrap_or(record.total);
            if let Some(place) = known.tries(tried, record.operation, &self.client) {
                place.record(end.saturating_sub(tried.start).as_secs_f64());
            }
        }
        let served = record.attempts.iter().rfind(|tried| tried.first.is_some());
        let Some(places) = known.requests(record, served, &self.server) else { return };
        let OfRequest { labels, server, input, output, first, each } = places;
        server.record(record.total.as_secs_f64());
        if served.is_none() {
            return;
        }
        let usage = record.usage.unwrap_or_default();
        for (place, kind, count) in [(input, "input", usage.input), (output, "output", usage.output)] {
            let Some(count) = count else { continue };
            let bind = || self.tokens.bind(&with(labels, KeyValue::new("gen_ai.token.type", kind)));
            place.get_or_insert_with(bind).record(count);
        }
        if let (Some(since), true) = (record.first, record.stream) {
            first.get_or_insert_with(|| self.first.bind(labels)).record(since.as_secs_f64());
            let behind = usage.output.unwrap_or(0).saturating_sub(1);
            if behind > 0 && record.outcome == Outcome::Ok {
                let one = record.total.saturating_sub(since).as_secs_f64() / behind as f64;
                each.get_or_insert_with(|| self.each.bind(labels)).record(one);
            }
        }
    }
}

impl Known {
    /// Where the time of such a try goes.
    fn tries(
        &mut self,
        tried: &Tried,
        operation: &'static str,
        client: &Histogram<f64>,
    ) -> Option<&mut BoundHistogram<f64>> {
        let series = TrySeries { operation, told_apart: tried.told_apart, cause: tried.cause };
        let bind = || {
            let mut labels = labels(operation, Some(tried));
            if tried.cause != "ok" {
                labels.push(KeyValue::new("error.type", tried.cause));
            }
            (series, client.bind(&labels))
        };
        let (target, held) = self.target(&tried.target)?;
        found(&mut target.tries, |known| *known == series, bind, held)
    }

    /// Where the measurements of such a request go.
    fn requests(&mut self, record: &Record, served: Option<&Tried>, server: &Histogram<f64>) -> Option<&mut OfRequest> {
        let told_apart = served.is_some_and(|served| served.told_apart);
        // An upstream may repeat whatever it was asked for.
        let model = record.response_model.as_deref().filter(|_| told_apart);
        let (operation, outcome) = (record.operation, record.outcome);
        let same = |known: &RequestSeries| {
            known.model.as_deref() == model
                && (known.operation, known.told_apart, known.outcome) == (operation, told_apart, outcome)
        };
        let bind = || {
            let mut labels = labels(operation, served);
            labels.extend(model.map(|model| KeyValue::new("gen_ai.response.model", model.to_owned())));
            let server = match outcome {
                Outcome::Ok => server.bind(&labels),
                _ => server.bind(&with(&labels, KeyValue::new("error.type", outcome.word()))),
            };
            let series = RequestSeries { operation, told_apart, model: model.map(Into::into), outcome };
            (series, OfRequest { labels, server, input: None, output: None, first: None, each: None })
        };
        let (target, held) = self.target(served.map_or("", |served| &served.target))?;
        found(&mut target.requests, same, bind, held)
    }

    /// What is known of a target, and how many series are known in all.
    fn target(&mut self, name: &str) -> Option<(&mut OfTarget, &mut usize)> {
        if self.held >= KNOWN {
            *self = Known::default();
        }
        if !self.targets.contains_key(name) {
            self.targets.insert(name.into(), OfTarget::default());
        }
        Some((self.targets.get_mut(name)?, &mut self.held))
    }
}

/// The place of a series, made where it is not known yet.
fn found<'l, S, P>(
    list: &'l mut Vec<(S, P)>,
    same: impl Fn(&S) -> bool,
    make: impl FnOnce() -> (S, P),
    held: &mut usize,
) -> Option<&'l mut P> {
    let at = list.iter().position(|(series, _)| same(series)).unwrap_or_else(|| {
        *held += 1;
        list.push(make());
        list.len() - 1
    });
    list.get_mut(at).map(|(_, place)| place)
}

/// What was asked for, and who was asked.
fn labels(asked: &'static str, tried: Option<&Tried>) -> Vec<KeyValue> {
    let mut labels = vec![KeyValue::new("gen_ai.operation.name", operation(asked))];
    if let Some(tried) = tried {
        labels.push(KeyValue::new("gen_ai.provider.name", conventional(tried.provider()).to_owned()));
        labels.push(request_model(tried));
    }
    labels
}

fn with(labels: &[KeyValue], more: KeyValue) -> Vec<KeyValue> {
    labels.iter().cloned().chain([more]).collect()
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
            server: None,
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
