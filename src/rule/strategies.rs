//! Strategies whose names are known and whose work is not done yet: refused with a plain word, never silently accepted.

use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::source::Span;

/// Planned strategies, and what each will do.
const PLANNED: &[(&str, &str)] = &[
    ("cheapest", "picks by price"),
    ("fastest", "picks by time to first token"),
    ("least_busy", "picks by requests in flight"),
    ("round_robin", "takes turns"),
    ("hedge", "starts a second attempt when the first is slow"),
    ("shadow", "sends a copy to a second target"),
];

/// The diagnostic for a call that is not `split`.
pub(super) fn refusal(name: &str, span: Span) -> Diagnostic {
    if let Some((name, work)) = PLANNED.iter().find(|(planned, _)| *planned == name) {
        return Diagnostic::new(
            Code::PlannedStrategy,
            format!("`{name}` is planned, and this version does not have it"),
        )
        .label(span, format!("`{name}` {work}"))
        .help("this version has fallback (`a/b > c/d`) and `split(95 a/b, 5 c/d)`");
    }
    let names = PLANNED.iter().map(|(name, _)| *name).chain(["split"]);
    let diagnostic =
        Diagnostic::new(Code::UnknownStrategy, format!("unknown strategy `{name}`")).label(span, "not a strategy");
    match did_you_mean(name, names) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(span, near),
        None => diagnostic.help("this version has fallback (`a/b > c/d`) and `split(95 a/b, 5 c/d)`"),
    }
}
