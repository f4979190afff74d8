//! The report of an import: for people, and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::verdict::{Finding, Outcome};
use crate::diagnostic::Severity;
use crate::diagnostic::mask::visible;
use crate::source::SourceMap;

/// One finding as JSON. Members are only ever added.
#[derive(Serialize)]
struct Entry<'f> {
    path: &'f str,
    verdict: &'static str,
    severity: &'static str,
    file: &'f str,
    line: usize,
    column: usize,
    message: &'f str,
}

/// All findings as one JSON array, pretty-printed.
pub fn json(findings: &[Finding], sources: &SourceMap) -> String {
    let entries: Vec<Entry<'_>> = findings
        .iter()
        .map(|finding| {
            let (line, column) = sources.line_column(finding.span);
            Entry {
                path: &finding.path,
                verdict: finding.verdict.outcome.word(),
                severity: finding.verdict.severity.name(),
                file: sources.name(finding.span.source),
                line,
                column,
                message: &finding.verdict.message,
            }
        })
        .collect();
    serde_json::to_string_pretty(&entries).unwrap_or_default()
}

/// The gravest severity of what was not carried as it is.
pub fn gravest(findings: &[Finding]) -> Severity {
    let said = findings.iter().filter(|finding| finding.verdict.outcome != Outcome::Carried);
    said.map(|finding| finding.verdict.severity).max().unwrap_or(Severity::Info)
}

/// What differs, gravest first, each message once with the places it is about; and the counts.
pub fn human(findings: &[Finding], sources: &SourceMap) -> String {
    let mut text = String::new();
    for severity in [Severity::Error, Severity::Warning, Severity::Info] {
        let of_it =
            |finding: &&Finding| finding.verdict.severity == severity && finding.verdict.outcome != Outcome::Carried;
        for (finding, places) in grouped(findings.iter().filter(of_it)) {
            let word = match severity {
                Severity::Error => "loss",
                Severity::Warning => "warning",
                Severity::Info => "note",
            };
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{word}: {}", visible(&finding.verdict.message));
            for place in places.iter().take(PLACES) {
                let (line, column) = sources.line_column(place.span);
                let name = sources.name(place.span.source);
                let _ = writeln!(
                    text,
                    "  {} at {}:{line}:{column}, {}",
                    place.verdict.outcome.word(),
                    visible(name),
                    visible(&place.path)
                );
            }
            if places.len() > PLACES {
                let _ = writeln!(text, "  and {} more", places.len() - PLACES);
            }
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "{}", counts(findings));
    text
}

/// Places of one message that are listed.
const PLACES: usize = 5;

fn grouped<'f>(findings: impl Iterator<Item = &'f Finding>) -> Vec<(&'f Finding, Vec<&'f Finding>)> {
    let mut groups: Vec<(&Finding, Vec<&Finding>)> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for finding in findings {
        let key = (finding.verdict.message.as_str(), finding.verdict.outcome.word());
        let at = *index.entry(key).or_insert(groups.len());
        match groups.get_mut(at) {
            Some((_, places)) => places.push(finding),
            None => groups.push((finding, vec![finding])),
        }
    }
    groups
}

/// `31 settings: 24 carried, 4 adapted, 3 dropped`.
pub fn counts(findings: &[Finding]) -> String {
    let count = |outcome: Outcome| findings.iter().filter(|finding| finding.verdict.outcome == outcome).count();
    let settings = if findings.len() == 1 { "setting" } else { "settings" };
    let mut text = format!(
        "{} {settings}: {} carried, {} adapted, {} dropped",
        findings.len(),
        count(Outcome::Carried),
        count(Outcome::Adapted),
        count(Outcome::Dropped)
    );
    let losses = findings
        .iter()
        .filter(|finding| finding.verdict.severity == Severity::Error && finding.verdict.outcome != Outcome::Carried);
    let losses = losses.count();
    if losses > 0 {
        let _ = write!(text, "; {losses} of these break requests that worked, or let something else answer them");
    }
    text
}
