//! From events to a caller's stream. Exactly one item is open at a time: what comes for another part in the meantime waits
//! until it ends. Texts that follow each other are parts of one message.

use super::super::response::{FOREIGN_PROOF, NO_COUNTERPART, UNSAID, response_id, words};
use super::super::{SELF, echo, note};
use crate::wire::ir::{Delta, Event, Finish, PartKind, Scope, Usage};
use crate::wire::json::Ext;
use crate::wire::loss::Losses;
use crate::wire::{Answering, StreamEncoder};

pub(in super::super) struct Encoder {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: Option<u64>,
    pub(super) begun: bool,
    pub(super) ended: bool,
    pub(super) sequence: u64,
    pub(super) usage: Option<Usage>,
    pub(super) ext: Ext,
    pub(super) finish: Option<Finish>,
    /// Parts that have begun, in order; those written are gone.
    pub(super) parts: Vec<Part>,
    /// Whether the first of `parts` has been announced.
    pub(super) open: bool,
    pub(super) message: Option<Message>,
    /// Items that are done.
    pub(super) items: Vec<Vec<u8>>,
    pub(super) refusal: bool,
    pub(super) losses: Losses,
    /// The gateway has named the answer: the upstream's name for it is nobody's business.
    named: bool,
    /// Names of tools whose calls are told in the form of freeform tools.
    freeform: Vec<String>,
    /// The answer, once it has ended.
    pub(super) whole: Option<Vec<u8>>,
}

pub(super) struct Part {
    pub(super) index: u32,
    pub(super) kind: PartKind,
    pub(super) text: String,
    /// How much of `text` was written.
    pub(super) written: usize,
    pub(super) proof: Option<String>,
    pub(super) ext: Ext,
    pub(super) ended: bool,
}

/// The open message and its finished parts.
pub(super) struct Message {
    pub(super) id: String,
    pub(super) said: Vec<Vec<u8>>,
}

impl Encoder {
    /// `model`: the one asked for, in case the upstream names none.
    pub(in super::super) fn new(model: &str) -> Encoder {
        Encoder {
            id: response_id(None),
            model: model.to_owned(),
            created: None,
            begun: false,
            ended: false,
            sequence: 0,
            usage: None,
            ext: Ext::default(),
            finish: None,
            parts: Vec::new(),
            open: false,
            message: None,
            items: Vec::new(),
            refusal: false,
            losses: Losses::default(),
            named: false,
            freeform: Vec::new(),
            whole: None,
        }
    }

    /// As [`Encoder::new`], with what is known of the request.
    pub(in super::super) fn answering(answering: &Answering<'_>) -> Encoder {
        Encoder {
            id: answering.id.map_or_else(|| response_id(None), str::to_owned),
            created: Some(answering.now),
            ext: echo::of(answering),
            named: answering.id.is_some(),
            freeform: echo::freeform_tools(answering.request),
            ..Encoder::new(&answering.request.model)
        }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, model, created } => {
                if !self.named {
                    self.id = response_id(id.as_deref());
                }
                self.created = created.or(self.created);
                if let Some(model) = model.as_ref().filter(|model| !model.is_empty()) {
                    self.model.clone_from(model);
                }
                self.begin(out);
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Extra { origin, scope, ext } => self.extra(*origin == SELF, *scope, ext),
            Event::PartStart { index, candidate, kind } => self.part_start(*index, *candidate, kind, out),
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::PartEnd { index } => {
                if let Some(part) = self.parts.iter_mut().find(|part| part.index == *index) {
                    part.ended = true;
                }
                self.advance(out);
            }
            Event::Finish { candidate: 0, finish } => {
                self.losses.dropped_stop_sequence(finish);
                self.losses.degraded_finish(finish, UNSAID);
                self.finish = Some(finish.clone());
            }
            // Other candidates were reported when their parts began.
            Event::Finish { .. } => {}
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Error(error) => self.fail(error, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.begin(out);
        self.parts.iter_mut().for_each(|part| part.ended = true);
        self.advance(out);
        self.close_message(out);
        if let Some(usage) = &self.usage {
            self.losses.dropped_counts(usage, super::super::usage::SAID);
        }
        let (status, reason) = words(self.finish.as_ref(), self.refusal);
        let name = if status == "completed" { "response.completed" } else { "response.incomplete" };
        self.lifecycle(name, status, reason, None, out);
        self.ended = true;
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }

    fn whole(&mut self) -> Option<Vec<u8>> {
        self.whole.take()
    }
}

// === what comes in ===

impl Encoder {
    fn extra(&mut self, own: bool, scope: Scope, ext: &Ext) {
        if !own {
            return self.losses.dropped_extra(scope, ext);
        }
        let target = match scope {
            Scope::Response => Some(&mut self.ext),
            Scope::Part(index) => self.parts.iter_mut().find(|part| part.index == index).map(|part| &mut part.ext),
            Scope::Candidate(_) => None,
        };
        if let Some(target) = target {
            for (key, value) in &ext.0 {
                target.0.retain(|(known, _)| known != key);
                target.0.push((key.clone(), value.clone()));
            }
        }
    }

    fn part_start(&mut self, index: u32, candidate: u32, kind: &PartKind, out: &mut Vec<u8>) {
        if candidate != 0 {
            return self.losses.dropped("choices", "Responses has one answer; the first is given");
        }
        self.begin(out);
        match kind {
            PartKind::Opaque(opaque) if opaque.origin != SELF => {
                return self.losses.dropped_part("content", &opaque.raw, NO_COUNTERPART);
            }
            PartKind::Media(_) => return self.losses.dropped("content.media", NO_COUNTERPART),
            PartKind::RedactedReasoning(_) => {
                return self.losses.dropped("content", NO_COUNTERPART);
            }
            PartKind::Text
            | PartKind::Refusal
            | PartKind::Reasoning
            | PartKind::ToolCall { .. }
            | PartKind::Opaque(_) => {}
        }
        let mut ext = Ext::default();
        if matches!(kind, PartKind::ToolCall { name, .. } if self.freeform.contains(name)) {
            note::add(&mut ext, "#custom", "true");
        }
        self.parts.push(Part {
            index,
            kind: kind.clone(),
            text: String::new(),
            written: 0,
            proof: None,
            ext,
            ended: false,
        });
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<u8>) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.index == index) {
            match delta {
                Delta::Text(text) | Delta::Arguments(text) => part.text.push_str(text),
                Delta::Signature(proof) if proof.issuer == SELF => part.proof = Some(proof.value.clone()),
                Delta::Signature(_) => self.losses.dropped("content.signature", FOREIGN_PROOF),
            }
        }
        self.advance(out);
    }

    /// Writes what can be written: the rest of the open part, and parts that waited for its end.
    fn advance(&mut self, out: &mut Vec<u8>) {
        while let Some(first) = self.parts.first() {
            if !self.open && !first.ended && first.text.is_empty() {
                return;
            }
            let mut part = self.parts.remove(0);
            // Calls of freeform tools are written whole: their arguments are a wrapping of ours.
            let custom = part.ext.get("#custom").is_some();
            if !std::mem::replace(&mut self.open, true) && !custom {
                self.announce(&part, out);
            }
            if !custom {
                self.flush(&mut part, out);
            }
            if !part.ended {
                self.parts.insert(0, part);
                return;
            }
            self.open = false;
            self.close(part, custom, out);
        }
    }
}
