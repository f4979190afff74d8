//! Errors: a text, without kind or code.

use super::Face;
use super::raw::{self, FailedTry};
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::json::{self, ObjectWriter};

/// How TensorZero's messages about keys begin.
const KEYS: &str = "TensorZero authentication error: ";

/// An error, and after what tries, where the caller wants to see what those were answered.
pub(super) fn write(face: Face, error: &Error, failed: &[FailedTry], out: &mut Vec<u8>) {
    json::object(out, |body| {
        said(face, error, body);
        if !failed.is_empty() {
            raw::write_failed(face, failed, body);
        }
    });
}

/// An error in a stream, and the frame that it came in, where the caller wants to see it.
pub(super) fn write_in_stream(face: Face, error: &Error, frame: Option<&str>, out: &mut Vec<u8>) {
    json::object(out, |body| {
        said(face, error, body);
        body.optional(&format!("{}raw_chunk", face.mark()), &frame);
    });
}

fn said(face: Face, error: &Error, body: &mut ObjectWriter<'_>) {
    let kind = if error.kind == ErrorKind::Authentication { KEYS } else { "" };
    let message = format!("{kind}{}", error.message);
    match face {
        Face::Native => body.field("error", &message),
        Face::Chat | Face::Embeddings => body.object("error", |inner| inner.field("message", &message)),
    }
}
