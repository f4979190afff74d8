//! Connections to upstreams: a request goes out, the head of an answer comes back. Nothing here knows a protocol, a rule
//! or a table.
//!
//! The hot path uses hyper's connections below reqwest: measured on one machine, reqwest's request building costs a quarter
//! of a proxied call. reqwest does what is not hot: the commands talk to a running gateway through it.

pub mod body;
pub mod coding;
mod connect;
mod connection;
pub mod demo;
pub mod lease;
mod origin;
pub mod patient;
pub mod pieces;
pub mod pool;
pub mod tape;

pub use body::Body;
pub use lease::Leased;
pub use patient::Patient;
pub use pieces::Pieces;
pub use pool::{Pools, SendError};
