//! From an upstream's stream to events.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::usage::{Counts, raw_object};
use super::super::{SELF, block, cite, error, legal, response};
use crate::wire::StreamDecoder;
use crate::wire::frame::Frame;
use crate::wire::ir::message::Opaque;
use crate::wire::ir::{Citation, Delta, Error, ErrorKind, Event, Finish, FinishReason, PartKind, Scope, citation};
use crate::wire::json::{self, Ext, JsonError, Object, str_of};

/// Reads one stream.
#[derive(Default)]
pub(in super::super) struct Decoder {
    started: bool,
    /// `message_stop` or an error came; nothing after it counts.
    ended: bool,
    /// Blocks that have begun and not ended; Anthropic has one at a time, relays may have more.
    open: Vec<OpenBlock>,
    /// The number of the next part.
    next: u32,
    counts: Counts,
    usage_rest: Ext,
    finish: Option<Finish>,
    refusal: Option<String>,
}

struct OpenBlock {
    /// Its `index` on the wire.
    wire: u64,
    content: Content,
}

enum Content {
    Part {
        index: u32,
        citations: Vec<Citation>,
    },
    Call {
        index: u32,
        /// Whether any piece of the arguments came.
        argued: bool,
        /// The `input` that the block began with.
        input: String,
    },
    /// A block of a type that nobody modelled: held back until it is whole.
    Unmodelled(Folded),
}

/// A verbatim block and the pieces that came for it.
struct Folded {
    members: Ext,
    /// Pieces of `input`, as JSON text.
    input: String,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        if let Err(problem) = self.read(frame.data, out) {
            self.ended = true;
            let message = format!("the upstream sent an event that cannot be read: {problem}");
            out.push(Event::Error(Error::new(ErrorKind::Upstream, message)));
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.ended, true) {
            out.push(Event::Error(Error::new(
                ErrorKind::Truncated,
                "the upstream ended the stream without `message_stop`",
            )));
        }
    }
}

impl Decoder {
    fn read(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), JsonError> {
        let mut event = Object::parse(data)?;
        let type_name = event.take("type").and_then(str_of).unwrap_or(Cow::Borrowed(""));
        match type_name.as_ref() {
            "message_start" => self.message_start(&mut event, out)?,
            "content_block_start" => self.block_start(&mut event, out)?,
            "content_block_delta" => self.block_delta(&mut event, out)?,
            "content_block_stop" => {
                let wire = index(&mut event)?;
                self.close(|block| block.wire == wire, out);
            }
            "message_delta" => self.message_delta(event, out)?,
            "message_stop" => self.message_stop(out),
            "ping" => out.push(Event::Ping),
            "error" => {
                self.ended = true;
                out.push(Event::Error(error::decode_event(data)));
            }
            // Anthropic announces that new events may come and are to be ignored.
            _ => {}
        }
        Ok(())
    }

    /// A second one, which a relay splices in where it went over to another model, ends the blocks of the first and brings
    /// newer members.
    fn message_start(&mut self, event: &mut Object<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        let mut message = event.object("message")?.ok_or(JsonError::Missing { key: "message".to_owned() })?;
        let (id, model) = (message.string("id")?, message.string("model")?);
        if std::mem::replace(&mut self.started, true) {
            self.close(|_| true, out);
        } else {
            out.push(Event::Start { id, model, created: None });
        }
        for constant in ["type", "role", "content", "stop_reason", "stop_sequence"] {
            message.take(constant);
        }
        self.usage(&mut message, out);
        extra(Scope::Response, message.rest(), out);
        Ok(())
    }

    fn usage(&mut self, holder: &mut Object<'_>, out: &mut Vec<Event>) {
        let (counts, rest) = response::read_usage(holder);
        self.counts.update(counts);
        if let Some(usage) = counts.usage().and_then(|_| self.counts.usage()) {
            out.push(Event::Usage(usage));
        }
        if let Some(rest) = rest.as_deref().and_then(|rest| Object::of(rest).ok()) {
            update(&mut self.usage_rest, rest.rest());
            let merged = raw_object(&self.usage_rest).map(|usage| ("usage".to_owned(), usage));
            extra(Scope::Response, Ext(merged.into_iter().collect()), out);
        }
    }

    fn begin(&mut self, kind: PartKind, out: &mut Vec<Event>) -> u32 {
        let index = self.next;
        self.next += 1;
        out.push(Event::PartStart { index, candidate: 0, kind });
        index
    }

    fn block_start(&mut self, event: &mut Object<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        let wire = index(event)?;
        let raw = event.take("content_block").ok_or(JsonError::Missing { key: "content_block".to_owned() })?;
        self.close(|block| block.wire == wire, out);
        let mut block = Object::of(raw)?;
        let type_name = block.get("type").and_then(str_of).unwrap_or(Cow::Borrowed(""));
        let content = match type_name.as_ref() {
            "text" => self.text_start(PartKind::Text, "text", &mut block, out)?,
            "thinking" => self.text_start(PartKind::Reasoning, "thinking", &mut block, out)?,
            "redacted_thinking" => {
                let data = block.string("data")?.unwrap_or_default();
                let index = self.begin(PartKind::RedactedReasoning(block::signed(data)), out);
                Content::Part { index, citations: Vec::new() }
            }
            "tool_use" => self.call_start(&mut block, out)?,
            _ => Content::Unmodelled(Folded { members: Object::of(raw)?.rest(), input: String::new() }),
        };
        if let Content::Part { index, .. } | Content::Call { index, .. } = &content {
            block.take("type");
            extra(Scope::Part(*index), block.rest(), out);
        }
        self.open.push(OpenBlock { wire, content });
        Ok(())
    }

    /// A block whose `member` may hold text from its start.
    fn text_start(
        &mut self,
        kind: PartKind,
        member: &str,
        block: &mut Object<'_>,
        out: &mut Vec<Event>,
    ) -> Result<Content, JsonError> {
        let index = self.begin(kind, out);
        if let Some(text) = block.string(member)?.filter(|text| !text.is_empty()) {
            out.push(Event::Delta { index, delta: Delta::Text(text) });
        }
        if let Some(signature) = block.string("signature")?.filter(|signature| !signature.is_empty()) {
            out.push(Event::Delta { index, delta: Delta::Signature(block::signed(signature)) });
        }
        Ok(Content::Part { index, citations: Vec::new() })
    }

    fn call_start(&mut self, block: &mut Object<'_>, out: &mut Vec<Event>) -> Result<Content, JsonError> {
        let id = block.string("id")?;
        let name = block.string("name")?.unwrap_or_default();
        let input = block.take("input").map_or("{}", RawValue::get).to_owned();
        let index = self.begin(PartKind::ToolCall { id, name: legal::original_name(&name).into_owned() }, out);
        Ok(Content::Call { index, argued: false, input })
    }

    fn block_delta(&mut self, event: &mut Object<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        let wire = index(event)?;
        let mut delta = event.object("delta")?.ok_or(JsonError::Missing { key: "delta".to_owned() })?;
        let type_name = delta.take("type").and_then(str_of).unwrap_or(Cow::Borrowed(""));
        self.begin_unannounced(wire, &type_name, out);
        let Some(block) = self.open.iter_mut().find(|block| block.wire == wire) else { return Ok(()) };
        match &mut block.content {
            Content::Part { index, citations } => part_delta(*index, citations, &type_name, &mut delta, out)?,
            Content::Call { index, argued, .. } => {
                if let Some(piece) = delta.string("partial_json")?.filter(|piece| !piece.is_empty()) {
                    *argued = true;
                    out.push(Event::Delta { index: *index, delta: Delta::Arguments(piece) });
                }
            }
            Content::Unmodelled(folded) => folded.add(delta)?,
        }
        Ok(())
    }

    /// Some relays leave out the start of a text block.
    fn begin_unannounced(&mut self, wire: u64, type_name: &str, out: &mut Vec<Event>) {
        let kind = match type_name {
            "text_delta" => PartKind::Text,
            "thinking_delta" => PartKind::Reasoning,
            _ => return,
        };
        if !self.open.iter().any(|block| block.wire == wire) {
            let index = self.begin(kind, out);
            self.open.push(OpenBlock { wire, content: Content::Part { index, citations: Vec::new() } });
        }
    }

    /// Ends the open blocks that `which` names.
    fn close(&mut self, which: impl Fn(&OpenBlock) -> bool, out: &mut Vec<Event>) {
        let (closed, open) = std::mem::take(&mut self.open).into_iter().partition(|block| which(block));
        self.open = open;
        for OpenBlock { content, .. } in closed {
            let index = match content {
                Content::Part { index, citations } => {
                    extra(Scope::Part(index), Ext(citation::note(&citations).into_iter().collect()), out);
                    index
                }
                Content::Call { index, argued, input } => {
                    if !argued {
                        out.push(Event::Delta { index, delta: Delta::Arguments(input) });
                    }
                    index
                }
                Content::Unmodelled(folded) => match folded.whole() {
                    Some(raw) => self.begin(PartKind::Opaque(Opaque { origin: SELF, raw }), out),
                    None => continue,
                },
            };
            out.push(Event::PartEnd { index });
        }
    }

    fn message_delta(&mut self, mut event: Object<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        self.usage(&mut event, out);
        if let Some(mut delta) = event.object("delta")? {
            self.finish = response::finish(&mut delta).or(self.finish.take());
            self.refusal = delta.get("stop_details").and_then(response::refusal).or(self.refusal.take());
            extra(Scope::Response, delta.rest(), out);
        }
        extra(Scope::Response, event.rest(), out);
        Ok(())
    }

    fn message_stop(&mut self, out: &mut Vec<Event>) {
        self.ended = true;
        self.close(|_| true, out);
        if let Some(text) = self.refusal.take() {
            let index = self.begin(PartKind::Refusal, out);
            out.push(Event::Delta { index, delta: Delta::Text(text) });
            out.push(Event::PartEnd { index });
        }
        let finish = self.finish.take().unwrap_or(Finish::new(FinishReason::Other));
        out.push(Event::Finish { candidate: 0, finish });
    }
}

fn part_delta(
    index: u32,
    citations: &mut Vec<Citation>,
    type_name: &str,
    delta: &mut Object<'_>,
    out: &mut Vec<Event>,
) -> Result<(), JsonError> {
    let member = match type_name {
        "text_delta" => "text",
        "thinking_delta" => "thinking",
        "signature_delta" => "signature",
        "citations_delta" => {
            citations.extend(delta.take("citation").map(|raw| citation::one(raw, cite::read)));
            return Ok(());
        }
        _ => return Ok(()),
    };
    let Some(text) = delta.string(member)?.filter(|text| !text.is_empty()) else { return Ok(()) };
    let delta = if member == "signature" { Delta::Signature(block::signed(text)) } else { Delta::Text(text) };
    out.push(Event::Delta { index, delta });
    Ok(())
}

fn index(event: &mut Object<'_>) -> Result<u64, JsonError> {
    event.u64("index")?.ok_or(JsonError::Missing { key: "index".to_owned() })
}

fn extra(scope: Scope, ext: Ext, out: &mut Vec<Event>) {
    if !ext.0.is_empty() {
        out.push(Event::Extra { origin: SELF, scope, ext });
    }
}

/// Sets members, replacing those that are there.
fn update(members: &mut Ext, newer: Ext) {
    for (key, value) in newer.0 {
        match members.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => members.0.push((key, value)),
        }
    }
}

impl Folded {
    /// Adds a delta's members: pieces of JSON to `input`, a text to the text of the same name, anything else as it is.
    fn add(&mut self, delta: Object<'_>) -> Result<(), JsonError> {
        for (key, value) in delta.rest().0 {
            if key == "partial_json" {
                self.input.push_str(&json::read::<Cow<'_, str>>(&value, "partial_json", "a string")?);
                continue;
            }
            let known = self.members.get(&key).and_then(str_of).map(Cow::into_owned);
            let joined = known.zip(str_of(&value)).and_then(|(known, piece)| {
                let mut text = Vec::new();
                json::write(&(known + &piece), &mut text);
                json::raw(String::from_utf8(text).ok()?)
            });
            update(&mut self.members, Ext(vec![(key, joined.unwrap_or(value))]));
        }
        Ok(())
    }

    fn whole(mut self) -> Option<Box<RawValue>> {
        if let Some(input) = json::raw(self.input).filter(|input| !input.get().is_empty()) {
            update(&mut self.members, Ext(vec![("input".to_owned(), input)]));
        }
        raw_object(&self.members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(frames: &[&str]) -> Vec<Event> {
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        for data in frames {
            decoder.frame(&Frame { event: "", data }, &mut events);
        }
        decoder.finish(&mut events);
        events
    }

    const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":5,"cache_read_input_tokens":100,"output_tokens":1}}}"#;
    const STOP: &str = r#"{"type":"message_stop"}"#;

    fn text_of(events: &[Event]) -> String {
        let text = |event: &Event| match event {
            Event::Delta { delta: Delta::Text(text) | Delta::Arguments(text), .. } => Some(text.clone()),
            _ => None,
        };
        events.iter().filter_map(text).collect()
    }

    #[test]
    fn a_cut_stream_is_an_error_wherever_it_is_cut() {
        let frames = [
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#,
        ];
        for length in 0..=frames.len() {
            let events = decode(&frames[..length]);
            let Some(Event::Error(error)) = events.last() else { panic!("{events:?}") };
            assert_eq!(error.kind, ErrorKind::Truncated);
            assert!(!events.iter().any(|event| matches!(event, Event::Finish { .. })));
        }
    }

    #[test]
    fn usage_is_replaced_and_keeps_what_a_later_event_leaves_out() {
        let events = decode(&[
            START,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":42}}"#,
            STOP,
        ]);
        let last =
            events.iter().rev().find_map(|event| if let Event::Usage(usage) = event { Some(*usage) } else { None });
        let last = last.unwrap();
        assert_eq!((last.input, last.cache_read, last.output), (Some(105), Some(100), Some(42)));
    }

    #[test]
    fn a_call_without_arguments_has_an_empty_object() {
        let events = decode(&[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"now","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            STOP,
        ]);
        assert_eq!(text_of(&events), "{}");
    }

    #[test]
    fn a_second_start_is_no_second_start() {
        let events = decode(&[START, START, STOP]);
        assert_eq!(events.iter().filter(|event| matches!(event, Event::Start { .. })).count(), 1);
    }

    #[test]
    fn unmodelled_blocks_come_whole() {
        let events = decode(&[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"query\":"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"\"x\"}"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"novelty","x":1}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"compaction","content":"so "}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"compaction_delta","content":"far"}}"#,
            STOP,
        ]);
        let raw: Vec<&str> = events
            .iter()
            .filter_map(|event| match event {
                Event::PartStart { kind: PartKind::Opaque(opaque), .. } => Some(opaque.raw.get()),
                _ => None,
            })
            .collect();
        assert_eq!(
            raw,
            [
                r#"{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"x"}}"#,
                r#"{"type":"compaction","content":"so far"}"#
            ]
        );
    }

    #[test]
    fn an_error_ends_the_stream_and_garbage_is_one() {
        for frame in [r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, "{"] {
            let events = decode(&[START, frame, STOP]);
            assert!(matches!(events.last(), Some(Event::Error(_))));
            assert_eq!(events.iter().filter(|event| matches!(event, Event::Error(_))).count(), 1);
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let events = decode(&[
            START,
            r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"type":"refusal","category":"x","explanation":"I cannot."}},"usage":{"output_tokens":1}}"#,
            STOP,
        ]);
        assert_eq!(text_of(&events), "I cannot.");
        let Some(Event::Finish { finish, .. }) = events.last() else { panic!("{events:?}") };
        assert_eq!(finish.reason, FinishReason::Refusal);
    }
}
