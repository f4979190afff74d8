//! A record as measurements: the histograms of the semantic conventions for generative AI, with their buckets, and the
//! metrics of `/metrics` under their own names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundHistogram, Histogram, Meter};

use super::spans::{conventional, operation};
use crate::telemetry::catalogue;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::{Outcome, Record, Tried, parts};
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

/// Series that are known, about as many at most; when there are more, all are looked up anew.
const KNOWN: usize = 1_000;

pub(super) struct Measures {
    tokens: Histogram<u64>,
    client: Histogram<f64>,
    server: Histogram<f64>,
    first: Histogram<f64>,
    each: Histogram<f64>,
    /// The places of series that were measured before: a measurement goes there without its attributes being made or compared.
    /// Only the recorder's thread takes this lock.
    known: Mutex<Series<BoundHistogram<f64>, OfRequest>>,
}

/// What is to be measured of some requests, until the recorder has time for it.
#[derive(Default)]
pub struct Samples(Series<Vec<f64>, Sampled>);

/// What there is of each series of tries, and of each series of requests.
struct Series<T, R> {
    /// By target; of requests that nobody served, by the empty text.
    targets: BTreeMap<Box<str>, OfTarget<T, R>>,
    held: usize,
}

struct OfTarget<T, R> {
    tries: Vec<(TrySeries, T)>,
    requests: Vec<(RequestSeries, R)>,
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

/// Of one series of requests.
#[derive(Default)]
struct Sampled {
    total: Vec<f64>,
    input: Vec<u64>,
    output: Vec<u64>,
    first: Vec<f64>,
    each: Vec<f64>,
}

/// The places of one series of requests; those that were measured so far.
struct OfRequest {
    /// Of all series but the one of whole requests.
    labels: Vec<KeyValue>,
    server: BoundHistogram<f64>,
    input: Option<BoundHistogram<u64>>,
    output: Option<BoundHistogram<u64>>,
    first: Option<BoundHistogram<f64>>,
    each: Option<BoundHistogram<f64>>,
}

impl<T, R> Default for Series<T, R> {
    fn default() -> Self {
        Series { targets: BTreeMap::new(), held: 0 }
    }
}

impl<T, R> Series<T, R> {
    /// What there is of a series of tries at a target.
    fn of_tries(&mut self, target: &str, series: TrySeries, make: impl FnOnce() -> T) -> Option<&mut T> {
        let (target, held) = self.target(target)?;
        found(&mut target.tries, |known| *known == series, || (series, make()), held)
    }

    /// What there is of a series of requests that a target served; `series` makes what tells it apart.
    fn of_requests(
        &mut self,
        target: &str,
        same: impl Fn(&RequestSeries) -> bool,
        make: impl FnOnce() -> (RequestSeries, R),
    ) -> Option<&mut R> {
        let (target, held) = self.target(target)?;
        found(&mut target.requests, same, make, held)
    }

    /// What is known of a target, and how many series are known in all.
    fn target(&mut self, name: &str) -> Option<(&mut OfTarget<T, R>, &mut usize)> {
        if !self.targets.contains_key(name) {
            self.targets.insert(name.into(), OfTarget { tries: Vec::new(), requests: Vec::new() });
        }
        Some((self.targets.get_mut(name)?, &mut self.held))
    }

    /// Forgets everything where it is too much.
    fn bound(&mut self) {
        if self.held >= KNOWN {
            *self = Series::default();
        }
    }
}

/// What there is of a series, made where it is not known yet.
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

impl Samples {
    /// Adds a request. Attributes are names of the configuration, and of the models that are told apart.
    pub fn add(&mut self, record: &Record) {
        for Tried { target, told_apart, cause, start, end, .. } in &record.attempts {
            let series = TrySeries { operation: record.operation, told_apart: *told_apart, cause };
            if let Some(seconds) = self.0.of_tries(target, series, Vec::new) {
                seconds.push(end.unwrap_or(record.total).saturating_sub(*start).as_secs_f64());
            }
        }
        let served = record.attempts.iter().rfind(|tried| tried.first.is_some());
        let Some(sampled) = self.of_request(record, served) else { return };
        sampled.total.push(record.total.as_secs_f64());
        if served.is_none() {
            return;
        }
        let usage = record.usage.unwrap_or_default();
        sampled.input.extend(usage.input);
        sampled.output.extend(usage.output);
        if let (Some(since), true) = (record.first, record.stream) {
            sampled.first.push(since.as_secs_f64());
            let behind = usage.output.unwrap_or(0).saturating_sub(1);
            if behind > 0 && record.outcome == Outcome::Ok {
                sampled.each.push(record.total.saturating_sub(since).as_secs_f64() / behind as f64);
            }
        }
    }

    fn of_request(&mut self, record: &Record, served: Option<&Tried>) -> Option<&mut Sampled> {
        let told_apart = served.is_some_and(|served| served.told_apart);
        // An upstream may repeat whatever it was asked for.
        let model = record.response_model.as_deref().filter(|_| told_apart);
        let (operation, outcome) = (record.operation, record.outcome);
        let same = |known: &RequestSeries| {
            known.model.as_deref() == model
                && (known.operation, known.told_apart, known.outcome) == (operation, told_apart, outcome)
        };
        let series = || RequestSeries { operation, told_apart, model: model.map(Into::into), outcome };
        self.0.of_requests(served.map_or("", |served| &served.target), same, || (series(), Sampled::default()))
    }

    /// Nothing is to be measured any more. The series stay, as the same ones come again.
    pub fn clear(&mut self) {
        self.0.bound();
        for OfTarget { tries, requests } in self.0.targets.values_mut() {
            tries.iter_mut().for_each(|(_, seconds)| seconds.clear());
            for (_, Sampled { total, input, output, first, each }) in requests {
                [total, first, each].iter_mut().for_each(|values| values.clear());
                [input, output].iter_mut().for_each(|values| values.clear());
            }
        }
    }
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

    /// Measures what some requests gave.
    pub(super) fn add(&self, samples: &Samples) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.bound();
        for (target, OfTarget { tries, requests }) in &samples.0.targets {
            for (series, seconds) in tries.iter().filter(|(_, seconds)| !seconds.is_empty()) {
                let place = known.of_tries(target, *series, || self.bind_tries(target, *series));
                place.into_iter().for_each(|place| seconds.iter().for_each(|seconds| place.record(*seconds)));
            }
            for (series, sampled) in requests.iter().filter(|(_, sampled)| !sampled.total.is_empty()) {
                let make = || (series.clone(), self.bind_requests(target, series));
                if let Some(places) = known.of_requests(target, |known| known == series, make) {
                    self.put(sampled, places);
                }
            }
        }
    }

    fn put(&self, sampled: &Sampled, OfRequest { labels, server, input, output, first, each }: &mut OfRequest) {
        sampled.total.iter().for_each(|seconds| server.record(*seconds));
        for (place, kind, counts) in [(input, "input", &sampled.input), (output, "output", &sampled.output)] {
            let bind = || self.tokens.bind(&with(labels, KeyValue::new("gen_ai.token.type", kind)));
            put_all(place, counts, bind, |place, count| place.record(count));
        }
        let seconds = |place: &mut BoundHistogram<f64>, seconds| place.record(seconds);
        put_all(first, &sampled.first, || self.first.bind(labels), seconds);
        put_all(each, &sampled.each, || self.each.bind(labels), seconds);
    }

    /// Where the time of such tries goes.
    fn bind_tries(&self, target: &str, series: TrySeries) -> BoundHistogram<f64> {
        let mut labels = labels(series.operation, target, series.told_apart);
        if series.cause != "ok" {
            labels.push(KeyValue::new("error.type", series.cause));
        }
        self.client.bind(&labels)
    }

    /// Where the measurements of such requests go.
    fn bind_requests(&self, target: &str, series: &RequestSeries) -> OfRequest {
        let mut labels = labels(series.operation, target, series.told_apart);
        labels.extend(series.model.as_deref().map(|model| KeyValue::new("gen_ai.response.model", model.to_owned())));
        let server = match series.outcome {
            Outcome::Ok => self.server.bind(&labels),
            outcome => self.server.bind(&with(&labels, KeyValue::new("error.type", outcome.word()))),
        };
        OfRequest { labels, server, input: None, output: None, first: None, each: None }
    }
}

/// Puts values to their place, which is made where there is none.
fn put_all<P, V: Copy>(place: &mut Option<P>, values: &[V], make: impl FnOnce() -> P, put: impl Fn(&mut P, V)) {
    if !values.is_empty() {
        let place = place.get_or_insert_with(make);
        values.iter().for_each(|value| put(place, *value));
    }
}

/// What was asked for, and who was asked; nobody, where the target's name is empty.
fn labels(asked: &'static str, target: &str, told_apart: bool) -> Vec<KeyValue> {
    let mut labels = vec![KeyValue::new("gen_ai.operation.name", operation(asked))];
    if !target.is_empty() {
        let (provider, model) = parts(target);
        labels.push(KeyValue::new("gen_ai.provider.name", conventional(provider).to_owned()));
        labels.push(KeyValue::new("gen_ai.request.model", told(model, told_apart).to_owned()));
    }
    labels
}

fn with(labels: &[KeyValue], more: KeyValue) -> Vec<KeyValue> {
    labels.iter().cloned().chain([more]).collect()
}

/// A model, by its name where callers cannot choose it at will.
fn told(model: &str, told_apart: bool) -> &str {
    if told_apart { model } else { OTHER_MODELS }
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
    use super::*;

    #[test]
    fn names_that_callers_choose_at_will_are_one() {
        let name = |told_apart| labels("generate", "a/random-1", told_apart)[2].value.to_string();
        assert_eq!((name(true), name(false)), ("random-1".to_owned(), "other".to_owned()));
        assert_eq!(labels("generate", "", false).len(), 1);
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
