//! `routeplane init`: every file it can write is free of findings. `routeplane providers` and `models`.

use std::path::Path;
use std::process::{Command, Output};

use routeplane::cli::init::discover::LocalServer;
use routeplane::cli::init::file;
use routeplane::config::{self, Env, Files, Inputs};
use routeplane::diagnostic::render::{Style, render};
use serde_json::Value;

/// Nothing beside the file.
struct NoFiles;

impl Files for NoFiles {
    fn read(&self, path: &str) -> Result<String, String> {
        Err(format!("`{path}` is not there"))
    }
}

/// Surroundings in which the program may be run first.
fn surroundings() -> Vec<(&'static str, Vec<&'static str>, Vec<LocalServer>)> {
    let ollama = LocalServer {
        provider: "ollama".to_owned(),
        port: 11434,
        models: ["nomic-embed-text:latest", "qwen3:8b", "hf.co/unsloth/gpt-oss-20b-GGUF:Q4_K_M"]
            .map(str::to_owned)
            .to_vec(),
    };
    let empty = LocalServer { provider: "vllm".to_owned(), port: 8000, models: Vec::new() };
    vec![
        ("no-key", vec![], vec![]),
        ("openai", vec!["OPENAI_API_KEY"], vec![]),
        ("anthropic", vec!["ANTHROPIC_API_KEY"], vec![]),
        ("google", vec!["GOOGLE_API_KEY"], vec![]),
        ("all-three", vec!["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"], vec![]),
        ("groq", vec!["GROQ_API_KEY"], vec![]),
        ("ollama", vec![], vec![ollama.clone()]),
        ("key-and-servers", vec!["MISTRAL_API_KEY"], vec![ollama, empty]),
    ]
}

fn env(keys: &[&str]) -> Env {
    Env::new(keys.iter().map(|name| (name.to_string(), "sk-a-value-that-must-not-appear".to_owned())))
}

#[test]
fn files_that_are_written() {
    for (name, keys, servers) in surroundings() {
        let text = file(&env(&keys), &servers);
        assert!(!text.contains("must-not-appear"));
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{name}");
        insta::with_settings!({snapshot_path => "../../snapshots/init", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name, text);
        });
    }
}

#[test]
fn what_is_written_has_no_finding() {
    for (name, keys, servers) in surroundings() {
        let text = file(&env(&keys), &servers);
        assert!(text.matches("  - name: ").count() >= 3, "{name}: too few tests");
        assert_no_finding(name, &text, &env(&keys));
    }
}

/// With every key at once, too: each choice of a model is one that the catalogue has.
#[test]
fn every_known_provider_can_be_written() {
    let known = &config::known::providers().entries;
    let keys: Vec<&str> =
        known.iter().flat_map(|entry| &entry.env).flat_map(|env| &env.key).map(|key| &*key.value).collect();
    for key in &keys {
        let one = env(&[key]);
        assert_no_finding(key, &file(&one, &[]), &one);
    }
    assert_no_finding("every key", &file(&env(&keys), &[]), &env(&keys));
}

fn assert_no_finding(name: &str, text: &str, env: &Env) {
    let compiled =
        config::compile(Inputs { file: Some(("routeplane.yaml", text)), listen: None, env, files: &NoFiles });
    let findings = render(&compiled.diagnostics, &compiled.sources, Style::Plain);
    assert!(compiled.diagnostics.is_empty() && compiled.table.is_some(), "{name}:\n{findings}\n{text}");
}

// === the commands

fn routeplane(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_routeplane"));
    command.env_clear().env("HOME", folder).current_dir(folder).args(arguments).envs(env.iter().copied());
    command.output().unwrap()
}

/// What a command prints, as `snapshots/cli/NAME.snap`.
fn shown(name: &str, text: &str) {
    insta::with_settings!({snapshot_path => "../../snapshots/cli", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, text);
    });
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn init_writes_a_file_that_check_accepts_and_never_replaces_one_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let key = [("OPENAI_API_KEY", "sk-a-value-that-must-not-appear")];
    let written = routeplane(folder.path(), &["init", "--no-probe"], &key);
    shown("init", &stdout(&written));
    assert_eq!(written.status.code(), Some(0));
    let checked = routeplane(folder.path(), &["check", "--deny", "warnings"], &key);
    assert_eq!(checked.status.code(), Some(0), "{}{}", stdout(&checked), stderr(&checked));

    let path = folder.path().join("routeplane.yaml");
    std::fs::write(&path, "version: 1\n").unwrap();
    let again = routeplane(folder.path(), &["init", "--no-probe"], &key);
    assert_eq!(again.status.code(), Some(1));
    shown("init-refused", &stderr(&again));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "version: 1\n");
    let forced = routeplane(folder.path(), &["init", "--no-probe", "--force"], &key);
    assert_eq!(forced.status.code(), Some(0));
    assert!(std::fs::read_to_string(&path).unwrap().contains("openai/"));
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn init_prints_and_takes_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let printed = routeplane(folder.path(), &["init", "--no-probe", "--stdout"], &[]);
    assert!(stdout(&printed).starts_with("# yaml-language-server: $schema=./routeplane.schema.json\n"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let other = routeplane(folder.path(), &["init", "--no-probe", "--config", "other.yaml"], &[]);
    assert!(stdout(&other).contains("  routeplane check other.yaml\n  routeplane start --config other.yaml\n"));
    assert!(folder.path().join("other.yaml").exists());
    let nowhere = routeplane(folder.path(), &["init", "--no-probe", "--config", "no/folder.yaml"], &[]);
    assert_eq!(nowhere.status.code(), Some(1));
}

#[test]
fn providers_are_listed_with_what_they_need() {
    let folder = tempfile::tempdir().unwrap();
    let yaml =
        "providers:\n  gpu-box: { protocol: openai-chat, base_url: \"http://10.0.0.7:8000/v1\" }\n  vertex: {}\n";
    std::fs::write(folder.path().join("routeplane.yaml"), yaml).unwrap();
    let env = [("OPENAI_API_KEY", "sk-a-value-that-must-not-appear"), ("OLLAMA_HOST", "0.0.0.0")];
    let listed = routeplane(folder.path(), &["providers"], &env);
    shown("providers", &stdout(&listed));
    let json = routeplane(folder.path(), &["providers", "openai", "--format", "json"], &env);
    shown("providers-json", &stdout(&json));
}

#[test]
fn models_are_listed_with_what_is_known_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "providers:\n  gpu-box: { protocol: openai-chat, base_url: \"http://10.0.0.7:8000/v1\", models: [qwen3-32b] }\n";
    std::fs::write(folder.path().join("routeplane.yaml"), yaml).unwrap();
    let env = [("ANTHROPIC_API_KEY", "k"), ("MISTRAL_API_KEY", "k")];
    let listed = routeplane(folder.path(), &["models", "SONNET"], &env);
    let embeddings = routeplane(folder.path(), &["models", "embed", "--provider", "mistral"], &env);
    let own = routeplane(folder.path(), &["models", "--provider", "gpu-box"], &env);
    let text = [stdout(&listed), stdout(&embeddings), stdout(&own)].join("\n");
    shown("models", &text);
    let json = routeplane(folder.path(), &["models", "--provider", "anthropic", "--format", "json"], &env);
    let rows: Vec<Value> = serde_json::from_slice(&json.stdout).unwrap();
    let sonnet = rows.iter().find(|row| row["model"] == "anthropic/claude-sonnet-4-6").unwrap();
    assert_eq!(sonnet["max_output_tokens"], 128_000);
    assert_eq!(sonnet["prices"]["cache_write"], 3.75);
    let none = routeplane(folder.path(), &["models", "no-such-model"], &env);
    assert_eq!(stdout(&none), "no model; `routeplane providers` says which providers can be used\n");
}
