//! `routeplane diff`.

mod report;
mod side;

use clap::ValueEnum;

use super::Exit;
use super::output::{print, print_json};
use crate::config::{Env, FailedTest, failing_tests};
use crate::proxy::explain::carry;
use crate::rule::NumberFact;
use crate::rule::predicate::{Atom, Predicate, ValueFact};
use crate::table::RoutingTable;
use crate::table::compare::{Comparison, compare};
use crate::table::diff::{Change, diff};
use crate::table::dump::ItemKind;
use side::Side;

/// Compare two files by what they do: which requests are routed otherwise, with one of each kind, and what they lose or gain
///
/// Comments, spelling and the order of rules that take nothing from each other are no difference.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file as it was; `git:REVISION:PATH` reads it from Git
    old: String,
    /// The file as it is to be; `git:REVISION:PATH` reads it from Git
    new: String,
    /// The form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// End with 3 where something changes, not only where a test newly fails
    #[arg(long)]
    exit_code: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// For programs: one JSON value
    Json,
    /// Markdown, for a comment on a pull request
    Github,
}

/// Everything that is to be told.
struct Difference<'d> {
    old: &'d Side,
    new: &'d Side,
    comparison: Comparison,
    /// What does not belong to a request: the address, client keys, limits.
    settings: Vec<Change>,
    tests: Vec<FailedIn<'d>>,
}

/// A test that fails with the new file.
struct FailedIn<'d> {
    /// The file that it stands in.
    file: &'d str,
    test: FailedTest,
}

pub(super) fn run(args: &Args, env: &Env) -> Exit {
    let (old, new) = match (Side::load(&args.old, env), Side::load(&args.new, env)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    let difference = difference(&old, &new);
    match args.format {
        Format::Human => print(report::human(&difference).trim_end()),
        Format::Json => print_json(&report::json(&difference)),
        Format::Github => print(report::github(&difference).trim_end()),
    }
    let changes = !difference.comparison.changes.is_empty() || !difference.settings.is_empty();
    if !difference.tests.is_empty() || (args.exit_code && changes) { Exit::Findings } else { Exit::Done }
}

fn difference<'d>(old: &'d Side, new: &'d Side) -> Difference<'d> {
    let comparison = compare(&old.table, &new.table);
    Difference { old, new, comparison, settings: settings(&old.table, &new.table), tests: tests(old, new) }
}

/// What changes besides routes. Defaults are told where they have an effect, and a clock that no rule reads has none.
fn settings(old: &RoutingTable, new: &RoutingTable) -> Vec<Change> {
    let reads_clock = [old, new].iter().flat_map(|table| &table.rules).any(|rule| asks_for_time(&rule.when));
    let mut changes = diff(old, new).changes;
    changes.retain(|change| match change.kind {
        ItemKind::Provider | ItemKind::Preset | ItemKind::Rule => false,
        _ => match change.id.as_str() {
            "defaults" => false,
            "timezone" => reads_clock,
            _ => true,
        },
    });
    changes
}

fn asks_for_time(condition: &Predicate) -> bool {
    match condition {
        Predicate::All(parts) | Predicate::Any(parts) => parts.iter().any(asks_for_time),
        Predicate::Not(inner) => asks_for_time(inner),
        Predicate::Atom(Atom::Value { fact: ValueFact::Number(fact), .. }) => {
            matches!(fact, NumberFact::Hour | NumberFact::Weekday)
        }
        Predicate::Always | Predicate::Atom(_) => false,
    }
}

/// Tests of the new file that fail, and those that only the old one has and that fail with the new.
fn tests<'d>(old: &'d Side, new: &'d Side) -> Vec<FailedIn<'d>> {
    let failing = |side: &'d Side, table: &RoutingTable| {
        side.with_files(|files| failing_tests((&side.name, &side.text), table, files, Some(carry)))
    };
    let (failed, kept) = failing(new, &new.table);
    let (of_old, _) = failing(old, &new.table);
    let (known, _) = failing(old, &old.table);
    let is_new = |test: &FailedTest| {
        let said_otherwise = test.name.as_ref().is_some_and(|name| kept.contains(name));
        !said_otherwise && !known.iter().any(|other| other.line == test.line)
    };
    let of_new = failed.into_iter().map(|test| FailedIn { file: new.name.as_str(), test });
    let of_old = of_old.into_iter().filter(is_new).map(|test| FailedIn { file: old.name.as_str(), test });
    let mut told: Vec<FailedIn<'d>> = of_new.collect();
    // A test without a name that both files have is told once.
    for failed in of_old {
        if failed.test.name.is_some() || !told.iter().any(|known| known.test.why == failed.test.why) {
            told.push(failed);
        }
    }
    told
}
