//! Diagnostics as workflow commands of GitHub Actions, which shows them next to the lines of a pull request.

use super::{Diagnostic, Diagnostics, Severity};
use crate::source::SourceMap;

/// One `::error file=...::message` line for each finding.
pub fn to_github(diagnostics: &Diagnostics, sources: &SourceMap) -> String {
    diagnostics.iter().map(|diagnostic| annotation(diagnostic, sources)).collect()
}

fn annotation(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    let command = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "notice",
    };
    let place = diagnostic.labels.first().map_or_else(String::new, |label| {
        let (line, column) = sources.line_column(label.span);
        let (end_line, end_column) = sources.end_line_column(label.span);
        let file = property(sources.name(label.span.source));
        // GitHub refuses columns on a range of several lines.
        let columns = if line == end_line { format!(",col={column},endColumn={end_column}") } else { String::new() };
        format!("file={file},line={line},endLine={end_line}{columns},")
    });
    let help = diagnostic.help.as_ref().map_or_else(String::new, |help| format!("\n{help}"));
    let witness = diagnostic.witness.as_ref().map_or_else(String::new, |witness| format!("\nfor example:\n{witness}"));
    format!(
        "::{command} {place}title={}::{}\n",
        diagnostic.code,
        data(&format!("{}{help}{witness}", diagnostic.message))
    )
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
