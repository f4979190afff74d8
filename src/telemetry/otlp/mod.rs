//! Export to an OpenTelemetry collector: traces and metrics, over HTTP or gRPC.
//!
//! Spans are built from finished records, off the request path, with the times that the record has. What goes to the
//! collector waits in bounded queues; what does not fit, and what the collector does not take, is dropped and counted.
//!
//! | file | what it does |
//! |---|---|
//! | `settings` | from the file and the standard variables to what is exported, where, and how |
//! | `context` | W3C trace context, and which requests are sampled |
//! | `spans` | a record as spans |
//! | `measures` | a record as measurements |
//! | `export` | exporters and their queues |
//!
//! Only `spans`, `measures` and `export` name the crates of OpenTelemetry.

pub mod context;
mod export;
mod measures;
pub mod settings;
mod spans;

pub use context::Trace;
pub use export::Handle;
pub use settings::Settings;
