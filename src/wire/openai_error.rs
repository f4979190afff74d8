//! Errors: OpenAI's shape written, every shape read.

use serde_json::value::RawValue;

use crate::wire::ir::{Error, ErrorKind};
use crate::wire::json::{self, Kind, Object};

/// Most bytes of a body that nobody understands to show to a caller.
const MOST_TEXT: usize = 2048;

/// Writes `{"error": {...}}`.
pub(super) fn encode(error: &Error, out: &mut Vec<u8>) {
    let (kind, code) = words(error.kind);
    json::object(out, |body| {
        body.object("error", |inner| {
            inner.field("message", &error.message);
            inner.field("type", kind);
            inner.field("param", &error.param);
            inner.field("code", &error.code.as_deref().or(code));
        });
    });
}

/// OpenAI's `type`, and the `code` that clients look for where the error has none of its own.
fn words(kind: ErrorKind) -> (&'static str, Option<&'static str>) {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => ("invalid_request_error", None),
        ErrorKind::NotFound => ("invalid_request_error", Some("model_not_found")),
        ErrorKind::ContextLength => ("invalid_request_error", Some("context_length_exceeded")),
        ErrorKind::Authentication => ("invalid_request_error", Some("invalid_api_key")),
        ErrorKind::Permission => ("invalid_request_error", Some("permission_denied")),
        ErrorKind::Billing => ("insufficient_quota", Some("insufficient_quota")),
        ErrorKind::RateLimit => ("requests", Some("rate_limit_exceeded")),
        ErrorKind::Overloaded => ("server_error", Some("overloaded")),
        ErrorKind::Upstream | ErrorKind::Internal => ("server_error", None),
        ErrorKind::Timeout => ("server_error", Some("timeout")),
        ErrorKind::Truncated => ("server_error", Some("stream_truncated")),
    }
}

/// Reads an error body of any upstream. `status` 200 means that the error came in the place of an answer.
pub(super) fn decode(status: u16, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(body);
    let said = read(text.trim()).unwrap_or_else(|| Said { message: shortened(text.trim()), ..Said::default() });
    said.into_error(status)
}

/// What an error body says.
#[derive(Debug, Default)]
struct Said {
    message: String,
    code: Option<String>,
    kind: Option<String>,
    param: Option<String>,
}

/// The shapes, in the order of their likelihood: `{"error": {...}}`, `{"error": "..."}` with its siblings, `{"message"}`,
/// `{"Message"}`, `{"detail"}`, `{"errors": [...]}`, and a list of one of those.
fn read(text: &str) -> Option<Said> {
    if text.starts_with('[') {
        let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        return read(elements.first()?.get());
    }
    let body: Object<'_> = serde_json::from_str(text).ok()?;
    if let Some(error) = body.get("error").filter(|raw| json::kind(raw) != Kind::Null) {
        return match json::kind(error) {
            Kind::Object => said_by(&serde_json::from_str(error.get()).ok()?, error),
            Kind::Null | Kind::Bool | Kind::Number | Kind::String | Kind::Array => {
                Some(Said { message: message_of(error)?, ..siblings(&body) })
            }
        };
    }
    said_by(&body, json::raw(text)?.as_ref())
}

fn said_by(object: &Object<'_>, whole: &RawValue) -> Option<Said> {
    let member =
        ["message", "Message", "detail", "errors", "msg", "error_message"].into_iter().find_map(|key| object.get(key));
    let mut message = match member {
        Some(raw) => message_of(raw)?,
        None => shortened(whole.get()),
    };
    // OpenRouter hides the provider's own words here, behind `Provider returned error`.
    let raw = object.get("metadata").and_then(|raw| serde_json::from_str::<Object<'_>>(raw.get()).ok());
    if let Some(raw) = raw.and_then(|metadata| metadata.get("raw").and_then(json::str_of)) {
        message = format!("{message}: {}", shortened(&raw));
    }
    Some(Said { message, ..siblings(object) })
}

fn siblings(object: &Object<'_>) -> Said {
    let text = |key: &str| {
        let raw = object.get(key)?;
        match json::kind(raw) {
            Kind::String => json::str_of(raw).map(std::borrow::Cow::into_owned),
            Kind::Number => Some(raw.get().to_owned()),
            Kind::Null | Kind::Bool | Kind::Array | Kind::Object => None,
        }
    };
    let kind = text("type").or_else(|| text("status")).or_else(|| text("error_type"));
    let code = text("code").or_else(|| text("status_code")).or_else(|| text("raw_status_code"));
    Said { message: String::new(), code, kind, param: text("param") }
}

/// The words in a member: a text, a list of texts or of FastAPI's `{"loc", "msg"}`, or an object with a member of its own.
fn message_of(raw: &RawValue) -> Option<String> {
    match json::kind(raw) {
        Kind::String => json::str_of(raw).map(|text| shortened(&text)),
        Kind::Array => {
            let elements = json::elements(raw, "errors").ok()?;
            let texts: Vec<String> = elements.into_iter().filter_map(message_of).collect();
            Some(shortened(&texts.join("; ")))
        }
        Kind::Object => {
            let object: Object<'_> = serde_json::from_str(raw.get()).ok()?;
            said_by(&object, raw).map(|said| said.message)
        }
        Kind::Null => None,
        Kind::Bool | Kind::Number => Some(raw.get().to_owned()),
    }
}

fn shortened(text: &str) -> String {
    let end = text.char_indices().map(|(at, _)| at).chain([text.len()]).take_while(|&at| at <= MOST_TEXT).last();
    let (kept, cut) = text.split_at_checked(end.unwrap_or(0)).unwrap_or(("", text));
    if cut.is_empty() { kept.to_owned() } else { format!("{kept} ...") }
}

impl Said {
    fn into_error(self, status: u16) -> Error {
        let coded = self.code.as_deref().and_then(|code| code.parse().ok()).filter(|code| (400..600).contains(code));
        let failed = if (400..600).contains(&status) { Some(status) } else { coded };
        let kind = self.classify(failed);
        let message = if self.message.is_empty() {
            format!("the upstream answered with status {status} and said nothing")
        } else {
            self.message
        };
        let mut error = Error::new(kind, message).with_status(failed.unwrap_or(kind.status()));
        // A code that only repeats the status says nothing to a client.
        error.code = self.code.filter(|_| coded.is_none());
        error.param = self.param;
        error
    }

    fn classify(&self, status: Option<u16>) -> ErrorKind {
        let code = self.code.as_deref().unwrap_or_default();
        let words = format!("{} {code} {}", self.message, self.kind.as_deref().unwrap_or_default()).to_lowercase();
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
        let refused = status.is_none_or(|status| matches!(status, 400 | 413 | 422));
        if refused && says(CONTEXT) {
            return ErrorKind::ContextLength;
        }
        if status == Some(402) || (status.is_none_or(|status| matches!(status, 400 | 403 | 429)) && says(BILLING)) {
            return ErrorKind::Billing;
        }
        if matches!(status, Some(400) | None) && says(AUTHENTICATION) {
            return ErrorKind::Authentication;
        }
        match status {
            Some(400 | 422) => ErrorKind::InvalidRequest,
            Some(401) => ErrorKind::Authentication,
            Some(403) => ErrorKind::Permission,
            Some(404) => ErrorKind::NotFound,
            Some(408 | 504) => ErrorKind::Timeout,
            Some(413) => ErrorKind::TooLarge,
            Some(429) => ErrorKind::RateLimit,
            Some(503 | 529) => ErrorKind::Overloaded,
            Some(400..500) => ErrorKind::InvalidRequest,
            None if says(&["rate_limit", "rate limit", "too many requests"]) => ErrorKind::RateLimit,
            None if says(&["overloaded", "unavailable", "capacity"]) => ErrorKind::Overloaded,
            None if says(&["invalid_request", "tool_use_failed"]) => ErrorKind::InvalidRequest,
            Some(_) | None => ErrorKind::Upstream,
        }
    }
}

/// Phrases by which providers say that a conversation is too long, lower case.
const CONTEXT: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size",
    "maximum context length",
    "context window",
    "context length",
    "prompt is too long",
    "input is too long",
    "too many input tokens",
    "model_max_prompt_tokens_exceeded",
    "longer than the maximum",
];

/// That no credit is left.
const BILLING: &[&str] = &[
    "insufficient_quota",
    "insufficient balance",
    "insufficient credit",
    "insufficient funds",
    "exceeded your current quota",
    "billing",
    "credit balance",
    "credits exhausted",
];

/// That the key is wrong, said with another status than 401.
const AUTHENTICATION: &[&str] = &[
    "invalid_api_key",
    "incorrect api key",
    "invalid api key",
    "api_key_invalid",
    "api key not valid",
    "authentication_error",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, kind: ErrorKind, message: &str, code: Option<&str>) {
        let error = decode(status, body.as_bytes());
        assert_eq!((error.kind, error.message.as_str(), error.code.as_deref()), (kind, message, code), "{body}");
    }

    #[test]
    fn every_shape_is_read() {
        let refused = ErrorKind::InvalidRequest;
        check(400, r#"{"error":{"message":"m","type":"t","param":"p","code":"c"}}"#, refused, "m", Some("c"));
        check(400, r#"{"code":"invalid-argument","error":"m"}"#, refused, "m", Some("invalid-argument"));
        check(400, r#"{"message":"m","code":"1500"}"#, refused, "m", Some("1500"));
        check(400, r#"{"Message":"m"}"#, refused, "m", None);
        check(422, r#"{"detail":[{"loc":["body"],"msg":"a"},{"msg":"b"}]}"#, refused, "a; b", None);
        check(401, r#"{"detail":"Invalid API Key"}"#, ErrorKind::Authentication, "Invalid API Key", None);
        check(422, r#"{"object":"error","message":{"detail":[{"msg":"a"}]}}"#, refused, "a", None);
        check(400, r#"{"errors":[{"message":"m"}]}"#, refused, "m", None);
        check(400, r#"{"error":["m","n"],"error_type":"validation"}"#, refused, "m; n", None);
        check(400, r#"[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]"#, refused, "m", None);
        check(502, "<html>bad gateway</html>", ErrorKind::Upstream, "<html>bad gateway</html>", None);
        check(500, "", ErrorKind::Upstream, "the upstream answered with status 500 and said nothing", None);
        let openrouter = r#"{"error":{"code":429,"message":"Provider returned error","metadata":{"raw":"slow down"}}}"#;
        check(429, openrouter, ErrorKind::RateLimit, "Provider returned error: slow down", None);
    }

    #[test]
    fn the_kind_is_found_behind_a_common_status() {
        let kind = |status, body: &str| decode(status, body.as_bytes()).kind;
        let context = r#"{"error":{"message":"This model's maximum context length is 8192 tokens."}}"#;
        assert_eq!(kind(400, context), ErrorKind::ContextLength);
        assert_eq!(kind(429, r#"{"error":{"message":"m","code":"insufficient_quota"}}"#), ErrorKind::Billing);
        assert_eq!(kind(429, r#"{"error":{"message":"Rate limit reached"}}"#), ErrorKind::RateLimit);
        assert_eq!(kind(400, r#"{"error":"Incorrect API key provided"}"#), ErrorKind::Authentication);
        assert_eq!(kind(529, "{}"), ErrorKind::Overloaded);
    }

    #[test]
    fn an_error_under_status_200_takes_its_status_from_the_code() {
        let error = decode(200, br#"{"error":{"message":"m","code":503}}"#);
        assert_eq!((error.kind, error.status, error.code), (ErrorKind::Overloaded, 503, None));
        assert_eq!(decode(200, br#"{"error":{"message":"m"}}"#).status, 502);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let error = decode(500, "ü".repeat(3000).as_bytes());
        assert_eq!(error.message, format!("{} ...", "ü".repeat(1024)));
    }

    #[test]
    fn openai_words_are_written() {
        let mut out = Vec::new();
        encode(&Error::new(ErrorKind::ContextLength, "too long").with_param("messages"), &mut out);
        let expected = r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
