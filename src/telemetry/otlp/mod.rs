//! Export to an OpenTelemetry collector: traces, metrics and logs, over HTTP or gRPC.
//!
//! Spans are written from finished records, off the request path, with the times that the record has. What goes to the
//! collector waits in bounded queues; what does not fit, and what the collector does not take, is dropped and counted.
//!
//! | file | what it does |
//! |---|---|
//! | `settings` | from the file and the standard variables to what is exported, where, and how |
//! | `context` | W3C trace context, and which requests are sampled |
//! | `spans` | a record as spans, written once |
//! | `content` | what was said, as attributes |
//! | `extra` | what a request wants on the export of its trace |
//! | `protobuf` | how messages are written |
//! | `batches`, `transport` | spans on their way; how their bytes get to the collector |
//! | `measures` | a record as measurements |
//! | `logs` | events of the gateway's own log as log records |
//! | `export` | exports and their queues |
//! | `tls` | how a collector and the gateway know each other |
//! | `exporters` | the exporters of the crate for OTLP: measurements, and lines of the log |
//!
//! Only `measures`, `logs`, `export` and `exporters` name the crates of OpenTelemetry.

mod batches;
mod content;
pub mod context;
mod export;
mod exporters;
pub mod extra;
mod logs;
mod measures;
mod protobuf;
pub mod settings;
mod spans;
mod tls;
mod transport;

pub use context::Trace;
pub use export::Handle;
pub use logs::Export;
pub use settings::Settings;
