//! What routing and pass-through need of a body or a frame, without building a tree.

use std::borrow::Cow;

use super::{request, usage};
use crate::wire::envelope::Envelope;
use crate::wire::frame::{Frame, event_stream};
use crate::wire::json::{self, Object, str_of};
use crate::wire::needle::Needle;
use crate::wire::outline::Outline;
use crate::wire::{Ending, FrameKind, Head, Observation, ir};

/// Reads the outside of a request. Model and stream switch stand in the path.
///
/// # Errors
/// Text that is not a JSON object, a member twice, or a path without a model.
pub(super) fn envelope<'a>(head: &Head<'_>, body: &'a [u8]) -> Result<Envelope<'a>, ir::Error> {
    let text = json::utf8(body)?;
    let members = Outline::parse(text)?;
    let model = Cow::Owned(head.path_model.ok_or_else(request::no_model)?.to_owned());
    let metadata = members.get("requestMetadata").and_then(|text| Object::parse(text).ok());
    let user = metadata.and_then(|object| object.get("user_id")).and_then(str_of);
    Ok(Envelope { body, model, stream: head.path_stream, user, members })
}

/// A delta has one of these members; a call's arguments are its `input`.
static SAID: [Needle; 2] = [Needle::new("\"text\""), Needle::new("\"input\"")];

/// Whether a frame only marks where something begins or ends.
pub(super) fn is_mark(frame: &Frame<'_>) -> bool {
    matches!(frame.event, "messageStart" | "contentBlockStop")
}

pub(super) fn observe(frame: &Frame<'_>) -> Observation {
    if event_stream::problem(frame).is_some() {
        return Observation { kind: FrameKind::Error, ..Observation::default() };
    }
    match frame.event {
        "contentBlockStart" | "contentBlockDelta" => {
            let length = SAID.iter().map(|member| member.text_len(frame.data.as_bytes())).find(|&length| length > 0);
            Observation { kind: FrameKind::Content, usage: None, said: length.unwrap_or(0) }
        }
        "messageStop" => Observation { kind: FrameKind::Finish, ..Observation::default() },
        "metadata" => Observation { kind: FrameKind::Terminal, usage: usage::of(frame.data), said: 0 },
        _ => Observation::default(),
    }
}

/// Why the answer ended; it names no model.
pub(super) fn ending(text: &[u8]) -> Ending {
    static STOP_REASON: Needle = Needle::new("\"stopReason\"");
    Ending { model: None, finishes: STOP_REASON.texts(text).last().into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answered_and_why_it_ended_is_found() {
        let told = |text: &str| {
            let Ending { model, finishes } = ending(text.as_bytes());
            (model.unwrap_or_default().into_string(), finishes.join(" "))
        };
        let is = |model: &str, finishes: &str| (model.to_owned(), finishes.to_owned());
        assert_eq!(told(r#"{"stopReason":"end_turn"}"#), is("", "end_turn"));
        let whole = r#"{"output":{"message":{"content":[{"text":"\"stopReason\":\"x\""}]}},"stopReason":"max_tokens"}"#;
        assert_eq!(told(whole), is("", "max_tokens"));
    }
}
