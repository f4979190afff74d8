//! A caller's request, into the hub.

use serde_json::value::RawValue;

use super::super::{config, member, part, path, tools};
use crate::wire::ir::{ContentShape, Error, Message, Part, Request, Role, Text};
use crate::wire::json::{self, Ext, JsonError, Kind, Object};
use crate::wire::{Head, Operation, ProtocolId};

/// Reads a request.
///
/// # Errors
/// Not JSON, a path without a model, or a member of the wrong type.
pub(in super::super) fn decode(head: &Head<'_>, body: &[u8]) -> Result<Request, Error> {
    let mut body = Object::parse(member::text(body)?)?;
    // A token count may wrap the request that it asks about.
    match member::object(&mut body, "generateContentRequest")? {
        Some(wrapped) if head.operation == Operation::CountTokens => decode_members(head, wrapped),
        Some(_) => {
            Err(Error::invalid("`generateContentRequest` belongs to `:countTokens`")
                .with_param("generateContentRequest"))
        }
        None => decode_members(head, body),
    }
}

fn decode_members(head: &Head<'_>, mut body: Object<'_>) -> Result<Request, Error> {
    // The path names the model; a body that names one too must not outlive a change of the model.
    let in_body = member::string(&mut body, "model")?;
    let Some(model) = head.path_model.map(str::to_owned).or(in_body) else {
        return Err(Error::invalid("the path names no model; use /v1beta/models/{model}:generateContent"));
    };
    let mut notes = Ext::default();
    let mut messages = Vec::new();
    if let Some(system) = member::take(&mut body, "systemInstruction") {
        messages.push(decode_system(system)?);
    }
    for content in member::array(&mut body, "contents")?.unwrap_or_default() {
        messages.push(decode_content(Object::of(content)?)?);
    }
    let config = match member::object(&mut body, "generationConfig")? {
        Some(config) => config::decode(config, &mut notes)?,
        None => config::Config::default(),
    };
    let tool_choice = match member::object(&mut body, "toolConfig")? {
        Some(config) => tools::decode_choice(config, &mut notes)?,
        None => None,
    };
    let tools = member::array(&mut body, "tools")?.map(tools::decode).transpose()?;
    let mut ext = body.rest();
    ext.0.extend(notes.0);
    Ok(Request {
        origin: ProtocolId::Gemini,
        model: path::plain_model(&model).to_owned(),
        stream: head.path_stream,
        stream_given: true,
        include_usage: None,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: None,
        sampling: config.sampling,
        reasoning: config.reasoning,
        output: config.output,
        user: None,
        metadata: None,
        ext,
    })
}

/// The system text: a content without a meaningful role, or, from hand-written requests, a bare text.
fn decode_system(system: &RawValue) -> Result<Message, Error> {
    if json::kind(system) == Kind::String {
        let text = json::str_of(system).unwrap_or_default();
        let parts = vec![Part::Text(Text::new(text))];
        return Ok(message(Role::System, None, parts, ContentShape::Parts, Ext::default()));
    }
    if json::kind(system) != Kind::Object {
        return Err(JsonError::Type { key: "systemInstruction".to_owned(), expected: "an object" }.into());
    }
    let mut content = Object::of(system)?;
    let role_raw = member::string(&mut content, "role")?;
    let (parts, shape) = decode_parts(&mut content)?;
    Ok(message(Role::System, role_raw, parts, shape, content.rest()))
}

fn decode_content(mut content: Object<'_>) -> Result<Message, Error> {
    let word = member::string(&mut content, "role")?;
    let (role, role_raw) = match word.as_deref() {
        Some("user") => (Role::User, None),
        Some("model") => (Role::Assistant, None),
        // The word of the first versions for a turn of function responses.
        Some("function") => (Role::User, word),
        None => (Role::User, Some(String::new())),
        Some(other) => {
            let message = format!("unknown role `{other}`; use `user` or `model`");
            return Err(Error::invalid(message).with_param("contents.role"));
        }
    };
    let (parts, shape) = decode_parts(&mut content)?;
    Ok(message(role, role_raw, parts, shape, content.rest()))
}

/// Parts are a list; a single part may stand bare, which counts as [`ContentShape::Text`].
fn decode_parts(content: &mut Object<'_>) -> Result<(Vec<Part>, ContentShape), Error> {
    let Some(parts) = member::take(content, "parts") else { return Ok((Vec::new(), ContentShape::Absent)) };
    if json::kind(parts) == Kind::Object {
        return Ok((vec![part::decode(parts)?], ContentShape::Text));
    }
    let parts = json::elements(parts, "parts")?.into_iter().map(part::decode).collect::<Result<_, _>>()?;
    Ok((parts, ContentShape::Parts))
}

fn message(role: Role, role_raw: Option<String>, parts: Vec<Part>, shape: ContentShape, ext: Ext) -> Message {
    Message { role, role_raw, parts, shape, name: None, ext }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Operation;
    use crate::wire::ir::{ReasoningEffort, ToolChoice};

    fn head() -> Head<'static> {
        Head { operation: Operation::Generate, path_model: Some("models/g"), path_stream: true, alt_sse: true }
    }

    fn request(body: &str) -> Request {
        decode(&head(), body.as_bytes()).unwrap()
    }

    #[test]
    fn the_path_decides_about_model_and_stream() {
        let request = request(r#"{"model":"models/other","contents":[]}"#);
        assert_eq!(request.model, "g");
        assert!(request.stream);
        assert!(request.ext.is_empty());
    }

    #[test]
    fn snake_case_is_understood_at_every_level() {
        let request = request(
            r#"{"system_instruction":{"parts":[{"text":"s"}]},
                "contents":[{"role":"model","parts":[{"function_call":{"name":"f"},"thought_signature":"sig"}]}],
                "generation_config":{"max_output_tokens":5,"thinking_config":{"thinking_level":"low"},"response_mime_type":"application/json"},
                "tool_config":{"function_calling_config":{"mode":"ANY","allowed_function_names":["f"]}},
                "tools":[{"function_declarations":[{"name":"f","parameters_json_schema":{}}]}]}"#,
        );
        assert_eq!(request.messages[0].role, Role::System);
        assert!(matches!(&request.messages[1].parts[0], Part::ToolCall(call) if call.signature.is_some()));
        assert_eq!(request.sampling.max_tokens.unwrap().value, 5);
        assert_eq!(request.reasoning.unwrap().effort, Some(ReasoningEffort::Low));
        assert_eq!(request.tool_choice, Some(ToolChoice::Tool("f".into())));
        assert_eq!(request.tools.unwrap().len(), 1);
        assert_eq!(request.ext.keys().next(), None);
    }

    #[test]
    fn mistakes_name_the_member() {
        let error = |body: &str| decode(&head(), body.as_bytes()).unwrap_err();
        assert_eq!(error(r#"{"contents":[{"role":"system"}]}"#).param.as_deref(), Some("contents.role"));
        assert_eq!(error(r#"{"contents":{}}"#).param.as_deref(), Some("contents"));
        assert_eq!(error(r#"{"generationConfig":{"temperature":"hot"}}"#).param.as_deref(), Some("temperature"));
        assert_eq!(error("[").code.as_deref(), Some("invalid_json"));
    }
}
