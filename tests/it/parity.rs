//! Parity with TensorZero: `tests/parity/run.py` sends the same requests to the real gateway, which the package `tensorzero`
//! embeds, and to Routeplane, both in front of one upstream. What differs must be listed in `tests/parity/differences.json`
//! and explained in docs/tensorzero.md; what is listed must still differ.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::sdk::python_with;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A difference that is meant.
struct Listed {
    id: String,
    /// `case/request/pointer`, all of it; `*` stands for any text.
    places: Vec<String>,
}

fn listed() -> Vec<Listed> {
    let text = std::fs::read_to_string(Path::new(ROOT).join("tests/parity/differences.json")).unwrap();
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    let places =
        |entry: &Value| entry["at"].as_array().unwrap().iter().map(|at| at.as_str().unwrap().to_owned()).collect();
    list.iter().map(|entry| Listed { id: entry["id"].as_str().unwrap().to_owned(), places: places(entry) }).collect()
}

/// Whether `text` is of the form of `pattern`, whose `*` stand for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = text;
    let mut pieces = pattern.split('*').peekable();
    let Some(first) = pieces.next() else { return text.is_empty() };
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty()
}

#[tokio::test]
async fn routeplane_does_what_tensorzero_does_but_for_what_is_listed() {
    let python = python_with("parity", "parity/requirements.txt").await;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("findings.json");
    let output = Command::new(python.join("bin/python"))
        .arg(Path::new(ROOT).join("tests/parity/run.py"))
        .arg(env!("CARGO_BIN_EXE_routeplane"))
        .arg(&out)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    let findings: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let (mut unlisted, mut seen) = (Vec::new(), BTreeSet::new());
    let listed = listed();
    for found in findings["differences"].as_array().unwrap() {
        let text = |key: &str| found[key].as_str().unwrap();
        let place = format!("{}/{}{}", text("case"), text("request"), text("at"));
        let known: Vec<(&str, &str)> = (listed.iter())
            .flat_map(|entry| entry.places.iter().map(|at| (&*entry.id, &**at)))
            .filter(|(_, at)| matches(at, &place))
            .collect();
        if known.is_empty() {
            unlisted
                .push(format!("{place}\n  tensorzero {}\n  routeplane {}", found["tensorzero"], found["routeplane"]));
        }
        seen.extend(known);
    }
    assert!(unlisted.is_empty(), "{} differences are not listed:\n{}", unlisted.len(), unlisted.join("\n"));
    let all = listed.iter().flat_map(|entry| entry.places.iter().map(|at| (&*entry.id, &**at)));
    let vanished: Vec<(&str, &str)> = all.filter(|place| !seen.contains(place)).collect();
    assert!(vanished.is_empty(), "listed, and not there any more: {vanished:#?}");
    let number = |key: &str| findings[key].as_u64().unwrap();
    assert!(number("requests") >= 60 && number("configurations") >= 20, "too few to speak of parity");
}

#[test]
fn every_listed_difference_is_explained() {
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/tensorzero.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let explained: BTreeSet<String> =
        rows.filter(|(id, _)| id.starts_with("d-")).map(|(id, _)| id.to_owned()).collect();
    let listed: BTreeSet<String> = listed().into_iter().map(|entry| entry.id).collect();
    assert_eq!(explained, listed, "left: docs/tensorzero.md, right: tests/parity/differences.json");
}

#[test]
fn patterns_of_places_match_whole_texts() {
    for (pattern, text, expect) in [
        ("a/*/c", "a/b/c", true),
        ("a/*", "a/b/c", true),
        ("*/c", "a/b/c", true),
        ("a/b", "a/b/c", false),
        ("*/b/*", "a/b/c", true),
        ("*/x/*", "a/b/c", false),
    ] {
        assert_eq!(matches(pattern, text), expect, "{pattern} {text}");
    }
}
