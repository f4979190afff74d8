//! The index of rules: it decides as asking every rule in order does, asks few of them, and allocates nothing.

use std::borrow::Cow;

use proptest::prelude::*;
use routeplane::glob::Glob;
use routeplane::rule::predicate::{Atom, Predicate, TextTest};
use routeplane::rule::request::RequestShape;
use routeplane::rule::{Facts, FlagFact, NumberFact, OutputKind, ReasoningLevel, TextFact};
use routeplane::table::index::RuleIndex;
use routeplane::table::select::AllUp;
use routeplane::table::{Draw, Rule, RuleOutcome};
use routeplane::wire::ProtocolId;

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
            let guarded = Guarded { shape: request, inside: true, names: false };
            prop_assert_eq!(index.first(&rules, &guarded), scanned(&rules, request));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// So many that facts inside the conversation are looked up, whatever the conditions begin with.
    #[test]
    fn the_index_of_many_rules_decides_as_the_scan(
        conditions in prop::collection::vec(a_predicate(), 300..400),
        requests in prop::collection::vec(a_request(), 4..12),
    ) {
        let rules: Vec<Rule> = rules(conditions);
        // Without the rules that take every request, so that later ones have their turn.
        for skipped in [0, 100, 250] {
            let rules: Vec<Rule> = rules.iter().skip(skipped).filter(|rule| !requests[0..2].iter().any(|r| rule.when.holds(r))).cloned().collect();
            let index = RuleIndex::new(&rules);
            for request in &requests {
                prop_assert_eq!(index.first(&rules, request), scanned(&rules, request));
            }
        }
    }
}

/// A request that minds what it is asked.
struct Guarded<'s> {
    shape: &'s RequestShape,
    /// Facts inside the conversation may be asked for.
    inside: bool,
    /// The names of the tools are known, and not only whether one is there.
    names: bool,
}

impl Guarded<'_> {
    fn inside(&self) -> &RequestShape {
        assert!(self.inside, "the conversation was read");
        self.shape
    }
}

impl Facts for Guarded<'_> {
    fn model(&self) -> &str {
        self.shape.model()
    }

    fn protocol(&self) -> ProtocolId {
        self.shape.protocol()
    }

    fn embeddings(&self) -> bool {
        self.shape.embeddings()
    }

    fn text(&self, fact: &TextFact) -> Option<Cow<'_, str>> {
        if *fact == TextFact::LastTool { self.inside().text(fact) } else { self.shape.text(fact) }
    }

    fn number(&self, fact: NumberFact) -> u64 {
        match fact {
            NumberFact::Hour | NumberFact::Weekday => self.shape.number(fact),
            inside => self.inside().number(inside),
        }
    }

    fn flag(&self, fact: &FlagFact) -> bool {
        if *fact == FlagFact::Stream { self.shape.flag(fact) } else { self.inside().flag(fact) }
    }

    fn offered(&self, each: &mut dyn FnMut(&str)) -> bool {
        self.names && self.inside().offered(each)
    }

    fn output(&self) -> OutputKind {
        self.inside().output()
    }

    fn reasoning(&self) -> ReasoningLevel {
        self.inside().reasoning()
    }

    fn bucket(&self, salt: &str) -> u8 {
        self.shape.bucket(salt)
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

/// `count` rules of numbers and flags, and one that fires for five images.
fn measures(count: usize) -> routeplane::table::RoutingTable {
    let rules: String = (1..=count)
        .map(|n| match n % 5 {
            0 => format!("  when input_tokens >= {} and input_tokens < {} -> demo/a\n", 1_000 * n, 1_000 * n + 900),
            1 => format!("  when tool(\"t{n}\") and not stream -> demo/b\n"),
            2 => format!("  when (max_tokens == {n} or max_tokens in [{}, {}]) and stream -> demo/c\n", n + 1, n + 2),
            3 => format!("  when not (input_tokens <= {} or input_tokens > {}) -> demo/d\n", 1_000 * n, 1_000 * n + 5),
            _ => format!("  when has tools and (tool(\"u{n}\") or tool(\"v{n}\")) -> demo/e\n"),
        })
        .collect();
    compile(&format!("version: 1\nrules: |\n{rules}  when images > 4 -> demo/f\n"), &[])
        .table
        .expect("the file of the test compiles")
}

#[test]
fn few_rules_of_numbers_and_flags_are_asked_and_nothing_is_allocated() {
    for count in [1, 10, 100, 2_000] {
        let table = measures(count);
        let mut request = RequestShape::new("m");
        (request.images, request.input_tokens, request.max_tokens) = (5, 7_500, 5);
        request.stream = true;
        for (tools, last) in [(vec!["t1", "other"], Some(count)), (vec!["t1", "other", "v4"], None)] {
            request.tools = tools.into_iter().map(str::to_owned).collect();
            let asked = table.rule_index.asked(&table.rules, &request);
            assert!(asked <= 9, "{asked} of {count}");
            let expected = scanned(&table.rules, &request);
            assert!(last.is_none() || expected == last, "{expected:?}");
            let counted =
                allocation_counter::measure(|| assert_eq!(table.rule_index.first(&table.rules, &request), expected));
            assert_eq!(counted.count_total, 0, "among {count} rules");
        }
    }
}

/// Where no rule that is asked needs the conversation, it is not read, however many ask for it further on.
#[test]
fn the_conversation_is_not_read_in_advance() {
    let night: String = (1..=60)
        .map(|n| {
            format!("  when hour >= 22 and input_tokens > {n}k and tool(\"t{n}\") and last_tool == \"t\" -> demo/{n}\n")
        })
        .collect();
    let table = compile(&format!("version: 1\nrules: |\n{night}"), &[]).table.expect("the file of the test compiles");
    let mut request = RequestShape::new("m");
    let decided = |request: &RequestShape, inside| {
        table.rule_index.first(&table.rules, &Guarded { shape: request, inside, names: true })
    };
    request.hour = 12;
    assert_eq!(decided(&request, false), None);
    (request.hour, request.input_tokens) = (23, 9_500);
    request.tools = vec!["t7".to_owned(), "t9".to_owned(), "t50".to_owned()];
    request.last_tool = Some("t".to_owned());
    assert_eq!(decided(&request, true), Some(6));
}

/// A caller may offer any number of tools, also the same again and again.
#[test]
fn a_request_with_many_tools_costs_no_more_than_the_scan() {
    let rules: String = (0..400).map(|n| format!("  when tool(\"t{n}\") and images > {n} -> demo/{n}\n")).collect();
    let table = compile(&format!("version: 1\nrules: |\n{rules}"), &[]).table.expect("the file of the test compiles");
    let mut request = RequestShape::new("m");
    for tools in [1, 10, 32, 33, 399, 4_000] {
        request.tools = (0..tools).map(|n| format!("t{}", n % 400)).collect();
        request.images = 300;
        assert_eq!(table.rule_index.first(&table.rules, &request), Some(0));
        request.images = 0;
        assert_eq!(table.rule_index.first(&table.rules, &request), None);
        assert!(table.rule_index.asked(&table.rules, &request) <= 400);
    }
}
