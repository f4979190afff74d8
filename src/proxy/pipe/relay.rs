//! The way of bytes whose caller speaks the upstream's protocol: watched, not translated. They leave in whole events, as they
//! came: what breaks in the middle of an event has not begun it for the caller, and an error of the gateway's own stands
//! between two events.

use bytes::Bytes;
use smallvec::SmallVec;

use super::{EVENT_LIMIT, Out, Sight, is_whole};
use crate::telemetry::record::MOST;
use crate::wire::frame::{Decoder, Frame, FrameError, sse};
use crate::wire::{Ending, FrameKind, Observation, Outbound, naming};

/// What the request says about the stream that is relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Usage was asked for on the gateway's account: what says nothing else is not the caller's to see.
    pub hides_usage: bool,
    /// How many answers the caller wants at once.
    pub answers: u64,
    /// Somebody wants to know the id of the answer.
    pub notes_id: bool,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { hides_usage: false, answers: 1, notes_id: false }
    }
}

pub(super) struct Relay {
    outbound: &'static dyn Outbound,
    terms: Terms,
    /// The numbers of the answers that have ended; kept only where there are several.
    ended: SmallVec<[u64; 2]>,
    /// The beginning of an event whose end has not come. No longer than the decoder lets an event be.
    held: Vec<u8>,
    /// Events cannot be told apart any more; the bytes pass all the same.
    opaque: bool,
    /// What was hidden last ended with a carriage return, whose line feed may follow.
    hides_line_feed: bool,
    /// The id of the answer, once it has come and where it is wanted.
    id: Option<String>,
    /// What the caller is told that the model is called, where that is not what the upstream says.
    name: Option<Box<str>>,
}

impl Relay {
    pub(super) fn new(outbound: &'static dyn Outbound, terms: Terms) -> Relay {
        let (held, ended) = (Vec::new(), SmallVec::new());
        Relay { outbound, terms, ended, held, opaque: false, hides_line_feed: false, id: None, name: None }
    }

    pub(super) fn name(&mut self, name: &str) {
        self.name = Some(name.into());
    }

    /// Whole events with the name of the model that the caller is told.
    fn named(&self, events: Bytes) -> Bytes {
        match &self.name {
            Some(name) => naming::renamed_events(&events, self.outbound.model_told(), name).into(),
            None => events,
        }
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Reads `bytes` and lets the events pass that they complete.
    ///
    /// # Errors
    /// Bytes that are no stream of this framing. They pass too: it is for the caller of this to end the stream.
    pub(super) fn push(
        &mut self,
        mut bytes: Bytes,
        frames: &mut Decoder,
        sight: &mut Sight,
        out: &mut Out,
    ) -> Result<(), FrameError> {
        if !self.outbound.framing().relays() {
            return self.push_reframed(&bytes, frames, sight, out);
        }
        let mut hides = false;
        let cut = frames.push(&bytes, &mut |frame| {
            let seen = self.watch(&frame, sight);
            hides |= self.is_hidden(&frame, &seen);
        });
        self.opaque |= cut.is_err();
        let tail = if self.opaque { 0 } else { frames.tail() };
        let tail = bytes.split_off(bytes.len().saturating_sub(tail));
        if std::mem::take(&mut self.hides_line_feed) && bytes.first() == Some(&b'\n') {
            drop(bytes.split_to(1));
        }
        if !bytes.is_empty() {
            let beginning = Bytes::from(std::mem::take(&mut self.held));
            if hides && !self.opaque {
                let events = self.without_usage(&[beginning, bytes].concat());
                out.push(self.named(events));
            } else if self.name.is_some() && !self.opaque {
                out.push(self.named([beginning, bytes].concat().into()));
            } else {
                out.push(beginning);
                out.push(bytes);
            }
        }
        self.held.extend_from_slice(&tail);
        cut
    }

    /// As [`Relay::push`], where the caller does not know the upstream's framing: the events pass as they are, in its own.
    fn push_reframed(
        &mut self,
        bytes: &[u8],
        frames: &mut Decoder,
        sight: &mut Sight,
        out: &mut Out,
    ) -> Result<(), FrameError> {
        let mut events = Vec::new();
        let cut = frames.push(bytes, &mut |frame| {
            self.watch(&frame, sight);
            self.outbound.relayed_frame(&frame, &mut events);
        });
        out.push(self.named(events.into()));
        cut
    }

    /// The bytes have ended. An event that lacks its end passes if the answer is complete, as several upstreams end, and if it
    /// is the upstream's word of an error.
    pub(super) fn finish(&mut self, frames: &mut Decoder, sight: &mut Sight, out: &mut Out) {
        let mut passes = false;
        let last = frames.finish(&mut |frame| {
            // A piece of an event means nothing, whatever words stand in it.
            if is_whole(&frame, self.outbound) {
                let seen = self.watch(&frame, sight);
                passes = !self.is_hidden(&frame, &seen);
            }
        });
        let held = std::mem::take(&mut self.held);
        if passes && last.is_ok() && (sight.finished || sight.error.is_some()) {
            out.push(self.named(held.into()));
        }
    }

    /// Reads what a frame means.
    fn watch(&mut self, frame: &Frame<'_>, sight: &mut Sight) -> Observation {
        if self.terms.notes_id && self.id.is_none() {
            self.id = self.outbound.answer_id(frame);
        }
        let observation = self.outbound.observe(frame);
        sight.unreported += observation.said;
        if let Some(usage) = &observation.usage {
            sight.reported(usage, |known, newer| self.outbound.add_usage(known, newer));
        }
        // Anthropic's messages say it where they tell their usage.
        if observation.kind == FrameKind::Finish || observation.usage.is_some() {
            self.note_ending(frame, sight);
        }
        match observation.kind {
            FrameKind::Preamble => {}
            FrameKind::Content => {
                sight.content = true;
                sight.spoken = true;
            }
            FrameKind::Finish => {
                sight.content = true;
                sight.finished = self.all_ended(frame);
            }
            FrameKind::Terminal => sight.finished = true,
            FrameKind::Error => sight.error = Some(self.outbound.decode_stream_error(frame)),
        }
        observation
    }

    /// Who answers, and why. Of one answer the last word counts: Gemini says it again in later chunks.
    fn note_ending(&self, frame: &Frame<'_>, sight: &mut Sight) {
        let Ending { model, finishes } = self.outbound.ending(frame.data.as_bytes());
        sight.model = model.or(sight.model.take());
        if finishes.is_empty() {
            return;
        }
        if self.terms.answers <= 1 {
            sight.finishes.clear();
        }
        let most = usize::try_from(self.terms.answers.max(1)).unwrap_or(MOST).min(MOST);
        sight.finishes.extend(finishes.into_iter().take(most.saturating_sub(sight.finishes.len())));
    }

    /// Whether the last of the answers has ended, of which one ends with this frame.
    fn all_ended(&mut self, frame: &Frame<'_>) -> bool {
        if self.terms.answers <= 1 {
            return true;
        }
        for number in self.outbound.finishes(frame) {
            if !self.ended.contains(&number) {
                self.ended.push(number);
            }
        }
        self.ended.len() as u64 >= self.terms.answers
    }

    fn is_hidden(&self, frame: &Frame<'_>, seen: &Observation) -> bool {
        self.terms.hides_usage && seen.usage.is_some() && self.outbound.is_only_usage(frame)
    }

    /// Whole events, without those that are to be hidden. Once in a stream, so it may read a second time.
    fn without_usage(&mut self, text: &[u8]) -> Bytes {
        let mut kept = Vec::with_capacity(text.len());
        let mut reader = sse::Decoder::new(EVENT_LIMIT);
        let mut event = Vec::new();
        let (mut frames, mut hidden) = (0, false);
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            let read = reader.push(line, &mut |frame| {
                frames += 1;
                hidden = self.outbound.is_only_usage(&frame);
            });
            event.extend_from_slice(line);
            if read.is_ok() && reader.tail() > 0 {
                continue;
            }
            // Where lines end with carriage returns alone, several events are one line here, and none of them is hidden.
            if hidden && frames == 1 {
                self.hides_line_feed = event.last() == Some(&b'\r');
                event.clear();
            }
            kept.append(&mut event);
            (frames, hidden) = (0, false);
        }
        kept.append(&mut event);
        kept.into()
    }
}
