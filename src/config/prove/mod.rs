//! What is said about the rules of a file once it compiles: each finding holds for all requests, and shows one.

mod notes;
mod params;
mod parts;
mod reach;
mod targets;
mod unused;

pub use notes::notes;

use super::document::Document;
use super::rules::ReadRule;
use crate::diagnostic::Diagnostics;
use crate::rule::analysis::{Budget, KeyFacts, Prover, Space};
use crate::rule::ast::Expression;
use crate::rule::curl::curl;
use crate::rule::predicate::Predicate;
use crate::rule::request::RequestShape;
use crate::source::Span;
use crate::table::{RouteNode, RoutingTable};

/// Steps of proof that one file may take. Counted and not timed, so that `check` and a reload never disagree; more than
/// any file that people write needs.
const FILE: u64 = 12_000_000;

/// What is known of a file's rules besides what was reported.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Proof {
    pub coverage: Coverage,
    /// The place of each rule's condition.
    pub conditions: Vec<Span>,
}

/// Whether every request meets some rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Coverage {
    /// There are no rules, or the budget did not suffice to tell.
    #[default]
    Unknown,
    Complete,
    /// This command makes a request that none meets: it is routed as its model says.
    Without(String),
}

/// A file that compiles, as the proofs see it.
pub(super) struct File<'f> {
    pub(super) document: &'f Document,
    /// Of the presets, in their order.
    pub(super) expressions: &'f [Option<Expression>],
    pub(super) rules: &'f [ReadRule],
    pub(super) table: &'f RoutingTable,
}

impl<'f> File<'f> {
    /// The preset's expression.
    fn preset(&self, name: &str) -> Option<&'f Expression> {
        let at = self.document.presets.iter().position(|entry| entry.name.value == name)?;
        self.expressions.get(at)?.as_ref()
    }

    /// What the preset has become.
    fn route(&self, preset: &str) -> Option<&'f RouteNode> {
        self.table.route(*self.table.presets.get(preset)?).map(|route| &route.node)
    }

    /// The command that makes this request.
    fn curl(&self, shape: &RequestShape) -> String {
        curl(shape, self.table.listen)
    }
}

/// Proves what can be proved, and reports what is wrong.
pub(super) fn file(file: &File<'_>, diagnostics: &mut Diagnostics) -> Proof {
    let conditions = file.rules.iter().map(|rule| rule.when_span).collect();
    targets::check_fallbacks(file, diagnostics);
    targets::check_prices(file, diagnostics);
    params::check(file, diagnostics);
    if file.rules.is_empty() {
        return Proof { coverage: Coverage::Unknown, conditions };
    }
    let space = space(file.table);
    let first = |shape: &RequestShape| file.table.rule_index.first_counted(&file.table.rules, shape);
    let mut prover = Prover::new(&space, predicates(file.table), &first, Budget::new(FILE));
    let fires = reach::check(file, &space, &mut prover, diagnostics);
    unused::check(file, &fires, &mut prover, diagnostics);
    Proof { coverage: reach::coverage(file, &mut prover), conditions }
}

/// The requests that the table may meet.
pub(super) fn space(table: &RoutingTable) -> Space {
    let text = |text: &str| text.to_owned();
    let keys = table.keys.iter().map(|key| KeyFacts {
        id: text(&key.id),
        attributes: key.attributes.iter().map(|(name, value)| (text(name), text(value))).collect(),
    });
    Space::new(keys.collect(), predicates(table))
}

fn predicates(table: &RoutingTable) -> Vec<&Predicate> {
    table.rules.iter().map(|rule| &rule.when).collect()
}
