//! The client of the hot path: pooled HTTP/1.1 connections with TCP_NODELAY, no redirects, no proxy, no decompression.
//!
//! One connection carries one answer at a time. HTTP/2 would share flow control between streams, so that a few callers
//! that stop reading freeze the others.
//!
//! The pool stands on hyper's connections. hyper-util's own pool took a tenth of all instructions of a small call: it hashes
//! an origin three times, formats a `Host`, and starts a task for each answer; and its connections have tasks of their own.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::body::text;
use super::connect::{self, Plain, Tls};
use super::connection::Connection;
use super::lease::Leased;
use super::origin::{IDLE, Origin};
use super::patient::{BoxError, Patient};
use super::pieces::Pieces;

/// Every upstream connection. Shared by all generations, so that a reload closes none.
#[derive(Clone)]
pub struct Pools(Arc<Shared>);

struct Shared {
    plain: Plain,
    /// Only where some provider is reached over TLS: reading the system's roots costs memory.
    tls: OnceLock<Tls>,
    origins: ArcSwap<Origins>,
    /// Whether somebody closes what rests for too long.
    swept: AtomicBool,
}

/// By authority.
#[derive(Clone, Default)]
struct Origins {
    plain: HashMap<Box<str>, Arc<Origin>>,
    tls: HashMap<Box<str>, Arc<Origin>>,
}

/// What a request carries.
pub(super) enum RequestBody {
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
    /// A connection that had carried something before broke before an answer: the upstream may have closed it while it rested,
    /// or may have got the request.
    #[error("{0}")]
    Stale(String),
    /// The connection broke before an answer.
    #[error("{0}")]
    Broken(String),
}

impl Default for Pools {
    fn default() -> Pools {
        let shared = Shared {
            plain: connect::plain(),
            tls: OnceLock::new(),
            origins: ArcSwap::default(),
            swept: AtomicBool::new(false),
        };
        Pools(Arc::new(shared))
    }
}

impl Pools {
    /// Makes TLS possible. Its roots are read once, when something first needs them.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn prepare_tls(&self) -> Result<(), String> {
        if self.0.tls.get().is_none() {
            let tls = connect::tls()?;
            // Whoever was quicker made the same.
            let _ = self.0.tls.set(tls);
        }
        Ok(())
    }

    /// Sends a request and waits for the head of the answer; a new connection may take `connect_timeout`.
    ///
    /// # Errors
    /// No connection, or one that broke before an answer came.
    pub async fn send(
        &self,
        request: Request<Pieces>,
        connect_timeout: Duration,
    ) -> Result<Response<Leased>, SendError> {
        self.exchange(request.map(RequestBody::Pieces), connect_timeout).await
    }

    /// As [`Pools::send`], by a new connection: for what a used one has broken under.
    ///
    /// # Errors
    /// As there; never [`SendError::Stale`].
    pub async fn send_anew(
        &self,
        request: Request<Pieces>,
        connect_timeout: Duration,
    ) -> Result<Response<Leased>, SendError> {
        let mut request = request.map(RequestBody::Pieces);
        let origin = self.origin(request.uri())?;
        origin.place(&mut request);
        let mut connection = self.open(&origin, connect_timeout)?.await?;
        match connection.exchange(request).await {
            Ok(response) => Ok(Leased::by(connection, origin, response)),
            Err(error) => Err(broken(&error.into_error(), false)),
        }
    }

    /// As [`Pools::send`], for what may be asked twice without harm.
    ///
    /// # Errors
    /// As there; never [`SendError::Stale`].
    pub async fn send_repeatable(
        &self,
        request: Request<Pieces>,
        connect_timeout: Duration,
    ) -> Result<Response<Leased>, SendError> {
        let again = request.clone();
        match self.send(request, connect_timeout).await {
            Err(SendError::Stale(_)) => self.send_anew(again, connect_timeout).await,
            sent => sent,
        }
    }

    /// As [`Pools::send`], for a request without a body. What only reads is asked again where a used connection has broken
    /// under it. What changes something goes by a new connection from the start: sent twice, a deletion that had gone
    /// through would be answered with "not found".
    ///
    /// # Errors
    /// As there; never [`SendError::Stale`].
    pub async fn send_bare(
        &self,
        request: Request<Pieces>,
        connect_timeout: Duration,
    ) -> Result<Response<Leased>, SendError> {
        match request.method().is_safe() {
            true => self.send_repeatable(request, connect_timeout).await,
            false => self.send_anew(request, connect_timeout).await,
        }
    }

    /// As [`Pools::send`], with a body that is still on its way here.
    ///
    /// # Errors
    /// As there; also where the body does not come.
    pub async fn upload(
        &self,
        request: Request<Patient<Incoming>>,
        connect_timeout: Duration,
    ) -> Result<Response<Leased>, SendError> {
        self.exchange(request.map(|body| RequestBody::Upload(Box::new(body))), connect_timeout).await
    }

    async fn exchange(
        &self,
        mut request: Request<RequestBody>,
        connect_timeout: Duration,
    ) -> Result<Response<Leased>, SendError> {
        let origin = self.origin(request.uri())?;
        origin.place(&mut request);
        loop {
            let (mut connection, used) = match origin.take() {
                Some(connection) => (connection, true),
                None => Box::pin(self.free(&origin, connect_timeout)).await?,
            };
            match connection.exchange(request).await {
                Ok(response) => return Ok(Leased::by(connection, origin, response)),
                // The upstream has closed a connection that rested, at the moment in which it was taken: nothing was sent.
                Err(mut error) => match error.take_message().filter(|_| used) {
                    Some(unsent) => request = unsent,
                    None => return Err(broken(&error.into_error(), used)),
                },
            }
        }
    }

    /// The connection that is free first, a new one or one that has carried something.
    async fn free(&self, origin: &Arc<Origin>, limit: Duration) -> Result<(Connection, bool), SendError> {
        let mut freed = origin.wait();
        let mut opening = Box::pin(self.open(origin, limit)?);
        tokio::select! {
            biased;
            Ok(connection) = &mut freed => {
                // The new one is for the next request, so that none was opened for nothing.
                let origin = Arc::clone(origin);
                tokio::spawn(async move {
                    if let Ok(connection) = opening.await {
                        origin.give(connection);
                    }
                });
                Ok((connection, true))
            }
            opened = &mut opening => {
                freed.close();
                if let Ok(other) = freed.try_recv() {
                    origin.give(other);
                }
                opened.map(|connection| (connection, false))
            }
        }
    }

    fn open(
        &self,
        origin: &Origin,
        limit: Duration,
    ) -> Result<impl Future<Output = Result<Connection, SendError>> + Send + use<>, SendError> {
        self.sweep();
        let address = origin.address.clone();
        let is_tls = address.scheme() == Some(&Scheme::HTTPS);
        let plain = self.0.plain.clone();
        let tls = self.0.tls.get().filter(|_| is_tls).cloned();
        if is_tls && tls.is_none() {
            return Err(SendError::Connect("this target was not prepared for".to_owned()));
        }
        Ok(async move {
            match tls {
                Some(tls) => connect::open(tls, address, limit).await,
                None => connect::open(plain, address, limit).await,
            }
        })
    }

    /// The origin of an address.
    fn origin(&self, uri: &Uri) -> Result<Arc<Origin>, SendError> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(SendError::Connect(format!("`{uri}` is no address")));
        };
        let is_tls = *scheme == Scheme::HTTPS;
        let known = self.0.origins.load();
        let known = if is_tls { &known.tls } else { &known.plain };
        if let Some(origin) = known.get(authority.as_str()) {
            return Ok(Arc::clone(origin));
        }
        let new = Arc::new(Origin::new(scheme.clone(), authority)?);
        let mut found = Arc::clone(&new);
        self.0.origins.rcu(|origins| {
            let mut origins = Origins::clone(origins);
            let of_scheme = if is_tls { &mut origins.tls } else { &mut origins.plain };
            found = Arc::clone(of_scheme.entry(authority.as_str().into()).or_insert_with(|| Arc::clone(&new)));
            origins
        });
        Ok(found)
    }

    /// Sees to it that connections which rest for too long are closed, for as long as anybody has these pools.
    fn sweep(&self) {
        if self.0.swept.swap(true, Ordering::Relaxed) {
            return;
        }
        let pools = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(IDLE).await;
                let Some(shared) = pools.upgrade() else { return };
                shared.close_old();
            }
        });
    }
}

/// `used`: the connection had carried something before. What the upstream has answered, however badly, was not stale.
fn broken(error: &hyper::Error, used: bool) -> SendError {
    match used && !error.is_parse() && !error.is_user() {
        true => SendError::Stale(text(error)),
        false => SendError::Broken(text(error)),
    }
}

impl Shared {
    /// Closes what has rested for too long, and forgets origins without connections.
    fn close_old(&self) {
        // Nobody else has an origin of which there is one reference.
        let is_left = |origin: &mut Arc<Origin>| !origin.close_old() || Arc::strong_count(origin) > 2;
        self.origins.rcu(|origins| {
            let mut origins = Origins::clone(origins);
            origins.plain.retain(|_, origin| is_left(origin));
            origins.tls.retain(|_, origin| is_left(origin));
            origins
        });
    }
}
