//! New connections: a name is looked up, TCP and perhaps TLS are opened, all of it within a limit.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use super::body::text;
use super::connection::Connection;
use super::patient::BoxError;
use super::pool::SendError;
use crate::provider::metadata;

const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Opens TCP connections.
pub(super) type Plain = HttpConnector<Names>;
/// Opens TLS connections.
pub(super) type Tls = HttpsConnector<Plain>;

pub(super) fn plain() -> Plain {
    let mut http = HttpConnector::new_with_resolver(Names(GaiResolver::new()));
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(TCP_KEEPALIVE));
    http
}

/// Trusts the system's roots; the embedded ones where the system has none (a container from scratch).
///
/// # Errors
/// TLS cannot be set up.
pub(super) fn tls() -> Result<Tls, String> {
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
    let https = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1();
    Ok(https.wrap_connector(plain()))
}

/// Opens one connection; `limit` is for TCP and TLS together.
///
/// # Errors
/// No connection, or none in time.
pub(super) async fn open<C>(connector: C, address: Uri, limit: Duration) -> Result<Connection, SendError>
where
    C: Service<Uri>,
    C::Response: hyper::rt::Read + hyper::rt::Write + Unpin + Send + Sync + 'static,
    C::Error: Into<BoxError>,
{
    let opened = tokio::time::timeout(limit, reach(connector, address)).await;
    let stream = opened.map_err(|_| SendError::ConnectTimeout(limit))?;
    let stream = stream.map_err(|error| SendError::Connect(text(&*error)))?;
    Connection::over(stream).await.map_err(|error| SendError::Connect(text(&error)))
}

async fn reach<C>(mut connector: C, address: Uri) -> Result<C::Response, BoxError>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
{
    poll_fn(|cx| connector.poll_ready(cx)).await.map_err(Into::into)?;
    connector.call(address).await.map_err(Into::into)
}

/// Looks up names. What a name leads to is only known here, and only now: no name leads to a metadata service, whatever its
/// spelling (`2852039166` is a name, too, and an address to the system).
#[derive(Clone)]
pub(super) struct Names(GaiResolver);

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
