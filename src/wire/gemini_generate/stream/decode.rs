//! Chunks, into events.
//!
//! Parts have no bounds in a stream: a text goes on until a part of another kind comes, or until its signature has come (a
//! signed part is never merged with another). A candidate's end is held back until the stream's end, because some models
//! repeat `finishReason` in every chunk; a stream whose candidates have not all said one was cut.

use serde_json::value::RawValue;

use super::super::grounding::{self, Source};
use super::super::response::{block_reason, created};
use super::super::{error, finish, names, part, usage};
use super::partial::PartialArguments;
use crate::wire::ProtocolId;
use crate::wire::frame::Frame;
use crate::wire::ir::message::Opaque;
use crate::wire::ir::{
    Delta, Error, ErrorKind, Event, Finish, Part, PartKind, Reasoning, Scope, Signature, Text, ToolCall, Usage,
    citation,
};
use crate::wire::json::{self, Ext, Kind, Object};

/// Reads a stream.
#[derive(Default)]
pub(in super::super) struct Decoder {
    started: bool,
    /// An error was read; nothing counts any more.
    failed: bool,
    candidates: Vec<Candidate>,
    next_part: u32,
    usage: Option<Usage>,
    /// The response's members as last told.
    told: Ext,
}

#[derive(Default)]
struct Candidate {
    number: u32,
    open: Option<Open>,
    partial: Option<PartialCall>,
    called: bool,
    finish: Option<Finish>,
    /// The last text, with the number of its part, and the bytes of the texts before it.
    text: Option<(u32, String)>,
    before: usize,
    /// What the answer rests on, as far as it was not told with a text.
    sources: Vec<Source>,
    /// The members that named it: some upstreams repeat them.
    named: Option<Ext>,
}

/// A call whose arguments are still coming.
struct PartialCall {
    index: u32,
    arguments: PartialArguments,
}

/// A text or a thought that may go on.
struct Open {
    index: u32,
    thought: bool,
}

impl crate::wire::StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        let data = frame.data.trim();
        // Google sends no `[DONE]`; relays in front of it do.
        if self.failed || data.is_empty() || data == "[DONE]" {
            return;
        }
        if let Err(error) = self.data(data, out) {
            self.failed = true;
            out.push(Event::Error(error));
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.failed {
            return;
        }
        self.failed = true;
        if self.candidates.is_empty() || self.candidates.iter().any(|candidate| candidate.finish.is_none()) {
            let message = "the upstream's stream ended before its `finishReason`";
            out.push(Event::Error(Error::new(ErrorKind::Truncated, message)));
            return;
        }
        for candidate in &mut self.candidates {
            candidate.close(out);
            candidate.cite(out);
            if let Some(mut finish) = candidate.finish.take() {
                if let Some(word) = finish.raw.as_deref().filter(|_| candidate.called) {
                    finish = finish::decode(word, true);
                }
                out.push(Event::Finish { candidate: candidate.number, finish });
            }
        }
    }
}

impl Decoder {
    /// One event's data: a chunk. Several, where a relay left out the blank lines between events.
    fn data(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), Error> {
        for raw in serde_json::Deserializer::from_str(data).into_iter::<&RawValue>() {
            let raw = raw
                .map_err(|_| Error::new(ErrorKind::Upstream, "the upstream's stream holds a chunk that is not JSON"))?;
            self.value(raw, out)?;
        }
        Ok(())
    }

    /// A chunk, or an array around an error.
    fn value(&mut self, raw: &RawValue, out: &mut Vec<Event>) -> Result<(), Error> {
        if let Some(error) = stream_error(raw) {
            return Err(error);
        }
        if json::kind(raw) == Kind::Array {
            let chunks = json::elements(raw, "stream").map_err(broken)?;
            return chunks.into_iter().try_for_each(|chunk| self.chunk(chunk, out));
        }
        self.chunk(raw, out)
    }

    fn chunk(&mut self, raw: &RawValue, out: &mut Vec<Event>) -> Result<(), Error> {
        let mut chunk = Object::of(raw).map_err(broken)?;
        let id = chunk.string("responseId").map_err(broken)?;
        let model = chunk.string("modelVersion").map_err(broken)?;
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Start { id, model, created: created(&chunk) });
        }
        let candidates = chunk.array("candidates").map_err(broken)?.unwrap_or_default();
        let blocked = block_reason(chunk.get("promptFeedback")).filter(|_| candidates.is_empty());
        let usage = chunk.take("usageMetadata");
        // Usage goes before content: whoever writes a head with it (Anthropic) can then.
        self.response_members(chunk.rest(), usage, out);
        if let Some(word) = blocked {
            self.candidate(0).finish = Some(finish::blocked(&word));
        }
        for candidate in candidates {
            self.decode_candidate(Object::of(candidate).map_err(broken)?, out)?;
        }
        Ok(())
    }

    /// Tells usage and unmodelled members where they are news.
    fn response_members(&mut self, mut ext: Ext, usage: Option<&RawValue>, out: &mut Vec<Event>) {
        let mut news = false;
        if let Some(raw) = usage {
            let read = usage::decode(raw, &mut ext);
            news = read != Usage::default() && self.usage != Some(read);
            if news {
                self.usage = Some(read);
                out.push(Event::Usage(read));
            }
        }
        // New counts void what was told of the old ones.
        if !ext.is_empty() && (news || ext != self.told) {
            self.told = ext.clone();
            out.push(extra(Scope::Response, ext));
        }
    }

    fn candidate(&mut self, number: u32) -> &mut Candidate {
        let at = self.candidates.iter().position(|candidate| candidate.number == number);
        let at = at.unwrap_or_else(|| {
            self.candidates.push(Candidate { number, ..Candidate::default() });
            self.candidates.len().saturating_sub(1)
        });
        #[expect(clippy::indexing_slicing, reason = "found, or pushed just now")]
        &mut self.candidates[at]
    }

    fn decode_candidate(&mut self, mut members: Object<'_>, out: &mut Vec<Event>) -> Result<(), Error> {
        let number = members.u64("index").map_err(broken)?.unwrap_or(0);
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let content = members.object("content").map_err(broken)?;
        let word = members.take("finishReason").and_then(finish::word);
        let mut next = self.next_part;
        let candidate = self.candidate(number);
        candidate.members(members.rest(), out);
        if let Some(mut content) = content {
            for raw in content.array("parts").map_err(broken)?.unwrap_or_default() {
                candidate.part(raw, &mut next, out)?;
            }
        }
        if let Some(word) = word {
            candidate.finish = Some(finish::decode(&word, candidate.called));
        }
        self.next_part = next;
        Ok(())
    }
}

impl Candidate {
    /// Tells the members of a candidate; what names sources waits for the end of the text.
    fn members(&mut self, mut ext: Ext, out: &mut Vec<Event>) {
        let sources = grounding::take(&mut ext);
        if !sources.is_empty() && self.named.as_ref() != Some(&ext) {
            self.sources = sources;
            self.named = Some(ext.clone());
        }
        if !ext.is_empty() {
            out.push(extra(Scope::Candidate(self.number), ext));
        }
    }

    /// Tells what the last text rests on.
    fn cite(&mut self, out: &mut Vec<Event>) {
        if self.sources.is_empty() {
            return;
        }
        match &self.text {
            Some((index, text)) => {
                let cited = grounding::of_text(&mut self.sources, text, self.before, true);
                out.push(extra(Scope::Part(*index), Ext(citation::note(&cited).into_iter().collect())));
            }
            None => out.push(extra(Scope::Candidate(self.number), grounding::of_no_text())),
        }
    }

    fn part(&mut self, raw: &RawValue, next: &mut u32, out: &mut Vec<Event>) -> Result<(), Error> {
        if self.partial_call(raw, next, out)? {
            return Ok(());
        }
        match part::decode(raw).map_err(|error| Error { kind: ErrorKind::Upstream, status: 502, ..error })? {
            Part::Text(text) | Part::Refusal(text) => self.text(text, next, out),
            Part::Reasoning(thought) => self.thought(thought, next, out),
            Part::ToolCall(call) => self.call(call, next, out),
            Part::Media(media) => self.whole(PartKind::Media(media), next, out),
            Part::Opaque(opaque) => self.opaque(opaque, next, out),
            Part::ToolResult(_) => {
                let opaque = Opaque { origin: ProtocolId::Gemini, raw: raw.to_owned() };
                self.whole(PartKind::Opaque(opaque), next, out);
            }
        }
        Ok(())
    }

    fn text(&mut self, text: Text, next: &mut u32, out: &mut Vec<Event>) {
        if text.text.is_empty() && text.ext.keys().next().is_none() {
            return;
        }
        let index = self.open(false, next, out);
        if !text.text.is_empty() {
            self.heard(index, &text.text);
            out.push(Event::Delta { index, delta: Delta::Text(text.text) });
        }
        let signed = text.ext.get("thoughtSignature").is_some();
        if !text.ext.is_empty() {
            out.push(extra(Scope::Part(index), text.ext));
        }
        if signed {
            self.close(out);
        }
    }

    /// Remembers the text, whose sources are named behind it.
    fn heard(&mut self, index: u32, piece: &str) {
        match &mut self.text {
            Some((known, text)) if *known == index => text.push_str(piece),
            last => {
                self.before += last.as_ref().map_or(0, |(_, text)| text.len());
                *last = Some((index, piece.to_owned()));
            }
        }
    }

    fn thought(&mut self, thought: Reasoning, next: &mut u32, out: &mut Vec<Event>) {
        if thought.text.is_empty() && thought.signature.is_none() {
            return;
        }
        let index = self.open(true, next, out);
        if !thought.text.is_empty() {
            out.push(Event::Delta { index, delta: Delta::Text(thought.text) });
        }
        if thought.ext.keys().next().is_some() {
            out.push(extra(Scope::Part(index), thought.ext));
        }
        if let Some(signature) = thought.signature {
            out.push(Event::Delta { index, delta: Delta::Signature(signature) });
            self.close(out);
        }
    }

    fn call(&mut self, call: ToolCall, next: &mut u32, out: &mut Vec<Event>) {
        self.called = true;
        self.close(out);
        let index = begin(PartKind::ToolCall { id: call.id, name: call.name }, self.number, next, out);
        // First, because other protocols have the place for it before the call.
        if let Some(signature) = call.signature {
            out.push(Event::Delta { index, delta: Delta::Signature(signature) });
        }
        out.push(Event::Delta { index, delta: Delta::Arguments(call.arguments) });
        if !call.ext.is_empty() {
            out.push(extra(Scope::Part(index), call.ext));
        }
        out.push(Event::PartEnd { index });
    }

    /// A part nobody modelled. One that is nothing but a signature belongs to the text before it.
    fn opaque(&mut self, opaque: Opaque, next: &mut u32, out: &mut Vec<Event>) {
        let index = self.open.as_ref().filter(|open| !open.thought).map(|open| open.index);
        match (index, lone_signature(&opaque.raw)) {
            (Some(index), Some(ext)) => {
                out.push(extra(Scope::Part(index), ext));
                self.close(out);
            }
            _ => self.whole(PartKind::Opaque(opaque), next, out),
        }
    }

    fn whole(&mut self, kind: PartKind, next: &mut u32, out: &mut Vec<Event>) {
        self.close(out);
        let index = begin(kind, self.number, next, out);
        out.push(Event::PartEnd { index });
    }

    /// The open part of the kind, begun where there is none.
    fn open(&mut self, thought: bool, next: &mut u32, out: &mut Vec<Event>) -> u32 {
        if let Some(open) = self.open.as_ref().filter(|open| open.thought == thought) {
            return open.index;
        }
        self.close(out);
        let kind = if thought { PartKind::Reasoning } else { PartKind::Text };
        let index = begin(kind, self.number, next, out);
        self.open = Some(Open { index, thought });
        index
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        self.close_partial(out);
        if let Some(open) = self.open.take() {
            if !open.thought {
                self.cite(out);
            }
            out.push(Event::PartEnd { index: open.index });
        }
    }

    /// Reads a call whose arguments come in pieces (Vertex `streamFunctionCallArguments`): a name first, then
    /// `partialArgs`, then a call with nothing in it. `false`: the part is none of these.
    fn partial_call(&mut self, raw: &RawValue, next: &mut u32, out: &mut Vec<Event>) -> Result<bool, Error> {
        let mut object = Object::of(raw).map_err(broken)?;
        let Some(mut call) = object.object("functionCall").map_err(broken)? else { return Ok(false) };
        let more = call.bool("willContinue").map_err(broken)?.unwrap_or(false);
        let pieces = call.array("partialArgs").map_err(broken)?.unwrap_or_default();
        let name = call.string("name").map_err(broken)?;
        if (name.is_some() && !more && pieces.is_empty()) || (name.is_none() && self.partial.is_none()) {
            return Ok(false);
        }
        if let Some(name) = name {
            self.called = true;
            self.close(out);
            let id = call.string("id").map_err(broken)?;
            let name = names::decode(&name);
            let index = begin(PartKind::ToolCall { id, name }, self.number, next, out);
            self.partial = Some(PartialCall { index, arguments: PartialArguments::default() });
        }
        if let Some(partial) = &mut self.partial {
            pieces.into_iter().try_for_each(|piece| partial.arguments.add(piece)).map_err(broken)?;
            if let Some(value) = object.string("thoughtSignature").map_err(broken)? {
                let signature = Signature { issuer: ProtocolId::Gemini, value };
                out.push(Event::Delta { index: partial.index, delta: Delta::Signature(signature) });
            }
        }
        if !more {
            self.close_partial(out);
        }
        Ok(true)
    }

    fn close_partial(&mut self, out: &mut Vec<Event>) {
        if let Some(PartialCall { index, arguments }) = self.partial.take() {
            out.push(Event::Delta { index, delta: Delta::Arguments(arguments.text()) });
            out.push(Event::PartEnd { index });
        }
    }
}

fn begin(kind: PartKind, candidate: u32, next: &mut u32, out: &mut Vec<Event>) -> u32 {
    let index = *next;
    *next = next.saturating_add(1);
    out.push(Event::PartStart { index, candidate, kind });
    index
}

fn extra(scope: Scope, ext: Ext) -> Event {
    Event::Extra { origin: ProtocolId::Gemini, scope, ext }
}

/// The members of a part that has an empty text and a signature, without the text.
fn lone_signature(raw: &RawValue) -> Option<Ext> {
    let mut object = Object::of(raw).ok()?;
    let empty = object.take("text").is_some_and(|text| text.get() == "\"\"");
    empty.then(|| object.rest())
}

/// The error that a chunk holds. Its own code is the status that the caller should see.
fn stream_error(raw: &RawValue) -> Option<Error> {
    let status = error_code(raw).filter(|code| (400..600).contains(code)).unwrap_or(ErrorKind::Upstream.status());
    error::of_value(status, raw)
}

fn error_code(raw: &RawValue) -> Option<u16> {
    if json::kind(raw) == Kind::Array {
        return json::elements(raw, "stream").ok()?.into_iter().find_map(error_code);
    }
    let code = Object::of(raw).ok()?.object("error").ok()??.u64("code").ok()??;
    u16::try_from(code).ok()
}

fn broken(error: json::JsonError) -> Error {
    Error::new(ErrorKind::Upstream, format!("the upstream's stream holds a chunk that cannot be read: {error}"))
}
