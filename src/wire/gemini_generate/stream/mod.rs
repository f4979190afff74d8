//! Streams: one `GenerateContentResponse` a chunk, without a marker at the end.

mod decode;
mod encode;
mod partial;
#[cfg(test)]
mod tests;

pub(super) use decode::Decoder;
pub(super) use encode::{Encoder, encode_error};
