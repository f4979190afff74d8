//! How a refusal is told to people, and with which exit code.

use std::io::IsTerminal;

use super::Exit;
use super::output::{complain, print_error};
use crate::diagnostic::render::{Style, render};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::live::candidate::{Cause, Refusal};
use crate::live::findings;
use crate::source::SourceMap;

/// Says why nothing was started.
pub(super) fn report(refusal: &Refusal) -> Exit {
    if refusal.diagnostics.iter().any(|diagnostic| shows_a_line(diagnostic, &refusal.sources)) {
        print_error(render(&refusal.diagnostics, &refusal.sources, style_of_stderr()).trim_end());
        complain(format_args!("nothing was started: {}", summary(&refusal.diagnostics)));
    } else {
        for diagnostic in refusal.diagnostics.iter() {
            let help = diagnostic.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            complain(format_args!("{}{help} [{}]", diagnostic.message, diagnostic.code));
        }
    }
    exit(refusal)
}

/// Logs why nothing was started, where the log is for programs.
pub(super) fn log(refusal: &Refusal) -> Exit {
    tracing::error!("nothing was started: {}", summary(&refusal.diagnostics));
    findings::in_fields(&findings::logged(&refusal.diagnostics, &refusal.sources));
    exit(refusal)
}

fn shows_a_line(diagnostic: &Diagnostic, sources: &SourceMap) -> bool {
    let labels = diagnostic.labels.iter();
    labels.filter_map(|label| sources.get(label.span.source)).any(|source| !source.text.is_empty())
}

/// The exit code of a refusal at the start.
pub(super) fn exit(refusal: &Refusal) -> Exit {
    match refusal.cause {
        Cause::Missing => Exit::NoInput,
        Cause::Denied => Exit::Denied,
        Cause::Invalid => Exit::BadConfig,
        Cause::Address | Cause::Draining => Exit::Unavailable,
    }
}

/// `2 errors, 1 warning`.
pub(super) fn summary(diagnostics: &Diagnostics) -> String {
    let counts = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")];
    let counted = counts.iter().map(|(severity, word)| (diagnostics.count(*severity), word));
    let texts: Vec<String> = counted
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if texts.is_empty() { "no findings".to_owned() } else { texts.join(", ") }
}

pub(super) fn style_of_stderr() -> Style {
    Style::Human { color: std::io::stderr().is_terminal() }
}
