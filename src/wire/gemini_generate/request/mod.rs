//! Requests: `GenerateContentRequest`.

mod decode;
mod encode;
mod history;
#[cfg(test)]
mod tests;

pub(super) use decode::decode;
pub(super) use encode::{encode, write};
