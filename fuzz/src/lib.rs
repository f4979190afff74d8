//! The laws that the targets hold the gateway to: the same functions that its tests run over the fixtures.

#[path = "../../tests/it/any_bytes.rs"]
mod any_bytes;
#[path = "../../tests/it/laws/grammar.rs"]
mod grammar;

mod laws {
    pub(crate) use crate::grammar;
}

pub fn frames(data: &[u8]) {
    any_bytes::frames(data);
}

pub fn decoders(data: &[u8]) {
    any_bytes::decoders(data);
}

pub fn translate(data: &[u8]) {
    any_bytes::translate(data);
}

pub fn rules(data: &[u8]) {
    any_bytes::rules(data);
}

pub fn config(data: &[u8]) {
    any_bytes::config(data);
}
