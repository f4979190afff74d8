//! From events to a caller's stream, one item after the other. Texts that follow each other are parts of one message.

use super::super::response::{FOREIGN_PROOF, NO_COUNTERPART, UNSAID, response_id, words};
use super::super::{SELF, echo};
use crate::wire::blocks::{Block, BlockEncoder, Blocks};
use crate::wire::ir::{Event, Finish, PartKind, Usage};
use crate::wire::json::Ext;
use crate::wire::loss::Losses;
use crate::wire::{Answering, ProtocolId, StreamEncoder};

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
    blocks: Blocks,
    /// Text or arguments of the open part that were written.
    pub(super) said: String,
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
            blocks: Blocks::default(),
            said: String::new(),
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
            Event::Extra { origin, scope, ext } => self.keep(*origin, *scope, ext),
            Event::PartStart { index, candidate, kind } => self.part_start(*index, *candidate, kind, out),
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::PartEnd { index } => self.part_end(*index, out),
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
        self.end_parts(out);
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

impl BlockEncoder for Encoder {
    const PROTOCOL: ProtocolId = SELF;
    /// An item without text may have an id or encrypted thoughts.
    const EMPTY_BLOCKS: bool = true;
    const NO_ARGUMENTS: Option<&'static str> = None;
    const SEVERAL: &'static str = "Responses has one answer; the first is given";
    const FOREIGN_SIGNATURE: &'static str = FOREIGN_PROOF;

    fn blocks(&mut self) -> &mut Blocks {
        &mut self.blocks
    }

    fn losses_mut(&mut self) -> &mut Losses {
        &mut self.losses
    }

    fn ext_mut(&mut self) -> &mut Ext {
        &mut self.ext
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        self.write_beginning(out);
    }

    fn accepts(&mut self, kind: &PartKind) -> bool {
        match kind {
            PartKind::Opaque(opaque) if opaque.origin != SELF => {
                self.losses.dropped_part("content", &opaque.raw, NO_COUNTERPART);
            }
            PartKind::Media(_) => self.losses.dropped("content.media", NO_COUNTERPART),
            PartKind::RedactedReasoning(_) => self.losses.dropped("content", NO_COUNTERPART),
            PartKind::Text
            | PartKind::Refusal
            | PartKind::Reasoning
            | PartKind::ToolCall { .. }
            | PartKind::Opaque(_) => return true,
        }
        false
    }

    fn open(&mut self, block: &Block, out: &mut Vec<u8>) {
        self.said.clear();
        if !self.is_freeform(block) {
            self.announce(block, out);
        }
    }

    fn piece(&mut self, block: &Block, out: &mut Vec<u8>) {
        if !self.is_freeform(block) {
            self.write_piece(block, out);
        }
        self.said.push_str(&block.pending);
    }

    fn close(&mut self, block: &Block, out: &mut Vec<u8>) {
        let said = std::mem::take(&mut self.said);
        self.write_end(block, &said, out);
    }
}

impl Encoder {
    /// Calls of freeform tools are written whole: their arguments are a wrapping of ours.
    pub(super) fn is_freeform(&self, block: &Block) -> bool {
        let ours = matches!(&block.kind, PartKind::ToolCall { name, .. } if self.freeform.contains(name));
        ours || block.ext.get("#custom").is_some()
    }
}
