//! From events to a caller's stream, one item after the other. Texts that follow each other are parts of one message.

use super::super::response::{FOREIGN_PROOF, NO_COUNTERPART, NO_TEXT, UNSAID, response_id, words};
use super::super::{SELF, echo, picture, usage};
use crate::wire::blocks::{Answer, Block, BlockEncoder};
use crate::wire::ir::{Error, FinishReason, PartKind};
use crate::wire::{Answering, ProtocolId};

pub(in super::super) struct Encoder {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: Option<u64>,
    pub(super) begun: bool,
    pub(super) sequence: u64,
    pub(super) answer: Answer,
    /// Text or arguments of the open part that were written.
    pub(super) said: String,
    pub(super) message: Option<Message>,
    /// Items that are done.
    pub(super) items: Vec<Vec<u8>>,
    pub(super) refusal: bool,
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
            sequence: 0,
            answer: Answer::default(),
            said: String::new(),
            message: None,
            items: Vec::new(),
            refusal: false,
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
            answer: Answer::with(echo::of(answering)),
            named: answering.id.is_some(),
            freeform: echo::freeform_tools(answering.request),
            ..Encoder::new(&answering.request.model)
        }
    }
}

impl BlockEncoder for Encoder {
    const PROTOCOL: ProtocolId = SELF;
    /// An item without text may have an id or encrypted thoughts.
    const EMPTY_BLOCKS: bool = true;
    const NO_ARGUMENTS: Option<&'static str> = None;
    const SEVERAL: &'static str = "Responses has one answer; the first is given";
    const FOREIGN_SIGNATURE: &'static str = FOREIGN_PROOF;
    const UNSAID: &'static [FinishReason] = UNSAID;
    const COUNTS: &'static [&'static str] = usage::SAID;
    const LOGPROBS: bool = true;

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn answer_mut(&mut self) -> &mut Answer {
        &mut self.answer
    }

    fn start(&mut self, id: Option<&str>, model: Option<&str>, created: Option<u64>, out: &mut Vec<u8>) {
        if !self.named {
            self.id = response_id(id);
        }
        self.created = created.or(self.created);
        if let Some(model) = model {
            model.clone_into(&mut self.model);
        }
        self.begin(out);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        self.write_beginning(out);
    }

    fn accepts(&mut self, kind: &PartKind) -> bool {
        match kind {
            PartKind::Opaque(opaque) if opaque.origin != SELF => {
                self.answer.losses.dropped_part("content", &opaque.raw, NO_COUNTERPART);
            }
            PartKind::Media(media) if picture::bytes(media).is_none() => {
                self.answer.losses.dropped("content.media", NO_COUNTERPART);
            }
            PartKind::Media(media) => {
                if !picture::is_own(media) {
                    self.answer.losses.dropped_ext("content.", &media.ext);
                }
                return true;
            }
            PartKind::RedactedReasoning(_) => self.answer.losses.dropped("content.signature", FOREIGN_PROOF),
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

    fn ping(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": ping\n\n");
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.close_message(out);
        let Answer { finish, losses, logprobs, .. } = &mut self.answer;
        if !logprobs.is_empty() {
            losses.dropped("choices.logprobs", NO_TEXT);
        }
        if let Some(finish) = finish {
            losses.dropped_stop_sequence(finish);
        }
        let (status, reason) = words(finish.as_ref(), self.refusal);
        let name = if status == "completed" { "response.completed" } else { "response.incomplete" };
        self.lifecycle(name, status, reason, None, out);
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        self.write_failure(error, out);
    }

    fn take_whole(&mut self) -> Option<Vec<u8>> {
        self.whole.take()
    }
}

impl Encoder {
    /// Calls of freeform tools are written whole: their arguments are a wrapping of ours.
    pub(super) fn is_freeform(&self, block: &Block) -> bool {
        let ours = matches!(&block.kind, PartKind::ToolCall { name, .. } if self.freeform.contains(name));
        ours || block.ext.get("#custom").is_some()
    }
}
