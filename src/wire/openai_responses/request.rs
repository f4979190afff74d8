//! Requests, read into the hub.

use serde_json::value::RawValue;

use super::item::{self, message};
use super::{SELF, note, peek};
use crate::wire::ir::{
    ContentShape, Error, MaxTokens, Message, OutputFormat, Part, ReasoningEffort, ReasoningRequest, Request, Role,
    Sampling, Text, Tool, ToolChoice, ToolKind,
};
use crate::wire::json::{self, Ext, JsonError, Kind, Object};

/// # Errors
/// A request that is not one, with the offending member in `param`.
/// What `include` says where an answer is to tell how likely its pieces were.
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";

pub(super) fn decode(body: &[u8]) -> Result<Request, Error> {
    let model = peek::envelope(body)?.model.into_owned();
    let text = json::utf8(body)?;
    let mut request = Object::parse(text)?;
    request.take("model");
    let messages = messages(&mut request)?;
    let stream = request.bool("stream")?;
    let tools = request.array("tools")?;
    let tools = tools.map(|tools| tools.into_iter().enumerate().map(tool).collect::<Result<_, _>>()).transpose()?;
    let tool_choice = request.get("tool_choice").and_then(choice);
    if tool_choice.is_some() {
        request.take("tool_choice");
    }
    let max_tokens = request.u64("max_output_tokens")?;
    let sampling = Sampling {
        max_tokens: max_tokens.map(|value| MaxTokens { value, spelling: Default::default() }),
        temperature: request.number("temperature")?,
        top_p: request.number("top_p")?,
        logprobs: request.get("include").is_some_and(|raw| raw.get().contains(LOGPROBS)).then_some(true),
        top_logprobs: request.u64("top_logprobs")?,
        ..Sampling::default()
    };
    let reasoning = request.get("reasoning").and_then(reasoning);
    if reasoning.is_some() {
        request.take("reasoning");
    }
    let parallel_tool_calls = request.bool("parallel_tool_calls")?;
    let user = request.string("user")?;
    let given = request.get("metadata").is_some_and(|raw| json::kind(raw) != Kind::Null);
    let metadata = if given { request.take("metadata").map(ToOwned::to_owned) } else { None };
    let mut kept = Ext::default();
    let output = output(&mut request, &mut kept);
    let mut ext = request.rest();
    ext.0.append(&mut kept.0);
    Ok(Request {
        origin: SELF,
        model,
        stream: stream.unwrap_or(false),
        stream_given: stream.is_some(),
        include_usage: None,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        sampling,
        reasoning,
        output,
        user,
        metadata,
        ext,
    })
}

/// `instructions`, then `input`: a text, or items.
fn messages(request: &mut Object<'_>) -> Result<Vec<Message>, Error> {
    let mut messages = Vec::new();
    if request.get("instructions").is_some_and(|raw| json::kind(raw) == Kind::String) {
        let text = request.string("instructions")?.unwrap_or_default();
        let mut system = message(Role::System, vec![Part::Text(Text::new(text))], ContentShape::Text);
        note::add(&mut system.ext, "#instructions", "true");
        messages.push(system);
    }
    match request.get("input").map(json::kind) {
        Some(Kind::String) => {
            let text = request.string("input")?.unwrap_or_default();
            let mut user = message(Role::User, vec![Part::Text(Text::new(text))], ContentShape::Text);
            note::add(&mut user.ext, "#input", "true");
            messages.push(user);
        }
        Some(Kind::Array) => item::decode_input(request.array("input")?.unwrap_or_default(), &mut messages)?,
        // A stored prompt or an earlier answer may be all there is.
        Some(Kind::Null) | None => {}
        Some(Kind::Bool | Kind::Number | Kind::Object) => {
            return Err(JsonError::Type { key: "input".to_owned(), expected: "a string or a list of items" }.into());
        }
    }
    Ok(messages)
}

fn tool((at, raw): (usize, &RawValue)) -> Result<Tool, Error> {
    let path = format!("tools[{at}]");
    let fault = |error: JsonError| Error::at_path(error, &path);
    let mut tool = Object::of(raw).map_err(fault)?;
    let kind = tool.string("type").map_err(fault)?.unwrap_or_default();
    if kind == "custom"
        && let Some(tool) = freeform(raw)
    {
        return Ok(tool);
    }
    if kind != "function" {
        let name = tool.string("name").ok().flatten().unwrap_or(kind);
        return Ok(Tool { kind: ToolKind::Opaque { origin: SELF, name, raw: raw.to_owned() }, ext: Ext::default() });
    }
    let name = tool.string("name").map_err(fault)?;
    let name = name.ok_or_else(|| fault(JsonError::Missing { key: "name".to_owned() }))?;
    let description = tool.string("description").map_err(fault)?;
    let given = tool.get("parameters").is_some_and(|raw| json::kind(raw) != Kind::Null);
    let parameters = if given { tool.take("parameters").map(ToOwned::to_owned) } else { None };
    let strict = tool.bool("strict").map_err(fault)?;
    Ok(Tool { kind: ToolKind::Function { name, description, parameters, strict }, ext: tool.rest() })
}

/// A tool whose input is any text. Other protocols have only functions: there it is one with a text for its argument, and
/// a grammar, which they cannot enforce, is told to the model.
fn freeform(raw: &RawValue) -> Option<Tool> {
    let mut tool = Object::of(raw).ok()?;
    tool.take("type");
    let name = tool.string("name").ok()??;
    let mut description = tool.string("description").ok()?;
    let mut ext = Ext::default();
    let format = tool.take("format").filter(|raw| !json::says_nothing(raw));
    let mut format_of = format.and_then(|raw| Object::of(raw).ok());
    let word = |object: &mut Option<Object<'_>>, key: &str| object.as_mut()?.string(key).ok()?;
    if word(&mut format_of, "type").is_some_and(|kind| kind != "text") {
        let syntax = word(&mut format_of, "syntax").unwrap_or_default();
        let grammar = word(&mut format_of, "definition")?;
        let told = format!("`input` must follow this {syntax} grammar:\n{grammar}");
        description = Some(description.map_or_else(|| told.clone(), |text| format!("{text}\n\n{told}")));
        ext.0.extend(format.map(|format| ("format".to_owned(), format.to_owned())));
    }
    ext.0.extend(tool.rest().0);
    ext.0.push(("#custom".to_owned(), raw.to_owned()));
    let parameters = json::raw(FREEFORM);
    Some(Tool { kind: ToolKind::Function { name, description, parameters, strict: None }, ext })
}

/// The schema of a freeform tool's arguments.
const FREEFORM: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

/// A choice that nobody modelled (a built-in tool's) is `None` and stays.
fn choice(raw: &RawValue) -> Option<ToolChoice> {
    if json::kind(raw) == Kind::String {
        return match &*json::str_of(raw)? {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            "required" => Some(ToolChoice::Required),
            _ => None,
        };
    }
    let mut object = Object::of(raw).ok()?;
    match object.string("type").ok()??.as_str() {
        "function" | "custom" => object.string("name").ok()?.map(ToolChoice::Tool),
        "allowed_tools" => {
            let required = match object.string("mode").ok()??.as_str() {
                "auto" => false,
                "required" => true,
                _ => return None,
            };
            let names = object.array("tools").ok()??.into_iter().map(function_name);
            Some(ToolChoice::Allowed { names: names.collect::<Option<_>>()?, required })
        }
        _ => None,
    }
}

fn function_name(raw: &RawValue) -> Option<String> {
    let mut tool = Object::of(raw).ok()?;
    if !matches!(tool.string("type").ok()?.as_deref(), Some("function" | "custom")) {
        return None;
    }
    tool.string("name").ok()?
}

/// `None` where the effort is a word that nobody knows: the member stays.
fn reasoning(raw: &RawValue) -> Option<ReasoningRequest> {
    let mut object = Object::of(raw).ok()?;
    let effort = match object.string("effort").ok()? {
        Some(word) => Some(ReasoningEffort::from_word(&word)?),
        None => None,
    };
    let summary = object.get("summary").is_some_and(|raw| json::kind(raw) == Kind::String);
    let summary = if summary { object.take("summary").map(ToOwned::to_owned) } else { None };
    let include = summary.as_ref().map(|_| true);
    let mut ext = object.rest();
    ext.0.extend(summary.map(|summary| ("#summary".to_owned(), summary)));
    Some(ReasoningRequest { effort, budget: None, include, ext })
}

/// Takes `text.format` where it is one that the hub models; other members of `text` are kept.
fn output(request: &mut Object<'_>, kept: &mut Ext) -> Option<OutputFormat> {
    let mut text = Object::of(request.get("text")?).ok()?;
    let mut format = Object::of(text.take("format")?).ok()?;
    let output = match format.string("type").ok()??.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => OutputFormat::Json,
        "json_schema" => OutputFormat::Schema {
            name: format.string("name").ok()?,
            description: format.string("description").ok()?,
            schema: format.take("schema").filter(|raw| json::kind(raw) == Kind::Object)?.to_owned(),
            strict: format.bool("strict").ok()?,
        },
        _ => return None,
    };
    note::add(kept, "#format", &note::object_text(&format.rest()));
    let rest = text.rest();
    if !rest.is_empty() {
        note::add(kept, "text", &note::object_text(&rest));
    }
    request.take("text");
    Some(output)
}

/// A request that leans on what OpenAI keeps can only go to the upstream that keeps it.
///
/// # Errors
/// `previous_response_id`, `conversation` or `background`, in OpenAI's words.
pub(super) fn refuse_state(request: &Request) -> Result<(), Error> {
    let asks = |key: &str| request.ext.get(key).filter(|raw| !matches!(raw.get(), "null" | "false"));
    if let Some(id) = asks("previous_response_id") {
        let id = json::str_of(id).unwrap_or_default();
        let message = format!("Previous response with id '{id}' not found; send the whole conversation as `input`");
        return Err(Error::invalid(message)
            .with_code("previous_response_not_found")
            .with_param("previous_response_id"));
    }
    for (key, instead) in [
        ("conversation", "send the whole conversation as `input`"),
        ("background", "leave it out, or stream the answer"),
        ("prompt", "send the prompt's text as `instructions` and `input`"),
    ] {
        if asks(key).is_some() {
            let message = format!("`{key}` works only where the target itself speaks OpenAI Responses; {instead}");
            return Err(Error::invalid(message).with_code("unsupported_parameter").with_param(key));
        }
    }
    Ok(())
}
