//! `tests/bugs.tsv` names, for each bug that users of other gateways have met, the tests that keep it out of this one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every function with a `#[test]` or `#[tokio::test]` above it, in `src` and `tests/it`.
fn test_names() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    let mut folders = vec![root.join("src"), root.join("tests/it")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(tests_of(&std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    names
}

fn tests_of(text: &str) -> Vec<String> {
    let mut marked = false;
    let mut names = Vec::new();
    for line in text.lines().map(str::trim_start) {
        marked |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let Some((_, rest)) = line.split_once("fn ").filter(|_| marked) else { continue };
        names.extend(rest.split('(').next().map(str::to_owned));
        marked = false;
    }
    names
}

#[test]
fn each_bug_of_others_has_tests_here() {
    let names = test_names();
    let rows: Vec<Vec<&str>> = include_str!("../bugs.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    let mut wrong = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let [number, what, tests] = row[..] else { panic!("three columns: {row:?}") };
        assert_eq!(number, (at + 1).to_string());
        if what.is_empty() || tests.is_empty() {
            wrong.push(format!("row {number}: what went wrong, and the tests that keep it out, are missing"));
        }
        wrong.extend(
            tests
                .split_whitespace()
                .filter(|test| !names.contains(*test))
                .map(|test| format!("row {number}: there is no test `{test}`")),
        );
    }
    assert_eq!(wrong, [""; 0]);
}
