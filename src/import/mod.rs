//! Configurations of other gateways, made into one of ours. Pure: texts in, texts and verdicts out.
//!
//! `parse → check (shape, then meaning) → convert → write → prove`. What a file of the other gateway's own would be refused
//! for is a diagnostic; every leaf of one that is taken gets a [`verdict`], so that nothing is lost silently.

pub mod report;
pub mod tensorzero;
pub mod toml;
pub mod verdict;
pub mod yaml;
