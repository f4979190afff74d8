//! Messages of a request, read.

use serde_json::value::RawValue;

use super::{content, details, nested, tools};
use crate::wire::ProtocolId;
use crate::wire::ir::{Error, Message, Part, Reasoning, Role, Signature, Text, ToolResult};
use crate::wire::json::{self, Ext, JsonError, Object, ObjectWriter};
use crate::wire::proof::{Read, Token};

/// The role of the results of the older `function_call`.
pub(super) const LEGACY_ROLE: &str = "function";

/// # Errors
/// A message of an unknown role, or one whose members have the wrong types; `param` says which.
pub(super) fn decode_all(elements: Vec<&RawValue>) -> Result<Vec<Message>, Error> {
    let each = |(at, raw): (usize, &RawValue)| decode(raw, &format!("messages[{at}]"));
    elements.into_iter().enumerate().map(each).collect()
}

fn decode(raw: &RawValue, path: &str) -> Result<Message, Error> {
    let mut message = Object::of(raw).map_err(|error| Error::at_path(error, path))?;
    let role = message.string("role").map_err(|error| Error::at_path(error, path))?;
    let role = role.ok_or_else(|| Error::at_path(JsonError::Missing { key: "role".to_owned() }, path))?;
    match role.as_str() {
        "system" => spoken(Role::System, message, path),
        "developer" => spoken(Role::Developer, message, path),
        "user" => spoken(Role::User, message, path),
        "assistant" => assistant(message, path),
        "tool" => result(message, path),
        LEGACY_ROLE => legacy_result(message, path),
        other => Err(Error::invalid(format!(
            "`{path}.role` is `{other}`; it must be `system`, `developer`, `user`, `assistant` or `tool`"
        ))
        .with_param(format!("{path}.role"))),
    }
}

fn spoken(role: Role, mut message: Object<'_>, path: &str) -> Result<Message, Error> {
    let (parts, shape) = content_of(&mut message, path)?;
    let name = message.string("name").map_err(|error| Error::at_path(error, path))?;
    Ok(Message { role, role_raw: None, parts, shape, name, ext: message.rest() })
}

fn assistant(mut message: Object<'_>, path: &str) -> Result<Message, Error> {
    let mut parts = Vec::new();
    take_proven(&mut message, &mut parts);
    decode_reasoning(&mut message, &mut parts);
    let (content, shape) = content_of(&mut message, path)?;
    parts.extend(content);
    decode_refusal(&mut message, &mut parts);
    tools::decode_calls(&mut message, &format!("{path}."), &mut parts)?;
    let name = message.string("name").map_err(|error| Error::at_path(error, path))?;
    Ok(Message { role: Role::Assistant, role_raw: None, parts, shape, name, ext: message.rest() })
}

fn result(mut message: Object<'_>, path: &str) -> Result<Message, Error> {
    let fault = |error| Error::at_path(error, path);
    let call_id = message.string("tool_call_id").map_err(fault)?;
    let call_id = call_id.ok_or_else(|| fault(JsonError::Missing { key: "tool_call_id".to_owned() }))?;
    tool_message(message, Some(call_id), None, path)
}

fn legacy_result(mut message: Object<'_>, path: &str) -> Result<Message, Error> {
    let name = message.string("name").map_err(|error| Error::at_path(error, path))?;
    let name = name.ok_or_else(|| Error::at_path(JsonError::Missing { key: "name".to_owned() }, path))?;
    let mut message = tool_message(message, None, Some(name), path)?;
    message.role_raw = Some(LEGACY_ROLE.to_owned());
    Ok(message)
}

fn tool_message(
    mut message: Object<'_>,
    call_id: Option<String>,
    name: Option<String>,
    path: &str,
) -> Result<Message, Error> {
    let (content, shape) = content_of(&mut message, path)?;
    let name = match name {
        Some(name) => Some(name),
        None => message.string("name").map_err(|error| Error::at_path(error, path))?,
    };
    let result = ToolResult { call_id, name, content, shape, is_error: None, ext: message.rest() };
    let parts = vec![Part::ToolResult(result)];
    Ok(Message { role: Role::Tool, role_raw: None, parts, shape, name: None, ext: Ext::default() })
}

fn content_of(message: &mut Object<'_>, path: &str) -> Result<(Vec<Part>, crate::wire::ir::ContentShape), Error> {
    content::decode(message).map_err(|error| match error.param {
        Some(ref param) => {
            let param = format!("{path}.{param}");
            Error::invalid(format!("`{param}` must be a string or a list of parts")).with_param(param)
        }
        None => error,
    })
}

/// Takes `refusal`, which stands beside the content.
pub(super) fn decode_refusal(message: &mut Object<'_>, parts: &mut Vec<Part>) {
    if let Some(text) = nonempty(message, "refusal") {
        let mut ext = Ext::default();
        nested::mark(&mut ext, "refusal");
        parts.push(Part::Refusal(Text { text, ext }));
    }
}

/// Takes what vendors have for reasoning: `reasoning_content` (DeepSeek, xAI, Moonshot, ...) or `reasoning` (OpenRouter,
/// Groq, Cerebras, Ollama, ...), and OpenRouter's `reasoning_details`. A second member with a text of its own stays.
pub(super) fn decode_reasoning(message: &mut Object<'_>, parts: &mut Vec<Part>) {
    let details = message.get(details::MEMBER).filter(|raw| json::count(raw) > 0).map(ToOwned::to_owned);
    let mut ext = Ext::default();
    let text = if let Some(text) = nonempty(message, "reasoning_content") {
        if details.is_some() {
            nested::mark(&mut ext, "reasoning_content");
        }
        text
    } else if let Some(text) = nonempty(message, "reasoning") {
        nested::mark(&mut ext, "reasoning");
        text
    } else if let Some(list) = &details {
        details::text(list)
    } else {
        return;
    };
    if let Some(list) = details {
        message.take(details::MEMBER);
        ext.0.push((details::MEMBER.to_owned(), list));
    }
    parts.push(Part::Reasoning(Reasoning { text, signature: None, redacted: None, ext }));
}

/// The mark of thoughts that came in `reasoning_details` of this gateway's own.
pub(super) const PROVEN: &str = "proven";

/// Writes thoughts and their proof as an element of `reasoning_details`, in OpenRouter's form, which clients send back.
pub(super) fn write_detail(index: usize, text: &str, proof: &Signature, detail: &mut ObjectWriter<'_>) {
    detail.field("type", "reasoning.text");
    detail.field("text", text);
    detail.field("signature", &proof.value);
    detail.field("index", &index);
}

/// Takes `reasoning_details` that [`write_detail`] wrote, and the members that repeat its text.
fn take_proven(message: &mut Object<'_>, parts: &mut Vec<Part>) {
    let list = message.get(details::MEMBER).and_then(|raw| json::elements(raw, details::MEMBER).ok());
    let mut thoughts: Vec<Reasoning> = list.unwrap_or_default().into_iter().filter_map(detail).collect();
    let is_sealed = |proof: &Signature| !matches!(Token::read(&proof.value), Read::Bare);
    if !thoughts.iter().any(|thought| thought.signature.as_ref().is_some_and(is_sealed)) {
        return;
    }
    message.take(details::MEMBER);
    let repeated =
        [nonempty(message, "reasoning_content"), nonempty(message, "reasoning")].into_iter().flatten().next();
    // Some clients keep of a detail only what proves it.
    if let (Some(text), Some(first)) = (repeated, thoughts.first_mut())
        && first.text.is_empty()
    {
        first.text = text;
    }
    parts.extend(thoughts.into_iter().map(Part::Reasoning));
}

fn detail(raw: &RawValue) -> Option<Reasoning> {
    let mut detail = Object::of(raw).ok()?;
    let mut text = |key: &str| detail.string(key).ok().flatten();
    let value = text("signature").or_else(|| text("data"));
    let signature = value.map(|value| Signature { issuer: ProtocolId::OpenAiChat, value });
    let text = text("text").unwrap_or_default();
    let mut ext = Ext::default();
    nested::mark(&mut ext, PROVEN);
    Some(Reasoning { text, signature, redacted: None, ext })
}

/// Takes the member where it is a string with something in it.
fn nonempty(message: &mut Object<'_>, member: &str) -> Option<String> {
    let text = json::str_of(message.get(member)?).filter(|text| !text.is_empty())?.into_owned();
    message.take(member);
    Some(text)
}
