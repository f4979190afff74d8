//! From a caller's request to the hub.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::block::{self, take_present};
use super::super::{SELF, usage::raw_object};
use crate::wire::ir::{
    ContentShape, Error, MaxTokens, MaxTokensSpelling, Message, OutputFormat, Part, ReasoningEffort, ReasoningRequest,
    Request, Role, Sampling, StopShape, Text, Tool, ToolChoice, ToolKind,
};
use crate::wire::json::{self, Ext, JsonError, Kind, Object, kind, str_of};
use crate::wire::{Head, Operation};

/// The body as text.
pub(crate) fn text_of(body: &[u8]) -> Result<&str, JsonError> {
    json::utf8(body)
}

/// Reads a request, or the request to count its tokens, which is the same without `max_tokens`.
pub(in super::super) fn decode(head: &Head<'_>, body: &[u8]) -> Result<Request, Error> {
    let mut body = Object::parse(text_of(body)?)?;
    let model = model(&mut body, head)?;
    let messages = messages(&mut body)?;
    let sampling = sampling(&mut body)?;
    if sampling.max_tokens.is_none() && head.operation == Operation::Generate {
        return Err(JsonError::Missing { key: "max_tokens".to_owned() }.into());
    }
    let stream = flag(&mut body, "stream")?;
    let (tool_choice, parallel_tool_calls) = tool_choice(&mut body)?;
    let (output, effort, output_rest) = output(&mut body)?;
    let reasoning = reasoning(&mut body, effort)?;
    let (user, metadata_rest) = user(&mut body)?;
    let tools = tools(&mut body)?;
    let mut ext = body.rest();
    ext.0.extend(output_rest);
    ext.0.extend(metadata_rest);
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
        metadata: None,
        ext,
    })
}

fn model(body: &mut Object<'_>, head: &Head<'_>) -> Result<String, JsonError> {
    match (body.string("model")?, head.path_model) {
        (Some(model), _) => Ok(model),
        (None, Some(model)) => Ok(model.to_owned()),
        (None, None) => Err(JsonError::Missing { key: "model".to_owned() }),
    }
}

/// Reads a member; `null` stays in the object.
fn present<'a, T: serde::Deserialize<'a>>(
    object: &mut Object<'a>,
    key: &str,
    expected: &'static str,
) -> Result<Option<T>, JsonError> {
    take_present(object, key).map(|raw| json::read(raw, key, expected)).transpose()
}

fn flag(body: &mut Object<'_>, key: &str) -> Result<Option<bool>, JsonError> {
    present(body, key, "true or false")
}

fn object_at<'a>(raw: &'a RawValue, path: &str) -> Result<Object<'a>, Error> {
    if kind(raw) != Kind::Object {
        return Err(JsonError::Type { key: path.to_owned(), expected: "an object" }.into());
    }
    Object::of(raw).map_err(|error| Error::below(path, error))
}

// === the conversation ===

fn messages(body: &mut Object<'_>) -> Result<Vec<Message>, Error> {
    let Some(list) = body.array("messages")? else {
        return Err(JsonError::Missing { key: "messages".to_owned() }.into());
    };
    let mut messages = Vec::with_capacity(list.len() + 1);
    if let Some(system) = take_present(body, "system") {
        messages.push(system_message(system)?);
    }
    for (position, raw) in list.into_iter().enumerate() {
        let path = format!("messages.{position}");
        let object = object_at(raw, &path)?;
        messages.push(message(object).map_err(|error| Error::below(&path, error))?);
    }
    Ok(messages)
}

fn system_message(raw: &RawValue) -> Result<Message, Error> {
    let (parts, shape) = match kind(raw) {
        Kind::String => {
            (vec![Part::Text(Text::new(json::read::<String>(raw, "system", "a string")?))], ContentShape::Text)
        }
        Kind::Array => {
            let blocks = json::elements(raw, "system")?.into_iter().enumerate();
            let parts = blocks.map(|(position, raw)| {
                block::decode(raw).map_err(|error| Error::below(&format!("system.{position}"), error))
            });
            (parts.collect::<Result<_, _>>()?, ContentShape::Parts)
        }
        Kind::Null | Kind::Bool | Kind::Number | Kind::Object => {
            return Err(JsonError::Type { key: "system".to_owned(), expected: "a string or a list of blocks" }.into());
        }
    };
    Ok(Message { role: Role::System, role_raw: None, parts, shape, name: None, ext: Ext::default() })
}

/// A `system` message among the messages keeps its word in `role_raw`, which tells it from the member `system`.
fn message(mut message: Object<'_>) -> Result<Message, JsonError> {
    let role = message.string("role")?.ok_or(JsonError::Missing { key: "role".to_owned() })?;
    let (role, role_raw) = match role.as_str() {
        "user" => (Role::User, None),
        "assistant" => (Role::Assistant, None),
        "system" => (Role::System, Some(role)),
        _ => return Err(JsonError::Type { key: "role".to_owned(), expected: "`user`, `assistant` or `system`" }),
    };
    let Some(content) = message.take("content") else {
        return Err(JsonError::Missing { key: "content".to_owned() });
    };
    let (parts, shape) = block::content(Some(content), block::decode)?;
    Ok(Message { role, role_raw, parts, shape, name: None, ext: message.rest() })
}

// === tools ===

fn tools(body: &mut Object<'_>) -> Result<Option<Vec<Tool>>, Error> {
    let Some(raw) = take_present(body, "tools") else { return Ok(None) };
    let tools = json::elements(raw, "tools")?.into_iter().enumerate();
    let tools = tools.map(|(position, raw)| {
        let path = format!("tools.{position}");
        let object = object_at(raw, &path)?;
        tool(raw, object).map_err(|error| Error::below(&path, error))
    });
    tools.collect::<Result<_, _>>().map(Some)
}

/// A tool without `type`, or of type `custom`, is the caller's; every other type is one that Anthropic defines.
fn tool(raw: &RawValue, mut tool: Object<'_>) -> Result<Tool, JsonError> {
    let type_name = tool.get("type").and_then(str_of);
    if type_name.is_some_and(|name| name != "custom") {
        let name = tool.get("name").and_then(str_of).map_or_else(String::new, Cow::into_owned);
        return Ok(Tool { kind: ToolKind::Opaque { origin: SELF, name, raw: raw.to_owned() }, ext: Ext::default() });
    }
    let name = tool.string("name")?.ok_or(JsonError::Missing { key: "name".to_owned() })?;
    let description = present(&mut tool, "description", "a string")?;
    let parameters = take_present(&mut tool, "input_schema").map(ToOwned::to_owned);
    let strict = flag(&mut tool, "strict")?;
    Ok(Tool { kind: ToolKind::Function { name, description, parameters, strict }, ext: tool.rest() })
}

/// A choice with members that nobody knows stays whole in `ext`.
fn tool_choice(body: &mut Object<'_>) -> Result<(Option<ToolChoice>, Option<bool>), JsonError> {
    let Some(raw) = body.get("tool_choice").filter(|raw| kind(raw) == Kind::Object) else { return Ok((None, None)) };
    let mut choice = Object::of(raw)?;
    let parallel = flag(&mut choice, "disable_parallel_tool_use")?.map(|disabled| !disabled);
    let type_name = choice.string("type")?.unwrap_or_default();
    let read = match type_name.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => match choice.string("name")? {
            Some(name) => ToolChoice::Tool(name),
            None => return Err(JsonError::Missing { key: "tool_choice.name".to_owned() }),
        },
        _ => return Ok((None, None)),
    };
    if choice.members().is_empty() {
        body.take("tool_choice");
        Ok((Some(read), parallel))
    } else {
        Ok((None, None))
    }
}

// === sampling, reasoning, output ===

fn sampling(body: &mut Object<'_>) -> Result<Sampling, JsonError> {
    let max_tokens = present(body, "max_tokens", "a whole number")?;
    Ok(Sampling {
        max_tokens: max_tokens.map(|value| MaxTokens { value, spelling: MaxTokensSpelling::Current }),
        temperature: present(body, "temperature", "a number")?,
        top_p: present(body, "top_p", "a number")?,
        top_k: present(body, "top_k", "a number")?,
        stop: present(body, "stop_sequences", "a list of strings")?,
        stop_shape: StopShape::List,
        ..Sampling::default()
    })
}

/// `thinking` and the effort of `output_config`. The hub's budget and effort say what `type` means to others; `type` itself
/// stays in `ext` unless it is `enabled` with a budget.
fn reasoning(body: &mut Object<'_>, effort: Option<ReasoningEffort>) -> Result<Option<ReasoningRequest>, JsonError> {
    let Some(mut thinking) = present::<Object<'_>>(body, "thinking", "an object")? else {
        return Ok(effort.map(|effort| ReasoningRequest { effort: Some(effort), ..ReasoningRequest::default() }));
    };
    let type_name = thinking.get("type").and_then(str_of).map_or_else(String::new, Cow::into_owned);
    let include = match thinking.get("display").and_then(str_of).as_deref() {
        Some("omitted") => Some(false),
        Some("summarized") => Some(true),
        Some(_) | None => None,
    };
    let budget = match type_name.as_str() {
        "enabled" => present(&mut thinking, "budget_tokens", "a whole number")?,
        "adaptive" => Some(-1),
        _ => None,
    };
    if type_name == "enabled" && budget.is_some() {
        thinking.take("type");
    }
    let effort = if type_name == "disabled" { effort.or(Some(ReasoningEffort::None)) } else { effort };
    Ok(Some(ReasoningRequest { effort, budget, include, ext: thinking.rest() }))
}

type Rest = Option<(String, Box<RawValue>)>;

/// `output_config`, or the older `output_format`.
fn output(body: &mut Object<'_>) -> Result<(Option<OutputFormat>, Option<ReasoningEffort>, Rest), JsonError> {
    if let Some(mut config) = present::<Object<'_>>(body, "output_config", "an object")? {
        let effort = config.get("effort").and_then(str_of).and_then(|word| effort(&word));
        if effort.is_some() {
            config.take("effort");
        }
        let format = config.get("format").and_then(schema_format);
        if format.is_some() {
            config.take("format");
        }
        // What is left, or that there was an empty object, is written back as it came.
        let rest = config.rest();
        let keep = !rest.is_empty() || (effort.is_none() && format.is_none());
        let rest = raw_object(&rest).filter(|_| keep).map(|rest| ("output_config".to_owned(), rest));
        return Ok((format, effort, rest));
    }
    let format = body.get("output_format").and_then(schema_format);
    if format.is_none() {
        return Ok((None, None, None));
    }
    body.take("output_format");
    let marker = json::raw(r#"{"type":"json_schema"}"#).map(|rest| ("output_format".to_owned(), rest));
    Ok((format, None, marker))
}

/// Anthropic has no words for no thinking and for the least.
fn effort(word: &str) -> Option<ReasoningEffort> {
    ReasoningEffort::from_word(word).filter(|effort| *effort >= ReasoningEffort::Low)
}

fn schema_format(raw: &RawValue) -> Option<OutputFormat> {
    let mut format = Object::of(raw).ok()?;
    let type_name = format.take("type").and_then(str_of)?;
    let schema = take_present(&mut format, "schema")?;
    (type_name == "json_schema" && format.members().is_empty()).then(|| OutputFormat::Schema {
        name: None,
        description: None,
        schema: schema.to_owned(),
        strict: None,
    })
}

fn user(body: &mut Object<'_>) -> Result<(Option<String>, Rest), JsonError> {
    let Some(mut metadata) = present::<Object<'_>>(body, "metadata", "an object")? else { return Ok((None, None)) };
    let user = present(&mut metadata, "user_id", "a string")?;
    let rest = metadata.rest();
    let keep = !rest.is_empty() || user.is_none();
    Ok((user, raw_object(&rest).filter(|_| keep).map(|rest| ("metadata".to_owned(), rest))))
}

#[cfg(test)]
mod tests {
    use super::super::super::test_support::{decode_request, generate};
    use super::*;

    #[test]
    fn what_anthropic_requires_is_required() {
        for (body, param) in [
            (r#"{"messages":[],"max_tokens":1}"#, "model"),
            (r#"{"model":"m","max_tokens":1}"#, "messages"),
            (r#"{"model":"m","messages":[]}"#, "max_tokens"),
            (r#"{"model":"m","max_tokens":1,"messages":[{"content":"x"}]}"#, "messages.0.role"),
            (r#"{"model":"m","max_tokens":1,"messages":[{"role":"user"}]}"#, "messages.0.content"),
            (
                r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
                "messages.0.text",
            ),
            (r#"{"model":"m","max_tokens":1,"messages":[{"role":"tool","content":""}]}"#, "messages.0.role"),
            (r#"{"model":"m","max_tokens":1,"messages":["x"]}"#, "messages.0"),
            (r#"{"model":"m","max_tokens":1,"messages":[],"tools":[{}]}"#, "tools.0.name"),
            (r#"{"model":"m","max_tokens":1,"messages":[],"tools":[1]}"#, "tools.0"),
            (r#"{"model":"m","max_tokens":"1","messages":[]}"#, "max_tokens"),
        ] {
            let error = decode(&generate(), body.as_bytes()).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{body}");
            assert_eq!(error.status, 400);
        }
        let count = Head { operation: Operation::CountTokens, ..generate() };
        assert!(decode(&count, br#"{"model":"m","messages":[]}"#).is_ok());
    }

    #[test]
    fn thinking_means_the_same_to_everyone() {
        let reasoning = |thinking: &str| {
            decode_request(&format!(r#"{{"model":"m","max_tokens":9,"messages":[],{thinking}}}"#)).reasoning.unwrap()
        };
        assert_eq!(reasoning(r#""thinking":{"type":"enabled","budget_tokens":1024}"#).budget, Some(1024));
        let adaptive =
            reasoning(r#""thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"max"}"#);
        assert_eq!(
            (adaptive.effort, adaptive.budget, adaptive.include),
            (Some(ReasoningEffort::Max), Some(-1), Some(false))
        );
        assert_eq!(reasoning(r#""thinking":{"type":"disabled"}"#).effort, Some(ReasoningEffort::None));
    }

    #[test]
    fn system_blocks_stay_blocks() {
        let request = decode_request(
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b"}]}"#,
        );
        let system = &request.messages[0];
        assert_eq!((system.role, system.parts.len()), (Role::System, 2));
        let Part::Text(first) = &system.parts[0] else { panic!("{system:?}") };
        assert_eq!(first.ext.keys().collect::<Vec<_>>(), ["cache_control"]);
    }
}
