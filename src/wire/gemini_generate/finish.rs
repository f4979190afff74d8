//! Why a candidate ended: Gemini's `finishReason` and `promptFeedback.blockReason`.

use crate::wire::ir::{Finish, FinishReason};

/// Reads a `finishReason`. Gemini says `STOP` for a turn that ends in function calls, so `called` decides.
pub(super) fn decode(word: &str, called: bool) -> Finish {
    let reason = match meaning(word) {
        Some(FinishReason::Stop) if called => FinishReason::ToolCalls,
        Some(reason) => reason,
        None => FinishReason::Other,
    };
    Finish { reason, raw: Some(word.to_owned()), stop_sequence: None }
}

/// The end of an answer whose prompt was blocked: there is no candidate, only a reason.
pub(super) fn blocked(word: &str) -> Finish {
    Finish { reason: FinishReason::ContentFilter, raw: Some(word.to_owned()), stop_sequence: None }
}

/// The `finishReason` to write: Gemini's own word where the answer has one.
pub(super) fn encode(finish: &Finish) -> &str {
    match finish.raw.as_deref() {
        Some(word) if meaning(word).is_some() => word,
        _ => word_for(finish.reason),
    }
}

fn word_for(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls | FinishReason::Pause => "STOP",
        FinishReason::Length | FinishReason::ContextWindow => "MAX_TOKENS",
        FinishReason::ContentFilter | FinishReason::Refusal => "SAFETY",
        FinishReason::Malformed => "MALFORMED_FUNCTION_CALL",
        FinishReason::Other => "OTHER",
    }
}

/// The values of `Candidate.FinishReason` (Google's discovery document, July 2026), `None` for a word that is none of them.
fn meaning(word: &str) -> Option<FinishReason> {
    Some(match word {
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => FinishReason::ContentFilter,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MALFORMED_RESPONSE"
        | "MISSING_THOUGHT_SIGNATURE" => FinishReason::Malformed,
        "FINISH_REASON_UNSPECIFIED" | "LANGUAGE" | "OTHER" | "NO_IMAGE" | "IMAGE_OTHER" | "ESCALATION" => {
            FinishReason::Other
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_after_calls_is_a_call_and_nothing_else_is() {
        assert_eq!(decode("STOP", true).reason, FinishReason::ToolCalls);
        assert_eq!(decode("STOP", false).reason, FinishReason::Stop);
        assert_eq!(decode("MAX_TOKENS", true).reason, FinishReason::Length);
        assert_eq!(decode("NEW_WORD", false).reason, FinishReason::Other);
    }

    #[test]
    fn only_geminis_words_are_written() {
        assert_eq!(encode(&decode("RECITATION", false)), "RECITATION");
        let foreign = Finish { reason: FinishReason::ToolCalls, raw: Some("tool_use".into()), stop_sequence: None };
        assert_eq!(encode(&foreign), "STOP");
        assert_eq!(encode(&Finish::new(FinishReason::Refusal)), "SAFETY");
    }
}
