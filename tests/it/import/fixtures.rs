//! Our own fixtures: each a folder below `tests/import/tensorzero` with a `tensorzero.toml`. What is made of it, and the reports,
//! are in `snapshots/import`.

use std::path::Path;

use routeplane::diagnostic::render::{Style, render};
use routeplane::import::report;
use routeplane::import::tensorzero::Freeze;

use super::{faults, import, root, unaccounted};

/// Files of a fixture: `tensorzero.toml`, and all others that end so, in any folder.
fn files(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, root: &Path, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, out);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                out.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut out = Vec::new();
    walk(folder, folder, &mut out);
    out.sort();
    out
}

fn fixtures() -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `# freeze: reply=v1:0.7` at the beginning of a file is what `--freeze` says.
fn freezes(folder: &Path) -> Vec<Freeze> {
    let text = std::fs::read_to_string(folder.join("tensorzero.toml")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_prefix("# freeze: "));
    lines
        .map(|line| {
            let (function, rest) = line.split_once('=').unwrap();
            let (variant, weight) = rest.split_once(':').unwrap();
            Freeze { function: function.to_owned(), variant: variant.to_owned(), weight: weight.parse().unwrap() }
        })
        .collect()
}

#[test]
fn what_is_made_of_our_fixtures() {
    let names = fixtures();
    assert!(names.len() >= 20, "{names:?}");
    let mut wrong = Vec::new();
    for name in names {
        let folder = root().join(&name);
        let files = files(&folder);
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let made = import(&folder, &files, &freezes(&folder));
        let mut text = String::new();
        match &made.output {
            Some(output) => {
                text.push_str(&output.yaml);
                for path in output.files.keys() {
                    text.push_str(&format!("\n--- beside it: {path}"));
                }
                text.push_str(&format!("\n--- report\n{}", report::human(&made.findings, &made.sources)));
                if !made.diagnostics.is_empty() {
                    let warnings = render(&made.diagnostics, &made.sources, Style::Human { color: false });
                    text.push_str(&format!("\n--- warnings\n{warnings}"));
                }
            }
            None => text.push_str(&render(&made.diagnostics, &made.sources, Style::Human { color: false })),
        }
        assert_eq!(made.output.is_none(), name.starts_with("refused-"), "{name}: {text}");
        insta::with_settings!({
            snapshot_path => "../../../snapshots/import",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name.clone(), text);
            insta::assert_snapshot!(format!("{name}.json"), report::json(&made.findings, &made.sources));
        });
        wrong.extend(faults(&made).map(|faults| format!("the output of {name} does not pass `check`:\n{faults}")));
        if made.output.is_some() {
            let texts = files.iter().map(|file| std::fs::read_to_string(folder.join(file)).unwrap());
            wrong.extend(unaccounted(&made, texts).into_iter().map(|why| format!("{name}: {why}")));
        }
        let again = import(&folder, &files, &freezes(&folder));
        assert_eq!(
            again.output.map(|output| output.yaml),
            made.output.map(|output| output.yaml),
            "{name}: the same bytes"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
