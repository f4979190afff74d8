//! Reloads in the bench: memory after many, and the price of a storm of them for the requests that go on meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::load::{self, Block};
use crate::report::median;
use crate::scenario::{self, Scenario};
use crate::servers::{Mock, Routeplane, routeplane_file};
use crate::{Options, process};

/// The name by which `--only` chooses the storm.
pub(crate) const STORM: &str = "reload storm";
/// From one reload of the storm to the next: ten a second.
const PACE: Duration = Duration::from_millis(100);

/// One of two files in turn, without client keys (with them, `/admin/reload` asks for the token in the state file), with 100 presets that all differ from the other's.
fn file(mock: &Mock, turn: usize) -> String {
    let turn = turn % 2;
    let preset = |n: usize| format!("  p{n}: {{ route: \"chat/m{turn} > messages/m{n}\" }}\n");
    let presets: String = (0..100).map(preset).collect();
    routeplane_file(mock.address, &format!("reload: {{ watch: off }}\npresets:\n{presets}"))
}

/// Two files in turn, each applied by `POST /admin/reload`.
pub(crate) async fn memory(mock: &Mock, count: usize) {
    let routeplane = Routeplane::start_with(&file(mock, 1)).await;
    let resident = || process::resident_kib(routeplane.processes()[0]);
    let mut stream = load::connect(routeplane.address).await;
    let mut before = 0;
    for turn in 0..count {
        reload(&routeplane, &mut stream, &file(mock, turn)).await;
        // The first hundred fill caches and pools that stay.
        if turn == count.min(100) - 1 {
            before = resident();
        }
    }
    println!("memory, {count} reloads of 100 presets: {before} KiB after the first 100, {} KiB at the end", resident());
}

/// Alternating blocks without and with reloads.
pub(crate) async fn storm(mock: &Mock, options: &Options) {
    let routeplane = Arc::new(Routeplane::start_with(&file(mock, 1)).await);
    let scenario = scenario::all().remove(0);
    let (length, rounds) = options.plan();
    block(&routeplane, &scenario, length).await;
    let (mut steady, mut stormy) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for storm in [false, true, true, false] {
            if !storm {
                let block = block(&routeplane, &scenario, length).await;
                println!("{:<32} {:<10} {block}", scenario.name, "steady");
                steady.push(block);
                continue;
            }
            let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
            let files = [file(mock, 0), file(mock, 1)];
            let reloads = tokio::spawn(reload_until(routeplane.clone(), files, stop.clone(), count.clone()));
            let block = block(&routeplane, &scenario, length).await;
            println!("{:<32} {:<10} {block}  {} reloads", scenario.name, "storm", count.load(Ordering::Relaxed));
            stop.store(true, Ordering::Relaxed);
            reloads.await.expect("no reload failed");
            stormy.push(block);
        }
    }
    print(&steady, &stormy);
}

async fn block(routeplane: &Routeplane, scenario: &Scenario, length: Duration) -> Block {
    load::block((routeplane.address, &routeplane.processes()), scenario, None, length).await
}

/// A name and what it names.
type Column = (&'static str, fn(&Block) -> f64);

fn print(steady: &[Block], stormy: &[Block]) {
    println!("\n| {STORM}: medians | steady | with reloads | ratio |\n|---|---|---|---|");
    let columns: [Column; 4] = [
        ("p50, us", |block| block.p50),
        ("p99, us", |block| block.p99),
        ("CPU per request, us", |block| block.cpu),
        ("requests/s", |block| block.requests_per_second),
    ];
    for (name, of) in columns {
        let (steady, stormy) = (median(steady, of), median(stormy, of));
        println!("| {name} | {steady:.0} | {stormy:.0} | **{:.2}** |", stormy / steady);
    }
}

/// Reloads as often as [`PACE`] says, or as fast as the gateway answers.
async fn reload_until(routeplane: Arc<Routeplane>, files: [String; 2], stop: Arc<AtomicBool>, count: Arc<AtomicUsize>) {
    let mut stream = load::connect(routeplane.address).await;
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let turn = count.load(Ordering::Relaxed);
        reload(&routeplane, &mut stream, &files[turn % 2]).await;
        count.fetch_add(1, Ordering::Relaxed);
        next = (next + PACE).max(Instant::now());
        tokio::time::sleep_until(next).await;
    }
}

/// Writes the file and waits until it is live.
async fn reload(routeplane: &Routeplane, stream: &mut TcpStream, text: &str) {
    std::fs::write(routeplane.folder().join("routeplane.yaml"), text).unwrap();
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
