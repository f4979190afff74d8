//! What an operator meets: probes, key files, what is printed and what is not.

use serde_json::json;

use crate::callers::Caller;
use crate::http_client;
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::Sandbox;

const SMALL: &str = "version: 1\npresets:\n  default: demo/chat\n";

#[tokio::test]
async fn probes_are_answered_under_any_name() {
    let daemon = Sandbox::with(SMALL).start(&[]).await;
    for host in ["10.1.2.3:4356", "gateway.example", ""] {
        for (path, status) in [("/livez", 200), ("/readyz", 200), ("/", 403), ("/v1/models", 403)] {
            let headers = [("host", host), ("origin", "http://evil.example")];
            http_client::request(daemon.address, "GET", path, &headers, b"").await.expect_status(status);
        }
    }
}

/// The path of a key file is relative to the configuration, wherever the gateway was started; and the file is watched.
#[tokio::test]
async fn a_key_file_lies_beside_the_configuration() {
    let sandbox = Sandbox::new();
    sandbox.write("etc/routeplane.yaml", &format!("{SMALL}keys: {{ ci: \"file:keys/ci\" }}\n"));
    sandbox.write("etc/keys/ci", "the-first-client-key\n");
    let daemon = sandbox.start(&["--config", "etc/routeplane.yaml"]).await;
    let body = json!({ "model": "@default", "messages": [{ "role": "user", "content": "hello" }] }).to_string();
    let ask = async |key: &str| {
        let key = format!("Bearer {key}");
        let headers = [("authorization", key.as_str())];
        http_client::request(daemon.address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).await.status
    };
    assert_eq!((ask("the-first-client-key").await, ask("the-second-client-key").await), (200, 401));
    let curl = daemon.stdout();
    assert!(curl.contains(&format!("$(cat '{}')", sandbox.path("etc/keys/ci").display())), "{curl}");
    sandbox.write("etc/keys/ci", "the-second-client-key\n");
    daemon.until("the new key is live", async |_| ask("the-second-client-key").await == 200).await;
    assert_eq!(ask("the-first-client-key").await, 401);
}

#[tokio::test]
async fn an_absolute_path_of_a_key_file_is_taken_as_it_is() {
    let sandbox = Sandbox::new();
    let key = sandbox.write("elsewhere/ci", "an-absolute-client-key");
    sandbox.write("etc/routeplane.yaml", &format!("{SMALL}keys: {{ ci: \"file:{}\" }}\n", key.display()));
    let daemon = sandbox.start(&["--config", "etc/routeplane.yaml"]).await;
    let headers = [("x-api-key", "an-absolute-client-key")];
    http_client::request(daemon.address, "GET", "/v1/models", &headers, b"").await.expect_status(200);
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    for url in
        ["https://me:hunter2@box.example/v1", "me:hunter2@box", "ftp://me:hunter2@box", "http://me:hunt er2@box/v1"]
    {
        let sandbox = Sandbox::with(&format!(
            "version: 1\nproviders:\n  box: {{ protocol: openai-chat, base_url: \"{url}\" }} # not https://me:hunter2@box\n"
        ));
        for format in ["human", "json", "sarif", "github"] {
            let ended = sandbox.run(&["check", "--format", format]).expect(3);
            let said = ended.stdout + &ended.stderr;
            assert!(!said.contains("hunt") && !said.contains("er2"), "{said}");
            assert!(said.contains("URL"), "{said}");
        }
    }
}

/// `OPENAI_BASE_URL` for the programs that call the gateway, set where the gateway is started too.
#[tokio::test]
async fn a_gateway_that_would_call_itself_does_not_start() {
    let variables = |sandbox: Sandbox| {
        sandbox.env("OPENAI_API_KEY", "sk-0123456789abcdef").env("OPENAI_BASE_URL", "http://localhost:4356/v1")
    };
    let sandbox = variables(Sandbox::with(SMALL));
    sandbox.run(&["check"]).expect(3);
    let ended = sandbox.run(&["start"]).expect(78);
    assert!(ended.stderr.contains("RP0075") && ended.stderr.contains("env -u OPENAI_BASE_URL"), "{ended:?}");
    variables(Sandbox::new()).run(&["start"]).expect(78);
    // `--listen` wins over the file, here too.
    sandbox.start(&[]).await;
    let ended =
        Sandbox::with("version: 1\nproviders:\n  box: { protocol: openai-chat, base_url: \"http://[::1]:4999\" }\n")
            .run(&["start", "--listen", "[::1]:4999"])
            .expect(78);
    assert!(ended.stderr.contains("RP0075") && ended.stderr.contains("base_url"), "{ended:?}");
}

/// The line that is printed calls a provider that has its key.
#[tokio::test]
async fn the_first_request_that_is_printed_works() {
    let model = async |sandbox: Sandbox| {
        let daemon = sandbox.start(&[]).await;
        daemon.until("the first request is printed", async |daemon| daemon.stdout().contains("\"model\":\"")).await;
        let printed = daemon.stdout();
        let model = printed.split("\"model\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        (model, printed, daemon.log())
    };
    let (small, _, _) = model(Sandbox::new().env("OPENAI_API_KEY", "sk-0123456789abcdef")).await;
    assert!(small.starts_with("openai/gpt-"), "{small}");
    let file = "version: 1\nproviders: { openai: {} }\npresets: { default: openai/gpt-5 }\n";
    let (without, printed, log) = model(Sandbox::with(file)).await;
    assert_eq!(without, "demo/chat");
    assert!(printed.contains("openai (no key)"), "{printed}");
    assert_eq!(log.matches("RP0143").count(), 1, "{log}");
    let (with, _, log) = model(Sandbox::with(file).env("OPENAI_API_KEY", "sk-0123456789abcdef")).await;
    assert_eq!(with, "@default");
    assert!(!log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn a_second_gateway_at_the_same_address_names_the_first() {
    let sandbox = Sandbox::with(SMALL);
    let first = sandbox.start(&[]).await;
    let address = first.address.to_string();
    for arguments in [&["start", "--listen", &address][..], &["start", "--detach", "--listen", &address]] {
        let ended = sandbox.run(arguments).expect(69);
        assert!(
            ended.stderr.contains(&format!("the routeplane with pid {} already listens", first.pid())),
            "{ended:?}"
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    assert_eq!(sandbox.state_files().len(), 1);
}

/// Nowhere to write: it serves all the same, and says once what will not work.
#[tokio::test]
async fn without_a_folder_for_its_state_it_starts_all_the_same() {
    let sandbox = Sandbox::with(SMALL);
    let file = sandbox.write("a-file", "");
    let nowhere: [&[(&str, &std::path::Path)]; 2] = [&[], &[("HOME", &file)]];
    for variables in nowhere {
        let log = std::fs::File::create(sandbox.path("log")).unwrap();
        let said = || std::fs::read_to_string(sandbox.path("log")).unwrap();
        let mut command = sandbox.command(&["start", "--listen", "127.0.0.1:0"]);
        command.env_clear().envs(variables.iter().copied()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap();
        // It accepts requests before it has looked for its folder, and says where it listens afterwards.
        let address = loop {
            if let Some(address) = crate::gateway::listening(&said()) {
                break address;
            }
            assert!(child.try_wait().unwrap().is_none(), "{}", said());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        let answer = http_client::get(address, "/livez").await;
        child.kill().unwrap();
        child.wait().unwrap();
        answer.expect_status(200);
        let log = said();
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
        assert!(matches!(warnings[..], [only] if only.contains("will not find this gateway")), "{log}");

        let mut command = sandbox.command(&["start", "--detach"]);
        let output = command.env_clear().envs(variables.iter().copied()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("without `--detach`") && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn check_says_what_it_has_looked_at() {
    let text = "version: 1\nkeys: { ci: env:CI_KEY, me: \"file:me\" }\n\
                presets:\n  default: demo/chat > demo/echo\n  cheap: demo/echo\n\
                rules: |\n  when model == \"auto\" -> @default\n\
                tests:\n- { request: { model: auto }, expect: { rule: 1 } }\n";
    let sandbox = Sandbox::with(text);
    let stages = "syntax   9 lines\n\
                  names    0 providers, 2 presets, 2 client keys\n\
                  routes   2 routes over 3 known models\n\
                  rules    1 rule; requests that meet none go as requested\n\
                  secrets  1 variable, 1 file, 1 not set\n\
                  tests    1 test passed\n\
                  routeplane.yaml: 1 warning\n";
    assert_eq!(sandbox.run(&["check"]).expect(0).stdout, stages);
    let sandbox = sandbox.env("CI_KEY", "0123456789abcdef");
    let stages = stages.replace(", 1 not set", "").replace("1 warning", "no findings");
    assert_eq!(sandbox.run(&["check"]).expect(0).stdout, stages);
    assert_eq!(sandbox.run(&["check", "--format", "json"]).expect(0).stdout.trim(), "[]");
    sandbox.write("routeplane.yaml", &text.replace("rule: 1", "rule: 2"));
    assert_eq!(sandbox.run(&["check"]).expect(3).stdout, "routeplane.yaml: 1 error\n");
}

/// The world that an explanation assumes: by flags, and the same of the running gateway.
#[tokio::test]
async fn explain_takes_what_does_not_stand_in_the_request() {
    let sandbox = Sandbox::with(
        "version: 1\nkeys: { ci: { key: env:CI_KEY, team: lab } }\n\
         presets:\n  default: demo/chat > demo/echo\n  split: split(50 demo/chat, 50 demo/echo)\n\
         rules: |\n  when input_tokens > 100k -> deny 413 \"too long\"\n  when user == \"ada\" -> demo/echo\n  \
         when key.team == \"lab\" -> @split\n  otherwise -> as requested\n",
    )
    .env("CI_KEY", "0123456789abcdef");
    let daemon = sandbox.start(&[]).await;
    let cases: [(&[&str], serde_json::Value, &str, &[&str]); 6] = [
        (&[], json!({}), "@default", &["demo/chat", "demo/echo"]),
        (&["--down", "demo/chat"], json!({ "down": ["demo/chat"] }), "@default", &["demo/echo"]),
        (&["--down", "demo/chat", "--down", "demo/echo"], json!({ "down": ["demo"] }), "@default", &[]),
        (&["--user", "ada"], json!({ "user": "ada" }), "rule 2", &["demo/echo"]),
        (&["--key", "ci", "--draw", "0.1"], json!({ "key": "ci", "draw": 0.1 }), "@split", &["demo/chat", "demo/echo"]),
        (&["--key", "ci", "--draw", "0.9"], json!({ "key": "ci", "draw": 0.9 }), "@split", &["demo/echo", "demo/chat"]),
    ];
    let body = json!({ "model": "@default", "user": "bob", "messages": [{ "role": "user", "content": "Hello" }] });
    sandbox.write("body.json", &body.to_string());
    let token = format!("Bearer {}", daemon.token);
    let live = async |mut asked: serde_json::Value, status: u16| {
        asked["body"] = body.clone();
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let asked = asked.to_string();
        let answer = http_client::request(daemon.address, "POST", "/admin/explain", &headers, asked.as_bytes()).await;
        answer.expect_status(status).json()
    };
    for (flags, asked, route, targets) in cases {
        let arguments = [&["explain", "body.json", "--format", "json"], flags].concat();
        let explained = sandbox.run(&arguments).expect(0).json();
        let attempts = explained["outcome"]["attempts"].as_array().unwrap();
        let attempted: Vec<&str> = attempts.iter().map(|attempt| attempt["target"].as_str().unwrap()).collect();
        assert_eq!((&explained["route"], attempted.as_slice()), (&json!(route), targets), "{flags:?}");
        let skipped = explained["outcome"]["skipped"].as_array().unwrap().len();
        assert_eq!(skipped, if route == "rule 2" { 0 } else { 2 - targets.len() });
        assert_eq!(live(asked, 200).await["explanation"]["outcome"]["attempts"], explained["outcome"]["attempts"]);
    }
    let long = sandbox.run(&["explain", "body.json", "--input-tokens", "150k"]).expect(0).stdout;
    assert!(long.contains("denied with 413"), "{long}");
    let long = live(json!({ "input_tokens": 150_000 }), 200).await;
    assert_eq!(long["explanation"]["outcome"]["denied"]["status"], 413);

    let ended = sandbox.run(&["explain", "body.json", "--down", "demo/chta"]).expect(2);
    assert!(ended.stderr.contains("did you mean `demo/chat`?"), "{ended:?}");
    sandbox.run(&["explain", "body.json", "--draw", "2"]).expect(2);
    sandbox.run(&["explain", "body.json", "--key", "cd"]).expect(2);
    sandbox.run(&["explain", "body.json", "--input-tokens", "many"]).expect(2);
    for wrong in [json!({ "down": ["demo/chta"] }), json!({ "draw": 2 }), json!({ "dwon": [] }), json!({ "user": 5 })] {
        live(wrong, 400).await;
    }
}

/// `hour` is that of the file's clock, in `explain` and in the running gateway.
#[test]
fn the_hour_is_that_of_the_timezone() {
    let utc = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 3600;
    for (zone, hours) in [("", 0), ("timezone: UTC\n", 0), ("timezone: +13:00\n", 13), ("timezone: \"-11:00\"\n", 13)] {
        let text = format!("version: 1\n{zone}rules: |\n  when hour > 23 -> demo/echo\n  otherwise -> as requested\n");
        let sandbox = Sandbox::with(&text);
        let before = utc();
        let explained = sandbox.run(&["explain", "--model", "demo/chat"]).expect(0).stdout;
        let possible = [before, utc()].map(|hour| format!("(here: {})", (hour + hours) % 24));
        assert!(possible.iter().any(|here| explained.contains(here)), "{zone} {possible:?}: {explained}");
    }
}

/// A stop lets a stream come to its end; one that would take longer than `limits.drain` is cut off, and never looks whole.
#[tokio::test]
async fn a_stop_waits_for_a_stream_as_long_as_it_may() {
    for (pace, finishes) in [("pace-200ms", true), ("pace-1500ms", false)] {
        let sandbox =
            Sandbox::with(&format!("{SMALL}limits: {{ drain: {} }}\n", if finishes { "60s" } else { "100ms" }));
        let mut daemon = sandbox.start(&[]).await;
        let body = json!({ "model": format!("demo/{pace}"), "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
        let mut connection = http_client::Connection::open(daemon.address).await;
        connection.send("POST", "/v1/chat/completions", &[], body.to_string().as_bytes()).await;
        let head = connection.head().await;
        let asked = std::time::Instant::now();
        daemon.signal("TERM");
        let response = connection.body(head).await;
        assert_eq!(response.text().contains("[DONE]"), finishes, "{response:?}");
        assert_eq!(response.text().contains("\"finish_reason\":\"stop\""), finishes, "{response:?}");
        assert!(response.complete, "{response:?}");
        assert_eq!(daemon.end().await, Some(0), "{}", daemon.log());
        assert!(asked.elapsed() < std::time::Duration::from_secs(20), "{:?}", asked.elapsed());
        assert!(sandbox.state_files().is_empty());
        assert_eq!(daemon.log().contains("are cut off"), !finishes, "{}", daemon.log());
    }
}

#[tokio::test]
async fn what_a_stop_cuts_off_says_so_in_the_callers_dialect() {
    let slow = MockUpstream::start([Act::StallBeforeHead]).await;
    let sandbox = Sandbox::with(&format!(
        "{SMALL}limits: {{ drain: 100ms }}\nproviders:\n  slow: {{ protocol: openai-chat, base_url: \"{}\", auth: none }}\n",
        slow.base_url("openai-chat")
    ));
    let mut daemon = sandbox.start(&[]).await;
    let mut streams = Vec::new();
    let mut waiting = Vec::new();
    for caller in Caller::ALL {
        let mut stream = caller.begin(daemon.address, "demo/pace-1500ms", "hi", true).await;
        let head = stream.head().await;
        assert_eq!(head.status, 200, "{caller:?}");
        streams.push((caller, stream, head));
        waiting.push((caller, caller.begin(daemon.address, "slow/m1", "hi", false).await));
    }
    slow.wait_for_requests(waiting.len()).await;
    daemon.signal("TERM");
    for (caller, mut stream, head) in streams {
        let answer = stream.body(head).await;
        let error = caller.in_band_error(&answer).unwrap_or_else(|| panic!("{caller:?}: no error in {answer:?}"));
        assert!(error.contains("is stopping"), "{caller:?}: {error}");
        assert!(answer.complete && !caller.has_end_marker(&answer), "{caller:?}: {answer:?}");
    }
    for (caller, mut connection) in waiting {
        let answer = connection.response().await.expect_status(503);
        assert_eq!(answer.header("x-routeplane-code"), Some("draining"), "{caller:?}: {answer:?}");
        assert!(caller.error(&answer.json()).1.contains("is stopping"), "{caller:?}: {answer:?}");
    }
    assert_eq!(daemon.end().await, Some(0), "{}", daemon.log());
}
