//! What the tests of this folder share.

use super::request;
use crate::wire::{Head, Operation, ir};

pub(super) fn generate() -> Head<'static> {
    Head { operation: Operation::Generate, path_model: None, path_stream: false, alt_sse: false }
}

pub(super) fn decode_request(body: &str) -> ir::Request {
    request::decode(&generate(), body.as_bytes()).unwrap()
}

/// The request as if another protocol had brought it.
pub(super) fn foreign_request(body: &str) -> ir::Request {
    ir::Request { origin: crate::wire::ProtocolId::OpenAiChat, ..decode_request(body) }
}
