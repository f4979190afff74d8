//! The connections to one origin (scheme, host, port): those that rest, and the requests that wait for one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::connection::Connection;
use super::pool::{RequestBody, SendError};

/// How long a connection may rest. Below the shortest idle limit of the providers, so that it is us who close.
pub(super) const IDLE: Duration = Duration::from_secs(30);
/// Most connections that rest.
const RESTING: usize = 1024;

/// Where requests go, and the connections there.
#[derive(Debug)]
pub(super) struct Origin {
    /// Scheme and authority.
    pub(super) address: Uri,
    /// The `Host` of its requests: without the port, where that is the scheme's own.
    host: HeaderValue,
    state: Mutex<State>,
}

/// Held under a lock for as long as it takes to push or to pop.
#[derive(Debug, Default)]
struct State {
    /// Oldest first. The newest is taken, so that those which are not needed grow old and are closed.
    resting: VecDeque<Resting>,
    /// Whoever has found none that rests. What is free first is theirs, be it new or used.
    waiting: VecDeque<oneshot::Sender<Connection>>,
}

#[derive(Debug)]
struct Resting {
    connection: Connection,
    since: Instant,
}

impl Origin {
    /// # Errors
    /// An address that cannot be the `Host` of a request.
    pub(super) fn new(scheme: Scheme, authority: &Authority) -> Result<Origin, SendError> {
        let standard = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let host = match authority.port_u16() {
            Some(port) if port != standard => HeaderValue::try_from(format!("{}:{port}", authority.host())),
            _ => HeaderValue::from_str(authority.host()),
        };
        let address = Uri::builder().scheme(scheme).authority(authority.clone()).path_and_query("/").build();
        match (host, address) {
            (Ok(host), Ok(address)) => Ok(Origin { address, host, state: Mutex::default() }),
            _ => Err(SendError::Connect(format!("`{authority}` is no host"))),
        }
    }

    /// The request as it stands on a connection: a path for an address, and the host in a header.
    pub(super) fn place(&self, request: &mut Request<RequestBody>) {
        let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(path);
        request.headers_mut().entry(http::header::HOST).or_insert_with(|| self.host.clone());
    }

    /// The connection that has rested shortest.
    pub(super) fn take(&self) -> Option<Connection> {
        loop {
            let Resting { mut connection, since } = self.lock().resting.pop_back()?;
            // What the upstream has closed meanwhile is not free.
            if since.elapsed() < IDLE && connection.is_free() {
                return Some(connection);
            }
        }
    }

    /// The next connection that is free.
    pub(super) fn wait(&self) -> oneshot::Receiver<Connection> {
        let (waiting, free) = oneshot::channel();
        let mut state = self.lock();
        // Those whose requests have ended, or have got a connection of their own.
        state.waiting.retain(|waiting| !waiting.is_closed());
        state.waiting.push_back(waiting);
        free
    }

    /// A connection that is free: for who waits longest, or to rest.
    pub(super) fn give(&self, mut connection: Connection) {
        loop {
            let waiting = {
                let mut state = self.lock();
                match state.waiting.pop_front() {
                    Some(waiting) => waiting,
                    None => {
                        if state.resting.len() < RESTING {
                            state.resting.push_back(Resting { connection, since: Instant::now() });
                        }
                        return;
                    }
                }
            };
            match waiting.send(connection) {
                Ok(()) => return,
                Err(unwanted) => connection = unwanted,
            }
        }
    }

    /// Closes what has rested for too long. Whether nothing is left.
    pub(super) fn close_old(&self) -> bool {
        let mut state = self.lock();
        state.resting.retain_mut(|resting| resting.since.elapsed() < IDLE && resting.connection.is_free());
        state.resting.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::pieces::Pieces;
    use super::*;

    fn origin(scheme: Scheme, authority: &str) -> Origin {
        Origin::new(scheme, &authority.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_request_names_its_host_as_the_address_does() {
        let head = |origin: &Origin, uri: &str| {
            let mut request = Request::new(RequestBody::Pieces(Pieces::default()));
            *request.uri_mut() = uri.parse().unwrap();
            origin.place(&mut request);
            format!("{} {}", request.uri(), request.headers()["host"].to_str().unwrap())
        };
        let https = origin(Scheme::HTTPS, "api.example.com:443");
        assert_eq!(head(&https, "https://api.example.com:443/v1/x?y=z"), "/v1/x?y=z api.example.com");
        assert_eq!(head(&https, "https://api.example.com"), "/ api.example.com");
        assert_eq!(head(&origin(Scheme::HTTP, "[::1]:443"), "http://[::1]:443/v1"), "/v1 [::1]:443");
        assert_eq!(head(&origin(Scheme::HTTP, "u:p@h:80"), "http://u:p@h:80/v1"), "/v1 h");
    }

    /// A connection, and its other end, which nobody reads.
    async fn connection() -> (Connection, tokio::io::DuplexStream) {
        let (near, far) = tokio::io::duplex(1 << 10);
        (Connection::over(hyper_util::rt::TokioIo::new(near)).await.unwrap(), far)
    }

    #[tokio::test(start_paused = true)]
    async fn connections_rest_in_order_and_not_for_long() {
        let origin = origin(Scheme::HTTP, "up:80");
        assert!(origin.take().is_none());
        let (first, _far) = connection().await;
        let (second, far) = connection().await;
        origin.give(first);
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        origin.give(second);
        let newest = origin.take().unwrap();
        origin.give(newest);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!origin.close_old(), "the newer one may stay");
        drop(far);
        assert!(origin.take().is_none(), "the newer one is closed, the older one too old");
        assert!(origin.close_old());
    }

    #[tokio::test]
    async fn who_waits_longest_is_served_first() {
        let origin = origin(Scheme::HTTP, "up:80");
        let (left, mut waits) = (origin.wait(), origin.wait());
        drop(left);
        let (connection, _far) = connection().await;
        origin.give(connection);
        assert!(waits.try_recv().is_ok(), "it was given to nobody");
        assert!(origin.take().is_none());
    }
}
