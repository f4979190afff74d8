//! Exporters and their queues. Threads of their own export; the connections live in the gateway's runtime.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use tokio::runtime::Handle as Runtime;

use super::batches::Traces;
use super::exporters;
use super::logs::Lines;
use super::measures::Measures;
use super::settings::{Settings, Signal};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::Record;

/// How long the last spans, measurements and lines may take to reach the collector.
const LAST: Duration = Duration::from_secs(5);

/// What goes to a collector. [`Handle::retire`] sends what is waiting, and ends the export; so does dropping it.
pub struct Handle {
    traces: Option<Traces>,
    measured: Option<Arc<Measured>>,
    lines: Option<Arc<Lines>>,
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
        let traces = settings.traces.as_ref().map(|signal| Traces::start(signal, settings, &runtime, counts));
        let measured = settings
            .metrics
            .as_ref()
            .map(|signal| Measured::start(signal, settings.interval, resource.clone(), runtime.clone(), metrics));
        let (traces, measured) = (traces.transpose()?, measured.transpose()?.map(Arc::new));
        // Last: from then on events go there.
        let lines = settings
            .logs
            .as_ref()
            .map(|signal| Lines::start(signal, settings.lines, resource.clone(), &runtime, counts))
            .transpose()?;
        Ok(Handle { traces, measured, lines })
    }

    /// Hands a record over. Never waits.
    pub fn put(&self, record: &Record) {
        if let Some(traces) = &self.traces {
            traces.put(record);
        }
        if let Some(measured) = &self.measured {
            measured.measures.add(record);
        }
    }

    /// Hands over what became of a request's copy, which is a span of the request's trace. Never waits.
    pub fn put_mirror(&self, record: &Record) {
        if let Some(traces) = &self.traces {
            traces.put_mirror(record);
        }
    }

    /// Sends what is waiting, beside the caller; `done` is dropped afterwards. A signal does not wait for another: each may have a
    /// collector of its own. What cannot be sent is counted where that is found out.
    pub fn flush(&self, done: SyncSender<()>) {
        if let Some(traces) = &self.traces {
            traces.flush(done.clone());
        }
        if let Some(measured) = self.measured.clone() {
            let done = done.clone();
            beside(move || drop((measured.provider.force_flush(), done)));
        }
        if let Some(lines) = self.lines.clone() {
            beside(move || drop((lines.flush(), done)));
        }
    }
}

impl Handle {
    /// Sends what is waiting, beside the caller, and ends the export; `done` is dropped afterwards.
    pub fn retire(mut self, done: &SyncSender<()>) {
        self.end(Some(done));
    }

    fn end(&mut self, done: Option<&SyncSender<()>>) {
        if let Some(traces) = self.traces.take() {
            traces.end(LAST, done.cloned());
        }
        if let Some(measured) = self.measured.take() {
            let done = done.cloned();
            beside(move || drop((measured.provider.shutdown_with_timeout(LAST), done)));
        }
        if let Some(lines) = self.lines.take() {
            let done = done.cloned();
            beside(move || drop((lines.end(LAST), done)));
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// Runs what may wait on a thread of its own; where there is none, it does not run.
fn beside(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name("otlp".to_owned()).spawn(work) {
        tracing::warn!(%error, "no thread to send the last telemetry");
    }
}

impl Measured {
    fn start(
        signal: &Signal,
        interval: Duration,
        resource: Resource,
        runtime: Runtime,
        metrics: &Arc<Metrics>,
    ) -> Result<Measured, String> {
        let exporter = exporters::measurements(signal, runtime, metrics.telemetry.clone())?;
        let reader = PeriodicReader::builder(exporter).with_interval(interval).build();
        let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        let measures = Measures::new(&provider.meter("routeplane"), metrics);
        Ok(Measured { provider, measures })
    }
}
