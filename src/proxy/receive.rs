//! The caller's body: read whole, bounded in bytes and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::upstream::coding::{self, Coding, Corrupt, Decoder};
use crate::wire::ir::{Error, ErrorKind};

/// Between two pieces of a body.
pub const IDLE: Duration = Duration::from_secs(30);
/// For a whole body.
const TOTAL: Duration = Duration::from_secs(120);

/// The code of the error for a coding that is not known. Its answer lists the known ones (RFC 9110, section 15.5.16).
pub const UNSUPPORTED: &str = "unsupported_encoding";

/// Reads the body of a request, and decodes it where it is compressed. `limit` holds for both forms of it.
///
/// # Errors
/// Too large, too slow, compressed in an unknown or a wrong way, or broken off.
pub async fn body(headers: &HeaderMap, incoming: Incoming, limit: u64) -> Result<Bytes, Error> {
    let coding = coding::of(headers).map_err(|name| unsupported(&name))?;
    let body = received(incoming, limit).await?;
    match coding {
        None => Ok(body),
        Some(coding) => decoded(coding, body, limit).await,
    }
}

async fn decoded(coding: Coding, mut body: Bytes, limit: u64) -> Result<Bytes, Error> {
    let corrupt = |_: Corrupt| {
        Error::invalid(format!("the request's body is not the `{coding}` that its `content-encoding` names"))
            .with_code("invalid_encoding")
    };
    let mut decoder = Decoder::new(coding).map_err(corrupt)?;
    let mut whole = BytesMut::with_capacity(body.len());
    loop {
        let piece = decoder.decode(&mut body).map_err(corrupt)?;
        if piece.is_empty() {
            return if decoder.is_complete() { Ok(whole.freeze()) } else { Err(corrupt(Corrupt)) };
        }
        if (whole.len() + piece.len()) as u64 > limit {
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&piece);
        // Megabytes are decoded without waiting for anything: others come to their turn.
        tokio::task::consume_budget().await;
    }
}

/// The body as it was sent.
async fn received(mut incoming: Incoming, limit: u64) -> Result<Bytes, Error> {
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

fn unsupported(name: &str) -> Error {
    let message =
        format!("request bodies in `{name}` are not accepted; send one of {}, or no compression", coding::KNOWN);
    Error::invalid(message).with_code(UNSUPPORTED).with_status(415)
}

fn too_large(limit: u64) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("the body exceeds {limit} bytes; `limits.body` in the configuration raises this"),
    )
    .with_code("body_too_large")
}

/// The body of a request stalls.
pub fn too_slow() -> Error {
    Error::new(ErrorKind::Timeout, "the request's body did not arrive in time")
        .with_code("client_timeout")
        .with_status(408)
}
