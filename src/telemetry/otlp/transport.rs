//! How messages of OTLP that are written already get to a collector: one at a time, over HTTP or gRPC, tried again where the
//! specification says so (OTLP 1.x, "OTLP/HTTP Response" and "OTLP/gRPC Response").

use std::io::Write as _;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::uri::PathAndQuery;
use tokio::runtime::Handle as Runtime;
use tokio::time::{sleep, timeout};
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::exporters;
use super::settings::Signal;
use crate::table::telemetry::OtlpProtocol;

/// Tries behind the first, and the pause before the first of them; each further pause is twice the last.
const AGAIN: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);
/// The service of the only signal that goes this way.
const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const AGENT: &str = concat!("routeplane/", env!("CARGO_PKG_VERSION"));

/// The way to one collector.
pub(super) enum Transport {
    Http { client: reqwest::Client, endpoint: String, headers: HeaderMap, gzip: bool },
    Grpc { client: Grpc<Channel>, headers: HeaderMap },
}

/// Why a message was not taken.
struct Refusal {
    said: String,
    /// The collector, or who stands before it, may take it later.
    passing: bool,
    /// The collector asks to wait for so long.
    pause: Option<Duration>,
}

impl Transport {
    /// # Errors
    /// A setting that nothing can be sent with.
    pub(super) fn new(signal: &Signal, runtime: &Runtime) -> Result<Transport, String> {
        let headers = exporters::headers(signal)?;
        if signal.protocol == OtlpProtocol::HttpProtobuf {
            let client = exporters::client(signal)?;
            return Ok(Transport::Http { client, endpoint: signal.endpoint.clone(), headers, gzip: signal.gzip });
        }
        // The channel's own tasks live there.
        let _inside = runtime.enter();
        let wrong = |error: tonic::transport::Error| error.to_string();
        let endpoint = Endpoint::from_shared(signal.endpoint.clone()).map_err(wrong)?;
        let endpoint = endpoint.user_agent(AGENT).map_err(wrong)?;
        let endpoint = if signal.endpoint.starts_with("https:") {
            endpoint.tls_config(exporters::trust(signal)).map_err(wrong)?
        } else {
            endpoint
        };
        let client = Grpc::new(endpoint.connect_lazy());
        let client = if signal.gzip { client.send_compressed(CompressionEncoding::Gzip) } else { client };
        Ok(Transport::Grpc { client, headers })
    }

    /// Sends `message`, tries and pauses together for `within` at most; of `more` headers each takes the place of one of its name.
    ///
    /// # Errors
    /// Why it is not there.
    pub(super) async fn send(&self, message: Bytes, more: &HeaderMap, within: Duration) -> Result<(), String> {
        let sent = timeout(within, async {
            let (message, packed) = self.packed(message)?;
            for again in 0.. {
                let refusal = match self.once(message.clone(), more, packed).await {
                    Ok(()) => return Ok(()),
                    Err(refusal) => refusal,
                };
                if !refusal.passing || again == AGAIN {
                    return Err(refusal.said);
                }
                sleep(refusal.pause.unwrap_or(PAUSE * 2_u32.pow(again))).await;
            }
            Ok(())
        });
        sent.await.unwrap_or_else(|_| Err(format!("no answer from `{}` within {within:?}", self.whom())))
    }

    fn whom(&self) -> &str {
        match self {
            Transport::Http { endpoint, .. } => endpoint,
            Transport::Grpc { .. } => TRACES,
        }
    }

    /// The message as it leaves, and whether that is compressed; gRPC compresses by itself.
    fn packed(&self, message: Bytes) -> Result<(Bytes, bool), String> {
        match self {
            Transport::Http { gzip: true, .. } => {
                let mut out = GzEncoder::new(Vec::new(), flate2::Compression::default());
                let packed = out.write_all(&message).and_then(|()| out.finish());
                packed.map(|packed| (packed.into(), true)).map_err(|error| error.to_string())
            }
            Transport::Http { .. } | Transport::Grpc { .. } => Ok((message, false)),
        }
    }

    async fn once(&self, message: Bytes, more: &HeaderMap, packed: bool) -> Result<(), Refusal> {
        let (Transport::Http { headers, .. } | Transport::Grpc { headers, .. }) = self;
        let mut headers = headers.clone();
        headers.extend(more.clone());
        match self {
            Transport::Http { client, endpoint, .. } => {
                let mut request = client.post(endpoint).header("content-type", "application/x-protobuf");
                request = request.header("user-agent", AGENT);
                if packed {
                    request = request.header("content-encoding", "gzip");
                }
                let answer = request.headers(headers).body(message).send().await.map_err(unreachable)?;
                let (status, wait) = (answer.status(), answer.headers().get(http::header::RETRY_AFTER));
                let pause = wait.and_then(|wait| wait.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
                // Read to its end, the connection can be used again.
                let _ = answer.bytes().await;
                if status.is_success() {
                    return Ok(());
                }
                let passing = matches!(status.as_u16(), 429 | 502 | 503 | 504);
                Err(Refusal { said: format!("`{endpoint}` answers {status}"), passing, pause })
            }
            Transport::Grpc { client, .. } => {
                let mut client = client.clone();
                let mut request = tonic::Request::new(message);
                *request.metadata_mut() = MetadataMap::from_headers(headers);
                client.ready().await.map_err(|error| passing(format!("the collector is not there: {error}")))?;
                client.unary(request, PathAndQuery::from_static(TRACES), Written).await.map(drop).map_err(refused)
            }
        }
    }
}

fn passing(said: String) -> Refusal {
    Refusal { said, passing: true, pause: None }
}

/// There was no answer.
fn unreachable(error: reqwest::Error) -> Refusal {
    passing(error.to_string())
}

fn refused(status: Status) -> Refusal {
    let passing = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::Unauthenticated => false,
    };
    Refusal { said: format!("the collector answers {:?}: {}", status.code(), status.message()), passing, pause: None }
}

/// Messages are bytes already, and nobody reads the answers.
#[derive(Debug, Clone, Copy)]
struct Written;

impl Codec for Written {
    type Encode = Bytes;
    type Decode = ();
    type Encoder = Written;
    type Decoder = Written;

    fn encoder(&mut self) -> Written {
        Written
    }

    fn decoder(&mut self) -> Written {
        Written
    }
}

impl Encoder for Written {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Written {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, answer: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        answer.advance(answer.remaining());
        Ok(Some(()))
    }
}
