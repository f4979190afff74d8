//! From a stream to events. Only tool calls announce themselves with a `contentBlockStart`; text and thoughts begin with
//! their first delta. Indices may have gaps. Usage comes behind the stop, so the end is told only then.

use serde_json::value::RawValue;

use super::{SELF, block, cite, error, finish, legal, usage};
use crate::wire::frame::{Frame, event_stream};
use crate::wire::ir::{Citation, Delta, Error, ErrorKind, Event, Finish, Media, MediaKind, PartKind, Scope, citation};
use crate::wire::json::{self, Ext, JsonError, Object};
use crate::wire::{StreamDecoder, usage_left};

/// Reads one stream.
#[derive(Default)]
pub(super) struct Decoder {
    /// `metadata`, an error or the end came; nothing after it counts.
    ended: bool,
    open: Option<Open>,
    /// The number of the next part.
    next: u32,
    finish: Option<Finish>,
    /// The format of the image whose bytes come next.
    image: Option<Box<RawValue>>,
}

/// The part that has begun and not ended.
struct Open {
    /// Its `contentBlockIndex`.
    wire: u64,
    index: u32,
    kind: Kind,
    citations: Vec<Citation>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Call {
        /// Whether any piece of the arguments came.
        argued: bool,
    },
    /// Whole at its start.
    Whole,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        if event_stream::problem(frame).is_some() {
            self.ended = true;
            return out.push(Event::Error(error::of_frame(frame)));
        }
        if let Err(problem) = self.read(frame, out) {
            self.ended = true;
            let message = format!("the upstream sent an event that cannot be read: {problem}");
            out.push(Event::Error(Error::new(ErrorKind::Upstream, message)));
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        match self.finish.take() {
            // Usage is lost, the answer is not.
            Some(finish) => out.push(Event::Finish { candidate: 0, finish }),
            None => out.push(Event::Error(Error::new(
                ErrorKind::Truncated,
                "the upstream ended the stream without `messageStop`",
            ))),
        }
    }
}

impl Decoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        let mut event = Object::parse(frame.data)?;
        // Padding that hides the length of what is said.
        event.take("p");
        match frame.event {
            "messageStart" => out.push(Event::Start { id: None, model: None, created: None }),
            "contentBlockStart" => self.block_start(event, out)?,
            "contentBlockDelta" => self.block_delta(event, out)?,
            // Citations may follow a text in blocks of their own.
            "contentBlockStop" if self.open.as_ref().is_some_and(|open| open.kind == Kind::Text) => {}
            "contentBlockStop" => self.close(out),
            "messageStop" => self.message_stop(event, out)?,
            "metadata" => self.metadata(event, out)?,
            // New events may come.
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, wire: u64, kind: Kind, part: PartKind, out: &mut Vec<Event>) -> u32 {
        self.close(out);
        let index = self.next;
        self.next += 1;
        self.open = Some(Open { wire, index, kind, citations: Vec::new() });
        out.push(Event::PartStart { index, candidate: 0, kind: part });
        index
    }

    /// The part that a delta of this kind belongs to: the open one, or a new one.
    fn part(&mut self, wire: u64, kind: Kind, part: PartKind, out: &mut Vec<Event>) -> u32 {
        match &self.open {
            Some(open) if open.wire == wire && open.kind == kind => open.index,
            _ => self.begin(wire, kind, part, out),
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        let Some(Open { index, kind, citations, .. }) = self.open.take() else { return };
        if kind == (Kind::Call { argued: false }) {
            out.push(Event::Delta { index, delta: Delta::Arguments("{}".to_owned()) });
        }
        if let Some(note) = citation::note(&citations) {
            out.push(extra(Scope::Part(index), Ext(vec![note])));
        }
        out.push(Event::PartEnd { index });
    }

    fn block_start(&mut self, mut event: Object<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        let wire = index(&mut event)?;
        let Some(raw) = event.take("start") else { return Ok(()) };
        let mut start = Object::of(raw)?;
        let call = start.get("toolUse").map(Object::of).transpose()?;
        // What the service runs it sends as further blocks: no call of the caller's.
        if let Some(mut call) = call.filter(|call| !block::runs_at_service(call)) {
            let id = call.string("toolUseId")?;
            let name = legal::original_name(&call.string("name")?.unwrap_or_default());
            self.begin(wire, Kind::Call { argued: false }, PartKind::ToolCall { id, name }, out);
        } else if let Some(image) = start.object("image")? {
            self.image = image.get("format").map(ToOwned::to_owned);
        } else if start.get("text").is_none() && !start.members().is_empty() {
            self.begin(wire, Kind::Whole, PartKind::Opaque(block::opaque(raw)), out);
        }
        Ok(())
    }

    fn block_delta(&mut self, mut event: Object<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        let wire = index(&mut event)?;
        let Some(mut delta) = event.object("delta")? else { return Ok(()) };
        if let Some(text) = delta.string("text")? {
            let index = self.part(wire, Kind::Text, PartKind::Text, out);
            out.push(Event::Delta { index, delta: Delta::Text(text) });
        } else if let Some(mut call) = delta.object("toolUse")? {
            let piece = call.string("input")?.unwrap_or_default();
            match self.open.as_mut().filter(|open| open.wire == wire) {
                Some(Open { index, kind: Kind::Call { argued }, .. }) if !piece.is_empty() => {
                    *argued = true;
                    out.push(Event::Delta { index: *index, delta: Delta::Arguments(piece) });
                }
                // Nothing yet, or the call of a tool that the service runs.
                Some(Open { kind: Kind::Call { .. } | Kind::Whole, .. }) => {}
                Some(Open { kind: Kind::Text | Kind::Reasoning, .. }) | None => {
                    return Err(JsonError::Missing { key: "contentBlockStart".to_owned() });
                }
            }
        } else if let Some(thoughts) = delta.object("reasoningContent")? {
            self.thoughts(wire, thoughts, out)?;
        } else if let Some(image) = delta.get("image").and_then(|image| self.image(image)) {
            self.begin(wire, Kind::Whole, PartKind::Media(image), out);
        } else if let Some(citation) = delta.take("citation") {
            if self.open.as_ref().is_none_or(|open| open.kind != Kind::Text) {
                self.begin(wire, Kind::Text, PartKind::Text, out);
            }
            self.open.iter_mut().for_each(|open| open.citations.push(citation::one(citation, cite::read)));
        }
        Ok(())
    }

    /// An image whose format stood in the start of its block.
    fn image(&mut self, delta: &RawValue) -> Option<Media> {
        let format = self.image.take()?;
        let mut whole = Vec::new();
        json::object(&mut whole, |image| {
            image.raw("format", &format);
            block::write_members(delta, image);
        });
        block::media(MediaKind::Image, &json::raw(String::from_utf8(whole).ok()?)?)
    }

    fn thoughts(&mut self, wire: u64, mut thoughts: Object<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        if let Some(redacted) = thoughts.string("redactedContent")? {
            self.begin(wire, Kind::Whole, PartKind::RedactedReasoning(block::signed(redacted)), out);
            return Ok(());
        }
        let index = self.part(wire, Kind::Reasoning, PartKind::Reasoning, out);
        if let Some(text) = thoughts.string("text")? {
            out.push(Event::Delta { index, delta: Delta::Text(text) });
        }
        if let Some(signature) = thoughts.string("signature")?.filter(|signature| !signature.is_empty()) {
            out.push(Event::Delta { index, delta: Delta::Signature(block::signed(signature)) });
        }
        Ok(())
    }

    fn message_stop(&mut self, mut event: Object<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        self.close(out);
        let stop = event.get("additionalModelResponseFields").and_then(usage::stop_sequence);
        let word = event.string("stopReason")?.unwrap_or_default();
        self.finish = Some(finish::read(word, stop));
        report(event.rest(), out);
        Ok(())
    }

    fn metadata(&mut self, mut event: Object<'_>, out: &mut Vec<Event>) -> Result<(), JsonError> {
        let left = usage_left::member(event.get("usage"), usage::READ);
        if let Some(usage) = event.object("usage")?.and_then(usage::read) {
            out.push(Event::Usage(usage));
        }
        let mut ext = event.rest();
        ext.0.extend(left);
        report(ext, out);
        // Metadata before the stop says nothing of the end.
        if let Some(finish) = self.finish.take() {
            self.ended = true;
            out.push(Event::Finish { candidate: 0, finish });
        }
        Ok(())
    }
}

fn index(event: &mut Object<'_>) -> Result<u64, JsonError> {
    event.u64("contentBlockIndex")?.ok_or(JsonError::Missing { key: "contentBlockIndex".to_owned() })
}

/// Members that nobody took.
fn report(ext: Ext, out: &mut Vec<Event>) {
    if !ext.is_empty() {
        out.push(extra(Scope::Response, ext));
    }
}

fn extra(scope: Scope, ext: Ext) -> Event {
    Event::Extra { origin: SELF, scope, ext }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ir::{FinishReason, Part, fold};

    fn decode(frames: &[(&str, &str)]) -> Vec<Event> {
        let (mut decoder, mut events) = (Decoder::default(), Vec::new());
        for (event, data) in frames {
            decoder.frame(&Frame { event, data }, &mut events);
        }
        decoder.finish(&mut events);
        events
    }

    const START: (&str, &str) = ("messageStart", r#"{"role":"assistant","p":"abc"}"#);
    const STOP: (&str, &str) = ("messageStop", r#"{"stopReason":"tool_use"}"#);
    const METADATA: (&str, &str) = (
        "metadata",
        r#"{"usage":{"inputTokens":3,"outputTokens":5,"cacheReadInputTokens":4},"metrics":{"latencyMs":1}}"#,
    );

    #[test]
    fn gaps_in_the_indices_and_missing_starts_do_not_matter() {
        let events = decode(&[
            START,
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}}}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"c2ln"}}}"#),
            ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"text":"a"}}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"text":"b"}}"#),
            (
                "contentBlockStart",
                r#"{"contentBlockIndex":5,"start":{"toolUse":{"toolUseId":"t1","name":"fs_x2e_read"}}}"#,
            ),
            ("contentBlockDelta", r#"{"contentBlockIndex":5,"delta":{"toolUse":{"input":"{\"a\":1}"}}}"#),
            ("contentBlockStart", r#"{"contentBlockIndex":6,"start":{"toolUse":{"toolUseId":"t2","name":"now"}}}"#),
            STOP,
            METADATA,
        ]);
        let answer = fold(SELF, &events).unwrap();
        let [Part::Reasoning(thoughts), Part::Text(text), Part::ToolCall(read), Part::ToolCall(now)] =
            answer.candidates[0].parts.as_slice()
        else {
            panic!("{answer:?}")
        };
        assert_eq!((thoughts.text.as_str(), thoughts.signature.as_ref().unwrap().value.as_str()), ("hm", "c2ln"));
        assert_eq!(text.text, "ab");
        assert_eq!((read.name.as_str(), read.arguments.as_str()), ("fs.read", "{\"a\":1}"));
        assert_eq!((now.id.as_deref(), now.arguments.as_str()), (Some("t2"), "{}"));
        assert_eq!(answer.usage.unwrap().input, Some(7));
        assert_eq!(answer.candidates[0].finish.as_ref().unwrap().reason, FinishReason::ToolCalls);
        let [starts, ends] = [
            events.iter().filter(|event| matches!(event, Event::PartStart { .. })).count(),
            events.iter().filter(|event| matches!(event, Event::PartEnd { .. })).count(),
        ];
        assert_eq!((starts, ends), (4, 4));
    }

    /// Amazon's own models name the type of an ordinary call.
    #[test]
    fn a_call_that_says_that_it_is_one_is_one() {
        let start = r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t1","name":"now","type":"tool_use"}}}"#;
        let events = decode(&[
            START,
            ("contentBlockStart", start),
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"q\":1}"}}}"#),
            ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
            ("messageStop", r#"{"stopReason":"tool_use"}"#),
            METADATA,
        ]);
        let streamed = fold(SELF, &events).unwrap().candidates.remove(0).parts;
        let block = r#"{"toolUse":{"toolUseId":"t1","name":"now","type":"tool_use","input":{"q":1}}}"#;
        let whole = block::decode(&json::raw(block).unwrap()).unwrap();
        for part in [&streamed[0], &whole] {
            let Part::ToolCall(call) = part else { panic!("{part:?}") };
            let told = (call.id.as_deref(), call.name.as_str(), call.arguments.as_str());
            assert_eq!(told, (Some("t1"), "now", r#"{"q":1}"#));
            assert_eq!(call.ext.keys().next(), None, "nothing that a caller of another protocol misses");
        }
    }

    #[test]
    fn tools_that_the_service_runs_are_no_calls_of_the_callers() {
        let start = r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t1","name":"nova_grounding","type":"server_tool_use"}}}"#;
        let result =
            r#"{"contentBlockIndex":1,"start":{"toolResult":{"toolUseId":"t1","type":"nova_grounding_result"}}}"#;
        let events = decode(&[
            START,
            ("contentBlockStart", start),
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"q\":1}"}}}"#),
            ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
            ("contentBlockStart", result),
            ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"toolResult":[{"json":{"a":1}}]}}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"text":"found"}}"#),
            ("messageStop", r#"{"stopReason":"end_turn"}"#),
            METADATA,
        ]);
        let parts = fold(SELF, &events).unwrap().candidates.remove(0).parts;
        let [Part::Opaque(call), Part::Opaque(_), Part::Text(text)] = parts.as_slice() else { panic!("{parts:?}") };
        assert!(call.raw.get().contains("nova_grounding") && text.text == "found");
        let whole = [
            r#"{"toolUse":{"toolUseId":"t1","name":"nova_grounding","type":"server_tool_use","input":{"q":1}}}"#,
            r#"{"toolResult":{"toolUseId":"t1","type":"nova_grounding_result","content":[{"json":{"a":1}}]}}"#,
        ];
        for block in whole.map(|block| json::raw(block).unwrap()) {
            assert!(matches!(block::decode(&block).unwrap(), Part::Opaque(_)), "{block}");
        }
    }

    #[test]
    fn citations_in_blocks_of_their_own_are_of_the_text_before() {
        let one = r#"{"location":{"web":{"url":"https://a.example"}}}"#;
        let two = r#"{"location":{"web":{"url":"https://b.example"}}}"#;
        let delta = |at: u32, delta: &str| format!(r#"{{"contentBlockIndex":{at},"delta":{delta}}}"#);
        let stop = |at: u32| format!(r#"{{"contentBlockIndex":{at}}}"#);
        let (text, dot) = (delta(0, r#"{"text":"It rains"}"#), delta(3, r#"{"text":"."}"#));
        let (first, second) =
            (delta(1, &format!(r#"{{"citation":{one}}}"#)), delta(2, &format!(r#"{{"citation":{two}}}"#)));
        let events = decode(&[
            START,
            ("contentBlockDelta", &text),
            ("contentBlockStop", &stop(0)),
            ("contentBlockDelta", &first),
            ("contentBlockStop", &stop(1)),
            ("contentBlockDelta", &second),
            ("contentBlockStop", &stop(2)),
            ("contentBlockDelta", &dot),
            ("contentBlockStop", &stop(3)),
            ("messageStop", r#"{"stopReason":"end_turn"}"#),
            METADATA,
        ]);
        let streamed = fold(SELF, &events).unwrap().candidates.remove(0).parts;
        let cited = |one: &str| format!(r#"{{"citationsContent":{{"citations":[{one}]}}}}"#);
        let blocks = [r#"{"text":"It rains"}"#.to_owned(), cited(one), cited(two), r#"{"text":"."}"#.to_owned()];
        let whole = format!(r#"{{"output":{{"message":{{"role":"assistant","content":[{}]}}}}}}"#, blocks.join(","));
        let whole = super::super::response::decode(whole.as_bytes()).unwrap().candidates.remove(0).parts;
        for parts in [&streamed, &whole] {
            let [Part::Text(text), Part::Text(dot)] = parts.as_slice() else { panic!("{parts:?}") };
            assert_eq!((text.text.as_str(), dot.text.as_str()), ("It rains", "."));
            let urls: Vec<_> = citation::of(&text.ext).into_iter().filter_map(|citation| citation.url).collect();
            assert_eq!(urls, ["https://a.example", "https://b.example"]);
        }
    }

    #[test]
    fn an_exception_within_a_stream_is_its_end() {
        let text = ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"a"}}"#);
        let events = decode(&[START, text, ("exception:throttlingException", r#"{"message":"slow"}"#), STOP]);
        let Some(Event::Error(error)) = events.last() else { panic!("{events:?}") };
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::RateLimit, "slow"));
    }

    #[test]
    fn a_stream_without_its_stop_was_cut_and_one_without_metadata_was_not() {
        let kind = |frames: &[(&str, &str)]| match decode(frames).pop() {
            Some(Event::Error(error)) => Some(error.kind),
            _ => None,
        };
        assert_eq!(kind(&[START]), Some(ErrorKind::Truncated));
        assert_eq!(kind(&[START, STOP]), None);
        let orphan = ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{"}}}"#);
        assert_eq!(kind(&[START, orphan]), Some(ErrorKind::Upstream));
    }
}
