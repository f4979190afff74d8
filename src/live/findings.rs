//! Findings in the plain form of logs, and as JSON.

use serde_json::Value;

use crate::diagnostic::json::to_json;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::source::SourceMap;

/// A line each: `file:line:column: error RP0042: message (help)`.
pub fn plain(diagnostics: &Diagnostics, sources: &SourceMap) -> String {
    diagnostics.iter().map(|diagnostic| line(diagnostic, sources)).collect::<Vec<_>>().join("\n")
}

fn line(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    let place = diagnostic.labels.first().map(|label| {
        let (line, column) = sources.line_column(label.span);
        let name = sources.get(label.span.source).map_or("?", |source| source.name.as_str());
        format!("{name}:{line}:{column}: ")
    });
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let help = diagnostic.help.as_ref().map(|help| format!(" ({help})"));
    format!(
        "{}{severity} {}: {}{}",
        place.unwrap_or_default(),
        diagnostic.code,
        diagnostic.message,
        help.unwrap_or_default()
    )
}

/// Logs what an accepted file was warned about.
pub fn warn(diagnostics: &Diagnostics, sources: &SourceMap) {
    for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning) {
        tracing::warn!("{}", line(diagnostic, sources));
    }
}

/// The findings as a JSON array, in the form of `check --format json`, each with its line of [`plain`] as `text`.
pub fn json(diagnostics: &Diagnostics, sources: &SourceMap) -> Value {
    let mut findings: Value = serde_json::from_str(&to_json(diagnostics, sources)).unwrap_or_default();
    let members = findings.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut);
    for (finding, diagnostic) in members.zip(diagnostics.iter()) {
        finding.insert("text".to_owned(), line(diagnostic, sources).into());
    }
    findings
}
