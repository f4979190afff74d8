//! Connections: accepted on our own loop, so that every limit of time and size is really on; stopped with a bound.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::cut::Cut;
use super::head_watch::{HeadWatch, Watched};
use super::{Gateway, ResponseBody, dispatch};

/// From the first byte of a head (of a connection's first one: from its beginning) to its end.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a connection may rest between two requests. Longer than the clients' own pools keep theirs, so that it is they
/// who close.
const REST_TIME: Duration = Duration::from_secs(75);
/// Most bytes of a head, and of what is read ahead.
const BUFFER: usize = 64 << 10;
/// After an error of `accept` (no file descriptors left): long enough not to spin, short enough not to matter.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const BACKLOG: u32 = 1024;
/// How long an answer that is cut off may take to say so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Opens a listening socket.
///
/// # Errors
/// The address is in use or not ours.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for the old connections' time-wait.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A listener that is being served.
pub struct Serving {
    pub address: SocketAddr,
    /// Stops accepting, and asks every connection to end after its present request.
    stop: watch::Sender<Phase>,
    /// Closed when the last connection has ended.
    done: tokio::sync::mpsc::Receiver<std::convert::Infallible>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serve,
    Drain,
    Abort,
}

/// Serves a listener until it is told to stop.
pub fn serve(gateway: Arc<Gateway>, listener: TcpListener, connections: Arc<Semaphore>) -> io::Result<Serving> {
    let address = listener.local_addr()?;
    let (stop, phase) = watch::channel(Phase::Serve);
    let (alive, done) = tokio::sync::mpsc::channel(1);
    let accepting = tokio::spawn(accept(Acceptor { gateway, listener, connections, phase, alive }));
    Ok(Serving { address, stop, done, accepting })
}

impl Serving {
    /// Stops accepting and waits until every request in flight is answered, at most for `limit`; then closes the rest.
    pub async fn drain(mut self, limit: Duration) {
        self.stop.send_replace(Phase::Drain);
        if tokio::time::timeout(limit, self.done.recv()).await.is_err() {
            warn!(address = %self.address, "requests still in flight after {limit:?} are cut off");
        }
        self.abort().await;
    }

    /// Closes everything now; what is being answered has a second to say so.
    pub async fn abort(mut self) {
        self.stop.send_replace(Phase::Abort);
        self.accepting.abort();
        self.done.recv().await;
    }
}

struct Acceptor {
    gateway: Arc<Gateway>,
    listener: TcpListener,
    connections: Arc<Semaphore>,
    phase: watch::Receiver<Phase>,
    alive: tokio::sync::mpsc::Sender<std::convert::Infallible>,
}

async fn accept(mut acceptor: Acceptor) {
    loop {
        // A permit first: beyond the limit, callers wait in the kernel's queue.
        let Ok(permit) = Arc::clone(&acceptor.connections).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = acceptor.listener.accept() => accepted,
            _ = acceptor.phase.changed() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = Connection { permit, alive: acceptor.alive.clone(), phase: acceptor.phase.clone() };
                tokio::spawn(serve_connection(Arc::clone(&acceptor.gateway), stream, peer, connection));
            }
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What a connection holds until it ends.
struct Connection {
    #[expect(dead_code, reason = "held, not read: it is the connection's place under the limit")]
    permit: OwnedSemaphorePermit,
    #[expect(dead_code, reason = "held, not read: the drain waits until all of these are gone")]
    alive: tokio::sync::mpsc::Sender<std::convert::Infallible>,
    phase: watch::Receiver<Phase>,
}

async fn serve_connection(gateway: Arc<Gateway>, stream: TcpStream, peer: SocketAddr, mut connection: Connection) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "no TCP_NODELAY");
    }
    // Boxed: a connection that waits or streams need not keep room for a request's whole way.
    let (watch, cut) = (HeadWatch::new(), Arc::new(Cut::default()));
    let (seen, ends) = (Arc::clone(&watch), Arc::clone(&cut));
    let service = service_fn(move |request| {
        let (gateway, seen, ends) = (Arc::clone(&gateway), Arc::clone(&seen), Arc::clone(&ends));
        seen.request_begins();
        Box::pin(async move {
            let mut response = dispatch::handle(&gateway, request, peer, &ends).await;
            if let ResponseBody::Stream(stream) = response.body_mut() {
                stream.ends_with(ends);
            }
            seen.request_ends();
            Ok::<_, std::convert::Infallible>(response)
        })
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(REST_TIME).max_buf_size(BUFFER);
    let io = TokioIo::new(Watched { stream, watch: Arc::clone(&watch) });
    let mut serving = std::pin::pin!(builder.serve_connection(io, service));
    let mut check = std::pin::pin!(tokio::time::sleep(HEAD_TIME));
    loop {
        tokio::select! {
            // Nearly every wake-up is for the exchange; without an order each would first draw a random number.
            biased;
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    debug!(%peer, %error, "connection ended");
                }
                return;
            }
            () = check.as_mut() => {
                if watch.age().is_some_and(|age| age >= HEAD_TIME) {
                    debug!(%peer, "a head took too long");
                    return;
                }
                check.as_mut().reset(tokio::time::Instant::now() + HEAD_TIME / 2);
            }
            phase = next_phase(&mut connection.phase) => match phase {
                Phase::Drain => serving.as_mut().graceful_shutdown(),
                Phase::Serve => {}
                Phase::Abort => {
                    cut.make();
                    serving.as_mut().graceful_shutdown();
                    if tokio::time::timeout(LAST_WORDS, serving).await.is_err() {
                        debug!(%peer, "cut off in the middle of an answer");
                    }
                    return;
                }
            },
        }
    }
}

/// The phase after the next change of it. A listener that is gone says nothing more, so its connections end.
async fn next_phase(phase: &mut watch::Receiver<Phase>) -> Phase {
    match phase.changed().await {
        Ok(()) => *phase.borrow(),
        Err(_) => Phase::Abort,
    }
}
