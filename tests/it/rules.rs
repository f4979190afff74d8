//! The rule language: what conditions mean, and that printing, parsing, compiling and evaluating agree.

use std::time::Duration;

use proptest::prelude::*;
use routeplane::diagnostic::Diagnostics;
use routeplane::glob::Glob;
use routeplane::rule::ast::{Check, Condition, Expression, Literal, Test};
use routeplane::rule::predicate::{Atom, Comparison, Predicate, TextTest, ValueFact, ValueTest};
use routeplane::rule::request::RequestShape;
use routeplane::rule::strategies::Choice;
use routeplane::rule::{
    Facts, FlagFact, NumberFact, OutputKind, ReasoningLevel, TextFact, compile, facts, lines, parse,
};
use routeplane::source::{SourceId, Span, Spanned};
use routeplane::wire::ProtocolId;

const NOWHERE: Span = Span { source: SourceId(0), start: 0, end: 0 };

fn condition(text: &str) -> Condition {
    let mut diagnostics = Diagnostics::default();
    let condition = parse::condition(text, &|_| NOWHERE, &mut diagnostics);
    condition.unwrap_or_else(|| panic!("{text}: {diagnostics:?}"))
}

fn predicate(text: &str) -> Predicate {
    let mut diagnostics = Diagnostics::default();
    let predicate = compile::predicate(&condition(text), &mut diagnostics);
    predicate.unwrap_or_else(|| panic!("{text}: {diagnostics:?}"))
}

fn expression(text: &str) -> Option<Expression> {
    parse::route(text, &|_| NOWHERE, &mut Diagnostics::default())
}

// === what conditions mean

fn shape() -> RequestShape {
    let mut shape = RequestShape::new("gpt-4o");
    shape.protocol = ProtocolId::AnthropicMessages;
    shape.stream = true;
    shape.tools = vec!["bash".into(), "grep".into()];
    shape.last_tool = Some("grep".into());
    shape.headers.insert("x-team".into(), "research".into());
    shape.tags.insert("env".into(), "prod".into());
    shape.key = Some("ci".into());
    shape.key_attributes.insert("team".into(), "lab".into());
    shape.input_tokens = 150_000;
    shape.images = 1;
    shape.reasoning = ReasoningLevel::High;
    shape.output = OutputKind::Schema;
    shape.weekday = 5;
    shape.hour = 22;
    shape
}

#[test]
fn conditions_mean_what_they_say() {
    let shape = shape();
    for (text, expected) in [
        ("model == \"gpt-4o\"", true),
        ("model ~ 'gpt-4*'", true),
        ("model in [\"a\", \"gpt-4o\",]", true),
        ("model not in [\"a\"]", true),
        ("not model ~ \"gpt*\"", false),
        ("user == \"\"", false),
        ("user != \"x\"", true),
        ("user not in [\"x\"]", true),
        ("user ~ \"*\"", false),
        ("user is absent", true),
        ("not user is absent", false),
        ("header(\"X-Team\") == \"research\"", true),
        ("header(\"x-other\") is absent", true),
        ("tag(\"env\") == \"prod\" and key == \"ci\" and key.team == \"lab\"", true),
        ("key.other is absent", true),
        ("protocol == messages", true),
        ("protocol in [chat, gemini]", false),
        ("stream", true),
        ("not stream", false),
        ("not not stream", true),
        ("tool(\"bash\") and not tool(\"rm\")", true),
        ("has tools and has images and not has audio", true),
        ("tools == 2", true),
        ("input_tokens > 150k", false),
        ("input_tokens >= 150k and input_tokens < 1M", true),
        ("reasoning >= medium and reasoning < max", true),
        ("output == schema", true),
        ("weekday in [sat, sun] and hour >= 22", true),
        ("bucket(\"x\") <= 99", true),
        // `and` binds closer than `or`.
        ("stream or stream and user == \"x\"", true),
        ("(stream or stream) and user == \"x\"", false),
        ("not stream or stream", true),
    ] {
        assert_eq!(predicate(text).holds(&shape), expected, "{text}");
    }
}

#[test]
fn every_fact_s_example_compiles_and_prints_as_itself() {
    for fact in facts::FACTS {
        let compiled = predicate(fact.example);
        assert_eq!(predicate(&compiled.to_string()), compiled, "{}", fact.example);
    }
}

#[test]
fn the_failing_part_is_named() {
    let shape = shape();
    for (text, failing) in [
        ("stream and images > 3 and tools > 5", "images > 3"),
        ("stream and (images > 3 or tools > 5)", "images > 3 or tools > 5"),
        ("not (stream and has tools)", "not (stream and tools > 0)"),
    ] {
        assert_eq!(predicate(text).failing(&shape).unwrap().to_string(), failing);
    }
    assert_eq!(predicate("stream").failing(&shape), None);
}

#[test]
fn deep_nesting_is_refused_before_it_hurts() {
    for open in ["(", "[", "not (", "split(1 ", "header("] {
        let text = format!("when {}", open.repeat((1 << 20) / open.len()));
        let mut diagnostics = Diagnostics::default();
        assert!(parse::rule(&text, &|_| NOWHERE, &mut diagnostics).is_none());
        assert_eq!(diagnostics.iter().next().unwrap().code.to_string(), "RP0104");
    }
    let text = format!("{}stream", "not ".repeat(1 << 13));
    assert_eq!(predicate(&text).to_string(), "stream");
    let deep = format!("{}demo/x{}", "(".repeat(64), ")".repeat(64));
    assert_eq!(expression(&deep).unwrap().to_string(), "demo/x");
}

/// One rule and one route may have 64 KiB; the finding points at the first character that is too much.
#[test]
fn a_text_too_long_is_refused_before_it_costs() {
    let list = |values: usize| format!("user in [{}]", vec!["\"é\""; values].join(","));
    let fits = (parse::LONGEST - list(0).len()) / 5;
    assert_eq!(condition(&list(fits)), condition(&list(fits)));
    let too_long = |read: &dyn Fn(&mut Diagnostics) -> bool| {
        let mut diagnostics = Diagnostics::default();
        assert!(!read(&mut diagnostics));
        let found: Vec<String> = diagnostics.iter().map(|found| format!("{} {}", found.code, found.message)).collect();
        assert_eq!(found, ["RP0105 this has 65 KiB, and a rule or route may have 64"]);
        diagnostics.iter().next().unwrap().labels[0].span
    };
    let place = |range: std::ops::Range<usize>| Span::new(SourceId(0), range.start, range.end);
    for padding in ["", " ", "  ", "   ", "    "] {
        let text = format!("{padding}{}", list(fits + 1));
        let span = too_long(&|diagnostics| parse::condition(&text, &place, diagnostics).is_some());
        assert!(text.get(span.range()).is_some_and(|found| found.chars().count() == 1), "{span:?}");
        let rule = format!("when {text} -> a/b");
        too_long(&|diagnostics| parse::rule(&rule, &place, diagnostics).is_some());
        assert_eq!(parse::words::of_rule(&rule), None);
    }
    let chain = vec!["a/b"; (64 << 10) / 4 + 1].join(">");
    too_long(&|diagnostics| parse::route(&chain, &place, diagnostics).is_some());
}

#[test]
fn expressions_read_as_written() {
    for (text, printed) in [
        ("a/b>c/d", "a/b > c/d"),
        ("openrouter/anthropic/claude-sonnet-4.5:free", "openrouter/anthropic/claude-sonnet-4.5:free"),
        ("cloudflare/@cf/meta/llama-3", "cloudflare/@cf/meta/llama-3"),
        ("as   requested > @default", "as requested > @default"),
        ("split( 95 @a , 5 (b/c > d/e), )", "split(95 @a, 5 b/c > d/e)"),
        ("split(0.7 @a, 0.30 @b, 0 @c, 5% @d)", "split(0.7 @a, 0.3 @b, 0 @c, 5 @d)"),
        (r#"@"a" > @"my \"fn\" \\ é" > @é"#, r#"@a > @"my \"fn\" \\ é" > @é"#),
        ("(a/b > c/d) > e/f", "(a/b > c/d) > e/f"),
        ("deny 413 'too \"long\"'", "deny 413 \"too \\\"long\\\"\""),
        ("deny/x > as-requested/y", "deny/x > as-requested/y"),
        ("01-ai/yi", "01-ai/yi"),
    ] {
        assert_eq!(expression(text).unwrap_or_else(|| panic!("{text}")).to_string(), printed);
    }
}

// === an interpreter that shares nothing with the compiler

fn naive(condition: &Condition, facts: &RequestShape) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| naive(part, facts)),
        Condition::Any(parts) => parts.iter().any(|part| naive(part, facts)),
        Condition::Not(inner) => !naive(inner, facts),
        Condition::Has(name) => naive_value(&name.value, "", facts).unwrap() > 0,
        Condition::Test(test) => naive_test(test, facts),
    }
}

fn naive_test(test: &Test, facts: &RequestShape) -> bool {
    let name = test.fact.name.value.as_str();
    let parameter = test.fact.parameter.as_ref().map_or("", |parameter| parameter.text.value.as_str());
    let Some(check) = &test.check else {
        return if name == "stream" { facts.stream } else { facts.tools.iter().any(|tool| tool == parameter) };
    };
    if let Some(value) = naive_value(name, parameter, facts) {
        let rank = |literal: &Literal| match literal {
            Literal::Number(number) => *number,
            Literal::Word(word) => {
                let lists = [facts::REASONING, facts::OUTPUT, facts::PROTOCOL, facts::WEEKDAY];
                let known =
                    ["reasoning", "output", "protocol", "weekday"].iter().position(|fact| *fact == name).unwrap();
                lists[known].list.iter().position(|known| known == word).unwrap() as u64
            }
            Literal::Text(_) => panic!("a text for {name}"),
        };
        return match check {
            Check::Compare(operator, literal) => {
                let wanted = rank(&literal.value);
                match operator.value.symbol() {
                    "==" => value == wanted,
                    "!=" => value != wanted,
                    "<" => value < wanted,
                    "<=" => value <= wanted,
                    ">" => value > wanted,
                    _ => value >= wanted,
                }
            }
            Check::In { negated, list } => list.value.iter().any(|literal| rank(&literal.value) == value) != *negated,
            Check::Like(_) | Check::Absent => panic!("not for {name}"),
        };
    }
    let text = match name {
        "model" => Some(facts.model.clone()),
        "user" => facts.user.clone(),
        "session" => facts.session.clone(),
        "episode" => facts.headers.get("x-routeplane-episode").cloned(),
        "last_tool" => facts.last_tool.clone(),
        "key" => facts.key.clone(),
        "header" => facts.headers.get(&parameter.to_lowercase()).cloned(),
        "tag" => facts.tags.get(parameter).cloned(),
        other => facts.key_attributes.get(other.strip_prefix("key.").unwrap()).cloned(),
    };
    let same = |literal: &Literal| match literal {
        Literal::Text(wanted) => text.as_ref() == Some(wanted),
        Literal::Number(_) | Literal::Word(_) => panic!("not a text"),
    };
    match check {
        Check::Absent => text.is_none(),
        Check::Compare(operator, literal) => same(&literal.value) == (operator.value.symbol() == "=="),
        Check::In { negated, list } => list.value.iter().any(|literal| same(&literal.value)) != *negated,
        Check::Like(literal) => match &literal.value {
            Literal::Text(pattern) => text.is_some_and(|text| naive_glob(pattern.as_bytes(), text.as_bytes())),
            Literal::Number(_) | Literal::Word(_) => panic!("not a text"),
        },
    }
}

fn naive_glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|skipped| naive_glob(rest, &text[skipped..])),
        (Some((a, pattern)), Some((b, text))) => a == b && naive_glob(pattern, text),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn naive_value(name: &str, parameter: &str, facts: &RequestShape) -> Option<u64> {
    Some(match name {
        "tools" => facts.tools.len() as u64,
        "images" => facts.images,
        "files" => facts.files,
        "audio" => facts.audio,
        "messages" => facts.messages,
        "input_tokens" => facts.input_tokens,
        "max_tokens" => facts.max_tokens,
        "hour" => facts.hour,
        "weekday" => facts.weekday,
        "reasoning" => facts.reasoning as u64,
        "output" => facts.output as u64,
        "protocol" if facts.embeddings => 5,
        "protocol" => facts.protocol as u64,
        "bucket" => u64::from(facts.bucket(parameter)),
        _ => return None,
    })
}

// === properties

fn a_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ab*]{0,3}", "[ -~é日]{0,6}"]
}

fn text_fact() -> impl Strategy<Value = TextFact> {
    prop_oneof![
        Just(TextFact::Model),
        Just(TextFact::User),
        Just(TextFact::Session),
        Just(TextFact::Episode),
        Just(TextFact::LastTool),
        Just(TextFact::Key),
        "[a-c]".prop_map(|name| TextFact::KeyAttribute(name.into())),
        "[a-c]".prop_map(|name| TextFact::Header(name.into())),
        a_text().prop_map(|name| TextFact::Tag(name.into())),
    ]
}

fn text_test() -> impl Strategy<Value = TextTest> {
    let list = || prop::collection::vec(a_text().prop_map(Into::into), 1..3).prop_map(Vec::into_boxed_slice);
    prop_oneof![
        a_text().prop_map(|text| TextTest::Equal(text.into())),
        a_text().prop_map(|text| TextTest::NotEqual(text.into())),
        list().prop_map(TextTest::In),
        list().prop_map(TextTest::NotIn),
        a_text().prop_map(|text| TextTest::Like(Glob(text.into()))),
        Just(TextTest::Absent),
    ]
}

/// A fact with a value, how many values it has, and whether they have an order.
fn value_fact() -> impl Strategy<Value = (ValueFact, u64, bool)> {
    use NumberFact::{Audio, Files, Hour, Images, InputTokens, MaxTokens, Messages, Tools, Weekday};
    let numbers = prop::sample::select(vec![Tools, Images, Files, Audio, Messages, InputTokens, MaxTokens, Hour]);
    prop_oneof![
        numbers.prop_map(|fact| (ValueFact::Number(fact), 4, true)),
        Just((ValueFact::Number(InputTokens), u64::MAX, true)),
        Just((ValueFact::Number(Weekday), 7, false)),
        a_text().prop_map(|salt| (ValueFact::Bucket(salt.into()), 100, true)),
        Just((ValueFact::Reasoning, 6, true)),
        Just((ValueFact::Output, 3, false)),
        Just((ValueFact::Protocol, 6, false)),
    ]
}

fn value_atom() -> impl Strategy<Value = Atom> {
    use Comparison::{AtLeast, AtMost, Equal, Greater, Less, NotEqual};
    value_fact().prop_flat_map(|(fact, values, ordered)| {
        let comparisons =
            if ordered { vec![Equal, NotEqual, Less, AtMost, Greater, AtLeast] } else { vec![Equal, NotEqual] };
        let list = || prop::collection::vec(0..values, 1..3).prop_map(Vec::into_boxed_slice);
        let test = prop_oneof![
            (prop::sample::select(comparisons), 0..values).prop_map(|(how, value)| ValueTest::Compare(how, value)),
            list().prop_map(ValueTest::In),
            list().prop_map(ValueTest::NotIn),
        ];
        test.prop_map(move |test| Atom::Value { fact: fact.clone(), test })
    })
}

fn an_atom() -> impl Strategy<Value = Atom> {
    prop_oneof![
        (text_fact(), text_test()).prop_map(|(fact, test)| Atom::Text { fact, test }),
        value_atom(),
        Just(Atom::Flag(FlagFact::Stream)),
        a_text().prop_map(|name| Atom::Flag(FlagFact::Tool(name.into()))),
    ]
}

/// Predicates in the form that the compiler gives them: no chain directly in a chain of its kind, no `not not`.
pub(crate) fn a_predicate() -> impl Strategy<Value = Predicate> {
    let chained = |parts: Vec<Predicate>, all: bool| {
        let flat = parts.into_iter().flat_map(|part| match part {
            Predicate::All(parts) if all => parts.into_vec(),
            Predicate::Any(parts) if !all => parts.into_vec(),
            part => vec![part],
        });
        if all { Predicate::All(flat.collect()) } else { Predicate::Any(flat.collect()) }
    };
    an_atom().prop_map(Predicate::Atom).prop_recursive(4, 24, 3, move |inner| {
        let parts = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            parts().prop_map(move |parts| chained(parts, true)),
            parts().prop_map(move |parts| chained(parts, false)),
            inner.clone().prop_map(|inner| match inner {
                Predicate::Not(twice) => *twice,
                inner => Predicate::Not(Box::new(inner)),
            }),
        ]
    })
}

pub(crate) fn a_request() -> impl Strategy<Value = RequestShape> {
    let texts = (a_text(), prop::option::of(a_text()), prop::option::of(a_text()), prop::option::of("[a-c]"));
    let maps = prop::collection::btree_map("[a-c]", a_text(), 0..3);
    let counts = prop::array::uniform8(0u64..4);
    let words = (0..6usize, 0..3usize, 0..6usize, 0..7u64, any::<bool>());
    (texts, maps, counts, words).prop_map(|((model, user, last_tool, key), map, counts, words)| {
        let mut shape = RequestShape::new(model);
        let (reasoning, output, protocol, weekday, stream) = words;
        shape.user = user;
        shape.last_tool = last_tool;
        shape.key = key;
        shape.headers = map.clone();
        shape.tags = map.clone();
        shape.tools = map.values().cloned().collect();
        shape.key_attributes = map;
        let [images, files, audio, messages, input, limit, hour, _] = counts;
        (shape.images, shape.files, shape.audio, shape.messages) = (images, files, audio, messages);
        (shape.input_tokens, shape.max_tokens, shape.hour, shape.weekday) = (input, limit, hour, weekday);
        use ReasoningLevel::{High, Low, Max, Medium, Minimal, None};
        shape.reasoning = [None, Minimal, Low, Medium, High, Max][reasoning];
        shape.output = [OutputKind::Text, OutputKind::Json, OutputKind::Schema][output];
        shape.embeddings = protocol == 5;
        shape.protocol = ProtocolId::ALL[protocol.min(4)];
        shape.stream = stream;
        shape
    })
}

fn an_expression() -> impl Strategy<Value = Expression> {
    let at = |text: String| Spanned::new(text, NOWHERE);
    let leaf = prop_oneof![
        "[a-z0-9-]{1,4}/[a-zA-Z0-9._:/@+-]{0,6}[a-z0-9]".prop_map(move |name| Expression::Target(at(name))),
        "[a-z0-9_.]{1,4}|[a-z\"\\\\ ä/:@>-]{1,6}".prop_map(move |name| Expression::Preset(at(name))),
        Just(Expression::AsRequested(NOWHERE)),
        (400u16..600, prop::option::of(a_text())).prop_map(|(status, text)| Expression::Deny {
            status: Spanned::new(status, NOWHERE),
            text,
            span: NOWHERE
        }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let arm =
            prop_oneof![(0u32..100).prop_map(f64::from), 0.0..100.0].prop_map(|weight| Spanned::new(weight, NOWHERE));
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::Fallback),
            prop::collection::vec((arm, inner.clone()), 1..4)
                .prop_map(|arms| Expression::Split { arms, span: NOWHERE }),
            (prop::sample::select(Choice::ALL.to_vec()), prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(by, members)| Expression::Choose { by, members, span: NOWHERE }),
            (inner.clone(), inner.clone(), 0..600_000u64).prop_map(|(first, second, ms)| Expression::Hedge {
                first: first.into(),
                second: second.into(),
                after: Spanned::new(Duration::from_millis(ms), NOWHERE),
                span: NOWHERE
            }),
            (inner.clone(), inner, 1..=10_000u32).prop_map(|(main, mirror, sample)| Expression::Shadow {
                main: main.into(),
                mirror: mirror.into(),
                sample: Spanned::new(sample, NOWHERE),
                span: NOWHERE
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_printed_predicate_parses_to_itself(predicate in a_predicate()) {
        prop_assert_eq!(self::predicate(&predicate.to_string()), predicate);
    }

    #[test]
    fn compiled_and_interpreted_agree(predicate in a_predicate(), request in a_request()) {
        let condition = condition(&predicate.to_string());
        prop_assert_eq!(predicate.holds(&request), naive(&condition, &request), "{}", predicate);
        prop_assert_eq!(predicate.failing(&request).is_none(), predicate.holds(&request));
    }

    #[test]
    fn a_printed_expression_parses_to_itself(written in an_expression()) {
        prop_assert_eq!(expression(&written.to_string()), Some(written));
    }

    #[test]
    fn no_text_breaks_the_parser(text in "[a-z0-9@/>~=!<()\\[\\]\"', .#\n\\\\-é]{0,60}") {
        for range in lines::cut(&text) {
            let rule = text.get(range).unwrap();
            let mut diagnostics = Diagnostics::default();
            let inside = |range: std::ops::Range<usize>| {
                assert!(rule.get(range.clone()).is_some(), "{range:?} of {rule:?}");
                NOWHERE
            };
            let parsed = parse::rule(rule, &inside, &mut diagnostics);
            prop_assert!(parsed.is_some() || diagnostics.has_errors());
            let parsed = parse::route(rule, &inside, &mut diagnostics);
            prop_assert!(parsed.is_some() || diagnostics.has_errors());
        }
    }
}
