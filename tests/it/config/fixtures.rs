//! Every file of `tests/config` yields exactly the findings that its comments name: `# error: RP0020 "underlined text"`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use routeplane::diagnostic::{Code, Diagnostics, Severity, json, render};
use routeplane::source::SourceMap;

use super::finding;

/// The folder of the inputs.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

fn fixtures() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let read = |path: &PathBuf| {
        (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
    };
    files.iter().map(read).collect()
}

/// Every fixture without a comment that names an error.
pub(super) fn good() -> Vec<(String, String)> {
    fixtures().into_iter().filter(|(_, text)| !text.contains("# error: ")).collect()
}

/// Every fixture whose first error is one of shape.
pub(super) fn wrong_shapes() -> Vec<(String, String)> {
    let number = |name: &str| name.strip_prefix("rp").and_then(|rest| rest.get(..4)?.parse::<u16>().ok());
    let of_shape = |name: &str| matches!(number(name), Some(1..=59 | 141..=142));
    fixtures().into_iter().filter(|(name, _)| of_shape(name)).collect()
}

fn compile_or_parse(name: &str, text: &str) -> (SourceMap, Diagnostics) {
    let mut sources = SourceMap::default();
    let id = sources.add(format!("{name}.yaml"), text);
    let mut diagnostics = Diagnostics::default();
    routeplane::config::parse(id, &sources, &mut diagnostics);
    diagnostics.sort();
    (sources, diagnostics)
}

/// What the comments of a fixture say, as `error RP0020 "underlined"`.
fn expected(text: &str) -> Vec<String> {
    let mut expected = Vec::new();
    for line in text.lines() {
        for severity in ["error", "warning"] {
            if let Some((_, rest)) = line.split_once(&format!("# {severity}: ")) {
                expected.push(format!("{severity} {}", rest.trim_end()));
            }
        }
    }
    expected.sort();
    expected
}

#[test]
fn every_fixture_yields_what_its_comments_say() {
    let mut failures = String::new();
    for (name, text) in fixtures() {
        let (sources, diagnostics) = compile_or_parse(&name, &text);
        let mut actual: Vec<String> = diagnostics
            .iter()
            .map(|diagnostic| format!("{} {}", diagnostic.severity.name(), finding(diagnostic, &sources)))
            .collect();
        actual.sort();
        if actual != expected(&text) {
            failures.push_str(&format!("{name}: expected {:#?}, found {actual:#?}\n", expected(&text)));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_finding_reads_well() {
    for (name, text) in fixtures() {
        let (sources, diagnostics) = compile_or_parse(&name, &text);
        if diagnostics.is_empty() {
            continue;
        }
        let human = render::render(&diagnostics, &sources, render::Style::Human { color: false });
        let both = format!("{}\n{}\n", human.trim_end(), json::to_json(&diagnostics, &sources));
        insta::with_settings!({
            snapshot_path => "../../../snapshots/config",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!(name, both) });
    }
}

/// The codes whose fixtures this folder must have. A file that is too long has no fixture: it would be a mebibyte long
/// (see `hostile`).
fn is_of_the_shape(code: Code) -> bool {
    matches!(code.number(), 1..=59 | 140..=142) && code != Code::FileTooLarge
}

#[test]
fn every_code_has_a_fixture() {
    let raised: BTreeSet<Code> = fixtures()
        .iter()
        .flat_map(|(name, text)| compile_or_parse(name, text).1.iter().map(|found| found.code).collect::<Vec<_>>())
        .collect();
    let missing: Vec<&Code> =
        Code::ALL.iter().filter(|code| is_of_the_shape(**code) && !raised.contains(code)).collect();
    assert!(missing.is_empty(), "no fixture raises {missing:?}");
}

#[test]
fn every_code_is_explained() {
    let mut numbers = BTreeSet::new();
    for code in Code::ALL {
        assert!(numbers.insert(code.number()), "{code} is used twice");
        let explanation = code.explanation();
        let whole = explanation.contains("\n\nWrong:\n\n    ") && explanation.contains("\n\nRight:\n\n    ");
        // What happens at a reload has no right and wrong way to write it.
        let whole = whole || (code.number() >= 180 && explanation.len() > 60);
        assert!(whole, "{code} needs a wrong and a right example:\n{explanation}");
    }
}

#[test]
fn every_explanation_is_of_a_code() {
    let names: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code:?}.md")).collect();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/diagnostic/explanations");
    let pages = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(pages.collect::<BTreeSet<String>>(), names);
}

/// Applies the fixes of all findings, last first.
fn mended(text: &str, diagnostics: &Diagnostics) -> String {
    let mut fixes: Vec<_> = diagnostics.iter().filter_map(|diagnostic| diagnostic.fix.clone()).collect();
    fixes.sort_by_key(|fix| std::cmp::Reverse(fix.span));
    let mut text = text.to_owned();
    for fix in fixes {
        text.replace_range(fix.span.range(), &fix.replacement);
    }
    text
}

#[test]
fn a_fix_mends_what_it_belongs_to() {
    for (name, text) in fixtures() {
        let (_, before) = compile_or_parse(&name, &text);
        let with_fix = before.iter().filter(|diagnostic| diagnostic.fix.is_some()).count();
        if with_fix == 0 {
            continue;
        }
        let (_, after) = compile_or_parse(&name, &mended(&text, &before));
        let errors = |diagnostics: &Diagnostics| diagnostics.count(Severity::Error);
        assert_eq!(errors(&before) - with_fix, errors(&after), "the fixes of {name} leave more than they should");
    }
}
