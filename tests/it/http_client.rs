//! A client over raw TCP: it sees every byte of an answer, tells a clean end from a cut one, and leaves when it wants.

use std::net::SocketAddr;
use std::time::Duration;

use routeplane::wire::frame::{Decoder, Frame, Framing};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::mock_upstream::http::{Inbox, parse_head};

/// No answer in a test takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A whole answer.
#[derive(Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// In order, names as they were sent.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The framing's own end was there (the length was reached, or the last chunk arrived).
    pub(crate) complete: bool,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// The data of every SSE event, in order.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = self.text().replace("\r\n", "\n");
        text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
    }

    /// The SSE events that are JSON (`[DONE]` is not). A message of an event stream is an object with one member, which has
    /// the event's name.
    pub(crate) fn json_events(&self) -> Vec<Value> {
        // The length of a message never takes all of its four bytes.
        if self.body.first() == Some(&0) {
            let mut events = Vec::new();
            let mut each = |frame: Frame<'_>| {
                let data: Value = serde_json::from_str(frame.data).unwrap();
                events.push(serde_json::json!({ frame.event: data }));
            };
            Decoder::new(Framing::EventStream, 1 << 24).push(&self.body, &mut each).unwrap();
            return events;
        }
        self.events().iter().filter_map(|event| serde_json::from_str(event).ok()).collect()
    }

    #[track_caller]
    pub(crate) fn expect_status(self, status: u16) -> Response {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "HTTP {} (complete: {})", self.status, self.complete)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        write!(f, "\n{}", self.text().chars().take(4000).collect::<String>())
    }
}

/// A connection to the gateway.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    inbox: Inbox,
}

/// An answer whose head has arrived.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).await.expect("the server accepts connections");
        stream.set_nodelay(true).unwrap();
        Connection { stream, inbox: Inbox::default() }
    }

    /// Sends a request with a body; `host` and `content-length` are added, and `content-type` where none is given.
    pub(crate) async fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) {
        let given = |name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        let mut text = format!("{method} {target} HTTP/1.1\r\n");
        if !given("host") {
            text.push_str(&format!("host: {}\r\n", self.stream.peer_addr().unwrap()));
        }
        if method != "GET" && !given("content-type") {
            text.push_str("content-type: application/json\r\n");
        }
        if method != "GET" && !given("content-length") && !given("transfer-encoding") {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        self.send_raw(&[text.as_bytes(), body].concat()).await;
    }

    /// Sends bytes as they are. A server that has already answered and closed is no failure here.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Reads the head of an answer, interim ones left out.
    pub(crate) async fn head(&mut self) -> Head {
        loop {
            let text = within(self.inbox.read_head(&mut self.stream)).await.expect("a head").expect("an answer");
            let (line, headers) = parse_head(&text);
            let status: u16 = line.split(' ').nth(1).unwrap_or_default().parse().expect("a status");
            if status >= 200 {
                return Head { status, headers };
            }
        }
    }

    /// Reads the body that belongs to `head`.
    pub(crate) async fn body(&mut self, head: Head) -> Response {
        let mut body = Vec::new();
        let mut complete = true;
        if head.header("transfer-encoding").is_some() {
            loop {
                match within(self.inbox.read_chunk(&mut self.stream)).await {
                    Ok(Some(chunk)) => body.extend(chunk),
                    Ok(None) => break,
                    Err(_) => {
                        complete = false;
                        break;
                    }
                }
            }
        } else if let Some(length) = head.header("content-length") {
            match within(self.inbox.take(&mut self.stream, length.parse().unwrap())).await {
                Ok(bytes) => body = bytes,
                Err(_) => complete = false,
            }
        } else {
            body = within(self.inbox.rest(&mut self.stream)).await.unwrap_or_default();
        }
        Response { status: head.status, headers: head.headers, body, complete }
    }

    pub(crate) async fn response(&mut self) -> Response {
        let head = self.head().await;
        self.body(head).await
    }

    /// The next chunk of a streamed body; `None` after the last.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        within(self.inbox.read_chunk(&mut self.stream)).await.expect("a chunk")
    }

    /// `true` where the server closes (or resets) the connection without another byte.
    pub(crate) async fn is_closed_by_server(&mut self) -> bool {
        match timeout(Duration::from_secs(5), self.inbox.rest(&mut self.stream)).await {
            Ok(Ok(rest)) => rest.is_empty(),
            Ok(Err(_)) => true,
            Err(_) => false,
        }
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("an answer within 20 s")
}

/// One request on a connection of its own.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut connection = Connection::open(address).await;
    connection.send(method, target, headers, body).await;
    connection.response().await
}

/// `GET` on a connection of its own.
pub(crate) async fn get(address: SocketAddr, target: &str) -> Response {
    request(address, "GET", target, &[], b"").await
}

/// `POST` of JSON on a connection of its own.
pub(crate) async fn post(address: SocketAddr, target: &str, body: &Value) -> Response {
    request(address, "POST", target, &[], body.to_string().as_bytes()).await
}
