//! `tensorzero.toml`, as TensorZero 2026.4 reads it: today's spellings and the deprecated ones since 2024.9.
//!
//! A model becomes a preset whose route is the order of its providers, a variant a preset around it with its templates and
//! parameters, a function a preset that draws among its variants. `tensorzero:` of the output keeps the names that clients use.

mod assets;
mod clouds;
mod cost;
mod draws;
mod edits;
mod functions;
mod kinds;
mod limits;
mod location;
mod meaning;
mod models;
mod names;
mod providers;
mod schema;
mod sections;
mod shape;
mod target;
mod timeouts;
mod variants;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use super::toml::{self, Node, Value};
use super::verdict::{Finding, Ledger, Outcome, Verdict};
use crate::config::{self, Env, Files};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity};
use crate::source::{SourceId, SourceMap, Span};
use assets::Assets;
use functions::Test;
use location::Location;
use models::{Models, Preset};
use names::Names;
use providers::Providers;

/// One file of the input.
pub struct Text {
    /// What diagnostics call it.
    pub name: String,
    /// Where it is: names in it are relative to its folder.
    pub place: String,
    pub text: String,
}

/// The share of a variant in an experiment that does not go on learning.
#[derive(Debug, Clone, PartialEq)]
pub struct Freeze {
    pub function: String,
    pub variant: String,
    pub weight: f64,
}

/// What becomes of the input.
pub struct Import {
    pub sources: SourceMap,
    /// What TensorZero would refuse the input for.
    pub diagnostics: Diagnostics,
    /// A verdict for every leaf; where the input is refused, for what it is refused for.
    pub findings: Vec<Finding>,
    /// Absent where the input is refused.
    pub output: Option<Output>,
}

/// What is written.
pub struct Output {
    /// The text of `routeplane.yaml`.
    pub yaml: String,
    /// Files beside it, by their path from there.
    pub files: BTreeMap<String, String>,
    /// How many tests the text has.
    pub tests: usize,
    /// Variables besides keys that it needs: addresses and regions.
    pub variables: BTreeSet<String>,
}

/// Makes `routeplane.yaml` of the files of a configuration, in the order of their names.
pub fn import(texts: &[Text], files: &dyn Files, freeze: &[Freeze]) -> Import {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    let mut assets = Assets::new(files);
    let root = read(texts, &mut sources, &mut assets, &mut diagnostics);
    let mut ledger = Ledger::default();
    if !diagnostics.has_errors() {
        let mut checker = shape::Checker { diagnostics: &mut diagnostics, ledger: &mut ledger, path: Vec::new() };
        checker.file(&root, schema::FILE);
    }
    if !diagnostics.has_errors() {
        meaning::Judge { root: &root, assets: &mut assets, diagnostics: &mut diagnostics }.file();
        frozen_variants(&root, freeze, &mut diagnostics);
    }
    diagnostics.sort();
    if diagnostics.has_errors() {
        let findings = refusals(&root, &ledger, &diagnostics);
        return Import { sources, diagnostics, findings, output: None };
    }
    doubts(&root, &mut ledger, &diagnostics);
    let (output, findings) = convert(&root, &sources, assets, ledger, freeze);
    Import { sources, diagnostics, findings, output: Some(output) }
}

/// All files as one table.
fn read(texts: &[Text], sources: &mut SourceMap, assets: &mut Assets<'_>, diagnostics: &mut Diagnostics) -> Node {
    let mut root = Node { id: 0, span: Span::new(SourceId(0), 0, 0), value: Value::Table(Vec::new()) };
    for text in texts {
        let id = sources.add(text.name.clone(), text.text.as_str());
        assets.configured(id, &text.place);
        if let Some(node) = toml::parse(id, &text.text, diagnostics) {
            toml::merge(&mut root, node, &mut Vec::new(), diagnostics);
        }
    }
    toml::number(&mut root, &mut 0);
    root
}

/// `--freeze` names functions and variants that are there.
fn frozen_variants(root: &Node, freeze: &[Freeze], diagnostics: &mut Diagnostics) {
    for Freeze { function, variant, weight } in freeze {
        let known = root.get("functions").and_then(|functions| functions.get(function));
        let known = known.and_then(|function| function.get("variants")).and_then(|variants| variants.get(variant));
        if known.is_none() || *weight < 0.0 {
            diagnostics.push(
                Diagnostic::new(Code::SettingName, format!("`--freeze {function}={variant}:{weight}` names nothing that is there"))
                    .help("write `--freeze FUNCTION=VARIANT:WEIGHT` with a function and a variant of the file, and a weight of 0 or more"),
            );
        }
    }
}

/// What TensorZero would refuse and is passed over here counts as a warning.
fn doubts(root: &Node, ledger: &mut Ledger, diagnostics: &Diagnostics) {
    for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning) {
        let span = diagnostic.labels.first().map_or(root.span, |label| label.span);
        let Some((path, node)) = at(root, span) else { continue };
        let runs_nowhere = matches!(path.first(), Some(toml::Step::Key(section)) if IDLE.contains(&section.as_str()))
            || path.iter().any(|step| *step == toml::Step::Key("evaluators".to_owned()));
        let outcome = if runs_nowhere { Outcome::Dropped } else { Outcome::Adapted };
        ledger.settle(node, outcome, Severity::Warning, diagnostic.message.clone());
    }
}

/// Sections on which no request depends.
const IDLE: [&str; 5] = ["evaluations", "optimizers", "object_storage", "postgres", "autopilot"];

/// What the input is refused for: the leaves at the places of the diagnostics.
fn refusals(root: &Node, ledger: &Ledger, diagnostics: &Diagnostics) -> Vec<Finding> {
    let leaves = ledger.leaves(root);
    let mut findings = Vec::new();
    for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error) {
        let span = diagnostic.labels.first().map_or(root.span, |label| label.span);
        let message = match &diagnostic.help {
            Some(help) => format!("{}; {help}", diagnostic.message),
            None => diagnostic.message.clone(),
        };
        let verdict = Verdict { outcome: Outcome::Refused, severity: Severity::Error, message };
        let path = at(root, span)
            .map(|(path, _)| toml::rendered(&path))
            .or_else(|| leaves.iter().find(|(_, leaf, _)| *leaf == span).map(|(path, ..)| path.clone()));
        findings.push(Finding { path: path.unwrap_or_default(), span, verdict });
    }
    findings
}

/// What stands at `span`, as a key or as a value, and its path.
fn at(root: &Node, span: Span) -> Option<(Vec<toml::Step>, &Node)> {
    fn search<'n>(node: &'n Node, span: Span, path: &mut Vec<toml::Step>) -> Option<&'n Node> {
        for entry in node.entries() {
            path.push(toml::Step::Key(entry.key.clone()));
            if entry.key_span == span || entry.node.span == span {
                return Some(&entry.node);
            }
            if let Some(found) = search(&entry.node, span, path) {
                return Some(found);
            }
            path.pop();
        }
        for (index, item) in node.items().iter().enumerate() {
            path.push(toml::Step::Index(index));
            if item.span == span {
                return Some(item);
            }
            if let Some(found) = search(item, span, path) {
                return Some(found);
            }
            path.pop();
        }
        None
    }
    let mut path = Vec::new();
    search(root, span, &mut path).map(|node| (path, node))
}

/// What the conversion of one input knows.
struct Converter<'c> {
    root: &'c Node,
    sources: &'c SourceMap,
    assets: Assets<'c>,
    ledger: Ledger,
    freeze: &'c [Freeze],
    names: Names,
    providers: Providers,
    presets: Vec<Preset>,
    tests: Vec<Test>,
    /// Where the keys of a provider type come from, where `provider_types` says so.
    defaults: BTreeMap<String, Location>,
    known_models: Models,
    /// Variables that hold addresses and regions.
    variables: BTreeSet<String>,
    /// The preset of each function.
    function_presets: BTreeMap<String, String>,
    /// Ids of client keys.
    keys: BTreeSet<String>,
}

fn convert(
    root: &Node,
    sources: &SourceMap,
    assets: Assets<'_>,
    ledger: Ledger,
    freeze: &[Freeze],
) -> (Output, Vec<Finding>) {
    let mut converter = Converter {
        root,
        sources,
        assets,
        ledger,
        freeze,
        names: Names::default(),
        providers: Providers::default(),
        presets: Vec::new(),
        tests: Vec::new(),
        defaults: BTreeMap::new(),
        known_models: Models::new(),
        variables: BTreeSet::new(),
        function_presets: BTreeMap::new(),
        keys: BTreeSet::new(),
    };
    let yaml = converter.write();
    let output = Output {
        yaml,
        files: converter.assets.copies(),
        tests: converter.tests.len(),
        variables: std::mem::take(&mut converter.variables),
    };
    (output, findings(root, &converter.ledger))
}

fn findings(root: &Node, ledger: &Ledger) -> Vec<Finding> {
    let unsaid = || Verdict {
        outcome: Outcome::Dropped,
        severity: Severity::Error,
        message: "nothing is known of it; please report this".to_owned(),
    };
    let leaves = ledger.leaves(root).into_iter();
    leaves.map(|(path, span, verdict)| Finding { path, span, verdict: verdict.unwrap_or_else(unsaid) }).collect()
}

impl Converter<'_> {
    /// Where something comes from, for a comment: `tensorzero.toml:12`.
    fn origin(&self, node: &Node) -> String {
        let (line, _) = self.sources.line_column(node.span);
        let name = self.sources.name(node.span.source);
        format!("{}:{line}", name.rsplit('/').next().unwrap_or(name))
    }

    /// The path beside the output of the file that `leaf` names.
    fn beside(&self, leaf: &Node) -> String {
        self.assets.beside(&self.assets.place(leaf))
    }
}

/// Proves an output: the same function as `routeplane check`. Errors in it are mistakes of ours.
pub fn prove(output: &Output, env: &Env) -> config::Compilation {
    struct Beside<'o>(&'o BTreeMap<String, String>);
    impl Files for Beside<'_> {
        fn read(&self, path: &str) -> Result<String, String> {
            self.0.get(path).cloned().ok_or_else(|| "there is no such file".to_owned())
        }
    }
    let files = Beside(&output.files);
    config::compile(config::Inputs { file: Some(("routeplane.yaml", &output.yaml)), listen: None, env, files: &files })
}
