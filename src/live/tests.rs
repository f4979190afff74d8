//! The reloader against a front end that a test controls: a file is a list of words, and some words do harm.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::candidate::{self, Compile, Compiled, Compiler, Evaluation, Inputs};
use super::files::{Snapshot, SnapshotFiles};
use super::reload::{self, Bound, Handle, Listeners, Parts, Verdict};
use super::status::Board;
use super::{Live, LiveTable};
use crate::config::{self, Env, Files};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{SourceMap, Span};
use crate::state::Runtime;
use crate::table::{RouteIdx, RoutingTable};
use crate::telemetry::logs::FOR_PROGRAMS;
use crate::telemetry::metrics::{Metrics, ReloadResult};

const PATIENCE: Duration = Duration::from_secs(30);
/// Between two reminders: 10 minutes outside of tests.
const REMIND: Duration = Duration::from_millis(500);

/// Makes one preset of each word. `bad` is an error, `panic` panics, `slow` takes 3 s, `allow` allows shrinking,
/// `file:NAME` names a file, `port:N` moves the listener.
fn compile(inputs: &Inputs, snapshot: &Snapshot) -> Evaluation {
    let mut sources = SourceMap::default();
    let text = snapshot.text().unwrap_or_default();
    let source = sources.add(inputs.config.as_deref().map_or("", |path| path.to_str().unwrap()), text);
    let mut diagnostics = Diagnostics::default();
    let mut table = table();
    let files = SnapshotFiles::new(snapshot);
    for (at, word) in text.split_whitespace().enumerate() {
        match word.split_once(':').unwrap_or((word, "")) {
            ("bad", _) => {
                diagnostics
                    .push(Diagnostic::new(Code::BadValue, "a bad word").label(Span::new(source, at, at + 1), ""));
            }
            ("panic", _) => panic!("an injected failure"),
            ("slow", _) => std::thread::park_timeout(Duration::from_secs(3)),
            ("allow", _) => table.reload.allow_shrink = true,
            ("port", port) => table.listen.set_port(port.parse().unwrap()),
            ("file", name) => {
                let text = files.read(name).unwrap_or_default();
                table.presets.insert(text.into(), RouteIdx(0));
            }
            _ => {
                table.presets.insert(format!("{word}-{at}").into(), RouteIdx(0));
            }
        }
    }
    let compiled = (!diagnostics.has_errors()).then_some(Compiled {
        table,
        literals: Vec::new(),
        tests: 0,
        proof: Default::default(),
    });
    Evaluation { sources, diagnostics, compiled, unlisted: files.unlisted() }
}

/// The built-in defaults, polled often.
fn table() -> RoutingTable {
    let snapshot = Snapshot::read(None, &Default::default());
    let inputs =
        config::Inputs { file: None, listen: None, env: &Env::default(), files: &SnapshotFiles::new(&snapshot) };
    let mut table = config::compile(inputs).table.unwrap();
    table.reload.poll_interval = Duration::from_millis(200);
    table
}

/// Every address can be had but port 1, which somebody else has.
#[derive(Default)]
struct Ports {
    served: Arc<Mutex<Vec<String>>>,
}

impl Listeners for Ports {
    fn bind(&self, address: SocketAddr) -> io::Result<Bound> {
        if address.port() == 1 {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let served = self.served.clone();
        let serve = Box::new(move || served.lock().unwrap().push(format!("serve {address}")));
        Ok(Bound { address, serve })
    }

    fn retire(&self, address: SocketAddr, _: Duration) {
        self.served.lock().unwrap().push(format!("retire {address}"));
    }

    fn limit(&self, _: u32) {}
}

/// A reloader over one file.
struct World {
    folder: tempfile::TempDir,
    live: Arc<LiveTable>,
    board: Arc<Board>,
    handle: Handle,
    compilations: Arc<AtomicU32>,
    served: Arc<Mutex<Vec<String>>>,
}

impl World {
    async fn new(text: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("routeplane.yaml");
        std::fs::write(&config, text).unwrap();
        let inputs = Inputs { config: Some(config), listen: None, env: Env::default() };
        let compilations = Arc::new(AtomicU32::new(0));
        let count = compilations.clone();
        let counting: Arc<Compile> = Arc::new(move |inputs: &Inputs, snapshot: &Snapshot| {
            count.fetch_add(1, Ordering::SeqCst);
            compile(inputs, snapshot)
        });
        let compiler = Compiler::within(Duration::from_secs(2), counting);
        let mut snapshot = candidate::settle(inputs.config.as_deref(), &Default::default()).await;
        let first =
            compiler.candidate(&inputs, &mut snapshot).await.unwrap_or_else(|_| panic!("the first file is good"));
        let listen = first.compiled.table.listen;
        let live =
            Arc::new(LiveTable::new(Live { table: first.compiled.table, generation: 1, runtime: Runtime::default() }));
        let metrics = Arc::new(Metrics::new());
        let board = Arc::new(Board::new(inputs.config.clone(), listen, &first.origin.id, metrics.clone()));
        let ports = Ports::default();
        let served = ports.served.clone();
        let (handle, requests) = reload::channel();
        let parts = Parts {
            inputs,
            live: live.clone(),
            board: board.clone(),
            sinks: crate::telemetry::Sinks::start(metrics.clone(), None),
            listeners: Arc::new(ports),
            compiler,
            remind: REMIND,
        };
        reload::spawn(parts, first.origin, requests);
        World { folder, live, board, handle, compilations, served }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("routeplane.yaml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    async fn reload(&self) -> Verdict {
        self.handle.reload(PATIENCE).await.unwrap()
    }

    async fn write_and_reload(&self, text: &str) -> Verdict {
        self.write(text);
        self.reload().await
    }

    fn presets(&self) -> Vec<String> {
        self.live.load().table.presets.keys().map(|name| name.to_string()).collect()
    }

    /// Waits until the file, however it came there, is live as `presets`.
    async fn becomes(&self, presets: &[&str]) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.presets() != presets {
            assert!(tokio::time::Instant::now() < deadline, "{:?} is live, not {presets:?}", self.presets());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn metric(&self, line: &str) -> bool {
        self.board.metrics().render().lines().any(|it| it == line)
    }
}

fn codes(verdict: &Verdict) -> Vec<&str> {
    verdict.errors.as_array().unwrap().iter().map(|error| error["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_changed_file_is_live_and_a_reverted_one_has_its_old_id_and_a_new_generation() {
    let world = World::new("a b").await;
    let first = world.board.status().active.id;
    let second = world.write_and_reload("a b c").await;
    assert_eq!((second.result, second.generation), (ReloadResult::Ack, 2));
    assert_eq!(world.presets(), ["a-0", "b-1", "c-2"]);
    let third = world.write_and_reload("a b").await;
    assert_eq!((third.result, third.generation, &third.id), (ReloadResult::Ack, 3, &first));
    assert_ne!(second.id, first);
}

#[tokio::test]
async fn the_same_content_is_a_noop_however_often_it_is_touched() {
    let world = World::new("a b").await;
    for _ in 0..100 {
        world.write("a b");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let verdict = world.reload().await;
    assert_eq!((verdict.result, verdict.generation), (ReloadResult::Noop, 1));
    assert_eq!(world.compilations.load(Ordering::SeqCst), 1, "nothing is compiled");
}

#[tokio::test]
async fn whatever_goes_wrong_the_last_good_table_stays() {
    let world = World::new("a b c d").await;
    let anomalies: [(&str, &[&str]); 7] = [
        ("a b c bad bad", &["RP0022", "RP0022"]),
        ("a panic", &["RP0186"]),
        ("", &["RP0182"]),
        ("# only a comment\n", &["RP0182"]),
        ("a", &["RP0183"]),
        ("a b c d port:1", &["RP0184"]),
        ("a b c slow", &["RP0186"]),
    ];
    for (text, expected) in anomalies {
        let verdict = world.write_and_reload(text).await;
        assert_eq!((verdict.result, verdict.generation), (ReloadResult::Nack, 1), "{text}");
        assert_eq!(codes(&verdict), expected, "{text}");
        assert_eq!(world.presets(), ["a-0", "b-1", "c-2", "d-3"], "{text}");
        assert!(world.board.status().drift, "{text}");
    }
    // The slow one still runs, and no other begins before it ends.
    assert_eq!(codes(&world.write_and_reload("a b c e").await), ["RP0186"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.write_and_reload("a b c f").await.result, ReloadResult::Ack);
    assert!(!world.board.status().drift);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_changes_nothing() {
    let world = World::new("a b").await;
    std::fs::remove_file(world.path()).unwrap();
    assert_eq!(codes(&world.reload().await), ["RP0180"]);
    assert!(world.board.status().config_missing && world.metric("routeplane_config_missing 1"));
    std::fs::create_dir(world.path()).unwrap();
    assert_eq!(codes(&world.reload().await), ["RP0181"]);
    std::fs::remove_dir(world.path()).unwrap();
    std::fs::write(world.path(), b"a \xff").unwrap();
    assert_eq!(codes(&world.reload().await), ["RP0181"]);
    assert!(!world.board.status().config_missing);
    assert_eq!(world.presets(), ["a-0", "b-1"]);
    assert_eq!(world.write_and_reload("a b").await.result, ReloadResult::Noop, "it is again what is live");
    assert!(!world.board.status().drift);
}

#[tokio::test]
async fn a_deliberate_loss_is_allowed_by_the_new_file() {
    let world = World::new("a b c d").await;
    assert_eq!(world.write_and_reload("a b").await.result, ReloadResult::Ack, "half is kept");
    assert_eq!(world.write_and_reload("allow").await.result, ReloadResult::Ack);
    assert!(world.presets().is_empty());
}

#[tokio::test]
async fn everybody_is_answered_for_what_was_there_when_they_asked() {
    let world = World::new("a").await;
    world.write("a b");
    let asked = (0..50).map(|_| {
        let handle = world.handle.clone();
        tokio::spawn(async move { handle.reload(PATIENCE).await.unwrap() })
    });
    let mut own = 0;
    for answer in asked.collect::<Vec<_>>() {
        let verdict = answer.await.unwrap();
        assert_eq!(verdict.generation, 2);
        own += u32::from(!verdict.coalesced);
    }
    assert!(own <= 2, "one reload runs and one waits");
    assert!(world.compilations.load(Ordering::SeqCst) <= 3);
    assert_eq!(world.presets(), ["a-0", "b-1"]);
}

#[tokio::test]
async fn good_and_bad_files_in_turn_get_each_their_verdict() {
    let world = World::new("start").await;
    for round in 0..20 {
        let good = world.write_and_reload(&format!("good{round}")).await;
        assert_eq!((good.result, good.generation), (ReloadResult::Ack, round + 2));
        let bad = world.write_and_reload(&format!("bad round{round}")).await;
        assert_eq!((bad.result, bad.generation), (ReloadResult::Nack, round + 2));
    }
    assert_eq!(world.presets(), ["good19-0"]);
    assert!(world.metric("routeplane_config_reloads_total{result=\"nack\"} 20"), "{}", world.board.metrics().render());
}

#[tokio::test]
async fn a_moved_listener_serves_before_the_old_one_stops() {
    let world = World::new("a").await;
    assert_eq!(world.write_and_reload("a port:4444").await.result, ReloadResult::Ack);
    assert_eq!(*world.served.lock().unwrap(), ["serve 127.0.0.1:4444", "retire 127.0.0.1:4356"]);
    assert_eq!(world.board.status().listen.port(), 4444);
    assert_eq!(world.write_and_reload("a b port:1").await.result, ReloadResult::Nack);
    assert_eq!(world.served.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_that_the_configuration_names_is_watched_with_it() {
    let world = World::new("file:prompt.md").await;
    std::fs::write(world.folder.path().join("prompt.md"), "one").unwrap();
    world.becomes(&["one"]).await;
    std::fs::write(world.folder.path().join("prompt.md"), "two").unwrap();
    world.becomes(&["two"]).await;
    let verdict = world.reload().await;
    assert_eq!(verdict.result, ReloadResult::Noop);
}

#[tokio::test]
async fn a_refused_file_is_refused_once_and_its_other_files_are_watched_too() {
    let world = World::new("a").await;
    world.write("a bad file:prompt.md");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !world.board.status().drift {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Several polls later it has been counted once.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.metric("routeplane_config_reloads_total{result=\"nack\"} 1"), "{}", world.board.metrics().render());
    world.write("a file:prompt.md");
    std::fs::write(world.folder.path().join("prompt.md"), "one").unwrap();
    world.becomes(&["a-0", "one"]).await;
}

#[tokio::test]
async fn generations_that_a_request_holds_live_as_long_as_the_request() {
    let world = World::new("a").await;
    let held = world.live.load();
    for round in 0..20 {
        world.write_and_reload(&format!("a{round}")).await;
    }
    let alive = |count| format!("routeplane_config_live_generations {count}");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !world.metric(&alive(2)) {
        assert!(tokio::time::Instant::now() < deadline, "{}", world.board.metrics().render());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(held.generation, 1);
    assert_eq!(held.table.presets.keys().map(|name| &**name).collect::<Vec<_>>(), ["a-0"]);
    drop(held);
    while !world.metric(&alive(1)) {
        assert!(tokio::time::Instant::now() < deadline, "{}", world.board.metrics().render());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What is logged, as text.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn count(&self, words: &str) -> usize {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().matches(words).count()
    }
}

#[tokio::test]
async fn a_refused_file_is_recalled_again_and_again_until_it_is_mended() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    let of_people = filter_fn(|event| event.name() != FOR_PROGRAMS);
    let _logging = tracing_subscriber::registry().with(lines.with_filter(of_people)).set_default();
    let world = World::new("a b").await;
    assert_eq!(world.write_and_reload("a bad").await.result, ReloadResult::Nack);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while log.count("is still refused") < 3 {
        assert!(tokio::time::Instant::now() < deadline, "{log:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(log.count("configuration refused"), 1, "{log:?}");
    assert!(log.count("RP0022") >= 4, "each says what is wrong: {log:?}");
    assert_eq!(world.write_and_reload("a b c").await.result, ReloadResult::Ack);
    let reminders = log.count("is still refused");
    tokio::time::sleep(3 * REMIND).await;
    assert_eq!(log.count("is still refused"), reminders, "{log:?}");
}

#[tokio::test]
async fn a_stopping_gateway_takes_no_new_file() {
    let world = World::new("a").await;
    world.board.drain();
    let verdict = world.write_and_reload("a b").await;
    assert_eq!((verdict.result, codes(&verdict)), (ReloadResult::Nack, vec!["RP0187"]));
}

/// Each way in which a file comes to have new content.
#[tokio::test]
async fn every_way_of_replacing_a_file_is_noticed() {
    let world = World::new("start").await;
    let path = world.path();
    let run = |script: String| {
        let status = std::process::Command::new("sh").arg("-ec").arg(script).status().unwrap();
        assert!(status.success());
    };
    let file = path.display().to_string();
    type Way = fn(&str, &str) -> String;
    let ways: [(&str, Way); 7] = [
        ("truncate and write", |file, word| format!("printf {word} > {file}")),
        ("rename, as vim", |file, word| format!("mv {file} {file}~; printf {word} > {file}; rm {file}~")),
        ("rename over", |file, word| format!("printf {word} > {file}.new; mv {file}.new {file}")),
        ("sed -i", |file, word| format!("sed -i s/.*/{word}/ {file}")),
        ("cp", |file, word| format!("printf {word} > {file}.new; cp {file}.new {file}; rm {file}.new")),
        ("hard link", |file, word| format!("printf {word} > {file}.new; ln -f {file}.new {file}; rm {file}.new")),
        ("away and back", |file, word| {
            format!("mv {file} {file}.away; sleep 0.4; printf {word} > {file}.away; mv {file}.away {file}")
        }),
    ];
    for round in 0..2 {
        for (position, (way, script)) in ways.iter().enumerate() {
            let word = format!("w{round}x{position}");
            run(script(&file, &word));
            eprintln!("{way}");
            world.becomes(&[&format!("{word}-0")]).await;
        }
    }
    symlinks(&world, &file, &run).await;
}

/// `ln -sfn`, and the swap of `..data` by which Kubernetes updates a mounted ConfigMap.
async fn symlinks(world: &World, file: &str, run: &impl Fn(String)) {
    let folder = Path::new(file).parent().unwrap().display().to_string();
    run(format!("cd {folder}; printf s1 > one; printf s2 > two; ln -sfn one routeplane.yaml"));
    world.becomes(&["s1-0"]).await;
    run(format!("cd {folder}; ln -sfn two routeplane.yaml"));
    world.becomes(&["s2-0"]).await;
    run(format!("cd {folder}; printf s3 > two"));
    world.becomes(&["s3-0"]).await;
    run(format!(
        "cd {folder}; mkdir ..v1; printf k1 > ..v1/routeplane.yaml; ln -s ..v1 ..data; ln -sfn ..data/routeplane.yaml routeplane.yaml"
    ));
    world.becomes(&["k1-0"]).await;
    for version in 2..5 {
        let old = version - 1;
        run(format!(
            "cd {folder}; mkdir ..v{version}; printf k{version} > ..v{version}/routeplane.yaml; \
             ln -s ..v{version} ..data_tmp; mv -T ..data_tmp ..data; rm -r ..v{old}"
        ));
        world.becomes(&[&format!("k{version}-0")]).await;
    }
}

/// A writer that stops at every line end, for longer than any pause of the reloader, and then goes on.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_half_written_file_never_applies() {
    use std::io::Write;

    let lines: Vec<String> = (0..6).map(|line| format!("preset{line}\n")).collect();
    let whole = lines.concat();
    let world = World::new(&whole).await;
    for cut in 0..=lines.len() {
        let before = world.board.status().active.generation;
        let extra = format!("cut{cut}\n");
        let mut file = std::fs::File::create(world.path()).unwrap();
        file.write_all(lines[..cut].concat().as_bytes()).unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(world.board.status().active.generation, before, "half a file went live after line {cut}");
        file.write_all(lines[cut..].concat().as_bytes()).unwrap();
        file.write_all(extra.as_bytes()).unwrap();
        drop(file);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !world.presets().contains(&format!("cut{cut}-6")) {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(world.board.status().active.generation, before + 1);
    }
}
