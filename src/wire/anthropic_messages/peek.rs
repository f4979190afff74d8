//! What routing and pass-through need of a body or a frame, without building a tree.

use std::borrow::Cow;

use super::usage::Counts;
use crate::wire::envelope::Envelope;
use crate::wire::frame::Frame;
use crate::wire::json::{Object, str_of};
use crate::wire::needle::Needle;
use crate::wire::{Ending, FrameKind, Observation, ir};

/// Reads the outside of a request.
pub(super) fn envelope(body: &[u8]) -> Result<Envelope<'_>, ir::Error> {
    let envelope = Envelope::read(body)?;
    let metadata = envelope.members.get("metadata").and_then(|text| Object::parse(text).ok());
    let user = metadata.and_then(|object| object.get("user_id")).and_then(str_of);
    Ok(Envelope { user, ..envelope })
}

/// Whether a member `signature` is empty anywhere in the body: in a history that is the mark of thoughts that this gateway
/// translated from another vendor's. Within a JSON string the quotes of the name would be escaped, so only members are found.
pub(super) fn has_empty_signature(body: &[u8]) -> bool {
    SIGNATURE.is_empty_text(body)
}

/// Whether a frame only marks an end, or that the connection lives.
pub(super) fn is_mark(frame: &Frame<'_>) -> bool {
    matches!(&*name(frame), "ping" | "content_block_stop" | "message_stop")
}

/// What a frame means. The name of the event is in its `event:` line, or, at upstreams that leave the line out, in `type`.
pub(super) fn observe(frame: &Frame<'_>) -> Observation {
    let name = name(frame);
    let kind = match name.as_ref() {
        "content_block_delta" if !is_empty_delta(frame.data.as_bytes()) => FrameKind::Content,
        "content_block_start" if !begins_text(frame.data) => FrameKind::Content,
        "message_delta" => FrameKind::Content,
        "message_stop" => FrameKind::Terminal,
        "error" => FrameKind::Error,
        _ => FrameKind::Preamble,
    };
    let usage = match name.as_ref() {
        "message_start" => started_usage(frame.data),
        "message_delta" => usage_of(frame.data),
        _ => None,
    };
    let said = match name.as_ref() {
        "content_block_delta" => said(frame.data.as_bytes()),
        _ => 0,
    };
    Observation { kind, usage, said }
}

/// A delta has one of these members.
static SAID: [Needle; 3] = [Needle::new("\"text\""), Needle::new("\"partial_json\""), Needle::new("\"thinking\"")];

fn said(data: &[u8]) -> usize {
    SAID.iter().map(|member| member.text_len(data)).find(|&length| length > 0).unwrap_or(0)
}

/// The name of an event.
pub(super) fn name<'f>(frame: &Frame<'f>) -> Cow<'f, str> {
    let named = !frame.event.is_empty() && frame.event != "message";
    if named { Cow::Borrowed(frame.event) } else { type_of(frame.data) }
}

fn type_of(data: &str) -> Cow<'_, str> {
    Object::parse(data).ok().and_then(|event| event.get("type")).and_then(str_of).unwrap_or(Cow::Borrowed(""))
}

/// The proof of thoughts.
static SIGNATURE: Needle = Needle::new("\"signature\"");

fn is_empty_delta(data: &[u8]) -> bool {
    SAID.iter().chain([&SIGNATURE]).any(|member| member.is_empty_text(data))
}

/// Text and thinking blocks begin empty; every other block says something by beginning.
fn begins_text(data: &str) -> bool {
    let block = Object::parse(data).ok().and_then(|event| event.get("content_block"));
    let type_name = block.and_then(|raw| Object::of(raw).ok()).and_then(|block| block.get("type")).and_then(str_of);
    matches!(type_name.as_deref(), Some("text" | "thinking"))
}

fn started_usage(data: &str) -> Option<ir::Usage> {
    let message = Object::parse(data).ok()?.get("message")?;
    usage_of(message.get())
}

fn usage_of(text: &str) -> Option<ir::Usage> {
    let usage = Object::parse(text).ok()?.get("usage")?;
    Counts::read(&mut Object::of(usage).ok()?).usage()
}

/// Usage of a whole answer.
pub(super) fn usage(body: &[u8]) -> Option<ir::Usage> {
    usage_of(std::str::from_utf8(body).ok()?)
}

/// Who answers, and why the answer ended.
pub(super) fn ending(text: &[u8]) -> Ending {
    static MODEL: Needle = Needle::new("\"model\"");
    static STOP_REASON: Needle = Needle::new("\"stop_reason\"");
    Ending::of_one(text, &MODEL, &STOP_REASON)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(event: &str, data: &str) -> FrameKind {
        observe(&Frame { event, data }).kind
    }

    #[test]
    fn empty_signatures_are_found_among_members_only() {
        for (body, found) in [
            (r#"{"signature":""}"#, true),
            ("{\"signature\" : \n \"\"}", true),
            (r#"{"signature":"c2ln"},{"signature":""}"#, true),
            (r#"{"signature":"c2ln"}"#, false),
            (r#"{"text":"\"signature\":\"\""}"#, false),
            (r#"{"signature""#, false),
        ] {
            assert_eq!(has_empty_signature(body.as_bytes()), found, "{body}");
        }
    }

    #[test]
    fn frames_are_known_by_event_or_type() {
        let delta = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#;
        assert_eq!(kind("content_block_delta", delta), FrameKind::Content);
        assert_eq!(kind("", delta), FrameKind::Content);
        assert_eq!(kind("", r#"{"type": "message_stop"}"#), FrameKind::Terminal);
        assert_eq!(kind("error", r#"{"type":"error","error":{}}"#), FrameKind::Error);
        assert_eq!(kind("ping", r#"{"type":"ping"}"#), FrameKind::Preamble);
        assert_eq!(kind("novelty", r#"{"type":"novelty"}"#), FrameKind::Preamble);
    }

    #[test]
    fn an_empty_delta_commits_to_nothing() {
        for data in [
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json": ""}}"#,
        ] {
            assert_eq!(kind("content_block_delta", data), FrameKind::Preamble);
        }
        let quoting =
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\"text\":\"\""}}"#;
        assert_eq!(kind("content_block_delta", quoting), FrameKind::Content);
    }

    #[test]
    fn a_tool_block_commits_and_a_text_block_does_not() {
        let tool = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}"#;
        assert_eq!(kind("content_block_start", tool), FrameKind::Content);
        let text = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
        assert_eq!(kind("content_block_start", text), FrameKind::Preamble);
    }

    #[test]
    fn usage_is_read_with_the_cache_added() {
        let start = r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":3,"cache_read_input_tokens":40,"cache_creation_input_tokens":7,"output_tokens":1}}}"#;
        let usage = observe(&Frame { event: "message_start", data: start }).usage.unwrap();
        assert_eq!(
            (usage.input, usage.cache_read, usage.cache_write, usage.output),
            (Some(50), Some(40), Some(7), Some(1))
        );
        assert_eq!(super::usage(br#"{"usage":{"input_tokens":3,"output_tokens":1}}"#).unwrap().total(), Some(4));
        assert_eq!(super::usage(b"<html>"), None);
    }

    #[test]
    fn the_envelope_names_model_and_user() {
        let body = br#"{"model":"m","stream":true,"metadata":{"user_id":"u"},"messages":[]}"#;
        let envelope = envelope(body).unwrap();
        assert_eq!((envelope.model.as_ref(), envelope.stream, envelope.user.as_deref()), ("m", true, Some("u")));
        assert_eq!(super::envelope(b"{}").unwrap_err().param.as_deref(), Some("model"));
        assert_eq!(super::envelope(br#"{"model":"m","stream":1}"#).unwrap_err().param.as_deref(), Some("stream"));
    }

    #[test]
    fn who_answered_and_why_it_ended_is_found() {
        let told = |text: &str| {
            let Ending { model, finishes } = ending(text.as_bytes());
            (model.unwrap_or_default().into_string(), finishes.join(" "))
        };
        let is = |model: &str, finishes: &str| (model.to_owned(), finishes.to_owned());
        let start = r#"{"type":"message_start","message":{"model":"claude-x","stop_reason":null,"usage":{}}}"#;
        assert_eq!(told(start), is("claude-x", ""));
        assert_eq!(told(r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#), is("", "end_turn"));
        let whole = r#"{"model":"claude-x","content":[{"type":"tool_use","input":{"stop_reason":"none","model":"m"}}],"stop_reason":"tool_use"}"#;
        assert_eq!(told(whole), is("claude-x", "tool_use"));
    }
}
