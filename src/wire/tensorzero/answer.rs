//! Whole answers, written.

use serde_json::value::RawValue;

use super::told::{self, Told};
use super::{Face, left};
use crate::wire::Answering;
use crate::wire::ir::{Candidate, Part, Reasoning, Response, Tool, ToolCall, ToolKind};
use crate::wire::json::{self, ObjectWriter};
use crate::wire::loss::Losses;
use crate::wire::structured::check::{Checker, Verdict};

/// Writes an answer in OpenAI's form.
pub(super) fn chat(told: &Told, response: &Response, raw: Option<&[u8]>, out: &mut Vec<u8>, losses: &mut Losses) {
    left::of_answer(told, response, losses);
    let none = Vec::new();
    let parts = response.candidates.first().map_or(&none, |candidate| &candidate.parts);
    let finish = finish_of(response).map_or("stop", |reason| told::chat_finish(told.finish(reason)));
    json::object(out, |answer| {
        answer.field("id", &told.inference_id);
        answer.field("episode_id", &told.episode_id);
        answer.array("choices", [parts], |parts, out| {
            json::object(out, |choice| {
                choice.field("index", &0);
                choice.field("finish_reason", finish);
                choice.object("message", |message| chat_message(told, parts, message));
            });
        });
        answer.field("created", &told.now);
        answer.field("model", &told.name);
        answer.field("system_fingerprint", "");
        answer.field("service_tier", &());
        answer.field("object", "chat.completion");
        answer.object("usage", |counts| told.chat_usage(response.usage.as_ref(), counts));
        told.write_raws(Face::Chat, raw.as_slice(), answer);
    });
}

fn finish_of(response: &Response) -> Option<crate::wire::ir::FinishReason> {
    response.candidates.first()?.finish.as_ref().map(|finish| finish.reason)
}

fn chat_message(told: &Told, parts: &[Part], message: &mut ObjectWriter<'_>) {
    message.field("role", "assistant");
    if told.json {
        message.field("content", &value_of(parts));
        return;
    }
    let texts: Vec<&str> = parts.iter().filter_map(said).collect();
    message.field("content", &if texts.is_empty() { None } else { Some(texts.concat()) });
    let calls: Vec<&ToolCall> = parts.iter().filter_map(call_of).collect();
    if !calls.is_empty() {
        message.array("tool_calls", calls.into_iter().enumerate(), |(position, call), out| {
            chat_call(&told.call_id(call.id.as_deref(), position), call, out);
        });
    }
    let thoughts: Vec<(usize, &Reasoning)> = parts.iter().enumerate().filter_map(thought_of).collect();
    if !thoughts.is_empty() {
        message.array("tensorzero_extra_content", thoughts, |(at, thought), out| {
            json::object(out, |block| {
                block.field("type", "thought");
                block.field("insert_index", &at);
                write_thought(told, thought, block);
            });
        });
    }
}

/// Writes the members of a thought.
fn write_thought(told: &Told, thought: &Reasoning, block: &mut ObjectWriter<'_>) {
    if !thought.text.is_empty() {
        block.field("text", &thought.text);
    }
    // Thoughts that are encrypted whole are nothing else.
    let proof = thought.signature.as_ref().or(thought.redacted.as_ref());
    block.optional("signature", &proof.map(|proof| &proof.value));
    block.field("provider_type", told.provider_type);
}

fn chat_call(id: &str, call: &ToolCall, out: &mut Vec<u8>) {
    json::object(out, |writer| {
        writer.field("id", id);
        writer.field("type", "function");
        writer.object("function", |function| {
            function.field("name", &call.name);
            function.field("arguments", &call.arguments);
        });
    });
}

fn said(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) | Part::Refusal(text) => Some(&text.text),
        _ => None,
    }
}

fn call_of(part: &Part) -> Option<&ToolCall> {
    if let Part::ToolCall(call) = part { Some(call) } else { None }
}

fn thought_of((at, part): (usize, &Part)) -> Option<(usize, &Reasoning)> {
    if let Part::Reasoning(thought) = part { Some((at, thought)) } else { None }
}

/// The text of a JSON function's answer: the last that was said, or the arguments of the last call.
fn value_of(parts: &[Part]) -> Option<&str> {
    parts.iter().rev().find_map(|part| said(part).or_else(|| call_of(part).map(|call| &*call.arguments)))
}

/// Writes a native answer.
pub(super) fn native(
    told: &Told,
    answering: &Answering<'_>,
    response: &Response,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) {
    left::of_answer(told, response, losses);
    let empty = Candidate { parts: Vec::new(), finish: None, ext: json::Ext::default() };
    let candidate = response.candidates.first().unwrap_or(&empty);
    json::object(out, |answer| {
        told.native_head(answer);
        let offered = answering.request.tools.as_deref().unwrap_or_default();
        native_content(if told.json { "output" } else { "content" }, told, offered, &candidate.parts, answer);
        answer.object("usage", |counts| told.native_usage(response.usage.as_ref(), counts));
        told.write_raws(Face::Native, answering.raw.as_slice(), answer);
        answer.field(
            "finish_reason",
            &candidate.finish.as_ref().map(|finish| told::native_finish(told.finish(finish.reason))),
        );
    });
}

/// Writes what was said as the member `key`: the value of a JSON function, else blocks. `offered`: the tools that might be called.
pub(super) fn native_content(key: &str, told: &Told, offered: &[Tool], parts: &[Part], object: &mut ObjectWriter<'_>) {
    if told.json {
        return object.object(key, |output| write_value(told, parts, output));
    }
    let blocks = parts.iter().filter(|part| has_block(part));
    object.array(key, blocks.enumerate(), |(position, part), out| block(told, offered, (position, part), out));
}

fn has_block(part: &Part) -> bool {
    matches!(part, Part::Text(_) | Part::Refusal(_) | Part::Reasoning(_) | Part::ToolCall(_))
}

fn block(told: &Told, offered: &[Tool], (position, part): (usize, &Part), out: &mut Vec<u8>) {
    json::object(out, |block| {
        if let Some(text) = said(part) {
            block.field("type", "text");
            block.field("text", text);
        } else if let Some(call) = call_of(part) {
            block.field("type", "tool_call");
            native_call(offered, &told.call_id(call.id.as_deref(), position), call, block);
        } else if let Some((_, thought)) = thought_of((0, part)) {
            block.field("type", "thought");
            write_thought(told, thought, block);
        }
    });
}

/// A call as the model wrote it, and as it is meant: the name where such a tool was offered, the arguments where they are what
/// its schema asks for.
fn native_call(offered: &[Tool], id: &str, call: &ToolCall, block: &mut ObjectWriter<'_>) {
    let offered = offered.iter().find_map(|tool| match &tool.kind {
        ToolKind::Function { name, parameters, .. } if *name == call.name => Some(parameters.as_deref()),
        ToolKind::Function { .. } | ToolKind::Opaque { .. } => None,
    });
    let fits = |parameters: Option<&RawValue>| {
        let verdict = parameters.map(|schema| Checker::of_schema(schema).text(&call.arguments));
        matches!(verdict, None | Some(Verdict::Valid | Verdict::Unchecked(_)))
    };
    let arguments = offered.filter(|parameters| fits(*parameters)).and_then(|_| json::raw(call.arguments.as_str()));
    block.field("id", id);
    block.field("raw_name", &call.name);
    block.field("raw_arguments", &call.arguments);
    block.field("name", &offered.map(|_| &call.name));
    block.field("arguments", &arguments);
}

/// `{raw, parsed}`: what was said, and the value that it is, where it follows the schema.
fn write_value(told: &Told, parts: &[Part], output: &mut ObjectWriter<'_>) {
    let raw = value_of(parts);
    let parsed = raw.and_then(json::raw).filter(|value| match told.schema.as_deref().and_then(json::raw) {
        Some(schema) => matches!(Checker::of_schema(&schema).text(value.get()), Verdict::Valid | Verdict::Unchecked(_)),
        None => true,
    });
    output.field("raw", &raw);
    output.field("parsed", &parsed);
}
