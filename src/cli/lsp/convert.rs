//! Between the values of the protocol and our own.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lsp_types::{DiagnosticRelatedInformation, DiagnosticSeverity, Location, NumberOrString, Position, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::documents::Open;
use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::editor::position;
use crate::source::Span;

/// What a path in a URI may not hold as it is.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The path of a `file:` URI.
pub(super) fn path(uri: &Uri) -> PathBuf {
    let text = uri.as_str();
    let path = text.strip_prefix("file://").unwrap_or(text);
    PathBuf::from(percent_decode_str(path).decode_utf8_lossy().into_owned())
}

pub(super) fn uri(path: &Path) -> Option<Uri> {
    let path = path.to_string_lossy();
    Uri::from_str(&format!("file://{}", utf8_percent_encode(&path, ESCAPED))).ok()
}

pub(super) fn position_of(text: &str, at: usize) -> Position {
    let position = position::position(text, at);
    Position { line: position.line, character: position.character }
}

pub(super) fn offset(text: &str, position: Position) -> usize {
    position::offset(text, position::Position { line: position.line, character: position.character })
}

pub(super) fn range(text: &str, range: Range<usize>) -> lsp_types::Range {
    lsp_types::Range { start: position_of(text, range.start), end: position_of(text, range.end) }
}

/// The findings of a document. What is found in a file that comes with the program is told of the first line.
pub(super) fn findings(document: &Open) -> Vec<lsp_types::Diagnostic> {
    document.findings.iter().map(|found| finding(document, found)).collect()
}

/// The range of `span`, where it lies in the document.
pub(super) fn place(document: &Open, span: Span) -> Option<lsp_types::Range> {
    let own = document.sources.name(span.source) == document.path.display().to_string();
    own.then(|| range(&document.text, span.range()))
}

fn finding(document: &Open, found: &Diagnostic) -> lsp_types::Diagnostic {
    let place_of = |label: &Label| place(document, label.span);
    let first = found.labels.iter().find_map(place_of);
    let related = found.labels.iter().skip(1).filter_map(|label| {
        let location = Location { uri: document.uri.clone(), range: place_of(label)? };
        Some(DiagnosticRelatedInformation { location, message: label.text.clone() })
    });
    let related: Vec<DiagnosticRelatedInformation> = related.collect();
    let mut message = found.message.clone();
    for more in [found.labels.first().map(|label| &label.text), found.help.as_ref()].into_iter().flatten() {
        if !more.is_empty() {
            message.push('\n');
            message.push_str(more);
        }
    }
    lsp_types::Diagnostic {
        range: first.unwrap_or_default(),
        severity: Some(match found.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
            Severity::Info => DiagnosticSeverity::INFORMATION,
        }),
        code: Some(NumberOrString::String(found.code.to_string())),
        source: Some("routeplane".to_owned()),
        message,
        related_information: (!related.is_empty()).then_some(related),
        ..lsp_types::Diagnostic::default()
    }
}
