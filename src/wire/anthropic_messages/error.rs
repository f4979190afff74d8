//! Errors: `{"type":"error","error":{"type","message"},"request_id"}`.

use crate::wire::frame::sse;
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::json::{self, Kind, Object, ObjectWriter, kind, str_of};

/// What Anthropic says where a conversation does not fit; its clients know the condition by these words.
const TOO_LONG: &str = "prompt is too long";
/// Most characters of an unreadable body that become a message.
const EXCERPT: usize = 2048;

/// Writes an error body.
pub(super) fn encode(error: &Error, out: &mut Vec<u8>) {
    json::object(out, |body| members(error, body));
}

/// Writes the event that ends a stream with an error.
pub(super) fn encode_event(error: &Error, out: &mut Vec<u8>) {
    sse::write_data(Some("error"), |data| encode(error, data), out);
}

fn members(error: &Error, body: &mut ObjectWriter<'_>) {
    body.field("type", "error");
    body.object("error", |detail| {
        detail.field("type", type_of(error));
        detail.field("message", &message(error));
    });
    body.optional("request_id", &error.request_id);
}

/// The upstream's own words stay whole; an error of this kind in other words gets the ones that clients look for.
fn message(error: &Error) -> String {
    if error.kind == ErrorKind::ContextLength && !error.message.contains(TOO_LONG) {
        format!("{TOO_LONG}: {}", error.message)
    } else {
        error.message.clone()
    }
}

fn type_of(error: &Error) -> &'static str {
    match error.kind {
        ErrorKind::InvalidRequest | ErrorKind::ContextLength => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Billing => "billing_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Upstream | ErrorKind::Truncated | ErrorKind::Internal => "api_error",
    }
}

/// Reads an error body: Anthropic's own, or what a proxy on the way wrote instead.
pub(super) fn decode(status: u16, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(body);
    let Detail { type_name, message } = detail(&text);
    let message = message.filter(|message| !message.is_empty()).unwrap_or_else(|| excerpt(&text, status));
    let kind = classify(status, type_name.as_deref(), &message);
    let error = Error::new(kind, message).with_status(status);
    match kind {
        ErrorKind::ContextLength => error.with_code("context_length_exceeded"),
        ErrorKind::NotFound if error.message.starts_with("model:") => error.with_code("model_not_found"),
        _ => error,
    }
}

/// Reads the `data` of an `error` event; its status is the one that Anthropic documents for its type.
pub(super) fn decode_event(data: &str) -> Error {
    let type_name = detail(data).type_name;
    decode(type_name.as_deref().map_or(500, status_of), data.as_bytes())
}

#[derive(Default)]
struct Detail {
    type_name: Option<String>,
    message: Option<String>,
}

fn detail(text: &str) -> Detail {
    let Ok(body) = Object::parse(text) else { return Detail::default() };
    let string = |object: &Object<'_>, key: &str| object.get(key).and_then(str_of).map(|text| text.into_owned());
    match body.get("error").filter(|raw| kind(raw) == Kind::Object).and_then(|raw| Object::of(raw).ok()) {
        Some(error) => Detail { type_name: string(&error, "type"), message: string(&error, "message") },
        None => Detail {
            type_name: None,
            message: ["error", "message", "Message", "detail"].iter().find_map(|key| string(&body, key)),
        },
    }
}

fn excerpt(text: &str, status: u16) -> String {
    match text.trim() {
        "" => format!("the upstream answered with status {status} and no text"),
        text => text.chars().take(EXCERPT).collect(),
    }
}

fn status_of(type_name: &str) -> u16 {
    match type_name {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

fn classify(status: u16, type_name: Option<&str>, message: &str) -> ErrorKind {
    let status = type_name.map(status_of).filter(|known| *known != 500).unwrap_or(status);
    match status {
        400 => of_bad_request(&message.to_ascii_lowercase()),
        401 => ErrorKind::Authentication,
        402 => ErrorKind::Billing,
        403 => ErrorKind::Permission,
        404 => ErrorKind::NotFound,
        413 => ErrorKind::TooLarge,
        408 | 504 => ErrorKind::Timeout,
        429 => ErrorKind::RateLimit,
        503 | 529 => ErrorKind::Overloaded,
        405..=499 => ErrorKind::InvalidRequest,
        _ => ErrorKind::Upstream,
    }
}

fn of_bad_request(message: &str) -> ErrorKind {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&[TOO_LONG, "input is too long", "exceed context limit", "maximum context length", "context window"]) {
        ErrorKind::ContextLength
    } else if says(&["credit balance is too low", "usage limits"]) {
        ErrorKind::Billing
    } else {
        ErrorKind::InvalidRequest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(type_name: &str, message: &str) -> String {
        format!(r#"{{"type":"error","error":{{"type":"{type_name}","message":"{message}"}},"request_id":"req_1"}}"#)
    }

    #[test]
    fn errors_are_classified_by_type_status_and_words() {
        for (status, type_name, message, kind) in [
            (400, "invalid_request_error", "messages: at least one message is required", ErrorKind::InvalidRequest),
            (
                400,
                "invalid_request_error",
                "prompt is too long: 210000 tokens > 200000 maximum",
                ErrorKind::ContextLength,
            ),
            (400, "invalid_request_error", "Your credit balance is too low to access the API", ErrorKind::Billing),
            (401, "authentication_error", "invalid x-api-key", ErrorKind::Authentication),
            (403, "permission_error", "no", ErrorKind::Permission),
            (404, "not_found_error", "model: claude-0", ErrorKind::NotFound),
            (413, "request_too_large", "Request exceeds the maximum size", ErrorKind::TooLarge),
            (429, "rate_limit_error", "slow down", ErrorKind::RateLimit),
            (500, "api_error", "Internal server error", ErrorKind::Upstream),
            (529, "overloaded_error", "Overloaded", ErrorKind::Overloaded),
        ] {
            let error = decode(status, body(type_name, message).as_bytes());
            assert_eq!((error.kind, error.status, error.message.as_str()), (kind, status, message));
        }
    }

    #[test]
    fn other_shapes_give_their_message() {
        for (text, message) in [
            (r#"{"error":"plain"}"#, "plain"),
            (r#"{"message":"aws"}"#, "aws"),
            (r#"{"detail":"fast"}"#, "fast"),
            ("<html>bad gateway</html>", "<html>bad gateway</html>"),
            ("", "the upstream answered with status 502 and no text"),
        ] {
            assert_eq!(decode(502, text.as_bytes()).message, message);
        }
        assert_eq!(decode(502, "é".repeat(9000).as_bytes()).message.chars().count(), EXCERPT);
    }

    #[test]
    fn an_event_has_the_status_of_its_type() {
        assert_eq!(decode_event(&body("overloaded_error", "Overloaded")).status, 529);
        assert_eq!(decode_event("garbage").kind, ErrorKind::Upstream);
    }

    #[test]
    fn a_foreign_context_error_gets_the_words_that_clients_know() {
        let mut out = Vec::new();
        encode(&Error::new(ErrorKind::ContextLength, "maximum context length is 8192 tokens"), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: maximum context length is 8192 tokens"}}"#
        );
        let mut out = Vec::new();
        encode_event(&decode(529, body("overloaded_error", "Overloaded").as_bytes()), &mut out);
        assert!(out.starts_with(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\""));
        assert!(out.ends_with(b"}\n\n"));
    }
}
