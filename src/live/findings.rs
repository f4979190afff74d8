//! Findings in the plain form of logs, and as JSON.

use serde_json::Value;
use tracing::{error, warn};

use crate::diagnostic::json::to_json;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::source::SourceMap;
use crate::telemetry::logs::{FOR_PEOPLE, FOR_PROGRAMS};

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
    let aside = aside(diagnostic).map(|aside| format!(" ({aside})"));
    format!(
        "{}{severity} {}: {}{}",
        place.unwrap_or_default(),
        diagnostic.code,
        diagnostic.message,
        aside.unwrap_or_default()
    )
}

/// The help where it fits on the line; of a failed test, whose help is the whole decision, what came instead.
fn aside(diagnostic: &Diagnostic) -> Option<String> {
    match &diagnostic.help {
        Some(help) if help.contains('\n') => {
            let labels: Vec<&str> = diagnostic.labels.iter().map(|label| label.text.as_str()).collect();
            Some(labels.join(", "))
        }
        help => help.clone(),
    }
}

/// Logs what an accepted file was warned about.
pub fn warn(diagnostics: &Diagnostics, sources: &SourceMap) {
    for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning) {
        warn!(name: FOR_PEOPLE, "{}", line(diagnostic, sources));
    }
    in_fields(&logged(diagnostics, sources));
}

/// Logs each finding in fields, where programs read the log.
pub fn in_fields(findings: &[Logged]) {
    for finding in findings {
        let (code, message, help) = (&finding.code, &finding.message, finding.help.as_deref());
        let (file, line, column) = (finding.file.as_deref(), finding.line, finding.column);
        if finding.error {
            error!(name: FOR_PROGRAMS, %code, file, line, column, help, "{message}");
        } else {
            warn!(name: FOR_PROGRAMS, %code, file, line, column, help, "{message}");
        }
    }
}

/// A finding, in the parts that a log has of it.
#[derive(Debug)]
pub struct Logged {
    error: bool,
    code: String,
    message: String,
    help: Option<String>,
    file: Option<String>,
    /// From 1, as the column.
    line: Option<usize>,
    column: Option<usize>,
}

/// Errors and warnings in parts.
pub fn logged(diagnostics: &Diagnostics, sources: &SourceMap) -> Vec<Logged> {
    let said = diagnostics.iter().filter(|diagnostic| diagnostic.severity != Severity::Info);
    let parts = |diagnostic: &Diagnostic| {
        let label = diagnostic.labels.first();
        let place = label.map(|label| sources.line_column(label.span));
        let file = label.and_then(|label| sources.get(label.span.source)).map(|source| source.name.clone());
        Logged {
            error: diagnostic.severity == Severity::Error,
            code: diagnostic.code.to_string(),
            message: diagnostic.message.clone(),
            help: aside(diagnostic),
            file: file.map(|name| name.to_string()),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
        }
    };
    said.map(parts).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Code;
    use crate::source::Span;

    #[test]
    fn a_finding_is_one_line() {
        let mut sources = SourceMap::default();
        let source = sources.add("routeplane.yaml", "a: b\nc: d\n");
        let at = Diagnostic::new(Code::TestFailed, "the test `x` fails")
            .label(Span { source, start: 8, end: 9 }, "no rule fires");
        let start = "routeplane.yaml:2:4: error RP0160: the test `x` fails";
        assert_eq!(line(&at.clone().help("do this"), &sources), format!("{start} (do this)"));
        assert_eq!(line(&at.help("what is decided:\nnothing"), &sources), format!("{start} (no rule fires)"));
    }
}
