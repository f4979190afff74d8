//! From a caller's request to the hub.

use serde_json::value::RawValue;

use super::super::{SELF, block};
use super::fields;
use crate::wire::ir::{
    ContentShape, Error, MaxTokens, MaxTokensSpelling, Message, OutputFormat, ReasoningEffort, ReasoningRequest,
    Request, Role, Sampling, StopShape, Tool, ToolChoice, ToolKind,
};
use crate::wire::json::{self, Ext, JsonError, Object, str_of};
use crate::wire::{Head, Operation};

/// Reads a request, or the one within a request to count its tokens. The model and the stream switch stand in the path.
///
/// # Errors
/// A request that Converse does not allow.
pub(in super::super) fn decode(head: &Head<'_>, body: &[u8]) -> Result<Request, Error> {
    let text = json::utf8(body)?;
    let mut body = Object::parse(text)?;
    if head.operation == Operation::CountTokens {
        body = counted(body)?;
    }
    let model = head.path_model.ok_or_else(no_model)?.to_owned();
    let messages = messages(&mut body)?;
    let mut left = Left::default();
    let (tools, tool_choice) = tool_config(&mut body, &mut left)?;
    let mut sampling = inference_config(&mut body, &mut left)?;
    let (output, effort) = output_config(&mut body, &mut left);
    let reasoning = additional_fields(&mut body, &mut sampling, effort, &mut left);
    let (user, metadata) = request_metadata(&mut body);
    let mut ext = body.rest();
    ext.0.extend(left.0.0);
    Ok(Request {
        origin: SELF,
        model,
        stream: head.path_stream,
        stream_given: head.path_stream,
        include_usage: None,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: None,
        sampling,
        reasoning,
        output,
        user,
        metadata,
        ext,
    })
}

pub(in super::super) fn no_model() -> Error {
    Error::invalid("the path names no model; use /model/{model}/converse, with the slash of a model's name as %2F")
}

/// What is to be counted.
fn counted(mut body: Object<'_>) -> Result<Object<'_>, Error> {
    let missing = JsonError::Missing { key: "input".to_owned() };
    let mut input = body.object("input")?.ok_or(missing)?;
    match input.object("converse")? {
        Some(request) => Ok(request),
        None => Err(Error::invalid(
            "`input`: only a request of Converse (`input.converse`) can be counted by a model of another provider",
        )
        .with_param("input")),
    }
}

/// Members of the body that were read in part, with what is left of them: written back where they came from, reported
/// elsewhere. What is left may be an empty object, which says nothing and keeps the place.
#[derive(Default)]
struct Left(Ext);

impl Left {
    fn keep(&mut self, key: &str, rest: &Ext) {
        let mut text = Vec::new();
        json::object(&mut text, |object| object.ext(rest));
        self.0.0.extend(String::from_utf8(text).ok().and_then(json::raw).map(|raw| (key.to_owned(), raw)));
    }
}

/// Takes a member that is an object; one of another type stays in the body.
fn take_object<'a>(body: &mut Object<'a>, key: &str) -> Option<Object<'a>> {
    let object = body.get(key).and_then(|raw| Object::of(raw).ok())?;
    body.take(key);
    Some(object)
}

// === the conversation ===

fn messages(body: &mut Object<'_>) -> Result<Vec<Message>, Error> {
    let list = body.array("messages")?.ok_or(JsonError::Missing { key: "messages".to_owned() })?;
    let mut messages = Vec::with_capacity(list.len() + 1);
    // An empty list says nothing and is written back.
    if body.get("system").is_some_and(|system| json::count(system) > 0)
        && let Some(system) = body.array("system")?
    {
        messages.push(message(Role::System, system, "system", Ext::default())?);
    }
    for (position, raw) in list.into_iter().enumerate() {
        let path = format!("messages.{position}");
        let mut object = json::read::<Object<'_>>(raw, &path, "an object")?;
        let problem = |error| Error::below(&path, error);
        let role = match object.string("role").map_err(problem)?.as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some(_) => {
                return Err(Error::below(
                    &path,
                    JsonError::Type { key: "role".to_owned(), expected: "`user` or `assistant`" },
                ));
            }
            None => return Err(Error::below(&path, JsonError::Missing { key: "role".to_owned() })),
        };
        let content = object.array("content").map_err(problem)?;
        let content = content.ok_or_else(|| Error::below(&path, JsonError::Missing { key: "content".to_owned() }))?;
        messages.push(message(role, content, &format!("{path}.content"), object.rest())?);
    }
    Ok(messages)
}

fn message(role: Role, content: Vec<&RawValue>, path: &str, ext: Ext) -> Result<Message, Error> {
    let mut parts = Vec::with_capacity(content.len());
    block::decode_all(content, &mut parts, |position, error| Error::below(&format!("{path}.{position}"), error))?;
    Ok(Message { role, role_raw: None, parts, shape: ContentShape::Parts, name: None, ext })
}

// === tools ===

fn tool_config(body: &mut Object<'_>, left: &mut Left) -> Result<(Option<Vec<Tool>>, Option<ToolChoice>), Error> {
    let Some(mut config) = take_object(body, "toolConfig") else { return Ok((None, None)) };
    let mut tools = None;
    if let Some(list) = config.array("tools").map_err(|error| Error::below("toolConfig", error))? {
        tools = Some(self::tools(list)?);
    }
    let choice = config.get("toolChoice").and_then(choice);
    if choice.is_some() {
        config.take("toolChoice");
    }
    let rest = config.rest();
    if !rest.is_empty() || (tools.is_none() && choice.is_none()) {
        left.keep("toolConfig", &rest);
    }
    Ok((tools, choice))
}

fn tools(list: Vec<&RawValue>) -> Result<Vec<Tool>, Error> {
    let mut tools: Vec<Tool> = Vec::with_capacity(list.len());
    for (position, raw) in list.into_iter().enumerate() {
        // A cache point closes the tools before it.
        if let Some(mark) = block::cache_control(raw)
            && let Some(Tool { kind: ToolKind::Function { .. }, ext }) = tools.last_mut()
            && ext.is_empty()
        {
            ext.0.push((block::CACHE.to_owned(), mark));
            continue;
        }
        tools.push(tool(raw).map_err(|error| Error::below(&format!("toolConfig.tools.{position}"), error))?);
    }
    Ok(tools)
}

/// A `toolSpec` is the caller's; everything else is verbatim.
fn tool(raw: &RawValue) -> Result<Tool, JsonError> {
    let mut element = Object::of(raw)?;
    let system = element.object("systemTool").ok().flatten().and_then(|mut tool| tool.string("name").ok().flatten());
    let opaque =
        |name: Option<String>| ToolKind::Opaque { origin: SELF, name: name.unwrap_or_default(), raw: raw.to_owned() };
    let Some(mut spec) = element.object("toolSpec")? else {
        return Ok(Tool { kind: opaque(system), ext: Ext::default() });
    };
    let name = spec.string("name")?.ok_or(JsonError::Missing { key: "name".to_owned() })?;
    let description = spec.string("description")?;
    let strict = spec.bool("strict")?;
    let schema = spec.take("inputSchema").ok_or(JsonError::Missing { key: "inputSchema".to_owned() })?;
    let parameters = match Object::of(schema)?.members() {
        [member] if member.key == "json" => Some(member.value.to_owned()),
        _ => return Ok(Tool { kind: opaque(Some(name)), ext: Ext::default() }),
    };
    Ok(Tool { kind: ToolKind::Function { name, description, parameters, strict }, ext: spec.rest() })
}

/// `None` for a choice with members that nobody knows.
fn choice(raw: &RawValue) -> Option<ToolChoice> {
    let choice = Object::of(raw).ok()?;
    let [member] = choice.members() else { return None };
    let mut value = Object::of(member.value).ok()?;
    let read = match &*member.key {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "tool" => ToolChoice::Tool(value.string("name").ok()??),
        _ => return None,
    };
    value.members().is_empty().then_some(read)
}

// === the rest ===

fn inference_config(body: &mut Object<'_>, left: &mut Left) -> Result<Sampling, Error> {
    let Some(mut config) = take_object(body, "inferenceConfig") else { return Ok(Sampling::default()) };
    let problem = |error| Error::below("inferenceConfig", error);
    let sampling = Sampling {
        max_tokens: (config.u64("maxTokens").map_err(problem)?)
            .map(|value| MaxTokens { value, spelling: MaxTokensSpelling::Current }),
        temperature: config.number("temperature").map_err(problem)?,
        top_p: config.number("topP").map_err(problem)?,
        stop: config.read("stopSequences", "a list of strings").map_err(problem)?,
        stop_shape: StopShape::List,
        ..Sampling::default()
    };
    let rest = config.rest();
    if !rest.is_empty() || sampling == Sampling::default() {
        left.keep("inferenceConfig", &rest);
    }
    Ok(sampling)
}

/// `null` is left where an effort stood, and where it is written back.
fn output_config(body: &mut Object<'_>, left: &mut Left) -> (Option<OutputFormat>, Option<ReasoningEffort>) {
    let Some(mut config) = take_object(body, "outputConfig") else { return (None, None) };
    let format = config.get("textFormat").and_then(schema);
    if format.is_some() {
        config.take("textFormat");
    }
    let effort = config.get("effort").and_then(str_of).and_then(|word| ReasoningEffort::from_word(&word));
    if effort.is_some() {
        config.take("effort");
    }
    let mut rest = config.rest();
    if effort.is_some() {
        rest.0.extend(json::raw("null").map(|null| ("effort".to_owned(), null)));
    }
    if !rest.is_empty() || format.is_none() {
        left.keep("outputConfig", &rest);
    }
    (format, effort)
}

/// The schema is JSON within a string. `None` for a form that nobody knows.
fn schema(raw: &RawValue) -> Option<OutputFormat> {
    let mut format = Object::of(raw).ok()?;
    let kind = format.take("type").and_then(str_of)?;
    let mut structure = format.object("structure").ok()??;
    let mut schema = structure.object("jsonSchema").ok()??;
    let text = schema.string("schema").ok()??;
    let (name, description) = (schema.string("name").ok()?, schema.string("description").ok()?);
    let known = [&format, &structure, &schema].iter().all(|object| object.members().is_empty());
    let raw = json::raw(text.as_str()).filter(|raw| raw.get() == text)?;
    (kind == "json_schema" && known).then_some(OutputFormat::Schema { name, description, schema: raw, strict: None })
}

fn additional_fields(
    body: &mut Object<'_>,
    sampling: &mut Sampling,
    effort: Option<ReasoningEffort>,
    left: &mut Left,
) -> Option<ReasoningRequest> {
    let Some(given) = body.take("additionalModelRequestFields") else { return fields::of_effort(effort) };
    let (reasoning, rest) = fields::decode(given, sampling, effort);
    left.0.0.push(("additionalModelRequestFields".to_owned(), rest));
    reasoning
}

/// `user_id` is the name under which the gateway itself sends a user; what else there is, is the caller's own.
fn request_metadata(body: &mut Object<'_>) -> (Option<String>, Option<Box<RawValue>>) {
    let Some(mut metadata) = take_object(body, "requestMetadata") else { return (None, None) };
    let user = metadata.string("user_id").ok().flatten();
    let rest = metadata.rest();
    let mut text = Vec::new();
    json::object(&mut text, |object| object.ext(&rest));
    let rest = (!rest.is_empty() || user.is_none()).then(|| String::from_utf8(text).ok().and_then(json::raw)).flatten();
    (user, rest)
}
