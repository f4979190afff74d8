//! Requests, read into the hub.

use super::{message, nested, peek, tools};
use crate::wire::ProtocolId;
use crate::wire::ir::{
    Error, MaxTokens, MaxTokensSpelling, OutputFormat, ReasoningEffort, ReasoningRequest, Request, Sampling, StopShape,
};
use crate::wire::json::{self, Ext, JsonError, Kind, Object};

/// # Errors
/// A request that is not one, with the offending member in `param`.
pub(super) fn decode(body: &[u8]) -> Result<Request, Error> {
    let text = json::utf8(body)?;
    let mut request = Object::parse(text)?;
    let missing = |key: &str| JsonError::Missing { key: key.to_owned() };
    let model = request.string("model")?.ok_or_else(|| missing("model"))?;
    peek::refuse_responses_body(|key| request.get(key).is_some())?;
    let messages = request.array("messages")?.ok_or_else(|| missing("messages"))?;
    let messages = message::decode_all(messages)?;
    let stream = request.bool("stream")?;
    let tools = tools::decode(&mut request)?;
    let tool_choice = tools::decode_choice(&mut request, tools.as_deref().is_some_and(tools::are_legacy));
    let sampling = sampling(&mut request)?;
    let reasoning = effort(&mut request);
    let parallel_tool_calls = request.bool("parallel_tool_calls")?;
    let user = request.string("user")?;
    let given = |key: &str| request.get(key).is_some_and(|raw| !nested::is_null(raw));
    let metadata = if given("metadata") { request.take("metadata").map(ToOwned::to_owned) } else { None };
    let mut kept = Ext::default();
    let include_usage = include_usage(&mut request, &mut kept);
    let output = output(&mut request, &mut kept);
    let mut ext = request.rest();
    ext.0.append(&mut kept.0);
    Ok(Request {
        origin: ProtocolId::OpenAiChat,
        model,
        stream: stream.unwrap_or(false),
        stream_given: stream.is_some(),
        include_usage,
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

fn sampling(request: &mut Object<'_>) -> Result<Sampling, Error> {
    let max_tokens = max_tokens(request)?;
    let (stop, stop_shape) = stop(request)?;
    let logprobs = request.get("logprobs").is_some_and(|raw| json::kind(raw) == Kind::Bool);
    Ok(Sampling {
        max_tokens,
        temperature: request.number("temperature")?,
        top_p: request.number("top_p")?,
        top_k: request.number("top_k")?,
        stop,
        stop_shape,
        seed: request.number("seed")?,
        frequency_penalty: request.number("frequency_penalty")?,
        presence_penalty: request.number("presence_penalty")?,
        candidates: request.u64("n")?,
        // Some upstreams take a number here, as the older completions endpoint does; it stays as it is.
        logprobs: if logprobs { request.bool("logprobs")? } else { None },
        top_logprobs: request.u64("top_logprobs")?,
    })
}

/// `max_completion_tokens`, or the older `max_tokens` where the newer is absent.
fn max_tokens(request: &mut Object<'_>) -> Result<Option<MaxTokens>, JsonError> {
    if let Some(value) = request.u64("max_completion_tokens")? {
        return Ok(Some(MaxTokens { value, spelling: MaxTokensSpelling::Current }));
    }
    let older = request.u64("max_tokens")?;
    Ok(older.map(|value| MaxTokens { value, spelling: MaxTokensSpelling::Deprecated }))
}

fn stop(request: &mut Object<'_>) -> Result<(Option<Vec<String>>, StopShape), JsonError> {
    if request.get("stop").is_some_and(|raw| json::kind(raw) == Kind::String) {
        let text = request.string("stop")?;
        return Ok((text.map(|text| vec![text]), StopShape::Text));
    }
    Ok((request.read("stop", "a string or a list of strings")?, StopShape::List))
}

/// Takes `reasoning_effort` where its word is one of OpenAI's; another (Groq's `default`) stays.
fn effort(request: &mut Object<'_>) -> Option<ReasoningRequest> {
    let word = json::str_of(request.get("reasoning_effort")?)?;
    let effort = ReasoningEffort::from_word(&word)?;
    request.take("reasoning_effort");
    Some(ReasoningRequest { effort: Some(effort), ..ReasoningRequest::default() })
}

/// Takes `stream_options.include_usage`; other options are kept, as is an object without any.
fn include_usage(request: &mut Object<'_>, kept: &mut Ext) -> Option<bool> {
    let mut options = Object::of(request.get("stream_options")?).ok()?;
    let include = options.bool("include_usage").ok()??;
    request.take("stream_options");
    nested::keep(kept, "stream_options", options);
    Some(include)
}

/// Takes `response_format` where it is one of OpenAI's; another (a grammar) stays.
fn output(request: &mut Object<'_>, kept: &mut Ext) -> Option<OutputFormat> {
    let mut format = Object::of(request.get("response_format")?).ok()?;
    let mut schema_rest = Ext::default();
    let output = match format.string("type").ok()??.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => OutputFormat::Json,
        "json_schema" => schema(Object::of(format.take("json_schema")?).ok()?, &mut schema_rest)?,
        _ => return None,
    };
    let mut rest = format.rest();
    rest.0.append(&mut schema_rest.0);
    nested::keep_members(kept, "response_format", &rest);
    request.take("response_format");
    Some(output)
}

fn schema(mut inner: Object<'_>, rest: &mut Ext) -> Option<OutputFormat> {
    let name = inner.string("name").ok()?;
    let description = inner.string("description").ok()?;
    let strict = inner.bool("strict").ok()?;
    let schema = inner.take("schema").filter(|raw| json::kind(raw) == Kind::Object)?.to_owned();
    nested::keep(rest, "json_schema", inner);
    Some(OutputFormat::Schema { name, description, schema, strict })
}
