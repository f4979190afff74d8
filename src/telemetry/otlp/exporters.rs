//! The exporters of the crate for OTLP, each inside the gateway's runtime: the SDK's own threads poll them, their connections
//! and timers live here. What does not get to the collector is counted here.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{self, Certificate, ClientTlsConfig};
use opentelemetry_otlp::{Compression, LogExporter, MetricExporter, Protocol};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::LogBatch;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use tokio::runtime::Handle as Runtime;

use super::settings::Signal;
use super::tls::Identity;
use crate::table::telemetry::OtlpProtocol;
use crate::telemetry::metrics::TelemetryMetrics;
use crate::telemetry::room::Room;

/// The exporter of lines of the log, which wait in a room.
pub(super) struct Lines {
    inner: LogExporter,
    runtime: Runtime,
    room: Room,
}

/// The exporter of measurements.
pub(super) struct Measurements {
    inner: MetricExporter,
    runtime: Runtime,
    counts: TelemetryMetrics,
}

/// The exporter of measurements.
///
/// # Errors
/// A setting that no exporter can be made of.
pub(super) fn measurements(
    signal: &Signal,
    runtime: Runtime,
    counts: TelemetryMetrics,
) -> Result<Measurements, String> {
    Ok(Measurements { inner: metric_exporter(signal)?, runtime, counts })
}

/// The exporter of lines that wait in `room`.
///
/// # Errors
/// A setting that no exporter can be made of.
pub(super) fn lines(signal: &Signal, runtime: Runtime, room: Room) -> Result<Lines, String> {
    Ok(Lines { inner: log_exporter(signal)?, runtime, room })
}

// The crates' own exporters would show headers, and keys are in them.
impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.room.sink())
    }
}

impl fmt::Debug for Measurements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(METRICS)
    }
}

impl opentelemetry_sdk::logs::LogExporter for Lines {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count();
        let result = within(&self.runtime, self.inner.export(batch)).await;
        self.room.left(count);
        told(self.room.counts(), self.room.sink(), count as u64, result)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
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

/// The label of measurements that do not reach the collector.
const METRICS: &str = "otlp_metrics";

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
                    let builder = if secure { builder.with_tls_config(trust(signal)) } else { builder };
                    if signal.gzip { builder.with_compression(Compression::Gzip).build() } else { builder.build() }
                }
            };
            built.map_err(|error| error.to_string())
        }
    };
}

exporter!(metric_exporter, MetricExporter);
exporter!(log_exporter, LogExporter);

/// No redirect is followed: it would take the headers, and the keys in them, to whom nobody chose.
pub(super) fn client(signal: &Signal) -> Result<reqwest::Client, String> {
    // Another one that is there already does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(signal.timeout);
    if let Some(pem) = &signal.tls.authorities {
        let trusted = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
        client = client.tls_certs_only(trusted);
    }
    if let Some(Identity { certificate, key }) = &signal.tls.identity {
        let both = [certificate.as_slice(), b"\n", key].concat();
        client = client.identity(reqwest::Identity::from_pem(&both).map_err(|error| error.to_string())?);
    }
    client.build().map_err(|error| error.to_string())
}

/// Whom a collector over gRPC is believed to be, and who calls it.
pub(super) fn trust(signal: &Signal) -> ClientTlsConfig {
    let tls = match &signal.tls.authorities {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_webpki_roots(),
    };
    match &signal.tls.identity {
        Some(Identity { certificate, key }) => tls.identity(transport::Identity::from_pem(certificate, key)),
        None => tls,
    }
}

fn metadata(signal: &Signal) -> Result<MetadataMap, String> {
    headers(signal).map(MetadataMap::from_headers)
}

/// The headers of every export.
pub(super) fn headers(signal: &Signal) -> Result<http::HeaderMap, String> {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &signal.headers {
        let name =
            http::HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is not the name of a header"))?;
        let value = http::HeaderValue::try_from(value.as_str())
            .map_err(|_| format!("the header `{name}` of the collector has characters that a header cannot carry"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}
