//! Reading the outside of requests and frames, without a tree.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::{member, path, usage};
use crate::wire::envelope::Envelope;
use crate::wire::frame::Frame;
use crate::wire::ir::Error;
use crate::wire::needle::Needle;
use crate::wire::outline::Outline;
use crate::wire::{Ending, FrameKind, Head, Observation};

/// Reads what routing needs. The model stands in the path.
///
/// # Errors
/// Text that is not a JSON object, a member twice, or a path without a model.
pub(super) fn peek<'a>(head: &Head<'_>, body: &'a [u8]) -> Result<Envelope<'a>, Error> {
    let members = Outline::parse(member::text(body)?)?;
    let Some(model) = head.path_model else {
        return Err(Error::invalid("the path names no model; use /v1beta/models/{model}:generateContent"));
    };
    let model = Cow::Owned(path::plain_model(model).to_owned());
    Ok(Envelope { body, members, model, stream: head.path_stream, user: None })
}

/// What a frame means. The names looked for stand in quotes, which within a JSON string would be escaped, so text that the
/// model writes is never mistaken for a member.
pub(super) fn observe(frame: &Frame<'_>) -> Observation {
    let data = frame.data.as_bytes();
    let usage = usage::find(data);
    let is_chunk = CANDIDATES.is_in(data) || PROMPT_FEEDBACK.is_in(data);
    let kind = if ERROR.is_in(data) && !is_chunk {
        FrameKind::Error
    } else if FINISH_REASON.is_in(data) || BLOCK_REASON.is_in(data) {
        // There is no end marker: the last chunk is one with content, usage and a reason, and then the bytes end.
        FrameKind::Finish
    } else if PARTS.is_in(data) {
        FrameKind::Content
    } else {
        FrameKind::Preamble
    };
    Observation { kind, usage, said: 0 }
}

/// The numbers of the candidates that end with a chunk; it tells them again in later ones.
pub(super) fn finishes(frame: &Frame<'_>) -> SmallVec<[u64; 2]> {
    let chunk: Chunk<'_> = serde_json::from_str(frame.data).unwrap_or_default();
    let ended = chunk.candidates.iter().filter(|candidate| candidate.finish_reason.is_some());
    ended.map(|candidate| candidate.index.unwrap_or(0)).collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    candidates: Vec<Candidate<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Candidate<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

static CANDIDATES: Needle = Needle::new("\"candidates\"");
static PROMPT_FEEDBACK: Needle = Needle::new("\"promptFeedback\"");
static ERROR: Needle = Needle::new("\"error\"");
static FINISH_REASON: Needle = Needle::new("\"finishReason\"");
static BLOCK_REASON: Needle = Needle::new("\"blockReason\"");
static PARTS: Needle = Needle::new("\"parts\"");

/// Who answers, and why each candidate ended.
pub(super) fn ending(text: &[u8]) -> Ending {
    static MODEL_VERSION: Needle = Needle::new("\"modelVersion\"");
    Ending::of_all(text, &MODEL_VERSION, &FINISH_REASON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Operation;

    #[test]
    fn the_outside_is_read() {
        let head = Head {
            operation: Operation::CountTokens,
            path_model: Some("models/g"),
            path_stream: false,
            alt_sse: false,
        };
        let body = br#"{"generateContentRequest":{"contents":[1,2]}}"#;
        let envelope = peek(&head, body).unwrap();
        assert_eq!(envelope.model, "g");
        assert!(peek(&Head { path_model: None, ..head }, b"{}").is_err());
        assert!(peek(&head, br#"{"contents":[],"contents":[]}"#).is_err());
    }

    #[test]
    fn frames_are_told_apart() {
        let kind = |data| observe(&Frame { event: "", data }).kind;
        assert_eq!(kind(r#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"#), FrameKind::Preamble);
        assert_eq!(
            kind(r#"{"candidates":[{"content":{"parts":[{"text":"\"finishReason\" \"error\""}]}}]}"#),
            FrameKind::Content
        );
        assert_eq!(kind(r#"{"candidates":[{"finishReason":"STOP"}]}"#), FrameKind::Finish);
        assert_eq!(kind(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#), FrameKind::Finish);
        assert_eq!(kind(r#"{"error":{"code":503}}"#), FrameKind::Error);
        assert_eq!(kind(r#"[{"error":{"code":503}}]"#), FrameKind::Error);
    }

    #[test]
    fn the_candidates_that_end_are_known_by_their_numbers() {
        let data =
            r#"{"candidates":[{"index":1,"finishReason":"STOP"},{"index":2,"finishReason":null},{"finishReason":2}]}"#;
        assert_eq!(finishes(&Frame { event: "", data }).as_slice(), [1, 0]);
    }

    #[test]
    fn who_answered_and_why_it_ended_is_found() {
        let told = |text: &str| {
            let Ending { model, finishes } = ending(text.as_bytes());
            (model.unwrap_or_default().into_string(), finishes.join(" "))
        };
        let is = |model: &str, finishes: &str| (model.to_owned(), finishes.to_owned());
        let text = r#"{"candidates":[{"finishReason":"STOP"},{"finishReason": "SAFETY"}],"modelVersion":"gemini-x"}"#;
        assert_eq!(told(text), is("gemini-x", "STOP SAFETY"));
    }
}
