//! Findings in the plain form of logs, and as JSON.

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

/// The findings as a JSON array.
pub fn json(diagnostics: &Diagnostics, sources: &SourceMap) -> serde_json::Value {
    diagnostics.iter().map(|diagnostic| finding(diagnostic, sources)).collect()
}

fn finding(diagnostic: &Diagnostic, sources: &SourceMap) -> serde_json::Value {
    let place = diagnostic.labels.first().map(|label| {
        let (line, column) = sources.line_column(label.span);
        (sources.get(label.span.source).map(|source| source.name.clone()), line, column)
    });
    serde_json::json!({
        "text": line(diagnostic, sources),
        "code": diagnostic.code.to_string(),
        "message": diagnostic.message,
        "help": diagnostic.help,
        "file": place.as_ref().and_then(|(file, ..)| file.clone()),
        "line": place.as_ref().map(|(_, line, _)| line),
        "column": place.as_ref().map(|(.., column)| column),
    })
}
