//! Events of the gateway's own log on their way to a collector.
//!
//! Only what the gateway itself says goes there, and nothing that the export says of itself: a collector that is gone would be
//! told of its own absence for ever. What libraries say at finer levels stays on stderr.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::{SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{BatchConfigBuilder, BatchLogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tokio::runtime::Handle as Runtime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::exporters;
use super::settings::{Signal, Waiting};
use crate::telemetry::metrics::TelemetryMetrics;
use crate::telemetry::room::Room;

/// Where events go now. One for the process, as the log itself is.
static COLLECTOR: ArcSwapOption<Lines> = ArcSwapOption::const_empty();

/// Longest value of one field, in bytes.
const LONGEST: usize = 8 << 10;
/// The gateway's own modules, and those of them that export.
const OWN: &str = "routeplane";
const EXPORT: &str = "routeplane::telemetry::otlp";

/// The lines of one collector.
pub(super) struct Lines {
    provider: SdkLoggerProvider,
    logger: SdkLogger,
    room: Room,
}

impl Lines {
    /// Makes this the place where events go.
    ///
    /// # Errors
    /// An exporter that cannot be made.
    pub(super) fn start(
        signal: &Signal,
        waiting: Waiting,
        resource: Resource,
        runtime: &Runtime,
        counts: &TelemetryMetrics,
    ) -> Result<Arc<Lines>, String> {
        let room = Room::new(waiting.queue, "otlp_logs", counts);
        let exporter = exporters::lines(signal, runtime.clone(), room.clone())?;
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(waiting.queue)
            .with_max_export_batch_size(waiting.batch.min(waiting.queue))
            .with_scheduled_delay(waiting.delay)
            .build();
        let processor = BatchLogProcessor::builder(exporter).with_batch_config(batch).build();
        let provider = SdkLoggerProvider::builder().with_resource(resource).with_log_processor(processor).build();
        let lines = Arc::new(Lines { logger: provider.logger(OWN), provider, room });
        COLLECTOR.store(Some(lines.clone()));
        Ok(lines)
    }

    pub(super) fn flush(&self) -> OTelSdkResult {
        self.provider.force_flush()
    }

    /// Sends what is waiting, for `limit` at most; events do not go there any more.
    pub(super) fn end(self: &Arc<Self>, limit: Duration) -> OTelSdkResult {
        let now = COLLECTOR.load();
        // A reload has put the next collector there by now, or there is none.
        if now.as_ref().is_some_and(|now| Arc::ptr_eq(now, self)) {
            COLLECTOR.compare_and_swap(&now, None);
        }
        self.provider.shutdown_with_timeout(limit)
    }

    fn put(&self, event: &Event<'_>) {
        if self.room.take(1) {
            self.logger.emit(line(self.logger.create_log_record(), event));
        }
    }
}

/// The layer that hands events over; without a collector it does nothing.
pub struct Export;

impl<S: Subscriber> Layer<S> for Export {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if is_told(event.metadata().target())
            && let Some(collector) = &*COLLECTOR.load()
        {
            collector.put(event);
        }
    }
}

fn is_told(target: &str) -> bool {
    let below = |whole: &str, module: &str| {
        whole.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    below(target, OWN) && !below(target, EXPORT)
}

/// An event as a log record: its message is the body, its fields are attributes, and `trace_id` with `span_id` are its place in a
/// trace. An event with a name of its own is one of the semantic conventions.
fn line(record: SdkLogRecord, event: &Event<'_>) -> SdkLogRecord {
    let about = event.metadata();
    let mut fields = Fields { record, trace: None, span: None };
    event.record(&mut fields);
    let Fields { mut record, trace, span } = fields;
    if let (Some(trace), Some(span)) = (trace, span) {
        record.set_trace_context(trace, span, Some(TraceFlags::SAMPLED));
    }
    let (severity, text) = severity(*about.level());
    record.set_severity_number(severity);
    record.set_severity_text(text);
    record.set_target(about.target());
    record.set_timestamp(SystemTime::now());
    // Without a name, `tracing` writes the place in the source.
    if !about.name().starts_with("event ") {
        record.set_event_name(about.name());
    }
    record
}

fn severity(level: Level) -> (Severity, &'static str) {
    match level {
        Level::TRACE => (Severity::Trace, "TRACE"),
        Level::DEBUG => (Severity::Debug, "DEBUG"),
        Level::INFO => (Severity::Info, "INFO"),
        Level::WARN => (Severity::Warn, "WARN"),
        Level::ERROR => (Severity::Error, "ERROR"),
    }
}

/// The fields of an event.
struct Fields {
    record: SdkLogRecord,
    trace: Option<TraceId>,
    span: Option<SpanId>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: AnyValue) {
        self.record.add_attribute(field.name(), value);
    }

    fn text(&mut self, field: &Field, text: &str) {
        match field.name() {
            "message" => self.record.set_body(cut(text).into()),
            "trace_id" => self.trace = TraceId::from_hex(text).ok(),
            "span_id" => self.span = SpanId::from_hex(text).ok(),
            _ => self.put(field, cut(text).into()),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, i64::try_from(value).unwrap_or(i64::MAX).into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = write!(text, "{value:?}");
        self.text(field, &text);
    }
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST);
    text.get(..end).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_export_is_not_told_of_itself() {
        for told in ["routeplane", "routeplane::proxy::attempt"] {
            assert!(is_told(told), "{told}");
        }
        for kept in ["routeplane::telemetry::otlp::exporters", "routeplane_x", "hyper_util::client", "h2", "tonic", ""]
        {
            assert!(!is_told(kept), "{kept}");
        }
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let text = "é".repeat(LONGEST);
        assert_eq!(cut(&text).len(), LONGEST);
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&format!("a{text}")).len(), LONGEST - 1);
    }
}
