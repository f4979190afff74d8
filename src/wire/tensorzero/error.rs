//! Errors: a text, without kind or code.

use super::Face;
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::json;

/// How TensorZero's messages about keys begin.
const KEYS: &str = "TensorZero authentication error: ";

pub(super) fn write(face: Face, error: &Error, out: &mut Vec<u8>) {
    let kind = if error.kind == ErrorKind::Authentication { KEYS } else { "" };
    let message = format!("{kind}{}", error.message);
    json::object(out, |body| match face {
        Face::Native => body.field("error", &message),
        Face::Chat | Face::Embeddings => body.object("error", |inner| inner.field("message", &message)),
    });
}
