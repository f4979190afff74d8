//! Where a preset's parameters and system text go in a Chat Completions request. The hub's names are this protocol's own.

use crate::wire::envelope::{Edit, Envelope};
use crate::wire::json;
use crate::wire::quirk::{MaxTokensMember, Quirks};

pub(super) fn parameter(name: &str, quirks: &Quirks) -> &'static [&'static str] {
    match (name, quirks.max_tokens) {
        ("max_tokens", MaxTokensMember::MaxCompletionTokens) => &["/max_completion_tokens", "/max_tokens"],
        ("max_tokens", MaxTokensMember::MaxTokens) => &["/max_tokens", "/max_completion_tokens"],
        _ => &[],
    }
}

pub(super) fn prepend_system(envelope: &Envelope<'_>, text: &str) -> Option<Edit<'static>> {
    let mut message = Vec::new();
    json::object(&mut message, |message| {
        message.field("role", "system");
        message.field("content", text);
    });
    let messages = json::prepend(envelope.members.get("messages")?, &message)?;
    Some(Edit::Set("messages", messages.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_text_stands_before_the_conversation() {
        let edited = |body: &str| {
            let envelope = super::super::peek::peek(body.as_bytes()).unwrap();
            match prepend_system(&envelope, "be brief") {
                Some(Edit::Set("messages", value)) => Some(String::from_utf8(value.into_owned()).unwrap()),
                Some(_) | None => None,
            }
        };
        let system = r#"{"role":"system","content":"be brief"}"#;
        let body = r#"{"model":"m","messages":[ {"role":"user"}]}"#;
        assert_eq!(edited(body).unwrap(), format!(r#"[{system}, {{"role":"user"}}]"#));
        assert_eq!(edited(r#"{"model":"m","messages":[]}"#).unwrap(), format!("[{system}]"));
        assert_eq!(edited(r#"{"model":"m"}"#), None);
    }
}
