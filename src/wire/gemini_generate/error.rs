//! Errors: `{"error": {"code", "message", "status", "details"}}`, the JSON form of google.rpc.Status.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::wire::ir::{Error, ErrorKind};
use crate::wire::json::{self, Kind, Object, ObjectWriter};

/// Most bytes of a text that nobody understands in an error's message.
const LONGEST_TEXT: usize = 2048;
const TYPE: &str = "type.googleapis.com/google.rpc.";

/// Writes an error body.
pub(super) fn encode(error: &Error, out: &mut Vec<u8>) {
    json::object(out, |w| {
        w.object("error", |w| {
            w.field("code", &error.status);
            w.field("message", &error.message);
            w.field("status", status_word(error.kind));
            let details = details(error);
            if !details.is_empty() {
                w.array("details", details, |detail, out| out.extend_from_slice(&detail));
            }
        });
    });
}

fn status_word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::TooLarge => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::Billing | ErrorKind::RateLimit => "RESOURCE_EXHAUSTED",
        ErrorKind::Overloaded => "UNAVAILABLE",
        ErrorKind::Upstream | ErrorKind::Truncated | ErrorKind::Internal => "INTERNAL",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
    }
}

/// What the standard detail types of google.rpc can say of an error.
fn details(error: &Error) -> Vec<Vec<u8>> {
    let mut details = Vec::new();
    if let Some(code) = &error.code {
        details.push(detail("ErrorInfo", |w| {
            w.field("reason", &code.to_ascii_uppercase());
            w.field("domain", "routeplane");
        }));
    }
    if let Some(param) = &error.param {
        details.push(detail("BadRequest", |w| {
            w.array("fieldViolations", [param], |param, out| {
                json::object(out, |w| {
                    w.field("field", param);
                    w.field("description", &error.message);
                });
            });
        }));
    }
    if let Some(delay) = error.retry_after {
        details.push(detail("RetryInfo", |w| w.field("retryDelay", &format!("{}s", delay.as_secs_f64().ceil()))));
    }
    if let Some(id) = &error.request_id {
        details.push(detail("RequestInfo", |w| w.field("requestId", id)));
    }
    details
}

fn detail(name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    json::object(&mut out, |w| {
        w.field("@type", &format!("{TYPE}{name}"));
        fill(w);
    });
    out
}

/// Reads an error body of any shape: Google's, the same in an array (streams without `alt=sse`), a bare text.
pub(super) fn decode(status: u16, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(body);
    let raw = serde_json::from_str::<&RawValue>(&text).ok();
    raw.and_then(|raw| of_value(status, raw)).unwrap_or_else(|| of_text(status, &text))
}

/// As [`decode`], of a value; `None` where it holds no error.
pub(super) fn of_value(status: u16, raw: &RawValue) -> Option<Error> {
    match json::kind(raw) {
        Kind::Array => json::elements(raw, "error").ok()?.into_iter().find_map(|element| of_value(status, element)),
        Kind::Object => {
            let object = Object::of(raw).ok()?;
            let error = object.get("error")?;
            match json::kind(error) {
                Kind::String if error.get() == "\"\"" => None,
                Kind::Object => Some(of_status(status, Object::of(error).ok()?)),
                Kind::String => Some(of_text(status, &json::str_of(error)?)),
                Kind::Null | Kind::Bool | Kind::Number | Kind::Array => None,
            }
        }
        Kind::Null | Kind::Bool | Kind::Number | Kind::String => None,
    }
}

fn of_text(status: u16, text: &str) -> Error {
    let message: String = text.trim().chars().take(LONGEST_TEXT).collect();
    let message = if message.is_empty() { format!("the upstream answered {status} without a body") } else { message };
    Error::new(kind(status, "", "", &message), message).with_status(status)
}

/// Reads a google.rpc.Status.
fn of_status(status: u16, mut object: Object<'_>) -> Error {
    let message = object.string("message").ok().flatten().filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| format!("the upstream answered {status} and said nothing"));
    let word = object.string("status").ok().flatten().unwrap_or_default();
    let mut error = Error::invalid(message);
    for detail in object.array("details").ok().flatten().unwrap_or_default() {
        read_detail(detail, &mut error);
    }
    error.kind = kind(status, &word, error.code.as_deref().unwrap_or_default(), &error.message);
    error.status = status;
    error
}

fn read_detail(detail: &RawValue, error: &mut Error) {
    let Ok(mut detail) = Object::of(detail) else { return };
    let name = detail.string("@type").ok().flatten().unwrap_or_default();
    match name.strip_prefix(TYPE) {
        Some("ErrorInfo") => error.code = detail.string("reason").ok().flatten(),
        Some("RetryInfo") => {
            error.retry_after = detail.string("retryDelay").ok().flatten().as_deref().and_then(duration)
        }
        Some("BadRequest") => {
            let violations = detail.array("fieldViolations").ok().flatten().unwrap_or_default();
            let first = violations.first().and_then(|first| Object::of(first).ok());
            error.param = first.and_then(|mut first| first.string("field").ok().flatten());
        }
        _ => {}
    }
}

/// A duration as protocol buffers write it: seconds, with a fraction, and `s`.
fn duration(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}

/// What kind of error it is. Google answers 400 to a bad key, and to a prompt that is too long, so the reason and the words
/// come before the status.
fn kind(status: u16, word: &str, reason: &str, message: &str) -> ErrorKind {
    if matches!(reason, "API_KEY_INVALID" | "API_KEY_EXPIRED" | "ACCESS_TOKEN_EXPIRED") {
        return ErrorKind::Authentication;
    }
    if message.contains("token count") && message.contains("exceeds") {
        return ErrorKind::ContextLength;
    }
    if reason == "BILLING_DISABLED" || message.contains("billing") && status == 429 && message.contains("credits") {
        return ErrorKind::Billing;
    }
    match (word, status) {
        (_, 413) => ErrorKind::TooLarge,
        (_, 402) => ErrorKind::Billing,
        ("INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE", _) => ErrorKind::InvalidRequest,
        ("UNAUTHENTICATED", _) | (_, 401) => ErrorKind::Authentication,
        ("PERMISSION_DENIED", _) | (_, 403) => ErrorKind::Permission,
        ("NOT_FOUND", _) | (_, 404) => ErrorKind::NotFound,
        ("RESOURCE_EXHAUSTED", _) | (_, 429) => ErrorKind::RateLimit,
        ("UNAVAILABLE", _) | (_, 503 | 529) => ErrorKind::Overloaded,
        ("DEADLINE_EXCEEDED", _) | (_, 408 | 504) => ErrorKind::Timeout,
        (_, 400..=499) => ErrorKind::InvalidRequest,
        _ => ErrorKind::Upstream,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_details_are_read() {
        let body = br#"{"error":{"code":429,"message":"Quota exceeded.","status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.QuotaFailure"},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}"#;
        let error = decode(429, body);
        assert_eq!((error.kind, error.status), (ErrorKind::RateLimit, 429));
        assert_eq!(error.retry_after, Some(Duration::from_millis(34_500)));
        assert_eq!(error.message, "Quota exceeded.");
        // The status word is the kind; in another dialect it would be a code that nobody knows.
        assert_eq!(error.code, None);
    }

    #[test]
    fn a_bad_key_is_no_bad_request() {
        let body = br#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[
            {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;
        assert_eq!(decode(400, body).kind, ErrorKind::Authentication);
    }

    #[test]
    fn every_shape_has_a_message() {
        let cases = [
            (r#"[{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}]"#, "busy", ErrorKind::Overloaded),
            (r#"{"error":"plain"}"#, "plain", ErrorKind::Upstream),
            ("<html>bad gateway</html>", "<html>bad gateway</html>", ErrorKind::Upstream),
            ("", "the upstream answered 502 without a body", ErrorKind::Upstream),
            (
                r#"{"error":{"code":400,"message":"The input token count (9) exceeds the maximum","status":"INVALID_ARGUMENT"}}"#,
                "The input token count (9) exceeds the maximum",
                ErrorKind::ContextLength,
            ),
        ];
        for (body, message, kind) in cases {
            let error = decode(502, body.as_bytes());
            assert_eq!((error.message.as_str(), error.kind), (message, kind), "{body}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut error = Error::invalid("no such thing").with_param("contents.role").with_code("BAD_ROLE");
        error.retry_after = Some(Duration::from_secs(3));
        let mut out = Vec::new();
        encode(&error, &mut out);
        assert_eq!(decode(error.status, &out), error);
    }
}
