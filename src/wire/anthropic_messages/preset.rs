//! Where a preset's parameters and system text go in a Messages request.

use crate::wire::envelope::{Edit, Envelope};
use crate::wire::json::{self, Kind};

pub(super) fn parameter(name: &str) -> &'static [&'static str] {
    match name {
        "stop" => &["/stop_sequences"],
        "user" => &["/metadata/user_id"],
        "reasoning_effort" => &["/output_config/effort"],
        _ => &[],
    }
}

/// `system` is absent, a text, or a list of blocks.
pub(super) fn prepend_system(envelope: &Envelope<'_>, text: &str) -> Option<Edit<'static>> {
    let mut value = Vec::new();
    match envelope.members.get("system") {
        Some(system) if json::kind_of(system) == Kind::Array => {
            json::object(&mut value, |block| {
                block.field("type", "text");
                block.field("text", text);
            });
            value = json::prepend(system, &value)?;
        }
        Some(system) => {
            let own = json::string(system).unwrap_or_default();
            json::write(&format!("{text}\n\n{own}"), &mut value);
        }
        None => json::write(text, &mut value),
    }
    Some(Edit::Set("system", value.into()))
}
