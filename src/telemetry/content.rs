//! What callers and models say, on its way to the spans of a preset that asks for it; and to nowhere else. It is heard as bytes
//! on the request path, and read, cleaned and cut where spans are made of it.
//!
//! | file | what it does |
//! |---|---|
//! | `redact` | takes secrets out of texts |
//! | `messages` | conversations as the semantic conventions write them |

mod messages;
pub mod redact;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;

use self::messages::Clip;
use self::redact::Redaction;
use crate::upstream::tape::{Budget, Hold, Tape};
use crate::wire::frame::Decoder;
use crate::wire::ir::{self, Event, fold};
use crate::wire::quirk::Quirks;
use crate::wire::{Head, Inbound, Operation, Outbound, ProtocolId};

/// Most bytes of a request, and of the beginning of an answer, that are kept until spans are made of them.
const LARGEST: usize = 4 << 20;
/// Most bytes of all requests and answers together.
static WAITING: Budget = Budget::new(128 << 20);

/// What is said in one try. Whoever reads it first has it alone.
pub struct Content {
    said: Mutex<Option<Said>>,
    /// Most bytes of each attribute.
    limit: usize,
    redaction: Arc<Redaction>,
    /// Secrets that the request itself brings.
    brought: Box<[Box<str>]>,
    /// Replaces the key or token that the upstream gets.
    scrub: OnceLock<Scrub>,
}

/// Replaces secrets in a text.
pub type Scrub = Box<dyn Fn(&mut Vec<u8>) + Send + Sync>;

struct Said {
    asked: Option<Asked>,
    answer: Option<Heard>,
}

/// A request.
pub enum Asked {
    /// As its caller wrote it.
    Document { inbound: &'static dyn Inbound, path: Path, body: Bytes, hold: Hold },
    /// As it has been read.
    Read(Box<ir::Request>),
}

/// What a call's path says, which some protocols need to read its body.
pub struct Path {
    pub model: Option<String>,
    pub stream: bool,
    pub alt_sse: bool,
}

/// An answer on its way.
pub struct Heard {
    pub outbound: &'static dyn Outbound,
    pub protocol: ProtocolId,
    pub quirks: Quirks,
    pub stream: bool,
    pub tape: Tape,
}

/// What was said, as JSON texts; `None` where there is nothing, or nothing that can be read.
#[derive(Debug, Default, PartialEq)]
pub struct Told {
    pub system: Option<String>,
    pub input: Option<String>,
    pub output: Option<String>,
    /// Something of it was left out for its length.
    pub cut: bool,
}

/// No text is shown by accident.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content")
    }
}

/// Only the same is equal.
impl PartialEq for Content {
    fn eq(&self, other: &Content) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Asked {
    /// A document, where there is room for it.
    pub fn document(inbound: &'static dyn Inbound, path: Path, body: &Bytes) -> Option<Asked> {
        let mut hold = WAITING.hold();
        let fits = body.len() <= LARGEST && hold.grow(body.len());
        fits.then(|| Asked::Document { inbound, path, body: body.clone(), hold })
    }
}

impl Content {
    /// `asked`: `None` where there is no room for it. `brought`: the secrets in the request's headers.
    pub fn new(asked: Option<Asked>, limit: usize, redaction: Arc<Redaction>, brought: Box<[Box<str>]>) -> Content {
        let said = Mutex::new(Some(Said { asked, answer: None }));
        Content { said, limit, redaction, brought, scrub: OnceLock::new() }
    }

    /// A tape for the answer, of which the beginning is kept.
    pub fn tape() -> Tape {
        Tape::beginning(LARGEST, &WAITING)
    }

    /// An answer begins; of several the last one counts.
    pub fn answers(&self, heard: Heard, scrub: Scrub) {
        // The same key answers again.
        let _ = self.scrub.set(scrub);
        if let Some(said) = &mut *self.said() {
            said.answer = Some(heard);
        }
    }

    /// What was said; nothing is left of it.
    pub fn tell(&self) -> Told {
        // Nobody waits while it is read.
        let Some(Said { asked, answer }) = self.said().take() else { return Told::default() };
        let unheard = asked.is_none();
        let request = asked.and_then(Asked::read);
        let answer = answer.and_then(Heard::read);
        let clean = |text: &str| self.clean(text);
        let mut clip = Clip::new(&clean, self.limit);
        let (system, input) = request.map(|request| messages::input(&request, &mut clip)).unzip();
        let output = answer.as_ref().map(|(answer, _)| messages::output(answer, &mut clip));
        let cut = unheard || clip.has_cut() || answer.is_some_and(|(_, whole)| !whole);
        Told { system: system.flatten(), input, output, cut }
    }

    fn clean(&self, text: &str) -> String {
        let mut text = self.redaction.clean(text, &self.brought);
        if let Some(scrub) = self.scrub.get() {
            let mut bytes = text.into_bytes();
            scrub(&mut bytes);
            // What is put in its place is ASCII.
            text = String::from_utf8_lossy(&bytes).into_owned();
        }
        text
    }

    fn said(&self) -> MutexGuard<'_, Option<Said>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    fn read(self) -> Option<ir::Request> {
        match self {
            Asked::Read(request) => Some(*request),
            Asked::Document { inbound, path, body, hold: _hold } => {
                let Path { model, stream, alt_sse } = &path;
                let head = Head {
                    operation: Operation::Generate,
                    path_model: model.as_deref(),
                    path_stream: *stream,
                    alt_sse: *alt_sse,
                };
                inbound.decode_request(&head, &body).ok()
            }
        }
    }
}

impl Heard {
    /// The answer, as far as it came and was kept, and whether nothing of it was left out.
    fn read(self) -> Option<(ir::Response, bool)> {
        let (body, whole) = self.tape.heard_so_far();
        let answer = match self.stream {
            false => self.outbound.decode_response(&body, &self.quirks).ok(),
            true => self.folded(&body, whole),
        };
        answer.map(|answer| (answer, whole))
    }

    fn folded(&self, body: &[u8], whole: bool) -> Option<ir::Response> {
        let mut frames = Decoder::new(self.outbound.framing(), body.len().max(1));
        let mut decoder = self.outbound.stream_decoder(&self.quirks);
        let mut events = Vec::new();
        let read = frames.push(body, &mut |frame| decoder.frame(&frame, &mut events));
        if read.is_ok() && whole {
            // A last event that lacks its end is one more or none.
            let _ = frames.finish(&mut |frame| decoder.frame(&frame, &mut events));
            decoder.finish(&mut events);
        }
        // The error is in other attributes; what was said before it stays.
        events.retain(|event| !matches!(event, Event::Error(_)));
        fold::fold(self.protocol, &events).ok()
    }
}
