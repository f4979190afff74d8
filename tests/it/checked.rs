//! Every file of `tests/check`, judged as a whole. `rp0061-slip.yaml` must raise RP0061; a file without a number in its name
//! must raise nothing. What is said of the wrong ones is in `snapshots/check`, for people and as JSON.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use routeplane::config::{self, Env, Files, Inputs};
use routeplane::diagnostic::{Code, Diagnostics, json, render, sarif};
use routeplane::source::SourceMap;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

struct Folder(PathBuf);

impl Files for Folder {
    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(self.0.join(path)).map_err(|_| "there is no such file".to_owned())
    }
}

/// The environment of a machine with some keys.
fn env() -> Env {
    let keys = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "GEMINI_API_KEY"];
    Env::new(keys.map(|name| (name.to_owned(), "k".to_owned())))
}

/// All findings; information too where the file asks for it in its second line.
pub(crate) fn judge(name: &str, text: &str) -> (SourceMap, Diagnostics) {
    let (env, files) = (env(), Folder(folder("check/files")));
    let compilation = config::compile(Inputs { file: Some((name, text)), listen: None, env: &env, files: &files });
    let mut diagnostics = compilation.diagnostics;
    if let Some(table) = compilation.table.filter(|_| text.contains("# info\n")) {
        config::notes(&table, &compilation.proof, &mut diagnostics);
        diagnostics.sort();
    }
    (compilation.sources, diagnostics)
}

fn files(name: &str) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    let read = |path: &PathBuf| {
        (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
    };
    paths.iter().map(read).collect()
}

#[test]
fn every_file_is_judged_as_its_name_says() {
    let mut wrong = String::new();
    let (mut right_files, mut wrong_files) = (0, 0);
    let log_schema = std::fs::read_to_string(folder("check/sarif.schema.json")).unwrap();
    let log_schema =
        jsonschema::options().should_validate_formats(true).build(&serde_json::from_str(&log_schema).unwrap()).unwrap();
    for (name, text) in files("check") {
        let (sources, diagnostics) = judge(&format!("{name}.yaml"), &text);
        let codes: Vec<String> = diagnostics.iter().map(|found| found.code.to_string().to_lowercase()).collect();
        let expected = name.split('-').next().filter(|word| word.starts_with("rp0"));
        let fits = match expected {
            Some(code) => codes.iter().any(|found| found == code),
            None => codes.is_empty(),
        };
        *if expected.is_some() { &mut wrong_files } else { &mut right_files } += 1;
        let human = render::render(&diagnostics, &sources, render::Style::Human { color: false });
        if !fits {
            wrong.push_str(&format!("=== {name} raises {codes:?}\n{human}\n"));
        }
        for found in diagnostics.iter() {
            assert!(!found.labels.is_empty() && found.help.is_some(), "{name}: {found:?} has no place or no help");
            for label in &found.labels {
                let source = sources.get(label.span.source).unwrap();
                assert!(source.text.get(label.span.range()).is_some(), "{name}: {found:?} points to nothing");
            }
        }
        let log: serde_json::Value = serde_json::from_str(&sarif::to_sarif(&diagnostics, &sources)).unwrap();
        let faults: Vec<String> = log_schema.iter_errors(&log).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:?} in {log:#}");
        assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), diagnostics.iter().count());
        if expected.is_some() {
            let both = format!("{}\n{}\n", human.trim_end(), json::to_json(&diagnostics, &sources));
            insta::with_settings!({
                snapshot_path => "../../snapshots/check",
                prepend_module_to_snapshot => false,
                omit_expression => true,
            }, { insta::assert_snapshot!(name, both) });
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(right_files > 60 && wrong_files > 90, "{right_files} right, {wrong_files} wrong");
}

/// What only long texts raise: `tests/it/config/hostile.rs` and `tests/it/rules.rs` have them.
const WITHOUT_A_FILE: [Code; 2] = [Code::FileTooLarge, Code::RuleTooLong];

#[test]
fn every_code_has_a_file() {
    let mut raised = BTreeSet::new();
    for (name, text) in files("check").into_iter().chain(files("config")) {
        raised.extend(judge(&name, &text).1.iter().map(|found| found.code));
    }
    // From 180 on: what a running gateway says of a file that is missing, cut off or not to be listened at.
    let wanted = Code::ALL.iter().filter(|code| code.number() < 180 && !WITHOUT_A_FILE.contains(code));
    let missing: Vec<String> =
        wanted.filter(|code| !raised.contains(code)).map(|code| format!("{code} {code:?}")).collect();
    assert!(missing.is_empty(), "no file of tests/check or tests/config raises {missing:?}");
}
