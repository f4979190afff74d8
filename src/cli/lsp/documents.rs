//! What is open in the editor, and what is found in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lsp_types::{TextDocumentItem, Uri};

use super::convert;
use crate::config::Env;
use crate::diagnostic::Diagnostics;
use crate::live::candidate::{self, Inputs};
use crate::live::files::Snapshot;
use crate::proxy::explain::front_end;
use crate::source::SourceMap;
use crate::table::RoutingTable;

/// An open document.
pub(super) struct Open {
    pub(super) uri: Uri,
    pub(super) path: PathBuf,
    pub(super) text: String,
    version: i32,
    is_config: bool,
    /// Its findings are older than its text, or than that of a file that it names.
    stale: bool,
    pub(super) findings: Diagnostics,
    pub(super) sources: SourceMap,
    /// Of the last text that compiled.
    pub(super) table: Option<RoutingTable>,
}

/// Everything that is open, by its URI.
pub(super) struct Documents {
    env: Env,
    open: BTreeMap<String, Open>,
}

impl Documents {
    pub(super) fn new(env: Env) -> Documents {
        Documents { env, open: BTreeMap::new() }
    }

    pub(super) fn open(&mut self, item: TextDocumentItem) {
        let path = convert::path(&item.uri);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let document = Open {
            is_config: item.language_id == "routeplane" || (name.contains("routeplane") && is_yaml(&name)),
            path,
            text: item.text,
            version: item.version,
            stale: true,
            findings: Diagnostics::default(),
            sources: SourceMap::default(),
            table: None,
            uri: item.uri.clone(),
        };
        self.open.insert(item.uri.as_str().to_owned(), document);
        self.saved();
    }

    pub(super) fn change(&mut self, uri: &Uri, text: String, version: i32) {
        if let Some(document) = self.open.get_mut(uri.as_str()) {
            document.text = text;
            document.version = version;
        }
        self.saved();
    }

    /// Anything that a configuration names may be another file now.
    pub(super) fn saved(&mut self) {
        self.open.values_mut().for_each(|document| document.stale = true);
    }

    /// Says whether it was a configuration, whose findings are to be taken back.
    pub(super) fn close(&mut self, uri: &Uri) -> bool {
        let closed = self.open.remove(uri.as_str());
        self.saved();
        closed.is_some_and(|document| document.is_config)
    }

    /// The configuration of this URI, with findings that are those of its text.
    pub(super) fn config(&mut self, uri: &Uri) -> Option<&Open> {
        self.refresh(uri.as_str());
        self.open.get(uri.as_str()).filter(|document| document.is_config)
    }

    /// What is newly found, by document.
    pub(super) fn findings(&mut self) -> Vec<(Uri, Vec<lsp_types::Diagnostic>, i32)> {
        let stale = self.open.iter().filter(|(_, document)| document.stale && document.is_config);
        let stale: Vec<String> = stale.map(|(uri, _)| uri.clone()).collect();
        let mut found = Vec::new();
        for uri in stale {
            self.refresh(&uri);
            let document = self.open.get(&uri);
            found
                .extend(document.map(|document| (document.uri.clone(), convert::findings(document), document.version)));
        }
        found
    }

    fn refresh(&mut self, uri: &str) {
        let Some(document) = self.open.get(uri).filter(|document| document.stale && document.is_config) else { return };
        let texts = self.open.values().map(|open| (open.path.as_path(), open.text.as_str()));
        let snapshot = Snapshot::read(Some(&document.path), &BTreeSet::new()).with(texts);
        let inputs = Inputs { config: Some(document.path.clone()), listen: None, env: self.env.clone() };
        let (findings, sources, compiled) = match candidate::evaluate(&front_end, &inputs, &snapshot) {
            Ok(evaluation) => (evaluation.diagnostics, evaluation.sources, evaluation.compiled),
            Err(refusal) => (refusal.diagnostics, refusal.sources, None),
        };
        if let Some(document) = self.open.get_mut(uri) {
            document.findings = findings;
            document.sources = sources;
            document.table = compiled.map(|compiled| compiled.table).or(document.table.take());
            document.stale = false;
        }
    }
}

fn is_yaml(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}
