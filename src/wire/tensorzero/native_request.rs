//! Native requests, read.

use serde_json::value::RawValue;

use super::block::{self, Block};
use super::{call, params};
use crate::wire::ir::{Error, Message, Part, Request, Role, Text, ToolChoice};
use crate::wire::json::{self, JsonError, Kind, Object};

/// # Errors
/// A request that is not of this form, with the offending member.
pub(super) fn decode(body: &[u8]) -> Result<Request, Error> {
    let text = json::utf8(body)?;
    let mut members = Object::parse(text)?;
    let asked = |key: &str| members.get(key).map(RawValue::get);
    let model = call::asked_of_native(asked("function_name"), asked("model_name"))?.name();
    let stream = members.bool("stream")?.unwrap_or_default();
    let mut request = params::empty(model, stream);
    let input = members.object("input")?.ok_or_else(|| JsonError::Missing { key: "input".to_owned() })?;
    request.messages = conversation(input)?;
    request.parallel_tool_calls = members.bool("parallel_tool_calls")?;
    if let Some(tools) = members.array("additional_tools")? {
        let fault = |at: usize| move |error: JsonError| Error::at_path(error, &format!("additional_tools[{at}]"));
        let tools = tools.into_iter().enumerate();
        let tools = tools.map(|(at, raw)| Object::of(raw).and_then(block::tool).map_err(fault(at)));
        request.tools = Some(tools.collect::<Result<_, _>>()?);
    }
    request.tool_choice = members.get("tool_choice").map(choice).transpose()?.flatten();
    let schema = members.get("output_schema").filter(|raw| json::kind(raw) != Kind::Null);
    if let Some(own) = members.object("params")? {
        params::read_params(own, schema, &mut request)?;
    }
    Ok(request)
}

fn conversation(mut input: Object<'_>) -> Result<Vec<Message>, Error> {
    let system = match input.get("system").map(json::kind) {
        None | Some(Kind::Null) => None,
        Some(Kind::String) => input.string("system")?.map(|text| vec![Part::Text(Text::new(text))]),
        Some(Kind::Object) => {
            input.take("system").map(|arguments| vec![block::template(block::name_of(Role::System), arguments)])
        }
        Some(_) => {
            let expected = "a string or an object";
            return Err(JsonError::Type { key: "input.system".to_owned(), expected }.into());
        }
    };
    let mut messages: Vec<Message> = system.and_then(block::system).into_iter().collect();
    for (at, raw) in input.array("messages")?.unwrap_or_default().into_iter().enumerate() {
        turn(raw, &format!("input.messages[{at}]"), &mut messages)?;
    }
    if let Some(member) = input.members().iter().find(|member| !matches!(&*member.key, "system" | "messages")) {
        return Err(Error::invalid(format!("`input.{}` is not known", member.key)));
    }
    Ok(messages)
}

/// One message of the caller's is several here where it holds results of tools.
fn turn(raw: &RawValue, path: &str, messages: &mut Vec<Message>) -> Result<(), Error> {
    let fault = |error: JsonError| Error::at_path(error, path);
    let mut message = Object::of(raw).map_err(fault)?;
    let role = match message.string("role").map_err(fault)?.as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => {
            let message = format!("`{path}.role` must be `user` or `assistant`");
            return Err(Error::invalid(message).with_param(format!("{path}.role")));
        }
    };
    let content = message.get("content").ok_or_else(|| fault(JsonError::Missing { key: "content".to_owned() }))?;
    let mut parts = Vec::new();
    match json::kind(content) {
        Kind::String => parts.push(Part::Text(Text::new(json::str_of(content).unwrap_or_default()))),
        Kind::Array => {
            for (at, raw) in json::elements(content, "content")?.into_iter().enumerate() {
                match block::native(raw, role, &format!("{path}.content[{at}]"))? {
                    Some(Block::Part(part)) => parts.push(part),
                    Some(Block::Result(result)) => {
                        flush(role, &mut parts, messages);
                        messages.push(result);
                    }
                    None => {}
                }
            }
        }
        Kind::Object => parts.push(block::template(block::name_of(role), content)),
        Kind::Null | Kind::Bool | Kind::Number => {
            let message = format!("`{path}.content` must be a string, a list of blocks or an object");
            return Err(Error::invalid(message).with_param(format!("{path}.content")));
        }
    }
    flush(role, &mut parts, messages);
    Ok(())
}

fn flush(role: Role, parts: &mut Vec<Part>, messages: &mut Vec<Message>) {
    let parts = std::mem::take(parts);
    messages.extend((!parts.is_empty()).then(|| block::turn(role, parts)));
}

fn choice(raw: &RawValue) -> Result<Option<ToolChoice>, Error> {
    let wrong = || {
        Error::invalid("`tool_choice` must be `none`, `auto`, `required` or `{\"specific\": NAME}`")
            .with_param("tool_choice")
    };
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
    object.string("specific")?.map(|name| Some(ToolChoice::Tool(name))).ok_or_else(wrong)
}
