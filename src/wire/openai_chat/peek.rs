//! What routing reads of a request.

use crate::wire::envelope::Envelope;
use crate::wire::ir::Error;
use crate::wire::json;

pub(super) fn peek(body: &[u8]) -> Result<Envelope<'_>, Error> {
    let envelope = Envelope::read(body)?;
    let user = envelope.members.get("user").and_then(json::string);
    Ok(Envelope { user, ..envelope })
}

/// Cursor sends bodies of OpenAI's Responses API to this endpoint; their fault is named, not that of a missing member.
///
/// # Errors
/// A body that has `input` and no `messages`, by what `has` says of its members.
pub(super) fn refuse_responses_body(has: impl Fn(&str) -> bool) -> Result<(), Error> {
    if has("messages") || !has("input") {
        return Ok(());
    }
    let message = "this body has `input` and no `messages`: it is a request of OpenAI's Responses API, which \
                   /chat/completions does not take; send the conversation as `messages`";
    Err(Error::invalid(message).with_param("input"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> (String, Option<String>) {
        let error = peek(body.as_bytes()).unwrap_err();
        (error.message, error.param)
    }

    #[test]
    fn the_outside_is_read() {
        let body = br#"{"model":"gpt-5","messages":[{"role":"user","content":"hi"}],"stream":true,"user":"u-1"}"#;
        let envelope = peek(body).unwrap();
        assert_eq!((&*envelope.model, envelope.stream, envelope.user.as_deref()), ("gpt-5", true, Some("u-1")));
        let envelope = peek(br#"{"input":"x","model":"m","stream":null}"#).unwrap();
        assert_eq!((envelope.members.get("input"), envelope.stream), (Some("\"x\""), false));
    }

    #[test]
    fn a_body_of_the_responses_api_is_told_what_it_is() {
        let error = refuse_responses_body(|key| key == "input").unwrap_err();
        assert!(error.message.contains("Responses API") && error.message.contains("`messages`"), "{error:?}");
        assert_eq!(error.param.as_deref(), Some("input"));
        assert!(refuse_responses_body(|_| true).is_ok());
        assert!(refuse_responses_body(|key| key == "messages").is_ok());
    }

    #[test]
    fn what_cannot_be_routed_is_refused_with_the_member() {
        assert_eq!(refusal(r#"{"messages":[]}"#), ("`model` is missing".to_owned(), Some("model".to_owned())));
        assert_eq!(refusal(r#"{"model":1}"#).1.as_deref(), Some("model"));
        assert_eq!(refusal(r#"{"model":""}"#).1.as_deref(), Some("model"));
        assert_eq!(refusal(r#"{"model":"a","model":"b"}"#).1.as_deref(), Some("model"));
        assert_eq!(refusal(r#"{"model":"a","stream":"yes"}"#).1.as_deref(), Some("stream"));
        assert_eq!(refusal("[]").1, None);
        assert!(peek(b"{\"model\":\"\xff\"}").is_err());
    }
}
