//! From events to a caller's stream. Exactly one block is open at a time: what comes for another part in the meantime waits
//! until the open block ends. A block opens with its first content, so that none is empty; `message_start` waits for the
//! first part, so that it carries what the upstream said before it.

use super::super::response::{NO_COUNTERPART, Said, UNSAID, visible_id, write_stop};
use super::super::{SELF, error, legal, usage};
use crate::wire::frame::sse;
use crate::wire::ir::{Delta, Event, Finish, PartKind, Scope, Usage};
use crate::wire::json::{self, Ext, ObjectWriter};
use crate::wire::loss::Losses;
use crate::wire::{StreamEncoder, usage_left};

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
    /// Parts that have begun, in order; those written are gone.
    parts: Vec<Part>,
    /// The part whose block is open.
    open: Option<u32>,
    /// The `index` of the next block.
    next: u32,
    pinged: bool,
    said: Said,
    losses: Losses,
}

struct Part {
    index: u32,
    kind: PartKind,
    /// Text or arguments not yet written.
    pending: String,
    /// Whether any delta of text or arguments was written.
    written: bool,
    signature: Option<String>,
    ext: Ext,
    ended: bool,
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
            parts: Vec::new(),
            open: None,
            next: 0,
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
        self.begin(out);
        for part in &mut self.parts {
            part.ended = true;
        }
        self.advance(out);
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
            return self.losses.dropped("choices", "Anthropic Messages has one answer; the first is given");
        }
        self.begin(out);
        self.advance(out);
        if self.is_expressible(kind) {
            self.parts.push(Part {
                index,
                kind: kind.clone(),
                pending: String::new(),
                written: false,
                signature: None,
                ext: Ext::default(),
                ended: false,
            });
        }
    }

    fn is_expressible(&mut self, kind: &PartKind) -> bool {
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

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<u8>) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.index == index) {
            match delta {
                Delta::Text(text) | Delta::Arguments(text) => part.pending.push_str(text),
                Delta::Signature(proof) if proof.issuer == SELF => part.signature = Some(proof.value.clone()),
                Delta::Signature(_) => {
                    self.losses
                        .dropped("content.signature", "another vendor's signature has no place in Anthropic Messages");
                }
            }
        }
        self.advance(out);
    }
}

// === what goes out ===

impl Encoder {
    /// Writes `message_start`, once.
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

    /// Writes what can be written: the rest of the open part, and parts that waited for its end.
    fn advance(&mut self, out: &mut Vec<u8>) {
        loop {
            let position = match self.open {
                Some(open) => self.parts.iter().position(|part| part.index == open),
                None => self.parts.iter().position(Part::has_content),
            };
            let Some(position) = position else { break };
            let Some(part) = self.parts.get_mut(position) else { break };
            if self.open.is_none() {
                let id = self.id.as_deref().unwrap_or_default();
                part.open(self.next, id, out);
                self.said.calls |= matches!(part.kind, PartKind::ToolCall { .. });
                self.said.refusal |= matches!(part.kind, PartKind::Refusal);
                self.open = Some(part.index);
                if !std::mem::replace(&mut self.pinged, true) {
                    write_event("ping", out, |_| {});
                }
            }
            part.flush(self.next, out);
            if !part.ended {
                break;
            }
            part.close(self.next, out);
            self.parts.remove(position);
            self.open = None;
            self.next += 1;
        }
        self.parts.retain(|part| !part.ended || part.has_content());
    }

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

impl Part {
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

    fn open(&self, block: u32, message_id: &str, out: &mut Vec<u8>) {
        write_event("content_block_start", out, |event| {
            event.field("index", &block);
            let content = event.key("content_block");
            match &self.kind {
                PartKind::Opaque(opaque) => content.extend_from_slice(opaque.raw.get().as_bytes()),
                kind => json::object(content, |content| {
                    self.write_start(kind, message_id, content);
                }),
            }
        });
    }

    fn write_start(&self, kind: &PartKind, message_id: &str, content: &mut ObjectWriter<'_>) {
        match kind {
            PartKind::Text | PartKind::Refusal | PartKind::Media(_) | PartKind::Opaque(_) => {
                content.field("type", "text");
                if self.ext.get("citations").is_some() {
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
                content.field("id", &visible_id(id.as_deref(), message_id, self.index as usize));
                content.field("name", &legal::name_for_caller(name));
                content.object("input", |_| {});
                content.ext(&self.ext);
            }
        }
    }

    /// Writes what is pending. Arguments that may yet turn out to be `null`, which some models write for none, wait.
    fn flush(&mut self, block: u32, out: &mut Vec<u8>) {
        let is_call = matches!(self.kind, PartKind::ToolCall { .. });
        if self.pending.is_empty() || (is_call && !self.written && "null".starts_with(self.pending.as_str())) {
            return;
        }
        self.write_pending(block, out);
    }

    fn write_pending(&mut self, block: u32, out: &mut Vec<u8>) {
        let (type_name, member) = match self.kind {
            PartKind::Reasoning => ("thinking_delta", "thinking"),
            PartKind::ToolCall { .. } => ("input_json_delta", "partial_json"),
            _ => ("text_delta", "text"),
        };
        write_delta(block, type_name, out, |delta| delta.field(member, &self.pending));
        self.pending.clear();
        self.written = true;
    }

    fn close(&mut self, block: u32, out: &mut Vec<u8>) {
        if matches!(self.kind, PartKind::ToolCall { .. }) && !self.written {
            if self.pending == "null" {
                self.pending.clear();
            }
            // Anthropic sends one empty piece where a call has no arguments.
            self.write_pending(block, out);
        }
        if let Some(signature) = &self.signature {
            write_delta(block, "signature_delta", out, |delta| delta.field("signature", signature));
        }
        if let Some(citations) = self.ext.get("citations") {
            for citation in json::elements(citations, "citations").unwrap_or_default() {
                write_delta(block, "citations_delta", out, |delta| delta.raw("citation", citation));
            }
        }
        write_event("content_block_stop", out, |event| event.field("index", &block));
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
