//! The conversation as Converse demands it: system texts apart, turns of the user and the assistant in strict alternation, the
//! user first, no empty text, results of calls first in their turn, cache points as blocks of their own.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;

use super::super::model::Family;
use super::super::{SELF, block, legal};
use super::media::{self, Attachment};
use crate::wire::ProtocolId;
use crate::wire::anthropic_messages::BLOCK;
use crate::wire::ir::{Error, Message, Part, Reasoning, Request, Role, Text, ToolCall, ToolResult};
use crate::wire::json::{self, Ext, ObjectWriter};
use crate::wire::loss::Losses;

pub(super) struct Conversation<'a> {
    system: Vec<Block<'a>>,
    turns: Vec<Turn<'a>>,
}

struct Turn<'a> {
    assistant: bool,
    blocks: Vec<Block<'a>>,
}

struct Block<'a> {
    content: Content<'a>,
    /// A cache point follows.
    mark: Option<Mark>,
}

enum Content<'a> {
    Text(Cow<'a, str>),
    Attachment(Attachment),
    Reasoning(&'a Reasoning),
    Call { id: String, call: &'a ToolCall },
    Result { id: String, is_error: Option<bool>, content: Vec<Content<'a>> },
}

/// A cache point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    hour: bool,
}

/// The cache point that a part's members ask for; members that nobody carries are reported.
pub(super) fn mark(prefix: &str, ext: &Ext, family: Family, losses: &mut Losses) -> Option<Mark> {
    let rest = Ext(ext.0.iter().filter(|(key, _)| key != "cache_control").cloned().collect());
    losses.dropped_ext(prefix, &rest);
    let object = |raw: &RawValue| {
        json::Object::parse(raw.get()).ok().map(|object| object.get("ttl").map(RawValue::get) == Some("\"1h\""))
    };
    let hour = ext.get("cache_control").and_then(object)?;
    let field = format!("{prefix}cache_control");
    if !family.caches() {
        losses.dropped(field, "this model takes no cache points");
        return None;
    }
    if hour && !family.caches_for_an_hour() {
        losses.degraded(format!("{field}.ttl"), "this model keeps a cache for five minutes only");
    }
    Some(Mark { hour: hour && family.caches_for_an_hour() })
}

impl Mark {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        json::object(out, |block| {
            block.object("cachePoint", |point| {
                point.field("type", "default");
                if self.hour {
                    point.field("ttl", "1h");
                }
            });
        });
    }
}

/// Arranges the messages of `request`.
///
/// # Errors
/// Media that Converse does not take.
pub(super) fn arrange<'a>(
    request: &'a Request,
    family: Family,
    losses: &mut Losses,
) -> Result<Conversation<'a>, Error> {
    let mut arranging = Arranging {
        family,
        losses,
        ids: Ids::default(),
        documents: legal::DocumentNames::default(),
        conversation: Conversation { system: Vec::new(), turns: Vec::new() },
    };
    for (position, message) in request.messages.iter().enumerate() {
        arranging.message(message, position)?;
    }
    arranging.settle();
    Ok(arranging.conversation)
}

struct Arranging<'a, 'l> {
    family: Family,
    losses: &'l mut Losses,
    ids: Ids,
    documents: legal::DocumentNames,
    conversation: Conversation<'a>,
}

impl<'a> Arranging<'a, '_> {
    fn message(&mut self, message: &'a Message, position: usize) -> Result<(), Error> {
        if message.name.is_some() {
            self.losses.dropped("messages.name", "Converse has no names of speakers");
        }
        self.losses.dropped_ext("messages.", &message.ext);
        let system = matches!(message.role, Role::System | Role::Developer);
        let leading = system && self.conversation.turns.is_empty();
        let assistant = message.role == Role::Assistant;
        if system && !leading {
            self.losses.degraded(
                "messages.role",
                "a system message within the conversation is sent as a reminder in a user turn",
            );
        }
        if assistant && self.conversation.turns.last().is_some_and(|turn| !turn.assistant) {
            self.ids.open.clear();
        }
        let mut blocks = Vec::with_capacity(message.parts.len());
        for (at, part) in message.parts.iter().enumerate() {
            let path = format!("messages.{position}.content.{at}");
            let block = if system { self.system_text(part, leading) } else { self.block(part, assistant, &path)? };
            blocks.extend(block);
        }
        match (leading, self.conversation.turns.last_mut()) {
            (true, _) => self.conversation.system.extend(blocks),
            (false, Some(turn)) if turn.assistant == assistant => turn.blocks.extend(blocks),
            (false, _) if blocks.is_empty() => {}
            (false, _) => self.conversation.turns.push(Turn { assistant, blocks }),
        }
        Ok(())
    }

    fn system_text(&mut self, part: &'a Part, leading: bool) -> Option<Block<'a>> {
        let Part::Text(text) = part else {
            self.losses.dropped("messages.content", "a system message can hold text only");
            return None;
        };
        let block = self.text(text)?;
        match block.content {
            Content::Text(text) if !leading => Some(Block {
                content: Content::Text(Cow::Owned(format!("<system-reminder>\n{text}\n</system-reminder>"))),
                mark: block.mark,
            }),
            content => Some(Block { content, mark: block.mark }),
        }
    }

    /// A text, `None` for one without words, which Converse refuses.
    fn text(&mut self, text: &'a Text) -> Option<Block<'a>> {
        let mark = mark("messages.content.", &text.ext, self.family, self.losses);
        (!text.text.trim().is_empty()).then(|| Block { content: Content::Text(Cow::Borrowed(&text.text)), mark })
    }

    fn block(&mut self, part: &'a Part, assistant: bool, path: &str) -> Result<Option<Block<'a>>, Error> {
        Ok(match (part, assistant) {
            (Part::Text(text) | Part::Refusal(text), _) => self.text(text),
            (Part::Media(given), false) => {
                let mark = mark("messages.content.", &given.ext, self.family, self.losses);
                if given.ext.get(BLOCK).is_some() {
                    self.losses.emulated("messages.content.document", "texts to cite from are one document");
                }
                let content = Content::Attachment(media::attachment(given, &mut self.documents, path, self.losses)?);
                Some(Block { content, mark })
            }
            (Part::ToolResult(result), false) => Some(self.result(result, path)?),
            (Part::Reasoning(reasoning), true) => self.reasoning(reasoning),
            (Part::ToolCall(call), true) => Some(self.call(call)),
            (Part::Opaque(part), _) => {
                self.losses.dropped_part("messages.content", &part.raw, "the part has no counterpart in Converse");
                None
            }
            _ => {
                self.losses.dropped("messages.content", "the part has no counterpart in this turn of Converse");
                None
            }
        })
    }

    /// Thoughts go back only with a proof of the model's own: Claude's are valid at Anthropic and here alike.
    fn reasoning(&mut self, reasoning: &'a Reasoning) -> Option<Block<'a>> {
        let proof =
            reasoning.redacted.as_ref().or(reasoning.signature.as_ref()).filter(|proof| !proof.value.is_empty());
        let valid = proof.is_some_and(|proof| {
            proof.issuer == SELF || (proof.issuer == ProtocolId::AnthropicMessages && self.family.is_claude())
        });
        if !valid {
            self.losses.dropped("messages.reasoning", "thoughts without a signature of this model's are refused");
            return None;
        }
        Some(Block { content: Content::Reasoning(reasoning), mark: None })
    }

    fn call(&mut self, call: &'a ToolCall) -> Block<'a> {
        let mark = mark("messages.content.", &call.ext, self.family, self.losses);
        if call.signature.is_some() {
            self.losses.dropped("messages.tool_calls.signature", "another vendor's signature is of no use here");
        }
        if block::input(&call.arguments).is_none() {
            self.losses.degraded(
                "messages.tool_calls.arguments",
                "arguments that are no JSON object are sent as the text `_raw` of one",
            );
        }
        Block { content: Content::Call { id: self.ids.ask(call), call }, mark }
    }

    fn result(&mut self, result: &'a ToolResult, path: &str) -> Result<Block<'a>, Error> {
        let mut point = mark("messages.content.", &result.ext, self.family, self.losses);
        let mut content = Vec::with_capacity(result.content.len());
        for part in &result.content {
            let inner = self.block(part, false, path)?;
            // A result holds no cache points: the last one inside stands behind it.
            point = inner.as_ref().and_then(|block| block.mark).or(point);
            content.extend(inner.map(|block| block.content));
        }
        if content.is_empty() {
            content.push(Content::Text(Cow::Borrowed("(no output)")));
        }
        let id = self.ids.answer(result);
        Ok(Block { content: Content::Result { id, is_error: result.is_error, content }, mark: point })
    }

    fn settle(&mut self) {
        let said = |text: &'static str| Block { content: Content::Text(Cow::Borrowed(text)), mark: None };
        let turns = &mut self.conversation.turns;
        if turns.first().is_none_or(|turn| turn.assistant) {
            self.losses.emulated("messages", "a conversation must begin with the user; a turn `.` is put first");
            turns.insert(0, Turn { assistant: false, blocks: vec![said(".")] });
        }
        for turn in turns.iter_mut().filter(|turn| !turn.assistant) {
            // Stable: everything else keeps its order.
            turn.blocks.sort_by_key(|block| !matches!(block.content, Content::Result { .. }));
            let speaks = turn.blocks.iter().any(|block| matches!(block.content, Content::Text(_)));
            if !speaks && turn.blocks.iter().any(|block| block.content.is_document()) {
                self.losses.emulated("messages.content", "a document needs a text beside it; `.` is put there");
                turn.blocks.push(said("."));
            }
        }
    }
}

impl Conversation<'_> {
    /// Whether the model is between its tool calls and its answer, in a turn that does not begin with thoughts: Claude then
    /// refuses a thinking budget.
    pub(super) fn continues_without_thoughts(&self) -> bool {
        let [.., asking, answering] = self.turns.as_slice() else { return false };
        answering.blocks.iter().any(|block| matches!(block.content, Content::Result { .. }))
            && !asking.blocks.first().is_some_and(|block| matches!(block.content, Content::Reasoning(_)))
    }

    /// Writes `system`, with `instruction` at its end, and `messages`.
    pub(super) fn write(&self, instruction: Option<&str>, body: &mut ObjectWriter<'_>) {
        if !self.system.is_empty() || instruction.is_some() {
            let out = body.key("system");
            out.push(b'[');
            write_blocks(&self.system, out);
            if let Some(text) = instruction {
                separate(out);
                json::object(out, |block| block.field("text", text));
            }
            out.push(b']');
        }
        body.array("messages", &self.turns, |turn, out| {
            json::object(out, |message| {
                message.field("role", if turn.assistant { "assistant" } else { "user" });
                let out = message.key("content");
                out.push(b'[');
                write_blocks(&turn.blocks, out);
                out.push(b']');
            });
        });
    }
}

/// Writes the comma between two elements of an array.
fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}

fn write_blocks(blocks: &[Block<'_>], out: &mut Vec<u8>) {
    for block in blocks {
        separate(out);
        block.content.write(out);
        if let Some(mark) = block.mark {
            out.push(b',');
            mark.write(out);
        }
    }
}

impl Content<'_> {
    fn is_document(&self) -> bool {
        matches!(self, Content::Attachment(attachment) if attachment.is_document())
    }

    fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |body| match self {
            Content::Text(text) => body.field("text", text),
            Content::Attachment(attachment) => attachment.write(body),
            Content::Reasoning(reasoning) => body.object("reasoningContent", |body| {
                block::write_reasoning(reasoning, &Ext::default(), body);
            }),
            Content::Call { id, call } => {
                block::write_call(id, &legal::name(&call.name), &call.arguments, &Ext::default(), body);
            }
            Content::Result { id, is_error, content } => body.object("toolResult", |body| {
                body.field("toolUseId", id);
                body.array("content", content, Content::write);
                body.optional("status", &is_error.map(|failed| if failed { "error" } else { "success" }));
            }),
        });
    }
}

/// Ids of tool calls: legal, present, and each used once.
#[derive(Default)]
struct Ids {
    used: HashSet<String>,
    /// Calls that have no result yet: the given id, the name, the id that is sent.
    open: Vec<(Option<String>, String, String)>,
    count: usize,
}

impl Ids {
    fn ask(&mut self, call: &ToolCall) -> String {
        self.count += 1;
        let given = call.id.clone().filter(|id| !id.is_empty());
        let wanted = given.as_deref().map_or_else(|| format!("tooluse_{}", self.count), legal::call_id);
        let mut id = wanted.clone();
        while !self.used.insert(id.clone()) {
            self.count += 1;
            id = legal::call_id(&format!("{wanted}_{}", self.count));
        }
        self.open.push((given, call.name.clone(), id.clone()));
        id
    }

    /// The id of the call that `result` answers: by id, the nearest one before it; without ids, the first of its name.
    fn answer(&mut self, result: &ToolResult) -> String {
        let position = match &result.call_id {
            Some(id) => self.open.iter().rposition(|(given, _, _)| given.as_ref() == Some(id)),
            None => self.open.iter().position(|(_, name, _)| result.name.as_ref().is_none_or(|wanted| wanted == name)),
        };
        match position {
            Some(position) => self.open.remove(position).2,
            None => legal::call_id(result.call_id.as_deref().or(result.name.as_deref()).unwrap_or_default()),
        }
    }
}
