//! The conversation of another protocol, in the order that Anthropic demands: system texts apart, turns of the user and the
//! assistant in alternation, the user first, and the results of a turn's tool calls first in the next user turn.

use std::borrow::Cow;
use std::collections::HashSet;

use super::super::{SELF, block, legal};
use super::media;
use crate::wire::ir::{
    ContentShape, Error, Media, Message, Part, Reasoning, Request, Role, Text, ToolCall, ToolResult,
};
use crate::wire::json::{self, Ext};
use crate::wire::loss::Losses;

pub(super) struct Conversation<'a> {
    /// System texts that stood before the first turn.
    pub(super) system: Vec<&'a Text>,
    pub(super) turns: Vec<Turn<'a>>,
}

pub(super) struct Turn<'a> {
    pub(super) speaker: Speaker,
    blocks: Vec<Block<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    User,
    Assistant,
}

enum Block<'a> {
    Text(Cow<'a, str>, &'a Ext),
    Media(Cow<'a, Media>),
    Reasoning(&'a Reasoning),
    Call { id: String, call: &'a ToolCall },
    Result { id: String, result: &'a ToolResult, content: Vec<Block<'a>> },
}

static NO_EXT: Ext = Ext(Vec::new());

/// Arranges the messages of `request`.
///
/// # Errors
/// Media that Anthropic does not take.
pub(super) fn arrange<'a>(request: &'a Request, losses: &mut Losses) -> Result<Conversation<'a>, Error> {
    let mut conversation = Conversation { system: Vec::new(), turns: Vec::new() };
    let mut ids = Ids::default();
    for (position, message) in request.messages.iter().enumerate() {
        report_message(message, losses);
        match message.role {
            Role::System | Role::Developer if conversation.turns.is_empty() => {
                conversation.system.extend(system_texts(message, losses));
            }
            Role::System | Role::Developer => {
                losses.degraded(
                    "messages.role",
                    "a system message within the conversation is sent as a reminder in a user turn",
                );
                let reminders = system_texts(message, losses).map(reminder).collect();
                conversation.push(Speaker::User, reminders);
            }
            Role::User | Role::Tool => {
                let blocks = user_blocks(message, position, &mut ids, losses)?;
                conversation.push(Speaker::User, blocks);
            }
            Role::Assistant => {
                if conversation.turns.last().is_some_and(|turn| turn.speaker == Speaker::User) {
                    ids.forget_open();
                }
                let blocks = assistant_blocks(message, &mut ids, losses);
                conversation.push(Speaker::Assistant, blocks);
            }
        }
    }
    conversation.settle(losses);
    Ok(conversation)
}

impl<'a> Conversation<'a> {
    /// Adds blocks to the turn of `speaker`, which is the last one or a new one.
    fn push(&mut self, speaker: Speaker, blocks: Vec<Block<'a>>) {
        if blocks.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(turn) if turn.speaker == speaker => turn.blocks.extend(blocks),
            _ => self.turns.push(Turn { speaker, blocks }),
        }
    }

    fn settle(&mut self, losses: &mut Losses) {
        for turn in self.turns.iter_mut().filter(|turn| turn.speaker == Speaker::User) {
            // Stable: everything else keeps its order.
            turn.blocks.sort_by_key(|block| !matches!(block, Block::Result { .. }));
        }
        if self.turns.first().is_none_or(|turn| turn.speaker == Speaker::Assistant) {
            losses.emulated("messages", "a conversation must begin with the user; a turn `.` is put first");
            self.turns
                .insert(0, Turn { speaker: Speaker::User, blocks: vec![Block::Text(Cow::Borrowed("."), &NO_EXT)] });
        }
        if let Some(Turn { speaker: Speaker::Assistant, blocks }) = self.turns.last_mut()
            && let Some(Block::Text(text, _)) = blocks.last_mut()
            && text.trim_end().len() < text.len()
        {
            losses.degraded("messages.content", "white space at the end of a final assistant message is removed");
            *text = Cow::Owned(text.trim_end().to_owned());
        }
    }

    /// Whether the model is in the middle of its turn, between tool calls and the answer, and that turn does not begin with
    /// thoughts: Anthropic then refuses a thinking budget.
    pub(super) fn continues_without_thoughts(&self) -> bool {
        let [.., asking, answering] = self.turns.as_slice() else { return false };
        answering.blocks.iter().any(|block| matches!(block, Block::Result { .. }))
            && !matches!(asking.blocks.first(), Some(Block::Reasoning(_)))
    }
}

// === blocks ===

fn report_message(message: &Message, losses: &mut Losses) {
    if message.name.is_some() {
        losses.dropped("messages.name", "Anthropic Messages has no names of speakers");
    }
    losses.dropped_ext("messages.", &message.ext);
}

fn report_ext(ext: &Ext, losses: &mut Losses) {
    losses.dropped_ext("messages.content.", &uncarried(ext));
}

/// Of members that came through unread, `cache_control` is Anthropic's own, whichever protocol it came in.
pub(super) fn carried(ext: &Ext) -> Ext {
    let is_mark = |value: &json::Kind| *value == json::Kind::Object;
    let mark = ext.get("cache_control").filter(|value| is_mark(&json::kind(value)));
    Ext(mark.map(|mark| ("cache_control".to_owned(), mark.to_owned())).into_iter().collect())
}

/// What [`carried`] leaves.
pub(super) fn uncarried(ext: &Ext) -> Ext {
    let carried = carried(ext);
    Ext(ext.0.iter().filter(|(key, _)| carried.get(key).is_none()).cloned().collect())
}

fn system_texts<'a>(message: &'a Message, losses: &mut Losses) -> impl Iterator<Item = &'a Text> + use<'a> {
    if message.parts.iter().any(|part| !matches!(part, Part::Text(_))) {
        losses.dropped("messages.content", "a system message can hold text only");
    }
    for part in &message.parts {
        if let Part::Text(text) = part {
            report_ext(&text.ext, losses);
        }
    }
    message.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text).filter(|text| !text.text.trim().is_empty()),
        _ => None,
    })
}

fn reminder(text: &Text) -> Block<'_> {
    Block::Text(Cow::Owned(format!("<system-reminder>\n{}\n</system-reminder>", text.text)), &text.ext)
}

/// A text block, `None` for one without text, which Anthropic refuses.
fn text_block<'a>(text: &'a Text, losses: &mut Losses) -> Option<Block<'a>> {
    report_ext(&text.ext, losses);
    (!text.text.trim().is_empty()).then(|| Block::Text(Cow::Borrowed(&text.text), &text.ext))
}

fn user_blocks<'a>(
    message: &'a Message,
    position: usize,
    ids: &mut Ids,
    losses: &mut Losses,
) -> Result<Vec<Block<'a>>, Error> {
    let mut blocks = Vec::with_capacity(message.parts.len());
    for (at, part) in message.parts.iter().enumerate() {
        let block = match part {
            Part::ToolResult(result) => Some(Block::Result {
                id: ids.answer(result),
                result,
                content: result_content(result, position, losses)?,
            }),
            Part::Text(_) | Part::Refusal(_) | Part::Media(_) => {
                shown_block(part, &format!("messages.{position}.content.{at}"), losses)?
            }
            Part::Opaque(part) => {
                losses.dropped_part("messages.content", &part.raw, NO_COUNTERPART);
                None
            }
            Part::Reasoning(_) | Part::ToolCall(_) => {
                losses
                    .dropped("messages.content", "the part has no counterpart in a user message of Anthropic Messages");
                None
            }
        };
        blocks.extend(block);
    }
    Ok(blocks)
}

const NO_COUNTERPART: &str = "the part has no counterpart in Anthropic Messages";

fn shown_block<'a>(part: &'a Part, path: &str, losses: &mut Losses) -> Result<Option<Block<'a>>, Error> {
    match part {
        Part::Text(text) | Part::Refusal(text) => Ok(text_block(text, losses)),
        Part::Media(media) => {
            report_ext(&media.ext, losses);
            media::portable(media, path, losses).map(|media| Some(Block::Media(media)))
        }
        Part::Opaque(part) => {
            losses.dropped_part("messages.content", &part.raw, NO_COUNTERPART);
            Ok(None)
        }
        Part::Reasoning(_) | Part::ToolCall(_) | Part::ToolResult(_) => {
            losses.dropped("messages.content", NO_COUNTERPART);
            Ok(None)
        }
    }
}

fn result_content<'a>(result: &'a ToolResult, position: usize, losses: &mut Losses) -> Result<Vec<Block<'a>>, Error> {
    report_ext(&result.ext, losses);
    let path = format!("messages.{position}.content");
    let mut content = Vec::with_capacity(result.content.len());
    for part in &result.content {
        content.extend(shown_block(part, &path, losses)?);
    }
    Ok(content)
}

fn assistant_blocks<'a>(message: &'a Message, ids: &mut Ids, losses: &mut Losses) -> Vec<Block<'a>> {
    let mut blocks = Vec::with_capacity(message.parts.len());
    for part in &message.parts {
        let block = match part {
            Part::Text(text) | Part::Refusal(text) => text_block(text, losses),
            Part::Reasoning(reasoning) => reasoning_block(reasoning, losses),
            Part::ToolCall(call) => Some(call_block(call, ids, losses)),
            Part::Media(_) => {
                losses.dropped("messages.content", "an assistant message of Anthropic Messages holds no media");
                None
            }
            Part::Opaque(part) => {
                losses.dropped_part("messages.content", &part.raw, NO_COUNTERPART);
                None
            }
            Part::ToolResult(_) => {
                losses.dropped("messages.content", "an assistant message of Anthropic Messages holds no results");
                None
            }
        };
        blocks.extend(block);
    }
    blocks
}

/// Thoughts go back only with Anthropic's own proof: it refuses all others.
fn reasoning_block<'a>(reasoning: &'a Reasoning, losses: &mut Losses) -> Option<Block<'a>> {
    let proof = reasoning.redacted.as_ref().or(reasoning.signature.as_ref());
    if proof.is_some_and(|proof| proof.issuer == SELF && !proof.value.is_empty()) {
        return Some(Block::Reasoning(reasoning));
    }
    losses.dropped("messages.reasoning", "thoughts without a signature of Anthropic's are refused there");
    None
}

fn call_block<'a>(call: &'a ToolCall, ids: &mut Ids, losses: &mut Losses) -> Block<'a> {
    report_ext(&call.ext, losses);
    if call.signature.is_some() {
        losses.dropped("messages.tool_calls.signature", "another vendor's signature is of no use to Anthropic");
    }
    if block::is_wrapped(&call.arguments) {
        losses.degraded(
            "messages.tool_calls.arguments",
            "arguments that are no JSON object are sent as the text `_raw` of one",
        );
    }
    Block::Call { id: ids.ask(call), call }
}

// === ids ===

/// Ids of tool calls: legal, present, and each used once, because Anthropic refuses a conversation where one occurs twice.
/// Some upstreams number the calls of every answer from `call_0` on, and Gemini gives no ids.
#[derive(Default)]
struct Ids {
    used: HashSet<String>,
    /// Calls that have no result yet.
    open: Vec<OpenCall>,
    count: usize,
}

struct OpenCall {
    given: Option<String>,
    name: String,
    id: String,
}

impl Ids {
    fn ask(&mut self, call: &ToolCall) -> String {
        self.count += 1;
        let given = call.id.clone().filter(|id| !id.is_empty());
        let wanted = match &given {
            Some(id) => legal::call_id(id).into_owned(),
            None => format!("toolu_{}", self.count),
        };
        let mut id = wanted.clone();
        while !self.used.insert(id.clone()) {
            id = format!("{wanted}_{}", self.count);
            self.count += 1;
        }
        self.open.push(OpenCall { given, name: call.name.clone(), id: id.clone() });
        id
    }

    /// The id of the call that `result` answers: by id, the nearest one before it; without ids, the first of its name.
    fn answer(&mut self, result: &ToolResult) -> String {
        let position = match &result.call_id {
            Some(id) => self.open.iter().rposition(|call| call.given.as_ref() == Some(id)),
            None => self.open.iter().position(|call| result.name.as_ref().is_none_or(|name| *name == call.name)),
        };
        match (position, &result.call_id) {
            (Some(position), _) => self.open.remove(position).id,
            (None, Some(id)) => legal::call_id(id).into_owned(),
            (None, None) => legal::call_id(result.name.as_deref().unwrap_or_default()).into_owned(),
        }
    }

    /// A new turn of the assistant begins: calls of earlier turns are not answered any more.
    fn forget_open(&mut self) {
        self.open.clear();
    }
}

// === writing ===

impl Turn<'_> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |body| {
            body.field(
                "role",
                match self.speaker {
                    Speaker::User => "user",
                    Speaker::Assistant => "assistant",
                },
            );
            match self.blocks.as_slice() {
                [Block::Text(text, ext)] if carried(ext).is_empty() => body.field("content", text),
                blocks => body.array("content", blocks, Block::write),
            }
        });
    }
}

impl Block<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Block::Text(text, ext) => block::write_text(text, &carried(ext), out),
            Block::Media(media) => block::write_media(media, &carried(&media.ext), out),
            Block::Reasoning(reasoning) => block::write_reasoning(reasoning, &NO_EXT, out),
            Block::Call { id, call } => {
                block::write_call(id, &legal::name(&call.name), &call.arguments, &carried(&call.ext), out);
            }
            Block::Result { id, result, content } => write_result(id, result, content, out),
        }
    }
}

fn write_result(id: &str, result: &ToolResult, content: &[Block<'_>], out: &mut Vec<u8>) {
    json::object(out, |body| {
        body.field("type", "tool_result");
        body.field("tool_use_id", id);
        match (content, result.shape) {
            ([], _) => {}
            ([Block::Text(text, ext)], ContentShape::Text) if carried(ext).is_empty() => body.field("content", text),
            (content, _) => body.array("content", content, Block::write),
        }
        body.optional("is_error", &result.is_error);
        body.ext(&carried(&result.ext));
    });
}
