//! A stream between an upstream and a caller, as bytes in and bytes out: relayed and watched where both speak the same
//! protocol, translated where they do not. Sans-IO.

mod opaque;
mod relay;

use bytes::Bytes;
use compact_str::CompactString;
use opaque::Opaque;
use relay::Relay;
pub use relay::Terms;
use serde::de::IgnoredAny;
use smallvec::SmallVec;

use super::stamp::Stamp;
use super::{estimate, recorded};
use crate::wire::frame::{Decoder, Frame, FrameError, Framing};
use crate::wire::ir::{Delta, Error, ErrorKind, Event, Usage};
use crate::wire::loss::Losses;
use crate::wire::{FrameKind, Head, Inbound, Outbound, StreamDecoder, StreamEncoder};

/// Most bytes of one event of a stream. Images and encrypted reasoning come in one event.
const EVENT_LIMIT: usize = 8 << 20;

/// How far a stream has come. The caller sees nothing before [`Progress::Content`]: until then another target can take
/// over.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    Preamble,
    Content,
    /// The answer is complete; only the end of the bytes is missing.
    Complete,
    /// An error came in the stream. Behind content it has been written in the caller's dialect.
    Failed(Error),
}

/// What comes out of a pipe.
#[derive(Debug, Default)]
pub struct Out {
    pub pieces: Vec<Bytes>,
}

impl Out {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.pieces.push(piece);
        }
    }

    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Everything as one piece; copies only where there are several.
    pub fn take(&mut self) -> Bytes {
        let mut pieces = std::mem::take(&mut self.pieces);
        match pieces.len() {
            0 | 1 => pieces.pop().unwrap_or_default(),
            _ => pieces.concat().into(),
        }
    }
}

/// One stream.
pub struct Pipe {
    frames: Decoder,
    way: Way,
    /// Writes errors in the caller's dialect.
    inbound: &'static dyn Inbound,
    sse_asked: bool,
    sight: Sight,
}

/// What has been seen of the answer so far.
#[derive(Debug, Default)]
struct Sight {
    content: bool,
    /// Something was said, not only ended.
    spoken: bool,
    finished: bool,
    error: Option<Error>,
    usage: Option<Usage>,
    /// Bytes that were said since usage was last reported with its output.
    unreported: usize,
    /// The model that the upstream says answers.
    model: Option<CompactString>,
    /// Why each answer ended.
    finishes: SmallVec<[CompactString; 1]>,
}

impl Sight {
    /// Usage was reported, which is added by `add`.
    fn reported(&mut self, usage: &Usage, add: impl FnOnce(&mut Usage, &Usage)) {
        add(self.usage.get_or_insert_default(), usage);
        if usage.output.is_some() {
            self.unreported = 0;
        }
    }
}

enum Way {
    Relay(Relay),
    Translate(Translator),
    Opaque(Opaque),
}

struct Translator {
    outbound: &'static dyn Outbound,
    decoder: Box<dyn StreamDecoder>,
    encoder: Box<dyn StreamEncoder>,
    events: Vec<Event>,
    /// Takes the whole answer, once it is there.
    keep: Option<Keep>,
    /// What the caller is told that the model is called.
    name: Name,
    /// The id and the time, where the upstream gives none.
    stamp: Stamp,
    /// The encoder wants to know what the upstream says, frame by frame.
    listens: bool,
    /// Of such an encoder's stream: the frame in which an error came before content.
    fault: Option<Box<str>>,
}

/// What a caller is told that the model is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// As the upstream says.
    Told,
    /// As the upstream says, and this where it says nothing.
    ToldOr(Box<str>),
    This(Box<str>),
}

impl Name {
    /// The name in place of the one that the upstream said.
    pub fn of(&self, told: Option<String>) -> Option<String> {
        match self {
            Name::Told => told,
            Name::ToldOr(name) => Some(told.filter(|told| !told.is_empty()).unwrap_or_else(|| name.to_string())),
            Name::This(name) => Some(name.to_string()),
        }
    }
}

/// Takes a whole answer.
pub type Keep = Box<dyn FnOnce(Vec<u8>) + Send>;

impl Pipe {
    /// Bytes pass as they are, but for what `terms` hide.
    pub fn relay(inbound: &'static dyn Inbound, outbound: &'static dyn Outbound, terms: Terms) -> Pipe {
        Pipe {
            frames: Decoder::new(outbound.framing(), EVENT_LIMIT),
            way: Way::Relay(Relay::new(outbound, terms)),
            inbound,
            sse_asked: true,
            sight: Sight::default(),
        }
    }

    /// Bytes pass unread; where they are events, an error before the first of them is seen, and usage.
    pub fn opaque(inbound: &'static dyn Inbound, events: Option<&'static dyn Outbound>) -> Pipe {
        Pipe {
            frames: Decoder::new(Framing::Sse, EVENT_LIMIT),
            way: Way::Opaque(Opaque::new(events)),
            inbound,
            sse_asked: true,
            sight: Sight::default(),
        }
    }

    /// Events pass through the hub.
    pub fn translate(
        inbound: &'static dyn Inbound,
        outbound: &'static dyn Outbound,
        head: &Head<'_>,
        decoder: Box<dyn StreamDecoder>,
        encoder: Box<dyn StreamEncoder>,
    ) -> Pipe {
        let listens = encoder.listens();
        let (events, name) = (Vec::new(), Name::Told);
        let stamp = Stamp::new(inbound);
        let translator =
            Translator { outbound, decoder, encoder, events, keep: None, name, stamp, listens, fault: None };
        Pipe {
            frames: Decoder::new(outbound.framing(), EVENT_LIMIT),
            way: Way::Translate(translator),
            inbound,
            sse_asked: head.alt_sse,
            sight: Sight::default(),
        }
    }

    /// The id of a relayed answer, where the terms ask for it and it has come.
    pub fn answer_id(&self) -> Option<&str> {
        match &self.way {
            Way::Relay(relay) => relay.id(),
            Way::Translate(_) | Way::Opaque(_) => None,
        }
    }

    /// The frame in which an error came before content, for callers that want to see what the upstream said.
    pub fn fault(&self) -> Option<&str> {
        match &self.way {
            Way::Translate(translator) => translator.fault.as_deref(),
            Way::Relay(_) | Way::Opaque(_) => None,
        }
    }

    /// Says what the caller is told that the model is called. Of a relayed stream the upstream's word holds, or another.
    pub fn name(&mut self, name: Name) {
        match (&mut self.way, name) {
            (Way::Translate(translator), name) => translator.name = name,
            (Way::Relay(relay), Name::This(name)) => relay.name(&name),
            (Way::Relay(_), Name::Told | Name::ToldOr(_)) | (Way::Opaque(_), _) => {}
        }
    }

    /// Gives the whole of a translated answer to `keep` before its last bytes are written.
    pub fn keep_with(&mut self, keep: Keep) {
        if let Way::Translate(translator) = &mut self.way {
            translator.keep = Some(keep);
        }
    }

    /// Takes bytes from the upstream.
    pub fn push(&mut self, bytes: Bytes, out: &mut Out) {
        if matches!(self.progress(), Progress::Failed(_)) {
            return;
        }
        let Pipe { frames, way, sight, .. } = self;
        let cut = match way {
            Way::Relay(relay) => relay.push(bytes, frames, sight, out),
            Way::Opaque(opaque) => opaque.push(bytes, frames, sight, out),
            Way::Translate(translator) if translator.listens => {
                frames.push(&bytes, &mut |frame| translator.frame(&frame, sight, out))
            }
            Way::Translate(translator) => {
                let Translator { decoder, events, .. } = translator;
                let cut = frames.push(&bytes, &mut |frame| decoder.frame(&frame, events));
                translator.encode(sight, out);
                cut
            }
        };
        if let Err(error) = cut {
            self.broken_frame(error, out);
        }
    }

    /// The upstream ended its stream. A stream that has not come to its own end gets an error as its last event.
    pub fn finish(&mut self, out: &mut Out) {
        if matches!(self.progress(), Progress::Failed(_)) {
            return;
        }
        let Pipe { frames, way, sight, .. } = self;
        match way {
            Way::Relay(relay) => {
                relay.finish(frames, sight, out);
                if !self.sight.finished && self.sight.error.is_none() {
                    self.fail(truncated(), out);
                }
            }
            Way::Opaque(opaque) => opaque.finish(frames, sight),
            Way::Translate(translator) => {
                let last = frames.finish(&mut |frame| {
                    if is_whole(&frame, translator.outbound) {
                        translator.frame(&frame, sight, out);
                    }
                });
                translator.decoder.finish(&mut translator.events);
                translator.encode(sight, out);
                if self.sight.error.is_some() {
                    return;
                }
                match (&mut self.way, last) {
                    // Half a character is a piece of an event too.
                    (Way::Translate(translator), Ok(()) | Err(FrameError::Utf8)) => {
                        let mut bytes = Vec::new();
                        translator.encoder.finish(&mut bytes);
                        translator.kept();
                        out.push(bytes.into());
                        self.sight.finished = true;
                    }
                    (_, Err(error)) => self.broken_frame(error, out),
                    (Way::Relay(_) | Way::Opaque(_), Ok(())) => {}
                }
            }
        }
    }

    /// Ends the stream with an error of the gateway's own: a timeout, a broken connection.
    pub fn fail(&mut self, error: Error, out: &mut Out) {
        if self.sight.error.is_some() {
            return;
        }
        if self.sight.content {
            let mut bytes = Vec::new();
            match &mut self.way {
                // There is no place for words in sound: the connection breaks off instead.
                Way::Opaque(opaque) if !opaque.has_room_for_words() => {}
                Way::Relay(_) | Way::Opaque(_) => self.inbound.encode_stream_error(&error, &self.head(), &mut bytes),
                Way::Translate(translator) => {
                    translator.encoder.event(&Event::Error(error.clone()), &mut bytes);
                    translator.kept();
                }
            }
            out.push(bytes.into());
        }
        self.sight.error = Some(error);
    }

    /// Writes what tells a caller that the stream still lives; nothing before content or behind the end, and where the caller's
    /// protocol has no such thing. What has been written is always whole events.
    pub fn keep_alive(&self, out: &mut Out) {
        let room = match &self.way {
            Way::Relay(_) | Way::Translate(_) => true,
            // What passes unread may stand in the middle of anything.
            Way::Opaque(_) => false,
        };
        if room
            && self.progress() == Progress::Content
            && let Some(bytes) = self.inbound.keep_alive()
        {
            out.push(Bytes::from_static(bytes));
        }
    }

    fn broken_frame(&mut self, error: FrameError, out: &mut Out) {
        let code = match error {
            FrameError::TooLarge { .. } => "upstream_too_large",
            FrameError::Utf8 | FrameError::NotAnArray | FrameError::Checksum | FrameError::Malformed => {
                "upstream_protocol"
            }
        };
        // Bytes that pass as they are need not be understood; only their end must be seen.
        if matches!(self.way, Way::Relay(_) | Way::Opaque(_)) && error == FrameError::Utf8 && self.sight.content {
            self.sight.finished = true;
            return;
        }
        self.fail(Error::new(ErrorKind::Upstream, error.to_string()).with_code(code), out);
    }

    fn head(&self) -> Head<'static> {
        Head {
            operation: crate::wire::Operation::Generate,
            path_model: None,
            path_stream: true,
            alt_sse: self.sse_asked,
        }
    }

    /// How far the stream has come.
    pub fn progress(&self) -> Progress {
        match &self.sight {
            Sight { error: Some(error), .. } => Progress::Failed(error.clone()),
            Sight { finished: true, .. } => Progress::Complete,
            Sight { content: true, .. } => Progress::Content,
            _ => Progress::Preamble,
        }
    }

    /// Whether an answer has come to its end.
    pub fn is_complete(&self) -> bool {
        self.sight.finished && self.sight.error.is_none()
    }

    /// Whether something went wrong.
    pub fn has_failed(&self) -> bool {
        self.sight.error.is_some()
    }

    /// Whether the answer ended without saying anything. A relayed finish may have carried words that nobody read, so there
    /// the upstream's own count decides.
    pub fn is_empty(&self) -> bool {
        let silent = match &self.way {
            Way::Translate(_) => true,
            Way::Opaque(_) => false,
            Way::Relay(_) => self.sight.usage.is_some_and(|usage| usage.output == Some(0)),
        };
        silent && self.sight.finished && !self.sight.spoken
    }

    /// Whether a failure can only be told by breaking the connection off.
    pub fn breaks_off(&self) -> bool {
        self.has_failed() && matches!(&self.way, Way::Opaque(opaque) if !opaque.has_room_for_words())
    }

    /// Tokens that the upstream took and did not report: the input where it reported none, which `prompt` estimates, and what it
    /// said since its last report, unless the answer is complete and the report its last word. `None` where nothing is missing.
    pub fn estimate(&self, prompt: Option<u64>) -> Option<Usage> {
        let told = self.sight.usage.unwrap_or_default();
        let input = prompt.filter(|_| told.input.is_none());
        let unheard = told.output.is_none() || !self.is_complete();
        let output = (unheard && self.sight.unreported > 0).then(|| estimate::text(self.sight.unreported));
        Usage { input, output, ..Usage::default() }.reported()
    }

    /// The model that the upstream says answers, and why it stopped.
    pub fn answered_by(&self) -> (Option<CompactString>, SmallVec<[CompactString; 1]>) {
        (self.sight.model.clone(), self.sight.finishes.clone())
    }

    /// What the caller's protocol had no place for, of an answer that was translated.
    pub fn losses(&self) -> Option<&Losses> {
        match &self.way {
            Way::Translate(translator) => Some(translator.encoder.losses()).filter(|losses| !losses.is_empty()),
            Way::Relay(_) | Way::Opaque(_) => None,
        }
    }

    /// The error that the stream ended with.
    pub fn error(&self) -> Option<&Error> {
        self.sight.error.as_ref()
    }

    /// Usage reported so far.
    pub fn usage(&self) -> Option<&Usage> {
        self.sight.usage.as_ref()
    }
}

impl Translator {
    /// Hands the answer over, once it has ended.
    fn kept(&mut self) {
        if let Some(whole) = self.encoder.whole()
            && let Some(keep) = self.keep.take()
        {
            keep(whole);
        }
    }

    /// Reads a frame and writes what comes of it.
    fn frame(&mut self, frame: &Frame<'_>, sight: &mut Sight, out: &mut Out) {
        if sight.error.is_some() {
            return;
        }
        let heard = self.listens && !self.outbound.is_mark(frame);
        let mut bytes = Vec::new();
        if heard {
            self.encoder.hears(frame.data, &mut bytes);
        }
        self.decoder.frame(frame, &mut self.events);
        self.write(sight, &mut bytes);
        if heard {
            self.encoder.heard(&mut bytes);
        }
        if self.listens && sight.error.is_some() && !sight.content {
            self.fault = Some(frame.data.into());
        }
        out.push(bytes.into());
    }

    fn encode(&mut self, sight: &mut Sight, out: &mut Out) {
        let mut bytes = Vec::new();
        self.write(sight, &mut bytes);
        out.push(bytes.into());
    }

    fn write(&mut self, sight: &mut Sight, bytes: &mut Vec<u8>) {
        if self.events.is_empty() {
            return;
        }
        for mut event in self.events.drain(..) {
            match &mut event {
                Event::Usage(usage) => sight.reported(usage, Usage::update),
                Event::Start { id, model, created } => {
                    self.stamp.fill(id, created);
                    sight.model = model.as_deref().map(Into::into);
                    *model = self.name.of(model.take());
                }
                Event::Finish { finish, .. } => recorded::finish(&mut sight.finishes, finish),
                Event::Delta { delta: Delta::Text(text) | Delta::Arguments(text), .. } => {
                    sight.unreported += text.len()
                }
                Event::Error(error) => {
                    sight.error = Some(error.clone());
                    // Before content the error is the answer to a failed try, not something to show.
                    if sight.content {
                        self.encoder.event(&event, bytes);
                    }
                    break;
                }
                _ => {}
            }
            sight.content |= event.is_content();
            sight.spoken |= event.is_content() && !matches!(event, Event::Finish { .. });
            self.encoder.event(&event, bytes);
        }
        self.events.clear();
        self.kept();
    }
}

/// Whether a frame that lacks its end is more than a piece of one: many upstreams leave the blank line behind their last event
/// out, and all that break off end in the middle of something.
fn is_whole(frame: &Frame<'_>, outbound: &dyn Outbound) -> bool {
    let is_marker = || {
        frame.event.is_empty() && !frame.data.starts_with('{') && outbound.observe(frame).kind == FrameKind::Terminal
    };
    serde_json::from_str::<IgnoredAny>(frame.data).is_ok() || is_marker()
}

/// The error of a stream that ended before its end.
pub fn truncated() -> Error {
    Error::new(ErrorKind::Truncated, "the upstream's stream ended before its end").with_code("upstream_truncated")
}
