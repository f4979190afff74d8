//! Stop texts for upstreams that take none: the answer is cut where it would have ended.
//!
//! What the caller gets is what a model that stops there would have said: the text up to the stop text that is complete first,
//! and nothing behind it. The upstream goes on to its own end, and what it takes is counted, so that usage stays exact. A
//! stop text is looked for in texts alone, one by one: thoughts and the arguments of calls are not cut.

use super::StreamDecoder;
use super::frame::Frame;
use super::ir::{Delta, Event, Finish, FinishReason, Part, PartKind, Response, Scope};
use super::json::Ext;

/// The texts that end an answer; at least one, and none is empty.
#[derive(Debug, Clone)]
pub struct Stops(Box<[String]>);

impl Stops {
    /// `None` where nothing ends an answer.
    pub fn of(texts: Option<&[String]>) -> Option<Stops> {
        let texts: Box<[String]> = texts?.iter().filter(|text| !text.is_empty()).cloned().collect();
        (!texts.is_empty()).then_some(Stops(texts))
    }

    /// Cuts a whole answer.
    pub fn cut(&self, response: &mut Response) {
        for candidate in &mut response.candidates {
            let found = candidate.parts.iter().enumerate().find_map(|(at, part)| match part {
                Part::Text(text) => self.first(&text.text).map(|(end, stop)| (at, end, stop.to_owned())),
                _ => None,
            });
            let Some((at, end, stop)) = found else { continue };
            candidate.parts.truncate(at + 1);
            if let Some(Part::Text(text)) = candidate.parts.get_mut(at) {
                text.text.truncate(end);
                // Notes on the text name places in it that may be gone.
                text.ext = Ext::default();
            }
            candidate.finish = Some(met(stop));
        }
    }

    /// Cuts a stream.
    pub fn stream(self, inner: Box<dyn StreamDecoder>) -> Box<dyn StreamDecoder> {
        Box::new(Cutter { inner, stops: self, events: Vec::new(), held: Vec::new(), cut: Vec::new() })
    }

    /// Where the stop text begins that is complete first, and the longest of those that are complete there.
    fn first(&self, text: &str) -> Option<(usize, &str)> {
        let found = self.0.iter().filter_map(|stop| Some((text.find(stop.as_str())?, stop.as_str())));
        found.min_by_key(|(start, stop)| (start + stop.len(), *start))
    }

    /// How many bytes at the end of `text` may be the beginning of a stop text.
    fn undecided(&self, text: &str) -> usize {
        let longest = |stop: &String| {
            let ends = stop.char_indices().map(|(at, _)| at).skip(1);
            ends.filter(|end| stop.get(..*end).is_some_and(|beginning| text.ends_with(beginning))).max().unwrap_or(0)
        };
        self.0.iter().map(longest).max().unwrap_or(0)
    }
}

fn met(stop: String) -> Finish {
    Finish { stop_sequence: Some(stop), ..Finish::new(FinishReason::StopSequence) }
}

/// A decoder whose texts are cut.
struct Cutter {
    inner: Box<dyn StreamDecoder>,
    stops: Stops,
    events: Vec<Event>,
    /// The texts that have begun and not ended.
    held: Vec<Held>,
    /// The candidates that have met a stop text.
    cut: Vec<Cut>,
}

/// A text under way.
struct Held {
    index: u32,
    candidate: u32,
    /// What may be the beginning of a stop text.
    text: String,
}

struct Cut {
    candidate: u32,
    stop: String,
    /// Parts of the candidate that the caller does not get, or not to their end.
    parts: Vec<u32>,
}

impl StreamDecoder for Cutter {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        self.inner.frame(frame, &mut self.events);
        self.pass(out);
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        self.inner.finish(&mut self.events);
        self.pass(out);
    }
}

impl Cutter {
    fn pass(&mut self, out: &mut Vec<Event>) {
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            self.event(event, out);
        }
        self.events = events;
    }

    fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        match event {
            Event::PartStart { index, candidate, kind } => {
                if let Some(cut) = self.cut.iter_mut().find(|cut| cut.candidate == candidate) {
                    return cut.parts.push(index);
                }
                if kind == PartKind::Text {
                    self.held.push(Held { index, candidate, text: String::new() });
                }
                out.push(Event::PartStart { index, candidate, kind });
            }
            Event::Delta { index, .. } | Event::PartEnd { index } if self.is_cut(index) => {}
            Event::Extra { scope: Scope::Part(index), .. } if self.is_cut(index) => {}
            Event::Delta { index, delta: Delta::Text(text) } => self.text(index, text, out),
            Event::PartEnd { index } => {
                if let Some(at) = self.held.iter().position(|held| held.index == index) {
                    release(self.held.swap_remove(at), out);
                }
                out.push(Event::PartEnd { index });
            }
            Event::Finish { candidate, finish } => {
                let ending = |held: &mut Held| held.candidate == candidate;
                self.held.extract_if(.., ending).for_each(|held| release(held, out));
                let cut = self.cut.iter().find(|cut| cut.candidate == candidate);
                out.push(Event::Finish { candidate, finish: cut.map_or(finish, |cut| met(cut.stop.clone())) });
            }
            Event::Error(error) => {
                self.held.drain(..).for_each(|held| release(held, out));
                out.push(Event::Error(error));
            }
            event @ (Event::Start { .. }
            | Event::Delta { .. }
            | Event::Usage(_)
            | Event::Extra { .. }
            | Event::Ping) => out.push(event),
        }
    }

    fn is_cut(&self, index: u32) -> bool {
        self.cut.iter().any(|cut| cut.parts.contains(&index))
    }

    fn text(&mut self, index: u32, text: String, out: &mut Vec<Event>) {
        let Some(at) = self.held.iter().position(|held| held.index == index) else {
            return out.push(Event::Delta { index, delta: Delta::Text(text) });
        };
        let Some(held) = self.held.get_mut(at) else { return };
        held.text.push_str(&text);
        match self.stops.first(&held.text) {
            None => {
                let safe = held.text.len() - self.stops.undecided(&held.text);
                let rest = held.text.split_off(safe);
                say(index, std::mem::replace(&mut held.text, rest), out);
            }
            Some((end, stop)) => {
                let stop = stop.to_owned();
                held.text.truncate(end);
                let held = self.held.swap_remove(at);
                let candidate = held.candidate;
                release(held, out);
                out.push(Event::PartEnd { index });
                self.cut.push(Cut { candidate, stop, parts: vec![index] });
            }
        }
    }
}

fn release(held: Held, out: &mut Vec<Event>) {
    say(held.index, held.text, out);
}

fn say(index: u32, text: String, out: &mut Vec<Event>) {
    if !text.is_empty() {
        out.push(Event::Delta { index, delta: Delta::Text(text) });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::ProtocolId;
    use crate::wire::ir::{Candidate, Text, Usage};

    /// A decoder that gives what it is made of, at its end.
    struct Played(Vec<Event>);

    impl StreamDecoder for Played {
        fn frame(&mut self, _: &Frame<'_>, _: &mut Vec<Event>) {}

        fn finish(&mut self, out: &mut Vec<Event>) {
            out.append(&mut self.0);
        }
    }

    fn stops(texts: &[&str]) -> Stops {
        Stops::of(Some(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())).unwrap()
    }

    fn cut(stops: &Stops, parts: &[&str]) -> (Vec<String>, Finish) {
        let parts = parts.iter().map(|text| Part::Text(Text::new(*text))).collect();
        let finish = Some(Finish::new(FinishReason::Stop));
        let candidates = vec![Candidate { parts, finish, ext: Ext::default() }];
        let mut response = Response {
            origin: ProtocolId::OpenAiResponses,
            id: None,
            model: None,
            created: None,
            candidates,
            usage: None,
            ext: Ext::default(),
        };
        stops.cut(&mut response);
        let Candidate { parts, finish, .. } = response.candidates.remove(0);
        let texts = parts.into_iter().map(|part| match part {
            Part::Text(text) => text.text,
            other => panic!("{other:?}"),
        });
        (texts.collect(), finish.unwrap())
    }

    /// The same as a stream, each text in pieces of so many characters.
    fn cut_stream(stops: &Stops, parts: &[&str], piece: usize) -> (Vec<String>, Finish) {
        let mut events = Vec::new();
        for (index, text) in (0..).zip(parts) {
            events.push(Event::PartStart { index, candidate: 0, kind: PartKind::Text });
            let chars: Vec<char> = text.chars().collect();
            let pieces = chars.chunks(piece).map(|piece| Delta::Text(piece.iter().collect()));
            events.extend(pieces.map(|delta| Event::Delta { index, delta }));
            events.push(Event::PartEnd { index });
        }
        events.push(Event::Usage(Usage { output: Some(9), ..Usage::default() }));
        events.push(Event::Finish { candidate: 0, finish: Finish::new(FinishReason::Stop) });
        let mut out = Vec::new();
        stops.clone().stream(Box::new(Played(events))).finish(&mut out);
        let (mut texts, mut open, mut finish, mut counted) = (Vec::new(), None, None, false);
        for event in out {
            match event {
                Event::PartStart { index, .. } => {
                    assert_eq!((open, index as usize), (None, texts.len()));
                    open = Some(index);
                    texts.push(String::new());
                }
                Event::Delta { index, delta: Delta::Text(text) } => {
                    assert_eq!(open, Some(index));
                    texts[index as usize].push_str(&text);
                }
                Event::PartEnd { index } => assert_eq!(open.take(), Some(index)),
                Event::Usage(_) => counted = true,
                Event::Finish { finish: said, .. } => finish = Some(said),
                other => panic!("{other:?}"),
            }
        }
        assert!(counted, "what it took is told all the same");
        (texts, finish.unwrap())
    }

    /// Stop texts, the texts of an answer, what is left of these, the stop text that was met.
    type Case = (&'static [&'static str], &'static [&'static str], &'static [&'static str], Option<&'static str>);

    #[test]
    fn an_answer_ends_where_a_stop_text_is_complete_first() {
        let cases: [Case; 7] = [
            (&["END"], &["one END two"], &["one "], Some("END")),
            (&["END"], &["one EN", "D two"], &["one EN", "D two"], None),
            (&["END"], &["one", "tEND", "three"], &["one", "t"], Some("END")),
            (&["abcd", "bc"], &["xabcd"], &["xa"], Some("bc")),
            (&["bc", "abc"], &["xabcd"], &["x"], Some("abc")),
            (&["\n\n", "é"], &["a\né"], &["a\n"], Some("é")),
            (&["aab"], &["aaab"], &["a"], Some("aab")),
        ];
        for (texts, parts, expected, stop) in cases {
            let stops = stops(texts);
            let whole = cut(&stops, parts);
            assert_eq!(
                (whole.0.as_slice(), whole.1.stop_sequence.as_deref()),
                (&expected.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()[..], stop),
                "{texts:?}"
            );
            assert_eq!(whole.1.reason == FinishReason::StopSequence, stop.is_some());
            for piece in 1..4 {
                assert_eq!(cut_stream(&stops, parts, piece), whole, "{texts:?} by {piece}");
            }
        }
        assert!(Stops::of(Some(&[String::new()])).is_none() && Stops::of(None).is_none());
    }

    proptest! {
        #[test]
        fn a_stream_is_cut_as_the_whole_is(
            texts in prop::collection::vec("[abé]{1,4}", 1..4),
            parts in prop::collection::vec("[abcé]{0,12}", 1..4),
            piece in 1usize..5,
        ) {
            let stops = stops(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            prop_assert_eq!(cut_stream(&stops, &parts, piece), cut(&stops, &parts));
        }
    }
}
