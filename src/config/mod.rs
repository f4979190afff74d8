//! From the file to the table. A pure function of texts and environment: no IO, no clock.
//!
//! `yaml::parse → decode → expand (provider files) → resolve → check → compile`; everything is reported through
//! [`Diagnostics`](crate::diagnostic::Diagnostics), nothing stops at the first finding.

pub mod activate;
mod check;
pub mod compile;
pub mod decode;
pub mod document;
mod expand;
pub mod format;
pub mod known;
mod lanes;
mod layer;
pub mod node;
mod output;
mod own_address;
mod own_tests;
mod prove;
mod rate_limits;
pub mod reference;
mod resolve;
mod routes;
mod rules;
pub mod schema;
mod telemetry;
mod templates;
mod tensorzero;
pub mod yaml;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::diagnostic::Diagnostics;
use crate::source::{SourceId, SourceMap};
use crate::table::RoutingTable;
use crate::table::explain::Carry;
use document::{Document, LiteralSecret};
pub use prove::{Coverage, Proof, notes};
pub use templates::Templates;

/// What a table is made from.
#[derive(Clone, Copy)]
pub struct Inputs<'i> {
    /// Name and text of the user's file; without one the table holds what the environment activates.
    pub file: Option<(&'i str, &'i str)>,
    /// Where to listen, instead of what the file says.
    pub listen: Option<SocketAddr>,
    pub env: &'i Env,
    pub files: &'i dyn Files,
}

/// What becomes of the inputs. `check`, `start` and every reload use this one function, so they cannot disagree.
pub struct Compilation {
    /// Absent where `diagnostics` has errors.
    pub table: Option<RoutingTable>,
    pub diagnostics: Diagnostics,
    pub sources: SourceMap,
    /// Secrets that the file itself holds, by their position in [`SecretRef::Literal`](crate::provider::SecretRef).
    pub literals: Vec<LiteralSecret>,
    /// How many tests of the file were run.
    pub tests: usize,
    pub proof: Proof,
}

/// What becomes of the file's own tests.
#[derive(Clone, Copy)]
pub enum Tests {
    /// They are run, and one that fails is an error. What they expect of losses is judged by what the request path carries,
    /// where that is given.
    Run(Option<Carry>),
    /// They are left alone: two files are compared by somebody who runs them himself.
    Leave,
}

/// Compiles the user's file, or the built-in defaults, into a table. What tests expect of losses is not judged.
pub fn compile(inputs: Inputs<'_>) -> Compilation {
    compile_with(inputs, Tests::Run(None))
}

/// Compiles the user's file, or the built-in defaults, into a table.
pub fn compile_with(inputs: Inputs<'_>, tests: Tests) -> Compilation {
    let known = known::providers();
    let mut sources = known.sources.clone();
    let mut diagnostics = Diagnostics::default();
    let document = match inputs.file {
        Some((name, text)) => {
            let source = sources.add(name, text);
            parse(source, &sources, &mut diagnostics)
        }
        None => Some(Document::default()),
    };
    let templates = match &document {
        Some(document) => Templates::read(document, inputs.files, &mut sources, &mut diagnostics),
        None => Templates::read(&Document::default(), inputs.files, &mut sources, &mut diagnostics),
    };
    let context = compile::Context {
        known: &known.entries,
        templates: &templates,
        listen: inputs.listen,
        env: inputs.env,
        files: inputs.files,
        sources: &sources,
        tests,
    };
    let (table, literals, proof) = match &document {
        Some(document) => compile::document(document, &context, &mut diagnostics),
        None => (None, Vec::new(), Proof::default()),
    };
    diagnostics.sort();
    let tests = document.map_or(0, |document| document.tests.len());
    Compilation { table, diagnostics, sources, literals, tests, proof }
}

/// A test that fails, or cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTest {
    pub name: Option<String>,
    /// One-based line of the file.
    pub line: usize,
    /// What is wrong, a line each.
    pub why: Vec<String>,
}

/// The tests of this file that fail with a table, which may be that of another file; and the names of all its tests.
pub fn failing_tests(
    file: (&str, &str),
    table: &RoutingTable,
    files: &dyn Files,
    carry: Option<Carry>,
) -> (Vec<FailedTest>, Vec<String>) {
    let mut sources = SourceMap::default();
    let source = sources.add(file.0, file.1);
    let Some(document) = parse(source, &sources, &mut Diagnostics::default()) else { return Default::default() };
    let world = own_tests::World { table, files, carry };
    let names = document.tests.iter().filter_map(|test| test.name.as_ref()).map(|name| name.value.clone());
    (own_tests::failed(&document, &world, &sources), names.collect())
}

/// Reads the user's file as far as its shape goes: names and meanings come later. `None` where the text is not YAML.
pub fn parse(source: SourceId, sources: &SourceMap, diagnostics: &mut Diagnostics) -> Option<Document> {
    let root = yaml::parse(source, &sources.get(source)?.text, diagnostics)?;
    decode::decode(&root, diagnostics)
}

/// A snapshot of the environment. No `Debug`: it holds secrets.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Env {
        Env(variables.into_iter().collect())
    }

    /// The variable's value; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Files that the configuration names (prompts, schemas). Implementations that read a disk live outside this module.
pub trait Files {
    /// The text of `path`, relative to the configuration's folder.
    ///
    /// # Errors
    /// Why it cannot be read, for a diagnostic.
    fn read(&self, path: &str) -> Result<String, String>;
}
