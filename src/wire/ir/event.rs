//! A stream of an answer. Parts are numbered in the order of their first appearance; usage is cumulative.

use super::error::Error;
use super::message::{Media, Opaque, Signature};
use super::response::Finish;
use super::usage::Usage;
use crate::wire::ProtocolId;
use crate::wire::json::Ext;

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
    /// Members of a chunk that nobody modelled; they add to the `ext` of what `scope` names, a later value of a key
    /// replacing an earlier one. Only an encoder of `origin` writes them, to any other they are a loss.
    Extra {
        origin: ProtocolId,
        scope: Scope,
        ext: Ext,
    },
    /// The stream ends here, with an error. Nothing follows.
    Error(Error),
    /// The upstream is alive and has nothing to say.
    Ping,
}

/// What the members of an [`Event::Extra`] belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Response,
    /// A candidate, by its number.
    Candidate(u32),
    /// A part, by its index; it has begun and may have ended.
    Part(u32),
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
    /// An image or a sound that the model made, whole at its start.
    Media(Media),
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
                PartKind::ToolCall { .. }
                | PartKind::Media(_)
                | PartKind::Opaque(_)
                | PartKind::RedactedReasoning(_) => true,
                PartKind::Text | PartKind::Refusal | PartKind::Reasoning => false,
            },
            Event::Finish { .. } => true,
            Event::Start { .. }
            | Event::PartEnd { .. }
            | Event::Usage(_)
            | Event::Extra { .. }
            | Event::Error(_)
            | Event::Ping => false,
        }
    }
}
