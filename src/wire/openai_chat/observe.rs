//! What a chunk means, for streams that pass through. Chunks of plain text, nearly all there are, are told apart by looking
//! for keys in their bytes: a key with its quotes cannot stand inside a JSON string, where quotes are escaped.

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::response::speaks;
use super::usage;
use crate::wire::frame::Frame;
use crate::wire::json;
use crate::wire::needle::{Needle, string_len};
use crate::wire::{Ending, FrameKind, Observation};

pub(super) fn observe(frame: &Frame<'_>) -> Observation {
    let data = frame.data.trim();
    if data == "[DONE]" {
        return Observation { kind: FrameKind::Terminal, ..Observation::default() };
    }
    let bytes = data.as_bytes();
    if frame.event != "error"
        && let Some(said) = plain_text(bytes)
    {
        return Observation { kind: FrameKind::Content, usage: None, said };
    }
    let kind = if frame.event == "error" { FrameKind::Error } else { kind(data) };
    let said = [&CONTENT, &REASONING_CONTENT, &REASONING, &ARGUMENTS].map(|member| member.text_len(bytes));
    Observation { kind, usage: usage::of_answer(bytes), said: said.iter().sum() }
}

/// Whether a chunk has usage and no choices, as the last one of a stream that was asked for its usage.
pub(super) fn is_only_usage(frame: &Frame<'_>) -> bool {
    let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(frame.data) else { return false };
    let given = |member: Option<&RawValue>| member.is_some_and(|raw| raw.get() != "null");
    frame.event.is_empty()
        && given(chunk.usage)
        && chunk.choices.is_none_or(|choices| choices.is_empty())
        && !given(chunk.error)
        && !given(chunk.message)
        && !given(chunk.detail)
}

/// The numbers of the choices that end with a chunk.
pub(super) fn finishes(frame: &Frame<'_>) -> SmallVec<[u64; 2]> {
    let chunk = serde_json::from_str::<Chunk<'_>>(frame.data).unwrap_or_default();
    let choices = chunk.choices.unwrap_or_default();
    let ended = choices.iter().filter(|choice| choice.finish_reason.is_some_and(speaks));
    ended.map(|choice| choice.index.unwrap_or(0)).collect()
}

/// The length of a chunk's text, where its other members can be nothing that counts.
fn plain_text(chunk: &[u8]) -> Option<usize> {
    let is_text = |value: &[u8]| value.starts_with(b"\"") && !value.starts_with(b"\"\"");
    let is_null = |value: &[u8]| value.starts_with(b"null");
    let text = CONTENT.values(chunk).find(|value| is_text(value))?;
    let plain = FINISH_REASON.values(chunk).all(is_null) && USAGE.values(chunk).all(is_null) && !ERROR.is_in(chunk);
    plain.then(|| string_len(text))
}

static CONTENT: Needle = Needle::new("\"content\"");
static FINISH_REASON: Needle = Needle::new("\"finish_reason\"");
static USAGE: Needle = Needle::new("\"usage\"");
static ERROR: Needle = Needle::new("\"error\"");
static REASONING_CONTENT: Needle = Needle::new("\"reasoning_content\"");
static REASONING: Needle = Needle::new("\"reasoning\"");
static ARGUMENTS: Needle = Needle::new("\"arguments\"");

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    message: Option<Delta<'a>>,
    /// The older `/completions`.
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
    #[serde(borrow)]
    images: Option<&'a RawValue>,
}

impl Delta<'_> {
    fn speaks(&self) -> bool {
        let Delta {
            content,
            refusal,
            reasoning_content,
            reasoning,
            reasoning_details,
            tool_calls,
            function_call,
            audio,
            images,
        } = self;
        [content, refusal, reasoning_content, reasoning, reasoning_details, tool_calls, function_call, audio, images]
            .into_iter()
            .flatten()
            .any(|raw| speaks(raw))
    }
}

fn kind(data: &str) -> FrameKind {
    let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(data) else { return FrameKind::Error };
    let choices = chunk.choices.as_deref().unwrap_or_default();
    let fails = |error: &Option<&RawValue>| error.is_some_and(|raw| !json::says_nothing(raw));
    if fails(&chunk.error) || choices.iter().any(|choice| fails(&choice.error)) {
        return FrameKind::Error;
    }
    // An error in no shape of OpenAI's: `{"detail": ...}`, `{"object": "error", "message": ...}`.
    if chunk.choices.is_none() && chunk.usage.is_none() && chunk.detail.or(chunk.message).is_some() {
        return FrameKind::Error;
    }
    if choices.iter().any(|choice| choice.finish_reason.is_some_and(speaks)) {
        return FrameKind::Finish;
    }
    let speaks = |choice: &Choice<'_>| {
        choice.text.is_some_and(speaks) || choice.delta.as_ref().or(choice.message.as_ref()).is_some_and(Delta::speaks)
    };
    if choices.iter().any(speaks) { FrameKind::Content } else { FrameKind::Preamble }
}

/// Who answers, and why each choice ended.
pub(super) fn ending(text: &[u8]) -> Ending {
    static MODEL: Needle = Needle::new("\"model\"");
    Ending::of_all(text, &MODEL, &FINISH_REASON)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(event: &str, data: &str) -> FrameKind {
        observe(&Frame { event, data }).kind
    }

    #[test]
    fn chunks_are_told_apart() {
        use FrameKind::{Content, Error, Finish, Preamble, Terminal};
        let delta = |delta: &str, finish: &str| {
            format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}],"usage":null}}"#)
        };
        for (data, expected) in [
            ("[DONE]".to_owned(), Terminal),
            (" [DONE] ".to_owned(), Terminal),
            (r#"{"choices":[],"prompt_filter_results":[]}"#.to_owned(), Preamble),
            (delta(r#"{"role":"assistant","content":""}"#, "null"), Preamble),
            (delta(r#"{"role":"assistant","content":null}"#, "null"), Preamble),
            (delta("{}", "null"), Preamble),
            (delta(r#"{"tool_calls":[]}"#, "null"), Preamble),
            (delta(r#"{"content":"a"}"#, "null"), Content),
            (delta(r#"{"content": "\"error\""}"#, "null"), Content),
            (delta(r#"{"content":[{"type":"text","text":"a"}]}"#, "null"), Content),
            (delta(r#"{"content":null,"reasoning_content":"a"}"#, "null"), Content),
            (delta(r#"{"content":"","tool_calls":[{"index":0}]}"#, "null"), Content),
            (r#"{"object":"text_completion","choices":[{"text":"a","index":0}]}"#.to_owned(), Content),
            (r#"{"object":"text_completion","choices":[{"text":"","index":0}]}"#.to_owned(), Preamble),
            (delta("{}", "\"stop\""), Finish),
            (delta(r#"{"content":"a"}"#, "\"stop\""), Finish),
            (r#"{"error":{"message":"m"}}"#.to_owned(), Error),
            (r#"{"error":"m"}"#.to_owned(), Error),
            (
                r#"{"choices":[{"delta":{"content":""},"error":{"code":502},"finish_reason":"error"}]}"#.to_owned(),
                Error,
            ),
            (r#"{"detail":"m"}"#.to_owned(), Error),
            ("upstream failed".to_owned(), Error),
        ] {
            assert_eq!(kind_of("", &data), expected, "{data}");
        }
        assert_eq!(kind_of("error", r#"{"message":"m"}"#), Error);
    }

    #[test]
    fn a_chunk_of_usage_is_told_from_chunks_that_have_usage() {
        let only = |data: &str| is_only_usage(&Frame { event: "", data });
        assert!(only(r#"{"id":"c","choices":[],"usage":{"prompt_tokens":3},"x_groq":{"id":"r"}}"#));
        assert!(only(r#"{"usage":{"prompt_tokens":3}}"#));
        for data in [
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}"#,
            r#"{"choices":[{"delta":{"content":""}}],"usage":{"prompt_tokens":3}}"#,
            r#"{"choices":[],"usage":null}"#,
            r#"{"choices":[],"prompt_filter_results":[]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":3},"error":{"message":"m"}}"#,
            "[DONE]",
            "{",
        ] {
            assert!(!only(data), "{data}");
        }
    }

    #[test]
    fn the_choices_that_end_are_known_by_their_numbers() {
        let data = r#"{"choices":[{"index":1,"finish_reason":"stop"},{"index":0,"finish_reason":null},{"index":2,"finish_reason":"length"}]}"#;
        assert_eq!(finishes(&Frame { event: "", data }).as_slice(), [1, 2]);
    }

    #[test]
    fn what_is_said_is_measured() {
        let said = |delta: &str| {
            let data = format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#);
            observe(&Frame { event: "", data: &data }).said
        };
        assert_eq!(said(r#"{"content":"abcd"}"#), 4);
        assert_eq!(said(r#"{"content":null,"reasoning_content":"abc"}"#), 3);
        assert_eq!(said(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#), 2);
        assert_eq!(said("{}"), 0);
    }

    #[test]
    fn usage_is_read_beside_content() {
        let data = r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
        let seen = observe(&Frame { event: "", data });
        assert_eq!((seen.kind, seen.usage.and_then(|usage| usage.input)), (FrameKind::Content, Some(3)));
    }

    #[test]
    fn who_answered_and_why_it_ended_is_found() {
        let told = |text: &str| {
            let Ending { model, finishes } = ending(text.as_bytes());
            (model.unwrap_or_default().into_string(), finishes.join(" "))
        };
        let is = |model: &str, finishes: &str| (model.to_owned(), finishes.to_owned());
        let text = r#"{"model":"gpt-x","choices":[{"finish_reason":"stop"},{"finish_reason":null},{"finish_reason":"length"}]}"#;
        assert_eq!(told(text), is("gpt-x", "stop length"));
        assert_eq!(told(r#"{"choices":[{"delta":{"content":"\"model\":\"m\""}}]}"#), is("", ""));
    }
}
