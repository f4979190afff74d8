//! The index of rules: it decides as asking every rule in order does, asks few of them, and allocates nothing.

use proptest::prelude::*;
use routeplane::glob::Glob;
use routeplane::rule::TextFact;
use routeplane::rule::predicate::{Atom, Predicate, TextTest};
use routeplane::rule::request::RequestShape;
use routeplane::table::index::RuleIndex;
use routeplane::table::select::AllUp;
use routeplane::table::{Draw, Rule, RuleOutcome};

use super::rules::{a_predicate, a_request};
use super::table::compile;

fn rules(conditions: Vec<Predicate>) -> Vec<Rule> {
    let rule = |when: Predicate| Rule { text: when.to_string().into(), when, then: RuleOutcome::AsRequested, line: 1 };
    conditions.into_iter().map(rule).collect()
}

fn scanned(rules: &[Rule], request: &RequestShape) -> Option<usize> {
    rules.iter().position(|rule| rule.when.holds(request))
}

proptest! {
    #[test]
    fn the_index_decides_as_the_scan(
        conditions in prop::collection::vec(a_predicate(), 0..40),
        requests in prop::collection::vec(a_request(), 1..12),
    ) {
        let rules = rules(conditions);
        let index = RuleIndex::new(&rules);
        for request in &requests {
            prop_assert_eq!(index.first(&rules, request), scanned(&rules, request));
        }
    }
}

/// A table of `count` rules of many teams, and one that fires for the team `last`.
fn teams(count: usize) -> routeplane::table::RoutingTable {
    let rules: String = (0..count)
        .map(|n| match n % 4 {
            0 => format!("  when header(\"x-team\") == \"t{n}\" and model ~ \"gpt-{n}*\" -> demo/a\n"),
            1 => format!("  when model == \"alias-{n}\" and not stream -> demo/b\n"),
            2 => format!("  when model ~ \"family-{n}-*\" or model in [\"f{n}\"] -> demo/c\n"),
            _ => format!("  when header(\"x-team\") in [\"t{n}\", \"u{n}\"] and input_tokens > 100k -> demo/d\n"),
        })
        .collect();
    let file = format!("version: 1\nrules: |\n{rules}  when header(\"x-team\") == \"last\" -> demo/e\n");
    compile(&file, &[]).table.expect("the file of the test compiles")
}

#[test]
fn few_rules_are_asked_and_nothing_is_allocated() {
    for count in [1, 10, 100, 2_000] {
        let table = teams(count);
        let mut request = RequestShape::new("family-2-large");
        request.headers.insert("x-team".to_owned(), "last".to_owned());
        let asked = table.rule_index.asked(&table.rules, &request);
        assert!(asked <= 9, "{asked} of {count}");
        let decide = || table.rule_index.first(&table.rules, &request);
        let expected = scanned(&table.rules, &request);
        let counted = allocation_counter::measure(|| assert_eq!(decide(), expected));
        assert_eq!(counted.count_total, 0, "among {count} rules");
        assert_eq!(table.select(&request, &AllUp, Draw(0.0)).rule, expected.map(|at| at as u32 + 1));
    }
}

#[test]
fn prefixes_of_prefixes_stay_small() {
    let chain = (1..3_000).map(|length| {
        let glob = Glob(format!("{}*", "a".repeat(length)).into());
        Predicate::Atom(Atom::Text { fact: TextFact::Model, test: TextTest::Like(glob) })
    });
    let rules = rules(chain.rev().collect());
    let index = RuleIndex::new(&rules);
    for length in [0, 1, 500, 2_999, 5_000] {
        let request = RequestShape::new("a".repeat(length));
        assert_eq!(index.first(&rules, &request), scanned(&rules, &request), "{length}");
    }
}
