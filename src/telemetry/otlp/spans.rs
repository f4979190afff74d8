//! A record as spans: one of the server for the request, one of a client for each try. Names and attributes follow the
//! semantic conventions for generative AI; what they have no name for begins with `routeplane.`.

use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::Trace;
use crate::telemetry::record::{Charge, Outcome, Record, Tried};

/// The spans of a sampled request; none of any other.
pub(super) fn of(record: &Record, scope: &InstrumentationScope) -> Vec<SpanData> {
    let Some(trace) = record.trace.as_ref().filter(|trace| trace.sampled) else { return Vec::new() };
    let span = |id: u64, parent: Option<u64>, kind, name: String, times: (Duration, Duration)| SpanData {
        span_context: context(trace, id),
        parent_span_id: parent.map_or(SpanId::INVALID, |id| SpanId::from_bytes(id.to_be_bytes())),
        parent_span_is_remote: false,
        span_kind: kind,
        name: name.into(),
        start_time: record.time + times.0,
        end_time: record.time + times.1.max(times.0),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: scope.clone(),
    };
    let operation = operation(record.operation);
    let name = |what: Option<&str>| what.map_or_else(|| operation.to_owned(), |what| format!("{operation} {what}"));
    // The route: names that callers make up would be names of spans without end.
    let server = span(
        trace.span,
        trace.parent,
        SpanKind::Server,
        name(record.route.as_deref().filter(|_| !record.attempts.is_empty())),
        (Duration::ZERO, record.total),
    );
    let mut spans = vec![SpanData {
        parent_span_is_remote: trace.parent.is_some(),
        attributes: of_request(record, operation),
        status: status(record),
        ..server
    }];
    let served = record.attempts.iter().rposition(|tried| tried.first.is_some());
    for (at, tried) in record.attempts.iter().enumerate() {
        let times = (tried.start, tried.end.unwrap_or(record.total));
        let client = span(tried.span, Some(trace.span), SpanKind::Client, name(Some(tried.model())), times);
        let before = record.attempts.get(..at).unwrap_or_default();
        spans.push(SpanData {
            attributes: of_try(record, tried, (at, before), served == Some(at), operation),
            status: if tried.cause == "ok" { Status::Unset } else { Status::error(tried.cause) },
            ..client
        });
    }
    spans
}

/// The span of a request's copy, beside those of the request's own tries.
pub(super) fn of_mirror(record: &Record, scope: &InstrumentationScope) -> Option<SpanData> {
    let mut span = of(record, scope).into_iter().nth(1)?;
    span.attributes.push(KeyValue::new("routeplane.mirror", true));
    Some(span)
}

fn context(trace: &Trace, span: u64) -> SpanContext {
    let state = trace.state.as_deref().and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
    let (id, span) = (TraceId::from_bytes(trace.id.to_be_bytes()), SpanId::from_bytes(span.to_be_bytes()));
    SpanContext::new(id, span, TraceFlags::SAMPLED, false, state)
}

fn status(record: &Record) -> Status {
    match record.outcome {
        Outcome::Ok | Outcome::CallerLeft => Status::Unset,
        // By the conventions for HTTP, what the caller did wrong is no error of the server.
        Outcome::Refused | Outcome::Failed if record.status < 500 => Status::Unset,
        Outcome::Refused | Outcome::Failed | Outcome::BrokeOff | Outcome::CutOff => Status::error(error_type(record)),
    }
}

/// What the conventions call `error.type`: the code that the caller was told, else how the request ended.
fn error_type(record: &Record) -> String {
    let code = record.error.as_ref().and_then(|error| error.code.as_deref());
    code.unwrap_or(record.outcome.word()).to_owned()
}

/// The conventions' word for an operation.
pub(super) fn operation(name: &'static str) -> &'static str {
    match name {
        "generate" => "chat",
        "embed" => "embeddings",
        "completions" => "text_completion",
        other => other,
    }
}

/// The conventions' name of a provider, where it differs from ours.
pub(super) fn provider(name: &str) -> &str {
    match name {
        "azure" => "azure.ai.openai",
        "bedrock" => "aws.bedrock",
        "google" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "vertex" => "gcp.vertex_ai",
        "xai" => "x_ai",
        other => other,
    }
}

struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn put(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(name, value));
    }

    fn text(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.put(name, value.to_owned());
        }
    }

    fn count(&mut self, name: &'static str, value: Option<u64>) {
        if let Some(value) = value {
            self.put(name, i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    fn texts<'v>(&mut self, name: &'static str, values: impl Iterator<Item = &'v str>) {
        let values: Vec<StringValue> = values.map(|value| value.to_owned().into()).collect();
        if !values.is_empty() {
            self.put(name, Value::Array(Array::String(values)));
        }
    }

    /// What is the same at the request and at the try that served it.
    fn answer(&mut self, record: &Record) {
        self.text("gen_ai.response.model", record.response_model.as_deref());
        self.texts("gen_ai.response.finish_reasons", record.finish_reasons.iter().map(|text| &**text));
        let usage = record.usage.or(record.usage_estimated).unwrap_or_default();
        self.count("gen_ai.usage.input_tokens", usage.input);
        self.count("gen_ai.usage.output_tokens", usage.output);
        self.count("gen_ai.usage.cache_read.input_tokens", usage.cache_read);
        self.count("gen_ai.usage.cache_creation.input_tokens", usage.cache_write);
        self.count("gen_ai.usage.reasoning.output_tokens", usage.reasoning);
        if record.usage_estimated.is_some() {
            self.put("routeplane.usage.estimated", true);
        }
        // Of one request a part may be reported, and another known by estimate alone.
        if let Some(cost) = record.cost_usd.into_iter().chain(record.cost_estimated_usd).reduce(|a, b| a + b) {
            self.put("routeplane.cost_usd", cost);
        }
    }
}

fn of_request(record: &Record, operation: &'static str) -> Vec<KeyValue> {
    let mut out = Attributes(Vec::with_capacity(24));
    out.put("gen_ai.operation.name", operation);
    out.text("gen_ai.request.model", record.model.as_deref());
    out.answer(record);
    out.put("http.response.status_code", i64::from(record.status));
    out.put("routeplane.request_id", record.request_id.to_string());
    out.put("routeplane.generation", i64::try_from(record.generation).unwrap_or(i64::MAX));
    out.put("routeplane.protocol", record.protocol.name());
    out.put("routeplane.stream", record.stream);
    out.put("routeplane.outcome", record.outcome.word());
    if record.cached {
        out.put("routeplane.cached", true);
    }
    out.put("routeplane.attempts", i64::try_from(record.attempts.len()).unwrap_or(i64::MAX));
    out.text("routeplane.key", record.key.as_deref());
    out.text("routeplane.route", record.route.as_deref());
    out.text("routeplane.target", record.target.as_deref());
    out.count("routeplane.rule", record.rule.map(u64::from));
    let skipped = record.skipped.iter().map(|skipped| format!("{}={}", skipped.target, skipped.reason));
    let skipped: Vec<String> = skipped.collect();
    out.texts("routeplane.skipped", skipped.iter().map(String::as_str));
    if let Some(first) = record.first.filter(|_| record.stream && record.outcome != Outcome::Refused) {
        out.put("gen_ai.response.time_to_first_chunk", first.as_secs_f64());
    }
    if !matches!(record.outcome, Outcome::Ok) {
        out.put("error.type", error_type(record));
    }
    out.0
}

fn of_try(
    record: &Record,
    tried: &Tried,
    (at, before): (usize, &[Tried]),
    served: bool,
    operation: &'static str,
) -> Vec<KeyValue> {
    let mut out = Attributes(Vec::with_capacity(16));
    out.put("gen_ai.operation.name", operation);
    out.put("gen_ai.provider.name", provider(tried.provider()).to_owned());
    out.put("gen_ai.request.model", tried.model().to_owned());
    if served {
        out.answer(record);
    }
    if let Some(Charge { usage, cost_usd }) = tried.left {
        out.count("gen_ai.usage.input_tokens", usage.input);
        out.put("routeplane.usage.estimated", true);
        cost_usd.into_iter().for_each(|cost| out.put("routeplane.cost_usd", cost));
    }
    out.count("http.response.status_code", tried.status.map(u64::from));
    out.put("routeplane.provider", tried.provider().to_owned());
    out.put("routeplane.lane", tried.lane);
    out.put("routeplane.attempt", i64::try_from(at + 1).unwrap_or(i64::MAX));
    out.texts("routeplane.losses", tried.losses.iter().map(|text| &**text));
    // Tries that follow one another never overlap: one that began beside another is a hedge against it.
    let beside = |other: &Tried| other.end.is_none_or(|end| end > tried.start);
    if before.iter().any(beside) {
        out.put("routeplane.hedge", true);
    } else if let Some(before) = before.last() {
        out.put("routeplane.retry_cause", before.cause);
    }
    if let Some(first) = tried.first.filter(|_| record.stream) {
        out.put("gen_ai.response.time_to_first_chunk", first.saturating_sub(tried.start).as_secs_f64());
    }
    if tried.cause != "ok" {
        out.put("error.type", tried.cause);
    }
    if let Some(content) = &tried.content {
        out.0.extend(super::content::attributes(content));
    }
    out.0
}
