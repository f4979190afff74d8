//! Exporters and their queues. The SDK's own threads export; the connections live in the gateway's runtime.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{Compression, MetricExporter, Protocol, SpanExporter};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanProcessor as _};
use tokio::runtime::Handle as Runtime;

use super::measures::Measures;
use super::settings::{Settings, Signal};
use super::spans;
use crate::table::telemetry::OtlpProtocol;
use crate::telemetry::metrics::{Metrics, TelemetryMetrics};
use crate::telemetry::record::Record;

/// How long the last spans and measurements may take to reach the collector.
const LAST: Duration = Duration::from_secs(5);

/// What goes to a collector. Dropping it sends what is waiting, and ends the export.
pub struct Handle {
    traces: Option<Arc<Traces>>,
    measured: Option<Arc<Measured>>,
}

struct Traces {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    /// Spans on their way to the collector, and how many these may be.
    waiting: Arc<AtomicUsize>,
    queue: usize,
    counts: TelemetryMetrics,
}

struct Measured {
    provider: SdkMeterProvider,
    measures: Measures,
}

impl Handle {
    /// Starts the export.
    ///
    /// # Errors
    /// An exporter that cannot be made.
    pub fn start(settings: &Settings, metrics: &Arc<Metrics>) -> Result<Handle, String> {
        let runtime = Runtime::try_current().map_err(|error| error.to_string())?;
        let attributes = settings.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let resource = Resource::builder_empty().with_attributes(attributes).build();
        let counts = &metrics.telemetry;
        let traces =
            settings.traces.as_ref().map(|signal| Traces::start(signal, settings, &resource, &runtime, counts));
        let measured = settings
            .metrics
            .as_ref()
            .map(|signal| Measured::start(signal, settings, resource.clone(), runtime.clone(), metrics));
        Ok(Handle { traces: traces.transpose()?.map(Arc::new), measured: measured.transpose()?.map(Arc::new) })
    }

    /// Hands a record over. Never waits.
    pub fn put(&self, record: &Record) {
        if let Some(traces) = &self.traces {
            for span in spans::of(record, &traces.scope) {
                traces.put(span);
            }
        }
        if let Some(measured) = &self.measured {
            measured.measures.add(record);
        }
    }

    /// Sends what is waiting, beside the caller; `done` is dropped afterwards.
    pub fn flush(&self, done: SyncSender<()>) {
        let (traces, measured) = (self.traces.clone(), self.measured.clone());
        beside(move || {
            // What cannot be sent is counted where that is found out.
            let _ = traces.map(|traces| traces.processor.force_flush());
            let _ = measured.map(|measured| measured.provider.force_flush());
            drop(done);
        });
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let (traces, measured) = (self.traces.take(), self.measured.take());
        beside(move || {
            let _ = traces.map(|traces| traces.processor.shutdown_with_timeout(LAST));
            let _ = measured.map(|measured| measured.provider.shutdown_with_timeout(LAST));
        });
    }
}

/// Runs what may wait on a thread of its own; where there is none, it does not run.
fn beside(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name("otlp".to_owned()).spawn(work) {
        tracing::warn!(%error, "no thread to send the last telemetry");
    }
}

impl Traces {
    fn start(
        signal: &Signal,
        settings: &Settings,
        resource: &Resource,
        runtime: &Runtime,
        counts: &TelemetryMetrics,
    ) -> Result<Traces, String> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let exporter = Spans {
            inner: span_exporter(signal)?,
            runtime: runtime.clone(),
            waiting: waiting.clone(),
            counts: counts.clone(),
        };
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(settings.queue)
            .with_max_export_batch_size(settings.batch.min(settings.queue))
            .with_scheduled_delay(settings.delay)
            .build();
        let mut processor = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
        processor.set_resource(resource);
        let scope = InstrumentationScope::builder("routeplane").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Traces { processor, scope, waiting, queue: settings.queue, counts: counts.clone() })
    }

    fn put(&self, span: SpanData) {
        if self.waiting.load(Ordering::Relaxed) >= self.queue {
            self.counts.dropped(TRACES, 1);
            return;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.processor.on_end(span);
    }
}

impl Measured {
    fn start(
        signal: &Signal,
        settings: &Settings,
        resource: Resource,
        runtime: Runtime,
        metrics: &Arc<Metrics>,
    ) -> Result<Measured, String> {
        let exporter = Measurements { inner: metric_exporter(signal)?, runtime, counts: metrics.telemetry.clone() };
        let reader = PeriodicReader::builder(exporter).with_interval(settings.interval).build();
        let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        let measures = Measures::new(&provider.meter("routeplane"), metrics);
        Ok(Measured { provider, measures })
    }
}

/// The labels of what does not reach the collector.
const TRACES: &str = "otlp_traces";
const METRICS: &str = "otlp_metrics";

/// The exporter of spans, inside the gateway's runtime.
struct Spans {
    inner: SpanExporter,
    runtime: Runtime,
    waiting: Arc<AtomicUsize>,
    counts: TelemetryMetrics,
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spans")
    }
}

impl opentelemetry_sdk::trace::SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = within(&self.runtime, self.inner.export(batch)).await;
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        told(&self.counts, TRACES, count as u64, result)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// The exporter of measurements, inside the gateway's runtime.
struct Measurements {
    inner: MetricExporter,
    runtime: Runtime,
    counts: TelemetryMetrics,
}

impl PushMetricExporter for Measurements {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        told(&self.counts, METRICS, 1, within(&self.runtime, self.inner.export(metrics)).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}

/// Counts what did not get there, and says so.
fn told(counts: &TelemetryMetrics, sink: &'static str, count: u64, result: OTelSdkResult) -> OTelSdkResult {
    if let Err(error) = &result {
        counts.dropped(sink, count);
        // The error names the address and the answer, no headers.
        tracing::warn!(sink, count, %error, "the collector does not take telemetry; it is lost, and counted");
    }
    result
}

/// Polls `work` inside the runtime, whichever thread polls it: its connections and timers live there.
async fn within<W: Future>(runtime: &Runtime, work: W) -> W::Output {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        let _inside = runtime.enter();
        work.as_mut().poll(cx)
    })
    .await
}

macro_rules! exporter {
    ($name:ident, $kind:ident) => {
        fn $name(signal: &Signal) -> Result<$kind, String> {
            let built = match signal.protocol {
                OtlpProtocol::HttpProtobuf => {
                    let builder = $kind::builder()
                        .with_http()
                        .with_http_client(client(signal)?)
                        .with_protocol(Protocol::HttpBinary)
                        .with_endpoint(&signal.endpoint)
                        .with_timeout(signal.timeout)
                        .with_headers(signal.headers.iter().cloned().collect::<HashMap<_, _>>());
                    if signal.gzip { builder.with_compression(Compression::Gzip).build() } else { builder.build() }
                }
                OtlpProtocol::Grpc => {
                    let builder = $kind::builder()
                        .with_tonic()
                        .with_endpoint(&signal.endpoint)
                        .with_timeout(signal.timeout)
                        .with_metadata(metadata(signal)?);
                    let secure = signal.endpoint.starts_with("https:");
                    let builder = if secure {
                        builder.with_tls_config(ClientTlsConfig::new().with_webpki_roots())
                    } else {
                        builder
                    };
                    if signal.gzip { builder.with_compression(Compression::Gzip).build() } else { builder.build() }
                }
            };
            built.map_err(|error| error.to_string())
        }
    };
}

exporter!(span_exporter, SpanExporter);
exporter!(metric_exporter, MetricExporter);

/// No redirect is followed: it would take the headers, and the keys in them, to whom nobody chose.
fn client(signal: &Signal) -> Result<reqwest::Client, String> {
    // Another one that is there already does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(signal.timeout);
    client.build().map_err(|error| error.to_string())
}

fn metadata(signal: &Signal) -> Result<MetadataMap, String> {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &signal.headers {
        let name =
            http::HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is not the name of a header"))?;
        let value = http::HeaderValue::try_from(value.as_str())
            .map_err(|_| format!("the header `{name}` of the collector has characters that a header cannot carry"))?;
        headers.insert(name, value);
    }
    Ok(MetadataMap::from_headers(headers))
}
