//! The difference in words, as JSON, and as a comment on a pull request.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Difference, FailedIn};
use crate::rule::curl::curl;
use crate::table::RoutingTable;
use crate::table::compare::{Change, differences};
use crate::wire::Operation;

/// Names of models that are written out.
const NAMES: usize = 6;

/// What one class of requests is called, and what there is to say of it.
struct Told {
    title: String,
    old: String,
    new: String,
    differences: Vec<String>,
    curl: String,
}

fn told(difference: &Difference<'_>, change: &Change) -> Told {
    let (old, new) = (&difference.old.table, &difference.new.table);
    let (of_old, of_new) = change.rules;
    let title = match (change.names.as_slice(), change.pairs) {
        ([], 1) => format!("requests of {}", taken(of_old, of_new)),
        ([], pairs) => format!("requests of {} ({pairs} ways from rule to rule)", taken(of_old, of_new)),
        (names, _) => format!("requests for {}", listed(names)),
    };
    let operation = if change.witness.embeddings { Operation::Embed } else { Operation::Generate };
    Told {
        title,
        old: format!("{}{}", rule(old, of_old), outcome(&change.old.to_string())),
        new: format!("{}{}", rule(new, of_new), outcome(&change.new.to_string())),
        differences: differences(&change.old, &change.new, change.witness.protocol, operation),
        curl: curl(&change.witness, new.listen),
    }
}

fn outcome(effect: &str) -> String {
    format!("\n      {effect}")
}

fn taken(old: Option<usize>, new: Option<usize>) -> String {
    let name = |rule: Option<usize>| rule.map_or("no rule".to_owned(), |at| format!("rule {}", at + 1));
    if old == new { name(old) } else { format!("{} that {} takes now", name(old), name(new)) }
}

fn rule(table: &RoutingTable, rule: Option<usize>) -> String {
    match rule.and_then(|at| table.rules.get(at)) {
        Some(rule) => format!("line {}: {}", rule.line, rule.text),
        None => "no rule: as requested".to_owned(),
    }
}

/// `a`, `b` and 3 names more.
fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        1 => format!("{} and one name more", shown.join(", ")),
        more => format!("{} and {more} names more", shown.join(", ")),
    }
}

fn says_nothing(difference: &Difference<'_>) -> bool {
    let Difference { comparison, settings, tests, .. } = difference;
    comparison.changes.is_empty() && comparison.undecided == 0 && settings.is_empty() && tests.is_empty()
}

fn summary(difference: &Difference<'_>) -> String {
    let counted = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    };
    let parts = [
        counted(difference.comparison.changes.len(), "class of requests changes", "classes of requests change"),
        counted(difference.settings.len(), "setting changes", "settings change"),
        counted(difference.tests.len(), "test fails", "tests fail"),
        counted(difference.comparison.undecided, "pair of rules is undecided", "pairs of rules are undecided"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn undecided(count: usize) -> String {
    format!("the budget did not suffice for {count} pairs of rules: there may be changes that are not listed")
}

const NOTHING: &str = "nothing changes for any request";

// === for people

pub(super) fn human(difference: &Difference<'_>) -> String {
    if says_nothing(difference) {
        return NOTHING.to_owned();
    }
    let mut out = format!("{}\n", summary(difference));
    for (change, number) in difference.comparison.changes.iter().zip(1..) {
        let Told { title, old, new, differences, curl } = told(difference, change);
        let _ = write!(out, "\n{number}. {title}\n  - {old}\n  + {new}\n");
        for line in differences {
            let _ = writeln!(out, "  {line}");
        }
        let _ = writeln!(out, "  for example:\n  {curl}");
    }
    for setting in &difference.settings {
        let _ = writeln!(out, "\n{} {} {}", setting.kind.name(), setting.id, setting.verb());
        for (sign, text) in [("-", &setting.before), ("+", &setting.after)] {
            for line in text.iter().flat_map(|text| text.lines()) {
                let _ = writeln!(out, "  {sign} {line}");
            }
        }
    }
    for test in &difference.tests {
        let _ = writeln!(out, "\n{} fails with the new file", called(test));
        for line in &test.test.why {
            let _ = writeln!(out, "  {line}");
        }
    }
    if difference.comparison.undecided > 0 {
        let _ = writeln!(out, "\n{}", undecided(difference.comparison.undecided));
    }
    out
}

fn called(failed: &FailedIn<'_>) -> String {
    match &failed.test.name {
        Some(name) => format!("the test `{name}` ({}:{})", failed.file, failed.test.line),
        None => format!("the test at {}:{}", failed.file, failed.test.line),
    }
}

// === for programs

pub(super) fn json(difference: &Difference<'_>) -> Value {
    let changes = difference.comparison.changes.iter().map(|change| {
        let Told { title, differences, curl, .. } = told(difference, change);
        let side = |table: &RoutingTable, at: Option<usize>, effect: &dyn std::fmt::Display| {
            let rule = at.and_then(|at| table.rules.get(at));
            json!({
                "rule": at.map(|at| at + 1),
                "line": rule.map(|rule| rule.line),
                "text": rule.map(|rule| &rule.text),
                "outcome": effect.to_string(),
            })
        };
        json!({
            "title": title,
            "models": change.names,
            "pairs": change.pairs,
            "old": side(&difference.old.table, change.rules.0, &change.old),
            "new": side(&difference.new.table, change.rules.1, &change.new),
            "differences": differences,
            "witness": curl,
        })
    });
    let settings = difference.settings.iter().map(|setting| {
        json!({ "kind": setting.kind.name(), "id": setting.id, "change": setting.verb(), "before": setting.before, "after": setting.after })
    });
    let tests = difference.tests.iter().map(|failed| {
        json!({ "file": failed.file, "line": failed.test.line, "name": failed.test.name, "why": failed.test.why })
    });
    json!({
        "changes": changes.collect::<Vec<_>>(),
        "settings": settings.collect::<Vec<_>>(),
        "failing_tests": tests.collect::<Vec<_>>(),
        "undecided": difference.comparison.undecided,
    })
}

// === for a pull request

pub(super) fn github(difference: &Difference<'_>) -> String {
    let mut out = "### Routing\n\n".to_owned();
    if says_nothing(difference) {
        out.push_str("Nothing changes for any request.\n");
        return out;
    }
    let _ = writeln!(out, "{}.", capital(&summary(difference)));
    for test in &difference.tests {
        let _ = writeln!(out, "\n- :x: {} fails: {}", marked(&called(test)), marked(&test.test.why.join("; ")));
    }
    for change in &difference.comparison.changes {
        let Told { title, old, new, differences, curl } = told(difference, change);
        let _ = writeln!(out, "\n#### {}\n", marked(&capital(&title)));
        for line in differences {
            let _ = writeln!(out, "- {}", marked(&line));
        }
        let fence = fence(&[&old, &new, &curl]);
        let _ = write!(out, "\n<details><summary>Rules, and one of the requests</summary>\n\n{fence}diff\n");
        for (sign, text) in [("-", &old), ("+", &new)] {
            for line in text.lines() {
                let _ = writeln!(out, "{sign} {line}");
            }
        }
        let _ = writeln!(out, "{fence}\n{fence}sh\n{curl}\n{fence}\n</details>");
    }
    for setting in &difference.settings {
        let _ = writeln!(out, "\n- {} `{}` {}", setting.kind.name(), setting.id, setting.verb());
    }
    if difference.comparison.undecided > 0 {
        let _ = writeln!(out, "\n{}.", capital(&undecided(difference.comparison.undecided)));
    }
    out
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Text in which nothing is taken for markup but what stands in backticks.
fn marked(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for letter in text.chars() {
        inside ^= letter == '`';
        if !inside && matches!(letter, '*' | '_' | '<' | '>' | '[' | ']' | '#' | '|' | '\\' | '@') {
            out.push('\\');
        }
        out.push(if letter == '\n' { ' ' } else { letter });
    }
    out
}

/// A fence that none of the texts contains.
fn fence(texts: &[&str]) -> String {
    let mut fence = "```".to_owned();
    while texts.iter().any(|text| text.contains(&fence)) {
        fence.push('`');
    }
    fence
}
