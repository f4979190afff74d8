//! Reloads under load: what a request sees is of one generation, nothing fails, no connection is closed, nothing piles
//! up, and a change is live soon.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::callers::Caller;
use crate::http_client::Connection;
use crate::mock_upstream::http::Request;
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::{Daemon, Sandbox};

/// Of the load; each has one request at a time.
const CONNECTIONS: usize = 8;
/// Of one valid and one invalid file.
const CYCLES: u64 = 100;

/// A file that writes `mark` with everything that the upstream can see of it.
fn marked(mark: u64, upstream: SocketAddr) -> String {
    format!(
        "version: 1
providers:
  up:
    protocol: openai-chat
    base_url: \"http://{upstream}/base-{mark}/v1\"
    key: sk-key-{mark}
    headers: {{ x-provider-mark: \"{mark}\" }}
presets:
  r{mark}:
    route: up/model-{mark}
    system: You are of {mark}.
    override: {{ max_tokens: {mark}, temperature: 0.{mark:03} }}
    headers: {{ set: {{ x-preset-mark: \"{mark}\" }} }}
    body: {{ set: {{ /metadata/mark: \"{mark}\" }} }}
rules: |
  when model == \"auto\" -> @r{mark}
  otherwise -> as requested
"
    )
}

/// The same file, made invalid in one of several ways.
fn broken(mark: u64, upstream: SocketAddr) -> String {
    let text = marked(mark, upstream);
    match mark % 4 {
        0 => format!("{text}broken-{mark}: 1\n"),
        1 => text.replace("route: up/", &format!("route: broken-{mark}/")),
        2 => text.replace("-> @r", "-> @broken-"),
        _ => text.replace("presets:\n", &format!("presets: [ broken-{mark}\n")),
    }
}

/// What a file with this mark makes the upstream see.
fn encoded(mark: u64) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("path", format!("/base-{mark}/v1/chat/completions")),
        ("key", format!("Bearer sk-key-{mark}")),
        ("header of the provider", mark.to_string()),
        ("header of the preset", mark.to_string()),
        ("model", format!("model-{mark}")),
        ("system", format!("You are of {mark}.")),
        ("limit", mark.to_string()),
        ("temperature", format!("{}", f64::from(u32::try_from(mark).unwrap()) / 1000.0)),
        ("body", mark.to_string()),
    ])
}

/// What the upstream saw.
fn seen(request: &Request) -> BTreeMap<&'static str, String> {
    let header = |name: &str| request.header(name).unwrap_or("absent").to_owned();
    let body = request.json();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let limit = body.get("max_tokens").or(body.get("max_completion_tokens")).unwrap_or(&Value::Null);
    BTreeMap::from([
        ("path", request.path().to_owned()),
        ("key", header("authorization")),
        ("header of the provider", header("x-provider-mark")),
        ("header of the preset", header("x-preset-mark")),
        ("model", text(&body["model"])),
        ("system", text(&body["messages"][0]["content"])),
        ("limit", limit.to_string()),
        ("temperature", body["temperature"].to_string()),
        ("body", text(&body["metadata"]["mark"])),
    ])
}

/// One answered request.
struct Answered {
    /// By which the upstream's record is found.
    token: String,
    generation: u64,
    route: String,
}

/// The word between `<<` and `>>`.
fn token(text: &str) -> String {
    let rest = text.split("<<").nth(1).unwrap_or_default();
    rest.split(">>").next().unwrap_or_default().to_owned()
}

/// Asks on one connection until it is told to stop: whole and streamed in turn, passed through and translated by turns
/// of connections.
async fn ask_until(
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    address: SocketAddr,
    number: usize,
) -> Vec<Answered> {
    let caller = if number.is_multiple_of(2) { Caller::Chat } else { Caller::Messages };
    let mut connection = Connection::open(address).await;
    let mut answered: Vec<Answered> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let (token, stream) = (format!("{number}-{}", answered.len()), answered.len() % 2 == 1);
        let body = caller.body("auto", &format!("hello <<{token}>>"), stream).to_string();
        connection.send("POST", &caller.target("auto", stream), caller.headers(), body.as_bytes()).await;
        let answer = connection.response().await.expect_status(200);
        assert!(answer.complete, "{answer:?}");
        assert!(!stream || caller.has_end_marker(&answer), "{answer:?}");
        let generation = answer.header("x-routeplane-generation").unwrap().parse().unwrap();
        assert!(answered.last().is_none_or(|last| last.generation <= generation), "generations only grow: {answer:?}");
        let route = answer.header("x-routeplane-route").unwrap().to_owned();
        answered.push(Answered { token, generation, route });
        count.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    answered
}

/// Writes a valid file, by turns with a word to the gateway and without, and waits for its verdict.
async fn accept(sandbox: &Sandbox, daemon: &Daemon, text: &str, generation: u64) {
    sandbox.write("routeplane.yaml", text);
    if generation.is_multiple_of(2) {
        let verdict = daemon.reload().await.expect_status(200).json();
        assert_eq!(verdict["generation"], generation, "{verdict}");
    } else {
        daemon.until("the file is live", async |daemon| daemon.generation().await >= generation).await;
    }
    let status = daemon.status().await;
    assert_eq!((&status["active"]["generation"], &status["drift"]), (&json!(generation), &json!(false)), "{status}");
}

/// As [`accept`], with an invalid file: `generation` stays.
async fn refuse(sandbox: &Sandbox, daemon: &Daemon, text: &str, generation: u64) {
    let before = daemon.status().await;
    sandbox.write("routeplane.yaml", text);
    if generation.is_multiple_of(3) {
        let verdict = daemon.reload().await.expect_status(422).json();
        assert_eq!(verdict["active_generation"], generation, "{verdict}");
    } else {
        daemon.until("the file is refused", async |daemon| daemon.status().await["drift"] == true).await;
    }
    let after = daemon.status().await;
    assert_eq!((&after["active"], &after["drift"]), (&before["active"], &json!(true)));
    assert_ne!(after["last_error"], json!([]), "{after}");
}

/// Valid and invalid files in turn: each has its own verdict, and each request sees one valid file and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_sees_one_generation_and_none_fails() {
    let upstream = MockUpstream::good().await;
    let sandbox = Sandbox::with(&marked(1, upstream.address()));
    let daemon = sandbox.start(&[]).await;
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..CONNECTIONS)
        .map(|number| tokio::spawn(ask_until(stop.clone(), count.clone(), daemon.address, number)))
        .collect();

    // The mark of a file is the generation that its verdict gave it.
    for generation in 2..=CYCLES + 1 {
        refuse(&sandbox, &daemon, &broken(generation, upstream.address()), generation - 1).await;
        accept(&sandbox, &daemon, &marked(generation, upstream.address()), generation).await;
    }
    daemon.until("thousands of requests are answered", async |_| count.load(Ordering::SeqCst) >= 2000).await;
    stop.store(true, Ordering::SeqCst);

    let mut all = Vec::new();
    for caller in callers {
        all.extend(caller.await.expect("no request failed"));
    }
    // Read when no request is under way any more.
    let records: HashMap<String, Request> =
        upstream.requests().into_iter().map(|record| (token(&record.request.text()), record.request)).collect();
    let mut generations = BTreeSet::new();
    for answered in &all {
        assert_eq!(seen(&records[&answered.token]), encoded(answered.generation), "request {}", answered.token);
        assert_eq!(answered.route, format!("@r{}", answered.generation));
        generations.insert(answered.generation);
    }
    assert_eq!(records.len(), all.len(), "each request went to the upstream once");
    assert!(generations.len() > 20, "the load ran beside the reloads: {generations:?}");
    let count =
        async |result: &str| daemon.metric(&format!("routeplane_config_reloads_total{{result=\"{result}\"}}")).await;
    assert_eq!(count("ack").await, 100.0);
    assert!(count("nack").await >= 100.0);
    let status = daemon.status().await;
    assert_eq!((&status["active"]["generation"], &status["drift"]), (&json!(CYCLES + 1), &json!(false)));
    println!("{} requests, {} generations seen", all.len(), generations.len());
}

/// A file of 200 presets, none of which is as in the file of another round.
fn many(round: u64, upstream: SocketAddr) -> String {
    let presets: String = (0..200).map(|n| format!("  p{n}: up/m{round}-{n} > up/m{n}\n")).collect();
    format!(
        "version: 1\nreload: {{ watch: off }}\nproviders:\n  up: {{ protocol: openai-chat, base_url: \
         \"http://{upstream}/v1\", key: sk-0123456789 }}\npresets:\n{presets}"
    )
}

/// The established TCP connections of a process: inode, with both ends.
#[cfg(target_os = "linux")]
fn sockets(pid: u32) -> BTreeMap<String, (String, String)> {
    const ESTABLISHED: &str = "01";
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let targets = links.filter_map(|link| std::fs::read_link(link.unwrap().path()).ok());
    let own: BTreeSet<String> = targets
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|fields| fields[3] == ESTABLISHED && own.contains(fields[9]))
        .map(|fields| (fields[9].to_owned(), (fields[1].to_owned(), fields[2].to_owned())))
        .collect()
}

#[cfg(target_os = "linux")]
fn resident_kib(pid: u32) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// One request on each connection, all at once: each needs an upstream connection of its own.
#[cfg(target_os = "linux")]
async fn ask_at_once(connections: &mut [Connection]) {
    let body = Caller::Chat.body("@p0", "hello", false).to_string();
    for connection in connections.iter_mut() {
        connection.send("POST", "/v1/chat/completions", &[], body.as_bytes()).await;
    }
    for connection in connections {
        connection.response().await.expect_status(200);
    }
}

#[cfg(target_os = "linux")]
async fn greet(connections: &mut [Connection]) {
    for connection in connections {
        connection.send("GET", "/livez", &[], b"").await;
        connection.response().await.expect_status(200);
    }
}

/// 300 reloads: the connections on both sides are the ones that were there before, and memory does not grow.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn reloads_keep_every_connection_and_no_memory() {
    /// Well below the times after which the gateway itself closes idle connections.
    const WARM: Duration = Duration::from_secs(3);
    let upstream = MockUpstream::start([Act::AnswerAfter(Duration::from_millis(300))]).await;
    let sandbox = Sandbox::with(&many(0, upstream.address()));
    let daemon = sandbox.start(&[]).await;
    let mut control = Connection::open(daemon.address).await;
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(Connection::open(daemon.address).await);
    }
    greet(&mut connections).await;
    ask_at_once(&mut connections[..6]).await;
    // The connections by which the start was awaited are on their way out.
    daemon.until("only the test's connections are left", async |daemon| sockets(daemon.pid()).len() == 27).await;
    let before = sockets(daemon.pid());
    // The smallest of a hundred readings each: what the allocator keeps for later comes and goes.
    let (mut second, mut third, mut used) = (i64::MAX, i64::MAX, Instant::now());
    for round in 1..=300 {
        sandbox.write("routeplane.yaml", &many(round, upstream.address()));
        control.send("POST", "/admin/reload?wait=20s", &[], b"").await;
        let verdict = control.response().await.expect_status(200).json();
        assert_eq!((&verdict["result"], &verdict["generation"]), (&json!("ack"), &json!(round + 1)), "{verdict}");
        if round % 100 == 0 || used.elapsed() > WARM {
            ask_at_once(&mut connections[..6]).await;
            greet(&mut connections[6..]).await;
            assert_eq!(sockets(daemon.pid()), before, "after {round} reloads");
            used = Instant::now();
        }
        // The first hundred fill what stays.
        match round {
            0..=100 => {}
            101..=200 => second = second.min(resident_kib(daemon.pid())),
            _ => third = third.min(resident_kib(daemon.pid())),
        }
    }
    let grown = third - second;
    assert!(grown <= 8 << 10, "{grown} KiB in 100 reloads, after a warm-up of 100");
    daemon
        .until("one generation is left", async |daemon| {
            daemon.metric("routeplane_config_live_generations").await == 1.0
        })
        .await;
    println!("{grown} KiB in 100 reloads");
}

/// From the moment at which the file is whole to the first request that is of it.
#[tokio::test]
async fn a_change_is_live_soon() {
    let sandbox = Sandbox::with(&many(0, ([127, 0, 0, 1], 9).into()).replace("watch: off", "watch: auto"));
    let daemon = sandbox.start(&[]).await;
    daemon
        .until("the file is watched", async |daemon| {
            daemon.metric("routeplane_config_watch_mode{mode=\"events\"}").await == 1.0
        })
        .await;
    let mut connection = Connection::open(daemon.address).await;
    let body = Caller::Chat.body("demo/chat", "hello", false).to_string();
    let mut delays = Vec::new();
    for round in 1..=24 {
        let text = many(round, ([127, 0, 0, 1], 9).into()).replace("watch: off", "watch: auto");
        if round % 2 == 0 {
            sandbox.write("routeplane.yaml", &text);
        } else {
            let new = sandbox.write("new.yaml", &text);
            std::fs::rename(new, sandbox.path("routeplane.yaml")).unwrap();
        }
        let settled = Instant::now();
        let mut generation = 0;
        while generation <= round {
            connection.send("POST", "/v1/chat/completions", &[], body.as_bytes()).await;
            let answer = connection.response().await.expect_status(200);
            generation = answer.header("x-routeplane-generation").unwrap().parse().unwrap();
            assert!(settled.elapsed() < Duration::from_secs(30), "edit {round} is not live:\n{}", daemon.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        delays.push(settled.elapsed());
    }
    delays.sort();
    let (median, p99) = (delays[delays.len() / 2], delays[delays.len() * 99 / 100]);
    println!("from a settled file to the first request of it: median {median:?}, p99 {p99:?}, {} edits", delays.len());
    assert!(median < Duration::from_secs(2), "median {median:?}, p99 {p99:?}");
}
