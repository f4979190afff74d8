//! The load client: a closed loop over keep-alive connections, raw HTTP, so that it costs little and sees every byte.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::scenario::Scenario;
use crate::{CONNECTIONS, process};

/// What one block measured.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) requests_per_second: f64,
    /// CPU time of the gateway per request, in microseconds.
    pub(crate) cpu: f64,
    /// From the request to the last byte, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// From the request to the first byte of the body, in microseconds.
    pub(crate) first_byte: f64,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>8.0} req/s  cpu {:>7.1} us  p50 {:>8.0} us  p99 {:>8.0} us  first byte {:>8.0} us",
            self.requests_per_second, self.cpu, self.p50, self.p99, self.first_byte
        )
    }
}

/// One answered request, in microseconds.
struct Sample {
    first_byte: f64,
    whole: f64,
}

/// Loads the gateway at `address` for `length`. `every`: how often each connection asks; `None`: as often as it is answered.
pub(crate) async fn block(
    (address, processes): (SocketAddr, &[u32]),
    scenario: &Scenario,
    every: Option<Duration>,
    length: Duration,
) -> Block {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(connect(address).await);
    }
    let (before, start) = (process::cpu_nanoseconds(processes), Instant::now());
    let end = start + length;
    let running: Vec<_> =
        clients.into_iter().map(|stream| closed_loop(stream, scenario.request.clone(), every, end)).collect();
    let running: Vec<_> = running.into_iter().map(tokio::spawn).collect();
    let mut samples = Vec::new();
    for client in running {
        samples.extend(client.await.expect("a client of the load"));
    }
    let (seconds, used) = (start.elapsed().as_secs_f64(), process::cpu_nanoseconds(processes) - before);
    summary(&samples, seconds, used)
}

#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of a block are far below 2^52")]
fn summary(samples: &[Sample], seconds: f64, cpu_nanoseconds: u64) -> Block {
    assert!(!samples.is_empty(), "no request was answered");
    let sorted = |of: fn(&Sample) -> f64| {
        let mut values: Vec<f64> = samples.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (whole, first) = (sorted(|sample| sample.whole), sorted(|sample| sample.first_byte));
    Block {
        requests_per_second: samples.len() as f64 / seconds,
        cpu: cpu_nanoseconds as f64 / 1000.0 / samples.len() as f64,
        p50: whole[whole.len() / 2],
        p99: whole[whole.len() * 99 / 100],
        first_byte: first[first.len() / 2],
    }
}

pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("the gateway accepts connections");
    stream.set_nodelay(true).unwrap();
    stream
}

async fn closed_loop(mut stream: TcpStream, request: Vec<u8>, every: Option<Duration>, end: Instant) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut buffer = Vec::with_capacity(64 << 10);
    let mut turns = every.map(tokio::time::interval);
    while Instant::now() < end {
        if let Some(turns) = &mut turns {
            // One that was missed is made up for, as long as the gateway can.
            turns.tick().await;
        }
        samples.push(exchange(&mut stream, &request, &mut buffer).await);
    }
    samples
}

/// Sends one request and reads its whole answer.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Sample {
    let start = Instant::now();
    let since = || start.elapsed().as_secs_f64() * 1e6;
    stream.write_all(request).await.expect("the gateway reads the request");
    buffer.clear();
    let mut first_byte = None;
    let mut head: Option<Head> = None;
    loop {
        let read = stream.read_buf(buffer).await.expect("the gateway answers");
        assert!(read > 0, "the gateway closed the connection: {}", String::from_utf8_lossy(buffer));
        head = head.or_else(|| Head::read(buffer));
        let Some(head) = &head else { continue };
        if buffer.len() > head.length {
            first_byte = first_byte.or_else(|| Some(since()));
        }
        if head.is_complete(buffer) {
            return Sample { first_byte: first_byte.unwrap_or_else(since), whole: since() };
        }
    }
}

/// What the client needs of an answer's head.
struct Head {
    length: usize,
    /// `None`: the body comes in chunks.
    content_length: Option<usize>,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Head> {
        let length = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&bytes[..length]).to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 200"), "not a success: {}", String::from_utf8_lossy(bytes));
        let content_length = text.split("content-length: ").nth(1);
        let content_length = content_length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        Some(Head { length, content_length })
    }

    fn is_complete(&self, bytes: &[u8]) -> bool {
        match self.content_length {
            Some(length) => bytes.len() >= self.length + length,
            None => bytes.ends_with(b"\r\n0\r\n\r\n"),
        }
    }
}
