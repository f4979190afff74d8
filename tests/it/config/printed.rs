//! The forms in which findings are printed.

use routeplane::diagnostic::{Code, Diagnostic, Diagnostics, github, json, render, sarif};
use routeplane::source::{SourceMap, Span};

use super::parse;

const WRONG: &str = "providers:\n  mine: { base_ulr: http://127.0.0.1:1, key: a-key-without-prefix }\nkyes: {}\n";

fn all_forms(text: &str) -> [String; 5] {
    let (sources, diagnostics, _) = parse(text);
    [
        render::render(&diagnostics, &sources, render::Style::Human { color: true }),
        render::render(&diagnostics, &sources, render::Style::Plain),
        json::to_json(&diagnostics, &sources),
        github::to_github(&diagnostics, &sources),
        sarif::to_sarif(&diagnostics, &sources),
    ]
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => "../../../snapshots/config/printed",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn no_form_prints_a_key() {
    for text in [
        WRONG,
        "keys: { a: a-key-without-prefix, a: 1 }\n",
        "keys:\n  a: a-key-without-prefix\n  b: [a-key-without-prefix]\n",
        "providers: { p: { keys: [a-key-without-prefix, env:a-key-without-prefix] } }\n",
        // Not YAML: only what looks like a key can be known to be one.
        "keys: { a: sk-a-key-without-prefix }\nb: c: d\n",
    ] {
        for form in all_forms(text) {
            assert!(!form.contains("a-key-without-prefix"), "{form}");
        }
    }
}

#[test]
fn github_annotations() {
    let (sources, diagnostics, _) = parse(WRONG);
    snapshot("github", &github::to_github(&diagnostics, &sources));
}

#[test]
fn sarif_log() {
    let (sources, diagnostics, _) = parse("kyes: {}\na: 1\na: 2\n");
    let log: serde_json::Value = serde_json::from_str(&sarif::to_sarif(&diagnostics, &sources)).unwrap();
    let results = log.pointer("/runs/0/results").unwrap();
    snapshot("sarif", &serde_json::to_string_pretty(results).unwrap());
    assert_eq!(log.pointer("/runs/0/tool/driver/rules/0/id").unwrap(), "RP0004");
}

#[test]
fn a_finding_in_two_files_shows_both() {
    let mut sources = SourceMap::default();
    let user = sources.add("routeplane.yaml", "providers:\n  mine: { base_url: x }\n");
    let preset = sources.add("presets/providers/mine.yaml", "title: Mine\nbase_url: y\n");
    let mut diagnostics = Diagnostics::default();
    diagnostics.push(
        Diagnostic::new(Code::BadValue, "this differs from the provider's own")
            .label(Span::new(user, 31, 32), "written here")
            .label(Span::new(preset, 22, 23), "the provider's own")
            .help("leave it out"),
    );
    snapshot("two-files", &render::render(&diagnostics, &sources, render::Style::Plain));
}

#[test]
fn a_file_on_one_line_is_shown_around_the_place() {
    let text =
        format!("{{ {} kyes: {{}}, {} }}", "version: 1, ", "listen: \"127.0.0.1:1\", ".to_owned() + &"x".repeat(400));
    let (sources, diagnostics, _) = parse(&text);
    snapshot("one-line", &render::render(&diagnostics, &sources, render::Style::Human { color: false }));
}
