//! A request that came in this protocol, written back as it came.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::block;
use super::super::model::Family;
use super::fields;
use crate::wire::ir::{Message, OutputFormat, ReasoningEffort, Request, Role, Tool, ToolChoice, ToolKind};
use crate::wire::json::{self, Kind, ObjectWriter, kind};
use crate::wire::loss::Losses;
use crate::wire::proof::unproven;

/// Members of `ext` that are what is left of a member of the body that was read in part.
const PARTIAL: [&str; 4] = ["toolConfig", "inferenceConfig", "outputConfig", FIELDS];
const FIELDS: &str = "additionalModelRequestFields";

/// What a request that goes through the hub says of earlier turns.
pub(super) struct History<'r> {
    messages: Vec<Cow<'r, Message>>,
    /// The turn to be continued forbids a thinking budget.
    must_not_think: bool,
}

impl<'r> History<'r> {
    /// Claude takes back only thoughts that it signed. What other models here think nobody signs.
    pub(super) fn of(request: &'r Request, family: Family, losses: &mut Losses) -> History<'r> {
        if !family.is_claude() && family != Family::Unknown {
            let messages = request.messages.iter().map(Cow::Borrowed).collect();
            return History { messages, must_not_think: false };
        }
        let thinks = request.reasoning.as_ref().is_some_and(|reasoning| reasoning.budget.is_some());
        let must_not_think = thinks && unproven::continues(&request.messages);
        if must_not_think {
            losses.dropped("additionalModelRequestFields.thinking", unproven::GOES_ON_WITHOUT);
        }
        let messages = unproven::left_out(&request.messages, "messages.content.reasoningContent", losses);
        History { messages, must_not_think }
    }
}

/// Writes the members that count as tokens.
pub(super) fn write_counted(request: &Request, history: &History<'_>, body: &mut ObjectWriter<'_>) {
    let is_system = |message: &&Cow<'_, Message>| matches!(message.role, Role::System | Role::Developer);
    let (system, turns): (Vec<_>, Vec<_>) = history.messages.iter().partition(is_system);
    if !system.is_empty() {
        block::write_all(system.iter().flat_map(|message| &message.parts), body.key("system"));
    }
    body.array("messages", turns, |turn, out| {
        json::object(out, |message| {
            message.field("role", if turn.role == Role::Assistant { "assistant" } else { "user" });
            block::write_all(&turn.parts, message.key("content"));
            message.ext(&turn.ext);
        });
    });
    write_tools(request, body);
    if let Some(rest) = request.ext.get(FIELDS) {
        let fields = match history.must_not_think {
            true => fields::encode_without_thinking(rest, &request.sampling),
            false => fields::encode(rest, &request.sampling, request.reasoning.as_ref(), effort_is_outer(request)),
        };
        body.key(FIELDS).extend_from_slice(fields.as_bytes());
    }
}

/// Writes the other members.
pub(super) fn write_options(request: &Request, body: &mut ObjectWriter<'_>) {
    let sampling = &request.sampling;
    let inference = request.ext.get("inferenceConfig");
    if inference.is_some()
        || sampling.max_tokens.is_some()
        || sampling.temperature.is_some()
        || sampling.top_p.is_some()
        || sampling.stop.is_some()
    {
        body.object("inferenceConfig", |config| {
            config.optional("maxTokens", &sampling.max_tokens.map(|limit| limit.value));
            config.optional("temperature", &sampling.temperature);
            config.optional("topP", &sampling.top_p);
            config.optional("stopSequences", &sampling.stop);
            write_rest(inference, config);
        });
    }
    write_output(request, body);
    if request.user.is_some() || request.metadata.is_some() {
        body.object("requestMetadata", |metadata| {
            write_rest(request.metadata.as_deref(), metadata);
            metadata.optional("user_id", &request.user);
        });
    }
    for (key, value) in request.ext.0.iter().filter(|(key, _)| !PARTIAL.contains(&key.as_str())) {
        body.raw(key, value);
    }
}

fn write_rest(rest: Option<&RawValue>, body: &mut ObjectWriter<'_>) {
    rest.iter().for_each(|rest| block::write_members(rest, body));
}

fn write_tools(request: &Request, body: &mut ObjectWriter<'_>) {
    let rest = request.ext.get("toolConfig");
    if request.tools.is_none() && request.tool_choice.is_none() && rest.is_none() {
        return;
    }
    body.object("toolConfig", |config| {
        if let Some(tools) = &request.tools {
            config.array("tools", tools, write_tool);
        }
        match &request.tool_choice {
            // Converse has no word for these, and so they never come from it.
            None | Some(ToolChoice::None | ToolChoice::Allowed { .. }) => {}
            Some(ToolChoice::Auto) => config.object("toolChoice", |choice| choice.object("auto", |_| {})),
            Some(ToolChoice::Required) => config.object("toolChoice", |choice| choice.object("any", |_| {})),
            Some(ToolChoice::Tool(name)) => {
                config.object("toolChoice", |choice| choice.object("tool", |tool| tool.field("name", name)));
            }
        }
        write_rest(rest, config);
    });
}

fn write_tool(tool: &Tool, out: &mut Vec<u8>) {
    let (name, description, parameters, strict) = match &tool.kind {
        ToolKind::Opaque { raw, .. } => return out.extend_from_slice(raw.get().as_bytes()),
        ToolKind::Function { name, description, parameters, strict } => (name, description, parameters, strict),
    };
    json::object(out, |element| {
        element.object("toolSpec", |spec| {
            spec.field("name", name);
            spec.optional("description", description);
            spec.object("inputSchema", |schema| parameters.iter().for_each(|json| schema.raw("json", json)));
            spec.optional("strict", strict);
            for (key, value) in tool.ext.0.iter().filter(|(key, _)| key != block::CACHE) {
                spec.raw(key, value);
            }
        });
    });
    if let Some(mark) = tool.ext.get(block::CACHE) {
        out.push(b',');
        block::write_cache_point(mark, out);
    }
}

/// Whether the effort stood in `outputConfig`, where a `null` keeps its place.
fn effort_is_outer(request: &Request) -> bool {
    let effort = request.ext.get("outputConfig").and_then(|rest| json::Object::of(rest).ok()?.get("effort"));
    effort.is_some_and(|effort| kind(effort) == Kind::Null)
}

fn write_output(request: &Request, body: &mut ObjectWriter<'_>) {
    let rest = request.ext.get("outputConfig");
    if rest.is_none() && request.output.is_none() {
        return;
    }
    let outer = effort_is_outer(request);
    body.object("outputConfig", |config| {
        if let Some(OutputFormat::Schema { name, description, schema, .. }) = &request.output {
            write_schema(name.as_deref(), description.as_deref(), schema, config);
        }
        let members = rest.and_then(|rest| json::Object::of(rest).ok());
        for member in members.iter().flat_map(json::Object::members).filter(|member| !outer || member.key != "effort") {
            config.raw(&member.key, member.value);
        }
        if outer {
            let effort = request.reasoning.as_ref().and_then(|reasoning| reasoning.effort);
            config.optional("effort", &effort.map(ReasoningEffort::word));
        }
    });
}

/// Writes `textFormat`.
pub(super) fn write_schema(
    name: Option<&str>,
    description: Option<&str>,
    schema: &RawValue,
    config: &mut ObjectWriter<'_>,
) {
    config.object("textFormat", |format| {
        format.field("type", "json_schema");
        format.object("structure", |structure| {
            structure.object("jsonSchema", |json| {
                json.optional("name", &name);
                json.optional("description", &description);
                json.field("schema", schema.get());
            });
        });
    });
}
