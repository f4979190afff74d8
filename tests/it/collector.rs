//! A receiver of OTLP that decodes with the official protobuf types: over HTTP and over gRPC, plain and with TLS.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::sandbox::Daemon;

/// One export as it arrived, decompressed.
pub(crate) struct Export {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) gzip: bool,
}

/// A collector; it takes no new connection once it is dropped.
pub(crate) struct Collector {
    address: SocketAddr,
    tls: bool,
    seen: Arc<Mutex<Vec<Export>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is spoken to it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Wire {
    Http,
    Grpc,
}

/// What the collector answers.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Good,
    Refuses,
    Hangs,
    /// Takes what comes only a while after it has come.
    Late,
    /// Refuses the first export, for now.
    Busy,
}

/// Of whom the collector's certificate is, as a path. Its key was thrown away; the collector's own protects nothing.
pub(crate) fn authority() -> String {
    tls_file("throwaway-authority.pem")
}

fn tls_file(name: &str) -> String {
    format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What a gateway shows to a collector that asks who calls: certificate and key, as paths. The key of its authority was thrown away.
pub(crate) fn caller() -> [String; 2] {
    ["throwaway-caller.pem", "throwaway-caller.key.pem"].map(tls_file)
}

/// Whether TLS is spoken, and whether callers have to say who they are.
#[derive(Clone, Copy, PartialEq)]
enum Tls {
    None,
    Own,
    Mutual,
}

fn acceptor(tls: Tls) -> Option<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_file(tls_file("throwaway-127.0.0.1.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(tls_file("throwaway-127.0.0.1.key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = match tls {
        Tls::None => return None,
        Tls::Own => config.with_no_client_auth(),
        Tls::Mutual => {
            let mut callers = rustls::RootCertStore::empty();
            callers.add(CertificateDer::from_pem_file(tls_file("throwaway-callers.pem")).unwrap()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(callers), provider);
            config.with_client_cert_verifier(builder.build().unwrap())
        }
    };
    let mut config = config.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(TlsAcceptor::from(Arc::new(config)))
}

impl Collector {
    /// Over plain HTTP.
    pub(crate) async fn http(mood: Mood) -> Collector {
        Collector::open(Wire::Http, Tls::None, mood).await
    }

    /// One that takes everything.
    pub(crate) async fn start(wire: Wire, tls: bool) -> Collector {
        Collector::open(wire, if tls { Tls::Own } else { Tls::None }, Mood::Good).await
    }

    /// One that takes everything from callers with a certificate, and nothing from others.
    pub(crate) async fn mutual(wire: Wire) -> Collector {
        Collector::open(wire, Tls::Mutual, Mood::Good).await
    }

    async fn open(wire: Wire, tls: Tls, mood: Mood) -> Collector {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = acceptor(tls);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, acceptor) = (kept.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, wire, kept, mood).await,
                        // One that does not believe the certificate hangs up.
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, wire, kept, mood).await;
                            }
                        }
                    }
                });
            }
        });
        Collector { address, tls: tls != Tls::None, seen, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }

    /// Every export so far.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Vec<Export>> {
        self.seen.lock().unwrap()
    }

    pub(crate) fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        self.seen().iter().filter(|export| export.path.ends_with(path)).map(|export| export.body.clone()).collect()
    }

    /// Every span so far, with what describes its process.
    pub(crate) fn spans(&self) -> Vec<(Span, BTreeMap<String, Value>)> {
        let mut spans = Vec::new();
        for body in [self.bodies("v1/traces"), self.bodies("TraceService/Export")].concat() {
            for group in ExportTraceServiceRequest::decode(&*body).unwrap().resource_spans {
                let resource = attributes(&group.resource.unwrap().attributes);
                let all = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(all.map(|span| (span, resource.clone())));
            }
        }
        spans
    }

    /// The spans of the only request, in the order of their beginnings, once there are so many.
    pub(crate) async fn wait(&self, daemon: &Daemon, count: usize) -> Vec<Span> {
        daemon.until("the spans are there", async |_| self.spans().len() >= count).await;
        let mut spans: Vec<Span> = self.spans().into_iter().map(|(span, _)| span).collect();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans.sort_by_key(|span| (span.start_time_unix_nano, span.kind));
        spans
    }

    /// Every line of the log so far, with the name of its scope.
    pub(crate) fn lines(&self) -> Vec<(LogRecord, String)> {
        let mut lines = Vec::new();
        for body in [self.bodies("v1/logs"), self.bodies("LogsService/Export")].concat() {
            let groups = ExportLogsServiceRequest::decode(&*body).unwrap().resource_logs;
            for group in groups.into_iter().flat_map(|group| group.scope_logs) {
                let scope = group.scope.unwrap().name;
                lines.extend(group.log_records.into_iter().map(|line| (line, scope.clone())));
            }
        }
        lines
    }

    /// The newest data of a metric.
    pub(crate) fn metric(&self, name: &str) -> Option<Data> {
        let mut found = None;
        for body in [self.bodies("v1/metrics"), self.bodies("MetricsService/Export")].concat() {
            let groups = ExportMetricsServiceRequest::decode(&*body).unwrap().resource_metrics;
            let metrics = groups.into_iter().flat_map(|group| group.scope_metrics).flat_map(|scope| scope.metrics);
            found = metrics.filter(|metric| metric.name == name).map(|metric| metric.data.unwrap()).next().or(found);
        }
        found
    }
}

async fn serve<S>(stream: S, wire: Wire, kept: Arc<Mutex<Vec<Export>>>, mood: Mood)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    match wire {
        Wire::Http => serve_http(stream, kept, mood).await,
        Wire::Grpc => serve_grpc(stream, kept).await,
    }
}

async fn serve_http<S: AsyncRead + AsyncWrite + Unpin>(stream: S, kept: Arc<Mutex<Vec<Export>>>, mood: Mood) {
    let take = |request: http::Request<Incoming>| {
        let kept = kept.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let gzip = parts.headers.get("content-encoding").is_some_and(|coding| coding == "gzip");
            let body = if gzip { unzip(&body) } else { body.to_vec() };
            let path = parts.uri.path().to_owned();
            if mood == Mood::Late {
                tokio::time::sleep(std::time::Duration::from_millis(700)).await;
            }
            let first = {
                let mut seen = kept.lock().unwrap();
                seen.push(Export { path, headers: parts.headers, body, gzip });
                seen.len() == 1
            };
            let status = match mood {
                Mood::Busy if first => 503,
                Mood::Good | Mood::Late | Mood::Busy => 200,
                Mood::Refuses => 403,
                Mood::Hangs => std::future::pending().await,
            };
            Ok::<_, hyper::Error>(http::Response::builder().status(status).body(Full::<Bytes>::default()).unwrap())
        }
    };
    // A gateway that stops closes in the middle.
    let service = hyper::service::service_fn(take);
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A message of gRPC is a flag (compressed or not), four bytes of length, and the protobuf (gRPC over HTTP/2,
/// "Length-Prefixed-Message").
async fn serve_grpc<S: AsyncRead + AsyncWrite + Unpin>(stream: S, kept: Arc<Mutex<Vec<Export>>>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let kept = kept.clone();
        tokio::spawn(async move {
            let (parts, mut body) = request.into_parts();
            let mut bytes = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                let _ = body.flow_control().release_capacity(piece.len());
                bytes.extend_from_slice(&piece);
            }
            let gzip = bytes[0] == 1;
            if gzip {
                assert_eq!(parts.headers["grpc-encoding"], "gzip");
            }
            let body = if gzip { unzip(&bytes[5..]) } else { bytes[5..].to_vec() };
            let path = parts.uri.path().to_owned();
            kept.lock().unwrap().push(Export { path, headers: parts.headers, body, gzip });
            let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
            let Ok(mut send) = respond.send_response(head, false) else { return };
            let _ = send.send_data(Bytes::from_static(&[0; 5]), false);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let _ = send.send_trailers(trailers);
        });
    }
}

fn unzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

pub(crate) fn value(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::BoolValue(flag)) => json!(flag),
        Some(Any::ArrayValue(list)) => list.values.iter().map(|one| self::value(Some(one))).collect(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn attributes(list: &[KeyValue]) -> BTreeMap<String, Value> {
    list.iter().map(|pair| (pair.key.clone(), value(pair.value.as_ref()))).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
