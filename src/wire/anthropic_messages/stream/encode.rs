//! From events to a caller's stream, one block after the other. No block is empty; `message_start` waits for the first part,
//! so that it carries what the upstream said before it.

use super::super::response::{NO_COUNTERPART, Said, UNSAID, visible_id, write_stop};
use super::super::{SELF, error, legal, usage};
use crate::wire::blocks::{Block, BlockEncoder, Blocks};
use crate::wire::frame::sse;
use crate::wire::ir::{Event, Finish, PartKind, Usage};
use crate::wire::json::{self, Ext, ObjectWriter};
use crate::wire::loss::Losses;
use crate::wire::{ProtocolId, StreamEncoder, usage_left};

pub(in super::super) struct Encoder {
    id: Option<String>,
    model: String,
    created: Option<u64>,
    /// `message_start` was written.
    begun: bool,
    /// The last event was written.
    ended: bool,
    usage: Usage,
    /// Members of an upstream of this protocol.
    ext: Ext,
    finish: Option<Finish>,
    blocks: Blocks,
    pinged: bool,
    said: Said,
    losses: Losses,
}

impl Encoder {
    /// `model`: the one asked for, in case the upstream names none.
    pub(in super::super) fn new(model: &str) -> Encoder {
        Encoder {
            id: None,
            model: model.to_owned(),
            created: None,
            begun: false,
            ended: false,
            usage: Usage::default(),
            ext: Ext::default(),
            finish: None,
            blocks: Blocks::default(),
            pinged: false,
            said: Said::default(),
            losses: Losses::default(),
        }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, model, created } => self.start(id.as_ref(), model.as_ref(), *created),
            Event::Usage(usage) => self.usage = *usage,
            Event::Extra { origin, scope, ext } => self.keep(*origin, *scope, ext),
            Event::PartStart { index, candidate, kind } => self.part_start(*index, *candidate, kind, out),
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::PartEnd { index } => self.part_end(*index, out),
            Event::Finish { candidate: 0, finish } => {
                self.losses.degraded_finish(finish, UNSAID);
                self.finish = Some(finish.clone());
                self.advance(out);
            }
            // Other candidates were reported when their parts began.
            Event::Finish { .. } => {}
            Event::Ping => {
                self.begin(out);
                write_event("ping", out, |_| {});
            }
            Event::Error(problem) => {
                self.ended = true;
                error::encode_event(problem, out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.end_parts(out);
        self.losses.dropped_counts(&self.usage, usage::SAID);
        self.write_message_delta(out);
        write_event("message_stop", out, |_| {});
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

// === what comes in ===

impl Encoder {
    fn start(&mut self, id: Option<&String>, model: Option<&String>, created: Option<u64>) {
        self.id = self.id.take().or(id.cloned());
        self.created = self.created.or(created);
        if let Some(model) = model.filter(|model| !model.is_empty()) {
            self.model.clone_from(model);
        }
    }
}

impl BlockEncoder for Encoder {
    const PROTOCOL: ProtocolId = SELF;
    const EMPTY_BLOCKS: bool = false;
    /// Anthropic sends one empty piece where a call has no arguments.
    const NO_ARGUMENTS: Option<&'static str> = Some("");
    const SEVERAL: &'static str = "Anthropic Messages has one answer; the first is given";
    const FOREIGN_SIGNATURE: &'static str = "another vendor's signature has no place in Anthropic Messages";

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
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let id = legal::message_id(self.id.as_deref(), &self.model, self.created);
        self.id = Some(id.clone());
        write_event("message_start", out, |event| {
            event.object("message", |message| {
                message.field("id", &id);
                message.field("type", "message");
                message.field("role", "assistant");
                message.field("model", &self.model);
                message.array("content", [(); 0], |(), _| {});
                message.field("stop_reason", &());
                message.field("stop_sequence", &());
                usage_left::write(Some(&self.ext), message, |usage| usage::write(&self.usage, usage));
                usage_left::write_others(&self.ext, message);
            });
        });
    }

    fn accepts(&mut self, kind: &PartKind) -> bool {
        match kind {
            PartKind::Text | PartKind::Reasoning | PartKind::ToolCall { .. } => true,
            // An upstream of this protocol gave these words in `stop_details`, which is written as it came.
            PartKind::Refusal => self.ext.get("stop_details").is_none(),
            PartKind::RedactedReasoning(proof) if proof.issuer == SELF => true,
            PartKind::Opaque(opaque) if opaque.origin == SELF => true,
            PartKind::Opaque(opaque) => {
                self.losses.dropped_part("content", &opaque.raw, NO_COUNTERPART);
                false
            }
            PartKind::Media(_) => {
                self.losses.dropped("content.media", NO_COUNTERPART);
                false
            }
            PartKind::RedactedReasoning(_) => {
                self.losses.dropped("content", NO_COUNTERPART);
                false
            }
        }
    }

    fn open(&mut self, block: &Block, out: &mut Vec<u8>) {
        self.said.calls |= matches!(block.kind, PartKind::ToolCall { .. });
        self.said.refusal |= matches!(block.kind, PartKind::Refusal);
        let id = self.id.as_deref().unwrap_or_default();
        write_event("content_block_start", out, |event| {
            event.field("index", &block.number);
            let content = event.key("content_block");
            match &block.kind {
                PartKind::Opaque(opaque) => content.extend_from_slice(opaque.raw.get().as_bytes()),
                _ => json::object(content, |content| write_start(block, id, content)),
            }
        });
        if !std::mem::replace(&mut self.pinged, true) {
            write_event("ping", out, |_| {});
        }
    }

    fn piece(&mut self, block: &Block, out: &mut Vec<u8>) {
        let (type_name, member) = match block.kind {
            PartKind::Reasoning => ("thinking_delta", "thinking"),
            PartKind::ToolCall { .. } => ("input_json_delta", "partial_json"),
            _ => ("text_delta", "text"),
        };
        write_delta(block.number, type_name, out, |delta| delta.field(member, &block.pending));
    }

    fn close(&mut self, block: &Block, out: &mut Vec<u8>) {
        if let Some(signature) = &block.signature {
            write_delta(block.number, "signature_delta", out, |delta| delta.field("signature", signature));
        }
        if let Some(citations) = block.ext.get("citations") {
            for citation in json::elements(citations, "citations").unwrap_or_default() {
                write_delta(block.number, "citations_delta", out, |delta| delta.raw("citation", citation));
            }
        }
        write_event("content_block_stop", out, |event| event.field("index", &block.number));
    }
}

impl Encoder {
    fn write_message_delta(&mut self, out: &mut Vec<u8>) {
        write_event("message_delta", out, |event| {
            event.object("delta", |delta| {
                write_stop(self.finish.as_ref(), false, self.said, delta);
                for (key, value) in
                    self.ext.0.iter().filter(|(key, _)| !matches!(key.as_str(), "usage" | "context_management"))
                {
                    delta.raw(key, value);
                }
            });
            usage_left::write(Some(&self.ext), event, |usage| usage::write(&self.usage, usage));
            if let Some(edits) = self.ext.get("context_management") {
                event.raw("context_management", edits);
            }
        });
    }
}

fn write_start(block: &Block, message_id: &str, content: &mut ObjectWriter<'_>) {
    match &block.kind {
        PartKind::Text | PartKind::Refusal | PartKind::Media(_) | PartKind::Opaque(_) => {
            content.field("type", "text");
            if block.ext.get("citations").is_some() {
                content.array("citations", [(); 0], |(), _| {});
            }
            content.field("text", "");
        }
        PartKind::Reasoning => {
            content.field("type", "thinking");
            content.field("thinking", "");
            content.field("signature", "");
        }
        PartKind::RedactedReasoning(proof) => {
            content.field("type", "redacted_thinking");
            content.field("data", &proof.value);
        }
        PartKind::ToolCall { id, name } => {
            content.field("type", "tool_use");
            content.field("id", &visible_id(id.as_deref(), message_id, block.index as usize));
            content.field("name", &legal::name_for_caller(name));
            content.object("input", |_| {});
            content.ext(&block.ext);
        }
    }
}

/// Writes one event. The official SDKs drop events whose `event:` line is missing.
fn write_event(name: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    let data = |data: &mut Vec<u8>| {
        json::object(data, |event| {
            event.field("type", name);
            fill(event);
        });
    };
    sse::write_data(Some(name), data, out);
}

fn write_delta(block: u32, type_name: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    write_event("content_block_delta", out, |event| {
        event.field("index", &block);
        event.object("delta", |delta| {
            delta.field("type", type_name);
            fill(delta);
        });
    });
}
