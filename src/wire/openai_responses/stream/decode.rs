//! From an upstream's stream to events. Items are known by their `output_index`: some upstreams give one item several ids.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::response::{Said, answered, finish, head};
use super::super::{SELF, cite, note};
use super::decode_error;
use crate::wire::StreamDecoder;
use crate::wire::frame::Frame;
use crate::wire::ir::{Delta, Error, ErrorKind, Event, Part, PartKind, Scope};
use crate::wire::json::{self, Ext, JsonError, Object, str_of};

/// Reads one stream.
#[derive(Default)]
pub(in super::super) struct Decoder {
    started: bool,
    /// A terminal event or an error came; nothing after it counts.
    ended: bool,
    open: Vec<Item>,
    /// Items that have ended, by their `output_index`.
    done: Vec<u64>,
    next: u32,
    said: Said,
}

/// An item that has begun.
struct Item {
    wire: u64,
    /// Its parts: a message has one per `content_index`, every other item one.
    parts: Vec<Open>,
    custom: bool,
    is_message: bool,
}

struct Open {
    index: u32,
    /// `content_index`, 0 for what is no message.
    content: u64,
    /// `summary_index` of the last piece of thoughts.
    summary: u64,
    /// Whether thoughts came as a summary.
    summarised: bool,
    written: bool,
    ended: bool,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if self.ended || frame.data.trim() == "[DONE]" {
            return;
        }
        if let Err(problem) = self.read(frame, out) {
            self.ended = true;
            let message = format!("the upstream sent an event that cannot be read: {problem}");
            out.push(Event::Error(Error::new(ErrorKind::Upstream, message)));
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.ended, true) {
            let message = "the upstream ended the stream without `response.completed`";
            out.push(Event::Error(Error::new(ErrorKind::Truncated, message)));
        }
    }
}

impl Decoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        let mut event = Object::parse(frame.data)?;
        let name = event.take("type").and_then(str_of).unwrap_or(Cow::Borrowed(frame.event)).into_owned();
        match name.as_str() {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(mut response) = event.object("response")? {
                    let head = head(&mut response);
                    self.start(head.id, head.model, head.created, out);
                }
            }
            "response.output_item.added" => self.added(&mut event, out)?,
            "response.content_part.added" => {
                let part = event.object("part")?;
                let kind = part.as_ref().and_then(|part| part.get("type")).and_then(str_of);
                let refusal = kind.as_deref() == Some("refusal");
                if refusal || kind.as_deref() == Some("output_text") {
                    self.said_part(&mut event, refusal, out)?;
                }
            }
            "response.output_text.delta" | "response.refusal.delta" => {
                let open = self.said_part(&mut event, name == "response.refusal.delta", out)?;
                append(open, event.string("delta")?, Delta::Text, out);
            }
            "response.output_text.done" | "response.refusal.done" => {
                let refusal = name == "response.refusal.done";
                let whole = event.string(if refusal { "refusal" } else { "text" })?;
                let open = self.said_part(&mut event, refusal, out)?;
                if !open.written {
                    append(open, whole, Delta::Text, out);
                }
            }
            "response.content_part.done" => self.part_done(&mut event, out)?,
            "response.reasoning_summary_text.delta" => self.thought(&mut event, true, out)?,
            "response.reasoning_text.delta" => self.thought(&mut event, false, out)?,
            "response.function_call_arguments.delta" => {
                let piece = event.string("delta")?;
                if let Some(open) = self.only_part(&mut event)? {
                    append(open, piece, Delta::Arguments, out);
                }
            }
            "response.output_item.done" => {
                let wire = output_index(&mut event)?.unwrap_or(u64::from(self.next));
                if let Some(raw) = event.take("item") {
                    self.item_done(wire, raw, out);
                }
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.terminal(&name, frame.data, &mut event, out)?;
            }
            "error" => self.fail(frame.data, out),
            "" if event.get("error").is_some_and(|raw| !json::says_nothing(raw)) => self.fail(frame.data, out),
            // OpenAI adds events for its built-in tools; their items come whole in `output_item.done`.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, id: Option<String>, model: Option<String>, created: Option<u64>, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Start { id, model, created });
        }
    }

    fn begin(&mut self, kind: PartKind, out: &mut Vec<Event>) -> Open {
        let index = self.next;
        self.next += 1;
        self.said.calls |= matches!(kind, PartKind::ToolCall { .. });
        self.said.refusal |= matches!(kind, PartKind::Refusal);
        out.push(Event::PartStart { index, candidate: 0, kind });
        Open { index, content: 0, summary: 0, summarised: false, written: false, ended: false }
    }

    fn added(&mut self, event: &mut Object<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        let wire = output_index(event)?.unwrap_or(u64::from(self.next));
        let Some(mut item) = event.object("item")? else { return Ok(()) };
        let kind = item.string("type")?.unwrap_or_default();
        let mut parts = Vec::new();
        match kind.as_str() {
            "reasoning" => parts.push(self.begin(PartKind::Reasoning, out)),
            "function_call" | "custom_tool_call" => {
                let (id, name) = (item.string("call_id")?, item.string("name")?.unwrap_or_default());
                parts.push(self.begin(PartKind::ToolCall { id, name }, out));
            }
            "message" => {}
            // Told whole when it is done.
            _ => return Ok(()),
        }
        let custom = kind == "custom_tool_call";
        self.open.push(Item { wire, parts, custom, is_message: kind == "message" });
        Ok(())
    }

    /// The open item of an event; an event without a number means the last one.
    fn item(&mut self, event: &mut Object<'_>) -> Result<Option<&mut Item>, JsonError> {
        let wire = output_index(event)?;
        Ok(match wire {
            Some(wire) => self.open.iter_mut().find(|item| item.wire == wire),
            None => self.open.last_mut(),
        })
    }

    fn only_part(&mut self, event: &mut Object<'_>) -> Result<Option<&mut Open>, JsonError> {
        Ok(self.item(event)?.and_then(|item| item.parts.first_mut()))
    }

    /// The text that an event belongs to, begun where nothing announced it.
    fn said_part(
        &mut self,
        event: &mut Object<'_>,
        refusal: bool,
        out: &mut Vec<Event>,
    ) -> Result<&mut Open, JsonError> {
        let content = event.u64("content_index")?.unwrap_or(0);
        let wire = output_index(event)?;
        let known = match wire {
            Some(wire) => self.open.iter().position(|item| item.wire == wire && item.is_message),
            None => self.open.iter().rposition(|item| item.is_message),
        };
        let at = known.unwrap_or_else(|| {
            let wire = wire.unwrap_or(u64::from(self.next));
            self.open.push(Item { wire, parts: Vec::new(), custom: false, is_message: true });
            self.open.len() - 1
        });
        let missing = self.open.get(at).is_none_or(|item| !item.parts.iter().any(|part| part.content == content));
        if missing {
            let open = self.begin(if refusal { PartKind::Refusal } else { PartKind::Text }, out);
            if let Some(item) = self.open.get_mut(at) {
                item.parts.push(Open { content, ..open });
            }
        }
        let item = self.open.get_mut(at);
        let part = item.and_then(|item| item.parts.iter_mut().find(|part| part.content == content));
        part.ok_or(JsonError::Missing { key: "content_index".to_owned() })
    }

    fn part_done(&mut self, event: &mut Object<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        let content = event.u64("content_index")?.unwrap_or(0);
        let part = event.object("part")?;
        let Some(item) = self.item(event)?.filter(|item| item.is_message) else { return Ok(()) };
        let Some(open) = item.parts.iter_mut().find(|open| open.content == content && !open.ended) else {
            return Ok(());
        };
        if let Some(mut part) = part {
            for modelled in ["type", "text", "refusal"] {
                part.take(modelled);
            }
            let mut ext = part.rest();
            cite::mark(&mut ext);
            extra(open.index, ext, out);
        }
        end(open, out);
        Ok(())
    }

    fn thought(&mut self, event: &mut Object<'_>, summary: bool, out: &mut Vec<Event>) -> Result<(), JsonError> {
        let number = event.u64("summary_index")?.unwrap_or(0);
        let piece = event.string("delta")?;
        let Some(open) = self.only_part(event)? else { return Ok(()) };
        // Open models show their thoughts, OpenAI a summary; what comes first is told.
        if open.written && open.summarised != summary {
            return Ok(());
        }
        open.summarised = summary;
        if open.written && number > open.summary {
            append(open, Some("\n\n".to_owned()), Delta::Text, out);
        }
        open.summary = number;
        append(open, piece, Delta::Text, out);
        Ok(())
    }

    /// Whatever of the item was not told before.
    fn item_done(&mut self, wire: u64, raw: &RawValue, out: &mut Vec<Event>) {
        if self.done.contains(&wire) {
            return;
        }
        self.done.push(wire);
        let position = self.open.iter().position(|item| item.wire == wire);
        let known = position.map(|position| self.open.remove(position));
        let mut parts = answered(raw);
        let Some(mut known) = known else { return self.tell(parts, out) };
        let missing = parts.split_off(known.parts.len().min(parts.len()));
        for (open, part) in known.parts.iter_mut().zip(parts) {
            complete(open, part, known.custom, out);
        }
        for open in known.parts.iter_mut().filter(|open| !open.ended) {
            end(open, out);
        }
        if known.is_message {
            self.tell(missing, out);
        }
    }

    /// Parts that nothing announced.
    fn tell(&mut self, parts: Vec<Part>, out: &mut Vec<Event>) {
        for part in parts {
            let (kind, custom) = match &part {
                Part::Text(_) => (PartKind::Text, false),
                Part::Refusal(_) => (PartKind::Refusal, false),
                Part::Reasoning(_) => (PartKind::Reasoning, false),
                Part::ToolCall(call) => (
                    PartKind::ToolCall { id: call.id.clone(), name: call.name.clone() },
                    call.ext.get("#custom").is_some(),
                ),
                Part::Opaque(opaque) => (PartKind::Opaque(opaque.clone()), false),
                Part::Media(media) => (PartKind::Media(media.clone()), false),
                // No item of an answer is one of these.
                Part::ToolResult(_) => continue,
            };
            let mut open = self.begin(kind, out);
            complete(&mut open, part, custom, out);
            if !open.ended {
                end(&mut open, out);
            }
        }
    }

    fn terminal(
        &mut self,
        name: &str,
        data: &str,
        event: &mut Object<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), JsonError> {
        let raw = event.take("response").ok_or(JsonError::Missing { key: "response".to_owned() })?;
        let mut response = Object::of(raw)?;
        let output = response.get("output").and_then(|raw| json::elements(raw, "output").ok()).unwrap_or_default();
        let failed = name == "response.failed";
        if !failed && self.done.is_empty() && self.open.is_empty() {
            for item in output {
                self.tell(answered(item), out);
            }
        }
        for mut item in std::mem::take(&mut self.open) {
            item.parts.iter_mut().filter(|open| !open.ended).for_each(|open| end(open, out));
        }
        let finish = finish(&response, self.said);
        let head = head(&mut response);
        self.start(head.id, head.model, head.created, out);
        out.extend(head.usage.map(Event::Usage));
        if failed {
            self.fail(data, out);
            return Ok(());
        }
        self.ended = true;
        let mut ext = note::rest(response);
        ext.0.extend(head.usage_left);
        if !ext.is_empty() {
            out.push(Event::Extra { origin: SELF, scope: Scope::Response, ext });
        }
        out.push(Event::Finish { candidate: 0, finish });
        Ok(())
    }

    fn fail(&mut self, data: &str, out: &mut Vec<Event>) {
        self.ended = true;
        out.push(Event::Error(decode_error(200, data.as_bytes())));
    }
}

fn output_index(event: &mut Object<'_>) -> Result<Option<u64>, JsonError> {
    event.u64("output_index")
}

fn append(open: &mut Open, piece: Option<String>, delta: impl FnOnce(String) -> Delta, out: &mut Vec<Event>) {
    if let Some(piece) = piece.filter(|piece| !piece.is_empty()) {
        open.written = true;
        out.push(Event::Delta { index: open.index, delta: delta(piece) });
    }
}

fn extra(index: u32, ext: Ext, out: &mut Vec<Event>) {
    let ext = Ext(ext.0.into_iter().filter(|(_, value)| !json::says_nothing(value)).collect());
    if !ext.is_empty() {
        out.push(Event::Extra { origin: SELF, scope: Scope::Part(index), ext });
    }
}

fn end(open: &mut Open, out: &mut Vec<Event>) {
    open.ended = true;
    out.push(Event::PartEnd { index: open.index });
}

/// Tells what the whole part has and the stream did not say.
fn complete(open: &mut Open, part: Part, custom: bool, out: &mut Vec<Event>) {
    if open.ended {
        // Said of the whole message, behind its texts.
        let phase = match part {
            Part::Text(mut text) | Part::Refusal(mut text) => {
                text.ext.0.retain(|(key, _)| key == "phase");
                text.ext
            }
            _ => Ext::default(),
        };
        return extra(open.index, phase, out);
    }
    match part {
        Part::Text(text) | Part::Refusal(text) => {
            if !open.written {
                append(open, Some(text.text), Delta::Text, out);
            }
            extra(open.index, text.ext, out);
        }
        Part::Reasoning(reasoning) => {
            if !open.written {
                append(open, Some(reasoning.text), Delta::Text, out);
            }
            if let Some(proof) = reasoning.signature {
                out.push(Event::Delta { index: open.index, delta: Delta::Signature(proof) });
            }
            extra(open.index, reasoning.ext, out);
        }
        Part::ToolCall(call) => {
            // Before the arguments: an encoder must know a freeform tool's call when it begins to write it.
            extra(open.index, call.ext, out);
            if custom || !open.written {
                append(open, Some(call.arguments), Delta::Arguments, out);
            }
        }
        Part::Opaque(_) | Part::Media(_) | Part::ToolResult(_) => {}
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

    #[test]
    fn items_are_known_by_their_number_whatever_their_ids() {
        let events = decode(&[
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"a"}}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"item_id":"b","delta":"hi"}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"c","role":"assistant","content":[{"type":"output_text","text":"hi"}]}}"#,
            r#"{"type":"response.completed","response":{"id":"r","status":"completed","output":[]}}"#,
            "[DONE]",
        ]);
        assert_eq!(events.iter().filter(|event| matches!(event, Event::PartStart { .. })).count(), 1);
        assert!(matches!(events.last(), Some(Event::Finish { .. })), "{events:?}");
    }

    #[test]
    fn a_failed_answer_is_an_error_with_its_usage() {
        let events = decode(&[
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"m"},"usage":{"input_tokens":3,"output_tokens":1}}}"#,
        ]);
        assert!(events.iter().any(|event| matches!(event, Event::Usage(usage) if usage.input == Some(3))));
        let Some(Event::Error(error)) = events.last() else { panic!("{events:?}") };
        assert_eq!((error.message.as_str(), error.code.as_deref()), ("m", Some("server_error")));
    }

    #[test]
    fn a_stream_without_its_end_is_truncated() {
        let events = decode(&[r#"{"type":"response.created","response":{"id":"r"}}"#]);
        assert!(matches!(events.last(), Some(Event::Error(error)) if error.kind == ErrorKind::Truncated));
    }

    #[test]
    fn an_answer_told_only_at_the_end_is_told() {
        let events = decode(&[
            r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}}"#,
        ]);
        assert!(events.iter().any(|event| matches!(event, Event::PartStart { kind: PartKind::ToolCall { .. }, .. })));
    }
}
