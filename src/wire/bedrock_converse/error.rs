//! Errors: bodies, exceptions within streams.

use crate::wire::frame::{Frame, event_stream};
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::json::{Object, str_of};

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
    decode(event_stream::problem(frame).map_or(500, status), frame.data.as_bytes())
}

/// The statuses that the service's model gives its exceptions.
fn status(exception: &str) -> u16 {
    match exception {
        "validationException" => 400,
        "accessDeniedException" => 403,
        "resourceNotFoundException" => 404,
        "modelTimeoutException" => 408,
        "modelErrorException" | "modelStreamErrorException" => 424,
        "throttlingException" | "modelNotReadyException" => 429,
        "serviceUnavailableException" => 503,
        _ => 500,
    }
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
    fn an_exception_has_the_status_of_its_name() {
        let frame = Frame { event: "exception:throttlingException", data: r#"{"message":"slow down"}"# };
        let error = of_frame(&frame);
        assert_eq!((error.kind, error.status, error.message.as_str()), (ErrorKind::RateLimit, 429, "slow down"));
        assert_eq!(of_frame(&Frame { event: "error:Odd", data: "{}" }).kind, ErrorKind::Upstream);
    }
}
