//! From the hub to a request. What came in this protocol is written back as it came; what came in another is translated.

use serde_json::value::RawValue;

use super::super::{SELF, block};
use super::translate;
use crate::wire::Destination;
use crate::wire::ir::{
    ContentShape, Error, Message, OutputFormat, Part, ReasoningEffort, ReasoningRequest, Request, Role, Tool,
    ToolChoice, ToolKind,
};
use crate::wire::json::{self, Object, ObjectWriter};
use crate::wire::loss::Losses;
use crate::wire::proof::unproven;

/// Writes a request.
pub(in super::super) fn encode(
    request: &Request,
    destination: &Destination<'_>,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let start = out.len();
    if request.origin == SELF {
        write_back(request, destination.model, out, losses);
    } else {
        translate::write(request, destination, out, losses)?;
    }
    let refused = &destination.quirks.refused_members;
    if !refused.is_empty() {
        keep_members(out, start, |member| {
            let keep = !refused.iter().any(|name| name == member);
            if !keep {
                losses.dropped(member.to_owned(), "this provider refuses the member");
            }
            keep
        });
    }
    Ok(())
}

/// What `/v1/messages/count_tokens` takes; it refuses every other member of a request.
const COUNTED: [&str; 10] = [
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "mcp_servers",
    "context_management",
];

/// Writes the request that counts the tokens of `request`. Members that do not count are left out, which is no loss.
pub(in super::super) fn encode_count_tokens(
    request: &Request,
    destination: &Destination<'_>,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let start = out.len();
    encode(request, destination, out, losses)?;
    keep_members(out, start, |member| COUNTED.contains(&member));
    Ok(())
}

/// Rewrites the object that `out` holds from `start` on, with the members that `keep` wants.
fn keep_members(out: &mut Vec<u8>, start: usize, mut keep: impl FnMut(&str) -> bool) {
    let written = out.split_off(start);
    let Some(members) = std::str::from_utf8(&written).ok().and_then(|text| Object::parse(text).ok()) else {
        return out.extend_from_slice(&written);
    };
    json::object(out, |body| {
        for member in members.members().iter().filter(|member| keep(&member.key)) {
            body.raw(&member.key, member.value);
        }
    });
}

// === a request of this protocol ===

/// Nested objects whose unmodelled members are in the request's `ext` under the object's name.
const SPLIT: [&str; 3] = ["metadata", "output_config", "output_format"];

fn split_rest<'a>(request: &'a Request, name: &str) -> Option<&'a RawValue> {
    request.ext.get(name).filter(|rest| SPLIT.contains(&name) && json::kind(rest) == json::Kind::Object)
}

fn write_back(request: &Request, model: &str, out: &mut Vec<u8>, losses: &mut Losses) {
    let (system, messages) = match request.messages.split_first() {
        Some((first, rest)) if first.role == Role::System && first.role_raw.is_none() => (Some(first), rest),
        _ => (None, request.messages.as_slice()),
    };
    let reasoning = request.reasoning.as_ref().filter(|reasoning| !must_not_think(reasoning, messages, losses));
    let messages = unproven::left_out(messages, "messages.content.thinking", losses);
    json::object(out, |body| {
        body.field("model", model);
        body.optional("max_tokens", &request.sampling.max_tokens.map(|limit| limit.value));
        if let Some(system) = system {
            write_system(system, body);
        }
        body.array("messages", &messages, |message, out| write_message(message, out));
        if let Some(tools) = &request.tools {
            body.array("tools", tools, write_tool);
        }
        if let Some(choice) = &request.tool_choice {
            write_tool_choice(choice, request.parallel_tool_calls, body);
        }
        body.optional("temperature", &request.sampling.temperature);
        body.optional("top_p", &request.sampling.top_p);
        body.optional("top_k", &request.sampling.top_k);
        body.optional("stop_sequences", &request.sampling.stop);
        if let Some(reasoning) = reasoning {
            write_thinking(reasoning, body);
        }
        write_output(request, body);
        write_metadata(request.user.as_deref(), split_rest(request, "metadata"), body);
        if request.stream_given || request.stream {
            body.field("stream", &request.stream);
        }
        for (key, value) in request.ext.0.iter().filter(|(key, _)| split_rest(request, key).is_none()) {
            body.raw(key, value);
        }
    });
}

/// A thinking budget is refused where the turn to be continued does not begin with thoughts.
fn must_not_think(reasoning: &ReasoningRequest, messages: &[Message], losses: &mut Losses) -> bool {
    let must_not = reasoning.budget.is_some() && unproven::continues(messages);
    if must_not {
        losses.dropped("thinking", unproven::GOES_ON_WITHOUT);
    }
    must_not
}

fn write_system(system: &Message, body: &mut ObjectWriter<'_>) {
    match (system.shape, system.parts.as_slice()) {
        (ContentShape::Text, [Part::Text(text)]) => body.field("system", &text.text),
        _ => body.array("system", &system.parts, block::write),
    }
}

fn write_message(message: &Message, out: &mut Vec<u8>) {
    let role = match message.role {
        Role::Assistant => "assistant",
        Role::System | Role::Developer => "system",
        Role::User | Role::Tool => "user",
    };
    json::object(out, |body| {
        body.field("role", role);
        block::write_content(&message.parts, message.shape, body, block::write);
        body.ext(&message.ext);
    });
}

fn write_tool(tool: &Tool, out: &mut Vec<u8>) {
    match &tool.kind {
        ToolKind::Opaque { raw, .. } => out.extend_from_slice(raw.get().as_bytes()),
        ToolKind::Function { name, description, parameters, strict } => json::object(out, |body| {
            body.field("name", name);
            body.optional("description", description);
            body.optional("input_schema", parameters);
            body.optional("strict", strict);
            body.ext(&tool.ext);
        }),
    }
}

fn write_tool_choice(choice: &ToolChoice, parallel: Option<bool>, body: &mut ObjectWriter<'_>) {
    body.object("tool_choice", |body| {
        let type_name = match choice {
            ToolChoice::Auto => "auto",
            ToolChoice::None => "none",
            ToolChoice::Required => "any",
            ToolChoice::Tool(_) => "tool",
            ToolChoice::Allowed { required, .. } => {
                if *required {
                    "any"
                } else {
                    "auto"
                }
            }
        };
        body.field("type", type_name);
        if let ToolChoice::Tool(name) = choice {
            body.field("name", name);
        }
        body.optional("disable_parallel_tool_use", &parallel.map(|parallel| !parallel));
    });
}

fn write_thinking(reasoning: &ReasoningRequest, body: &mut ObjectWriter<'_>) {
    let budget = reasoning.budget.filter(|budget| *budget >= 0);
    if budget.is_none() && reasoning.ext.is_empty() {
        return;
    }
    body.object("thinking", |body| {
        if reasoning.ext.get("type").is_none() {
            body.field("type", "enabled");
        }
        body.optional("budget_tokens", &budget);
        body.ext(&reasoning.ext);
    });
}

fn write_output(request: &Request, body: &mut ObjectWriter<'_>) {
    let effort = request.reasoning.as_ref().and_then(|reasoning| reasoning.effort).and_then(effort_word);
    let schema = match &request.output {
        Some(OutputFormat::Schema { schema, .. }) => Some(schema.as_ref()),
        Some(OutputFormat::Text | OutputFormat::Json) | None => None,
    };
    let older = split_rest(request, "output_format");
    if let Some(older) = older {
        body.object("output_format", |body| {
            write_rest(older, body);
            if let Some(schema) = schema {
                body.raw("schema", schema);
            }
        });
    }
    let schema = schema.filter(|_| older.is_none());
    write_output_config(effort, schema, split_rest(request, "output_config"), body);
}

pub(super) fn write_output_config(
    effort: Option<&str>,
    schema: Option<&RawValue>,
    rest: Option<&RawValue>,
    body: &mut ObjectWriter<'_>,
) {
    if effort.is_none() && schema.is_none() && rest.is_none() {
        return;
    }
    body.object("output_config", |body| {
        body.optional("effort", &effort);
        if let Some(schema) = schema {
            body.object("format", |format| {
                format.field("type", "json_schema");
                format.raw("schema", schema);
            });
        }
        if let Some(rest) = rest {
            write_rest(rest, body);
        }
    });
}

pub(super) fn write_metadata(user: Option<&str>, rest: Option<&RawValue>, body: &mut ObjectWriter<'_>) {
    if user.is_none() && rest.is_none() {
        return;
    }
    body.object("metadata", |body| {
        body.optional("user_id", &user);
        if let Some(rest) = rest {
            write_rest(rest, body);
        }
    });
}

/// The members of `rest`, an object, or nothing where it is none.
fn write_rest(rest: &RawValue, body: &mut ObjectWriter<'_>) {
    if let Ok(rest) = Object::of(rest) {
        body.ext(&rest.rest());
    }
}

/// Anthropic's word for an effort; it has none for no thinking and for the least.
pub(super) fn effort_word(effort: ReasoningEffort) -> Option<&'static str> {
    (effort != ReasoningEffort::None).then(|| effort.max(ReasoningEffort::Low).word())
}
