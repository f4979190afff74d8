//! What the file says of telemetry, checked.

use super::document::AccessLogEntry;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::table::telemetry::{AccessLog, FactDepth, LineFormat, Place};

/// The access log, where there is to be one.
pub(super) fn access_log(entry: Option<&AccessLogEntry>, diagnostics: &mut Diagnostics) -> Option<AccessLog> {
    let entry = entry?;
    let Some(to) = &entry.to else {
        if !entry.faulty {
            diagnostics.push(
                Diagnostic::new(Code::BadValue, "the access log has no place to go to")
                    .label(entry.span, "no `to`")
                    .help("write `access_log: stdout`, `access_log: stderr`, or the path of a file"),
            );
        }
        return None;
    };
    // The decoder lets no other words through.
    let word = |written: &Option<crate::source::Spanned<String>>| written.as_ref().map(|word| word.value.clone());
    let format = word(&entry.format).and_then(|word| LineFormat::ALL.into_iter().find(|it| it.word() == word));
    let facts = word(&entry.facts).and_then(|word| FactDepth::ALL.into_iter().find(|it| it.word() == word));
    Some(AccessLog {
        to: Place::from_text(&to.value),
        format: format.unwrap_or_default(),
        facts: facts.unwrap_or_default(),
    })
}
