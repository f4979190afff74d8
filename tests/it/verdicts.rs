//! `check` and a reload give one verdict: on every fixture, right or wrong, and on fixtures into which a slip was put, the
//! running gateway takes the file where the command finds no error, and refuses it with the very findings of the command
//! where it does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;
use serde_json::Value;

use crate::sandbox::{Daemon, Sandbox};

/// Gateways that judge beside each other; a reload mostly waits.
const GATEWAYS: usize = 6;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn texts() -> Vec<String> {
    let paths = ["check", "config"].map(folder).into_iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut paths: Vec<PathBuf> = paths.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// The text with a slip: a line gone, twice, or at another place, a character gone, another, or indented.
fn slipped(text: &str, random: &mut Rng) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = random.usize(..lines.len().max(1));
    let Some(line) = lines.get_mut(at) else { return "x".to_owned() };
    let characters: Vec<char> = line.chars().collect();
    let place = random.usize(..characters.len().max(1));
    match random.u8(..6) {
        0 => drop(lines.remove(at)),
        1 => {
            let again = line.clone();
            lines.insert(at, again);
        }
        2 => {
            let other = random.usize(..lines.len());
            lines.swap(at, other);
        }
        3 => *line = characters.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, c)| c).collect(),
        4 => {
            let others = b"\"'{}[]:#>-,@ a0";
            let other = char::from(others[random.usize(..others.len())]);
            *line = characters.iter().enumerate().map(|(at, c)| if at == place { other } else { *c }).collect();
        }
        _ => *line = format!("  {line}"),
    }
    lines.join("\n") + "\n"
}

/// What is said of the surroundings, and not of the file alone: that it lost half of what is live, that an address is taken,
/// that a secret cannot be had; that a provider is at the file's own address, which `--listen` replaces here.
fn is_of_the_moment(finding: &Value) -> bool {
    ["RP0075", "RP0183", "RP0184", "RP0185"].iter().any(|code| finding["code"] == *code)
}

/// The errors of the file, without the line for people that a gateway writes of each.
fn errors(findings: &Value) -> Vec<Value> {
    let errors = findings.as_array().unwrap().iter();
    let errors = errors.filter(|finding| finding["severity"] == "error" && !is_of_the_moment(finding));
    let without_text = |mut error: Value| {
        error.as_object_mut().unwrap().remove("text");
        error
    };
    errors.cloned().map(without_text).collect()
}

#[derive(Default)]
struct Tally {
    right: AtomicUsize,
    wrong: AtomicUsize,
    of_the_moment: AtomicUsize,
}

/// Judges a text in both ways. `taken`: the gateway has another file than its own, and gets that back first.
async fn judge(sandbox: &Sandbox, daemon: &Daemon, text: &str, taken: &mut bool, tally: &Tally) {
    if std::mem::take(taken) {
        sandbox.write("routeplane.yaml", OWN);
        daemon.reload().await.expect_status(200);
    }
    let path = sandbox.write("routeplane.yaml", text);
    let checked = sandbox.run(&["check", path.to_str().unwrap(), "--format", "json"]);
    let answer = daemon.reload().await;
    let verdict = answer.json();
    let found = match checked.code {
        0 | 3 => errors(&checked.json()),
        // Nothing to look into: the file is empty.
        _ => {
            assert!(checked.stderr.contains("RP018"), "{checked:?}\n{text}");
            assert_eq!(answer.status, 422, "{verdict}\n{text}");
            return;
        }
    };
    match answer.status {
        200 => {
            *taken = true;
            assert!(found.is_empty(), "taken, though `check` says {found:#?} of\n{text}");
            tally.right.fetch_add(1, Ordering::Relaxed);
        }
        422 => {
            let refused = errors(&verdict["errors"]);
            assert_eq!(refused, found, "{text}");
            let count = if refused.is_empty() { &tally.of_the_moment } else { &tally.wrong };
            count.fetch_add(1, Ordering::Relaxed);
        }
        status => panic!("{status}: {verdict}\n{text}"),
    }
}

/// What a gateway goes back to: nothing that a file could lose.
const OWN: &str = "version: 1\nreload: { watch: off, allow_shrink: true }\n";

async fn gateway() -> (Sandbox, Daemon) {
    let keys = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "GEMINI_API_KEY"];
    let sandbox = keys.iter().fold(Sandbox::with(OWN), |sandbox, key| sandbox.env(key, "k"));
    for entry in std::fs::read_dir(folder("check/files")).unwrap().map(Result::unwrap) {
        sandbox.write(entry.file_name().to_str().unwrap(), &std::fs::read_to_string(entry.path()).unwrap());
    }
    let daemon = sandbox.start(&[]).await;
    (sandbox, daemon)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_and_the_running_gateway_agree_on_every_file() {
    let mut random = Rng::with_seed(11);
    let originals = texts();
    let slips: Vec<String> = originals.iter().map(|text| slipped(text, &mut random)).collect();
    let mut all: Vec<String> = originals.into_iter().chain(slips).collect();
    random.shuffle(&mut all);
    let tally = Arc::new(Tally::default());
    let shares: Vec<Vec<String>> = all.chunks(all.len().div_ceil(GATEWAYS)).map(<[String]>::to_vec).collect();
    let judges = shares.into_iter().map(|share| {
        let tally = tally.clone();
        tokio::spawn(async move {
            let (sandbox, mut daemon) = gateway().await;
            let mut taken = false;
            for text in share {
                judge(&sandbox, &daemon, &text, &mut taken, &tally).await;
            }
            daemon.signal("TERM");
            daemon.end().await;
        })
    });
    for judge in judges.collect::<Vec<_>>() {
        judge.await.unwrap();
    }
    let [right, wrong, of_the_moment] =
        [&tally.right, &tally.wrong, &tally.of_the_moment].map(|count| count.load(Ordering::Relaxed));
    assert!(right > 100 && wrong > 200, "{right} right, {wrong} wrong, {of_the_moment} neither");
    assert!(of_the_moment < 40, "{of_the_moment} were refused for what is no matter of the file");
}
