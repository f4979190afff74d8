//! Streams: `message_start`, then blocks one after the other, then `message_delta` and `message_stop`.

mod decode;
mod encode;

pub(super) use decode::Decoder;
pub(super) use encode::Encoder;

#[cfg(test)]
mod tests;
