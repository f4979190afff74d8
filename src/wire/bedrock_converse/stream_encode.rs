//! From events to a caller's stream, one block after the other. Only calls announce themselves; texts and thoughts begin with
//! their first delta, so that none is empty. Usage comes last, behind the stop.

use super::answer::{FOREIGN_SIGNATURE, NO_COUNTERPART, SEVERAL, is_own, visible_id};
use super::{SELF, cite, error, finish, formats, usage};
use crate::wire::blocks::{Answer, Block, BlockEncoder};
use crate::wire::frame::event_stream;
use crate::wire::ir::{self, FinishReason, MediaKind, MediaSource, PartKind, citation};
use crate::wire::json::{self, Ext, ObjectWriter};
use crate::wire::{ProtocolId, usage_left};

#[derive(Default)]
pub(super) struct Encoder {
    id: String,
    /// `messageStart` was written.
    begun: bool,
    calls: bool,
    /// Its unmodelled members are those that came with the stop, and with the usage.
    answer: Answer,
}

impl Encoder {
    fn write_stop(&self, out: &mut Vec<u8>) {
        let Answer { finish, ext, own, .. } = &self.answer;
        let finish = finish.as_ref();
        write_event("messageStop", out, |event| {
            event.field("stopReason", finish::write(finish, *own, self.calls));
            match ext.get("additionalModelResponseFields") {
                Some(fields) => event.raw("additionalModelResponseFields", fields),
                None => usage::write_stop_sequence(finish.and_then(|finish| finish.stop_sequence.as_ref()), event),
            }
        });
    }

    fn write_metadata(&self, out: &mut Vec<u8>) {
        let Answer { usage, ext, .. } = &self.answer;
        write_event("metadata", out, |event| {
            usage_left::write(Some(ext), event, |body| usage::write(&usage.unwrap_or_default(), body));
            usage::write_metrics(ext.get("metrics"), event);
            let elsewhere = ["metrics", "additionalModelResponseFields", usage_left::MEMBER];
            for (key, value) in ext.0.iter().filter(|(key, _)| !elsewhere.contains(&key.as_str())) {
                event.raw(key, value);
            }
        });
    }
}

impl BlockEncoder for Encoder {
    const PROTOCOL: ProtocolId = SELF;
    const EMPTY_BLOCKS: bool = false;
    /// Clients read the pieces together as JSON.
    const NO_ARGUMENTS: Option<&'static str> = Some("{}");
    const SEVERAL: &'static str = SEVERAL;
    const FOREIGN_SIGNATURE: &'static str = FOREIGN_SIGNATURE;
    const UNSAID: &'static [FinishReason] = finish::UNSAID;
    const COUNTS: &'static [&'static str] = usage::SAID;

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn answer_mut(&mut self) -> &mut Answer {
        &mut self.answer
    }

    fn start(&mut self, id: Option<&str>, _: Option<&str>, _: Option<u64>, out: &mut Vec<u8>) {
        id.unwrap_or_default().clone_into(&mut self.id);
        self.begin(out);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            write_event("messageStart", out, |event| event.field("role", "assistant"));
        }
    }

    fn accepts(&mut self, kind: &PartKind) -> bool {
        let expressible = match kind {
            PartKind::Text | PartKind::Refusal | PartKind::Reasoning | PartKind::ToolCall { .. } => true,
            PartKind::RedactedReasoning(proof) => is_own(proof),
            PartKind::Opaque(opaque) => opaque.origin == SELF,
            PartKind::Media(media) => {
                media.kind == MediaKind::Image && matches!(media.source, MediaSource::Base64 { .. })
            }
        };
        let losses = &mut self.answer.losses;
        match kind {
            PartKind::Media(media) if expressible => {
                let beside = media.ext.0.iter().filter(|(key, _)| key != "format");
                losses.dropped_ext("content.", &Ext(beside.cloned().collect()));
            }
            _ if expressible => {}
            PartKind::Opaque(opaque) => losses.dropped_part("content", &opaque.raw, NO_COUNTERPART),
            PartKind::Media(_) => losses.dropped("content.media", NO_COUNTERPART),
            PartKind::RedactedReasoning(_) => losses.dropped("content.signature", FOREIGN_SIGNATURE),
            PartKind::Text | PartKind::Refusal | PartKind::Reasoning | PartKind::ToolCall { .. } => {}
        }
        expressible
    }

    fn open(&mut self, block: &Block, out: &mut Vec<u8>) {
        match &block.kind {
            PartKind::Text | PartKind::Refusal | PartKind::Reasoning => {}
            PartKind::RedactedReasoning(proof) => write_delta(block.number, out, |delta| {
                delta.object("reasoningContent", |thoughts| thoughts.field("redactedContent", &proof.value));
            }),
            PartKind::ToolCall { id, name } => {
                self.calls = true;
                let id = visible_id(id.as_deref(), &self.id, block.index as usize, name);
                write_start(block.number, out, |start| {
                    start.object("toolUse", |call| {
                        call.field("toolUseId", &id);
                        call.field("name", name);
                    });
                });
            }
            PartKind::Opaque(opaque) => write_event("contentBlockStart", out, |event| {
                event.field("contentBlockIndex", &block.number);
                event.raw("start", &opaque.raw);
            }),
            PartKind::Media(media) => {
                let MediaSource::Base64 { media_type, data } = &media.source else { return };
                let format = formats::word("image", media_type);
                write_start(block.number, out, |start| start.object("image", |image| image.field("format", format)));
                write_delta(block.number, out, |delta| {
                    delta.object("image", |image| image.object("source", |source| source.field("bytes", data)));
                });
            }
        }
    }

    fn piece(&mut self, block: &Block, out: &mut Vec<u8>) {
        write_delta(block.number, out, |delta| match block.kind {
            PartKind::Reasoning => delta.object("reasoningContent", |thoughts| thoughts.field("text", &block.pending)),
            PartKind::ToolCall { .. } => delta.object("toolUse", |call| call.field("input", &block.pending)),
            _ => delta.field("text", &block.pending),
        });
    }

    fn close(&mut self, block: &Block, out: &mut Vec<u8>) {
        if let Some(signature) = &block.signature {
            write_delta(block.number, out, |delta| {
                delta.object("reasoningContent", |thoughts| thoughts.field("signature", signature));
            });
        }
        let own = citation::verbatim(&block.ext).into_iter().map(|one| one.get().as_bytes().to_vec());
        for cited in own.chain(cite::foreign(&block.cited, &mut self.answer.losses)) {
            write_delta(block.number, out, |delta| delta.key("citation").extend_from_slice(&cited));
        }
        write_event("contentBlockStop", out, |event| event.field("contentBlockIndex", &block.number));
    }

    fn ping(&mut self, _: &mut Vec<u8>) {}

    fn end(&mut self, out: &mut Vec<u8>) {
        self.write_stop(out);
        self.write_metadata(out);
    }

    fn fail(&mut self, problem: &ir::Error, out: &mut Vec<u8>) {
        error::encode_exception(problem, out);
    }
}

fn write_start(index: u32, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    write_event("contentBlockStart", out, |event| {
        event.field("contentBlockIndex", &index);
        event.object("start", fill);
    });
}

fn write_event(name: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    event_stream::write_event(name, |payload| json::object(payload, fill), out);
}

fn write_delta(index: u32, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    write_event("contentBlockDelta", out, |event| {
        event.field("contentBlockIndex", &index);
        event.object("delta", fill);
    });
}
