//! Errors: bodies, exceptions within streams.

use std::borrow::Cow;

use crate::wire::frame::{Frame, event_stream};
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::json::{self, Object, str_of};

/// Most characters of a text that nobody understands.
const EXCERPT: usize = 2000;

/// Reads an error body. AWS names the error in a header; the status and the words tell as much.
pub(super) fn decode(status: u16, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(body);
    let object = Object::parse(&text).ok();
    let message = object.as_ref().and_then(|object| {
        ["message", "Message"].iter().find_map(|key| object.get(key).and_then(str_of)).filter(|text| !text.is_empty())
    });
    let message = match (message, text.trim()) {
        (Some(message), _) => message.into_owned(),
        (None, "") => format!("the upstream answered with status {status} and no text"),
        (None, text) => text.chars().take(EXCERPT).collect(),
    };
    let kind = classify(status, &message);
    let error = Error::new(kind, message).with_status(status);
    match kind {
        ErrorKind::ContextLength => error.with_code("context_length_exceeded"),
        _ => error,
    }
}

/// Reads an exception or an error of a stream, with the status that the service gives it as an answer of its own.
pub(super) fn of_frame(frame: &Frame<'_>) -> Error {
    decode(event_stream::problem(frame).map_or(500, event_stream::status_of), frame.data.as_bytes())
}

/// What AWS calls an error, and its status there. Its SDKs make exceptions of these names, and retry by them.
pub(super) fn name(error: &Error) -> (&'static str, u16) {
    match error.status {
        400 => ("ValidationException", 400),
        // AWS has one status for who you are and what you may do.
        401..=403 => ("AccessDeniedException", 403),
        404 => ("ResourceNotFoundException", 404),
        413 => ("RequestEntityTooLargeException", 413),
        429 => ("ThrottlingException", 429),
        500 => ("InternalServerException", 500),
        503 | 529 => ("ServiceUnavailableException", 503),
        408 | 504 => ("ModelTimeoutException", 408),
        // A 502 would be tried again by an SDK; what the gateway could try it has tried.
        502 | 424 => ("ModelErrorException", 424),
        status @ 405..=499 => ("ValidationException", status),
        status => ("InternalServerException", status),
    }
}

/// Writes an error's body. Its name stands in a header.
pub(super) fn encode(error: &Error, out: &mut Vec<u8>) {
    json::object(out, |body| body.field("message", &message(error)));
}

/// Clients know an overlong prompt by AWS's words.
fn message(error: &Error) -> Cow<'_, str> {
    const TOO_LONG: &str = "Input is too long for requested model.";
    if error.kind == ErrorKind::ContextLength && !error.message.contains("too long") {
        return Cow::Owned(format!("{TOO_LONG} {}", error.message));
    }
    Cow::Borrowed(&error.message)
}

/// Writes an error as the exception that ends a stream; a stream has five of them.
pub(super) fn encode_exception(error: &Error, out: &mut Vec<u8>) {
    let name = match error.kind {
        ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::NotFound | ErrorKind::TooLarge => {
            "validationException"
        }
        // There is none for who may do what; this one asks nobody to try again.
        ErrorKind::Authentication | ErrorKind::Permission | ErrorKind::Billing => "validationException",
        ErrorKind::RateLimit => "throttlingException",
        ErrorKind::Overloaded => "serviceUnavailableException",
        ErrorKind::Upstream | ErrorKind::Timeout | ErrorKind::Truncated => "modelStreamErrorException",
        ErrorKind::Internal => "internalServerException",
    };
    event_stream::write_exception(name, |out| encode(error, out), out);
}

fn classify(status: u16, message: &str) -> ErrorKind {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match status {
        400 if says(&["too long", "input tokens exceeded", "maximum context length", "context window"]) => {
            ErrorKind::ContextLength
        }
        401 => ErrorKind::Authentication,
        402 => ErrorKind::Billing,
        403 if says(&["security token", "signature", "credential", "api key"]) => ErrorKind::Authentication,
        403 => ErrorKind::Permission,
        404 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        413 => ErrorKind::TooLarge,
        424 => ErrorKind::Upstream,
        429 => ErrorKind::RateLimit,
        400..=499 => ErrorKind::InvalidRequest,
        503 => ErrorKind::Overloaded,
        _ => ErrorKind::Upstream,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_classified_by_status_and_words() {
        for (status, body, kind) in [
            (400, r#"{"message":"Input is too long for requested model."}"#, ErrorKind::ContextLength),
            (400, r#"{"message":"Malformed input request"}"#, ErrorKind::InvalidRequest),
            (403, r#"{"Message":"The security token included in the request is expired"}"#, ErrorKind::Authentication),
            (403, r#"{"message":"You don't have access to the model"}"#, ErrorKind::Permission),
            (429, r#"{"message":"Too many requests"}"#, ErrorKind::RateLimit),
            (503, "", ErrorKind::Overloaded),
        ] {
            let error = decode(status, body.as_bytes());
            assert_eq!((error.kind, error.status), (kind, status), "{body}");
            assert!(!error.message.is_empty());
        }
    }

    #[test]
    fn errors_have_the_names_of_aws() {
        for (kind, expected, exception) in [
            (ErrorKind::InvalidRequest, ("ValidationException", 400), "validationException"),
            (ErrorKind::Authentication, ("AccessDeniedException", 403), "validationException"),
            (ErrorKind::Billing, ("AccessDeniedException", 403), "validationException"),
            (ErrorKind::NotFound, ("ResourceNotFoundException", 404), "validationException"),
            (ErrorKind::RateLimit, ("ThrottlingException", 429), "throttlingException"),
            (ErrorKind::Overloaded, ("ServiceUnavailableException", 503), "serviceUnavailableException"),
            (ErrorKind::Timeout, ("ModelTimeoutException", 408), "modelStreamErrorException"),
            (ErrorKind::Truncated, ("ModelErrorException", 424), "modelStreamErrorException"),
            (ErrorKind::Internal, ("InternalServerException", 500), "internalServerException"),
        ] {
            let error = Error::new(kind, "why");
            assert_eq!(name(&error), expected, "{kind:?}");
            let mut out = Vec::new();
            encode_exception(&error, &mut out);
            let text = String::from_utf8_lossy(&out);
            assert!(text.contains(exception) && text.contains(r#"{"message":"why"}"#), "{kind:?}: {text}");
        }
        let mut out = Vec::new();
        encode(&Error::new(ErrorKind::ContextLength, "9 of 8"), &mut out);
        assert_eq!(decode(400, &out).kind, ErrorKind::ContextLength);
    }

    #[test]
    fn an_exception_has_the_status_of_its_name() {
        let frame = Frame { event: "exception:throttlingException", data: r#"{"message":"slow down"}"# };
        let error = of_frame(&frame);
        assert_eq!((error.kind, error.status, error.message.as_str()), (ErrorKind::RateLimit, 429, "slow down"));
        assert_eq!(of_frame(&Frame { event: "error:Odd", data: "{}" }).kind, ErrorKind::Upstream);
    }
}
