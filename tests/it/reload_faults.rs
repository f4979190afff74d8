//! Reloads when something goes wrong: a target fails after its fallback was removed, the watcher fails, everybody writes
//! and asks at once, a writer stops in the middle.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use crate::callers::Caller;
use crate::http_client::{self, Connection};
use crate::mock_upstream::{Act, MockUpstream, dialect};
use crate::sandbox::{Daemon, Sandbox};

/// `@r` tries `route`; whatever goes upstream says `mark`.
fn routed(providers: &[(&str, &MockUpstream)], route: &str, mark: &str) -> String {
    let entry = |(name, mock): &(&str, &MockUpstream)| {
        format!(
            "  {name}: {{ protocol: openai-chat, base_url: \"{}\", key: sk-{mark}-{name} }}\n",
            mock.base_url("openai-chat")
        )
    };
    let providers: String = providers.iter().map(entry).collect();
    format!(
        "version: 1\nreload: {{ watch: off }}\nretries: {{ attempts: 1 }}\nproviders:\n{providers}presets:\n  \
         r: {{ route: {route}, system: \"This is {mark}.\", headers: {{ set: {{ x-mark: {mark} }} }} }}\n"
    )
}

/// The first target of a stream fails before its first word, after a reload has removed the second one.
#[tokio::test]
async fn a_request_keeps_the_fallback_that_a_reload_removed() {
    for caller in Caller::ALL {
        let fail = Arc::new(Notify::new());
        let first = MockUpstream::start([Act::StreamErrorWhenTold(1, fail.clone()), Act::Answer]).await;
        let second = MockUpstream::good().await;
        let before = routed(&[("first", &first), ("second", &second)], "first/m1 > second/m2", "old");
        let sandbox = Sandbox::with(&before);
        let daemon = sandbox.start(&[]).await;
        let mut stream = caller.begin(daemon.address, "@r", "hello", true).await;
        first.wait_for_requests(1).await;

        sandbox.write("routeplane.yaml", &routed(&[("first", &first)], "first/m3", "new"));
        assert_eq!(daemon.reload().await.expect_status(200).json()["generation"], 2);
        let next = caller.ask(daemon.address, "@r", "hello", false).await.expect_status(200);
        assert_eq!(next.header("x-routeplane-generation"), Some("2"));
        assert_eq!(next.header("x-routeplane-target"), Some("first/m3"));
        assert!(second.requests().is_empty());

        fail.notify_one();
        let answer = stream.response().await.expect_status(200);
        assert!(answer.complete && caller.has_end_marker(&answer), "{answer:?}");
        assert_eq!(caller.heard_in_stream(&answer).text, dialect::TEXT);
        assert_eq!(answer.header("x-routeplane-generation"), Some("1"));
        assert_eq!(answer.header("x-routeplane-target"), Some("second/m2"));
        assert_eq!(answer.header("x-routeplane-attempts"), Some("2"));
        let request = second.only_request().request;
        assert_eq!(
            (request.header("authorization"), request.header("x-mark")),
            (Some("Bearer sk-old-second"), Some("old"))
        );
        let body = request.json();
        assert_eq!((&body["model"], &body["messages"][0]["content"]), (&json!("m2"), &json!("This is old.")));
        let after = caller.ask(daemon.address, "second/m2", "hello", false).await;
        assert_eq!(after.status, 404, "the provider is gone for new requests: {after:?}");
    }
}

/// `GET` on a connection that is there: for a gateway that can open no file any more.
async fn get(connection: &mut Connection, path: &str) -> String {
    connection.send("GET", path, &[], b"").await;
    connection.response().await.expect_status(200).text()
}

async fn get_json(connection: &mut Connection, path: &str) -> Value {
    serde_json::from_str(&get(connection, path).await).unwrap()
}

/// Waits until `/readyz` says so.
async fn until_ready_says(daemon: &Daemon, connection: &mut Connection, condition: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let ready = get_json(connection, "/readyz").await;
        if condition(&ready) {
            return;
        }
        assert!(Instant::now() < deadline, "{ready}\n{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The file descriptors of a process.
#[cfg(target_os = "linux")]
fn open_files(pid: u32) -> BTreeSet<u64> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}

/// Sets the number from which a process gets no file descriptors; `None`: as of this process.
#[cfg(target_os = "linux")]
fn limit_files(pid: u32, limit: Option<u64>) {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let pid = Pid::from_raw(pid.try_into().unwrap());
    prlimit(pid, Resource::Nofile, Rlimit { current: limit.or(maximum), maximum }).unwrap();
}

/// Where the operating system gives no events, the file is polled, that is said, and events are tried again.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_events_the_file_is_polled() {
    let text = |watch: &str, mark: &str| {
        format!("version: 1\nreload: {{ watch: {watch}, poll_interval: 500ms }}\npresets: {{ {mark}: demo/chat }}\n")
    };
    let sandbox = Sandbox::with(&text("off", "one"));
    let daemon = sandbox.start(&[]).await;
    let mut connection = Connection::open(daemon.address).await;
    assert_eq!(get_json(&mut connection, "/readyz").await["watch_mode"], "off");
    // What the start itself opened is closed by now, or soon.
    let mut open = BTreeSet::new();
    while open != open_files(daemon.pid()) {
        open = open_files(daemon.pid());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    // Two are left, one to read the file with and one more: a watcher needs three.
    limit_files(daemon.pid(), (0..).filter(|number| !open.contains(number)).nth(2));
    sandbox.write("routeplane.yaml", &text("auto", "two"));
    connection.send("POST", "/admin/reload?wait=20s", &[], b"").await;
    assert_eq!(connection.response().await.expect_status(200).json()["generation"], 2);
    until_ready_says(&daemon, &mut connection, |ready| ready["watch_mode"] == "poll").await;
    let ready = get_json(&mut connection, "/readyz").await;
    assert!(ready["watch_detail"].as_str().is_some_and(|detail| detail.contains("no events")), "{ready}");
    let metrics = get(&mut connection, "/metrics").await;
    assert!(metrics.contains("routeplane_config_watch_mode{mode=\"poll\"} 1"), "{metrics}");
    assert!(metrics.contains("routeplane_config_watch_mode{mode=\"events\"} 0"), "{metrics}");
    assert!(daemon.log().contains("the configuration is polled"), "{}", daemon.log());

    sandbox.write("routeplane.yaml", &text("auto", "three"));
    until_ready_says(&daemon, &mut connection, |ready| ready["generation"] == 3).await;
    let ready = get_json(&mut connection, "/readyz").await;
    assert_eq!((&ready["watch_mode"], &ready["config_drift"]), (&json!("poll"), &json!(false)));

    limit_files(daemon.pid(), None);
    until_ready_says(&daemon, &mut connection, |ready| ready["watch_mode"] == "events").await;
    sandbox.write("routeplane.yaml", &text("auto", "four"));
    until_ready_says(&daemon, &mut connection, |ready| ready["generation"] == 4).await;
}

/// Contents of the race, by number: every third is invalid.
fn content(number: usize) -> String {
    let fault = if number.is_multiple_of(3) { format!("fault-{number}: 1\n") } else { String::new() };
    format!("version: 1\npresets: {{ default: demo/chat, c{number}: demo/chat }}\n{fault}")
}

const CONTENTS: usize = 25;

/// The number of the content that a verdict is about.
fn judged(status: u16, verdict: &Value, numbers: &HashMap<String, usize>) -> usize {
    match status {
        200 => numbers[verdict["id"].as_str().unwrap()],
        422 => {
            let errors = verdict["errors"].to_string();
            let number = errors.split("fault-").nth(1).unwrap_or_else(|| panic!("{verdict}"));
            number.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
        }
        _ => panic!("{status}: {verdict}"),
    }
}

/// What the racing writers share.
struct Race {
    sandbox: Sandbox,
    daemon: Daemon,
    /// Of the content that is written next.
    next: Mutex<usize>,
    /// By content id.
    numbers: HashMap<String, usize>,
}

impl Race {
    /// Writes contents and asks for each until there are none left. A verdict is about the content that the caller wrote,
    /// or about one that replaced it.
    async fn write_and_ask(&self) {
        loop {
            let mut next = self.next.lock().await;
            let number = *next;
            if number == CONTENTS {
                return;
            }
            *next += 1;
            let new = self.sandbox.write("new.yaml", &content(number));
            std::fs::rename(new, self.sandbox.path("routeplane.yaml")).unwrap();
            drop(next);
            let answer = self.daemon.reload().await;
            let about = judged(answer.status, &answer.json(), &self.numbers);
            assert!(about >= number, "asked after {number}, answered for {about}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..150))).await;
        }
    }
}

/// SIGHUP, requests and events of the file at once.
#[tokio::test]
async fn every_caller_in_a_race_hears_of_its_own_file_or_a_later_one() {
    let sandbox = Sandbox::with("version: 1\npresets: { default: demo/chat }\n");
    let daemon = sandbox.start(&[]).await;
    let mut numbers = HashMap::new();
    for number in (0..CONTENTS).filter(|number| !number.is_multiple_of(3)) {
        sandbox.write("routeplane.yaml", &content(number));
        let verdict = daemon.reload().await.expect_status(200).json();
        numbers.insert(verdict["id"].as_str().unwrap().to_owned(), number);
    }
    let before = daemon.generation().await;
    let race = Arc::new(Race { sandbox, daemon, next: Mutex::new(0), numbers });
    let stop = Arc::new(AtomicBool::new(false));
    let noise = tokio::spawn({
        let (race, stop) = (race.clone(), stop.clone());
        async move {
            while !stop.load(Ordering::SeqCst) {
                race.daemon.signal("HUP");
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        }
    });
    let writers: Vec<_> = (0..5)
        .map(|_| {
            let race = race.clone();
            tokio::spawn(async move { race.write_and_ask().await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    noise.await.unwrap();

    let last = CONTENTS - 1;
    let about = async |daemon: &Daemon| {
        let status = daemon.status().await;
        (status["last_error"].to_string().contains(&format!("fault-{last}")), status["drift"].clone())
    };
    race.daemon.until("the last content is judged", async |daemon| about(daemon).await == (true, json!(true))).await;
    let after = race.daemon.generation().await;
    assert!(after > before && after <= before + u64::try_from(CONTENTS).unwrap(), "{before} to {after}");
    race.sandbox.write("routeplane.yaml", &content(1));
    let verdict = http_client::request(race.daemon.address, "POST", "/admin/reload?wait=20s", &[], b"").await;
    assert_eq!(judged(verdict.status, &verdict.json(), &race.numbers), 1);
}

/// A writer that stops after every line of a file, and has the file open.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_is_still_open_for_writing_is_not_taken() {
    use std::io::Write;

    let whole = "version: 1\nproviders:\n  box: { protocol: openai-chat, base_url: \"http://127.0.0.1:1/v1\", models: [m] }\n\
                 presets:\n  default: box/m > demo/chat\n  cheap: demo/chat\n  rare: demo/chat\n\
                 rules: |\n  when model == \"auto\" -> @cheap\n  when model == \"x\" -> @rare\n  otherwise -> as requested\n";
    let sandbox = Sandbox::with(whole);
    let daemon = sandbox.start(&[]).await;
    daemon
        .until("the file is watched", async |daemon| {
            daemon.metric("routeplane_config_watch_mode{mode=\"events\"}").await == 1.0
        })
        .await;
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for cut in 1..lines.len() {
        let generation = u64::try_from(cut).unwrap();
        let mut file = std::fs::File::create(sandbox.path("routeplane.yaml")).unwrap();
        file.write_all(lines[..cut].concat().as_bytes()).unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        let status = daemon.status().await;
        assert_eq!(
            (&status["active"]["generation"], &status["drift"]),
            (&json!(generation), &json!(false)),
            "{status}"
        );
        file.write_all(lines[cut..].concat().as_bytes()).unwrap();
        file.write_all(format!("# written with a pause after line {cut}\n").as_bytes()).unwrap();
        drop(file);
        daemon.until("the whole file is live", async |daemon| daemon.generation().await == generation + 1).await;
    }
    assert_eq!(daemon.metric("routeplane_config_reloads_total{result=\"nack\"}").await, 0.0);
}
