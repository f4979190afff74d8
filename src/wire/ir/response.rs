//! An answer, whole.

use super::message::Part;
use super::usage::Usage;
use crate::wire::ProtocolId;
use crate::wire::json::Ext;

#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    pub origin: ProtocolId,
    /// The upstream's id of the answer.
    pub id: Option<String>,
    /// The model that the upstream says answered.
    pub model: Option<String>,
    /// Seconds since 1970.
    pub created: Option<u64>,
    pub candidates: Vec<Candidate>,
    pub usage: Option<Usage>,
    pub ext: Ext,
}

impl Response {
    /// Whether nothing was said: no text, no call, no picture.
    pub fn is_empty(&self) -> bool {
        self.candidates.iter().flat_map(|candidate| &candidate.parts).all(|part| match part {
            Part::Text(text) | Part::Refusal(text) => text.text.is_empty(),
            Part::Reasoning(_) => true,
            Part::Media(_) | Part::ToolCall(_) | Part::ToolResult(_) | Part::Opaque(_) => false,
        })
    }
}

/// One of the answers (there is one, unless several were asked for).
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub parts: Vec<Part>,
    pub finish: Option<Finish>,
    pub ext: Ext,
}

/// Why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    pub reason: FinishReason,
    /// The upstream's own word for it.
    pub raw: Option<String>,
    /// The stop text that was met, where the upstream tells it.
    pub stop_sequence: Option<String>,
}

impl Finish {
    pub fn new(reason: FinishReason) -> Finish {
        Finish { reason, raw: None, stop_sequence: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model had said everything.
    Stop,
    StopSequence,
    ToolCalls,
    /// The limit of the answer's length was reached.
    Length,
    /// The context window was full.
    ContextWindow,
    /// A filter cut the answer, or the model refused.
    ContentFilter,
    Refusal,
    /// The provider paused a long turn; the caller may go on (Anthropic `pause_turn`).
    Pause,
    /// The model's output could not be used (malformed tool call).
    Malformed,
    /// A reason nobody here knows; `Finish::raw` has it.
    Other,
}

impl FinishReason {
    /// For logs, where the upstream has no word of its own.
    pub fn word(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::StopSequence => "stop_sequence",
            FinishReason::ToolCalls => "tool_calls",
            FinishReason::Length => "length",
            FinishReason::ContextWindow => "context_window",
            FinishReason::ContentFilter => "content_filter",
            FinishReason::Refusal => "refusal",
            FinishReason::Pause => "pause",
            FinishReason::Malformed => "malformed",
            FinishReason::Other => "other",
        }
    }
}
