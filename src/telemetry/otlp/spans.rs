//! A record as spans: one of the server for the request, one of a client for each try. Names and attributes follow the
//! semantic conventions for generative AI; what they have no name for begins with `routeplane.`. Written as the messages of
//! `opentelemetry/proto/trace/v1/trace.proto`, whose numbers of fields stand here.

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Trace;
use super::extra::Said;
use super::protobuf::{self, Attribute, Key, Value, key};
use crate::telemetry::record::{Charge, Outcome, Record, Tried};

/// `ScopeSpans.spans`, `Span.attributes`, `Span.status`.
const SPAN: u32 = 2;
const ATTRIBUTE: u32 = 9;
const STATUS: u32 = 15;

/// `Span.kind`.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// `Span.flags`: the flag of W3C, and two that say whether the parent is in another process.
const SAMPLED: u32 = 1;
const KNOWN_WHERE: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// How many spans [`write`] would write.
pub(super) fn count(record: &Record) -> usize {
    if record.trace.as_ref().is_some_and(|trace| trace.sampled) { 1 + record.attempts.len() } else { 0 }
}

/// Writes the spans of a sampled request, as those of a scope; none of any other.
pub(super) fn write(record: &Record, out: &mut Vec<u8>) {
    let Some(trace) = record.trace.as_ref().filter(|trace| trace.sampled) else { return };
    let operation = operation(record.operation);
    // The route: names that callers make up would be names of spans without end.
    let server = Span {
        id: trace.span,
        parent: trace.parent,
        flags: SAMPLED | KNOWN_WHERE | if trace.parent.is_some() { REMOTE } else { 0 },
        kind: SERVER,
        name: (operation, record.route.as_deref().filter(|_| !record.attempts.is_empty())),
        times: (Duration::ZERO, record.total),
        error: error(record),
    };
    let mut answer = None;
    server.write((record.time, trace), out, |out| answer = Some(of_request(record, operation, out)));
    for (at, tried) in record.attempts.iter().enumerate() {
        write_try(record, trace, (at, tried, answer.clone()), out, |_| {});
    }
}

/// How many spans [`write_mirror`] would write.
pub(super) fn count_mirror(record: &Record) -> usize {
    count(record).saturating_sub(1).min(1)
}

/// Writes the span of a request's copy, beside those of the request's own tries.
pub(super) fn write_mirror(record: &Record, out: &mut Vec<u8>) {
    if let (Some(trace), Some(tried)) = (record.trace.as_ref().filter(|trace| trace.sampled), record.attempts.first()) {
        write_try(record, trace, (0, tried, None), out, |out| out.put(key!("routeplane.mirror"), true));
    }
}

/// `answer`: where the answer's attributes have been written; `more` writes further ones.
fn write_try(
    record: &Record,
    trace: &Trace,
    (at, tried, answer): (usize, &Tried, Option<Range<usize>>),
    out: &mut Vec<u8>,
    more: impl FnOnce(&mut Attributes<'_>),
) {
    let operation = operation(record.operation);
    let (provider, model) = tried.parts();
    let client = Span {
        id: tried.span,
        parent: Some(trace.span),
        flags: SAMPLED | KNOWN_WHERE,
        kind: CLIENT,
        name: (operation, Some(model)),
        times: (tried.start, tried.end.unwrap_or(record.total)),
        error: (tried.cause != "ok").then_some(tried.cause),
    };
    let before = record.attempts.get(..at).unwrap_or_default();
    let served = record.attempts.iter().rposition(|tried| tried.first.is_some()) == Some(at);
    client.write((record.time, trace), out, |out| {
        out.put(key!("gen_ai.operation.name"), operation);
        out.put(key!("gen_ai.provider.name"), conventional(provider));
        out.put(key!("gen_ai.request.model"), model);
        if served {
            out.answer_again(record, answer);
        }
        of_try(record, (tried, provider), (at, before), out);
        more(out);
    });
}

/// What a span is besides its attributes.
struct Span<'s> {
    id: u64,
    parent: Option<u64>,
    flags: u32,
    kind: u64,
    /// The operation, and whom it is done by.
    name: (&'static str, Option<&'s str>),
    /// From the request's arrival.
    times: (Duration, Duration),
    error: Option<&'s str>,
}

impl Span<'_> {
    /// `attributes` writes the attributes.
    fn write(
        self,
        (time, trace): (SystemTime, &Trace),
        out: &mut Vec<u8>,
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        let whole = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let arrived = whole(time.duration_since(UNIX_EPOCH).unwrap_or_default());
        let nanos = |since| arrived.saturating_add(whole(since));
        let start = protobuf::open(out, SPAN);
        protobuf::bytes(out, 1, &[&trace.id.to_be_bytes()]);
        protobuf::bytes(out, 2, &[&self.id.to_be_bytes()]);
        if let Some(state) = &trace.state {
            protobuf::bytes(out, 3, &[state.as_bytes()]);
        }
        if let Some(parent) = self.parent {
            protobuf::bytes(out, 4, &[&parent.to_be_bytes()]);
        }
        match self.name {
            (operation, None) => protobuf::bytes(out, 5, &[operation.as_bytes()]),
            (operation, Some(whom)) => protobuf::bytes(out, 5, &[operation.as_bytes(), b" ", whom.as_bytes()]),
        }
        protobuf::number(out, 6, self.kind);
        protobuf::fixed64(out, 7, nanos(self.times.0));
        protobuf::fixed64(out, 8, nanos(self.times.1.max(self.times.0)));
        attributes(&mut Attributes(out));
        for (name, said) in trace.extra.iter().flat_map(|extra| &extra.attributes) {
            let value = match said {
                Said::Text(text) => Value::Text(text),
                Said::Flag(flag) => Value::Flag(*flag),
            };
            protobuf::attribute(out, ATTRIBUTE, name, value);
        }
        let status = protobuf::open(out, STATUS);
        if let Some(error) = self.error {
            protobuf::bytes(out, 2, &[error.as_bytes()]);
            // `STATUS_CODE_ERROR`.
            protobuf::number(out, 3, 2);
        }
        protobuf::close(out, status);
        protobuf::fixed32(out, 16, self.flags);
        protobuf::close(out, start);
    }
}

/// Why the request's span is an error, where it is one.
fn error(record: &Record) -> Option<&str> {
    match record.outcome {
        Outcome::Ok | Outcome::CallerLeft => None,
        // By the conventions for HTTP, what the caller did wrong is no error of the server.
        Outcome::Refused | Outcome::Failed if record.status < 500 => None,
        Outcome::Refused | Outcome::Failed | Outcome::BrokeOff | Outcome::CutOff => Some(error_type(record)),
    }
}

/// What the conventions call `error.type`: the code that the caller was told, else how the request ended.
fn error_type(record: &Record) -> &str {
    let code = record.error.as_ref().and_then(|error| error.code.as_deref());
    code.unwrap_or(record.outcome.word())
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
pub(super) fn conventional(name: &str) -> &str {
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

/// Where the attributes of a span go.
pub(super) struct Attributes<'b>(&'b mut Vec<u8>);

impl Attributes<'_> {
    pub(super) fn put<const N: usize>(&mut self, key: Key<N>, value: impl Attribute) {
        value.write(key, self.0);
    }

    pub(super) fn text<const N: usize>(&mut self, key: Key<N>, value: Option<&str>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn count<const N: usize>(&mut self, key: Key<N>, value: Option<u64>) {
        if let Some(value) = value {
            self.put(key, i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    fn texts<'v, const N: usize>(&mut self, key: Key<N>, values: impl Iterator<Item = &'v str>) {
        let values: smallvec::SmallVec<[&str; 4]> = values.collect();
        if !values.is_empty() {
            self.put(key, values.as_slice());
        }
    }

    /// What is the same at the request and at the try that served it; says where that is.
    fn answer(&mut self, record: &Record) -> Range<usize> {
        let start = self.0.len();
        self.text(key!("gen_ai.response.model"), record.response_model.as_deref());
        self.texts(key!("gen_ai.response.finish_reasons"), record.finish_reasons.iter().map(|text| &**text));
        let usage = record.usage.as_ref().or(record.usage_estimated.as_deref()).copied().unwrap_or_default();
        self.count(key!("gen_ai.usage.input_tokens"), usage.input);
        self.count(key!("gen_ai.usage.output_tokens"), usage.output);
        self.count(key!("gen_ai.usage.cache_read.input_tokens"), usage.cache_read);
        self.count(key!("gen_ai.usage.cache_creation.input_tokens"), usage.cache_write);
        self.count(key!("gen_ai.usage.reasoning.output_tokens"), usage.reasoning);
        if record.usage_estimated.is_some() {
            self.put(key!("routeplane.usage.estimated"), true);
        }
        // Of one request a part may be reported, and another known by estimate alone.
        if let Some(cost) = record.cost_usd.into_iter().chain(record.cost_estimated_usd).reduce(|a, b| a + b) {
            self.put(key!("routeplane.cost_usd"), cost);
        }
        start..self.0.len()
    }

    /// The same, copied from where it is.
    fn answer_again(&mut self, record: &Record, written: Option<Range<usize>>) {
        match written.filter(|written| written.end <= self.0.len()) {
            Some(written) => self.0.extend_from_within(written),
            None => drop(self.answer(record)),
        }
    }
}

/// Says where the answer's attributes are.
fn of_request(record: &Record, operation: &'static str, out: &mut Attributes<'_>) -> Range<usize> {
    out.put(key!("gen_ai.operation.name"), operation);
    out.text(key!("gen_ai.request.model"), record.model.as_deref());
    let answer = out.answer(record);
    out.put(key!("http.response.status_code"), i64::from(record.status));
    out.put(key!("routeplane.request_id"), &*record.request_id);
    out.count(key!("routeplane.generation"), Some(record.generation));
    out.put(key!("routeplane.protocol"), record.protocol.name());
    out.put(key!("routeplane.stream"), record.stream);
    out.put(key!("routeplane.outcome"), record.outcome.word());
    if record.cached {
        out.put(key!("routeplane.cached"), true);
    }
    out.count(key!("routeplane.attempts"), Some(record.attempts.len() as u64));
    out.text(key!("routeplane.key"), record.key.as_deref());
    out.text(key!("routeplane.route"), record.route.as_deref());
    out.text(key!("routeplane.target"), record.target.as_deref());
    out.count(key!("routeplane.rule"), record.rule.map(u64::from));
    let skipped = record.skipped.iter().map(|skipped| format!("{}={}", skipped.target, skipped.reason));
    let skipped: Vec<String> = skipped.collect();
    out.texts(key!("routeplane.skipped"), skipped.iter().map(String::as_str));
    if let Some(first) = record.first.filter(|_| record.stream && record.outcome != Outcome::Refused) {
        out.put(key!("gen_ai.response.time_to_first_chunk"), first.as_secs_f64());
    }
    if !matches!(record.outcome, Outcome::Ok) {
        out.put(key!("error.type"), error_type(record));
    }
    answer
}

fn of_try(
    record: &Record,
    (tried, provider): (&Tried, &str),
    (at, before): (usize, &[Tried]),
    out: &mut Attributes<'_>,
) {
    if let Some(Charge { usage, cost_usd }) = tried.left.as_deref() {
        out.count(key!("gen_ai.usage.input_tokens"), usage.input);
        out.put(key!("routeplane.usage.estimated"), true);
        cost_usd.iter().for_each(|cost| out.put(key!("routeplane.cost_usd"), *cost));
    }
    out.count(key!("http.response.status_code"), tried.status.map(u64::from));
    if let Some(server) = &tried.server {
        out.put(key!("server.address"), &*server.host);
        out.put(key!("server.port"), i64::from(server.port));
    }
    out.put(key!("routeplane.provider"), provider);
    out.put(key!("routeplane.lane"), tried.lane);
    out.count(key!("routeplane.attempt"), Some(at as u64 + 1));
    out.texts(key!("routeplane.losses"), tried.losses.iter().map(|text| &**text));
    // Tries that follow one another never overlap: one that began beside another is a hedge against it.
    let beside = |other: &Tried| other.end.is_none_or(|end| end > tried.start);
    if before.iter().any(beside) {
        out.put(key!("routeplane.hedge"), true);
    } else if let Some(before) = before.last() {
        out.put(key!("routeplane.retry_cause"), before.cause);
    }
    if let Some(first) = tried.first.filter(|_| record.stream) {
        out.put(key!("gen_ai.response.time_to_first_chunk"), first.saturating_sub(tried.start).as_secs_f64());
    }
    if tried.cause != "ok" {
        out.put(key!("error.type"), tried.cause);
    }
    if let Some(content) = &tried.content {
        super::content::attributes(content, out);
    }
}
