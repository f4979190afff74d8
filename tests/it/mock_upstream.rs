//! A scripted upstream. It speaks Chat Completions, Responses, Messages and generateContent over raw TCP, so that it can also
//! misbehave in every way that TCP and HTTP allow, and it records every request that it got.
//!
//! What a good answer says is driven by a keyword in the request (`case:tools`, see [`dialect::Case`]); what goes wrong is
//! driven by the [`Act`]s that the test gives.

pub(crate) mod act;
pub(crate) mod chat;
mod converse;
pub(crate) mod dialect;
pub(crate) mod gemini;
pub(crate) mod http;
pub(crate) mod messages;
pub(crate) mod pack;
pub(crate) mod responses;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) use act::Act;
use http::{Inbox, Request};

/// One request as it arrived, and how its connection ended.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) request: Request,
    /// Number of the connection that carried it, from 0.
    pub(crate) connection: usize,
    pub(crate) received: Instant,
    /// When the other side closed before the answer was complete.
    pub(crate) hung_up: Option<Instant>,
    /// The answer (or the fault) was played to its end.
    pub(crate) finished: bool,
}

#[derive(Default)]
struct Shared {
    acts: VecDeque<Act>,
    records: Vec<Recorded>,
}

/// A running upstream; it stops when dropped.
pub(crate) struct MockUpstream {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    acceptor: JoinHandle<()>,
}

impl MockUpstream {
    /// Answers every request well.
    pub(crate) async fn good() -> MockUpstream {
        MockUpstream::start([Act::Answer]).await
    }

    /// Plays one act for each request, in order; the last one for all that follow.
    pub(crate) async fn start(acts: impl IntoIterator<Item = Act>) -> MockUpstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Mutex::new(Shared { acts: acts.into_iter().collect(), records: Vec::new() }));
        let acceptor = tokio::spawn(accept(listener, shared.clone()));
        MockUpstream { address, shared, acceptor }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL of each protocol, as the vendor's SDK takes it.
    pub(crate) fn base_url(&self, protocol: &str) -> String {
        match protocol {
            "openai-chat" | "openai-responses" => format!("http://{}/v1", self.address),
            _ => format!("http://{}", self.address),
        }
    }

    /// What has arrived so far.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.shared.lock().unwrap().records.clone()
    }

    /// The only request that arrived.
    pub(crate) fn only_request(&self) -> Recorded {
        let records = self.requests();
        assert_eq!(records.len(), 1, "the upstream should have got one request, got {records:#?}");
        records.into_iter().next().unwrap()
    }

    /// Waits until `count` requests have arrived.
    pub(crate) async fn wait_for_requests(&self, count: usize) {
        self.wait("requests", |records| records.len() >= count).await;
    }

    /// Waits until the caller of the request number `index` has hung up, and says when it did.
    pub(crate) async fn wait_for_hang_up(&self, index: usize) -> Instant {
        self.wait("a hang-up", |records| records.get(index).is_some_and(|record| record.hung_up.is_some())).await;
        self.requests()[index].hung_up.unwrap()
    }

    async fn wait(&self, what: &str, done: impl Fn(&[Recorded]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !done(&self.shared.lock().unwrap().records) {
            assert!(Instant::now() < deadline, "the upstream waited 10 s for {what}: {:#?}", self.requests());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for MockUpstream {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    // Owned by the acceptor: when it is aborted, its connections are closed too.
    let mut connections = tokio::task::JoinSet::new();
    for number in 0.. {
        let Ok((stream, _)) = listener.accept().await else { return };
        connections.spawn(serve(stream, number, shared.clone()));
    }
}

async fn serve(mut stream: TcpStream, connection: usize, shared: Arc<Mutex<Shared>>) {
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let mut inbox = Inbox::default();
    while let Ok(Some(request)) = inbox.read_request(&mut stream).await {
        let (index, act) = record(&shared, &request, connection);
        let keep_alive = {
            let (mut reader, mut writer) = stream.split();
            tokio::select! {
                keep = act::play(&act, &request, &mut writer) => Some(keep),
                () = inbox.closed(&mut reader) => None,
            }
        };
        {
            let record = &mut shared.lock().unwrap().records[index];
            match keep_alive {
                Some(_) => record.finished = true,
                None => record.hung_up = Some(Instant::now()),
            }
        }
        match keep_alive {
            Some(act::After::KeepAlive) => {}
            Some(act::After::Reset) => {
                stream.set_zero_linger().expect("SO_LINGER");
                return;
            }
            Some(act::After::Close) | None => return,
        }
    }
}

fn record(shared: &Mutex<Shared>, request: &Request, connection: usize) -> (usize, Act) {
    let mut shared = shared.lock().unwrap();
    let act = match shared.acts.len() {
        0 => Act::Answer,
        1 => shared.acts[0].clone(),
        _ => shared.acts.pop_front().unwrap(),
    };
    let record =
        Recorded { request: request.clone(), connection, received: Instant::now(), hung_up: None, finished: false };
    shared.records.push(record);
    (shared.records.len() - 1, act)
}

/// A port that refuses connections: it is taken, so that nobody else gets it, and nobody listens there.
pub(crate) struct Refused(tokio::net::TcpSocket);

impl Refused {
    pub(crate) fn new() -> Refused {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Refused(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// A port whose accept queue is full: connecting to it hangs until a timeout.
pub(crate) struct BlackHole {
    address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    pub(crate) async fn start() -> BlackHole {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            queued.push(stream);
        }
        BlackHole { address, _listener: listener, _queued: queued }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that somebody is trying to open, as the kernel counts them.
    pub(crate) fn pending_connections(&self) -> usize {
        const SYN_SENT: &str = "02";
        let port = format!(":{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let pending = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.len() > 3 && fields[2].ends_with(&port) && fields[3] == SYN_SENT
        };
        table.lines().filter(pending).count()
    }
}

#[tokio::test]
async fn a_black_hole_lets_nobody_in() {
    let hole = BlackHole::start().await;
    let connect = TcpStream::connect(hole.address());
    assert!(tokio::time::timeout(Duration::from_millis(300), connect).await.is_err());
}
