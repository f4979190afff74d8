//! The commands, as a user meets them: what they print, and how they end.

use std::time::Duration;

use serde_json::json;

use crate::http_client;
use crate::sandbox::Sandbox;

const SMALL: &str = "version: 1\npresets:\n  default: demo/chat\n";

/// The pages of the documentation that the program makes. `INSTA_UPDATE=always` writes them.
#[test]
fn the_generated_pages_are_up_to_date() {
    let sandbox = Sandbox::new();
    for page in ["cli", "diagnostics"] {
        let path = format!("{}/docs/{page}.md", env!("CARGO_MANIFEST_DIR"));
        let made = sandbox.run(&["reference", page]).expect(0).stdout;
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(&path, &made).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(made == written, "docs/{page}.md is out of date; run `INSTA_UPDATE=always cargo test --test it cli::`");
    }
}

#[test]
fn every_command_has_help_and_a_wrong_one_is_a_usage_error() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["--help"]).expect(0).stdout;
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names: Vec<&str> = commands
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|it| !it.is_empty())
        .collect();
    for name in ["start", "stop", "status", "reload", "check", "schema", "completions", "version"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    for name in names {
        let help = sandbox.run(&[name, "--help"]).expect(0);
        assert!(help.stdout.contains("Usage:"), "{help:?}");
    }
    sandbox.run(&["strat"]).expect(2);
    sandbox.run(&["start", "--listen", "nonsense"]).expect(2);
}

#[test]
fn facts_come_as_json_too() {
    let sandbox = Sandbox::new();
    let version = sandbox.run(&["version", "--format", "json"]).expect(0).json();
    assert_eq!(version, json!({ "name": "routeplane", "version": env!("CARGO_PKG_VERSION") }));
    assert!(sandbox.run(&["schema"]).expect(0).json()["properties"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        assert!(sandbox.run(&["completions", shell]).expect(0).stdout.contains("routeplane"));
    }
}

#[test]
fn a_closed_pipe_is_no_crash() {
    let sandbox = Sandbox::new();
    let binary = env!("CARGO_BIN_EXE_routeplane");
    sandbox.shell(&format!("{binary} schema 2> err | head -n 1 > /dev/null; test ! -s err"));
}

#[test]
fn without_a_running_gateway_the_commands_say_what_to_do() {
    let sandbox = Sandbox::new();
    for command in ["stop", "status", "reload"] {
        let ended = sandbox.run(&[command]).expect(69);
        assert_eq!(ended.stderr, "routeplane: no gateway is running; start one with `routeplane start --detach`\n");
    }
}

/// One clear line, the documented code, and nothing left behind.
#[test]
fn what_keeps_a_gateway_from_starting_is_said_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let cases: [(&str, &[&str], i32, &str); 7] = [
        (SMALL, &["start", "--listen", &address], 69, "is in use by another process"),
        (SMALL, &["start", "--config", "absent.yaml"], 66, "absent.yaml` is not there"),
        ("", &["start"], 78, "the configuration file is empty"),
        ("version: 1\npresets: {}\nkeys: { ci: \"file:no/such/key\" }\n", &["start"], 78, "no/such/key"),
        (SMALL, &["start", "--listen", "0.0.0.0:0"], 78, "can be reached from other machines"),
        (SMALL, &["start", "--config", "."], 78, "it is a folder"),
        (SMALL, &["start", "--detach", "--listen", &address], 69, "is in use by another process"),
    ];
    for (text, arguments, code, expected) in cases {
        let sandbox = Sandbox::with(text);
        let ended = sandbox.run(arguments).expect(code);
        assert!(ended.stderr.contains(expected), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(sandbox.state_files().is_empty(), "{arguments:?} leaves a file behind");
    }
}

#[test]
fn an_invalid_file_is_shown_with_its_lines_and_nothing_starts() {
    let sandbox = Sandbox::with("version: 1\npresets:\n  default: { rout: demo/chat }\n");
    let ended = sandbox.run(&["start"]).expect(78);
    assert!(ended.stderr.contains("rout: demo/chat") && ended.stderr.contains("RP0020"), "{}", ended.stderr);
    assert!(ended.stderr.contains("nothing was started"), "{}", ended.stderr);
    assert!(sandbox.state_files().is_empty());
}

#[tokio::test]
async fn the_first_command_of_a_newcomer_answers() {
    let sandbox = Sandbox::new();
    let daemon = sandbox.start(&[]).await;
    let printed = daemon.stdout();
    assert!(printed.contains("no file: the built-in defaults hold"), "{printed}");
    assert!(printed.contains("none: the built-in demo provider answers"), "{printed}");
    let curl = printed.lines().find(|line| line.trim_start().starts_with("curl ")).expect("a curl line");
    let body = curl.split("-d '").nth(1).unwrap().trim_end_matches('\'');
    assert!(curl.contains(&format!("http://{}/v1/chat/completions", daemon.address)), "{curl}");
    let answer = http_client::post(daemon.address, "/v1/chat/completions", &serde_json::from_str(body).unwrap()).await;
    let answer = answer.expect_status(200);
    assert!(answer.json()["choices"][0]["message"]["content"].is_string(), "{answer:?}");
    assert_eq!(answer.header("x-routeplane-generation"), Some("1"));
}

#[tokio::test]
async fn the_start_names_variables_and_never_their_values() {
    let sandbox = Sandbox::with(SMALL).env("OPENAI_API_KEY", "sk-very-secret-0123456789");
    let daemon = sandbox.start(&[]).await;
    let printed = daemon.stdout();
    assert!(printed.contains("openai (OPENAI_API_KEY)"), "{printed}");
    assert!(printed.contains("@default") && printed.contains("\"model\":\"@default\""), "{printed}");
    assert!(printed.contains(&sandbox.path("routeplane.yaml").display().to_string()), "{printed}");
    let status = daemon.status().await.to_string();
    assert!(![printed, daemon.log(), status].concat().contains("very-secret"));
}

#[tokio::test]
async fn a_gateway_is_found_asked_and_stopped() {
    let sandbox = Sandbox::with(SMALL);
    let mut daemon = sandbox.start(&[]).await;
    let status = sandbox.run(&["status"]).expect(0).stdout;
    assert!(status.contains(&format!("pid {}, http://{}", daemon.pid(), daemon.address)), "{status}");
    let facts = sandbox.run(&["status", "--format", "json"]).expect(0).json();
    assert_eq!((&facts["active"]["generation"], &facts["drift"]), (&json!(1), &json!(false)));
    assert_eq!(sandbox.run(&["reload"]).expect(0).stdout, "nothing has changed; generation 1 is live\n");
    let stopped = sandbox.run(&["stop"]).expect(0).stdout;
    assert_eq!(stopped, format!("the gateway with pid {} has stopped\n", daemon.pid()));
    assert_eq!(daemon.end().await, Some(0));
    assert!(sandbox.state_files().is_empty());
}

#[tokio::test]
async fn several_gateways_are_told_apart_by_their_address() {
    let sandbox = Sandbox::with(SMALL);
    let (one, two) = (sandbox.start(&[]).await, sandbox.start(&[]).await);
    let ended = sandbox.run(&["status"]).expect(2);
    assert!(ended.stderr.contains(&one.address.to_string()) && ended.stderr.contains(&two.address.to_string()));
    let status = sandbox.run(&["status", "--address", &two.address.to_string()]).expect(0).stdout;
    assert!(status.contains(&format!("pid {}", two.pid())), "{status}");
    sandbox.run(&["status", "--address", "127.0.0.1:1"]).expect(69);
}

#[tokio::test]
async fn a_gateway_in_the_background_serves_when_the_command_returns() {
    let sandbox = Sandbox::with(SMALL);
    let started = sandbox.run(&["start", "--detach", "--listen", "127.0.0.1:0"]).expect(0).stdout;
    let address = started.split("http://").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    http_client::get(address, "/livez").await.expect_status(200);
    assert!(started.contains("routeplane.log"), "{started}");
    sandbox.run(&["stop"]).expect(0);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// A gateway that was killed leaves its file; it is not mistaken for one that runs.
#[tokio::test]
async fn the_left_overs_of_a_killed_gateway_do_no_harm() {
    let sandbox = Sandbox::with(SMALL);
    for _ in 0..3 {
        let mut daemon = sandbox.start(&[]).await;
        daemon.signal("KILL");
        daemon.end().await;
    }
    assert_eq!(sandbox.state_files().len(), 3);
    sandbox.run(&["status"]).expect(69);
    assert!(sandbox.state_files().is_empty());
    let daemon = sandbox.start(&[]).await;
    let status = sandbox.run(&["status"]).expect(0).stdout;
    assert!(status.contains(&format!("pid {}", daemon.pid())), "{status}");
}

#[tokio::test]
async fn a_stop_lets_requests_finish_and_a_second_one_does_not() {
    let sandbox = Sandbox::with(SMALL);
    let mut daemon = sandbox.start(&[]).await;
    let body = json!({ "model": "demo/delay-1500ms", "messages": [{ "role": "user", "content": "hello" }] });
    let address = daemon.address;
    let request = tokio::spawn(async move { http_client::post(address, "/v1/chat/completions", &body).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    daemon.signal("TERM");
    request.await.unwrap().expect_status(200);
    assert_eq!(daemon.end().await, Some(0));

    let mut daemon = sandbox.start(&[]).await;
    let mut connection = http_client::Connection::open(daemon.address).await;
    let body = json!({ "model": "demo/delay-60s", "messages": [{ "role": "user", "content": "hello" }] }).to_string();
    connection.send("POST", "/v1/chat/completions", &[], body.as_bytes()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    daemon.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    daemon.signal("TERM");
    assert_eq!(daemon.end().await, Some(0));
    assert!(daemon.log().contains("stopped at once"), "{}", daemon.log());
    assert!(sandbox.state_files().is_empty());
}

#[test]
fn check_speaks_to_people_and_to_programs() {
    let sandbox = Sandbox::with(SMALL);
    sandbox.run(&["check"]).expect(0);
    assert_eq!(sandbox.run(&["check", "--format", "json"]).expect(0).json(), json!([]));
    sandbox.write("bad.yaml", "version: 1\npresets:\n  default: { rout: demo/chat }\n");
    let human = sandbox.run(&["check", "bad.yaml"]).expect(3);
    assert!(human.stderr.contains("did you mean"), "{human:?}");
    assert!(human.stdout.contains("bad.yaml: 1 error"), "{human:?}");
    let findings = sandbox.run(&["check", "bad.yaml", "--format", "json"]).expect(3).json();
    assert_eq!(findings[0]["code"], "RP0020");
    assert!(sandbox.run(&["check", "bad.yaml", "--format", "sarif"]).expect(3).json()["runs"].is_array());
    let github = sandbox.run(&["check", "bad.yaml", "--format", "github"]).expect(3).stdout;
    assert!(github.starts_with("::error"), "{github}");
    sandbox.write(
        "warned.yaml",
        "version: 1\npresets: { default: openai/gpt-5 }\nproviders: { openai: { key: env:ABSENT_KEY } }\n",
    );
    sandbox.run(&["check", "warned.yaml"]).expect(0);
    sandbox.run(&["check", "warned.yaml", "--deny", "warnings"]).expect(3);
    sandbox.run(&["check", "absent.yaml"]).expect(66);
    Sandbox::new().run(&["check"]).expect(66);
}

#[test]
fn every_diagnostic_explains_itself() {
    let sandbox = Sandbox::new();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/diagnostics.md")).unwrap();
    let codes: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## RP")).collect();
    assert!(codes.len() > 20);
    let explained = sandbox.run(&["check", "--explain", "rp0180"]).expect(0).stdout;
    assert!(explained.starts_with("RP0180: "), "{explained}");
    sandbox.run(&["check", "--explain", "RP9999"]).expect(2);
}

#[test]
fn the_configuration_is_looked_for_in_the_documented_places() {
    let sandbox = Sandbox::new().env("XDG_CONFIG_HOME", "xdg");
    sandbox.run(&["check"]).expect(66);
    sandbox.write("xdg/routeplane/routeplane.yaml", SMALL);
    let checked = |sandbox: &Sandbox, arguments: &[&str]| sandbox.run(arguments).expect(0).stdout;
    assert!(checked(&sandbox, &["check"]).contains("\nxdg/routeplane/routeplane.yaml: "));
    sandbox.write("routeplane.yaml", SMALL);
    assert!(checked(&sandbox, &["check"]).contains("\nrouteplane.yaml: "));
    sandbox.write("other.yaml", SMALL);
    assert!(checked(&sandbox, &["check", "other.yaml"]).contains("\nother.yaml: "));
    let sandbox = sandbox.env("ROUTEPLANE_CONFIG", "other.yaml");
    assert!(checked(&sandbox, &["check"]).contains("\nother.yaml: "));
}

#[tokio::test]
async fn explain_says_where_a_request_goes_before_it_is_sent() {
    let sandbox = Sandbox::with(
        "version: 1\npresets:\n  default: demo/chat\n  quick: demo/delay-1ms > @default\n\
         rules: |\n  when header(\"x-team\") == \"lab\" -> @quick\n  otherwise -> as requested\n",
    );
    let plain = sandbox.run(&["explain", "--model", "@default"]).expect(0).stdout;
    assert!(plain.contains("rule 1 does not fire") && plain.contains("demo/chat"), "{plain}");
    let lab = ["explain", "--model", "@default", "--header", "x-team: lab", "--format", "json"];
    let lab = sandbox.run(&lab).expect(0).json();
    assert!(lab.to_string().contains("demo/delay-1ms"), "{lab}");
    let curl =
        "curl 127.0.0.1:4356/v1/messages -H 'x-team: lab' -d '{\"model\":\"x\",\"max_tokens\":5,\"messages\":[]}'";
    let by_curl = sandbox.run(&["explain", "--curl", curl, "--format", "json"]).expect(0).json();
    assert_eq!(by_curl["attempts"][0]["target"], lab["attempts"][0]["target"], "{by_curl}");
    sandbox.write("body.json", r#"{ "model": "nothing/like-it", "messages": [] }"#);
    sandbox.run(&["explain", "body.json"]).expect(0);
    for protocol in ["chat", "responses", "messages", "gemini", "converse", "embeddings"] {
        sandbox.run(&["explain", "--protocol", protocol, "--model", "demo/chat"]).expect(0);
        let body = ["explain", "--protocol", protocol, "--model", "demo/chat", "--stream", "body.json"];
        sandbox.run(&body).expect(0);
    }
    sandbox.run(&["explain"]).expect(2);
    assert!(sandbox.run(&["explain", "--table"]).expect(0).stdout.contains("quick"));
    assert!(sandbox.run(&["explain", "--table", "--format", "json"]).expect(0).json().is_object());

    // The live table decides the same.
    let daemon = sandbox.start(&[]).await;
    let asked = json!({ "headers": { "x-team": "lab" }, "body": { "model": "@default", "messages": [] } });
    let live = http_client::post(daemon.address, "/admin/explain", &asked).await.expect_status(200).json();
    assert_eq!(live["explanation"], lab);
    http_client::post(daemon.address, "/admin/explain", &json!({})).await.expect_status(400);
}
