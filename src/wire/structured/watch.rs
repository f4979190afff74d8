//! A streamed answer, judged at its end. Where the file wants a bad answer mended, tried again or handed on, the stream is
//! held until it has been judged, because what the caller has got cannot be taken back.

use std::sync::{Arc, OnceLock};

use super::check::{Checker, Verdict};
use super::mend::mend;
use crate::wire::StreamDecoder;
use crate::wire::frame::Frame;
use crate::wire::ir::{Candidate, Delta, Error, ErrorKind, Event, Finish, Part, PartKind, Text};
use crate::wire::json::Ext;

/// Most bytes of text that are held.
const MOST_HELD: usize = 8 << 20;
/// The code of the error that takes the place of a bad answer's end.
pub const INVALID: &str = "invalid_output";

/// What is done about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// It passes as it comes; a bad end becomes an error.
    Pass,
    /// It is held; mended where that helps, else passed as it is.
    HoldAndMend,
    /// It is held; mended where that helps, else an error takes its place.
    HoldOrFail,
}

/// What became of a stream's answer: the verdict, and the text where it is bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub verdict: Verdict,
    pub text: String,
}

/// Where the judgement of a stream is found once there is one.
pub type Slot = Arc<OnceLock<Judged>>;

/// A decoder whose answer is judged.
pub struct Watched {
    inner: Box<dyn StreamDecoder>,
    checker: Arc<Checker>,
    conduct: Conduct,
    slot: Slot,
    events: Vec<Event>,
    held: Vec<Event>,
    bytes: usize,
    /// The first candidate, as far as it matters.
    seen: Candidate,
    /// Which parts belong to the first candidate, and are text or refusal.
    parts: Vec<Option<PartKind>>,
    /// Nothing is held or judged any more.
    done: bool,
}

impl Watched {
    pub fn new(inner: Box<dyn StreamDecoder>, checker: Arc<Checker>, conduct: Conduct, slot: Slot) -> Watched {
        Watched {
            inner,
            checker,
            conduct,
            slot,
            events: Vec::new(),
            held: Vec::new(),
            bytes: 0,
            seen: Candidate { parts: Vec::new(), finish: None, ext: Ext::default() },
            parts: Vec::new(),
            done: false,
        }
    }

    fn translate(&mut self, out: &mut Vec<Event>) {
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            if self.done {
                out.push(event);
            } else {
                self.event(event, out);
            }
        }
        self.events = events;
    }

    fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        match &event {
            Event::PartStart { candidate, kind, .. } => {
                self.parts.push((*candidate == 0).then(|| kind.clone()));
                if *candidate == 0 && matches!(kind, PartKind::ToolCall { .. }) {
                    self.seen.parts.push(called());
                }
            }
            Event::Delta { index, delta: Delta::Text(text) } => self.read(*index, text),
            Event::Finish { candidate: 0, finish } => return self.judge(finish.clone(), event, out),
            Event::Error(_) => {
                self.done = true;
                // What was held has not reached anybody: another target may still answer.
                self.keep_usage(out);
                out.push(event);
                return;
            }
            Event::Ping => return out.push(event),
            Event::Start { .. }
            | Event::Delta { .. }
            | Event::PartEnd { .. }
            | Event::Usage(_)
            | Event::Finish { .. }
            | Event::Extra { .. } => {}
        }
        if self.conduct == Conduct::Pass {
            return out.push(event);
        }
        if self.bytes > MOST_HELD {
            self.done = true;
            let message = format!("the answer exceeds {MOST_HELD} bytes, the most that are held to be checked");
            return out.push(Event::Error(Error::new(ErrorKind::Upstream, message).with_code("upstream_too_large")));
        }
        self.held.push(event);
    }

    fn read(&mut self, index: u32, text: &str) {
        self.bytes += text.len();
        let kind = self.parts.get(index as usize).and_then(Option::as_ref);
        let refused = match kind {
            Some(PartKind::Text) => false,
            Some(PartKind::Refusal) => true,
            _ => return,
        };
        // One text is enough to judge by; a longer one is not judged at all.
        match self.seen.parts.last_mut() {
            Some(Part::Text(known)) if !refused => known.text.push_str(text),
            _ if refused => self.seen.parts.push(Part::Refusal(Text::new(text))),
            _ => self.seen.parts.push(Part::Text(Text::new(text))),
        }
    }

    fn judge(&mut self, finish: Finish, event: Event, out: &mut Vec<Event>) {
        self.done = true;
        self.seen.finish = Some(finish);
        let verdict = self.checker.judge(&self.seen);
        let text = match &verdict {
            Verdict::Invalid(_) => text_of(&self.seen),
            _ => String::new(),
        };
        let mended = match (&verdict, self.conduct) {
            (Verdict::Invalid(_), Conduct::HoldAndMend | Conduct::HoldOrFail) => {
                mend(&text).filter(|text| self.checker.text(text) == Verdict::Valid)
            }
            _ => None,
        };
        let verdict = if mended.is_some() { Verdict::Repaired } else { verdict };
        let fails = matches!(self.conduct, Conduct::Pass | Conduct::HoldOrFail);
        let error = match &verdict {
            Verdict::Invalid(violation) if fails => {
                let message = format!("the answer does not have the form that was asked for: {violation}");
                Some(Error::new(ErrorKind::Upstream, message).with_code(INVALID))
            }
            _ => None,
        };
        // Only the first judgement counts, and there is only one.
        let _ = self.slot.set(Judged { verdict, text });
        match (error, mended) {
            (Some(error), _) => {
                // What it took is told, though nothing of the answer is.
                self.keep_usage(out);
                out.push(Event::Error(error));
            }
            (None, Some(mended)) => {
                self.replace(mended, out);
                out.push(event);
            }
            (None, None) => {
                self.release(out);
                out.push(event);
            }
        }
    }

    fn keep_usage(&mut self, out: &mut Vec<Event>) {
        out.extend(self.held.drain(..).filter(|event| matches!(event, Event::Usage(_))));
    }

    fn release(&mut self, out: &mut Vec<Event>) {
        out.append(&mut self.held);
    }

    /// Releases what was held, with `text` in place of the first candidate's words.
    fn replace(&mut self, text: String, out: &mut Vec<Event>) {
        let mut text = Some(text);
        for event in std::mem::take(&mut self.held) {
            let Event::Delta { index, delta: Delta::Text(_) } = &event else {
                out.push(event);
                continue;
            };
            let is_text = self.parts.get(*index as usize).is_some_and(|kind| *kind == Some(PartKind::Text));
            match (is_text, text.take()) {
                (true, Some(mended)) => out.push(Event::Delta { index: *index, delta: Delta::Text(mended) }),
                (true, None) => {}
                (false, rest) => {
                    text = rest;
                    out.push(event);
                }
            }
        }
    }
}

fn called() -> Part {
    Part::ToolCall(crate::wire::ir::ToolCall {
        id: None,
        name: String::new(),
        arguments: String::new(),
        signature: None,
        ext: Ext::default(),
    })
}

/// All that a candidate says in words.
pub fn text_of(candidate: &Candidate) -> String {
    let texts = candidate.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect()
}

impl StreamDecoder for Watched {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        self.inner.frame(frame, &mut self.events);
        self.translate(out);
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        self.inner.finish(&mut self.events);
        self.translate(out);
        // A stream without an end of its own has been reported as truncated by now.
        self.release(out);
    }
}
