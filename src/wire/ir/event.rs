//! A stream of an answer. Parts are numbered in the order of their first appearance; usage is cumulative.

use super::error::Error;
use super::message::{Opaque, Signature};
use super::response::Finish;
use super::usage::Usage;

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Once, first.
    Start {
        id: Option<String>,
        model: Option<String>,
        created: Option<u64>,
    },
    /// A part begins. `index` counts parts of all candidates; `candidate` is 0 unless several answers were asked for.
    PartStart {
        index: u32,
        candidate: u32,
        kind: PartKind,
    },
    Delta {
        index: u32,
        delta: Delta,
    },
    PartEnd {
        index: u32,
    },
    /// Replaces all usage reported before.
    Usage(Usage),
    /// One candidate is finished.
    Finish {
        candidate: u32,
        finish: Finish,
    },
    /// The stream ends here, with an error. Nothing follows.
    Error(Error),
    /// The upstream is alive and has nothing to say.
    Ping,
}

#[derive(Debug, Clone, PartialEq)]
pub enum PartKind {
    Text,
    Refusal,
    Reasoning,
    /// Encrypted reasoning, whole at its start.
    RedactedReasoning(Signature),
    ToolCall {
        id: Option<String>,
        name: String,
    },
    /// A part nobody modelled, whole at its start.
    Opaque(Opaque),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// Of a text, refusal or reasoning part.
    Text(String),
    /// A piece of the JSON text of a tool call's arguments.
    Arguments(String),
    /// Of a reasoning or tool call part; replaces.
    Signature(Signature),
}

impl Event {
    /// Whether the stream has begun to say something: from here on it cannot go to another target.
    pub fn is_content(&self) -> bool {
        match self {
            Event::Delta { delta: Delta::Text(text) | Delta::Arguments(text), .. } => !text.is_empty(),
            Event::Delta { delta: Delta::Signature(_), .. } => true,
            Event::PartStart { kind, .. } => match kind {
                PartKind::ToolCall { .. } | PartKind::Opaque(_) | PartKind::RedactedReasoning(_) => true,
                PartKind::Text | PartKind::Refusal | PartKind::Reasoning => false,
            },
            Event::Finish { .. } => true,
            Event::Start { .. } | Event::PartEnd { .. } | Event::Usage(_) | Event::Error(_) | Event::Ping => false,
        }
    }
}
