//! Why the model stopped.

use crate::wire::ir::{Finish, FinishReason};

/// What the answer holds; decides what a reason means.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    pub(super) calls: bool,
    pub(super) refusal: bool,
}

/// The hub's reason for an upstream's word. Some upstreams say `stop` after tool calls, and OpenAI says it after a refusal.
pub(super) fn of_word(word: &str, held: Held) -> Finish {
    let reason = match word {
        // Snowflake's word is empty.
        "" | "stop" | "eos" | "eos_token" | "COMPLETE" | "end_turn" | "completed" | "STOP" => FinishReason::Stop,
        "stop_sequence" | "STOP_SEQUENCE" => FinishReason::StopSequence,
        "tool_calls" | "function_call" | "TOOL_CALL" | "tool_use" => FinishReason::ToolCalls,
        "length" | "max_tokens" | "MAX_TOKENS" | "model_length" | "max_output_tokens" => FinishReason::Length,
        "content_filter" | "SAFETY" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    };
    let reason = match reason {
        FinishReason::Stop | FinishReason::Other | FinishReason::StopSequence if held.calls => FinishReason::ToolCalls,
        FinishReason::Stop if held.refusal => FinishReason::Refusal,
        // A finish that announces calls which never came.
        FinishReason::ToolCalls if !held.calls => FinishReason::Stop,
        reason => reason,
    };
    Finish { reason, raw: Some(word.to_owned()), stop_sequence: None }
}

/// OpenAI's word. A refusal that is told in words is no filter's work.
pub(super) fn word(reason: FinishReason, refusal_told: bool) -> &'static str {
    match reason {
        FinishReason::Stop
        | FinishReason::StopSequence
        | FinishReason::Pause
        | FinishReason::Malformed
        | FinishReason::Other => "stop",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Length | FinishReason::ContextWindow => "length",
        FinishReason::Refusal if refusal_told => "stop",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
    }
}

/// Reasons that are called `stop` here.
pub(super) const UNSAID: &[FinishReason] = &[FinishReason::Pause, FinishReason::Malformed, FinishReason::Other];
