//! Resident memory: idle, with idle streams, and after many reloads.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::servers::{Mock, Routeplane};
use crate::{Options, load, process, reloads, scenario};

const STREAMS: u64 = 2000;

/// A fresh Routeplane for each measure: what another one left must not count.
pub(crate) async fn report(mock: &Mock, options: &Options) {
    let routeplane = Routeplane::start(mock).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!("memory, idle: {} KiB", resident(&routeplane));
    idle_streams(&routeplane).await;
    if let Some(count) = options.reloads {
        reloads::memory(mock, count).await;
    }
    println!();
}

fn resident(routeplane: &Routeplane) -> u64 {
    process::resident_kib(routeplane.processes()[0])
}

async fn idle_streams(routeplane: &Routeplane) {
    let request = scenario::idle_stream().request;
    let before = resident(routeplane);
    let mut streams: Vec<TcpStream> = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = load::connect(routeplane.address).await;
        stream.write_all(&request).await.unwrap();
        let mut answer = Vec::new();
        // The head alone would not prove that the upstream's first word has arrived.
        while memchr::memmem::find(&answer, b"word0").is_none() {
            let read = stream.read_buf(&mut answer).await.unwrap();
            assert!(read > 0, "stream {}: {}", streams.len(), String::from_utf8_lossy(&answer));
        }
        streams.push(stream);
    }
    let after = resident(routeplane);
    let each = after.saturating_sub(before) * 1024 / STREAMS;
    println!("memory, {STREAMS} idle streams: {before} KiB before, {after} KiB with them, {each} bytes each");
}
