//! A request that came in this protocol, written back as it came.

use serde_json::value::RawValue;

use super::super::block;
use super::fields;
use crate::wire::ir::{Message, OutputFormat, Request, Role, Tool, ToolChoice, ToolKind};
use crate::wire::json::{self, Kind, ObjectWriter, kind};

/// Members of `ext` that are what is left of a member of the body that was read in part.
const PARTIAL: [&str; 4] = ["toolConfig", "inferenceConfig", "outputConfig", FIELDS];
const FIELDS: &str = "additionalModelRequestFields";

/// Writes the members that count as tokens.
pub(super) fn write_counted(request: &Request, body: &mut ObjectWriter<'_>) {
    let is_system = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
    let (system, turns): (Vec<_>, Vec<_>) = request.messages.iter().partition(is_system);
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
        let outer = effort_is_outer(request);
        let fields = fields::encode(rest, &request.sampling, request.reasoning.as_ref(), outer);
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
            config.optional("effort", &effort.map(fields::effort_word));
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
