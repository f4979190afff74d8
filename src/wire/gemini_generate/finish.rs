//! Why a candidate ended: Gemini's `finishReason` and `promptFeedback.blockReason`.

use serde_json::value::RawValue;

use crate::wire::ir::{Finish, FinishReason};
use crate::wire::json;

/// Values of `Candidate.FinishReason` by their numbers, as far as Gemini API and Vertex agree on them.
const NUMBERED: [&str; 10] = [
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
];

/// The word of a `finishReason`, which is a number where the query asked for `enum-encoding=int` (Google's own client
/// libraries do on Vertex); `None` where it is neither.
pub(super) fn word(raw: &RawValue) -> Option<String> {
    match json::kind(raw) {
        json::Kind::String => json::str_of(raw).map(std::borrow::Cow::into_owned),
        json::Kind::Number => {
            let number = raw.get().parse().unwrap_or(usize::MAX);
            Some((*NUMBERED.get(number).unwrap_or(&"OTHER")).to_owned())
        }
        json::Kind::Null | json::Kind::Bool | json::Kind::Array | json::Kind::Object => None,
    }
}

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

/// Reasons that are called `STOP` here.
pub(super) const UNSAID: &[FinishReason] = &[FinishReason::Pause];

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
    fn numbers_are_words() {
        let word = |text: &str| word(&json::raw(text).unwrap());
        assert_eq!(word("2").as_deref(), Some("MAX_TOKENS"));
        assert_eq!(word("77").as_deref(), Some("OTHER"));
        assert_eq!(word("\"STOP\"").as_deref(), Some("STOP"));
        assert_eq!(word("null"), None);
    }

    #[test]
    fn only_geminis_words_are_written() {
        assert_eq!(encode(&decode("RECITATION", false)), "RECITATION");
        let foreign = Finish { reason: FinishReason::ToolCalls, raw: Some("tool_use".into()), stop_sequence: None };
        assert_eq!(encode(&foreign), "STOP");
        assert_eq!(encode(&Finish::new(FinishReason::Refusal)), "SAFETY");
    }
}
