//! A request of another protocol, as Anthropic takes it.

use serde_json::Number;
use serde_json::value::RawValue;

use super::super::SELF;
use super::super::legal;
use super::super::model::{self, Traits};
use super::arrange::{self, Conversation, Turn, carried};
use super::encode::{write_metadata, write_output_config};
use super::thinking::{self, Circumstances, Thinking};
use crate::wire::Destination;
use crate::wire::ir::{Error, OutputFormat, Request, Sampling, Tool, ToolChoice, ToolKind};
use crate::wire::json::{self, ObjectWriter};
use crate::wire::loss::Losses;

/// Writes `request`, which came in another protocol.
///
/// # Errors
/// Content that Anthropic does not take.
pub(super) fn write(
    request: &Request,
    destination: &Destination<'_>,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let conversation = arrange::arrange(request, losses)?;
    let traits = model::traits(destination.model);
    let tools = offered_tools(request, losses);
    let choice = if tools.is_empty() { None } else { choice(request, traits, losses) };
    let circumstances = Circumstances {
        forced_call: matches!(choice, Some(Choice { type_name: "any" | "tool", .. })),
        continues_without_thoughts: conversation.continues_without_thoughts(),
    };
    let (max_tokens, thinking) = thinking::plan(request, destination, traits, &circumstances, losses);
    let schema = schema(request, losses);
    report_rest(request, losses);
    json::object(out, |body| {
        body.field("model", destination.model);
        body.field("max_tokens", &max_tokens);
        write_system(&conversation, body);
        body.array("messages", &conversation.turns, Turn::write);
        if !tools.is_empty() {
            body.array("tools", tools, write_tool);
        }
        if let Some(choice) = choice {
            choice.write(body);
        }
        write_sampling(&request.sampling, traits, thinking, body, losses);
        let effort = write_thinking(thinking, body);
        write_output_config(effort, schema, None, body);
        write_metadata(request.user.as_deref(), None, body);
        if request.stream {
            body.field("stream", &true);
        }
    });
    Ok(())
}

fn write_system(conversation: &Conversation<'_>, body: &mut ObjectWriter<'_>) {
    match conversation.system.as_slice() {
        [] => {}
        [text] if carried(&text.ext).is_empty() => body.field("system", &text.text),
        texts => {
            let texts = texts.iter().map(|text| (text.text.as_str(), carried(&text.ext)));
            body.array("system", texts, |(text, ext), out| super::super::block::write_text(text, &ext, out));
        }
    }
}

// === tools ===

fn offered_tools<'a>(request: &'a Request, losses: &mut Losses) -> Vec<&'a Tool> {
    let allowed = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Tool(_)) | None => None,
    };
    if allowed.is_some() {
        losses.emulated("tool_choice", "only the allowed tools are offered");
    }
    let mut offered = Vec::new();
    for tool in request.tools.iter().flatten() {
        let name = match &tool.kind {
            ToolKind::Function { name, .. } => name,
            // A raw tool that the caller brought for upstreams of this very protocol.
            ToolKind::Opaque { origin: SELF, .. } => {
                offered.push(tool);
                continue;
            }
            ToolKind::Opaque { name, .. } => {
                losses.dropped_tool(name, "a tool that another provider runs has no counterpart in Anthropic Messages");
                continue;
            }
        };
        if allowed.is_some_and(|allowed| !allowed.contains(name)) {
            continue;
        }
        report_tool(name, tool, losses);
        offered.push(tool);
    }
    offered
}

fn report_tool(name: &str, tool: &Tool, losses: &mut Losses) {
    if legal::name(name) != name {
        if legal::is_restorable(name) {
            losses.emulated(
                "tools.name",
                "characters that Anthropic does not allow are escaped, and restored in the answer",
            );
        } else {
            losses.degraded("tools.name", "the name is too long for Anthropic and is cut");
        }
    }
    losses.dropped_ext("tools.", &arrange::uncarried(&tool.ext));
}

fn write_tool(tool: &Tool, out: &mut Vec<u8>) {
    let (name, description, parameters, strict) = match &tool.kind {
        ToolKind::Function { name, description, parameters, strict } => (name, description, parameters, strict),
        ToolKind::Opaque { raw, .. } => return out.extend_from_slice(raw.get().as_bytes()),
    };
    json::object(out, |body| {
        body.field("name", &legal::name(name));
        body.optional("description", description);
        match parameters.as_deref().filter(|schema| json::kind(schema) == json::Kind::Object) {
            Some(schema) => write_schema(schema, body),
            None => body.key("input_schema").extend_from_slice(br#"{"type":"object","properties":{}}"#),
        }
        body.optional("strict", &strict.filter(|strict| *strict));
        body.ext(&carried(&tool.ext));
    });
}

/// The caller's schema, byte for byte; one that leaves out that arguments are an object, as OpenAI allows, gets it said,
/// because Anthropic requires it.
fn write_schema(schema: &RawValue, body: &mut ObjectWriter<'_>) {
    match json::Object::of(schema) {
        Ok(members) if members.get("type").is_none() => body.object("input_schema", |object| {
            object.field("type", "object");
            object.ext(&members.rest());
        }),
        Ok(_) | Err(_) => body.raw("input_schema", schema),
    }
}

struct Choice<'a> {
    type_name: &'static str,
    name: Option<&'a str>,
    sequential: bool,
}

fn choice<'a>(request: &'a Request, traits: Traits, losses: &mut Losses) -> Option<Choice<'a>> {
    let sequential = request.parallel_tool_calls == Some(false);
    let (type_name, name) = match &request.tool_choice {
        None if sequential => ("auto", None),
        None => return None,
        Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Tool(name)) => ("tool", Some(name.as_str())),
        Some(ToolChoice::Allowed { required, .. }) => (if *required { "any" } else { "auto" }, None),
    };
    if matches!(type_name, "any" | "tool") && !traits.forced_calls {
        losses.degraded("tool_choice", "this model cannot be forced to call a tool; the choice is its own");
        return Some(Choice { type_name: "auto", name: None, sequential });
    }
    if name.is_some_and(|name| legal::name(name) != name) {
        losses.emulated("tool_choice", "the tool's name is escaped as in `tools`");
    }
    Some(Choice { type_name, name, sequential: sequential && type_name != "none" })
}

impl Choice<'_> {
    fn write(&self, body: &mut ObjectWriter<'_>) {
        body.object("tool_choice", |body| {
            body.field("type", self.type_name);
            body.optional("name", &self.name.map(legal::name));
            if self.sequential {
                body.field("disable_parallel_tool_use", &true);
            }
        });
    }
}

// === sampling and thinking ===

fn write_sampling(
    sampling: &Sampling,
    traits: Traits,
    thinking: Thinking,
    body: &mut ObjectWriter<'_>,
    losses: &mut Losses,
) {
    let mut temperature = sampling.temperature.clone().map(|given| clamped(given, losses));
    let (mut top_p, mut top_k) = (sampling.top_p.clone(), sampling.top_k.clone());
    if thinking.is_on() || traits.adaptive_only {
        let reason = "this model takes none, or none while it thinks";
        leave_out("temperature", &mut temperature, reason, losses);
        leave_out("top_p", &mut top_p, reason, losses);
        leave_out("top_k", &mut top_k, reason, losses);
    } else if traits.one_sampler && temperature.is_some() {
        leave_out("top_p", &mut top_p, "this model takes either `temperature` or `top_p`", losses);
    }
    body.optional("temperature", &temperature);
    body.optional("top_p", &top_p);
    body.optional("top_k", &top_k);
    if let Some(stop) = &sampling.stop {
        let texts: Vec<&String> = stop.iter().filter(|text| !text.trim().is_empty()).collect();
        if texts.len() < stop.len() {
            losses.dropped("stop", "Anthropic refuses a stop text of white space only");
        }
        if !texts.is_empty() {
            body.field("stop_sequences", &texts);
        }
    }
}

/// Anthropic's temperature ends at 1.
fn clamped(given: Number, losses: &mut Losses) -> Number {
    if given.as_f64().is_some_and(|value| value > 1.0) {
        losses.degraded("temperature", "Anthropic's temperature ends at 1");
        return Number::from(1);
    }
    given
}

/// A temperature or a `top_p` of 1 is what the model does by itself: leaving it out loses nothing.
fn leave_out(member: &'static str, value: &mut Option<Number>, reason: &'static str, losses: &mut Losses) {
    let has_effect = |value: &Number| member == "top_k" || value.as_f64() != Some(1.0);
    if value.take().is_some_and(|value| has_effect(&value)) {
        losses.dropped(member, reason);
    }
}

/// Writes `thinking`; the effort goes to `output_config`.
fn write_thinking(thinking: Thinking, body: &mut ObjectWriter<'_>) -> Option<&'static str> {
    match thinking {
        Thinking::Unsaid => None,
        Thinking::Disabled => {
            body.object("thinking", |body| body.field("type", "disabled"));
            None
        }
        Thinking::Budget(budget) => {
            body.object("thinking", |body| {
                body.field("type", "enabled");
                body.field("budget_tokens", &budget);
            });
            None
        }
        Thinking::Adaptive { effort, shown } => {
            body.object("thinking", |body| {
                body.field("type", "adaptive");
                if let Some(shown) = shown {
                    body.field("display", if shown { "summarized" } else { "omitted" });
                }
            });
            effort
        }
    }
}

// === output ===

/// The schema of the answer. That this model has a member for it, and that it is in Anthropic's dialect, is settled before
/// (`wire::structured`).
fn schema<'a>(request: &'a Request, losses: &mut Losses) -> Option<&'a RawValue> {
    match &request.output {
        None | Some(OutputFormat::Text) => None,
        Some(OutputFormat::Json) => {
            losses.dropped("response_format", "Anthropic has no JSON mode");
            None
        }
        Some(OutputFormat::Schema { name, description, schema, strict }) => {
            if name.is_some() {
                losses.emulated("response_format.json_schema.name", "a label for the provider, not for the model");
            }
            if description.is_some() {
                losses.dropped("response_format.json_schema.description", "Anthropic takes the schema alone");
            }
            if *strict == Some(false) {
                losses.dropped("response_format.json_schema.strict", "Anthropic always keeps to the schema");
            }
            Some(schema)
        }
    }
}

// === what cannot be carried ===

fn report_rest(request: &Request, losses: &mut Losses) {
    let sampling = &request.sampling;
    let absent = "Anthropic Messages has no such member";
    for (member, given) in [
        ("seed", sampling.seed.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.as_ref().is_some_and(is_not_zero)),
        ("presence_penalty", sampling.presence_penalty.as_ref().is_some_and(is_not_zero)),
        ("n", sampling.candidates.is_some_and(|count| count != 1)),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", sampling.top_logprobs.is_some_and(|count| count > 0)),
        ("metadata", request.metadata.is_some()),
    ] {
        if given {
            losses.dropped(member, absent);
        }
    }
    losses.dropped_ext("", &request.ext);
}

fn is_not_zero(number: &Number) -> bool {
    number.as_f64() != Some(0.0)
}
