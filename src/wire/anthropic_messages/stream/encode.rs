//! From events to a caller's stream, one block after the other. No block is empty; `message_start` waits for the first part,
//! so that it carries what the upstream said before it.

use super::super::response::{NO_COUNTERPART, Said, UNSAID, visible_id, write_stop};
use super::super::{SELF, cite, error, legal, usage};
use crate::wire::blocks::{Answer, Block, BlockEncoder};
use crate::wire::frame::sse;
use crate::wire::ir::{self, FinishReason, PartKind, citation};
use crate::wire::json::{self, ObjectWriter};
use crate::wire::{ProtocolId, usage_left};

pub(in super::super) struct Encoder {
    id: Option<String>,
    model: String,
    created: Option<u64>,
    /// `message_start` was written.
    begun: bool,
    pinged: bool,
    said: Said,
    answer: Answer,
}

impl Encoder {
    /// `model`: the one asked for, in case the upstream names none.
    pub(in super::super) fn new(model: &str) -> Encoder {
        Encoder {
            id: None,
            model: model.to_owned(),
            created: None,
            begun: false,
            pinged: false,
            said: Said::default(),
            answer: Answer::default(),
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
    const UNSAID: &'static [FinishReason] = UNSAID;
    const COUNTS: &'static [&'static str] = usage::SAID;

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn answer_mut(&mut self) -> &mut Answer {
        &mut self.answer
    }

    fn start(&mut self, id: Option<&str>, model: Option<&str>, created: Option<u64>, _: &mut Vec<u8>) {
        self.id = self.id.take().or(id.map(str::to_owned));
        self.created = self.created.or(created);
        if let Some(model) = model {
            model.clone_into(&mut self.model);
        }
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
                self.write_usage(message);
                usage_left::write_others(&self.answer.ext, message);
            });
        });
    }

    fn accepts(&mut self, kind: &PartKind) -> bool {
        match kind {
            PartKind::Text | PartKind::Reasoning | PartKind::ToolCall { .. } => true,
            // An upstream of this protocol gave these words in `stop_details`, which is written as it came.
            PartKind::Refusal => self.answer.ext.get("stop_details").is_none(),
            PartKind::RedactedReasoning(proof) if proof.issuer == SELF => true,
            PartKind::Opaque(opaque) if opaque.origin == SELF => true,
            PartKind::Opaque(opaque) => {
                self.answer.losses.dropped_part("content", &opaque.raw, NO_COUNTERPART);
                false
            }
            PartKind::Media(_) => {
                self.answer.losses.dropped("content.media", NO_COUNTERPART);
                false
            }
            PartKind::RedactedReasoning(_) => {
                self.answer.losses.dropped("content", NO_COUNTERPART);
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
        let own = citation::verbatim(&block.ext).into_iter().map(|one| one.get().as_bytes().to_vec());
        for cited in own.chain(cite::foreign(&block.cited, &mut self.answer.losses)) {
            write_delta(block.number, "citations_delta", out, |delta| {
                delta.key("citation").extend_from_slice(&cited);
            });
        }
        write_event("content_block_stop", out, |event| event.field("index", &block.number));
    }

    fn ping(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        write_event("ping", out, |_| {});
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.write_message_delta(out);
        write_event("message_stop", out, |_| {});
    }

    fn fail(&mut self, problem: &ir::Error, out: &mut Vec<u8>) {
        error::encode_event(problem, out);
    }
}

impl Encoder {
    fn write_usage(&self, body: &mut ObjectWriter<'_>) {
        let counts = self.answer.usage.unwrap_or_default();
        usage_left::write(Some(&self.answer.ext), body, |usage| usage::write(&counts, usage));
    }

    fn write_message_delta(&self, out: &mut Vec<u8>) {
        write_event("message_delta", out, |event| {
            event.object("delta", |delta| {
                let Answer { finish, ext, .. } = &self.answer;
                write_stop(finish.as_ref(), false, self.said, delta);
                let elsewhere = |key: &str| matches!(key, "usage" | "context_management");
                for (key, value) in ext.0.iter().filter(|(key, _)| !elsewhere(key)) {
                    delta.raw(key, value);
                }
            });
            self.write_usage(event);
            if let Some(edits) = self.answer.ext.get("context_management") {
                event.raw("context_management", edits);
            }
        });
    }
}

fn write_start(block: &Block, message_id: &str, content: &mut ObjectWriter<'_>) {
    match &block.kind {
        PartKind::Text | PartKind::Refusal | PartKind::Media(_) | PartKind::Opaque(_) => {
            content.field("type", "text");
            if block.ext.get(cite::MEMBER).is_some() {
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
