//! What is told to people and to other systems: the access log, the collector.

use std::time::Duration;

use super::SecretText;
use super::collector::OtlpTlsEntry;
use crate::config::decode::leaf::{Choice, DurationText, Flag, Fraction, Text};
use crate::config::decode::list::{AnyKey, HeaderKey, Map, OneOrMore};
use crate::config::decode::mapping;
use crate::config::decode::secret::HeaderValue;
use crate::config::decode::texts::{Any, FactWord, LineWord, OtlpWord, Url};
use crate::source::{Span, Spanned};

mapping! {
    /// One line for each model call, without any text of a prompt or an answer. `access_log: stdout` is
    /// `access_log: { to: stdout }`.
    #[called = "the access log"]
    #[derive(Debug, Clone)]
    pub struct AccessLogEntry spanned span: Span, faulty faulty, short "to", {
        /// `stdout`, `stderr`, or the path of a file, which is looked for in the folder of this one. A file may be moved away at
        /// any time: lines go on in a new one.
        "to" => to: Option<Spanned<String>> as Text<Any>,
        /// `json`, `text`, or `auto`: a line for people on a terminal, JSON everywhere else.
        "format" default "auto" => format: Option<Spanned<String>> as Choice<LineWord>,
        /// The facts that rules may ask for: those that the decision looked at and those that cost nothing (`known`), all of
        /// them, for which every request is read (`all`), or none.
        "facts" default "known" => facts: Option<Spanned<String>> as Choice<FactWord>,
    }
}

mapping! {
    /// What is told to other systems, besides `/metrics` and the logs.
    #[called = "the setting of telemetry"]
    #[derive(Debug, Clone, Default)]
    pub struct TelemetryEntry {
        /// The last requests are kept in memory, and what they spent is added up: for the console, `routeplane top` and
        /// `GET /admin/requests`. Without it, an access log and a collector, a request leaves no record.
        "recent" default "true" => recent: Option<Spanned<bool>> as Flag,
        /// An OpenTelemetry collector. The standard variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, ...) do the same without the file;
        /// what the file says wins.
        "otlp" => otlp: Option<OtlpEntry> as OtlpEntry,
        /// Regular expressions. What has such a form is taken out of the texts that `trace_content` puts on spans, besides everything that
        /// looks like a credential: `['[\w.+-]+@[\w-]+\.\w+']` for addresses of mail.
        "redact" => redact: Vec<Spanned<String>> as OneOrMore<Text<Any>>,
    }
}

mapping! {
    /// How traces, metrics and logs get to a collector. `otlp: http://localhost:4318` is `otlp: { endpoint: http://localhost:4318 }`.
    #[called = "the setting of the collector"]
    #[derive(Debug, Clone, Default)]
    pub struct OtlpEntry short "endpoint", {
        /// The collector's base URL; over HTTP, `/v1/traces`, `/v1/metrics` and `/v1/logs` are put behind it.
        "endpoint" default "http://localhost:4318" => endpoint: Option<Spanned<String>> as Text<Url>,
        /// `http/protobuf` or `grpc`.
        "protocol" default "http/protobuf" => protocol: Option<Spanned<String>> as Choice<OtlpWord>,
        /// Headers of every export; values may be references to secrets, and none is ever shown.
        "headers" => headers: Vec<(Spanned<String>, Spanned<SecretText>)> as Map<HeaderKey, HeaderValue>,
        /// How both know each other over TLS. Without it, the standard variables say so.
        "tls" => tls: Option<OtlpTlsEntry> as OtlpTlsEntry,
        /// How long one export may take.
        "timeout" default "10s" => timeout: Option<Spanned<Duration>> as DurationText,
        /// Exports are compressed with gzip.
        "gzip" default "false" => gzip: Option<Spanned<bool>> as Flag,
        /// Traces are exported.
        "traces" default "true" => traces: Option<Spanned<bool>> as Flag,
        /// Metrics are exported.
        "metrics" default "true" => metrics: Option<Spanned<bool>> as Flag,
        /// The gateway's own log is exported, as far as `ROUTEPLANE_LOG` lets it through.
        "logs" default "true" => logs: Option<Spanned<bool>> as Flag,
        /// The part of traces that is recorded, from 0 to 1, where the caller has not decided.
        "sample" default "1" => sample: Option<Spanned<f64>> as Fraction,
        /// The name of this service.
        "service" default "routeplane" => service: Option<Spanned<String>> as Text<Any>,
        /// What else describes it: `{ deployment.environment.name: prod }`.
        "resource" => resource: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
        /// Between two exports of metrics.
        "interval" default "1m" => interval: Option<Spanned<Duration>> as DurationText,
    }
}
