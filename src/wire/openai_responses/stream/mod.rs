//! Streams, and the errors in them.

mod decode;
mod encode;
mod write;

pub(super) use decode::Decoder;
pub(super) use encode::Encoder;

use crate::wire::ir::{Error, ErrorKind};
use crate::wire::json::{self, Object};
use crate::wire::openai_error;

/// The words for `code` where an error has none of its own.
pub(super) fn code_of(error: &Error) -> &str {
    error.code.as_deref().unwrap_or(match error.kind {
        ErrorKind::ContextLength => "context_length_exceeded",
        ErrorKind::RateLimit => "rate_limit_exceeded",
        ErrorKind::Billing => "insufficient_quota",
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => "invalid_request_error",
        ErrorKind::Truncated => "stream_truncated",
        ErrorKind::Authentication
        | ErrorKind::Permission
        | ErrorKind::NotFound
        | ErrorKind::Overloaded
        | ErrorKind::Upstream
        | ErrorKind::Timeout
        | ErrorKind::Internal => "server_error",
    })
}

/// Writes the data of an `error` event.
pub(super) fn write_error(error: &Error, sequence: u64, out: &mut Vec<u8>) {
    json::object(out, |event| {
        event.field("type", "error");
        event.field("code", code_of(error));
        event.field("message", &error.message);
        event.field("param", &error.param);
        event.field("sequence_number", &sequence);
    });
}

/// Reads an error body, an `error` event, or the `response.failed` that holds a response with an error.
pub(super) fn decode_error(status: u16, body: &[u8]) -> Error {
    let inner = std::str::from_utf8(body).ok().and_then(|text| Object::parse(text).ok());
    let inner = inner.and_then(|event| event.get("response").map(|raw| raw.get().as_bytes()));
    openai_error::decode(status, inner.unwrap_or(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::StreamEncoder as _;
    use crate::wire::ir::{Delta, Event, PartKind};

    #[test]
    fn an_error_behind_content_is_told_twice_and_ends_the_stream() {
        let mut encoder = Encoder::new("m");
        let mut out = Vec::new();
        for event in [
            Event::PartStart { index: 0, candidate: 0, kind: PartKind::Text },
            Event::Delta { index: 0, delta: Delta::Text("hi".to_owned()) },
            Event::Error(Error::new(ErrorKind::Truncated, "cut")),
        ] {
            encoder.event(&event, &mut out);
        }
        encoder.finish(&mut out);
        let text = String::from_utf8(out).unwrap();
        let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        assert_eq!(names.last(), Some(&"response.failed"));
        assert_eq!(names.iter().filter(|name| **name == "error").count(), 1);
        assert!(text.contains(r#""error":{"code":"stream_truncated","message":"cut"}"#), "{text}");
    }
}
