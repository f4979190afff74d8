//! A streamed answer, turned back into the form that the caller asked for, event by event.

use super::Applied;
use super::answer::said;
use super::text::Cleaner;
use crate::wire::StreamDecoder;
use crate::wire::frame::Frame;
use crate::wire::ir::{Delta, Event, PartKind, Scope};

/// Most bytes of prose that are held back to see whether a call follows.
const MOST_PROSE: usize = 1 << 20;

/// A decoder whose events are turned back.
pub struct Restored {
    inner: Box<dyn StreamDecoder>,
    applied: Applied,
    events: Vec<Event>,
    /// The parts that the upstream has begun, by their number there.
    parts: Vec<Place>,
    /// Numbers given to the caller so far.
    given: u32,
    /// Prose before a call, which is no part of the answer if the call comes.
    prose: Vec<Event>,
    prose_bytes: usize,
    /// The call has begun.
    called: bool,
}

/// What becomes of a part.
struct Place {
    number: Option<u32>,
    cleaner: Option<Cleaner>,
    held: bool,
}

impl Restored {
    pub fn new(inner: Box<dyn StreamDecoder>, applied: Applied) -> Restored {
        Restored {
            inner,
            applied,
            events: Vec::new(),
            parts: Vec::new(),
            given: 0,
            prose: Vec::new(),
            prose_bytes: 0,
            called: false,
        }
    }

    fn translate(&mut self, out: &mut Vec<Event>) {
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            self.event(event, out);
        }
        self.events = events;
    }

    fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        match event {
            Event::PartStart { index, candidate, kind } => self.begin(index, candidate, kind, out),
            Event::Delta { index, delta } => self.delta(index, delta, out),
            Event::PartEnd { index } => self.end(index, out),
            Event::Finish { candidate, mut finish } => {
                self.release(out);
                self.flush(out);
                if self.called {
                    said(&mut finish);
                }
                out.push(Event::Finish { candidate, finish });
            }
            Event::Error(error) => {
                self.release(out);
                out.push(Event::Error(error));
            }
            Event::Extra { origin, scope: Scope::Part(index), ext } => {
                if let Some(number) = self.number(index) {
                    out.push(Event::Extra { origin, scope: Scope::Part(number), ext });
                }
            }
            event @ (Event::Start { .. } | Event::Usage(_) | Event::Extra { .. } | Event::Ping) => out.push(event),
        }
    }

    fn begin(&mut self, index: u32, candidate: u32, kind: PartKind, out: &mut Vec<Event>) {
        let answers = match (&kind, &self.applied.tool) {
            (PartKind::ToolCall { name, .. }, Some(tool)) => name == tool,
            _ => false,
        };
        let text = kind == PartKind::Text;
        if answers {
            self.prose.clear();
            let again = std::mem::replace(&mut self.called, true);
            let place = match again {
                true => Place { number: None, cleaner: None, held: false },
                false => Place { number: Some(self.next()), cleaner: Some(Cleaner::of(&self.applied)), held: false },
            };
            if let Some(number) = place.number {
                out.push(Event::PartStart { index: number, candidate, kind: PartKind::Text });
            }
            return self.parts.push(place);
        }
        if text && self.applied.tool.is_some() {
            if !self.called {
                self.prose.push(Event::PartStart { index, candidate, kind });
            }
            return self.parts.push(Place { number: None, cleaner: None, held: !self.called });
        }
        let number = self.next();
        let cleaner = text.then(|| Cleaner::of(&self.applied));
        self.parts.push(Place { number: Some(number), cleaner, held: false });
        out.push(Event::PartStart { index: number, candidate, kind });
    }

    fn delta(&mut self, index: u32, delta: Delta, out: &mut Vec<Event>) {
        let Some(place) = self.parts.get_mut(index as usize) else { return };
        if place.held && self.called {
            return;
        }
        if place.held {
            if let Delta::Text(text) = &delta {
                self.prose_bytes += text.len();
            }
            self.prose.push(Event::Delta { index, delta });
            if self.prose_bytes > MOST_PROSE {
                self.release(out);
            }
            return;
        }
        let Some(number) = place.number else { return };
        let delta = match (&mut place.cleaner, delta) {
            (Some(cleaner), Delta::Text(text) | Delta::Arguments(text)) => {
                let text = cleaner.push(&text);
                if text.is_empty() {
                    return;
                }
                Delta::Text(text)
            }
            // A signature of the call has no place in a text.
            (Some(_), Delta::Signature(_)) => return,
            (None, delta) => delta,
        };
        out.push(Event::Delta { index: number, delta });
    }

    fn end(&mut self, index: u32, out: &mut Vec<Event>) {
        let Some(place) = self.parts.get_mut(index as usize) else { return };
        if place.held {
            if !self.called {
                self.prose.push(Event::PartEnd { index });
            }
            return;
        }
        let Some(number) = place.number else { return };
        let rest = place.cleaner.as_mut().map(Cleaner::finish).unwrap_or_default();
        if !rest.is_empty() {
            out.push(Event::Delta { index: number, delta: Delta::Text(rest) });
        }
        out.push(Event::PartEnd { index: number });
    }

    /// No call follows the prose: it is what the model had to say.
    fn release(&mut self, out: &mut Vec<Event>) {
        for event in std::mem::take(&mut self.prose) {
            match event {
                Event::PartStart { index, candidate, kind } => {
                    let number = self.next();
                    if let Some(place) = self.parts.get_mut(index as usize) {
                        *place = Place { number: Some(number), cleaner: None, held: false };
                    }
                    out.push(Event::PartStart { index: number, candidate, kind });
                }
                event => self.event(event, out),
            }
        }
    }

    /// What was held back of parts that never end, as those of some upstreams.
    fn flush(&mut self, out: &mut Vec<Event>) {
        for place in &mut self.parts {
            let (Some(number), Some(cleaner)) = (place.number, &mut place.cleaner) else { continue };
            let rest = cleaner.finish();
            if !rest.is_empty() {
                out.push(Event::Delta { index: number, delta: Delta::Text(rest) });
            }
        }
    }

    fn next(&mut self) -> u32 {
        self.given += 1;
        self.given - 1
    }

    fn number(&self, index: u32) -> Option<u32> {
        self.parts.get(index as usize)?.number
    }
}

impl StreamDecoder for Restored {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        self.inner.frame(frame, &mut self.events);
        self.translate(out);
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        self.inner.finish(&mut self.events);
        self.translate(out);
    }
}
