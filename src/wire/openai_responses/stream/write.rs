//! What the encoder of streams writes: the events of the answer, of its items and of their parts.

use std::borrow::Cow;

use super::super::response::{
    Body, call_id, item_id, write_call, write_freeform_call, write_logprobs, write_message, write_said,
};
use super::super::{cite, content, item, note, picture};
use super::encode::{Encoder, Message};
use super::write_error;
use crate::wire::blocks::Block;
use crate::wire::frame::sse;
use crate::wire::ir::{Error, PartKind, citation};
use crate::wire::json::{self, ObjectWriter};
use crate::wire::logprobs;

impl Encoder {
    fn write(&mut self, name: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        let sequence = self.sequence;
        self.sequence += 1;
        let data = |data: &mut Vec<u8>| {
            json::object(data, |event| {
                event.field("type", name);
                event.field("sequence_number", &sequence);
                fill(event);
            });
        };
        sse::write_data(Some(name), data, out);
    }

    pub(super) fn write_beginning(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            self.lifecycle("response.created", "in_progress", None, None, out);
            self.lifecycle("response.in_progress", "in_progress", None, None, out);
        }
    }

    pub(super) fn lifecycle(
        &mut self,
        name: &str,
        status: &'static str,
        reason: Option<&'static str>,
        error: Option<&Error>,
        out: &mut Vec<u8>,
    ) {
        let mut response = Vec::new();
        let body = Body {
            id: &self.id,
            model: &self.model,
            created: self.created,
            status,
            reason,
            usage: self.answer.usage.as_ref().filter(|_| status != "in_progress"),
            ext: &self.answer.ext,
        };
        body.write(&self.items, error, &mut response);
        self.write(name, out, |event| event.key("response").extend_from_slice(&response));
        if status != "in_progress" {
            self.whole = Some(response);
        }
    }

    /// An `error`, and the failed answer, which some clients wait for.
    pub(super) fn write_failure(&mut self, error: &Error, out: &mut Vec<u8>) {
        self.write_beginning(out);
        let sequence = self.sequence;
        self.sequence += 1;
        sse::write_data(Some("error"), |data| write_error(error, sequence, data), out);
        self.lifecycle("response.failed", "failed", None, Some(error), out);
    }

    pub(super) fn announce(&mut self, part: &Block, out: &mut Vec<u8>) {
        match &part.kind {
            PartKind::Text | PartKind::Refusal => {
                let refusal = matches!(part.kind, PartKind::Refusal);
                self.refusal |= refusal;
                self.open_message(out);
                let Some((id, content_index)) = self.place() else { return };
                let output_index = self.items.len();
                self.write("response.content_part.added", out, |event| {
                    event.field("item_id", &id);
                    event.field("output_index", &output_index);
                    event.field("content_index", &content_index);
                    event.object("part", |part| write_said("", refusal, None, &[], part));
                });
            }
            PartKind::Reasoning => {
                self.close_message(out);
                let id = self.part_id("rs");
                self.item_event("response.output_item.added", out, |item| {
                    item.field("id", &id);
                    item.field("type", "reasoning");
                    item.array("summary", [(); 0], |(), _| {});
                });
            }
            PartKind::ToolCall { id, name } => {
                self.close_message(out);
                let own = self.part_id("fc");
                let call = call_id(id.as_deref(), &self.id, part.index as usize);
                self.item_event("response.output_item.added", out, |item| {
                    write_call(&own, &call, name, "", "in_progress", item);
                });
            }
            PartKind::Opaque(opaque) => {
                self.close_message(out);
                let raw = opaque.raw.get().as_bytes().to_vec();
                self.raw_item_event("response.output_item.added", &raw, out);
            }
            PartKind::Media(media) => {
                self.close_message(out);
                let id = self.part_id("ig");
                self.item_event("response.output_item.added", out, |item| {
                    picture::write(media, &id, "in_progress", item);
                });
            }
            PartKind::RedactedReasoning(_) => {}
        }
    }

    fn part_id(&self, prefix: &str) -> String {
        item_id(prefix, &self.id, self.items.len())
    }

    /// The open message's id, and the number of its next part.
    fn place(&self) -> Option<(String, usize)> {
        self.message.as_ref().map(|message| (message.id.clone(), message.said.len()))
    }

    fn item_event(&mut self, name: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        let mut item = Vec::new();
        json::object(&mut item, fill);
        self.raw_item_event(name, &item, out);
    }

    fn raw_item_event(&mut self, name: &str, item: &[u8], out: &mut Vec<u8>) {
        let output_index = self.items.len();
        self.write(name, out, |event| {
            event.field("output_index", &output_index);
            event.key("item").extend_from_slice(item);
        });
    }

    fn open_message(&mut self, out: &mut Vec<u8>) {
        if self.message.is_some() {
            return;
        }
        let id = self.part_id("msg");
        self.item_event("response.output_item.added", out, |item| write_message(&id, "in_progress", Vec::new(), item));
        self.message = Some(Message { id, said: Vec::new() });
    }

    pub(super) fn close_message(&mut self, out: &mut Vec<u8>) {
        let Some(message) = self.message.take() else { return };
        let mut item = Vec::new();
        json::object(&mut item, |item| write_message(&message.id, "completed", message.said, item));
        self.item_done(item, out);
    }

    fn item_done(&mut self, item: Vec<u8>, out: &mut Vec<u8>) {
        self.raw_item_event("response.output_item.done", &item, out);
        self.items.push(item);
    }

    pub(super) fn write_piece(&mut self, part: &Block, out: &mut Vec<u8>) {
        let piece = &part.pending;
        let output_index = self.items.len();
        match part.kind {
            PartKind::Text | PartKind::Refusal => {
                let Some((id, content_index)) = self.place() else { return };
                let refusal = matches!(part.kind, PartKind::Refusal);
                let name = if refusal { "response.refusal.delta" } else { "response.output_text.delta" };
                self.write(name, out, |event| {
                    event.field("item_id", &id);
                    event.field("output_index", &output_index);
                    event.field("content_index", &content_index);
                    event.field("delta", piece);
                    if !refusal {
                        event.array("logprobs", [(); 0], |(), _| {});
                    }
                });
            }
            PartKind::Reasoning => {
                let id = self.part_id("rs");
                if !part.written {
                    self.summary("response.reasoning_summary_part.added", &id, out, |event| {
                        event.key("part").extend_from_slice(br#"{"type":"summary_text","text":""}"#);
                    });
                }
                self.summary("response.reasoning_summary_text.delta", &id, out, |event| event.field("delta", piece));
            }
            PartKind::ToolCall { .. } => {
                let id = self.part_id("fc");
                self.write("response.function_call_arguments.delta", out, |event| {
                    event.field("item_id", &id);
                    event.field("output_index", &output_index);
                    event.field("delta", piece);
                });
            }
            PartKind::RedactedReasoning(_) | PartKind::Media(_) | PartKind::Opaque(_) => {}
        }
    }

    fn summary(&mut self, name: &str, id: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        let output_index = self.items.len();
        self.write(name, out, |event| {
            event.field("item_id", id);
            event.field("output_index", &output_index);
            event.field("summary_index", &0);
            fill(event);
        });
    }

    /// The end of a part with all that it said.
    pub(super) fn write_end(&mut self, part: &Block, text: &str, out: &mut Vec<u8>) {
        match &part.kind {
            PartKind::Text | PartKind::Refusal => self.close_said(part, text, out),
            PartKind::Reasoning => self.close_thoughts(part, text, out),
            PartKind::ToolCall { id, name } if self.is_freeform(part) => {
                self.close_message(out);
                self.close_freeform(part, &call_id(id.as_deref(), &self.id, part.index as usize), name, text, out);
            }
            PartKind::ToolCall { id, name } => {
                let own = self.part_id("fc");
                let call = call_id(id.as_deref(), &self.id, part.index as usize);
                let output_index = self.items.len();
                self.write("response.function_call_arguments.done", out, |event| {
                    event.field("item_id", &own);
                    event.field("output_index", &output_index);
                    event.field("name", name);
                    event.field("arguments", text);
                });
                let mut item = Vec::new();
                json::object(&mut item, |item| write_call(&own, &call, name, text, "completed", item));
                self.item_done(item, out);
            }
            PartKind::Opaque(opaque) => self.item_done(opaque.raw.get().as_bytes().to_vec(), out),
            PartKind::Media(media) => {
                let id = self.part_id("ig");
                let mut item = Vec::new();
                json::object(&mut item, |item| picture::write(media, &id, "completed", item));
                self.item_done(item, out);
            }
            PartKind::RedactedReasoning(_) => {}
        }
    }

    /// The call of a freeform tool, in one go: its input is known when the arguments are.
    fn close_freeform(&mut self, part: &Block, call: &str, name: &str, text: &str, out: &mut Vec<u8>) {
        let own =
            part.ext.get("#id").and_then(json::str_of).map(Cow::into_owned).unwrap_or_else(|| self.part_id("ctc"));
        let input = item::unwrapped(text);
        let written = |input: &str| {
            let mut item = Vec::new();
            json::object(&mut item, |item| match note::has(&part.ext, "id") {
                // As the upstream wrote it.
                true => {
                    item.field("type", "custom_tool_call");
                    item.field("call_id", call);
                    item.field("name", name);
                    item.field("input", input);
                    note::write(&part.ext, item);
                }
                false => write_freeform_call(&own, call, name, input, item),
            });
            item
        };
        self.raw_item_event("response.output_item.added", &written(""), out);
        let output_index = self.items.len();
        self.write("response.custom_tool_call_input.delta", out, |event| {
            event.field("item_id", &own);
            event.field("output_index", &output_index);
            event.field("delta", &input);
        });
        self.write("response.custom_tool_call_input.done", out, |event| {
            event.field("item_id", &own);
            event.field("output_index", &output_index);
            event.field("input", &input);
        });
        self.item_done(written(&input), out);
    }

    fn close_said(&mut self, part: &Block, text: &str, out: &mut Vec<u8>) {
        let refusal = matches!(part.kind, PartKind::Refusal);
        let Some((id, content_index)) = self.place() else { return };
        let output_index = self.items.len();
        let place = |event: &mut ObjectWriter<'_>| {
            event.field("item_id", &id);
            event.field("output_index", &output_index);
            event.field("content_index", &content_index);
        };
        let mut cited: Vec<Vec<u8>> =
            citation::verbatim(&part.ext).iter().map(|one| one.get().as_bytes().to_vec()).collect();
        cited.extend(cite::foreign(text, &part.cited, &mut self.answer.losses));
        for (number, annotation) in cited.iter().enumerate() {
            self.write("response.output_text.annotation.added", out, |event| {
                place(event);
                event.field("annotation_index", &number);
                event.key("annotation").extend_from_slice(annotation);
            });
        }
        let told = match std::mem::take(&mut self.answer.logprobs) {
            pieces if refusal || pieces.is_empty() => None,
            pieces => Some(logprobs::as_member(&pieces)),
        };
        let told = told.as_ref().unwrap_or(&part.ext);
        let (name, member) =
            if refusal { ("response.refusal.done", "refusal") } else { ("response.output_text.done", "text") };
        self.write(name, out, |event| {
            place(event);
            event.field(member, text);
            if !refusal {
                write_logprobs(Some(told), event);
            }
        });
        let mut said = Vec::new();
        json::object(&mut said, |said| write_said(text, refusal, Some(told), &cited, said));
        self.write("response.content_part.done", out, |event| {
            place(event);
            event.key("part").extend_from_slice(&said);
        });
        if let Some(message) = &mut self.message {
            message.said.push(said);
        }
    }

    fn close_thoughts(&mut self, part: &Block, text: &str, out: &mut Vec<u8>) {
        let id = self.part_id("rs");
        if !text.is_empty() {
            self.summary("response.reasoning_summary_text.done", &id, out, |event| event.field("text", text));
            self.summary("response.reasoning_summary_part.done", &id, out, |event| {
                content::write_text("summary_text", text, event.key("part"));
            });
        }
        let mut item = Vec::new();
        json::object(&mut item, |item| {
            item.field("id", &id);
            item.field("type", "reasoning");
            super::super::encode::write_summary(text, item);
            item.optional("encrypted_content", &part.signature);
        });
        self.item_done(item, out);
    }
}
