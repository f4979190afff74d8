//! Requests.

mod arrange;
mod decode;
mod encode;
mod media;
mod thinking;
mod translate;

pub(super) use decode::{decode, text_of};
pub(super) use encode::{encode, encode_count_tokens};

#[cfg(test)]
mod tests;
