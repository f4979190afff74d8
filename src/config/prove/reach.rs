//! Rules that can never fire, and what takes their requests; conditions that hold always or never; what could not be
//! decided.

use super::parts::{self, Samples};
use super::{Coverage, File, targets};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::rule::analysis::{Never, Prover, Space, Verdict};
use crate::rule::predicate::Predicate;

/// Whether every request meets some rule.
pub(super) fn coverage(file: &File<'_>, prover: &mut Prover<'_>) -> Coverage {
    if file.table.rules.iter().any(|rule| rule.when == Predicate::Always) {
        return Coverage::Complete;
    }
    match prover.reaches(None, &[]) {
        Verdict::Request(shape) => Coverage::Without(file.curl(&shape)),
        Verdict::Never(_) => Coverage::Complete,
        Verdict::Undecided => Coverage::Unknown,
    }
}

/// Reports what is wrong with each rule and with what it leads to, and says of each whether it takes a request; `false` also
/// where that could not be decided.
pub(super) fn check(
    file: &File<'_>,
    space: &Space,
    prover: &mut Prover<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<bool> {
    let mut fires = Vec::with_capacity(file.rules.len());
    let mut undecided = Vec::new();
    let mut samples = Samples::default();
    for (at, rule) in file.rules.iter().enumerate() {
        samples.first = None;
        let mut decided = !prover.is_exhausted();
        if decided {
            match prover.reaches(Some(at), &[]) {
                Verdict::Request(shape) => samples.first = Some(shape),
                Verdict::Never(never) if never.covered_by.is_empty() => {}
                Verdict::Never(never) => diagnostics.push_with(Code::UnreachableRule, || unreachable(file, at, &never)),
                Verdict::Undecided => decided = false,
            }
        }
        if decided {
            decided = parts::check(file, (at, rule), space, prover, &mut samples, diagnostics).is_some();
        }
        if !decided {
            undecided.push(at);
        }
        // A rule that takes nothing needs nothing.
        if let Some(shape) = &samples.first {
            targets::check(file, (at, rule), shape, prover, diagnostics);
        }
        fires.push(samples.first.is_some());
    }
    if let Some(first) = undecided.first().and_then(|at| file.rules.get(*at)) {
        diagnostics.push(
            Diagnostic::new(Code::Undecided, format!("could not decide {} within the budget", numbers(&undecided)))
                .label(first.when_span, "whether it can fire would take too many steps to find out")
                .help("nothing is wrong with serving it; write the condition with fewer `or` in `and`, or as several rules"),
        );
    }
    fires
}

/// "rule 3", "rules 1 and 3", "rules 1, 3, 4 and 17 more".
fn numbers(positions: &[usize]) -> String {
    const SHOWN: usize = 4;
    let number = |at: &usize| (at + 1).to_string();
    match positions {
        [only] => format!("rule {}", only + 1),
        [first, second] => format!("rules {} and {}", first + 1, second + 1),
        many if many.len() <= SHOWN => {
            let (last, others) = many.split_last().unwrap_or((&0, &[]));
            format!("rules {} and {}", others.iter().map(number).collect::<Vec<_>>().join(", "), last + 1)
        }
        many => {
            let shown = many.iter().take(SHOWN - 1).map(number).collect::<Vec<_>>().join(", ");
            format!("rules {shown} and {} more", many.len() - (SHOWN - 1))
        }
    }
}

fn unreachable(file: &File<'_>, at: usize, never: &Never) -> Diagnostic {
    /// Rules that are pointed at.
    const SHOWN: usize = 5;
    let number = at + 1;
    let together = if never.covered_by.len() == 1 { "takes" } else { "together take" };
    let message = format!(
        "rule {number} can never fire: {} {together} every request that would come here",
        numbers(&never.covered_by)
    );
    let mut diagnostic = Diagnostic::new(Code::UnreachableRule, message);
    if let Some(rule) = file.rules.get(at) {
        diagnostic = diagnostic.label(rule.when_span, "never reached");
    }
    let share = if never.covered_by.len() == 1 { "takes them all" } else { "takes some of them" };
    for covering in never.covered_by.iter().take(SHOWN) {
        if let Some(rule) = file.rules.get(*covering) {
            diagnostic = diagnostic.label(rule.when_span, format!("rule {} {share}", covering + 1));
        }
    }
    let when = |at: usize| file.table.rules.get(at).map(|rule| &rule.when);
    diagnostic = diagnostic.help(match never.covered_by.as_slice() {
        [only] if when(*only) == when(at) => "both ask for the same; remove one of them".to_owned(),
        [only] => format!("move it above rule {}, or remove it", only + 1),
        _ => "move it up, or remove it".to_owned(),
    });
    match &never.example {
        Some(shape) => {
            let taken = file.table.rule_index.first(&file.table.rules, &**shape).map_or(0, |at| at + 1);
            diagnostic.witness(format!("{}\nis taken by rule {taken}", file.curl(shape)))
        }
        None => diagnostic,
    }
}
