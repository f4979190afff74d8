//! Why the model stopped.

use crate::wire::ir::{Finish, FinishReason};

pub(super) fn read(word: String, stop_sequence: Option<String>) -> Finish {
    let reason = match word.as_str() {
        "end_turn" => FinishReason::Stop,
        "stop_sequence" => FinishReason::StopSequence,
        "tool_use" => FinishReason::ToolCalls,
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        "content_filtered" | "guardrail_intervened" => FinishReason::ContentFilter,
        "malformed_model_output" | "malformed_tool_use" => FinishReason::Malformed,
        _ => FinishReason::Other,
    };
    Finish { reason, raw: Some(word), stop_sequence }
}

/// The word for a caller. Clients act on calls by this word, so it follows the blocks, unless the answer was cut or
/// withheld.
pub(super) fn write(finish: Option<&Finish>, own: bool, calls: bool) -> &str {
    match finish {
        Some(Finish { raw: Some(raw), .. }) if own => raw,
        finish => word(finish.map_or(FinishReason::Stop, |finish| finish.reason), calls),
    }
}

/// Reasons that are called `end_turn` here.
pub(super) const UNSAID: &[FinishReason] = &[FinishReason::Pause, FinishReason::Other];

fn word(reason: FinishReason, calls: bool) -> &'static str {
    match reason {
        FinishReason::Length => "max_tokens",
        FinishReason::ContextWindow => "model_context_window_exceeded",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filtered",
        FinishReason::Malformed => "malformed_model_output",
        _ if calls => "tool_use",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::ToolCalls | FinishReason::Stop | FinishReason::Pause | FinishReason::Other => "end_turn",
    }
}
