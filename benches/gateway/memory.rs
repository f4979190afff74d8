//! Resident memory: idle, with idle streams, and after many reloads.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::scenario;
use crate::servers::{Mock, Routeplane, routeplane_file};
use crate::{Options, load, process};

const STREAMS: u64 = 2000;

/// A fresh Routeplane for each measure: what another one left must not count.
pub(crate) async fn report(mock: &Mock, options: &Options) {
    let routeplane = Routeplane::start(mock).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!("memory, idle: {} KiB", resident(&routeplane));
    idle_streams(&routeplane).await;
    if let Some(count) = options.reloads {
        reloads(mock, count).await;
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

/// Two files in turn, each applied by `POST /admin/reload`.
async fn reloads(mock: &Mock, count: usize) {
    // Without client keys: with them, `/admin/reload` asks for the token in the state file.
    let routeplane = Routeplane::start_with(&routeplane_file(mock.address, "")).await;
    let file = routeplane.folder().join("routeplane.yaml");
    let presets = |turn: usize| -> String {
        let preset = |n: usize| format!("  p{n}: {{ route: \"chat/m{turn} > messages/m{n}\" }}\n");
        format!("presets:\n{}", (0..100).map(preset).collect::<String>())
    };
    let mut stream = load::connect(routeplane.address).await;
    let mut before = 0;
    for turn in 0..count {
        std::fs::write(&file, routeplane_file(mock.address, &presets(turn % 2))).unwrap();
        reload(&mut stream).await;
        // The first hundred fill caches and pools that stay.
        if turn == count.min(100) - 1 {
            before = resident(&routeplane);
        }
    }
    println!(
        "memory, {count} reloads of 100 presets: {before} KiB after the first 100, {} KiB at the end",
        resident(&routeplane)
    );
}

async fn reload(stream: &mut TcpStream) {
    let request = "POST /admin/reload?wait=5s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
                   content-length: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    loop {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "closed after {}", String::from_utf8_lossy(&answer));
        if let Some(end) = memchr::memmem::find(&answer, b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            assert!(text.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(&answer));
            let length =
                text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
            if answer.len() >= end + 4 + length.expect("a length") {
                return;
            }
        }
    }
}
