//! Requests, written for an upstream: what came in this protocol as it came, anything else translated.

use super::{SELF, content, echo, foreign, item, note, picture};
use crate::wire::Destination;
use crate::wire::ir::{
    ContentShape, Message, OutputFormat, Part, Reasoning, ReasoningEffort, Request, Role, ToolChoice, ToolKind,
};
use crate::wire::json::{self, Ext, Object, ObjectWriter};
use crate::wire::loss::Losses;

pub(super) fn encode(request: &Request, destination: &Destination<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
    let start = out.len();
    if request.origin == SELF {
        json::object(out, |body| write_back(request, destination.model, body));
    } else {
        foreign::write(request, destination, out, losses);
    }
    leave_out(&destination.quirks.refused_members, start, out, losses);
}

/// Writes the request for a count of its tokens, which takes only what the model would read.
pub(super) fn encode_count(request: &Request, destination: &Destination<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
    const READ: [&str; 9] = [
        "model",
        "instructions",
        "input",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "text",
        "previous_response_id",
    ];
    let mut whole = Vec::new();
    encode(request, destination, &mut whole, losses);
    let text = String::from_utf8(whole).unwrap_or_default();
    json::object(out, |body| {
        let members = Object::parse(&text).ok();
        let read = members.iter().flat_map(Object::members).filter(|member| READ.contains(&&*member.key));
        read.for_each(|member| body.raw(&member.key, member.value));
    });
}

/// Takes members out of the object that begins at `start`.
fn leave_out(refused: &[String], start: usize, out: &mut Vec<u8>, losses: &mut Losses) {
    if !refused.is_empty() {
        let written = out.split_off(start);
        match std::str::from_utf8(&written).ok().and_then(|text| Object::parse(text).ok()) {
            Some(members) => json::object(out, |body| {
                for member in members.members() {
                    if refused.iter().any(|name| *name == member.key) {
                        losses.dropped(member.key.to_string(), "this upstream refuses it");
                    } else {
                        body.raw(&member.key, member.value);
                    }
                }
            }),
            None => out.extend_from_slice(&written),
        }
    }
}

fn write_back(request: &Request, model: &str, body: &mut ObjectWriter<'_>) {
    body.field("model", model);
    let messages = write_instructions(request, body);
    match messages {
        [only] if only.ext.get("#input").is_some() => body.field("input", only_text(only).unwrap_or_default()),
        [] if request.ext.get("input").is_some() || request.ext.get("prompt").is_some() => {}
        messages => {
            let mut items = Vec::new();
            messages.iter().for_each(|message| items_of(message, &mut items));
            body.array("input", items, |item, out| out.extend_from_slice(&item));
        }
    }
    write_parameters(request, body);
}

/// Writes `instructions` where the caller gave some; the rest of the messages are `input`.
pub(super) fn write_instructions<'r>(request: &'r Request, body: &mut ObjectWriter<'_>) -> &'r [Message] {
    let (instructions, messages) = match request.messages.split_first() {
        Some((first, rest)) if first.ext.get("#instructions").is_some() => (Some(first), rest),
        _ => (None, request.messages.as_slice()),
    };
    if let Some(text) = instructions.and_then(only_text) {
        body.field("instructions", text);
    }
    messages
}

/// Everything but the model and the conversation, as it came.
pub(super) fn write_parameters(request: &Request, body: &mut ObjectWriter<'_>) {
    if let Some(tools) = &request.tools {
        body.array("tools", tools, |tool, out| match &tool.kind {
            ToolKind::Opaque { raw, .. } => out.extend_from_slice(raw.get().as_bytes()),
            ToolKind::Function { .. } if tool.ext.get("#custom").is_some() => {
                out.extend(tool.ext.get("#custom").iter().flat_map(|raw| raw.get().bytes()));
            }
            ToolKind::Function { name, description, parameters, strict } => json::object(out, |writer| {
                writer.field("type", "function");
                writer.field("name", name);
                writer.optional("description", description);
                writer.optional("parameters", parameters);
                writer.optional("strict", strict);
                writer.ext(&tool.ext);
            }),
        });
    }
    if let Some(choice) = &request.tool_choice {
        write_choice(choice, &echo::freeform_tools(request), body.key("tool_choice"));
    }
    body.optional("parallel_tool_calls", &request.parallel_tool_calls);
    let sampling = &request.sampling;
    body.optional("max_output_tokens", &sampling.max_tokens.map(|limit| limit.value));
    body.optional("temperature", &sampling.temperature);
    body.optional("top_p", &sampling.top_p);
    body.optional("top_logprobs", &sampling.top_logprobs);
    if let Some(reasoning) = &request.reasoning {
        body.object("reasoning", |body| {
            body.optional("effort", &reasoning.effort.map(ReasoningEffort::word));
            if let Some(summary) = reasoning.ext.get("#summary") {
                body.raw("summary", summary);
            }
            members(&reasoning.ext, body);
        });
    }
    if let Some(output) = &request.output {
        body.object("text", |text| {
            text.object("format", |format| {
                write_format(output, format);
                members_of(note::inner(&request.ext, "#format"), format);
            });
            members_of(note::inner(&request.ext, "text"), text);
        });
    }
    if request.stream_given || request.stream {
        body.field("stream", &request.stream);
    }
    body.optional("user", &request.user);
    body.optional("metadata", &request.metadata);
    for (key, value) in request.ext.0.iter().filter(|(key, _)| !key.starts_with('#')) {
        if key != "text" || request.output.is_none() {
            body.raw(key, value);
        }
    }
}

fn only_text(message: &Message) -> Option<&str> {
    match message.parts.as_slice() {
        [Part::Text(text)] => Some(&text.text),
        _ => None,
    }
}

fn members(ext: &Ext, writer: &mut ObjectWriter<'_>) {
    for (key, value) in ext.0.iter().filter(|(key, _)| !key.starts_with('#')) {
        writer.raw(key, value);
    }
}

fn members_of(object: Option<Object<'_>>, writer: &mut ObjectWriter<'_>) {
    for member in object.iter().flat_map(Object::members).filter(|member| !member.key.starts_with('#')) {
        writer.raw(&member.key, member.value);
    }
}

/// Writes the members of `text.format`. OpenAI requires a name of a schema; other protocols have none.
pub(super) fn write_format(output: &OutputFormat, format: &mut ObjectWriter<'_>) {
    match output {
        OutputFormat::Text => format.field("type", "text"),
        OutputFormat::Json => format.field("type", "json_object"),
        OutputFormat::Schema { name, description, schema, strict } => {
            format.field("type", "json_schema");
            format.field("name", name.as_deref().unwrap_or("answer"));
            format.optional("description", description);
            format.raw("schema", schema);
            format.optional("strict", strict);
        }
    }
}

/// `freeform`: names of the tools that are no functions.
pub(super) fn write_choice(choice: &ToolChoice, freeform: &[String], out: &mut Vec<u8>) {
    let named = |name: &str, out: &mut Vec<u8>| {
        json::object(out, |writer| {
            let custom = freeform.iter().any(|other| other == name);
            writer.field("type", if custom { "custom" } else { "function" });
            writer.field("name", name);
        });
    };
    match choice {
        ToolChoice::Auto => json::write("auto", out),
        ToolChoice::None => json::write("none", out),
        ToolChoice::Required => json::write("required", out),
        ToolChoice::Tool(name) => named(name, out),
        ToolChoice::Allowed { names, required } => json::object(out, |writer| {
            writer.field("type", "allowed_tools");
            writer.field("mode", if *required { "required" } else { "auto" });
            writer.array("tools", names, |name, out| named(name, out));
        }),
    }
}

// === items as they came ===

fn items_of(message: &Message, items: &mut Vec<Vec<u8>>) {
    match (message.role, message.parts.first()) {
        (Role::Assistant, _) => output_items(&message.parts, items),
        (Role::Tool, Some(Part::ToolResult(result))) => items.push(written(|writer| {
            let custom = result.ext.get("#custom").is_some();
            writer.field("type", if custom { "custom_tool_call_output" } else { "function_call_output" });
            writer.optional("call_id", &result.call_id);
            write_content("output", &result.content, result.shape, "input_text", writer);
            note::write(&result.ext, writer);
        })),
        (Role::System | Role::Developer | Role::User | Role::Tool, _) => items.push(written(|writer| {
            if message.ext.get("#untyped").is_none() {
                writer.field("type", "message");
            }
            writer.field("role", role_word(message.role));
            write_content("content", &message.parts, message.shape, "input_text", writer);
            note::write(&message.ext, writer);
        })),
    }
}

pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}

fn written(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    json::object(&mut out, fill);
    out
}

fn write_content(key: &str, parts: &[Part], shape: ContentShape, usual: &str, writer: &mut ObjectWriter<'_>) {
    match (shape, parts) {
        (ContentShape::Text, [Part::Text(text)]) => writer.field(key, &text.text),
        (_, parts) => writer.array(key, parts, |part, out| content::write_own(part, usual, out)),
    }
}

/// The items of a turn or an answer of this protocol, as they came.
pub(super) fn output_items(parts: &[Part], items: &mut Vec<Vec<u8>>) {
    let mut rest = parts;
    while let Some((first, after)) = rest.split_first() {
        match first {
            Part::Text(text) | Part::Refusal(text) => {
                let more = after.iter().take_while(|part| continues(part)).count();
                let (said, later) = rest.split_at_checked(more + 1).unwrap_or((rest, &[]));
                items.push(message_item(said, &text.ext));
                rest = later;
                continue;
            }
            Part::Opaque(opaque) => items.push(opaque.raw.get().as_bytes().to_vec()),
            Part::ToolCall(call) => items.push(written(|writer| {
                let custom = call.ext.get("#custom").is_some();
                writer.field("type", if custom { "custom_tool_call" } else { "function_call" });
                writer.optional("call_id", &call.id);
                writer.field("name", &call.name);
                if custom {
                    writer.field("input", &item::unwrapped(&call.arguments));
                } else {
                    writer.field("arguments", &call.arguments);
                }
                note::write(&call.ext, writer);
            })),
            Part::Reasoning(reasoning) => items.push(written(|writer| reasoning_item(reasoning, writer))),
            Part::Media(media) => items.push(written(|writer| picture::write(media, "", "completed", writer))),
            // The decoder puts none of these among the model's items.
            Part::ToolResult(_) => {}
        }
        rest = after;
    }
}

/// Whether a text belongs to the message before it.
fn continues(part: &Part) -> bool {
    matches!(part, Part::Text(text) | Part::Refusal(text) if text.ext.get("#message").is_none())
}

fn message_item(said: &[Part], ext: &Ext) -> Vec<u8> {
    let wrapper = note::inner(ext, "#message").map(Object::rest).unwrap_or_default();
    written(|writer| {
        if wrapper.get("#untyped").is_none() {
            writer.field("type", "message");
        }
        writer.field("role", "assistant");
        let shape = if wrapper.get("#string").is_some() { ContentShape::Text } else { ContentShape::Parts };
        let without_phase: Vec<Part> = said.iter().map(without_phase).collect();
        write_content("content", &without_phase, shape, "output_text", writer);
        members(&wrapper, writer);
        if let Some(phase) = ext.get("phase") {
            writer.raw("phase", phase);
        }
    })
}

fn without_phase(part: &Part) -> Part {
    let mut part = part.clone();
    if let Part::Text(text) | Part::Refusal(text) = &mut part {
        text.ext.0.retain(|(key, _)| key != "phase");
    }
    part
}

/// The members of thoughts as they came; a summary where the origin noted none.
pub(super) fn reasoning_item(reasoning: &Reasoning, writer: &mut ObjectWriter<'_>) {
    writer.field("type", "reasoning");
    match reasoning.ext.get("#summary") {
        Some(summary) => writer.raw("summary", summary),
        None => write_summary(&reasoning.text, writer),
    }
    if let Some(content) = reasoning.ext.get("#content") {
        writer.raw("content", content);
    }
    if let Some(proof) = reasoning.signature.as_ref().filter(|proof| proof.issuer == SELF) {
        writer.field("encrypted_content", &proof.value);
    }
    note::write(&reasoning.ext, writer);
}

pub(super) fn write_summary(text: &str, writer: &mut ObjectWriter<'_>) {
    let texts: &[&str] = if text.is_empty() { &[] } else { &[text] };
    writer.array("summary", texts, |text, out| content::write_text("summary_text", text, out));
}
