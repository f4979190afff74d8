//! Requests, written for an upstream.

use super::{conversation, knob, nested, tools};
use crate::wire::ir::{MaxTokensSpelling, OutputFormat, Request, Sampling, StopShape, Tool, ToolKind};
use crate::wire::json::{self, ObjectWriter};
use crate::wire::loss::Losses;
use crate::wire::quirk::{MaxTokensMember, Quirks};
use crate::wire::{Destination, ProtocolId};

pub(super) fn encode(request: &Request, destination: &Destination<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
    let quirks = destination.quirks;
    let own = request.origin == ProtocolId::OpenAiChat;
    json::object(out, |writer| {
        let mut body = Body { writer, quirks, losses };
        body.field("model", destination.model);
        conversation::write(request, quirks, body.writer.key("messages"), body.losses);
        write_tools(request, own, &mut body);
        body.optional("parallel_tool_calls", &request.parallel_tool_calls);
        write_output(request, &mut body);
        write_sampling(&request.sampling, own, &mut body);
        knob::write(request, &mut body);
        if request.stream || request.stream_given {
            body.field("stream", &request.stream);
        }
        write_stream_options(request, own, &mut body);
        body.optional("user", &request.user);
        if let Some(metadata) = &request.metadata {
            body.write("metadata", |out| out.extend_from_slice(metadata.get().as_bytes()));
        }
        write_ext(request, own, &mut body);
    });
}

/// The members of the request's body, each written only where the upstream takes it.
pub(super) struct Body<'w, 'o, 'a> {
    writer: &'w mut ObjectWriter<'o>,
    pub(super) quirks: &'a Quirks,
    pub(super) losses: &'a mut Losses,
}

impl Body<'_, '_, '_> {
    pub(super) fn write(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        if self.quirks.refused_members.iter().any(|member| member == key) {
            self.losses.dropped(key.to_owned(), "this upstream refuses it");
        } else {
            value(self.writer.key(key));
        }
    }

    pub(super) fn field<T: serde::Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        self.write(key, |out| json::write(value, out));
    }

    pub(super) fn optional<T: serde::Serialize>(&mut self, key: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.field(key, value);
        }
    }
}

fn write_tools(request: &Request, own: bool, body: &mut Body<'_, '_, '_>) {
    let legacy = own && request.tools.as_deref().is_some_and(tools::are_legacy);
    match &request.tools {
        Some(list) if legacy => body.write("functions", |out| json::array(out, list, tools::write_own_legacy)),
        Some(list) if own => body.write("tools", |out| json::array(out, list, tools::write_own_tool)),
        Some(list) => write_foreign_tools(list, body),
        None => {}
    }
    let Some(choice) = &request.tool_choice else { return };
    if legacy {
        body.write("function_call", |out| tools::write_legacy_choice(choice, out));
    } else {
        let required = if body.quirks.tool_choice_any { "any" } else { "required" };
        body.write("tool_choice", |out| tools::write_choice(choice, required, out));
    }
}

fn write_foreign_tools(list: &[Tool], body: &mut Body<'_, '_, '_>) {
    let mut functions = Vec::new();
    for tool in list {
        match &tool.kind {
            ToolKind::Function { .. } => {
                body.losses.dropped_ext("tools.", &tool.ext);
                functions.push(&tool.kind);
            }
            ToolKind::Opaque { name, .. } => {
                body.losses.dropped_tool(name, "only the provider that runs this tool has it");
            }
        }
    }
    // OpenAI refuses an empty list.
    if functions.is_empty() {
        return;
    }
    body.write("tools", |out| {
        json::array(out, functions, |kind, out| {
            json::object(out, |tool| {
                tool.field("type", "function");
                tool.object("function", |function| tools::write_function(kind, function));
            });
        });
    });
}

fn write_output(request: &Request, body: &mut Body<'_, '_, '_>) {
    let Some(output) = &request.output else { return };
    let kind = match output {
        OutputFormat::Text => "text",
        OutputFormat::Json => "json_object",
        OutputFormat::Schema { .. } => "json_schema",
    };
    let kept = nested::object(&request.ext, "response_format").map(json::Object::rest).unwrap_or_default();
    let kept = if request.origin == ProtocolId::OpenAiChat { kept } else { json::Ext::default() };
    body.write("response_format", |out| {
        json::object(out, |format| {
            format.field("type", kind);
            if kind == "json_schema" {
                format.object("json_schema", |inner| write_schema(output, &kept, inner));
            }
            nested::write_rest(&kept, &["json_schema"], format);
        });
    });
}

fn write_schema(output: &OutputFormat, kept: &json::Ext, inner: &mut ObjectWriter<'_>) {
    if let OutputFormat::Schema { name, description, schema, strict } = output {
        // OpenAI requires a name; other protocols have none.
        inner.field("name", name.as_deref().unwrap_or("answer"));
        inner.optional("description", description);
        inner.raw("schema", schema);
        inner.optional("strict", strict);
        nested::write(kept, "json_schema", inner);
    }
}

fn write_sampling(sampling: &Sampling, own: bool, body: &mut Body<'_, '_, '_>) {
    let Sampling {
        max_tokens,
        temperature,
        top_p,
        top_k,
        stop,
        stop_shape,
        seed,
        frequency_penalty,
        presence_penalty,
        candidates,
        logprobs,
        top_logprobs,
    } = sampling;
    if let Some(limit) = max_tokens {
        let older = own && limit.spelling == MaxTokensSpelling::Deprecated;
        let member = match body.quirks.max_tokens {
            MaxTokensMember::MaxTokens => "max_tokens",
            MaxTokensMember::MaxCompletionTokens if older => "max_tokens",
            MaxTokensMember::MaxCompletionTokens => "max_completion_tokens",
        };
        body.field(member, &limit.value);
    }
    body.optional("temperature", temperature);
    body.optional("top_p", top_p);
    if own {
        body.optional("top_k", top_k);
    } else if top_k.is_some() {
        body.losses.dropped("top_k", "Chat Completions has no such member");
    }
    match (stop.as_deref(), stop_shape) {
        (Some([text]), StopShape::Text) => body.field("stop", text),
        (Some([]), _) if !own => {}
        (Some(texts), StopShape::Text | StopShape::List) => body.field("stop", texts),
        (None, _) => {}
    }
    body.optional(if body.quirks.random_seed { "random_seed" } else { "seed" }, seed);
    body.optional("frequency_penalty", frequency_penalty);
    body.optional("presence_penalty", presence_penalty);
    body.optional("n", candidates);
    // Alternatives are refused where the pieces themselves were not asked for.
    let asked = if own { *logprobs } else { logprobs.or(sampling.wants_logprobs().then_some(true)) };
    body.optional("logprobs", &asked);
    body.optional("top_logprobs", top_logprobs);
}

/// A translated stream asks for usage, which the gateway meters; the caller's own wish decides what it is shown.
fn write_stream_options(request: &Request, own: bool, body: &mut Body<'_, '_, '_>) {
    let kept = nested::object(&request.ext, "stream_options").filter(|_| own);
    let include = if own { request.include_usage } else { Some(true).filter(|_| request.stream) };
    if include.is_none() && kept.is_none() {
        return;
    }
    if body.quirks.no_stream_options {
        if own {
            body.losses.dropped("stream_options", "this upstream refuses it");
        }
        return;
    }
    body.write("stream_options", |out| {
        json::object(out, |options| {
            options.optional("include_usage", &include);
            if own {
                nested::write(&request.ext, "stream_options", options);
            }
        });
    });
}

fn write_ext(request: &Request, own: bool, body: &mut Body<'_, '_, '_>) {
    if !own {
        body.losses.dropped_ext("", &request.ext);
        return;
    }
    for (key, value) in &request.ext.0 {
        let written = match key.as_str() {
            "stream_options" => nested::object(&request.ext, key).is_some(),
            "response_format" => request.output.is_some(),
            _ => false,
        };
        if !written {
            body.write(key, |out| out.extend_from_slice(value.get().as_bytes()));
        }
    }
}
