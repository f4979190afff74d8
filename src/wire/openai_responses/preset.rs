//! Where a preset's parameters and system text go in a Responses request.

use crate::wire::envelope::{Edit, Envelope};
use crate::wire::json;

pub(super) fn parameter(name: &str) -> &'static [&'static str] {
    match name {
        "max_tokens" => &["/max_output_tokens"],
        "reasoning_effort" => &["/reasoning/effort"],
        "verbosity" => &["/text/verbosity"],
        _ => &[],
    }
}

/// `instructions` is absent, `null` or a text.
pub(super) fn prepend_system(envelope: &Envelope<'_>, text: &str) -> Edit<'static> {
    let own = envelope.members.get("instructions").and_then(json::string);
    let text = own.map_or_else(|| text.to_owned(), |own| format!("{text}\n\n{own}"));
    let mut value = Vec::new();
    json::write(&text, &mut value);
    Edit::Set("instructions", value.into())
}
