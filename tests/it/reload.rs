//! The contract of reloads, kept by the real binary.

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http_client::{self, Connection};
use crate::sandbox::{Daemon, Sandbox};

/// A file with `count` presets, whose first line tells it from others.
fn presets(mark: &str, count: usize) -> String {
    let presets: String = (0..count).map(|n| format!("  p{n}: demo/chat\n")).collect();
    format!("# {mark}\nversion: 1\npresets:\n  {mark}: demo/chat\n{presets}")
}

const BROKEN: &str = "version: 1\npresets:\n  default: { rout: demo/chat, rules: 5 }\n";

fn question(model: &str) -> String {
    json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] }).to_string()
}

/// The six places where the fate of a reload shows, for each fate.
#[tokio::test]
async fn every_verdict_shows_in_all_six_places() {
    let sandbox = Sandbox::new();
    let socket = UnixDatagram::bind(sandbox.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let path = sandbox.path("notify").display().to_string();
    let sandbox = sandbox.env("NOTIFY_SOCKET", &path);
    sandbox.write("routeplane.yaml", &format!("{}reload: {{ watch: off }}\n", presets("first", 3)));
    let daemon = sandbox.start(&[]).await;
    let told = |wanted: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(wanted) {
                return text;
            }
        }
    };
    assert!(told("READY=1").contains("STATUS=generation 1 is live"));
    let first = daemon.status().await;
    assert_eq!(first["watch"]["mode"], "off");

    // Accepted.
    sandbox.write("routeplane.yaml", &format!("{}reload: {{ watch: off }}\n", presets("second", 3)));
    let ack = daemon.reload().await.expect_status(200).json();
    assert_eq!((&ack["result"], &ack["generation"]), (&json!("ack"), &json!(2)));
    assert!(ack["changed"].to_string().contains("second"), "{ack}");
    assert_eq!(daemon.metric("routeplane_config_reloads_total{result=\"ack\"}").await, 1.0);
    assert_eq!(daemon.metric("routeplane_config_generation").await, 2.0);
    assert!(daemon.log().contains("configuration accepted"), "{}", daemon.log());
    let answer = daemon.get("/admin/config/status").await;
    let status = answer.json();
    assert_eq!(status["active"]["id"], ack["id"]);
    let id = ack["id"].as_str().unwrap();
    assert_eq!(answer.header("etag"), Some(format!("\"g2-{}\"", &id[..16]).as_str()));
    assert_eq!(daemon.metric(&format!("routeplane_config_info{{id=\"{}\"}}", &id[..16])).await, 1.0);
    assert_eq!(daemon.get("/readyz").await.expect_status(200).json()["config_drift"], false);
    told("RELOADING=1");
    assert!(told("READY=1").contains("generation 2 is live"));

    // The same again.
    assert_eq!(sandbox.run(&["reload"]).expect(0).stdout, "nothing has changed; generation 2 is live\n");
    assert_eq!(daemon.metric("routeplane_config_reloads_total{result=\"noop\"}").await, 1.0);
    assert_eq!(daemon.status().await["last_reload"]["result"], "noop");
    told("RELOADING=1");
    told("READY=1");

    // Refused.
    sandbox.write("routeplane.yaml", BROKEN);
    let nack = daemon.reload().await.expect_status(422).json();
    assert_eq!((&nack["result"], &nack["active_generation"]), (&json!("nack"), &json!(2)));
    let errors = nack["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "all of them: {nack}");
    assert!(errors[0]["text"].as_str().unwrap().contains("routeplane.yaml:3:14: "), "{nack}");
    let refused = sandbox.run(&["reload"]).expect(78).stderr;
    assert!(refused.contains("RP0020") && refused.contains("generation 2 stays live"), "{refused}");
    assert_eq!(daemon.metric("routeplane_config_reloads_total{result=\"nack\"}").await, 2.0);
    assert_eq!(daemon.metric("routeplane_config_last_reload_successful").await, 0.0);
    assert_eq!(daemon.metric("routeplane_config_desired_active_drift").await, 1.0);
    assert!(daemon.log().contains("ERROR") && daemon.log().contains("configuration refused"), "{}", daemon.log());
    let status = daemon.status().await;
    assert_eq!((&status["active"]["id"], &status["drift"]), (&ack["id"], &json!(true)));
    assert_ne!(status["desired"]["id"], status["active"]["id"]);
    assert_eq!(status["last_error"], nack["errors"]);
    assert!(sandbox.run(&["status"]).expect(0).stdout.contains("RP0020"));
    let ready = daemon.get("/readyz").await.expect_status(200).json();
    assert_eq!((&ready["config_drift"], &ready["generation"]), (&json!(true), &json!(2)));
    told("RELOADING=1");
    assert!(told("READY=1").contains("refused"));

    // Many at once: one reload answers them.
    sandbox.write("routeplane.yaml", &presets("third", 3));
    let address = daemon.address;
    let asked: Vec<_> = (0..20)
        .map(|_| tokio::spawn(http_client::request(address, "POST", "/admin/reload?wait=20s", &[], b"")))
        .collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap().expect_status(200).json()["generation"], 3);
    }
    assert!(daemon.metric("routeplane_config_reloads_total{result=\"coalesced\"}").await >= 10.0);
    assert_eq!(daemon.metric("routeplane_config_reloads_total{result=\"ack\"}").await, 2.0);

    // Not in time.
    let running = http_client::request(address, "POST", "/admin/reload?wait=1ms", &[], b"").await;
    running.expect_status(202);
    sandbox.run(&["reload", "--wait", "1ms"]).expect(75);
}

/// Requests on connections that stay open, while the file changes, is broken, and is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_fail_no_request_and_close_no_connection() {
    let sandbox = Sandbox::with(&presets("start", 3));
    let daemon = sandbox.start(&[]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..8)
        .map(|nth| {
            let (stop, answered) = (stop.clone(), answered.clone());
            tokio::spawn(call_until(
                stop,
                answered,
                daemon.address,
                if nth % 2 == 0 { "@p0" } else { "demo/pace-20ms" },
            ))
        })
        .collect();
    let mut idle = Vec::new();
    for _ in 0..50 {
        let mut connection = Connection::open(daemon.address).await;
        connection.send("GET", "/livez", &[], b"").await;
        connection.response().await.expect_status(200);
        idle.push(connection);
    }
    for round in 0..30 {
        sandbox.write("routeplane.yaml", &presets(&format!("r{round}"), 3));
        let expected = round + 2;
        let verdict = daemon.reload().await.expect_status(200).json();
        assert_eq!(verdict["generation"], expected);
        if round % 5 == 0 {
            sandbox.write("routeplane.yaml", BROKEN);
            daemon.reload().await.expect_status(422);
        }
    }
    stop.store(true, Ordering::SeqCst);
    let mut newest = 0;
    for caller in callers {
        newest = newest.max(caller.await.unwrap());
    }
    assert!(newest >= 30, "requests saw the generations go by, up to {newest}");
    assert!(answered.load(Ordering::SeqCst) >= 100, "{answered:?} requests");
    for mut connection in idle {
        connection.send("GET", "/livez", &[], b"").await;
        connection.response().await.expect_status(200);
    }
    // No connection holds a generation back.
    daemon
        .until("one generation is left", async |daemon| {
            daemon.metric("routeplane_config_live_generations").await == 1.0
        })
        .await;
    assert_eq!(daemon.metric("routeplane_config_oldest_generation_age_seconds").await, 0.0);
}

/// Asks on one connection, whole and streamed in turn. Returns the newest generation that answered.
async fn call_until(stop: Arc<AtomicBool>, answered: Arc<AtomicU64>, address: SocketAddr, model: &str) -> u64 {
    let mut connection = Connection::open(address).await;
    let mut newest = 0;
    while !stop.load(Ordering::SeqCst) {
        let mut body: Value = serde_json::from_str(&question(model)).unwrap();
        body["stream"] = json!(answered.load(Ordering::SeqCst).is_multiple_of(2));
        connection.send("POST", "/v1/chat/completions", &[], body.to_string().as_bytes()).await;
        let answer = connection.response().await.expect_status(200);
        assert!(answer.complete, "{answer:?}");
        let generation = answer.header("x-routeplane-generation").unwrap().parse().unwrap();
        assert!(generation >= newest, "generations only grow");
        newest = generation;
        answered.fetch_add(1, Ordering::SeqCst);
    }
    newest
}

/// A request that has begun keeps the presets it began with.
#[tokio::test]
async fn a_stream_that_runs_is_of_its_generation_to_the_end() {
    let sandbox = Sandbox::with(&presets("start", 3));
    let daemon = sandbox.start(&[]).await;
    let mut connection = Connection::open(daemon.address).await;
    let mut body: Value = serde_json::from_str(&question("demo/pace-100ms")).unwrap();
    body["stream"] = json!(true);
    connection.send("POST", "/v1/chat/completions", &[], body.to_string().as_bytes()).await;
    let head = connection.head().await;
    sandbox.write("routeplane.yaml", &presets("next", 3));
    daemon.reload().await.expect_status(200);
    let answer = connection.body(head).await;
    assert!(answer.complete && answer.text().contains("[DONE]"), "{answer:?}");
    assert_eq!(answer.header("x-routeplane-generation"), Some("1"));
}

#[tokio::test]
async fn the_file_is_watched_and_sighup_is_answered() {
    let sandbox = Sandbox::with(&presets("start", 3));
    let daemon = sandbox.start(&[]).await;
    daemon
        .until("the file is watched", async |daemon| {
            daemon.metric("routeplane_config_watch_mode{mode=\"events\"}").await == 1.0
        })
        .await;
    let generation = |wanted: u64| async move |daemon: &Daemon| daemon.generation().await == wanted;
    sandbox.shell("sed -i s/start/edited/ routeplane.yaml");
    daemon.until("the edit is live", generation(2)).await;
    sandbox.shell("mv routeplane.yaml away.yaml");
    daemon.until("the loss is noticed", async |daemon| daemon.status().await["config_missing"] == true).await;
    assert_eq!(daemon.metric("routeplane_config_missing").await, 1.0);
    sandbox.shell("mv away.yaml routeplane.yaml");
    daemon.until("the return is noticed", async |daemon| daemon.status().await["drift"] == false).await;
    assert_eq!(daemon.generation().await, 2);

    // `watch: off` takes effect as well; then only who asks is answered.
    sandbox.write("routeplane.yaml", &format!("{}reload: {{ watch: off }}\n", presets("quiet", 3)));
    daemon.until("the watch is off", async |daemon| daemon.status().await["watch"]["mode"] == "off").await;
    sandbox.write("routeplane.yaml", &presets("asked", 3));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(daemon.generation().await, 3);
    daemon.signal("HUP");
    daemon.until("SIGHUP is answered", generation(4)).await;
}

#[tokio::test]
async fn a_moved_listener_leaves_nobody_outside() {
    let sandbox = Sandbox::new();
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (one, two) = (free(), free());
    let file = |listen: SocketAddr| format!("listen: {listen}\n{}", presets("moving", 3));
    sandbox.write("routeplane.yaml", &file(one));
    let mut daemon = sandbox.launch(&["start"]).await;
    assert_eq!(daemon.address, one);
    let mut old = Connection::open(one).await;
    old.send("POST", "/v1/chat/completions", &[], question("demo/delay-1s").as_bytes()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;

    sandbox.write("routeplane.yaml", &file(two));
    daemon.reload().await.expect_status(200);
    http_client::get(two, "/livez").await.expect_status(200);
    old.response().await.expect_status(200);
    daemon
        .until("the file of the gateway has the new address", async |_| {
            sandbox.run(&["status", "--address", &two.to_string()]).code == 0
        })
        .await;
    assert_eq!(daemon.look_again(), two);
    daemon.until("the old address is closed", async |_| tokio::net::TcpStream::connect(one).await.is_err()).await;

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    sandbox.write("routeplane.yaml", &file(taken.local_addr().unwrap()));
    let nack = daemon.reload().await.expect_status(422).json();
    assert_eq!(nack["errors"][0]["code"], "RP0184");
    http_client::get(two, "/livez").await.expect_status(200);
}

/// What `check` says of a file and what a reload does with it agree, for a file with every kind of damage; and what a
/// reload makes of a file is what a start makes of it.
#[tokio::test]
async fn check_reload_and_start_agree() {
    let whole = "version: 1\nproviders:\n  box: { protocol: openai-chat, base_url: \"http://127.0.0.1:1\", models: [m] }\n\
                 presets:\n  default: box/m > demo/chat\n  canary: { route: \"split(95 @default, 5 demo/chat)\" }\n\
                 rules: |\n  when model == \"auto\" -> @canary\n  otherwise -> as requested\n\
                 reload: { watch: off, allow_shrink: true }\n";
    let sandbox = Sandbox::with(whole);
    let daemon = sandbox.start(&[]).await;
    let mut random = fastrand::Rng::with_seed(20);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..60 {
        let text = damaged(whole, &mut random);
        sandbox.write("routeplane.yaml", &text);
        let checked = sandbox.run(&["check"]).code;
        let reloaded = daemon.reload().await.status;
        match (checked, reloaded) {
            (0, 200) => accepted += 1,
            (3, 422) => refused += 1,
            other => panic!("{other:?} for\n{text}"),
        }
    }
    assert!(accepted >= 5 && refused >= 5, "{accepted} accepted, {refused} refused");
    sandbox.write("routeplane.yaml", whole);
    daemon.reload().await.expect_status(200);
    let again = sandbox.start(&[]).await;
    assert_eq!(daemon.status().await["active"]["id"], again.status().await["active"]["id"]);
}

/// Drops, doubles or swaps a line, or changes a letter.
fn damaged(text: &str, random: &mut fastrand::Rng) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = random.usize(1..lines.len());
    match random.u8(0..4) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => lines.swap(at, at - 1),
        _ => {
            let letter = random.usize(..lines[at].len());
            lines[at].replace_range(letter..=letter, ["x", ":", " ", "#", "\"", "7"][random.usize(..6)]);
        }
    }
    lines.join("\n") + "\n# some words more\n"
}

/// A file that is written in two steps, at each of its lines, is never taken for the shorter one.
#[tokio::test]
async fn a_file_written_in_two_steps_is_read_once() {
    let start = presets("start", 4);
    let sandbox = Sandbox::with(&start);
    let daemon = sandbox.start(&[]).await;
    let lines = start.lines().count();
    for cut in 0..=lines {
        let text = presets(&format!("cut{cut}"), 4);
        let half: String = text.lines().take(cut).map(|line| format!("{line}\n")).collect();
        sandbox.write("routeplane.yaml", &half);
        tokio::time::sleep(Duration::from_millis(30)).await;
        sandbox.write("routeplane.yaml", &text);
        let expected = u64::try_from(cut).unwrap() + 2;
        daemon.until("the whole file is live", async |daemon| daemon.generation().await >= expected).await;
        assert_eq!(daemon.generation().await, expected, "half a file was live after line {cut}");
    }
    assert_eq!(daemon.metric("routeplane_config_reloads_total{result=\"nack\"}").await, 0.0);
}

#[tokio::test]
async fn the_admin_surface_is_for_the_operator_alone() {
    let sandbox = Sandbox::with(
        "version: 1\nkeys: { ci: env:CI_KEY }\npresets: { default: demo/chat }\nreload: { watch: off }\n",
    )
    .env("CI_KEY", "a-client-key-0123456789");
    let daemon = sandbox.start(&[]).await;
    let client = ("authorization", "Bearer a-client-key-0123456789");
    let bearer = format!("Bearer {}", daemon.token);
    let operator = ("authorization", bearer.as_str());
    let ask = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        http_client::request(daemon.address, method, path, headers, b"").await.status
    };
    assert_eq!(ask("GET", "/admin/config/status", &[]).await, 401);
    assert_eq!(ask("GET", "/admin/config/status", &[client]).await, 401);
    assert_eq!(ask("GET", "/admin/config/status", &[operator]).await, 200);
    assert_eq!(ask("POST", "/admin/reload", &[operator]).await, 200);
    assert_eq!(ask("POST", "/admin/reload", &[operator, ("content-type", "text/plain")]).await, 403);
    assert_eq!(ask("POST", "/admin/reload", &[operator, ("x-forwarded-for", "10.0.0.7")]).await, 403);
    assert_eq!(ask("GET", "/admin/reload", &[operator]).await, 405);
    for open in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(ask("GET", open, &[]).await, 200, "{open}");
    }
    // The commands have the token from the state file.
    sandbox.run(&["reload"]).expect(0);
    sandbox.run(&["status"]).expect(0);
}
