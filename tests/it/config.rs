//! The file's shape: fixtures of `tests/config`, hostile texts, and the places that diagnostics point at.

mod fixtures;
mod generated;
mod hostile;
mod memory;
mod printed;
mod validator;

use routeplane::config::document::{Document, RouteText};
use routeplane::diagnostic::{Diagnostic, Diagnostics};
use routeplane::source::SourceMap;

fn parse(text: &str) -> (SourceMap, Diagnostics, Option<Document>) {
    let mut sources = SourceMap::default();
    let id = sources.add("routeplane.yaml", text);
    let mut diagnostics = Diagnostics::default();
    let document = routeplane::config::parse(id, &sources, &mut diagnostics);
    (sources, diagnostics, document)
}

/// Each finding as `RP0020 "underlined"`.
fn findings(text: &str) -> Vec<String> {
    let (sources, diagnostics, _) = parse(text);
    diagnostics.iter().map(|diagnostic| finding(diagnostic, &sources)).collect()
}

fn finding(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    let underlined = diagnostic.labels.first().map_or("", |label| sources.text(label.span));
    format!("{} {underlined:?}", diagnostic.code)
}

#[test]
fn every_word_of_a_block_of_rules_knows_its_place() {
    for text in [
        "rules: |\n  when model == \"日本\" -> @cheap # 🦀\n\n    when é -> @b\n  otherwise -> as requested\n",
        "x: 1\r\nrules: |-\r\n   when é -> @b\r\n   otherwise -> @c\r\n",
        "\u{feff}rules: >\n  when a\n  and b -> @c\n\n  otherwise -> @d\n",
        "rules: |2\n    when a -> @b\n  otherwise -> @c",
        "rules: |+\n\n\n  when e\u{301}🦀 -> @b\n  otherwise -> @c\n\n\n",
        "rules: 'when a -> @b'",
        "rules: \"when 漢字 -> @b\"",
        "rules: when a -> @b",
        "rules: &r |\n  when a -> @b\n  otherwise -> @c\n",
        "rules: &r when a -> @b",
        "rules: &r\n  'when a -> @b'",
        "rules:\n  when a\n  and b\n\n  -> @c",
    ] {
        let (sources, _, document) = parse(text);
        let rules = document.unwrap().rules.unwrap().text;
        let mut at = 0;
        for word in rules.text.split_inclusive([' ', '\n']) {
            let trimmed = word.trim();
            if !trimmed.is_empty() {
                let start = at + word.find(trimmed).unwrap();
                let span = rules.span_of(start..start + trimmed.len());
                assert_eq!(sources.text(span), trimmed, "in {text:?} of {:?}", rules.text);
            }
            at += word.len();
        }
    }
}

#[test]
fn a_text_with_escapes_is_underlined_as_a_whole() {
    let (sources, _, document) = parse("presets: { a: \"x\\u00e9 > y\" }");
    let Some(RouteText::Expression(route)) = document.unwrap().presets[0].route.clone() else { panic!() };
    assert_eq!(route.text, "xé > y");
    assert_eq!(sources.text(route.span_of(5..6)), "x\\u00e9 > y");
}

#[test]
fn shapes() {
    assert_eq!(findings("version: 1\nprovider: {}\n"), ["RP0020 \"provider\""]);
    assert_eq!(findings("providers: { openai: }\n"), [""; 0]);
    assert_eq!(findings("presets: { a: x/y, b: [x/y], c: { route: x/y } }\ntimeout: 30s\nretries: 3\n"), [""; 0]);
    assert_eq!(findings("timeout: { total: 30, idel: 4s }\n"), ["RP0020 \"idel\"", "RP0021 \"30\""]);
    assert_eq!(
        findings("providers: { openai: { key: '${X}', keys: [cmd:x] } }"),
        ["RP0004 \"key\"", "RP0142 \"cmd:x\""]
    );
    assert_eq!(findings("keys: { ci: sk-abc }"), ["RP0140 \"sk-abc\""]);
    assert_eq!(findings("a: 1\na: 2\n"), ["RP0004 \"a\"", "RP0020 \"a\""]);
}
