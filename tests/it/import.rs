//! Imports: our own fixtures, and configurations that others wrote.

mod command;
mod corpus;
mod fixtures;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use routeplane::config::{Env, Files};
use routeplane::diagnostic::render::{Style, render};
use routeplane::import::tensorzero::{self, Freeze, Import, Text};

/// The disk.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|_| "there is no such file".to_owned())
    }
}

/// Imports files of `folder`, which are called by their path in it.
fn import(folder: &Path, names: &[&str], freeze: &[Freeze]) -> Import {
    import_from(folder, names, freeze, &Disk)
}

/// The same, with other files beside them.
fn import_from(folder: &Path, names: &[&str], freeze: &[Freeze], files: &dyn Files) -> Import {
    let mut paths: Vec<&&str> = names.iter().collect();
    paths.sort();
    let texts = paths.into_iter().map(|name| {
        let path = folder.join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Text { name: (*name).to_owned(), place: path.display().to_string(), text }
    });
    tensorzero::import(&texts.collect::<Vec<_>>(), files, freeze)
}

/// What `check` says of the output; `None` where it passes.
fn faults(import: &Import) -> Option<String> {
    let output = import.output.as_ref()?;
    let compilation = tensorzero::prove(output, &Env::default());
    let errors = compilation.diagnostics.has_errors();
    errors.then(|| render(&compilation.diagnostics, &compilation.sources, Style::Human { color: false }))
}

/// Paths of all leaves of a TOML document, found without the importer.
fn leaves(text: &str) -> BTreeSet<String> {
    fn key(key: &str) -> String {
        let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if bare { key.to_owned() } else { serde_json::to_string(key).unwrap() }
    }
    fn table(table: &dyn toml_edit::TableLike, path: &str, out: &mut BTreeSet<String>) {
        if table.is_empty() && !path.is_empty() {
            out.insert(path.to_owned());
        }
        for (name, inner) in table.iter() {
            let path = if path.is_empty() { key(name) } else { format!("{path}.{}", key(name)) };
            item(inner, &path, out);
        }
    }
    fn item(item: &toml_edit::Item, path: &str, out: &mut BTreeSet<String>) {
        if let Some(inner) = item.as_table_like() {
            table(inner, path, out);
        } else if let Some(tables) = item.as_array_of_tables() {
            tables.iter().enumerate().for_each(|(index, inner)| table(inner, &format!("{path}[{index}]"), out));
        } else if let Some(found) = item.as_value() {
            value(found, path, out);
        }
    }
    fn value(found: &toml_edit::Value, path: &str, out: &mut BTreeSet<String>) {
        match (found.as_array(), found.as_inline_table()) {
            (Some(items), _) if !items.is_empty() => {
                items.iter().enumerate().for_each(|(index, inner)| value(inner, &format!("{path}[{index}]"), out));
            }
            (None, Some(inner)) => table(inner, path, out),
            _ => {
                out.insert(path.to_owned());
            }
        }
    }
    let document = toml_edit::Document::parse(text).unwrap();
    let mut out = BTreeSet::new();
    table(document.as_table(), "", &mut out);
    out
}

/// What is wrong with the accounting of leaves.
fn unaccounted(import: &Import, texts: impl Iterator<Item = String>) -> Vec<String> {
    let wanted: BTreeSet<String> = texts.flat_map(|text| leaves(&text)).collect();
    let found: BTreeSet<String> = import.findings.iter().map(|finding| finding.path.clone()).collect();
    let mut wrong: Vec<String> = wanted.difference(&found).map(|path| format!("no verdict: {path}")).collect();
    wrong.extend(found.difference(&wanted).map(|path| format!("no leaf: {path}")));
    let unsaid = import.findings.iter().filter(|finding| finding.verdict.message.contains("please report"));
    wrong.extend(unsaid.map(|finding| format!("nothing known: {}", finding.path)));
    if found.len() != import.findings.len() {
        wrong.push("a leaf has two verdicts".to_owned());
    }
    wrong
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/import/tensorzero")
}
