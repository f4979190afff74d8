//! Requests in OpenAI's form, read.

use serde_json::value::RawValue;

use super::{block, params};
use crate::wire::ProtocolId;
use crate::wire::ir::{Error, Message, OutputFormat, Part, Request, Role, Text, Tool, ToolChoice, ToolKind};
use crate::wire::json::{self, Ext, JsonError, Kind, Object};

/// # Errors
/// A request that is not of this form, with the offending member.
pub(super) fn decode(body: &[u8]) -> Result<Request, Error> {
    let text = json::utf8(body)?;
    let mut members = Object::parse(text)?;
    let model = members.string("model")?.ok_or_else(|| missing("model"))?;
    let stream = members.bool("stream")?.unwrap_or_default();
    let mut request = params::empty(model, stream);
    let messages = members.array("messages")?.ok_or_else(|| missing("messages"))?;
    request.messages = conversation(&messages)?;
    if members.u64("n")?.is_some_and(|n| n != 1) {
        return Err(Error::invalid("one answer can be asked for at a time; leave `n` out").with_param("n"));
    }
    params::read(&mut members, "stop", &mut request)?;
    if let Some(limit) = members.u64("max_completion_tokens")? {
        params::limited(limit, &mut request);
    }
    request.parallel_tool_calls = members.bool("parallel_tool_calls")?;
    if let Some(tools) = members.array("tools")? {
        request.tools = Some(tools.into_iter().enumerate().map(|(at, raw)| tool(raw, at)).collect::<Result<_, _>>()?);
    }
    request.tool_choice = members.get("tool_choice").map(choice).transpose()?.flatten();
    if let Some(format) = members.object("response_format")? {
        request.output = output(format)?;
    }
    if let Some(own) = members.object("tensorzero::params")? {
        let schema = match &request.output {
            Some(OutputFormat::Schema { schema, .. }) => Some(schema.clone()),
            Some(OutputFormat::Text | OutputFormat::Json) | None => None,
        };
        params::read_params(own, schema.as_deref(), &mut request)?;
    }
    Ok(request)
}

fn missing(key: &str) -> JsonError {
    JsonError::Missing { key: key.to_owned() }
}

/// System texts first, as one; then the turns.
fn conversation(elements: &[&RawValue]) -> Result<Vec<Message>, Error> {
    let (mut system, mut turns, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for (at, raw) in elements.iter().enumerate() {
        let path = format!("messages[{at}]");
        let fault = |error: JsonError| Error::at_path(error, &path);
        let mut message = Object::of(raw).map_err(fault)?;
        let role = message.string("role").map_err(fault)?.ok_or_else(|| fault(missing("role")))?;
        match role.as_str() {
            "system" | "developer" => system.extend(content(&mut message, Role::System, &path)?),
            "user" => turns.push(block::turn(Role::User, content(&mut message, Role::User, &path)?)),
            "assistant" => {
                let parts = assistant(&mut message, &path)?;
                calls.extend(parts.iter().filter_map(call_id));
                turns.extend((!parts.is_empty()).then(|| block::turn(Role::Assistant, parts)));
            }
            "tool" => turns.push(result(message, &path, &calls)?),
            other => {
                let message = format!(
                    "`{path}.role` is `{other}`; it must be `system`, `developer`, `user`, `assistant` or `tool`"
                );
                return Err(Error::invalid(message).with_param(format!("{path}.role")));
            }
        }
    }
    let system = block::system(system);
    Ok(system.into_iter().chain(turns).collect())
}

fn call_id(part: &Part) -> Option<String> {
    match part {
        Part::ToolCall(call) => call.id.clone(),
        _ => None,
    }
}

/// A string, or a list of blocks; nothing else says something.
fn content(message: &mut Object<'_>, role: Role, path: &str) -> Result<Vec<Part>, Error> {
    let Some(raw) = message.take("content") else { return Ok(Vec::new()) };
    match json::kind(raw) {
        Kind::Null => Ok(Vec::new()),
        Kind::String => Ok(vec![Part::Text(Text::new(json::str_of(raw).unwrap_or_default()))]),
        Kind::Array => {
            let elements = json::elements(raw, "content")?.into_iter().enumerate();
            elements.map(|(at, raw)| block::chat(raw, role, &format!("{path}.content[{at}]"))).collect()
        }
        Kind::Bool | Kind::Number | Kind::Object => {
            let message = format!("`{path}.content` must be a string or a list of blocks");
            Err(Error::invalid(message).with_param(format!("{path}.content")))
        }
    }
}

fn assistant(message: &mut Object<'_>, path: &str) -> Result<Vec<Part>, Error> {
    let fault = |error: JsonError| Error::at_path(error, path);
    let mut parts = content(message, Role::Assistant, path)?;
    for raw in message.array("tool_calls").map_err(fault)?.unwrap_or_default() {
        parts.push(block::chat_call(raw, path)?);
    }
    // Each says before which of the others it stood.
    let mut extra = Vec::new();
    for raw in message.array("tensorzero_extra_content").map_err(fault)?.unwrap_or_default() {
        extra.extend(block::extra(raw, path)?);
    }
    let (placed, loose): (Vec<_>, Vec<_>) = extra.into_iter().partition(|(at, _)| at.is_some());
    for (at, part) in placed {
        parts.insert(at.unwrap_or_default().min(parts.len()), part);
    }
    parts.extend(loose.into_iter().map(|(_, part)| part));
    Ok(parts)
}

fn result(mut message: Object<'_>, path: &str, calls: &[String]) -> Result<Message, Error> {
    let fault = |error: JsonError| Error::at_path(error, path);
    let id = message.string("tool_call_id").map_err(fault)?.ok_or_else(|| fault(missing("tool_call_id")))?;
    if !calls.contains(&id) {
        let message = format!("`{path}.tool_call_id` is `{id}`, which no tool call before it has");
        return Err(Error::invalid(message).with_param(format!("{path}.tool_call_id")));
    }
    Ok(block::result(Some(id), None, content(&mut message, Role::Tool, path)?))
}

/// A function, or a tool of OpenAI's own kind `custom`, which only its upstreams take.
fn tool(raw: &RawValue, at: usize) -> Result<Tool, Error> {
    let path = format!("tools[{at}]");
    let fault = |error: JsonError| Error::at_path(error, &path);
    let mut tool = Object::of(raw).map_err(fault)?;
    match tool.string("type").map_err(fault)?.as_deref() {
        Some("function") => {
            let function = tool.object("function").map_err(fault)?.ok_or_else(|| fault(missing("function")))?;
            let outer = tool.bool("strict").map_err(fault)?;
            let mut tool = block::tool(function).map_err(fault)?;
            if let ToolKind::Function { strict, .. } = &mut tool.kind {
                *strict = strict.or(outer).filter(|strict| *strict);
            }
            Ok(tool)
        }
        Some("custom") => {
            let inner = tool.object("custom").map_err(fault)?.ok_or_else(|| fault(missing("custom")))?;
            let name = inner.get("name").and_then(json::str_of).ok_or_else(|| fault(missing("custom.name")))?;
            let kind =
                ToolKind::Opaque { origin: ProtocolId::OpenAiChat, name: name.into_owned(), raw: raw.to_owned() };
            Ok(Tool { kind, ext: Ext::default() })
        }
        _ => Err(Error::invalid(format!("`{path}.type` must be `function` or `custom`"))),
    }
}

fn choice(raw: &RawValue) -> Result<Option<ToolChoice>, Error> {
    let wrong = || Error::invalid("`tool_choice` is none that is known").with_param("tool_choice");
    if json::kind(raw) == Kind::Null {
        return Ok(None);
    }
    if let Some(word) = json::str_of(raw) {
        return match &*word {
            "none" => Ok(Some(ToolChoice::None)),
            "auto" => Ok(Some(ToolChoice::Auto)),
            "required" => Ok(Some(ToolChoice::Required)),
            _ => Err(wrong()),
        };
    }
    let mut object = Object::of(raw).map_err(|_| wrong())?;
    match object.string("type")?.as_deref() {
        Some("function") => function_name(&mut object).map(|name| Some(ToolChoice::Tool(name))).ok_or_else(wrong),
        Some("allowed_tools") => {
            let mut inner = object.object("allowed_tools")?.ok_or_else(wrong)?;
            let required = inner.string("mode")?.as_deref() == Some("required");
            let tools = inner.array("tools")?.unwrap_or_default().into_iter();
            let names = tools.map(|raw| function_name(&mut Object::of(raw).ok()?)).collect::<Option<_>>();
            Ok(Some(ToolChoice::Allowed { names: names.ok_or_else(wrong)?, required }))
        }
        _ => Err(wrong()),
    }
}

fn function_name(object: &mut Object<'_>) -> Option<String> {
    object.object("function").ok()??.string("name").ok()?
}

fn output(mut format: Object<'_>) -> Result<Option<OutputFormat>, Error> {
    match format.string("type")?.as_deref() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(OutputFormat::Json)),
        Some("json_schema") => {
            let mut inner = format.object("json_schema")?.ok_or_else(|| missing("response_format.json_schema"))?;
            let schema = inner.take("schema").filter(|raw| json::kind(raw) != Kind::Null);
            let schema = schema.map_or_else(|| json::raw("{}"), |schema| Some(schema.to_owned()));
            Ok(schema.map(params::strict))
        }
        _ => Err(Error::invalid("`response_format.type` must be `text`, `json_object` or `json_schema`")
            .with_param("response_format.type")),
    }
}
