//! Errors: a text, without kind or code.

use super::Face;
use crate::wire::ir::Error;
use crate::wire::json;

pub(super) fn write(face: Face, error: &Error, out: &mut Vec<u8>) {
    json::object(out, |body| match face {
        Face::Native => body.field("error", &error.message),
        Face::Chat | Face::Embeddings => body.object("error", |inner| inner.field("message", &error.message)),
    });
}
