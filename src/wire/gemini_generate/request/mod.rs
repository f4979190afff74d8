//! Requests: `GenerateContentRequest`.

mod decode;
mod encode;
mod history;

pub(super) use decode::decode;
pub(super) use encode::{encode, write};
