//! Streams, read. Vendors disagree on nearly everything but the text deltas; what is read here:
//! a finish reason may come early (Together), twice (OpenRouter) or without an end marker (Perplexity), so the finish is told
//! only at the end; calls may lack an index (Gemini, Mistral), share one, come whole, repeat their id or change it.

use serde_json::value::RawValue;

use super::calls::{CallDelta, Calls};
use super::finish::{self, Held};
use super::response::speaks;
use super::think::{Piece, Splitter};
use super::{cite, content, details, error, message, stream_extra, usage};
use crate::wire::frame::Frame;
use crate::wire::ir::{
    Citation, Delta, Error, ErrorKind, Event, Finish, FinishReason, Part, PartKind, Scope, Usage, citation,
};
use crate::wire::json::{self, Ext, Kind, Object};
use crate::wire::{StreamDecoder, usage_left};

/// More answers at once than any provider gives (OpenAI: 128).
const MOST_CANDIDATES: u64 = 128;

#[derive(Debug, Default)]
pub(super) struct Decoder {
    started: bool,
    /// An end or an error was told; what follows is not read.
    ended: bool,
    candidates: Vec<Candidate>,
    parts: Parts,
    usage: Option<Usage>,
    /// Members of the chunks that nobody modelled, as they were told last: many upstreams repeat them in every chunk.
    told: Ext,
    /// Thoughts come within the text, between tags.
    think_tags: bool,
}

/// Numbers for parts, in the order of their beginning.
#[derive(Debug, Default)]
pub(super) struct Parts(u32);

impl Parts {
    pub(super) fn begin(&mut self, candidate: u32, kind: PartKind, out: &mut Vec<Event>) -> u32 {
        let index = self.0;
        self.0 += 1;
        out.push(Event::PartStart { index, candidate, kind });
        index
    }
}

#[derive(Debug)]
struct Candidate {
    number: u32,
    /// The text, refusal or reasoning part that is open.
    open: Option<(Kinded, u32)>,
    calls: Calls,
    refused: bool,
    /// Thoughts came in a member of their own, not only in details.
    reasons_in_words: bool,
    finish: Option<String>,
    /// Looks for thoughts between tags.
    splitter: Option<Splitter>,
    /// The parts of its text, with their lengths in characters.
    texts: Vec<(u32, u64)>,
    /// What the text rests on and was not told yet.
    cited: Vec<Citation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kinded {
    Text,
    Refusal,
    Reasoning,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        let data = frame.data.trim();
        if self.ended || data.is_empty() {
            return;
        }
        if data == "[DONE]" {
            return self.end(out);
        }
        if frame.event == "error" {
            return self.fail(error::decode(200, data.as_bytes()), out);
        }
        if let Err(error) = self.chunk(data, out) {
            self.fail(error, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        let finished = self.candidates.iter().all(|candidate| candidate.finish.is_some());
        if finished && !self.candidates.is_empty() {
            self.end(out);
        } else {
            let message = "the upstream's stream broke off before the answer was finished";
            self.fail(Error::new(ErrorKind::Truncated, message), out);
        }
    }
}

impl Decoder {
    pub(super) fn new(think_tags: bool) -> Decoder {
        Decoder { think_tags, ..Decoder::default() }
    }

    fn chunk(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), Error> {
        let mut chunk: Object<'_> = serde_json::from_str(data).map_err(|_| unreadable(data))?;
        let is_error = |raw: &RawValue| !json::says_nothing(raw);
        if chunk.get("error").is_some_and(is_error) {
            return Err(error::decode(200, data.as_bytes()));
        }
        let choices = chunk.get("choices").and_then(|raw| json::elements(raw, "choices").ok());
        if choices.is_none() && chunk.get("usage").is_none() && chunk.get("detail").or(chunk.get("message")).is_some() {
            return Err(error::decode(200, data.as_bytes()));
        }
        let choices = choices.unwrap_or_default();
        if !choices.is_empty() {
            self.start(&mut chunk, out);
        }
        for choice in choices {
            self.choice(choice, out)?;
        }
        if let Some(usage) = usage::of_answer(data.as_bytes()).filter(|usage| self.usage.as_ref() != Some(usage)) {
            self.start(&mut chunk, out);
            self.usage = Some(usage);
            out.push(Event::Usage(usage));
            if let Some(left) = usage_left::member(chunk.get("usage"), usage::READ) {
                out.push(stream_extra::event(Scope::Response, Ext(vec![left])));
            }
        }
        let news = stream_extra::news(&chunk, &mut self.told);
        if self.started && !news.is_empty() {
            out.push(stream_extra::event(Scope::Response, news));
        }
        Ok(())
    }

    /// Azure's first chunk has neither an id nor a choice, hence not simply the first chunk's.
    fn start(&mut self, chunk: &mut Object<'_>, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let id = chunk.string("id").ok().flatten();
        let model = chunk.string("model").ok().flatten();
        let created = chunk.number("created").ok().flatten().and_then(|created| created.as_u64());
        out.push(Event::Start { id, model, created });
        if !self.told.is_empty() {
            out.push(stream_extra::event(Scope::Response, self.told.clone()));
        }
    }

    fn choice(&mut self, raw: &RawValue, out: &mut Vec<Event>) -> Result<(), Error> {
        let broken = |error: serde_json::Error| {
            Error::new(ErrorKind::Upstream, format!("the upstream sent a chunk that is no chat completion: {error}"))
        };
        let mut choice: Object<'_> = serde_json::from_str(raw.get()).map_err(broken)?;
        if choice.get("error").is_some_and(|raw| !json::says_nothing(raw)) {
            return Err(error::decode(200, raw.get().as_bytes()));
        }
        let number = choice.u64("index").ok().flatten().unwrap_or(0);
        let finish = choice.string("finish_reason").ok().flatten().filter(|word| !word.is_empty());
        // Perplexity sends the whole message so far beside the delta.
        let delta = choice.object("delta").ok().flatten();
        let is_first = !self.candidates.iter().any(|candidate| u64::from(candidate.number) == number);
        let message = if delta.is_none() && is_first { choice.object("message").ok().flatten() } else { None };
        let parts = &mut self.parts;
        let candidate = candidate(&mut self.candidates, number, self.think_tags)?;
        let mut unmodelled = stream_extra::of_choice(&choice);
        if let Some(mut delta) = delta.or(message) {
            candidate.cited(&mut delta);
            unmodelled.0.extend(stream_extra::of_delta(&delta).0);
            candidate.delta(delta, parts, out);
        }
        if !unmodelled.is_empty() {
            out.push(stream_extra::event(Scope::Candidate(candidate.number), unmodelled));
        }
        if finish.is_some() {
            candidate.finish = finish;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.ended = true;
        for candidate in &mut self.candidates {
            candidate.end(&mut self.parts, out);
        }
    }

    fn fail(&mut self, error: Error, out: &mut Vec<Event>) {
        self.ended = true;
        out.push(Event::Error(error));
    }
}

/// A chunk that is no JSON: an error in plain text, or a chunk that was cut off.
fn unreadable(data: &str) -> Error {
    if data.starts_with('{') {
        return Error::new(ErrorKind::Truncated, "the upstream's stream broke off within a chunk");
    }
    error::decode(200, data.as_bytes())
}

fn candidate(candidates: &mut Vec<Candidate>, number: u64, think_tags: bool) -> Result<&mut Candidate, Error> {
    let refused = || Error::new(ErrorKind::Upstream, format!("the upstream sent an answer number {number}"));
    let number = u32::try_from(number).ok().filter(|_| number < MOST_CANDIDATES).ok_or_else(refused)?;
    let position = candidates.iter().position(|candidate| candidate.number == number);
    let position = position.unwrap_or_else(|| {
        candidates.push(Candidate {
            number,
            open: None,
            calls: Calls::default(),
            refused: false,
            reasons_in_words: false,
            finish: None,
            splitter: think_tags.then(Splitter::default),
            texts: Vec::new(),
            cited: Vec::new(),
        });
        candidates.len() - 1
    });
    candidates.get_mut(position).ok_or_else(refused)
}

impl Candidate {
    fn delta(&mut self, mut delta: Object<'_>, parts: &mut Parts, out: &mut Vec<Event>) {
        let mut reasoning = Vec::new();
        let in_words = ["reasoning_content", "reasoning"].iter().any(|key| delta.get(key).is_some_and(speaks));
        self.reasons_in_words |= in_words;
        message::decode_reasoning(&mut delta, &mut reasoning);
        for part in reasoning {
            if let Part::Reasoning(mut reasoning) = part {
                // Details that come apart from the words repeat them.
                if self.reasons_in_words && !in_words {
                    reasoning.text.clear();
                }
                self.text(Kinded::Reasoning, &reasoning.text, parts, out);
                self.details(&reasoning.ext, parts, out);
            }
        }
        if let Some(raw) = delta.take("content") {
            self.content(raw, parts, out);
        }
        if let Some(refusal) = delta.get("refusal").and_then(json::str_of) {
            self.text(Kinded::Refusal, &refusal, parts, out);
        }
        if let Some(images) = delta.get("images") {
            for raw in json::elements(images, "images").unwrap_or_default() {
                self.part(content::decode_part(raw), parts, out);
            }
        }
        self.calls(&mut delta, parts, out);
    }

    /// OpenRouter's details of reasoning, piece by piece. A proof that comes without words is a thought that was withheld.
    fn details(&mut self, ext: &Ext, parts: &mut Parts, out: &mut Vec<Event>) {
        let Some(details) = ext.get(details::MEMBER) else { return };
        if !matches!(self.open, Some((Kinded::Reasoning, _))) && details::prove(details) {
            self.all_said(parts, out);
            self.begin(Kinded::Reasoning, parts, out);
        }
        let (scope, key) = match self.open {
            Some((Kinded::Reasoning, index)) => (Scope::Part(index), details::MEMBER),
            Some(_) | None => (Scope::Candidate(self.number), "message.reasoning_details"),
        };
        out.push(stream_extra::event(scope, Ext(vec![(key.to_owned(), details.to_owned())])));
    }

    fn calls(&mut self, delta: &mut Object<'_>, parts: &mut Parts, out: &mut Vec<Event>) {
        let calls = delta.get("tool_calls").and_then(|raw| json::elements(raw, "tool_calls").ok()).unwrap_or_default();
        for call in calls {
            if let Some(call) = CallDelta::read(call) {
                self.all_said(parts, out);
                self.close(out);
                self.calls.delta(call, self.number, parts, out);
            }
        }
        // The older spelling has one call and no id.
        if let Some(function) = delta.object("function_call").ok().flatten() {
            self.close(out);
            self.calls.delta(CallDelta::of_legacy(function), self.number, parts, out);
        }
    }

    fn content(&mut self, raw: &RawValue, parts: &mut Parts, out: &mut Vec<Event>) {
        match json::kind(raw) {
            Kind::String => {
                if let Some(text) = json::str_of(raw) {
                    self.said(&text, parts, out);
                }
            }
            Kind::Array => {
                for element in json::elements(raw, "content").unwrap_or_default() {
                    self.part(content::decode_part(element), parts, out);
                }
            }
            Kind::Null | Kind::Bool | Kind::Number | Kind::Object => {}
        }
    }

    /// A text that may have thoughts between tags in it.
    fn said(&mut self, text: &str, parts: &mut Parts, out: &mut Vec<Event>) {
        let Some(splitter) = &mut self.splitter else { return self.text(Kinded::Text, text, parts, out) };
        let mut pieces = Vec::new();
        splitter.push(text, &mut pieces);
        self.pieces(pieces, parts, out);
    }

    /// The text has ended, or something else follows it.
    fn all_said(&mut self, parts: &mut Parts, out: &mut Vec<Event>) {
        let mut pieces = Vec::new();
        if let Some(splitter) = &mut self.splitter {
            splitter.finish(&mut pieces);
        }
        self.pieces(pieces, parts, out);
    }

    fn pieces(&mut self, pieces: Vec<Piece>, parts: &mut Parts, out: &mut Vec<Event>) {
        for piece in pieces {
            match piece {
                Piece::Thought(text) => self.text(Kinded::Reasoning, &text, parts, out),
                Piece::Said(text) => self.text(Kinded::Text, &text, parts, out),
            }
        }
    }

    /// A part of a content list (Mistral).
    fn part(&mut self, part: Part, parts: &mut Parts, out: &mut Vec<Event>) {
        match part {
            Part::Text(text) => self.text(Kinded::Text, &text.text, parts, out),
            Part::Refusal(text) => self.text(Kinded::Refusal, &text.text, parts, out),
            Part::Reasoning(reasoning) => self.text(Kinded::Reasoning, &reasoning.text, parts, out),
            Part::Media(media) => self.whole(PartKind::Media(media), parts, out),
            Part::Opaque(opaque) => self.whole(PartKind::Opaque(opaque), parts, out),
            // No content part is read as one of these.
            Part::ToolCall(_) | Part::ToolResult(_) => {}
        }
    }

    fn whole(&mut self, kind: PartKind, parts: &mut Parts, out: &mut Vec<Event>) {
        self.close(out);
        let index = parts.begin(self.number, kind, out);
        out.push(Event::PartEnd { index });
    }

    fn text(&mut self, kind: Kinded, text: &str, parts: &mut Parts, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        self.refused |= kind == Kinded::Refusal;
        let index = match self.open {
            Some((open, index)) if open == kind => index,
            Some(_) | None => self.begin(kind, parts, out),
        };
        if kind == Kinded::Text
            && let Some((_, length)) = self.texts.last_mut()
        {
            *length += text.chars().count() as u64;
        }
        out.push(Event::Delta { index, delta: Delta::Text(text.to_owned()) });
    }

    /// Takes the annotations of a delta. They come behind their words, and are told when the text ends.
    fn cited(&mut self, delta: &mut Object<'_>) {
        if let Some(cited) = delta.get(cite::MEMBER).and_then(|list| citation::read(list, cite::read)) {
            delta.take(cite::MEMBER);
            self.cited.extend(cited);
        }
    }

    fn tell_cited(&mut self, out: &mut Vec<Event>) {
        let lengths: Vec<u64> = self.texts.iter().map(|(_, length)| *length).collect();
        let shares = citation::share(std::mem::take(&mut self.cited), &lengths);
        for ((index, _), share) in self.texts.iter().zip(shares) {
            let note = citation::note(&share).into_iter().collect();
            if !share.is_empty() {
                out.push(stream_extra::event(Scope::Part(*index), Ext(note)));
            }
        }
    }

    fn begin(&mut self, kind: Kinded, parts: &mut Parts, out: &mut Vec<Event>) -> u32 {
        self.close(out);
        let part = match kind {
            Kinded::Text => PartKind::Text,
            Kinded::Refusal => PartKind::Refusal,
            Kinded::Reasoning => PartKind::Reasoning,
        };
        let index = parts.begin(self.number, part, out);
        if kind == Kinded::Text {
            self.texts.push((index, 0));
        }
        self.open = Some((kind, index));
        index
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some((kind, index)) = self.open.take() {
            if kind == Kinded::Text {
                self.tell_cited(out);
            }
            out.push(Event::PartEnd { index });
        }
    }

    fn end(&mut self, parts: &mut Parts, out: &mut Vec<Event>) {
        self.all_said(parts, out);
        self.close(out);
        if !self.texts.is_empty() {
            self.tell_cited(out);
        } else if !self.cited.is_empty() {
            out.push(stream_extra::event(Scope::Candidate(self.number), stream_extra::of_no_text(&self.cited)));
        }
        self.calls.end(self.number, parts, out);
        let held = Held { calls: self.calls.any(), refusal: self.refused };
        let finish = match self.finish.take() {
            Some(word) => finish::of_word(&word, held),
            // An end marker without a reason.
            None if held.calls => Finish::new(FinishReason::ToolCalls),
            None => Finish::new(FinishReason::Stop),
        };
        out.push(Event::Finish { candidate: self.number, finish });
    }
}
