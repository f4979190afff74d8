//! Streams, written: chunks of OpenAI's form, and native ones. Usage and the reason for the end are told together, in one last
//! chunk.

use std::sync::Arc;

use super::aggregate::Whole;
use super::raw::{self, Heard};
use super::told::{self, Told};
use super::{Face, error, left};
use crate::wire::StreamEncoder;
use crate::wire::frame::sse;
use crate::wire::ir::{Delta, Event, FinishReason, PartKind, Signature, Tool, Usage};
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
    /// What the upstream said in the frame whose events come now.
    heard: Heard,
    /// The chunks before the first have been written.
    opened: bool,
    /// The answer so far, where the last chunk is to tell it.
    whole: Option<Whole>,
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
    /// `offered`: the tools that the model may call.
    pub(super) fn new(face: Face, told: Arc<Told>, offered: &[Tool]) -> Encoder {
        let whole = told.include_aggregated.then(|| Whole::new(offered));
        Encoder {
            face,
            told,
            begun: false,
            parts: Vec::new(),
            calls: 0,
            usage: None,
            finish: None,
            failed: false,
            heard: Heard::default(),
            opened: false,
            whole,
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
                left::of_media(&mut self.losses);
                Place::None
            }
            PartKind::Opaque(opaque) => {
                left::of_opaque(opaque, &mut self.losses);
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
            (Delta::Signature(_), Some(Place::Call(..))) => left::signature_of_call(&mut self.losses),
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
            return left::thoughts_of_value(&mut self.losses);
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
        self.chat_chunk(delta, |_| {}, None, false, out);
    }

    fn chat_chunk(
        &mut self,
        delta: impl FnOnce(&mut ObjectWriter<'_>),
        more: impl FnOnce(&mut ObjectWriter<'_>),
        finish: Option<FinishReason>,
        last: bool,
        out: &mut Vec<u8>,
    ) {
        let first = !std::mem::replace(&mut self.begun, true);
        let told = &self.told;
        let heard = std::mem::take(&mut self.heard);
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
                told.write_heard(self.face, &heard, chunk);
                more(chunk);
            });
        };
        sse::write_data(None, write, out);
    }

    fn block(&mut self, fill: impl FnOnce(&mut ObjectWriter<'_>), out: &mut Vec<u8>) {
        self.native(|chunk| chunk.array("content", [fill], |fill, out| json::object(out, fill)), out);
    }

    fn native(&mut self, fill: impl FnOnce(&mut ObjectWriter<'_>), out: &mut Vec<u8>) {
        let heard = std::mem::take(&mut self.heard);
        let write = |data: &mut Vec<u8>| {
            json::object(data, |chunk| {
                self.told.native_head(chunk);
                fill(chunk);
                self.told.write_heard(self.face, &heard, chunk);
            });
        };
        sse::write_data(None, write, out);
    }

    /// A chunk that says nothing of the answer.
    fn silent(&mut self, more: impl FnOnce(&mut ObjectWriter<'_>), out: &mut Vec<u8>) {
        let json = self.told.json;
        match self.face {
            Face::Native => {
                let fill = |chunk: &mut ObjectWriter<'_>| {
                    says_nothing(json, chunk);
                    more(chunk);
                };
                self.native(fill, out);
            }
            Face::Chat | Face::Embeddings => self.chat_chunk(|delta| no_content(json, delta), more, None, false, out),
        }
    }

    /// The last chunk, and the end.
    fn end(&mut self, finish: Option<FinishReason>, out: &mut Vec<u8>) {
        let json = self.told.json;
        match self.face {
            Face::Native => {
                let told = Arc::clone(&self.told);
                let (usage, whole) = (self.usage, self.whole.take().filter(|_| finish.is_some()));
                let fill = |chunk: &mut ObjectWriter<'_>| {
                    says_nothing(json, chunk);
                    chunk.object("usage", |counts| told.native_usage(usage.as_ref(), counts));
                    if let Some(finish) = finish {
                        chunk.field("finish_reason", told::native_finish(finish));
                    }
                    if let Some(whole) = whole {
                        whole.write(&told, chunk);
                    }
                };
                self.native(fill, out);
            }
            Face::Chat | Face::Embeddings => {
                let fill = |delta: &mut ObjectWriter<'_>| no_content(json && finish.is_some(), delta);
                self.chat_chunk(fill, |_| {}, finish, true, out);
            }
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

/// The content of a native chunk that has none.
fn says_nothing(json: bool, chunk: &mut ObjectWriter<'_>) {
    if json {
        chunk.field("raw", "");
    } else {
        chunk.array("content", [(); 0], |(), _| {});
    }
}

/// The delta of a chunk that says nothing: of a value it is an empty text.
fn no_content(json: bool, delta: &mut ObjectWriter<'_>) {
    if json {
        delta.field("content", "");
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        if let Some(whole) = &mut self.whole {
            whole.add(event);
        }
        match event {
            Event::PartStart { index, candidate: 0, kind } => self.part_start(*index, kind, out),
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { candidate: 0, finish } => {
                left::of_finish(finish, &mut self.losses);
                self.finish = Some(self.told.finish(finish.reason));
            }
            Event::Error(said) => {
                self.failed = true;
                let frame = std::mem::take(&mut self.heard).of_error(&self.told);
                sse::write_data(None, |data| error::write_in_stream(self.face, said, frame.as_deref(), data), out);
                self.end(None, out);
            }
            Event::Ping => out.extend_from_slice(b": keep-alive\n\n"),
            Event::PartStart { .. } => left::several(&mut self.losses),
            Event::Extra { scope, ext, .. } => self.losses.dropped_extra(*scope, ext),
            // The ids and names are the gateway's.
            Event::Start { .. } | Event::PartEnd { .. } | Event::Finish { .. } => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.failed {
            self.usage.iter().for_each(|usage| left::of_usage(usage, &mut self.losses));
            self.end(Some(self.finish.unwrap_or(FinishReason::Other)), out);
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }

    fn listens(&self) -> bool {
        self.told.raws.any() && !self.told.cached
    }

    fn hears(&mut self, frame: &str, out: &mut Vec<u8>) {
        let told = Arc::clone(&self.told);
        if !std::mem::replace(&mut self.opened, true) && told.raws.response && !told.failed.is_empty() {
            let face = self.face;
            self.silent(|chunk| raw::write_failed(face, &told.failed, chunk), out);
        }
        self.heard = told.hear(frame);
    }

    fn heard(&mut self, out: &mut Vec<u8>) {
        if !self.heard.is_nothing() && !self.failed {
            self.silent(|_| {}, out);
        }
    }
}
