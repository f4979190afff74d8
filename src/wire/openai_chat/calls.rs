//! Tool calls of a stream, put together from their pieces.

use serde_json::value::RawValue;

use super::stream_decode::Parts;
use super::tools;
use crate::wire::ir::{Delta, Event, PartKind, Signature};
use crate::wire::json::Object;

/// A piece of a call.
#[derive(Debug, Default)]
pub(super) struct CallDelta {
    index: Option<u64>,
    id: Option<String>,
    name: Option<String>,
    arguments: String,
    /// A piece of a freeform tool's input, which is any text.
    input: Option<String>,
    proof: Option<Signature>,
}

impl CallDelta {
    /// `None` for what is no call.
    pub(super) fn read(raw: &RawValue) -> Option<CallDelta> {
        let mut call: Object<'_> = serde_json::from_str(raw.get()).ok()?;
        let index = call.u64("index").ok().flatten();
        let id = call.string("id").ok().flatten();
        let function = call.object("function").ok().flatten();
        let proof = tools::take_proof(&mut call);
        let mut delta = function.map(CallDelta::of_legacy).unwrap_or_default();
        if let Some(mut custom) = call.object("custom").ok().flatten() {
            delta.name = delta.name.or(custom.string("name").ok().flatten().filter(|name| !name.is_empty()));
            delta.input = Some(custom.string("input").ok().flatten().unwrap_or_default());
        }
        delta.proof = proof;
        delta.index = index;
        delta.id = id.filter(|id| !id.is_empty());
        Some(delta)
    }

    /// The older `function_call`, which is only the function.
    pub(super) fn of_legacy(mut function: Object<'_>) -> CallDelta {
        let name = function.string("name").ok().flatten().filter(|name| !name.is_empty());
        CallDelta { name, arguments: tools::arguments(&mut function), ..CallDelta::default() }
    }
}

/// The calls of one answer.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug)]
struct Call {
    index: Option<u64>,
    id: Option<String>,
    name: String,
    /// All arguments so far; those before the part begins are owed to it.
    arguments: String,
    /// A freeform tool's input so far, told when it is whole: what wraps it closes behind it.
    input: Option<String>,
    /// Owed to the part, once it has begun.
    proof: Option<Signature>,
    /// The part's number, once its name is known.
    part: Option<u32>,
    ended: bool,
}

impl Calls {
    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    pub(super) fn delta(&mut self, delta: CallDelta, candidate: u32, parts: &mut Parts, out: &mut Vec<Event>) {
        let position = self.position(&delta).unwrap_or_else(|| {
            self.end_complete(out);
            self.0.push(Call {
                index: delta.index,
                id: None,
                name: String::new(),
                arguments: String::new(),
                input: None,
                proof: None,
                part: None,
                ended: false,
            });
            self.0.len() - 1
        });
        if let Some(call) = self.0.get_mut(position) {
            call.add(delta, candidate, parts, out);
        }
    }

    /// The call that a piece continues. An index alone does not decide: some upstreams give every call the index 0.
    fn position(&self, delta: &CallDelta) -> Option<usize> {
        let last = self.0.len().checked_sub(1);
        let by_id = delta.id.as_ref().and_then(|id| self.0.iter().rposition(|call| call.id.as_ref() == Some(id)));
        let Some(index) = delta.index else {
            return match (&delta.id, &delta.name) {
                (Some(_), _) => by_id,
                (None, Some(_)) => None,
                (None, None) => last,
            };
        };
        let by_index = self.0.iter().rposition(|call| call.index == Some(index))?;
        let call = self.0.get(by_index)?;
        let renamed = delta.name.is_some() && !call.name.is_empty();
        let other_id = delta.id.is_some() && call.id.is_some() && delta.id != call.id;
        if renamed && other_id { by_id } else { Some(by_index) }
    }

    /// Ends the parts of calls whose arguments are whole: encoders that write one part at a time need not hold back the next.
    fn end_complete(&mut self, out: &mut Vec<Event>) {
        for call in &mut self.0 {
            call.tell_input(out);
            let is_whole = || serde_json::from_str::<&RawValue>(&call.arguments).is_ok();
            if let Some(index) = call.part.filter(|_| !call.ended)
                && is_whole()
            {
                call.ended = true;
                out.push(Event::PartEnd { index });
            }
        }
    }

    /// The stream has ended: begins calls whose name never came, and ends all.
    pub(super) fn end(&mut self, candidate: u32, parts: &mut Parts, out: &mut Vec<Event>) {
        self.0.retain(|call| call.part.is_some() || !call.name.is_empty() || !call.arguments.is_empty());
        for call in &mut self.0 {
            let index = call.part.unwrap_or_else(|| call.begin(candidate, parts, out));
            call.tell_input(out);
            if !call.ended {
                call.ended = true;
                out.push(Event::PartEnd { index });
            }
        }
    }
}

impl Call {
    /// The input of a freeform tool is whole: it becomes arguments with one text, which every protocol can carry.
    fn tell_input(&mut self, out: &mut Vec<Event>) {
        if let (Some(index), Some(input)) = (self.part, self.input.take()) {
            self.arguments = tools::wrapped(&input);
            out.push(Event::Delta { index, delta: Delta::Arguments(self.arguments.clone()) });
        }
    }

    fn add(&mut self, delta: CallDelta, candidate: u32, parts: &mut Parts, out: &mut Vec<Event>) {
        if self.part.is_none() {
            self.id = self.id.take().or(delta.id);
            if let Some(name) = delta.name {
                self.name = name;
            }
        }
        // An empty delta after the end is a filler; anything else would make whole arguments invalid, so it cannot come.
        if !self.ended {
            self.arguments.push_str(&delta.arguments);
            if let Some(input) = &delta.input {
                self.input.get_or_insert_default().push_str(input);
            }
        }
        self.proof = delta.proof.or(self.proof.take());
        if let Some(index) = self.part.filter(|_| !self.ended) {
            out.extend(self.proof.take().map(|proof| Event::Delta { index, delta: Delta::Signature(proof) }));
        }
        match self.part {
            Some(index) if !self.ended && !delta.arguments.is_empty() => {
                out.push(Event::Delta { index, delta: Delta::Arguments(delta.arguments) });
            }
            Some(_) => {}
            // The name may come late, and the id with it; arguments say that both are as known as they will be.
            None if !self.name.is_empty() && (self.id.is_some() || !self.arguments.is_empty()) => {
                self.begin(candidate, parts, out);
            }
            None => {}
        }
    }

    fn begin(&mut self, candidate: u32, parts: &mut Parts, out: &mut Vec<Event>) -> u32 {
        let kind = PartKind::ToolCall { id: self.id.clone(), name: self.name.clone() };
        let index = parts.begin(candidate, kind, out);
        self.part = Some(index);
        out.extend(self.proof.take().map(|proof| Event::Delta { index, delta: Delta::Signature(proof) }));
        if !self.arguments.is_empty() {
            out.push(Event::Delta { index, delta: Delta::Arguments(self.arguments.clone()) });
        }
        index
    }
}
