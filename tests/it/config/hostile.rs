//! Texts made to cost time or memory, or to crash the reader.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use routeplane::diagnostic::{github, json, render, sarif};

use super::{findings, parse};

/// Far more than any of these takes, far less than a text that gets out of hand.
const BOUND: Duration = Duration::from_secs(20);

fn read(what: &str, text: &str) -> Vec<String> {
    let start = Instant::now();
    let (sources, diagnostics, _) = parse(text);
    let human = render::render(&diagnostics, &sources, render::Style::Plain);
    assert!(start.elapsed() < BOUND, "{what} took {:?}", start.elapsed());
    assert!(human.len() < 1 << 20, "{what} is answered with {} bytes", human.len());
    diagnostics.iter().map(|diagnostic| diagnostic.code.to_string()).collect()
}

#[test]
fn hostile_texts_are_refused_in_bounded_time() {
    let deep_mapping: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let laughs: String =
        (1..30).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))).collect();
    let long_text = format!("a0: &a0 {}\nb: [{}]\n", "x".repeat(500_000), vec!["*a0"; 50_000].join(","));
    for (what, text, code) in [
        ("ten megabytes", "a: b\n".repeat(2 << 20), "RP0002"),
        ("a mebibyte of brackets", "[".repeat(1 << 20), "RP0009"),
        ("a mebibyte of braces", "{".repeat(1 << 20), "RP0009"),
        ("a thousand levels of brackets", format!("a: {}{}", "[".repeat(1000), "]".repeat(1000)), "RP0009"),
        ("a thousand levels of mappings", deep_mapping, "RP0009"),
        ("a thousand levels of dashes", "- ".repeat(1000), "RP0009"),
        ("a billion laughs", format!("a0: &a0 lol\n{laughs}"), "RP0010"),
        ("a long text repeated", long_text, "RP0010"),
        ("half a million items", format!("a: [{}]", "x,".repeat(500_000)), "RP0010"),
        ("a NUL byte", "version: 1\0\nlisten: x".to_owned(), "RP0001"),
        ("an open quote", format!("a: \"{}", "x".repeat(1_000_000)), "RP0001"),
    ] {
        assert_eq!(read(what, &text), [code], "{what}");
    }
}

#[test]
fn many_mistakes_are_told_up_to_a_bound() {
    let keys: String = (0..40_000).map(|n| format!("key{n}: 1\n")).collect();
    assert_eq!(read("unknown keys", &keys).len(), 500);
    let one_line = format!("{{{}}}", (0..40_000).map(|n| format!("key{n}: 1")).collect::<Vec<_>>().join(", "));
    assert_eq!(read("unknown keys on one line", &one_line).len(), 500);
    let (sources, diagnostics, _) = parse(&keys);
    assert!(diagnostics.has_errors());
    assert_eq!(diagnostics.dropped(), 39_500);
    assert!(render::render(&diagnostics, &sources, render::Style::Plain).ends_with("and 39500 findings more\n"));
}

#[test]
fn odd_texts_are_read_or_refused() {
    for text in [
        "",
        "\u{feff}",
        "\n",
        "---",
        "...",
        "%YAML 1.2\n---\n",
        "? a\n: b",
        ": x",
        "a",
        "\r",
        "\t",
        "&a",
        "*a",
        "!",
        "|",
        ">",
        "a: |",
        "a: >2\n",
        "- ",
        "\u{85}",
        "a: \u{2028}",
    ] {
        let (sources, diagnostics, _) = parse(text);
        render::render(&diagnostics, &sources, render::Style::Plain);
    }
    assert_eq!(findings(""), [""; 0]);
}

/// Texts that look like a file, with mistakes of every kind.
fn almost_yaml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("version: 1\n".to_owned()),
        Just("presets:\n".to_owned()),
        Just("  a: { route: x/y, timeout: 3 }\n".to_owned()),
        Just("rules: |\n".to_owned()),
        Just("  when é -> @b\n".to_owned()),
        Just("rules: >-\n".to_owned()),
        Just("providers: { p: { key: \"${X}\" } }\n".to_owned()),
        Just("&a ".to_owned()),
        Just("*a".to_owned()),
        "[ \\t\\r\\n:,\\[\\]{}#&*!|>'\"%@`?-]{1,4}",
        "[a-z0-9é日🦀]{1,6}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn no_panic_and_places_in_bounds(text: &str) {
    let (sources, diagnostics, document) = parse(text);
    for diagnostic in diagnostics.iter() {
        let fix = diagnostic.fix.iter().map(|fix| fix.span);
        for span in diagnostic.labels.iter().map(|label| label.span).chain(fix) {
            assert!(text.get(span.range()).is_some(), "{span:?} of {diagnostic:?} is not a part of {text:?}");
        }
    }
    for (start, _) in
        document.iter().flat_map(|document| &document.rules).flat_map(|rules| rules.text.text.char_indices())
    {
        let rules = document.as_ref().unwrap().rules.as_ref().unwrap();
        let rest = rules.text.text.get(start..).unwrap();
        let end = start + rest.chars().next().map_or(0, char::len_utf8);
        assert!(text.get(rules.text.span_of(start..end).range()).is_some(), "a rule points outside of {text:?}");
    }
    render::render(&diagnostics, &sources, render::Style::Human { color: true });
    json::to_json(&diagnostics, &sources);
    github::to_github(&diagnostics, &sources);
    sarif::to_sarif(&diagnostics, &sources);
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in any::<String>()) {
        no_panic_and_places_in_bounds(&text);
    }

    #[test]
    fn almost_any_yaml_is_read_without_panic(text in almost_yaml()) {
        no_panic_and_places_in_bounds(&text);
    }
}
