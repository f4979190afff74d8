//! What is no mistake and yet worth knowing: requests that no rule meets, and rules whose order matters.

use super::{Coverage, FILE, Proof, predicates, space};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::rule::analysis::{Budget, Prover, Verdict};
use crate::rule::curl::curl;
use crate::rule::predicate::Predicate;
use crate::rule::request::RequestShape;
use crate::table::{RoutingTable, Rule, RuleOutcome};

/// Pairs of rules that are told.
const MOST: usize = 200;

/// Adds information about a file that compiles.
pub fn notes(table: &RoutingTable, proof: &Proof, diagnostics: &mut Diagnostics) {
    if let (Coverage::Without(command), Some(last)) = (&proof.coverage, proof.conditions.last()) {
        diagnostics.push(
            Diagnostic::new(Code::UncoveredRequests, "some requests meet no rule")
                .label(*last, "the last rule")
                .help("they are routed as their model says; `otherwise -> ...` at the end says what becomes of them")
                .witness(command.clone()),
        );
    }
    overlaps(table, proof, diagnostics);
}

/// Rules of which the upper one takes requests that the lower one is for too, and does something else with them.
fn overlaps(table: &RoutingTable, proof: &Proof, diagnostics: &mut Diagnostics) {
    let space = space(table);
    let first = |shape: &RequestShape| table.rule_index.first_counted(&table.rules, shape);
    let mut prover = Prover::new(&space, predicates(table), &first, Budget::new(FILE));
    let mut told = 0;
    for (at, upper) in table.rules.iter().enumerate() {
        for (below, lower) in table.rules.iter().enumerate().skip(at + 1) {
            if lower.when == Predicate::Always || same_outcome(table, upper, lower) {
                continue;
            }
            if prover.is_exhausted() || told == MOST {
                diagnostics.push(more(proof, at, told));
                return;
            }
            if let Verdict::Request(shape) = prover.reaches(Some(at), &[(&lower.when, true)]) {
                told += 1;
                diagnostics.push_with(Code::RulesOverlap, || overlap(table, proof, (at, below), &shape));
            }
        }
    }
}

fn same_outcome(table: &RoutingTable, a: &Rule, b: &Rule) -> bool {
    match (a.then, b.then) {
        (RuleOutcome::AsRequested, RuleOutcome::AsRequested) => true,
        (RuleOutcome::Route(a), RuleOutcome::Route(b)) => {
            a == b || table.route(a).map(|route| &route.node) == table.route(b).map(|route| &route.node)
        }
        _ => false,
    }
}

fn overlap(table: &RoutingTable, proof: &Proof, (at, below): (usize, usize), shape: &RequestShape) -> Diagnostic {
    let message = format!("rule {} takes requests that rule {} is for too", at + 1, below + 1);
    let labels = [(at, "takes them, because it stands first"), (below, "would lead elsewhere")];
    let places = labels.into_iter().filter_map(|(rule, text)| Some((*proof.conditions.get(rule)?, text)));
    places
        .fold(Diagnostic::new(Code::RulesOverlap, message), |diagnostic, (span, text)| diagnostic.label(span, text))
        .help("this is as it should be where the upper rule is the special case; else change their order")
        .witness(format!("{}\nis taken by rule {}", curl(shape, table.listen), at + 1))
}

fn more(proof: &Proof, at: usize, told: usize) -> Diagnostic {
    let message = format!("rules from rule {} on may overlap with others in more ways", at + 1);
    let why = if told == MOST { "that many overlaps are told" } else { "the budget did not suffice to look at all" };
    let diagnostic = Diagnostic::new(Code::RulesOverlap, message).help(why);
    proof.conditions.get(at).into_iter().fold(diagnostic, |diagnostic, span| diagnostic.label(*span, "from here on"))
}
