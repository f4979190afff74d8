//! The caller's body: read whole, bounded in bytes and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::wire::ir::{Error, ErrorKind};

/// Between two pieces of a body.
const IDLE: Duration = Duration::from_secs(30);
/// For a whole body.
const TOTAL: Duration = Duration::from_secs(120);

/// Reads the body of a request.
///
/// # Errors
/// Too large, too slow, compressed, or broken off.
pub async fn body(headers: &HeaderMap, mut incoming: Incoming, limit: u64) -> Result<Bytes, Error> {
    refuse_encoding(headers)?;
    if incoming.size_hint().lower() > limit {
        return Err(too_large(limit));
    }
    let expected = incoming.size_hint().exact();
    let reading = async {
        let first = next(&mut incoming, IDLE).await?.unwrap_or_default();
        if incoming.is_end_stream() || expected == Some(first.len() as u64) {
            return if first.len() as u64 > limit { Err(too_large(limit)) } else { Ok(first) };
        }
        let expected = usize::try_from(expected.unwrap_or(0).min(limit)).unwrap_or(0);
        let mut whole = BytesMut::with_capacity(expected.max(first.len() * 2));
        whole.extend_from_slice(&first);
        while let Some(piece) = next(&mut incoming, IDLE).await? {
            if (whole.len() + piece.len()) as u64 > limit {
                return Err(too_large(limit));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    };
    tokio::time::timeout(TOTAL, reading).await.unwrap_or_else(|_| Err(too_slow()))
}

async fn next(incoming: &mut Incoming, idle: Duration) -> Result<Option<Bytes>, Error> {
    loop {
        let frame = tokio::time::timeout(idle, incoming.frame()).await.map_err(|_| too_slow())?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => return Err(Error::invalid(format!("the request's body broke off: {error}"))),
        }
    }
}

fn refuse_encoding(headers: &HeaderMap) -> Result<(), Error> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(Error::invalid("compressed request bodies are not accepted; send the JSON as it is")
                .with_code("unsupported_encoding")
                .with_status(415))
        }
        _ => Ok(()),
    }
}

fn too_large(limit: u64) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("the body exceeds {limit} bytes; `limits.body` in the configuration raises this"),
    )
    .with_code("body_too_large")
}

fn too_slow() -> Error {
    Error::new(ErrorKind::Timeout, "the request's body did not arrive in time")
        .with_code("client_timeout")
        .with_status(408)
}
