//! Configurations that others wrote. `ROUTEPLANE_CORPUS` names a folder with `tensorzero/INDEX.tsv`; they are not part of the
//! project, so the test is ignored where the variable is unset.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use routeplane::config::Files;
use routeplane::diagnostic::render::{Style, render};

use super::{faults, import, import_from, unaccounted};

/// One line of the index.
struct Case<'l> {
    id: &'l str,
    class: &'l str,
    files: Vec<&'l str>,
    verdict: &'l str,
}

fn cases(index: &str) -> impl Iterator<Item = Case<'_>> {
    index.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        Some(Case {
            id: columns.first()?,
            class: columns.get(1)?,
            files: columns.get(2)?.split(',').collect(),
            verdict: columns.get(6)?,
        })
    })
}

#[test]
#[ignore = "set ROUTEPLANE_CORPUS"]
fn configurations_of_others_are_imported_or_refused_as_tensorzero_does() {
    let corpus =
        std::env::var("ROUTEPLANE_CORPUS").expect("set ROUTEPLANE_CORPUS to the folder that holds `tensorzero/`");
    let folder = Path::new(&corpus).join("tensorzero");
    let index = std::fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for case in cases(&index) {
        let outcome = catch_unwind(AssertUnwindSafe(|| check(&folder, &case)));
        let outcome = outcome.unwrap_or_else(|_| ("panic", Some("it panics".to_owned())));
        *counts.entry((format!("{} {}", case.class, case.verdict), outcome.0)).or_default() += 1;
        failures.extend(outcome.1.map(|why| format!("=== {} ({})\n{why}", case.id, case.verdict)));
    }
    for failure in &failures {
        println!("{}", failure.chars().take(1500).collect::<String>());
    }
    for ((case, outcome), count) in &counts {
        println!("{case:28} {outcome:10} {count:4}");
    }
    assert!(counts.values().sum::<usize>() > 400, "the index is read");
    assert!(failures.is_empty(), "{} configurations are judged wrongly", failures.len());
}

/// The disk, with something in the place of every file that is not there.
struct StandIns;

impl Files for StandIns {
    fn read(&self, path: &str) -> Result<String, String> {
        let stand_in = if path.ends_with(".json") { "{}" } else { "a text" };
        Ok(std::fs::read_to_string(path).unwrap_or_else(|_| stand_in.to_owned()))
    }
}

/// What became of it, and what is wrong with that.
fn check(folder: &Path, case: &Case<'_>) -> (&'static str, Option<String>) {
    let folder = folder.join(case.id);
    // The corpus lacks some of the files that its configurations name.
    let loads = case.verdict.starts_with("loads");
    let import =
        if loads { import_from(&folder, &case.files, &[], &StandIns) } else { import(&folder, &case.files, &[]) };
    let refused = import.output.is_none();
    let outcome = if refused { "refused" } else { "imported" };
    let told = || render(&import.diagnostics, &import.sources, Style::Human { color: false });
    let wrong = match (case.verdict, refused) {
        ("loads" | "loads-legacy", true) => Some(format!("it loads in TensorZero, and is refused:\n{}", told())),
        ("refused", false) => Some("TensorZero refuses it".to_owned()),
        ("refused", true) => {
            let named = import.diagnostics.iter().all(|finding| !finding.labels.is_empty() && finding.help.is_some());
            (!named).then(|| format!("a diagnostic names no place or no way out:\n{}", told()))
        }
        // Fragments are refused for what they lack, and accounted for where they lack nothing.
        _ => None,
    };
    let faulty = || faults(&import).map(|faults| format!("its output does not pass:\n{faults}"));
    let accounted = || {
        let texts = case.files.iter().map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
        let wrong = unaccounted(&import, texts);
        (!refused && !wrong.is_empty()).then(|| wrong.join("\n"))
    };
    (outcome, wrong.or_else(faulty).or_else(accounted))
}
