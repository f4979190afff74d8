//! Parameters of the model, which both faces name almost alike.

use crate::wire::ir::{
    Error, MaxTokens, MaxTokensSpelling, OutputFormat, Part, ReasoningEffort, ReasoningRequest, Request, Role,
    StopShape, Text,
};
use crate::wire::json::{self, JsonError, Object};

/// The name that OpenAI's upstreams get for a wanted form.
const FORM: &str = "response";

/// Reads the parameters that both faces have into `request`; `stop` is the member's name for stop texts.
///
/// # Errors
/// A member of the wrong type.
pub(super) fn read(members: &mut Object<'_>, stop: &str, request: &mut Request) -> Result<(), Error> {
    for (key, slot) in [
        ("temperature", &mut request.sampling.temperature),
        ("top_p", &mut request.sampling.top_p),
        ("presence_penalty", &mut request.sampling.presence_penalty),
        ("frequency_penalty", &mut request.sampling.frequency_penalty),
        ("seed", &mut request.sampling.seed),
    ] {
        if let Some(number) = members.number(key)? {
            *slot = Some(number);
        }
    }
    if let Some(limit) = members.u64("max_tokens")? {
        limited(limit, request);
    }
    if let Some(texts) = texts(members, stop)? {
        request.sampling.stop = Some(texts);
        request.sampling.stop_shape = StopShape::List;
    }
    if let Some(word) = members.string("reasoning_effort")? {
        effort(&word, request);
    }
    if let Some(budget) = members.read::<i64>("thinking_budget_tokens", "a whole number")? {
        request.reasoning.get_or_insert_with(ReasoningRequest::default).budget = Some(budget);
    }
    for key in ["service_tier", "verbosity"] {
        if let Some(word) = members.string(key)? {
            put(key, &word, request);
        }
    }
    Ok(())
}

/// Of two limits the smaller holds.
pub(super) fn limited(limit: u64, request: &mut Request) {
    let value = request.sampling.max_tokens.map_or(limit, |known| known.value.min(limit));
    request.sampling.max_tokens = Some(MaxTokens { value, spelling: MaxTokensSpelling::Current });
}

/// A text or a list of texts.
fn texts(members: &mut Object<'_>, key: &str) -> Result<Option<Vec<String>>, JsonError> {
    match members.get(key).map(json::kind) {
        Some(json::Kind::String) => Ok(members.string(key)?.map(|text| vec![text])),
        _ => members.read(key, "a list of strings"),
    }
}

fn effort(word: &str, request: &mut Request) {
    let known = match word {
        "none" => ReasoningEffort::None,
        "minimal" => ReasoningEffort::Minimal,
        "low" => ReasoningEffort::Low,
        "medium" => ReasoningEffort::Medium,
        "high" => ReasoningEffort::High,
        "xhigh" => ReasoningEffort::XHigh,
        // A word that only its upstream knows.
        other => return put("reasoning_effort", other, request),
    };
    request.reasoning.get_or_insert_with(ReasoningRequest::default).effort = Some(known);
}

fn put(key: &str, word: &str, request: &mut Request) {
    let mut text = Vec::new();
    json::write(word, &mut text);
    let raw = String::from_utf8(text).ok().and_then(json::raw);
    request.ext.0.retain(|(known, _)| known != key);
    request.ext.0.extend(raw.map(|raw| (key.to_owned(), raw)));
}

/// What `json_mode` asks of the answer; a schema is given apart from it.
///
/// # Errors
/// A word that is none of the modes.
pub(super) fn json_mode(
    word: &str,
    schema: Option<&serde_json::value::RawValue>,
) -> Result<Option<OutputFormat>, Error> {
    match word {
        "off" => Ok(None),
        "on" => Ok(Some(OutputFormat::Json)),
        "strict" | "tool" | "implicit_tool" => Ok(Some(match schema {
            Some(schema) => strict(schema.to_owned()),
            None => OutputFormat::Json,
        })),
        _ => Err(JsonError::Type { key: "json_mode".to_owned(), expected: "`off`, `on`, `strict` or `tool`" }.into()),
    }
}

/// An answer that follows `schema`.
pub fn strict(schema: Box<serde_json::value::RawValue>) -> OutputFormat {
    OutputFormat::Schema { name: Some(FORM.to_owned()), description: None, schema, strict: Some(true) }
}

/// Members of `params.chat_completion`, which win over those beside the messages.
///
/// # Errors
/// A member of the wrong type, or one that is not known.
pub(super) fn read_params(
    params: Object<'_>,
    schema: Option<&serde_json::value::RawValue>,
    request: &mut Request,
) -> Result<(), Error> {
    let mut params = params;
    let Some(mut own) = params.object("chat_completion")? else { return Ok(()) };
    let limit = request.sampling.max_tokens.take();
    read(&mut own, "stop_sequences", request)?;
    request.sampling.max_tokens = request.sampling.max_tokens.or(limit);
    if let Some(word) = own.string("json_mode")? {
        request.output = json_mode(&word, schema)?;
    }
    let unknown = own.members().iter().find(|member| member.value.get() != "null");
    match unknown {
        Some(member) => {
            let key = member.key.to_string();
            let message = format!("`params.chat_completion.{key}` is not known");
            Err(Error::invalid(message).with_param(format!("params.chat_completion.{key}")))
        }
        None => Ok(()),
    }
}

/// Where native requests keep a parameter of the hub's name.
pub(super) fn native_place(name: &str) -> &'static [&'static str] {
    match name {
        "temperature" => &["/params/chat_completion/temperature"],
        "top_p" => &["/params/chat_completion/top_p"],
        "max_tokens" | "max_completion_tokens" => &["/params/chat_completion/max_tokens"],
        "seed" => &["/params/chat_completion/seed"],
        "presence_penalty" => &["/params/chat_completion/presence_penalty"],
        "frequency_penalty" => &["/params/chat_completion/frequency_penalty"],
        "stop" => &["/params/chat_completion/stop_sequences"],
        "reasoning_effort" => &["/params/chat_completion/reasoning_effort"],
        "service_tier" => &["/params/chat_completion/service_tier"],
        "verbosity" => &["/params/chat_completion/verbosity"],
        "thinking_budget_tokens" => &["/params/chat_completion/thinking_budget_tokens"],
        _ => &[],
    }
}

/// Where requests of OpenAI's form keep it, if not in a member of that very name.
pub(super) fn chat_place(name: &str) -> &'static [&'static str] {
    match name {
        "max_tokens" | "max_completion_tokens" => {
            &["/max_completion_tokens", "/max_tokens", "/tensorzero::params/chat_completion/max_tokens"]
        }
        "temperature" => &["/temperature", "/tensorzero::params/chat_completion/temperature"],
        "top_p" => &["/top_p", "/tensorzero::params/chat_completion/top_p"],
        "seed" => &["/seed", "/tensorzero::params/chat_completion/seed"],
        "stop" => &["/stop", "/tensorzero::params/chat_completion/stop_sequences"],
        "presence_penalty" => &["/presence_penalty", "/tensorzero::params/chat_completion/presence_penalty"],
        "frequency_penalty" => &["/frequency_penalty", "/tensorzero::params/chat_completion/frequency_penalty"],
        "reasoning_effort" => &["/reasoning_effort", "/tensorzero::params/chat_completion/reasoning_effort"],
        "service_tier" => &["/service_tier", "/tensorzero::params/chat_completion/service_tier"],
        "verbosity" => &["/verbosity", "/tensorzero::params/chat_completion/verbosity"],
        "thinking_budget_tokens" => &["/tensorzero::params/chat_completion/thinking_budget_tokens"],
        _ => &[],
    }
}

/// A request with nothing in it.
pub(super) fn empty(model: String, stream: bool) -> Request {
    Request {
        // Chat Completions' words, of which this surface adds nothing that an upstream could see.
        origin: crate::wire::ProtocolId::OpenAiChat,
        model,
        stream,
        stream_given: true,
        include_usage: stream.then_some(true),
        messages: Vec::new(),
        tools: None,
        tool_choice: None,
        parallel_tool_calls: None,
        sampling: crate::wire::ir::Sampling::default(),
        reasoning: None,
        output: None,
        user: None,
        metadata: None,
        ext: json::Ext::default(),
    }
}

/// What upstreams of OpenAI's form must be told beside the member for JSON: they refuse requests that do not say the word.
const SAY_JSON: &str = "Respond using JSON.";

/// Says the word where JSON of any form is wanted. A request without a system text gets one in any case.
pub fn ask_for_json(request: &mut Request) {
    if !matches!(request.output, Some(OutputFormat::Json)) {
        return;
    }
    let says = |text: &str| text.to_ascii_lowercase().contains("json");
    let said = request.messages.iter().flat_map(|message| &message.parts).any(|part| match part {
        Part::Text(text) => says(&text.text),
        _ => false,
    });
    match request.messages.first_mut().filter(|message| message.role == Role::System) {
        Some(_) if said => {}
        Some(system) => {
            if let Some(Part::Text(text)) = system.parts.first_mut() {
                text.text.insert_str(0, "\n\n");
                text.text.insert_str(0, SAY_JSON);
            }
        }
        None => request.messages.insert(0, super::system_message(Part::Text(Text::new(SAY_JSON)))),
    }
}
