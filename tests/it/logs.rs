//! The gateway's own log and what it prints: which lines go where, and in which form.

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::sandbox::{Daemon, Sandbox};

/// The log, each line of which is a JSON object. One that is being written is left out.
fn lines(text: &str) -> Vec<Value> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The fields of the lines whose message is `message`.
fn said(daemon: &Daemon, message: &str) -> Vec<Value> {
    let lines = lines(&daemon.log());
    lines.iter().map(|line| line["fields"].clone()).filter(|fields| fields["message"] == message).collect()
}

const FILE: &str = "presets:\n  small: demo/chat\n";

#[tokio::test]
async fn a_refused_file_is_a_line_for_each_finding_where_programs_read() {
    let sandbox = Sandbox::with(FILE);
    let daemon = sandbox.start(&["--log-format", "json"]).await;
    assert_eq!(daemon.stdout(), "", "the start is in the log");
    let serving = said(&daemon, "serving").remove(0);
    assert_eq!((&serving["listen"], &serving["generation"]), (&json!(daemon.address.to_string()), &json!(1)));

    sandbox.write("routeplane.yaml", "presetz: {}\npresets:\n  small: demoo/chat\n");
    daemon.until("the file is refused", async |daemon| said(daemon, "unknown provider `demoo`").len() == 1).await;
    let refused = said(&daemon, "configuration refused").remove(0);
    assert!(refused["active"].is_u64());
    assert_eq!(refused["findings"], 2);
    assert_eq!(refused["refused"].as_str().unwrap().len(), 64);
    let unknown = said(&daemon, "unknown provider `demoo`").remove(0);
    let file = sandbox.path("routeplane.yaml").display().to_string();
    assert_eq!(
        unknown,
        json!({
            "message": "unknown provider `demoo`", "code": "RP0060", "file": file, "line": 3, "column": 10,
            "help": "did you mean `demo`?",
        })
    );
    let levels: Vec<Value> =
        lines(&daemon.log()).into_iter().filter(|line| line["fields"]["code"] != Value::Null).collect();
    assert!(levels.iter().all(|line| line["level"] == "ERROR"), "{levels:#?}");
    assert!(!daemon.log().contains("\\n"), "every message is one line: {}", daemon.log());
}

#[tokio::test]
async fn people_read_a_refused_file_in_one_text() {
    let sandbox = Sandbox::with(FILE);
    let daemon = sandbox.start(&[]).await;
    assert!(daemon.stdout().contains("listening"), "{}", daemon.stdout());
    sandbox.write("routeplane.yaml", "presetz: {}\n");
    daemon.until("the file is refused", async |daemon| daemon.log().contains("configuration refused")).await;
    let log = daemon.log();
    assert_eq!(log.matches("unknown key `presetz`").count(), 1, "{log}");
    let text = log.split("configuration refused").nth(1).unwrap();
    assert!(text.starts_with('\n') && text.contains("routeplane.yaml:1:1: error RP0020: "), "{log}");
}

#[tokio::test]
async fn a_start_that_fails_says_why_in_the_form_of_the_log() {
    let sandbox = Sandbox::with("presetz: {}\n");
    let ended = sandbox.run(&["start", "--log-format", "json"]);
    let lines = lines(&ended.stderr);
    assert_eq!(lines[0]["fields"]["message"], "nothing was started: 1 error", "{lines:#?}");
    assert_eq!((&lines[1]["fields"]["code"], &lines[1]["fields"]["line"]), (&json!("RP0020"), &json!(1)), "{lines:#?}");
}

#[tokio::test]
async fn nothing_but_lines_of_calls_is_on_stdout_where_they_go_there() {
    let file = format!("{FILE}access_log: stdout\n");
    for (file, arguments) in [(&*file, &[][..]), (FILE, &["--access-log", "stdout"])] {
        let sandbox = Sandbox::with(file);
        let daemon = sandbox.start(arguments).await;
        Caller::Chat.ask(daemon.address, "@small", "hello", false).await.expect_status(200);
        daemon.until("the call is there", async |daemon| daemon.stdout().ends_with('\n')).await;
        let calls = lines(&daemon.stdout());
        assert_eq!((calls.len(), &calls[0]["model"]), (1, &json!("@small")), "{calls:#?}");
        assert!(daemon.log().contains("Try it:"), "the banner is on stderr: {}", daemon.log());
    }
    // The command line wins over the file.
    let sandbox = Sandbox::with(&file);
    let daemon = sandbox.start(&["--access-log", "calls.jsonl"]).await;
    daemon.until("the banner is there", async |daemon| daemon.stdout().contains("Try it:")).await;
}

#[tokio::test]
async fn levels_are_told_apart_by_module() {
    let sandbox = Sandbox::with(FILE).env("ROUTEPLANE_LOG", "off,routeplane::proxy=warn");
    let daemon = sandbox.start(&["--log-format", "json"]).await;
    Caller::Chat.ask(daemon.address, "demo/fail-503", "hello", false).await.expect_status(503);
    daemon.until("the try is told", async |daemon| !said(daemon, "attempt failed").is_empty()).await;
    let failed = said(&daemon, "attempt failed").remove(0);
    assert_eq!((&failed["cause"], &failed["status"]), (&json!("status"), &json!(503)));
    assert!(lines(&daemon.log()).iter().all(|line| line["target"].as_str().unwrap().starts_with("routeplane::proxy")));
    let wrong = Sandbox::with(FILE).env("ROUTEPLANE_LOG", "routeplane=loud").run(&["start"]);
    assert!(wrong.stderr.contains("`ROUTEPLANE_LOG=routeplane=loud` is no filter"), "{}", wrong.stderr);
}
