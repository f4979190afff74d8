//! Diagnostics as stable JSON, for CI and agents. Members are only ever added.
//!
//! ```text
//! [{ "code": "RP0020", "severity": "error", "message": "...", "help": "...",
//!    "labels": [{ "file": "routeplane.yaml", "line": 3, "column": 5, "start": 31, "end": 37, "text": "..." }],
//!    "fix": { "file": "routeplane.yaml", "line": 3, "column": 5, "start": 31, "end": 37, "replacement": "..." },
//!    "witness": "curl ..." }]
//! ```
//!
//! Lines and columns (in characters) count from 1; `start` and `end` are offsets in bytes, half open.

use serde::Serialize;

use super::{Diagnostic, Diagnostics};
use crate::source::{SourceMap, Span};

#[derive(Serialize)]
struct Finding<'d> {
    code: String,
    severity: &'static str,
    message: &'d str,
    help: Option<&'d str>,
    labels: Vec<Labelled<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Replacement<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    witness: Option<&'d str>,
}

#[derive(Serialize)]
struct Place<'d> {
    file: &'d str,
    line: usize,
    column: usize,
    start: u32,
    end: u32,
}

#[derive(Serialize)]
struct Labelled<'d> {
    #[serde(flatten)]
    place: Place<'d>,
    text: &'d str,
}

#[derive(Serialize)]
struct Replacement<'d> {
    #[serde(flatten)]
    place: Place<'d>,
    replacement: &'d str,
}

/// All findings as one JSON array, pretty-printed.
pub fn to_json(diagnostics: &Diagnostics, sources: &SourceMap) -> String {
    let findings: Vec<Finding<'_>> = diagnostics.iter().map(|diagnostic| finding(diagnostic, sources)).collect();
    serde_json::to_string_pretty(&findings).unwrap_or_default()
}

/// All findings as one JSON array.
pub fn value(diagnostics: &Diagnostics, sources: &SourceMap) -> serde_json::Value {
    let findings = diagnostics.iter().map(|diagnostic| serde_json::to_value(finding(diagnostic, sources)));
    findings.filter_map(Result::ok).collect()
}

fn finding<'d>(diagnostic: &'d Diagnostic, sources: &'d SourceMap) -> Finding<'d> {
    Finding {
        code: diagnostic.code.to_string(),
        severity: diagnostic.severity.name(),
        message: &diagnostic.message,
        help: diagnostic.help.as_deref(),
        labels: diagnostic
            .labels
            .iter()
            .map(|label| Labelled { place: place(label.span, sources), text: &label.text })
            .collect(),
        fix: diagnostic
            .fix
            .as_ref()
            .map(|fix| Replacement { place: place(fix.span, sources), replacement: &fix.replacement }),
        witness: diagnostic.witness.as_deref(),
    }
}

fn place(span: Span, sources: &SourceMap) -> Place<'_> {
    let (line, column) = sources.line_column(span);
    Place { file: sources.name(span.source), line, column, start: span.start, end: span.end }
}
