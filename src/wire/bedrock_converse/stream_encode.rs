//! From events to a caller's stream. Exactly one block is open at a time: what comes for another part in the meantime waits
//! until the open block ends. Only calls announce themselves; texts and thoughts begin with their first delta, so that none is
//! empty. Usage comes last, behind the stop.

use super::answer::{FOREIGN_SIGNATURE, NO_COUNTERPART, SEVERAL, is_own, visible_id};
use super::{SELF, block, error, finish, formats, usage};
use crate::wire::frame::event_stream;
use crate::wire::ir::{Delta, Event, Finish, MediaKind, MediaSource, PartKind, Scope, Usage};
use crate::wire::json::{self, Ext, ObjectWriter};
use crate::wire::loss::Losses;
use crate::wire::{StreamEncoder, usage_left};

#[derive(Default)]
pub(super) struct Encoder {
    id: String,
    /// `messageStart` was written.
    begun: bool,
    /// The last event was written.
    ended: bool,
    usage: Usage,
    /// Members of an upstream of this protocol: what came with the stop, and with the usage.
    ext: Ext,
    finish: Option<Finish>,
    /// Whether an upstream of this protocol spoke.
    own: bool,
    calls: bool,
    /// Parts that have begun, in order; those written are gone.
    parts: Vec<Part>,
    /// The part whose block is open.
    open: Option<u32>,
    /// The `contentBlockIndex` of the next block.
    next: u32,
    losses: Losses,
}

struct Part {
    index: u32,
    kind: PartKind,
    /// Text or arguments not yet written.
    pending: String,
    /// Whether any piece of the arguments was written.
    written: bool,
    signature: Option<String>,
    ext: Ext,
    ended: bool,
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, .. } => {
                self.id = id.clone().unwrap_or_default();
                self.begin(out);
            }
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
                self.losses.degraded_finish(finish, finish::UNSAID);
                self.finish = Some(finish.clone());
            }
            // Other candidates were reported when their parts began.
            Event::Finish { .. } | Event::Ping => {}
            Event::Error(problem) => {
                self.ended = true;
                error::encode_exception(problem, out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.begin(out);
        self.parts.iter_mut().for_each(|part| part.ended = true);
        self.advance(out);
        self.losses.dropped_counts(&self.usage, usage::SAID);
        self.write_stop(out);
        self.write_metadata(out);
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

// === what comes in ===

impl Encoder {
    fn extra(&mut self, own: bool, scope: Scope, ext: &Ext) {
        if !own {
            return self.losses.dropped_extra(scope, ext);
        }
        self.own = true;
        let target = match scope {
            Scope::Response | Scope::Candidate(_) => Some(&mut self.ext),
            Scope::Part(index) => self.parts.iter_mut().find(|part| part.index == index).map(|part| &mut part.ext),
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
            return self.losses.dropped("choices", SEVERAL);
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
        let expressible = match kind {
            PartKind::Text | PartKind::Refusal | PartKind::Reasoning | PartKind::ToolCall { .. } => true,
            PartKind::RedactedReasoning(proof) => is_own(proof),
            PartKind::Opaque(opaque) => opaque.origin == SELF,
            PartKind::Media(media) => {
                media.kind == MediaKind::Image && matches!(media.source, MediaSource::Base64 { .. })
            }
        };
        if !expressible {
            self.losses.dropped("content", NO_COUNTERPART);
        }
        expressible
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<u8>) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.index == index) {
            match delta {
                Delta::Text(text) | Delta::Arguments(text) => part.pending.push_str(text),
                Delta::Signature(proof) if is_own(proof) => part.signature = Some(proof.value.clone()),
                Delta::Signature(_) => self.losses.dropped("content.signature", FOREIGN_SIGNATURE),
            }
        }
        self.advance(out);
    }
}

// === what goes out ===

impl Encoder {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            write_event("messageStart", out, |event| event.field("role", "assistant"));
        }
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
                part.open(self.next, &self.id, out);
                self.calls |= matches!(part.kind, PartKind::ToolCall { .. });
                self.open = Some(part.index);
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

    fn write_stop(&self, out: &mut Vec<u8>) {
        let finish = self.finish.as_ref();
        write_event("messageStop", out, |event| {
            event.field("stopReason", finish::write(finish, self.own, self.calls));
            match self.ext.get("additionalModelResponseFields") {
                Some(fields) => event.raw("additionalModelResponseFields", fields),
                None => usage::write_stop_sequence(finish.and_then(|finish| finish.stop_sequence.as_ref()), event),
            }
        });
    }

    fn write_metadata(&self, out: &mut Vec<u8>) {
        write_event("metadata", out, |event| {
            usage_left::write(Some(&self.ext), event, |body| usage::write(&self.usage, body));
            usage::write_metrics(self.ext.get("metrics"), event);
            let elsewhere = ["metrics", "additionalModelResponseFields", usage_left::MEMBER];
            for (key, value) in self.ext.0.iter().filter(|(key, _)| !elsewhere.contains(&key.as_str())) {
                event.raw(key, value);
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

    fn open(&self, index: u32, id: &str, out: &mut Vec<u8>) {
        let start = |out: &mut Vec<u8>, fill: &dyn Fn(&mut Vec<u8>)| {
            write_event("contentBlockStart", out, |event| {
                event.field("contentBlockIndex", &index);
                fill(event.key("start"));
            });
        };
        match &self.kind {
            PartKind::Text | PartKind::Refusal | PartKind::Reasoning => {}
            PartKind::RedactedReasoning(proof) => write_delta(index, out, |delta| {
                delta.object("reasoningContent", |thoughts| thoughts.field("redactedContent", &proof.value));
            }),
            PartKind::ToolCall { id: given, name } => start(out, &|out| {
                json::object(out, |start| {
                    start.object("toolUse", |call| {
                        call.field("toolUseId", &visible_id(given.as_deref(), id, self.index as usize, name));
                        call.field("name", name);
                    });
                });
            }),
            PartKind::Opaque(opaque) => start(out, &|out| out.extend_from_slice(opaque.raw.get().as_bytes())),
            PartKind::Media(media) => {
                let MediaSource::Base64 { media_type, data } = &media.source else { return };
                let format = formats::word("image", media_type);
                start(out, &|out| {
                    json::object(out, |start| start.object("image", |image| image.field("format", format)));
                });
                write_delta(index, out, |delta| {
                    delta.object("image", |image| image.object("source", |source| source.field("bytes", data)));
                });
            }
        }
    }

    /// Writes what is pending. Arguments that may yet turn out to be `null`, which some models write for none, wait.
    fn flush(&mut self, index: u32, out: &mut Vec<u8>) {
        let is_call = matches!(self.kind, PartKind::ToolCall { .. });
        if self.pending.is_empty() || (is_call && !self.written && "null".starts_with(self.pending.as_str())) {
            return;
        }
        self.write_pending(index, out);
    }

    fn write_pending(&mut self, index: u32, out: &mut Vec<u8>) {
        write_delta(index, out, |delta| match self.kind {
            PartKind::Reasoning => delta.object("reasoningContent", |thoughts| thoughts.field("text", &self.pending)),
            PartKind::ToolCall { .. } => delta.object("toolUse", |call| call.field("input", &self.pending)),
            _ => delta.field("text", &self.pending),
        });
        self.pending.clear();
        self.written = true;
    }

    fn close(&mut self, index: u32, out: &mut Vec<u8>) {
        if matches!(self.kind, PartKind::ToolCall { .. }) && !self.written {
            // Clients read the pieces together as JSON.
            "{}".clone_into(&mut self.pending);
            self.write_pending(index, out);
        }
        if let Some(signature) = &self.signature {
            write_delta(index, out, |delta| {
                delta.object("reasoningContent", |thoughts| thoughts.field("signature", signature));
            });
        }
        if let Some(citations) = self.ext.get(block::CITATIONS) {
            for citation in json::elements(citations, block::CITATIONS).unwrap_or_default() {
                write_delta(index, out, |delta| delta.raw("citation", citation));
            }
        }
        write_event("contentBlockStop", out, |event| event.field("contentBlockIndex", &index));
    }
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
