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
