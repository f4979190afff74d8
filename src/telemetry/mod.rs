//! Metrics and logs.

pub mod traffic;
