//! What routing and pass-through need of a body or a frame, without building a tree.

use std::borrow::Cow;

use super::usage;
use crate::wire::envelope::Envelope;
use crate::wire::frame::Frame;
use crate::wire::ir::{self, Error, FinishReason};
use crate::wire::json::{self, Object, str_of};
use crate::wire::needle::Needle;
use crate::wire::{Ending, FrameKind, Observation};

/// Reads the outside of a request.
///
/// # Errors
/// No JSON object, a model that is none, `stream` that is no switch.
pub(super) fn envelope(body: &[u8]) -> Result<Envelope<'_>, Error> {
    let envelope = Envelope::read(body)?;
    let user = envelope.members.get("safety_identifier").or_else(|| envelope.members.get("user"));
    let user = user.and_then(json::string);
    Ok(Envelope { user, ..envelope })
}

/// What a frame means. Its name is in its `event:` line, or, at upstreams that leave the line out, in `type`.
pub(super) fn observe(frame: &Frame<'_>) -> Observation {
    let name = name(frame);
    let kind = match name.as_ref() {
        // Also where nothing was said: the model has finished.
        "response.completed" | "response.incomplete" => FrameKind::Finish,
        "response.failed" | "error" => FrameKind::Error,
        "response.output_item.done" => FrameKind::Content,
        name if name.ends_with(".delta") && !DELTA.is_empty_text(frame.data.as_bytes()) => FrameKind::Content,
        "" if frame.data.trim() != "[DONE]" && is_error(frame.data) => FrameKind::Error,
        _ => FrameKind::Preamble,
    };
    let usage = match name.as_ref() {
        "response.completed" | "response.incomplete" | "response.failed" => usage_of_event(frame.data),
        _ => None,
    };
    let said = if name.ends_with(".delta") { DELTA.text_len(frame.data.as_bytes()) } else { 0 };
    Observation { kind, usage, said }
}

/// Whether a frame only marks where something begins or ends.
pub(super) fn is_mark(frame: &Frame<'_>) -> bool {
    match &*name(frame) {
        "response.created"
        | "response.in_progress"
        | "response.queued"
        | "response.content_part.added"
        | "response.content_part.done"
        | "response.output_text.done"
        | "response.output_item.done" => true,
        "response.output_item.added" => {
            let item = Object::parse(frame.data).ok().and_then(|event| event.get("item"));
            item.is_some_and(|item| &*type_of(item.get()) == "message")
        }
        _ => false,
    }
}

fn name<'f>(frame: &Frame<'f>) -> Cow<'f, str> {
    let named = !frame.event.is_empty() && frame.event != "message";
    if named { Cow::Borrowed(frame.event) } else { type_of(frame.data) }
}

static DELTA: Needle = Needle::new("\"delta\"");

fn type_of(data: &str) -> Cow<'_, str> {
    Object::parse(data).ok().and_then(|event| event.get("type")).and_then(str_of).unwrap_or(Cow::Borrowed(""))
}

/// A nameless event that is an error in the shape of an answer, or nothing that can be read.
fn is_error(data: &str) -> bool {
    Object::parse(data).map_or(true, |event| event.get("error").is_some_and(|raw| !json::says_nothing(raw)))
}

fn usage_of_event(data: &str) -> Option<ir::Usage> {
    let response = Object::parse(data).ok()?.get("response")?;
    usage::read(Object::of(response).ok()?.get("usage")?)
}

/// The id of the answer, of the events that hold the answer itself.
pub(super) fn answer_id(frame: &Frame<'_>) -> Option<String> {
    if !frame.data.contains("\"response\"") {
        return None;
    }
    let response = Object::parse(frame.data).ok()?.get("response")?;
    Object::of(response).ok()?.string("id").ok()?
}

/// The id of a whole answer.
pub(super) fn id_of(body: &str) -> Option<String> {
    Object::parse(body).ok()?.string("id").ok()?
}

/// Usage of a whole answer.
pub(super) fn usage(body: &[u8]) -> Option<ir::Usage> {
    usage::read(Object::parse(std::str::from_utf8(body).ok()?).ok()?.get("usage")?)
}

/// Who answers, and why the answer ended. The protocol has a word for the reason only where the answer is incomplete; else it
/// is told as the hub tells it.
pub(super) fn ending(text: &[u8]) -> Ending {
    static MODEL: Needle = Needle::new("\"model\"");
    static STATUS: Needle = Needle::new("\"status\"");
    static DETAILS: Needle = Needle::new("\"incomplete_details\"");
    static REASON: Needle = Needle::new("\"reason\"");
    static CALLS: [Needle; 2] = [Needle::new("\"function_call\""), Needle::new("\"custom_tool_call\"")];
    let cut = DETAILS.values(text).find(|details| details.starts_with(b"{"));
    let cut = cut.and_then(|details| REASON.texts(details).next());
    let finish = cut.or_else(|| {
        // The items of the output have a `status` too.
        STATUS.texts(text).any(|status| &*status == "completed").then(|| {
            let calls = CALLS.iter().any(|call| call.is_in(text));
            if calls { FinishReason::ToolCalls } else { FinishReason::Stop }.word().into()
        })
    });
    Ending { model: MODEL.texts(text).next(), finishes: finish.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_terminal_tells_its_usage() {
        for (name, kind) in [
            ("response.completed", FrameKind::Finish),
            ("response.incomplete", FrameKind::Finish),
            ("response.failed", FrameKind::Error),
        ] {
            let data = format!(r#"{{"type":"{name}","response":{{"usage":{{"input_tokens":3,"output_tokens":2}}}}}}"#);
            for event in [name, ""] {
                let seen = observe(&Frame { event, data: &data });
                assert_eq!((seen.kind, seen.usage.and_then(|usage| usage.total())), (kind, Some(5)), "{name}");
            }
        }
    }

    #[test]
    fn an_empty_delta_commits_to_nothing() {
        let kind = |data: &str| observe(&Frame { event: "", data }).kind;
        assert_eq!(kind(r#"{"type":"response.output_text.delta","delta":""}"#), FrameKind::Preamble);
        assert_eq!(kind(r#"{"type":"response.output_text.delta","delta":"a"}"#), FrameKind::Content);
        assert_eq!(kind("[DONE]"), FrameKind::Preamble);
        assert_eq!(kind(r#"{"error":{"message":"m"}}"#), FrameKind::Error);
    }

    #[test]
    fn who_answered_and_why_it_ended_is_found() {
        let told = |text: &str| {
            let Ending { model, finishes } = ending(text.as_bytes());
            (model.unwrap_or_default().into_string(), finishes.join(" "))
        };
        let is = |model: &str, finishes: &str| (model.to_owned(), finishes.to_owned());
        let text = |details: &str, item: &str| {
            format!(
                r#"{{"response":{{"status":"completed","incomplete_details":{details},"model":"gpt-x","output":[{{"type":"{item}"}}]}}}}"#
            )
        };
        assert_eq!(told(&text("null", "message")), is("gpt-x", "stop"));
        assert_eq!(told(&text("null", "function_call")), is("gpt-x", "tool_calls"));
        assert_eq!(told(&text(r#"{"reason":"max_output_tokens"}"#, "message")), is("gpt-x", "max_output_tokens"));
        assert_eq!(told(r#"{"type":"response.failed","response":{"status":"failed"}}"#), is("", ""));
    }
}
