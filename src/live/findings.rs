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
