//! A streamed answer, judged at its end. Where the file wants a bad answer mended, tried again or handed on, the stream is
//! held until it has been judged, because what the caller has got cannot be taken back. Of several answers in one stream each
//! is judged, once all have ended.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::check::Checker;
use super::judged::Judged;
use crate::wire::StreamDecoder;
use crate::wire::frame::Frame;
use crate::wire::ir::{
    Candidate, Delta, Error, ErrorKind, Event, Finish, FinishReason, Part, PartKind, Text, ToolCall,
};
use crate::wire::json::Ext;

/// Most bytes of text that are held.
const MOST_HELD: usize = 8 << 20;
/// Most answers that are judged (OpenAI gives no more at once); what lies beyond passes unseen.
const MOST_CANDIDATES: usize = 128;
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

/// Where the judgement of a stream is found once there is one.
pub type Slot = Arc<OnceLock<Judged>>;

/// A decoder whose answer is judged.
pub struct Watched {
    inner: Box<dyn StreamDecoder>,
    checker: Arc<Checker>,
    conduct: Conduct,
    slot: Slot,
    /// How many answers were asked for.
    expected: usize,
    events: Vec<Event>,
    held: Vec<Event>,
    bytes: usize,
    /// The candidates by their number, as far as they matter.
    seen: BTreeMap<u32, Candidate>,
    /// Which candidate each part belongs to, and what it is.
    parts: Vec<(u32, PartKind)>,
    /// Nothing is held or judged any more.
    done: bool,
}

impl Watched {
    /// `expected`: how many answers were asked for.
    pub fn new(
        inner: Box<dyn StreamDecoder>,
        checker: Arc<Checker>,
        conduct: Conduct,
        expected: usize,
        slot: Slot,
    ) -> Watched {
        Watched {
            inner,
            checker,
            conduct,
            slot,
            expected,
            events: Vec::new(),
            held: Vec::new(),
            bytes: 0,
            seen: BTreeMap::new(),
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
            Event::PartStart { candidate, kind, .. } => self.part(*candidate, kind),
            Event::Delta { index, delta: Delta::Text(text) } => self.read(*index, text),
            Event::Finish { candidate, finish } => return self.finished(*candidate, finish.clone(), event, out),
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

    fn candidate(&mut self, number: u32) -> Option<&mut Candidate> {
        let none = || Candidate { parts: Vec::new(), finish: None, ext: Ext::default() };
        if self.seen.len() < MOST_CANDIDATES {
            return Some(self.seen.entry(number).or_insert_with(none));
        }
        self.seen.get_mut(&number)
    }

    fn part(&mut self, number: u32, kind: &PartKind) {
        self.parts.push((number, kind.clone()));
        if let (PartKind::ToolCall { .. }, Some(candidate)) = (kind, self.candidate(number)) {
            candidate.parts.push(called());
        }
    }

    fn read(&mut self, index: u32, text: &str) {
        self.bytes += text.len();
        let Some((number, kind)) = self.parts.get(index as usize) else { return };
        let (number, refused) = match kind {
            PartKind::Text => (*number, false),
            PartKind::Refusal => (*number, true),
            _ => return,
        };
        // One text is enough to judge by; a longer one is not judged at all.
        let Some(candidate) = self.candidate(number) else { return };
        match candidate.parts.last_mut() {
            Some(Part::Text(known)) if !refused => known.text.push_str(text),
            _ if refused => candidate.parts.push(Part::Refusal(Text::new(text))),
            _ => candidate.parts.push(Part::Text(Text::new(text))),
        }
    }

    fn finished(&mut self, number: u32, finish: Finish, event: Event, out: &mut Vec<Event>) {
        self.held.push(event);
        if let Some(candidate) = self.candidate(number) {
            candidate.finish = Some(finish);
        }
        let finished = self.seen.values().filter(|candidate| candidate.finish.is_some()).count();
        if finished >= self.expected.min(MOST_CANDIDATES) {
            self.judge(out);
        }
    }

    fn judge(&mut self, out: &mut Vec<Event>) {
        self.done = true;
        let mends = self.conduct != Conduct::Pass;
        // Nobody can tell what those would have said whose end did not come.
        for candidate in self.seen.values_mut() {
            candidate.finish.get_or_insert_with(|| Finish::new(FinishReason::Length));
        }
        let (judged, mended) = Judged::of(self.seen.values(), &self.checker, mends);
        let fails = matches!(self.conduct, Conduct::Pass | Conduct::HoldOrFail);
        let fault = judged.fault().filter(|_| fails);
        // Only the first judgement counts, and there is only one.
        let _ = self.slot.set(judged);
        if let Some(fault) = fault {
            // What it took is told, though nothing of the answer is.
            self.keep_usage(out);
            let message = format!("the answer does not have the form that was asked for: {fault}");
            return out.push(Event::Error(Error::new(ErrorKind::Upstream, message).with_code(INVALID)));
        }
        self.release(mended, out);
    }

    fn keep_usage(&mut self, out: &mut Vec<Event>) {
        out.extend(self.held.drain(..).filter(|event| matches!(event, Event::Usage(_))));
    }

    /// Releases what was held, with the mended words of a candidate in place of its own.
    fn release(&mut self, mended: Vec<Option<String>>, out: &mut Vec<Event>) {
        // What is still to be given of a candidate's new words; absent where its own words stand.
        let words = self.seen.keys().copied().zip(mended);
        let mut rest: BTreeMap<u32, Option<String>> =
            words.filter_map(|(number, text)| Some((number, Some(text?)))).collect();
        for event in std::mem::take(&mut self.held) {
            let words = match &event {
                Event::Delta { index, delta: Delta::Text(_) } => match self.parts.get(*index as usize) {
                    Some((number, PartKind::Text)) => rest.get_mut(number),
                    _ => None,
                },
                _ => None,
            };
            match (words, event) {
                (Some(words), Event::Delta { index, .. }) => {
                    out.extend(words.take().map(|text| Event::Delta { index, delta: Delta::Text(text) }));
                }
                (_, event) => out.push(event),
            }
        }
    }
}

fn called() -> Part {
    Part::ToolCall(ToolCall {
        id: None,
        name: String::new(),
        arguments: String::new(),
        signature: None,
        ext: Ext::default(),
    })
}

impl StreamDecoder for Watched {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        self.inner.frame(frame, &mut self.events);
        self.translate(out);
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        self.inner.finish(&mut self.events);
        self.translate(out);
        // A stream without an end of its own has been reported as truncated by now; one with fewer answers than were asked for
        // ends here.
        if !self.done && self.seen.values().any(|candidate| candidate.finish.is_some()) {
            self.judge(out);
        }
        out.append(&mut self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives these events at its first frame.
    struct Said(Vec<Event>);

    impl StreamDecoder for Said {
        fn frame(&mut self, _: &Frame<'_>, out: &mut Vec<Event>) {
            out.append(&mut self.0);
        }

        fn finish(&mut self, _: &mut Vec<Event>) {}
    }

    fn stop(candidate: u32) -> Event {
        let finish = Finish::new(crate::wire::ir::FinishReason::Stop);
        Event::Finish { candidate, finish }
    }

    /// Candidates that say these texts in turns, piece by piece.
    fn said(texts: &[&str]) -> Vec<Event> {
        let numbered = || (0..).zip(texts);
        let start = numbered().map(|(at, _)| Event::PartStart { index: at, candidate: at, kind: PartKind::Text });
        let half = |text: &str, first: bool| {
            let (head, tail) = text.split_at(text.len() / 2);
            if first { head.to_owned() } else { tail.to_owned() }
        };
        let pieces = [true, false].into_iter().flat_map(|first| {
            numbered().map(move |(index, text)| Event::Delta { index, delta: Delta::Text(half(text, first)) })
        });
        start.chain(pieces).chain(numbered().map(|(at, _)| stop(at))).collect()
    }

    fn watch(events: Vec<Event>, conduct: Conduct, expected: usize) -> (Vec<Event>, Option<Judged>) {
        let (slot, checker) = (Slot::default(), Arc::new(Checker::of_objects()));
        let mut watched = Watched::new(Box::new(Said(events)), checker, conduct, expected, Arc::clone(&slot));
        let mut out = Vec::new();
        watched.frame(&Frame { event: "", data: "" }, &mut out);
        watched.finish(&mut out);
        (out, slot.get().cloned())
    }

    fn texts(events: &[Event], candidates: usize) -> Vec<String> {
        let mut texts = vec![String::new(); candidates];
        for event in events {
            if let Event::Delta { index, delta: Delta::Text(text) } = event {
                texts[*index as usize].push_str(text);
            }
        }
        texts
    }

    #[test]
    fn each_of_several_answers_is_judged_when_all_have_ended() {
        let (out, judged) = watch(said(&[r#"{"a":1}"#, "prose", "more"]), Conduct::Pass, 3);
        let judged = judged.unwrap();
        assert_eq!(judged.words(), "valid, invalid, invalid");
        assert_eq!(judged.text, "prose");
        let Some(Event::Error(error)) = out.last() else { panic!("{out:?}") };
        assert_eq!(error.code.as_deref(), Some(INVALID));
        assert!(error.message.ends_with("answer 2: it is not JSON; answer 3: it is not JSON"), "{}", error.message);
        assert_eq!(texts(&out, 3), [r#"{"a":1}"#, "prose", "more"], "what was said has been given");
        assert!(!out.iter().any(|event| matches!(event, Event::Finish { .. })), "no answer ends well beside the error");

        let good = said(&[r#"{"a":1}"#, r#"{"b":2}"#]);
        let (out, judged) = watch(good.clone(), Conduct::Pass, 2);
        assert_eq!((out, judged.unwrap().words().as_str()), (good, "valid, valid"));
    }

    #[test]
    fn what_is_held_is_mended_answer_by_answer() {
        let untidy = [r#"{"a":1}"#, r#"Sure: {"b":2,}"#, r#"```{"c":3}```"#];
        let (out, judged) = watch(said(&untidy), Conduct::HoldAndMend, 3);
        assert_eq!(judged.unwrap().words(), "valid, repaired, repaired");
        assert_eq!(texts(&out, 3), [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]);
        assert_eq!(out.iter().filter(|event| matches!(event, Event::Finish { .. })).count(), 3);

        let (out, judged) = watch(said(&["{}", "prose"]), Conduct::HoldOrFail, 2);
        assert_eq!(judged.unwrap().words(), "valid, invalid");
        assert!(matches!(&out[..], [Event::Error(_)]), "{out:?}");
        let (out, _) = watch(said(&["{}", "prose"]), Conduct::HoldAndMend, 2);
        assert_eq!(texts(&out, 2), ["{}", "prose"], "what cannot be mended passes");
    }

    #[test]
    fn fewer_answers_than_were_asked_for_are_judged_at_the_end() {
        let (out, judged) = watch(said(&["prose"]), Conduct::HoldOrFail, 2);
        assert_eq!(judged.unwrap().words(), "invalid");
        assert!(matches!(&out[..], [Event::Error(_)]), "{out:?}");
        let mut open = said(&["{}", "{"]);
        open.pop();
        let (out, judged) = watch(open.clone(), Conduct::HoldOrFail, 2);
        assert_eq!((out, judged.unwrap().words().as_str()), (open, "valid, cut"));
        let far = vec![Event::PartStart { index: 0, candidate: u32::MAX, kind: PartKind::Text }, stop(u32::MAX)];
        let (_, judged) = watch(far, Conduct::HoldAndMend, 1);
        assert_eq!(judged.unwrap().words(), "invalid", "whatever its number");
    }
}
