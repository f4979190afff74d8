//! The analysis of rules against trying everything: 10,000 random sets of rules over small domains.
//!
//! Trying finds a request or does not; the analysis must find one wherever trying does, and what it finds must be decided as
//! it says. So neither a false alarm nor a miss goes unnoticed.

use fastrand::Rng;
use routeplane::diagnostic::Diagnostics;
use routeplane::rule::analysis::{Budget, KeyFacts, Prover, Space, Verdict};
use routeplane::rule::predicate::Predicate;
use routeplane::rule::request::RequestShape;
use routeplane::rule::{OutputKind, ReasoningLevel, compile, parse};
use routeplane::source::{SourceId, Span};
use routeplane::wire::ProtocolId;

const NOWHERE: Span = Span { source: SourceId(0), start: 0, end: 0 };

pub(crate) fn predicate(text: &str) -> Predicate {
    let mut diagnostics = Diagnostics::default();
    let condition = parse::condition(text, &|_| NOWHERE, &mut diagnostics);
    let predicate = condition.and_then(|condition| compile::predicate(&condition, &mut diagnostics));
    predicate.unwrap_or_else(|| panic!("{text}: {diagnostics:?}"))
}

// === random rules

/// Facts that are tried together, with conditions about them.
type Dimension = (&'static [&'static str], fn(&mut Rng) -> String);

fn pick<'a>(random: &mut Rng, list: &[&'a str]) -> &'a str {
    random.choice(list).unwrap()
}

fn about_text(random: &mut Rng, fact: &str) -> String {
    let text = |random: &mut Rng| pick(random, &["a", "b", "ab", "ba", "abb", "z"]);
    let glob = |random: &mut Rng| pick(random, &["a*", "b*", "*b", "*a*", "ab*", "a*b", "*", "b*b", "*z*", "*bb*"]);
    match random.u8(0..8) {
        0 | 1 => format!("{fact} == \"{}\"", text(random)),
        2 => format!("{fact} != \"{}\"", text(random)),
        3 => format!("{fact} in [\"{}\", \"{}\"]", text(random), text(random)),
        4 => format!("{fact} not in [\"{}\", \"{}\"]", text(random), text(random)),
        5 => format!("{fact} is absent"),
        _ => format!("{fact} ~ \"{}\"", glob(random)),
    }
}

fn about_number(random: &mut Rng, fact: &str, below: u64) -> String {
    let sign = pick(random, &["==", "!=", "<", "<=", ">", ">="]);
    match random.u8(0..5) {
        0 => format!("{fact} in [{}, {}]", random.u64(0..below), random.u64(0..below)),
        1 => format!("{fact} not in [{}, {}]", random.u64(0..below), random.u64(0..below)),
        _ => format!("{fact} {sign} {}", random.u64(0..below)),
    }
}

fn about_word(random: &mut Rng, fact: &str, words: &[&str], ordered: bool) -> String {
    let signs: &[&str] = if ordered { &["==", "!=", "<", "<=", ">", ">="] } else { &["==", "!="] };
    format!("{fact} {} {}", pick(random, signs), pick(random, words))
}

const DIMENSIONS: &[Dimension] = &[
    (&["model"], |r| about_text(r, "model")),
    (&["header"], |r| about_text(r, "header(\"x\")")),
    (&["tool"], |r| about_text(r, "last_tool")),
    (&["user"], |r| match r.u8(0..3) {
        0 => about_number(r, "bucket(\"one\")", 100),
        1 => about_number(r, "bucket(\"two\")", 100),
        _ => about_text(r, "user"),
    }),
    (&["user"], |r| match r.bool() {
        true => about_text(r, "header(\"x-routeplane-user\")"),
        false => about_text(r, "user"),
    }),
    (&["session"], |r| match r.u8(0..4) {
        0 => about_text(r, "header(\"x-session-id\")"),
        1 => about_text(r, "header(\"x-routeplane-session\")"),
        _ => about_text(r, "session"),
    }),
    (&["tag"], |r| match r.u8(0..3) {
        0 => about_text(r, "header(\"x-routeplane-tag-t\")"),
        _ => about_text(r, "tag(\"t\")"),
    }),
    (&["key"], |r| match r.u8(0..3) {
        0 => about_text(r, "key"),
        1 => about_text(r, "key.team"),
        _ => about_text(r, "key.other"),
    }),
    (&["tools"], |r| match r.u8(0..3) {
        0 => about_number(r, "tools", 5),
        _ => format!("tool(\"{}\")", pick(r, &["p", "q", "r"])),
    }),
    (&["images"], |r| about_number(r, "images", 6)),
    (&["input"], |r| about_number(r, "input_tokens", 6)),
    (&["hour"], |r| about_number(r, "hour", 26)),
    (&["weekday"], |r| about_word(r, "weekday", &["mon", "sat", "sun"], false)),
    (&["protocol"], |r| about_word(r, "protocol", &["chat", "messages", "gemini", "converse", "embeddings"], false)),
    (&["reasoning"], |r| about_word(r, "reasoning", &["none", "low", "high", "max"], true)),
    (&["output"], |r| about_word(r, "output", &["text", "json", "schema"], false)),
    (&["stream"], |_| "stream".to_owned()),
];

fn condition(random: &mut Rng, dimensions: &[&Dimension], depth: u8) -> String {
    let atom = |random: &mut Rng| {
        let (_, about) = random.choice(dimensions).unwrap();
        let atom = about(random);
        if random.u8(0..5) == 0 { format!("not {atom}") } else { atom }
    };
    let parts = |random: &mut Rng| -> Vec<String> {
        (0..random.u8(2..4)).map(|_| format!("({})", condition(random, dimensions, depth - 1))).collect()
    };
    match random.u8(0..4) {
        0 if depth > 0 => parts(random).join(" or "),
        1 if depth > 0 => parts(random).join(" and "),
        2 if depth > 0 => format!("not ({})", parts(random).join(" and ")),
        _ => atom(random),
    }
}

/// Random conditions and every request that matters to them, for whoever else compares with trying everything.
pub(crate) mod random {
    use super::*;

    type Conditions = Box<dyn FnMut(&mut Rng) -> String>;

    /// Conditions about a few facts, the names of these, and the client keys that there are.
    pub(crate) fn conditions(random: &mut Rng) -> (Conditions, Vec<&'static str>, Vec<KeyFacts>) {
        let count = random.usize(1..3);
        let dimensions: Vec<&'static Dimension> = random.choose_multiple(DIMENSIONS, count);
        let mut names: Vec<&'static str> = dimensions.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        names.sort_unstable();
        names.dedup();
        let keys = if random.bool() { super::keys() } else { Vec::new() };
        names.retain(|name| *name != "key" || !keys.is_empty());
        (Box::new(move |random| super::condition(random, &dimensions, 1)), names, keys)
    }

    pub(crate) fn requests(rules: &[Predicate], names: &[&str], keys: &[KeyFacts]) -> Vec<RequestShape> {
        super::everything(rules, names, keys)
    }
}

// === trying everything

/// Every text of up to four letters.
fn texts() -> Vec<Option<String>> {
    let mut all = vec![None, Some(String::new())];
    let mut last = vec![String::new()];
    for _ in 0..4 {
        last = last.iter().flat_map(|text| ['a', 'b', 'z'].map(|letter| format!("{text}{letter}"))).collect();
        all.extend(last.iter().cloned().map(Some));
    }
    all
}

fn keys() -> Vec<KeyFacts> {
    let key = |id: &str, team: Option<&str>| KeyFacts {
        id: id.to_owned(),
        attributes: team.map(|team| ("team".to_owned(), team.to_owned())).into_iter().collect(),
    };
    vec![key("a", Some("a")), key("b", Some("ab")), key("ab", None)]
}

/// The ways in which requests may differ along one dimension.
fn ways(name: &str, keys: &[KeyFacts]) -> Vec<RequestShape> {
    let base = RequestShape::new("any");
    let with = |change: &dyn Fn(&mut RequestShape)| {
        let mut shape = base.clone();
        change(&mut shape);
        shape
    };
    let few = || [None, Some("a"), Some("b"), Some("ab"), Some("bb"), Some("z")];
    let texts = || texts().into_iter();
    match name {
        "model" => texts().flatten().map(|text| with(&|shape| shape.model = text.clone())).collect(),
        "header" => texts()
            .map(|text| with(&|shape| shape.headers = text.iter().map(|text| ("x".to_owned(), text.clone())).collect()))
            .collect(),
        "tool" => texts().map(|text| with(&|shape| shape.last_tool.clone_from(&text))).collect(),
        "user" => {
            let body = texts().map(|text| with(&|shape| shape.user.clone_from(&text)));
            let header = few()
                .into_iter()
                .flatten()
                .map(|text| with(&|shape| drop(shape.headers.insert("x-routeplane-user".to_owned(), text.to_owned()))));
            let ids = (0..600).map(|n| with(&|shape| shape.request_id = n.to_string()));
            let names = (0..600).map(|n| with(&|shape| shape.user = Some(format!("a{n}b"))));
            body.chain(header).chain(ids).chain(names).collect()
        }
        "session" | "tag" => {
            let names = match name {
                "session" => ["x-routeplane-session", "x-session-id"],
                _ => ["x-routeplane-tag-t", ""],
            };
            let pairs = few().into_iter().flat_map(|first| few().into_iter().map(move |second| (first, second)));
            pairs
                .map(|(first, second)| {
                    with(&|shape| {
                        for (name, text) in names.iter().zip([first, second]) {
                            let Some(text) = text else { continue };
                            let map = if name.is_empty() { &mut shape.tags } else { &mut shape.headers };
                            map.insert(if name.is_empty() { "t" } else { name }.to_string(), text.to_owned());
                        }
                    })
                })
                .collect()
        }
        "key" => (keys.iter())
            .map(|key| {
                with(&|shape| {
                    shape.key = Some(key.id.clone());
                    shape.key_attributes = key.attributes.clone();
                })
            })
            .collect(),
        "tools" => (0..8u64)
            .flat_map(|set| (0..6u64).map(move |others| (set, others)))
            .map(|(set, others)| {
                with(&|shape| {
                    let named = ["p", "q", "r"].into_iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
                    shape.tools = named.map(|(_, name)| name.to_owned()).collect();
                    shape.other_tools = others;
                })
            })
            .collect(),
        "images" => (0..8).map(|n| with(&|shape| shape.images = n)).collect(),
        "input" => (0..8).map(|n| with(&|shape| shape.input_tokens = n)).collect(),
        "hour" => (0..24).map(|n| with(&|shape| shape.hour = n)).collect(),
        "weekday" => (0..7).map(|n| with(&|shape| shape.weekday = n)).collect(),
        "protocol" => {
            let callers =
                ProtocolId::ALL.into_iter().filter(|id| id.codec().is_some_and(|codec| codec.inbound().is_some()));
            let embeddings = with(&|shape| shape.embeddings = true);
            callers.map(|id| with(&|shape| shape.protocol = id)).chain([embeddings]).collect()
        }
        "reasoning" => {
            use ReasoningLevel::{High, Low, Max, Medium, Minimal, None};
            [None, Minimal, Low, Medium, High, Max].map(|level| with(&|shape| shape.reasoning = level)).into()
        }
        "output" => [OutputKind::Text, OutputKind::Json, OutputKind::Schema]
            .map(|kind| with(&|shape| shape.output = kind))
            .into(),
        _ => [false, true].map(|stream| with(&|shape| shape.stream = stream)).into(),
    }
}

fn atoms<'p>(predicate: &'p Predicate, out: &mut Vec<&'p Predicate>) {
    match predicate {
        Predicate::All(parts) | Predicate::Any(parts) => parts.iter().for_each(|part| atoms(part, out)),
        Predicate::Not(inner) => atoms(inner, out),
        Predicate::Always => {}
        Predicate::Atom(_) => out.push(predicate),
    }
}

/// What one way changes, put on top of `shape`.
fn laid_over(shape: &mut RequestShape, way: &RequestShape, name: &str) {
    match name {
        "model" => shape.model.clone_from(&way.model),
        "header" | "session" | "tag" => {
            shape.headers.extend(way.headers.clone());
            shape.tags.extend(way.tags.clone());
        }
        "tool" => shape.last_tool.clone_from(&way.last_tool),
        "user" => {
            shape.user.clone_from(&way.user);
            shape.request_id.clone_from(&way.request_id);
            shape.headers.extend(way.headers.clone());
        }
        "key" => {
            shape.key.clone_from(&way.key);
            shape.key_attributes.clone_from(&way.key_attributes);
        }
        "tools" => {
            shape.tools.clone_from(&way.tools);
            shape.other_tools = way.other_tools;
        }
        "images" => shape.images = way.images,
        "input" => shape.input_tokens = way.input_tokens,
        "hour" => shape.hour = way.hour,
        "weekday" => shape.weekday = way.weekday,
        "protocol" => (shape.protocol, shape.embeddings) = (way.protocol, way.embeddings),
        "reasoning" => shape.reasoning = way.reasoning,
        "output" => shape.output = way.output,
        _ => shape.stream = way.stream,
    }
}

/// Requests that differ in what some condition asks for.
fn everything(rules: &[Predicate], names: &[&str], keys: &[KeyFacts]) -> Vec<RequestShape> {
    let mut parts = Vec::new();
    rules.iter().for_each(|rule| atoms(rule, &mut parts));
    let mut all = vec![RequestShape::new("any")];
    if let Some(key) = keys.first() {
        laid_over(&mut all[0], &ways("key", std::slice::from_ref(key))[0], "key");
    }
    for name in names {
        let mut seen = std::collections::HashSet::new();
        let mut different = ways(name, keys);
        different.retain(|way| seen.insert(parts.iter().map(|part| part.holds(way)).collect::<Vec<bool>>()));
        all = all
            .iter()
            .flat_map(|shape| {
                different.iter().map(|way| {
                    let mut shape = shape.clone();
                    laid_over(&mut shape, way, name);
                    shape
                })
            })
            .collect();
    }
    all
}

fn first(rules: &[Predicate], shape: &RequestShape) -> Option<usize> {
    rules.iter().position(|rule| rule.holds(shape))
}

/// How often the analysis found a request, and how often it found that there is none.
#[derive(Default)]
struct Seen {
    requests: usize,
    never: usize,
}

fn compare(rules: &[Predicate], names: &[&str], keys: &[KeyFacts], seen: &mut Seen) {
    let all = everything(rules, names, keys);
    let taken: Vec<Option<usize>> = all.iter().map(|shape| first(rules, shape)).collect();
    let space = Space::new(keys.to_vec(), rules);
    let first_of = |shape: &RequestShape| (first(rules, shape), 0);
    let mut prover = Prover::new(&space, rules.iter().collect(), &first_of, Budget::new(50_000_000));
    let shown = || rules.iter().map(Predicate::to_string).collect::<Vec<_>>().join("\n");
    for rule in (0..rules.len()).map(Some).chain([None]) {
        match prover.reaches(rule, &[]) {
            Verdict::Request(shape) => {
                assert_eq!(first(rules, &shape), rule, "{shape:?} of\n{}", shown());
                seen.requests += 1;
            }
            Verdict::Undecided => panic!("rule {rule:?} of\n{}", shown()),
            Verdict::Never(never) => {
                let missed = taken.iter().position(|taken| *taken == rule).map(|at| &all[at]);
                assert_eq!(missed, None, "rule {rule:?} of\n{}", shown());
                seen.never += 1;
                let own = |shape: &&RequestShape| rule.is_none_or(|rule| rules[rule].holds(*shape));
                let covers = |without: Option<usize>| {
                    let covering = || never.covered_by.iter().filter(|at| Some(**at) != without);
                    all.iter().filter(own).all(|shape| covering().any(|at| rules[*at].holds(shape)))
                };
                assert!(covers(None), "{:?} do not cover rule {rule:?} of\n{}", never.covered_by, shown());
                if let Some(example) = &never.example {
                    assert!(own(&&**example) && first(rules, example) != rule);
                } else {
                    assert!(never.covered_by.is_empty() && !all.iter().any(|shape| own(&shape)));
                }
            }
        }
    }
}

#[test]
fn ten_thousand_random_sets_of_rules_are_decided_as_trying_decides_them() {
    let mut random = Rng::with_seed(4_356);
    let mut seen = Seen::default();
    for _ in 0..10_000 {
        let dimensions: Vec<&Dimension> = {
            let count = random.usize(1..4);
            random.choose_multiple(DIMENSIONS, count)
        };
        let rules: Vec<Predicate> =
            (0..random.usize(1..6)).map(|_| predicate(&condition(&mut random, &dimensions, 2))).collect();
        let mut names: Vec<&str> = dimensions.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        names.sort_unstable();
        names.dedup();
        let keys = if random.bool() { keys() } else { Vec::new() };
        names.retain(|name| *name != "key" || !keys.is_empty());
        compare(&rules, &names, &keys, &mut seen);
    }
    assert!(seen.requests > 10_000 && seen.never > 5_000, "{} {}", seen.requests, seen.never);
}

// === whole files

fn compiled(rules: &str) -> routeplane::config::Compilation {
    super::table::compile(&format!("version: 1\nrules: |\n{rules}"), &[])
}

fn said(diagnostics: &Diagnostics) -> Vec<String> {
    diagnostics.iter().map(|found| format!("{} {}", found.code, found.message)).collect()
}

#[test]
fn information_is_given_to_those_who_ask() {
    let compilation = compiled(
        "  when stream -> demo/a\n  when has tools -> demo/b\n  when images > 0 -> demo/a\n  when not stream and files > 0 -> demo/d\n",
    );
    assert_eq!(said(&compilation.diagnostics), [""; 0]);
    let mut notes = Diagnostics::default();
    routeplane::config::notes(&compilation.table.unwrap(), &compilation.proof, &mut notes);
    assert_eq!(
        said(&notes),
        [
            "RP0114 some requests meet no rule",
            "RP0115 rule 1 takes requests that rule 2 is for too",
            "RP0115 rule 2 takes requests that rule 3 is for too",
            "RP0115 rule 2 takes requests that rule 4 is for too",
            "RP0115 rule 3 takes requests that rule 4 is for too",
        ]
    );
    assert!(notes.iter().all(|note| note.witness.as_ref().is_some_and(|witness| witness.starts_with("curl http://"))));
    let covered = compiled("  when stream -> demo/a\n  when not stream -> demo/b\n");
    assert_eq!(covered.proof.coverage, routeplane::config::Coverage::Complete);
}

/// Texts made to cost time or memory: each is decided or said not to be, within the steps that a file may take.
#[test]
fn hostile_rules_come_to_an_end() {
    let row =
        |count: usize, join: &str, part: &dyn Fn(usize) -> String| (0..count).map(part).collect::<Vec<_>>().join(join);
    let facts = row(200, " and ", &|n| format!("header(\"h{n}\") != \"v{n}\""));
    let choices = row(200, " and ", &|n| format!("(tag(\"a{n}\") == \"x\" or tag(\"b{n}\") ~ \"y*{n}\")"));
    let globs = row(60, " and ", &|n| format!("model ~ \"*{}*\"", "ab".repeat(n % 7 + 1) + &"c".repeat(n)));
    let texts = row(1_600, " or ", &|n| format!("model == \"m{n}\" or model ~ \"{n}*x\""));
    // Whether an odd number of forty flags is set, and whether it is not: no request meets both, and showing it is hard.
    let odd = |from: usize, to: usize, odd: bool| parity(from, to, odd);
    let parity = format!("{} and {}", odd(0, 32, true), odd(0, 32, false));
    let pigeons = row(9, " and ", &|n| format!("({})", row(8, " or ", &|hole| format!("tool(\"{n}-{hole}\")"))));
    let alone = row(8, " and ", &|hole| {
        row(36, " and ", &|pair| {
            let (a, b) = (0..9).flat_map(|a| (0..a).map(move |b| (a, b))).nth(pair).unwrap();
            format!("not (tool(\"{a}-{hole}\") and tool(\"{b}-{hole}\"))")
        })
    });
    let numbers = row(2_000, "", &|n| format!("  when input_tokens == {n} -> demo/a\n"));
    let cases = [
        ("200 facts", format!("  when {facts} -> demo/a\n"), Some(0)),
        ("200 choices", format!("  when {choices} -> demo/a\n"), Some(0)),
        ("60 patterns", format!("  when {globs} -> demo/a\n"), None),
        ("three thousand texts", format!("  when {texts} -> demo/a\n"), None),
        ("odd and even", format!("  when {parity} -> demo/a\n"), None),
        ("nine pigeons, eight holes", format!("  when {pigeons} and {alone} -> demo/a\n"), None),
        ("2,000 numbers one by one", format!("{numbers}  when input_tokens < 2k -> demo/b\n"), None),
    ];
    for (what, rules, findings) in cases {
        let compilation = compiled(&rules);
        let said = said(&compilation.diagnostics);
        assert!(compilation.table.is_some(), "{what}: {said:?}");
        assert!(said.len() <= 1, "{what}: {said:?}");
        assert!(
            said.iter().all(|said| ["RP0110", "RP0111", "RP0113"].iter().any(|code| said.starts_with(code))),
            "{what}: {said:?}"
        );
        assert!(findings.is_none_or(|count| said.len() == count), "{what}: {said:?}");
    }
}

/// That an odd number, or not, of the flags in this range is set.
fn parity(from: usize, to: usize, odd: bool) -> String {
    if to - from == 1 {
        return format!("{}tool(\"t{from}\")", if odd { "" } else { "not " });
    }
    let middle = from.midpoint(to);
    let (left, right) = (|odd| parity(from, middle, odd), |odd| parity(middle, to, odd));
    format!("({} and {} or {} and {})", left(true), right(!odd), left(false), right(odd))
}

/// `check` and a reload read a file by the same function; both judge every random file as the rules' proofs do.
#[test]
fn a_check_and_a_reload_judge_alike() {
    use routeplane::config::Env;
    use routeplane::live::candidate::{Inputs, front_end};
    use routeplane::live::files::Snapshot;
    let mut random = Rng::with_seed(3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("routeplane.yaml");
    let (mut clean, mut warned) = (0, 0);
    for _ in 0..60 {
        let dimensions = random.choose_multiple(DIMENSIONS, 2);
        let rules: String = (0..random.usize(1..6))
            .map(|n| format!("  when {} -> demo/{n}\n", condition(&mut random, &dimensions, 1)))
            .collect();
        let text = format!("version: 1\nrules: |\n{rules}");
        std::fs::write(&path, &text).unwrap();
        let snapshot = Snapshot::read(Some(&path), &Default::default());
        let inputs = Inputs { config: Some(path.clone()), listen: None, env: Env::default() };
        let reloaded = front_end(&inputs, &snapshot);
        let checked = super::table::compile(&text, &[]);
        assert_eq!(said(&reloaded.diagnostics), said(&checked.diagnostics), "{text}");
        assert_eq!(reloaded.compiled.map(|compiled| compiled.table), checked.table);
        if checked.diagnostics.is_empty() { clean += 1 } else { warned += 1 }
    }
    assert!(clean > 5 && warned > 5, "{clean} {warned}");
}

#[test]
fn what_cannot_be_decided_is_said() {
    let condition = format!("{} and {}", parity(0, 32, true), parity(0, 32, false));
    let compilation = compiled(&format!("  when {condition} -> demo/a\n  when stream -> demo/b\n"));
    assert_eq!(said(&compilation.diagnostics), ["RP0113 could not decide rule 1 within the budget"]);
}

#[test]
fn the_witness_is_decided_as_it_says() {
    use routeplane::proxy::explain::{Given, Pretended, add_header, request};
    let rules = "  when protocol == messages and images > 1 and stream -> demo/a\n\
                 \x20 when last_tool == \"grep\" and tool(\"bash\") and tools >= 2 -> demo/b\n\
                 \x20 when output == schema and reasoning >= high and max_tokens > 10 -> demo/c\n\
                 \x20 when session ~ \"s*\" and user == \"it's\" and tag(\"env\") != \"prod\" -> demo/d\n\
                 \x20 when bucket(\"one\") == 7 and tag(\"t\") == \"x\" and messages == 3 -> demo/e\n\
                 \x20 when protocol == gemini and user is absent -> demo/f\n\
                 \x20 when protocol == embeddings -> demo/g\n\
                 \x20 when protocol == responses and images == 2 and tools == 1 and reasoning == low and stream -> demo/i\n\
                 \x20 when protocol == responses and last_tool == \"grep\" and output == schema and tag(\"a\") == \"b\" -> demo/j\n\
                 \x20 when protocol == converse and tools >= 2 and max_tokens > 10 and stream and user == \"u\" -> demo/k\n\
                 \x20 when protocol == converse and output == schema and messages == 4 and tag(\"c\") == \"d\" -> demo/l\n\
                 \x20 when protocol == converse and last_tool == \"grep\" and reasoning == high -> demo/m\n\
                 \x20 when bucket(\"two\") == 7 and user is absent and session is absent -> demo/h\n";
    let compilation = compiled(rules);
    assert_eq!(said(&compilation.diagnostics), [""; 0]);
    let table = compilation.table.unwrap();
    let conditions: Vec<&Predicate> = table.rules.iter().map(|rule| &rule.when).collect();
    let space = Space::new(Vec::new(), conditions.iter().copied());
    let first = |shape: &RequestShape| table.rule_index.first_counted(&table.rules, shape);
    let mut prover = Prover::new(&space, conditions, &first, Budget::new(10_000_000));
    for rule in (0..table.rules.len()).map(Some).chain([None]) {
        let Verdict::Request(shape) = prover.reaches(rule, &[]) else { panic!("{rule:?}") };
        let command = routeplane::rule::curl::curl(&shape, "127.0.0.1:4356");
        // Taken apart as a shell would, for commands without escapes but `'\''`.
        let (url, rest) = command.strip_prefix("curl http://127.0.0.1:4356").unwrap().split_once(' ').unwrap();
        let rest = rest.replace("'\\''", "\u{1}");
        let mut words = rest.split('\'').map(|word| word.replace('\u{1}', "'"));
        let mut pretended = Pretended {
            uri: url.parse().unwrap(),
            headers: Default::default(),
            body: Vec::new(),
            given: Given::default(),
        };
        while let (Some(option), Some(value)) = (words.next(), words.next()) {
            match option.trim() {
                "-H" => {
                    let (name, value) = value.split_once(": ").unwrap();
                    add_header(&mut pretended.headers, name, value).unwrap();
                }
                "-d" => pretended.body = value.into_bytes(),
                other => panic!("{other} in {command}"),
            }
        }
        let id = pretended.headers.contains_key("x-request-id");
        let decided =
            request(&table, &pretended, &routeplane::table::health::AllUp, |explanation| explanation.decision.rule);
        // An explanation has no id of its own, which is the one thing that this rule's request needs.
        let expected = if id { None } else { rule.map(|at| at as u32 + 1) };
        assert_eq!(decided, Ok(expected), "{command}");
        assert!(!command.contains(" # "), "{command}");
    }
}
