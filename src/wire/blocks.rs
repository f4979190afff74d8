//! One block of an answer after the other: what streams of Anthropic Messages, Bedrock Converse and OpenAI Responses have in
//! common. Exactly one block is open at a time; what comes for another part in the meantime waits until the open block ends.
//! A block opens with its first content.

use super::ir::{self, Citation, Delta, Event, Finish, FinishReason, PartKind, Scope, Usage, citation};
use super::json::Ext;
use super::loss::Losses;
use super::{ProtocolId, StreamEncoder, logprobs};

/// A part of the answer, and what of it is not yet written.
pub(super) struct Block {
    /// The part's number in the hub.
    pub(super) index: u32,
    /// Its number among the blocks that are written; valid once it is open.
    pub(super) number: u32,
    pub(super) kind: PartKind,
    /// Text or arguments not yet written.
    pub(super) pending: String,
    /// Whether any text or arguments were written.
    pub(super) written: bool,
    /// The proof, where the caller's protocol issued it.
    pub(super) signature: Option<String>,
    pub(super) ext: Ext,
    /// What the text rests on, where an upstream of another protocol said it.
    pub(super) cited: Vec<Citation>,
    ended: bool,
}

/// The answer that a stream tells: its blocks, and what is known of it beside them.
#[derive(Default)]
pub(super) struct Answer {
    blocks: Blocks,
    /// The last event was written; what comes behind it is not heard.
    ended: bool,
    /// What it took, as far as it was told.
    pub(super) usage: Option<Usage>,
    /// Unmodelled members that an upstream of the caller's protocol gave.
    pub(super) ext: Ext,
    /// Whether an upstream of the caller's protocol spoke: it gave such members.
    pub(super) own: bool,
    pub(super) finish: Option<Finish>,
    /// How likely the pieces of the open text were, where the caller's protocol tells it.
    pub(super) logprobs: logprobs::Pieces,
    pub(super) losses: Losses,
}

#[derive(Default)]
struct Blocks {
    open: Option<Block>,
    /// Parts that have begun, in order, and whose blocks have not.
    waiting: Vec<Block>,
    /// The number of the next block.
    next: u32,
}

/// An encoder that writes one block after the other. What it has in common with the others is its [`StreamEncoder`].
pub(super) trait BlockEncoder {
    /// The protocol that the caller speaks.
    const PROTOCOL: ProtocolId;
    /// Whether a part that ends with nothing said is a block nevertheless. Then blocks keep the order of their parts, else one
    /// that has something to say goes before one that has not.
    const EMPTY_BLOCKS: bool;
    /// What is written for a call whose arguments are absent, or the `null` that some models write for none. `None`: what came.
    const NO_ARGUMENTS: Option<&'static str>;
    /// Why one answer of several is told.
    const SEVERAL: &'static str;
    /// Why a signature of another issuer is not told.
    const FOREIGN_SIGNATURE: &'static str;
    /// Reasons to stop that the protocol has no word for.
    const UNSAID: &'static [FinishReason];
    /// The counts of the hub's usage that the protocol tells.
    const COUNTS: &'static [&'static str];
    /// Whether the protocol tells how likely the pieces of a text were.
    const LOGPROBS: bool = false;

    fn answer(&self) -> &Answer;
    fn answer_mut(&mut self) -> &mut Answer;
    /// Who answers, and when; a `model` is not empty.
    fn start(&mut self, id: Option<&str>, model: Option<&str>, created: Option<u64>, out: &mut Vec<u8>);
    /// Writes what comes before the first block, once.
    fn begin(&mut self, out: &mut Vec<u8>);
    /// Whether the part can be told; reports the loss where it cannot.
    fn accepts(&mut self, kind: &PartKind) -> bool;
    /// Writes the beginning of a block.
    fn open(&mut self, block: &Block, out: &mut Vec<u8>);
    /// Writes what is pending.
    fn piece(&mut self, block: &Block, out: &mut Vec<u8>);
    /// Writes the end of a block; nothing of it is pending.
    fn close(&mut self, block: &Block, out: &mut Vec<u8>);
    /// Writes that the upstream is alive, where the protocol has words for it.
    fn ping(&mut self, out: &mut Vec<u8>);
    /// Writes what comes behind the last block.
    fn end(&mut self, out: &mut Vec<u8>);
    /// Writes an error in the place of the end.
    fn fail(&mut self, error: &ir::Error, out: &mut Vec<u8>);
    /// See [`StreamEncoder::whole`].
    fn take_whole(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn part_start(&mut self, index: u32, candidate: u32, kind: &PartKind, out: &mut Vec<u8>) {
        if candidate != 0 {
            return self.answer_mut().losses.dropped("choices", Self::SEVERAL);
        }
        self.begin(out);
        if self.accepts(kind) {
            // It opens with the next event: members that its beginning has may follow.
            self.answer_mut().blocks.waiting.push(Block::new(index, kind.clone()));
        }
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<u8>) {
        let answer = self.answer_mut();
        if let Some(block) = answer.blocks.get_mut(index) {
            match delta {
                Delta::Text(text) | Delta::Arguments(text) => block.pending.push_str(text),
                Delta::Signature(proof) if proof.issuer == Self::PROTOCOL => {
                    block.signature = Some(proof.value.clone());
                }
                Delta::Signature(_) => answer.losses.dropped("content.signature", Self::FOREIGN_SIGNATURE),
            }
        }
        self.advance(out);
    }

    fn part_end(&mut self, index: u32, out: &mut Vec<u8>) {
        let answer = self.answer_mut();
        if let Some(block) = answer.blocks.get_mut(index) {
            block.ended = true;
            if !Self::EMPTY_BLOCKS && !block.written && block.pending.is_empty() && !block.cited.is_empty() {
                answer.losses.dropped("content.citations", citation::NO_TEXT);
            }
        }
        self.advance(out);
    }

    /// Ends every part and writes what is left of it.
    fn end_parts(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        let blocks = &mut self.answer_mut().blocks;
        blocks.open.iter_mut().chain(&mut blocks.waiting).for_each(|block| block.ended = true);
        self.advance(out);
    }

    /// Keeps members that an upstream of the caller's protocol gave; those of another are a loss, but for citations.
    fn keep(&mut self, origin: ProtocolId, scope: Scope, ext: &Ext) {
        let answer = self.answer_mut();
        if origin != Self::PROTOCOL {
            return match scope {
                Scope::Part(index) => self.keep_citations(index, ext),
                Scope::Candidate(0) if Self::LOGPROBS => {
                    answer.logprobs.append(&mut logprobs::of_members(ext));
                    answer.losses.dropped_extra(scope, &logprobs::others(ext));
                }
                Scope::Response | Scope::Candidate(_) => answer.losses.dropped_extra(scope, ext),
            };
        }
        answer.own = true;
        match scope {
            Scope::Response => answer.ext.replace(ext),
            Scope::Part(index) => {
                if let Some(block) = answer.blocks.get_mut(index) {
                    block.ext.replace(ext);
                }
            }
            // None of these protocols has several answers, or members of one of them.
            Scope::Candidate(_) => {}
        }
    }

    /// Keeps the citations of a text that is not yet written to its end.
    fn keep_citations(&mut self, index: u32, ext: &Ext) {
        let cited = citation::of(ext);
        let answer = self.answer_mut();
        let text = answer.blocks.get_mut(index).filter(|block| matches!(block.kind, PartKind::Text));
        match text {
            Some(block) => block.cited.extend(cited),
            None if cited.is_empty() => {}
            None => answer.losses.dropped("content.citations", "they came when their text had been written"),
        }
        answer.losses.dropped_but_citations("content.", ext);
    }

    /// Writes what can be written: the rest of the open block, and blocks that waited for its end.
    fn advance(&mut self, out: &mut Vec<u8>) {
        loop {
            let blocks = &mut self.answer_mut().blocks;
            let opened = blocks.open.take();
            let is_new = opened.is_none();
            let Some(mut block) = opened.or_else(|| blocks.take_next(Self::EMPTY_BLOCKS)) else { return };
            if is_new {
                self.open(&block, out);
            }
            if block.is_due(Self::NO_ARGUMENTS) {
                self.piece(&block, out);
                block.pending.clear();
                block.written = true;
            }
            if !block.ended {
                self.answer_mut().blocks.open = Some(block);
                return;
            }
            self.close(&block, out);
        }
    }
}

impl<E: BlockEncoder + Send> StreamEncoder for E {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.answer().ended {
            return;
        }
        match event {
            Event::Start { id, model, created } => {
                let model = model.as_deref().filter(|model| !model.is_empty());
                self.start(id.as_deref(), model, *created, out);
            }
            Event::Usage(usage) => self.answer_mut().usage = Some(*usage),
            Event::Extra { origin, scope, ext } => self.keep(*origin, *scope, ext),
            Event::PartStart { index, candidate, kind } => self.part_start(*index, *candidate, kind, out),
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::PartEnd { index } => self.part_end(*index, out),
            Event::Finish { candidate: 0, finish } => {
                let answer = self.answer_mut();
                answer.losses.degraded_finish(finish, Self::UNSAID);
                answer.finish = Some(finish.clone());
                self.advance(out);
            }
            // Other candidates were reported when their parts began.
            Event::Finish { .. } => {}
            Event::Ping => self.ping(out),
            Event::Error(error) => {
                self.answer_mut().ended = true;
                self.fail(error, out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.answer_mut().ended, true) {
            return;
        }
        self.end_parts(out);
        let answer = self.answer_mut();
        if let Some(usage) = &answer.usage {
            answer.losses.dropped_counts(usage, Self::COUNTS);
        }
        self.end(out);
    }

    fn losses(&self) -> &Losses {
        &self.answer().losses
    }

    fn whole(&mut self) -> Option<Vec<u8>> {
        self.take_whole()
    }
}

impl Answer {
    /// An answer with members that the gateway gives it.
    pub(super) fn with(ext: Ext) -> Answer {
        Answer { ext, ..Answer::default() }
    }
}

impl Block {
    fn new(index: u32, kind: PartKind) -> Block {
        Block {
            index,
            number: 0,
            kind,
            pending: String::new(),
            written: false,
            signature: None,
            ext: Ext::default(),
            cited: Vec::new(),
            ended: false,
        }
    }

    /// Whether a piece is to be written now. Arguments that may yet turn out to be `null` wait; where there were none to the end,
    /// `no_arguments` is what is pending.
    fn is_due(&mut self, no_arguments: Option<&'static str>) -> bool {
        let unwritten_call = matches!(self.kind, PartKind::ToolCall { .. }) && !self.written;
        if !self.ended {
            let may_be_null = unwritten_call && "null".starts_with(self.pending.as_str());
            return !may_be_null && !self.pending.is_empty();
        }
        if let Some(none) = no_arguments.filter(|_| unwritten_call && matches!(self.pending.as_str(), "" | "null")) {
            none.clone_into(&mut self.pending);
            return true;
        }
        !self.pending.is_empty()
    }

    /// Whether there is anything to open a block for.
    fn has_content(&self) -> bool {
        match self.kind {
            PartKind::Text | PartKind::Refusal => !self.pending.is_empty(),
            PartKind::Reasoning => !self.pending.is_empty() || self.signature.is_some(),
            PartKind::ToolCall { .. } | PartKind::RedactedReasoning(_) | PartKind::Media(_) | PartKind::Opaque(_) => {
                true
            }
        }
    }
}

impl Blocks {
    /// A part that has begun and is not written to its end.
    fn get_mut(&mut self, index: u32) -> Option<&mut Block> {
        self.open.iter_mut().chain(&mut self.waiting).find(|block| block.index == index)
    }

    /// The next block to open, numbered.
    fn take_next(&mut self, empty_blocks: bool) -> Option<Block> {
        let position = if empty_blocks {
            self.waiting.first().filter(|block| block.ended || !block.pending.is_empty()).map(|_| 0)
        } else {
            self.waiting.retain(|block| !block.ended || block.has_content());
            self.waiting.iter().position(Block::has_content)
        };
        let number = self.next;
        let block = self.waiting.remove(position?);
        self.next += 1;
        Some(Block { number, ..block })
    }
}
