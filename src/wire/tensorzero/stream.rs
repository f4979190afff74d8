//! Streams, written: chunks of OpenAI's form, and native ones. Usage and the reason for the end are told together, in one last
//! chunk.

use std::sync::Arc;

use super::told::{self, Told};
use super::{Face, error};
use crate::wire::StreamEncoder;
use crate::wire::frame::sse;
use crate::wire::ir::{Delta, Event, FinishReason, PartKind, Signature, Usage};
use crate::wire::json::{self, ObjectWriter};
use crate::wire::loss::Losses;

pub(super) struct Encoder {
    face: Face,
    told: Arc<Told>,
    /// The first chunk, which has the role.
    begun: bool,
    parts: Vec<Part>,
    calls: usize,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    failed: bool,
    losses: Losses,
}

struct Part {
    index: u32,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Text,
    Thought,
    /// Number of the call, and its id.
    Call(usize, String),
    /// Nowhere: reported as a loss.
    None,
}

impl Encoder {
    pub(super) fn new(face: Face, told: Arc<Told>) -> Encoder {
        Encoder {
            face,
            told,
            begun: false,
            parts: Vec::new(),
            calls: 0,
            usage: None,
            finish: None,
            failed: false,
            losses: Losses::default(),
        }
    }

    fn part_start(&mut self, index: u32, kind: &PartKind, out: &mut Vec<u8>) {
        let place = match kind {
            PartKind::Text | PartKind::Refusal => Place::Text,
            PartKind::Reasoning => Place::Thought,
            PartKind::RedactedReasoning(signature) => {
                let signature = signature.clone();
                self.thought(index, None, Some(&signature), out);
                Place::None
            }
            PartKind::ToolCall { id, name } => {
                let number = self.calls;
                self.calls += 1;
                let id = self.told.call_id(id.as_deref(), number);
                self.call(number, &id, name, "", true, out);
                Place::Call(number, id)
            }
            PartKind::Media(_) => {
                self.losses.dropped("content.media", "answers of this surface carry no media");
                Place::None
            }
            PartKind::Opaque(opaque) => {
                let reason = "only the provider whose word it is understands this part";
                self.losses.dropped_part("content", &opaque.raw, reason);
                Place::None
            }
        };
        self.parts.push(Part { index, place });
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<u8>) {
        let place = self.parts.iter().rev().find(|part| part.index == index).map(|part| part.place.clone());
        match (delta, place) {
            (Delta::Text(text), Some(Place::Text)) if !text.is_empty() => self.text(index, text, out),
            (Delta::Text(text), Some(Place::Thought)) if !text.is_empty() => self.thought(index, Some(text), None, out),
            (Delta::Signature(signature), Some(Place::Thought)) => self.thought(index, None, Some(signature), out),
            (Delta::Arguments(text), Some(Place::Call(number, id))) if !text.is_empty() => {
                self.call(number, &id, "", text, false, out);
            }
            (Delta::Text(_) | Delta::Signature(_) | Delta::Arguments(_), _) => {}
        }
    }

    fn text(&mut self, index: u32, text: &str, out: &mut Vec<u8>) {
        match self.face {
            Face::Native if self.told.json => self.native(|chunk| chunk.field("raw", text), out),
            Face::Native => {
                let fill = |block: &mut ObjectWriter<'_>| {
                    block.field("type", "text");
                    block.field("id", &index.to_string());
                    block.field("text", text);
                };
                self.block(fill, out);
            }
            Face::Chat | Face::Embeddings => self.chat(|delta| delta.field("content", text), out),
        }
    }

    fn thought(&mut self, index: u32, text: Option<&str>, signature: Option<&Signature>, out: &mut Vec<u8>) {
        if self.told.json {
            return;
        }
        let told = Arc::clone(&self.told);
        let signature = signature.map(|signature| &*signature.value);
        match self.face {
            Face::Native => {
                let fill = |block: &mut ObjectWriter<'_>| {
                    block.field("type", "thought");
                    block.field("id", &index.to_string());
                    block.optional("text", &text);
                    block.optional("signature", &signature);
                };
                self.block(fill, out);
            }
            Face::Chat | Face::Embeddings => {
                let fill = |delta: &mut ObjectWriter<'_>| {
                    delta.array("tensorzero_extra_content", [index], |index, out| {
                        json::object(out, |block| {
                            block.field("type", "thought");
                            block.field("insert_index", &index);
                            block.field("id", &index.to_string());
                            block.field("text", &text);
                            block.field("signature", &signature);
                            block.field("summary_id", &());
                            block.field("summary_text", &());
                            block.field("provider_type", told.provider_type);
                        });
                    });
                };
                self.chat(fill, out);
            }
        }
    }

    /// A call begins, with its name, or goes on.
    fn call(&mut self, number: usize, id: &str, name: &str, arguments: &str, begins: bool, out: &mut Vec<u8>) {
        match self.face {
            // The value of a JSON function may come as the arguments of a call.
            Face::Native if self.told.json => {
                if !arguments.is_empty() {
                    self.native(|chunk| chunk.field("raw", arguments), out);
                }
            }
            Face::Native => {
                let fill = |block: &mut ObjectWriter<'_>| {
                    block.field("type", "tool_call");
                    block.field("id", id);
                    block.field("raw_name", name);
                    block.field("raw_arguments", arguments);
                };
                self.block(fill, out);
            }
            Face::Chat | Face::Embeddings if self.told.json => {
                if !arguments.is_empty() {
                    self.chat(|delta| delta.field("content", arguments), out);
                }
            }
            Face::Chat | Face::Embeddings => {
                let fill = |delta: &mut ObjectWriter<'_>| {
                    delta.array("tool_calls", [number], |number, out| {
                        json::object(out, |call| {
                            call.field("id", &begins.then_some(id));
                            call.field("index", &number);
                            call.field("type", "function");
                            call.object("function", |function| {
                                function.field("name", name);
                                function.field("arguments", arguments);
                            });
                        });
                    });
                };
                self.chat(fill, out);
            }
        }
    }

    // === chunks

    fn chat(&mut self, delta: impl FnOnce(&mut ObjectWriter<'_>), out: &mut Vec<u8>) {
        self.chat_chunk(delta, None, false, out);
    }

    fn chat_chunk(
        &mut self,
        delta: impl FnOnce(&mut ObjectWriter<'_>),
        finish: Option<FinishReason>,
        last: bool,
        out: &mut Vec<u8>,
    ) {
        let first = !std::mem::replace(&mut self.begun, true);
        let told = &self.told;
        let write = |data: &mut Vec<u8>| {
            json::object(data, |chunk| {
                chunk.field("id", &told.inference_id);
                chunk.field("episode_id", &told.episode_id);
                chunk.array("choices", [delta], |fill, out| {
                    json::object(out, |choice| {
                        choice.field("index", &0);
                        choice.field("finish_reason", &finish.map(told::chat_finish));
                        choice.field("logprobs", &());
                        choice.object("delta", |delta| {
                            if first {
                                delta.field("role", "assistant");
                            }
                            fill(delta);
                        });
                    });
                });
                chunk.field("created", &told.now);
                chunk.field("model", &told.name);
                chunk.field("system_fingerprint", "");
                chunk.field("service_tier", &());
                chunk.field("object", "chat.completion.chunk");
                if last && told.include_usage {
                    chunk.object("usage", |counts| told.chat_usage(self.usage.as_ref(), counts));
                } else {
                    chunk.field("usage", &());
                }
            });
        };
        sse::write_data(None, write, out);
    }

    fn block(&self, fill: impl FnOnce(&mut ObjectWriter<'_>), out: &mut Vec<u8>) {
        self.native(|chunk| chunk.array("content", [fill], |fill, out| json::object(out, fill)), out);
    }

    fn native(&self, fill: impl FnOnce(&mut ObjectWriter<'_>), out: &mut Vec<u8>) {
        let write = |data: &mut Vec<u8>| {
            json::object(data, |chunk| {
                self.told.native_head(chunk);
                fill(chunk);
            });
        };
        sse::write_data(None, write, out);
    }

    /// The last chunk, and the end.
    fn end(&mut self, finish: Option<FinishReason>, out: &mut Vec<u8>) {
        match self.face {
            Face::Native => {
                let told = &self.told;
                let fill = |chunk: &mut ObjectWriter<'_>| {
                    if told.json {
                        chunk.field("raw", "");
                    } else {
                        chunk.array("content", [(); 0], |(), _| {});
                    }
                    chunk.object("usage", |counts| told.native_usage(self.usage.as_ref(), counts));
                    if let Some(finish) = finish {
                        chunk.field("finish_reason", told::native_finish(finish));
                    }
                };
                self.native(fill, out);
            }
            Face::Chat | Face::Embeddings => {
                let json = self.told.json && finish.is_some();
                let fill = |delta: &mut ObjectWriter<'_>| {
                    if json {
                        delta.field("content", "");
                    }
                };
                self.chat_chunk(fill, finish, true, out);
            }
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        match event {
            Event::PartStart { index, candidate: 0, kind } => self.part_start(*index, kind, out),
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { candidate: 0, finish } => self.finish = Some(self.told.finish(finish.reason)),
            Event::Error(said) => {
                self.failed = true;
                sse::write_data(None, |data| error::write(self.face, said, data), out);
                self.end(None, out);
            }
            Event::Ping => out.extend_from_slice(b": keep-alive\n\n"),
            // One answer is asked for; the ids and names are the gateway's; the rest is of the upstream's own protocol.
            Event::Start { .. }
            | Event::PartStart { .. }
            | Event::PartEnd { .. }
            | Event::Finish { .. }
            | Event::Extra { .. } => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.failed {
            self.end(Some(self.finish.unwrap_or(FinishReason::Other)), out);
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}
