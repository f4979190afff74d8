//! The client of the hot path: pooled HTTP/1.1 connections with TCP_NODELAY, no redirects, no proxy, no decompression.
//!
//! One connection carries one answer at a time. HTTP/2 would share flow control between streams, so that a few callers
//! that stop reading freeze the others.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

use super::body::text;
use super::patient::{BoxError, Patient};
use super::pieces::Pieces;
use crate::provider::metadata;

/// Below the shortest idle limit of the providers, so that it is us who close.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_PER_HOST: usize = 1024;
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

type Connector = HttpConnector<Names>;
type PlainClient = Client<Timed<Connector>, RequestBody>;
type TlsClient = Client<Timed<HttpsConnector<Connector>>, RequestBody>;

/// Every upstream connection. Shared by all generations, so that a reload closes none.
///
/// The pools are kept by connect timeout; within one, hyper keeps hosts apart.
#[derive(Clone, Default)]
pub struct Pools {
    plain: HashMap<Duration, PlainClient>,
    /// Only where some provider is reached over TLS: reading the system's roots costs memory.
    tls: HashMap<Duration, TlsClient>,
    tls_config: Option<rustls::ClientConfig>,
}

/// What a request carries.
enum RequestBody {
    Pieces(Pieces),
    /// Boxed: it is rare, and hyper keeps room for many requests.
    Upload(Box<Patient<Incoming>>),
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            RequestBody::Pieces(pieces) => {
                Pin::new(pieces).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
            RequestBody::Upload(body) => Pin::new(body.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Pieces(pieces) => pieces.is_end_stream(),
            RequestBody::Upload(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Pieces(pieces) => pieces.size_hint(),
            RequestBody::Upload(body) => body.size_hint(),
        }
    }
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing was sent: free to try elsewhere.
    #[error("{0}")]
    Connect(String),
    #[error("no connection within {} ms", .0.as_millis())]
    ConnectTimeout(Duration),
    /// The connection broke before an answer.
    #[error("{0}")]
    Broken(String),
}

impl Pools {
    /// These pools, and one for each of `connect_timeouts`. TLS roots are read once, when something first needs them.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn with(&self, connect_timeouts: impl IntoIterator<Item = Duration>, tls: bool) -> Result<Pools, String> {
        let mut pools = self.clone();
        if tls && pools.tls_config.is_none() {
            pools.tls_config = Some(tls_config()?);
        }
        for limit in connect_timeouts {
            pools.plain.entry(limit).or_insert_with(|| client(Timed { inner: http_connector(), limit }));
            if let Some(config) = &pools.tls_config {
                pools.tls.entry(limit).or_insert_with(|| client(Timed { inner: tls_connector(config), limit }));
            }
        }
        Ok(pools)
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// No connection, or one that broke before an answer came.
    pub async fn send(
        &self,
        request: Request<Pieces>,
        connect_timeout: Duration,
    ) -> Result<Response<Incoming>, SendError> {
        self.exchange(request.map(RequestBody::Pieces), connect_timeout).await
    }

    /// As [`Pools::send`], with a body that is still on its way here.
    ///
    /// # Errors
    /// As there; also where the body does not come.
    pub async fn upload(
        &self,
        request: Request<Patient<Incoming>>,
        connect_timeout: Duration,
    ) -> Result<Response<Incoming>, SendError> {
        self.exchange(request.map(|body| RequestBody::Upload(Box::new(body))), connect_timeout).await
    }

    async fn exchange(
        &self,
        request: Request<RequestBody>,
        connect_timeout: Duration,
    ) -> Result<Response<Incoming>, SendError> {
        let answer = if request.uri().scheme() == Some(&http::uri::Scheme::HTTPS) {
            self.tls.get(&connect_timeout).map(|client| client.request(request))
        } else {
            self.plain.get(&connect_timeout).map(|client| client.request(request))
        };
        match answer {
            Some(answer) => answer.await.map_err(|error| classify(&error)),
            None => Err(SendError::Connect("this target was not prepared for".to_owned())),
        }
    }
}

fn classify(error: &hyper_util::client::legacy::Error) -> SendError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(Late(timeout)) = inner.downcast_ref::<Late>() {
            return SendError::ConnectTimeout(*timeout);
        }
        cause = inner.source();
    }
    if error.is_connect() { SendError::Connect(text(error)) } else { SendError::Broken(text(error)) }
}

fn http_connector() -> Connector {
    let mut http = HttpConnector::new_with_resolver(Names(GaiResolver::new()));
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(TCP_KEEPALIVE));
    http
}

fn tls_connector(config: &rustls::ClientConfig) -> HttpsConnector<Connector> {
    hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config.clone())
        .https_only()
        .enable_http1()
        .wrap_connector(http_connector())
}

fn client<C>(connector: C) -> Client<C, RequestBody>
where
    C: Connect + Clone,
{
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .build(connector)
}

/// The system's roots; the embedded ones where the system has none (a container from scratch).
fn tls_config() -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = || {
        rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))
    };
    let config = match builder()?.with_native_roots() {
        Ok(native) => native.with_no_client_auth(),
        Err(_) => builder()?.with_webpki_roots().with_no_client_auth(),
    };
    Ok(config)
}

/// Looks up names. What a name leads to is only known here, and only now: no name leads to a metadata service, whatever its
/// spelling (`2852039166` is a name, too, and an address to the system).
#[derive(Clone)]
struct Names(GaiResolver);

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let lookup = self.0.call(name);
        Box::pin(async move {
            let allowed: Vec<SocketAddr> =
                lookup.await?.filter(|address| !metadata::is_address(address.ip())).collect();
            if allowed.is_empty() {
                return Err(std::io::Error::other(
                    "the name leads to a cloud's metadata service, where no provider may be",
                ));
            }
            Ok(allowed.into_iter())
        })
    }
}

/// A connector with a limit over TCP and TLS together.
#[derive(Clone)]
struct Timed<C> {
    inner: C,
    limit: Duration,
}

/// The connect timeout, as a cause inside hyper's error.
#[derive(Debug, thiserror::Error)]
#[error("connecting took longer than {} ms", .0.as_millis())]
struct Late(Duration);

impl<C> Service<Uri> for Timed<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Response: Send,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = self.limit;
        let connecting = self.inner.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(stream) => stream.map_err(Into::into),
                Err(_) => Err(Late(limit).into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_name_leads_to_a_metadata_service() {
        let look_up = async |name: &str| Names(GaiResolver::new()).call(name.parse().unwrap()).await;
        // The system takes numbers for addresses, in every base.
        for name in ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"] {
            let problem = look_up(name).await.err().unwrap_or_else(|| panic!("{name} is let through"));
            assert!(problem.to_string().contains("metadata service"), "{name}: {problem}");
        }
        let own: Vec<SocketAddr> = look_up("2130706433").await.unwrap().collect();
        assert!(own.iter().any(|address| address.ip().is_loopback()), "{own:?}");
    }
}
