//! What is told about the gateway's work: metrics, logs, and a record of every model call.
//!
//! | file | what it is |
//! |---|---|
//! | `record` | one model call, as plain data |
//! | `entry` | a record while its request is on its way |
//! | `sinks` | the way of finished records out of the request path |
//! | `desks` | where they lie until they are fetched |
//! | `recorder` | the thread that brings them to their places |
//! | `room` | how much may wait |
//! | `recent` | the last requests, in memory |
//! | `spend` | what they took together, by key, model and route |
//! | `access_log`, `json`, `line` | one line for each model call: for programs, for people |
//! | `otlp` | export to a collector |
//! | `content` | what was said, for the spans of presets that ask for it |
//! | `facts` | which facts of a request a record holds |
//! | `inputs` | what else its decision hung on |
//! | `metrics`, `traffic`, `catalogue` | the metrics of `/metrics`, and their list |
//! | `exposition` | the forms in which they are written |
//! | `logs` | the program's own log |
//! | `clock` | points in time as logs write them |

pub mod access_log;
pub mod catalogue;
pub mod clock;
pub mod content;
mod desks;
pub mod entry;
pub mod exposition;
pub mod facts;
pub mod inputs;
mod json;
mod line;
pub mod logs;
pub mod metrics;
pub mod otlp;
pub mod recent;
pub mod record;
mod recorder;
mod room;
pub mod sinks;
pub mod spend;
pub mod traffic;

pub use entry::Entry;
pub use record::Record;
pub use sinks::Sinks;

/// What the file wants of telemetry, with paths and secrets resolved.
#[derive(Default, Clone, PartialEq)]
pub struct Wanted {
    /// The last requests are not kept, and not added up: without a log or a collector no record is made at all.
    pub forgets: bool,
    pub access_log: Option<access_log::Settings>,
    pub otlp: Option<otlp::Settings>,
}
