//! `check --losses` and `explain` print the ledger.

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

const FILE: &str = "presets:\n  both: anthropic/claude-sonnet-4-6 > openai/gpt-5\n  one: openai/gpt-5\n";

fn sandbox() -> Sandbox {
    Sandbox::with(FILE).env("OPENAI_API_KEY", "x").env("ANTHROPIC_API_KEY", "x")
}

#[test]
fn check_counts_what_each_route_loses() {
    let printed = sandbox().run(&["check"]).expect(0).stdout;
    let (_, losses) = printed.split_once("losses   ").unwrap();
    assert!(losses.contains("\n         @both: chat "), "{printed}");
    assert!(losses.contains("\n         @one: messages "), "callers of OpenAI's own protocol lose nothing: {printed}");
    assert!(!printed.contains("dropped"), "the list was not asked for: {printed}");
}

#[test]
fn check_lists_what_each_translation_loses() {
    let sandbox = sandbox();
    let printed = sandbox.run(&["check", "--losses"]).expect(0).stdout;
    assert!(printed.contains("\nmessages to openai/gpt-5 (openai-chat), by @both, @one\n"), "{printed}");
    let (_, chat) = printed.split_once("chat to anthropic/claude-sonnet-4-6 (anthropic-messages), by @both\n").unwrap();
    let dropped: Vec<&str> = chat.lines().take_while(|line| line.starts_with("  ")).collect();
    assert!(dropped.iter().any(|line| line.starts_with("  dropped ") && line.contains(" seed")), "{dropped:#?}");

    let data = sandbox.run(&["check", "--losses", "--format", "json"]).expect(0).json();
    assert_eq!(data["findings"], json!([]));
    let of = |caller: &str, target: &str| -> Value {
        let mut all = data["losses"].as_array().unwrap().iter();
        all.find(|one| one["caller"] == caller && one["target"] == target).cloned().unwrap_or_default()
    };
    let seed = |translation: &Value| {
        let fields = translation["fields"].as_array().unwrap().clone();
        fields.into_iter().find(|entry| entry["field"] == "seed").unwrap()
    };
    let lost = seed(&of("openai-chat", "anthropic/claude-sonnet-4-6"));
    assert_eq!((&lost["fate"], &lost["feature"]), (&json!("dropped"), &json!("sampling and limits")), "{lost}");
    assert_eq!(of("openai-chat", "openai/gpt-5"), Value::Null, "it passes as it is");
    sandbox.run(&["check", "--losses", "--format", "sarif"]).expect(2);
}

#[test]
fn explain_names_what_this_request_loses() {
    let sandbox = sandbox();
    sandbox.write("request.json", r#"{"model":"both","seed":7,"messages":[{"role":"user","content":"x"}]}"#);
    let printed = sandbox.run(&["explain", "request.json"]).expect(0).stdout;
    let lines: Vec<&str> = printed.lines().filter(|line| line.contains("1. ") || line.contains("2. ")).collect();
    assert!(
        lines[0].contains("anthropic/") && lines[0].contains(", loses: ") && lines[0].contains("seed=dropped"),
        "{printed}"
    );
    assert!(lines[1].contains("openai/") && !lines[1].contains("loses"), "{printed}");
    let data = sandbox.run(&["explain", "request.json", "--format", "json"]).expect(0).json();
    let losses = &data["outcome"]["attempts"][0]["losses"];
    assert!(losses.as_array().unwrap().iter().any(|loss| loss["field"] == "seed"), "{data}");

    let audio = r#"{"model":"both","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"eA==","format":"wav"}}]}]}"#;
    sandbox.write("audio.json", audio);
    let printed = sandbox.run(&["explain", "audio.json"]).expect(0).stdout;
    assert!(printed.contains(", refused: ") && printed.contains("takes no audio"), "{printed}");
}
