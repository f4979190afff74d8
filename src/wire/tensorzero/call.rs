//! What a request says beyond its conversation: whom it asks, and the members that only this surface has.

use serde_json::Value;
use serde_json::value::RawValue;

use super::Face;
use super::provider_tool::{self, ProviderTool};
use super::raw::Raws;
use super::variant::{self, Variant};
use crate::wire::envelope::Envelope;
use crate::wire::ir::Error;
use crate::wire::json::{self, JsonError, Object};

/// Members of a native request. Any other is refused.
const NATIVE: &[&str] = &[
    "function_name",
    "model_name",
    "input",
    "episode_id",
    "variant_name",
    "namespace",
    "stream",
    "params",
    "dryrun",
    "internal",
    "tags",
    "allowed_tools",
    "additional_tools",
    "tool_choice",
    "parallel_tool_calls",
    "provider_tools",
    "output_schema",
    "cache_options",
    "credentials",
    "extra_body",
    "extra_headers",
    "include_original_response",
    "include_raw_response",
    "include_raw_usage",
    "include_aggregated_response",
    "internal_dynamic_variant_config",
];

/// Members of a request in OpenAI's form. Others are left unread, unless the request itself forbids them.
const CHAT: &[&str] = &[
    "messages",
    "model",
    "frequency_penalty",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "response_format",
    "seed",
    "stream",
    "stream_options",
    "temperature",
    "tools",
    "tool_choice",
    "top_p",
    "parallel_tool_calls",
    "stop",
    "reasoning_effort",
    "service_tier",
    "verbosity",
    "n",
    "tensorzero::variant_name",
    "tensorzero::dryrun",
    "tensorzero::episode_id",
    "tensorzero::namespace",
    "tensorzero::cache_options",
    "tensorzero::extra_body",
    "tensorzero::extra_headers",
    "tensorzero::tags",
    "tensorzero::deny_unknown_fields",
    "tensorzero::credentials",
    "tensorzero::provider_tools",
    "tensorzero::params",
    "tensorzero::internal_dynamic_variant_config",
    "tensorzero::include_original_response",
    "tensorzero::include_raw_response",
    "tensorzero::include_raw_usage",
];

/// Members of a request for embeddings that are read. Others are left unread.
const EMBEDDINGS: &[&str] = &["dryrun", "cache_options", "credentials", "include_raw_response"];

const FUNCTION: &str = "tensorzero::function_name::";
const MODEL: &str = "tensorzero::model_name::";
const EMBEDDING: &str = "tensorzero::embedding_model_name::";

/// Whom a request asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Function(String),
    Model(String),
    EmbeddingModel(String),
}

/// A request, without its conversation and parameters.
#[derive(Debug, Clone)]
pub struct Call {
    pub asked: Asked,
    /// The only variant that may answer.
    pub variant: Option<String>,
    /// That variant itself, where the request brings it.
    pub brought: Option<Box<Variant>>,
    /// As written; whether it is an id of this time is for whoever has a clock.
    pub episode_id: Option<String>,
    pub namespace: Option<String>,
    pub dryrun: bool,
    pub tags: Vec<(String, String)>,
    pub credentials: Vec<(String, String)>,
    pub allowed_tools: Option<Vec<String>>,
    pub provider_tools: Vec<ProviderTool>,
    /// Takes the place of a JSON function's schema.
    pub output_schema: Option<Box<RawValue>>,
    pub extra_body: Vec<BodyEdit>,
    pub extra_headers: Vec<HeaderEdit>,
    pub cache: Option<Cache>,
    pub include_usage: bool,
    pub raws: Raws,
    /// A stream ends with the whole answer.
    pub include_aggregated: bool,
}

/// How an answer may come from the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    pub read: bool,
    pub write: bool,
    /// Oldest answer that may be taken, in seconds.
    pub max_age_s: Option<u64>,
}

/// For which tries an edit is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    pub variant: Option<String>,
    pub model: Option<String>,
    pub provider: Option<String>,
}

/// An edit of the upstream's body.
#[derive(Debug, Clone)]
pub struct BodyEdit {
    pub filter: Filter,
    /// A JSON Pointer.
    pub pointer: String,
    /// What goes there; `None`: what is there goes.
    pub value: Option<Box<RawValue>>,
}

/// An edit of the upstream's headers.
#[derive(Debug, Clone)]
pub struct HeaderEdit {
    pub filter: Filter,
    pub name: String,
    /// `None`: the header goes.
    pub value: Option<String>,
}

/// Whom the member `model` of OpenAI's form asks.
///
/// # Errors
/// A name without one of the prefixes.
pub fn asked_of_chat(model: &str) -> Result<Asked, Error> {
    if let Some(name) = model.strip_prefix(FUNCTION) {
        return Ok(Asked::Function(name.to_owned()));
    }
    if let Some(name) = model.strip_prefix(MODEL) {
        return Ok(Asked::Model(name.to_owned()));
    }
    let message = format!(
        "`model` must begin with `{FUNCTION}` or `{MODEL}`, e.g. `{MODEL}openai::gpt-5-mini`; GET /openai/v1/models lists what there is"
    );
    Err(Error::invalid(message).with_param("model"))
}

/// The embedding model that `model` asks for; its prefix may be left out.
pub fn asked_of_embeddings(model: &str) -> Asked {
    Asked::EmbeddingModel(model.strip_prefix(EMBEDDING).unwrap_or(model).to_owned())
}

impl Asked {
    /// As answers name it, without a variant.
    pub fn name(&self) -> String {
        match self {
            Asked::Function(name) => format!("{FUNCTION}{name}"),
            Asked::Model(name) => format!("{MODEL}{name}"),
            Asked::EmbeddingModel(name) => format!("{EMBEDDING}{name}"),
        }
    }
}

/// Reads all of it.
///
/// # Errors
/// A member of the wrong form, one that is not known where that is an error, two that exclude one another.
pub fn read(face: Face, asked: Asked, envelope: &Envelope<'_>) -> Result<Call, Error> {
    let members = Members { face, envelope };
    members.refuse_unknown()?;
    let brought = members.get("internal_dynamic_variant_config").map(variant::read).transpose()?.map(Box::new);
    if brought.is_some() && members.get("variant_name").is_some() {
        return Err(Error::invalid(
            "either `variant_name` or `internal_dynamic_variant_config` can be given, not both",
        ));
    }
    let raws = Raws {
        response: members.flag("include_raw_response")?,
        usage: members.flag("include_raw_usage")?,
        original: members.flag("include_original_response")?,
    };
    let call = Call {
        variant: match &brought {
            Some(_) => Some(variant::NAME.to_owned()),
            None => members.text("variant_name")?,
        },
        brought,
        episode_id: members.text("episode_id")?,
        namespace: members.text("namespace")?,
        dryrun: members.flag("dryrun")?,
        tags: members.texts("tags")?,
        credentials: members.texts("credentials")?,
        allowed_tools: members.own("allowed_tools", "a list of strings")?,
        provider_tools: members.list("provider_tools", provider_tool::read)?,
        output_schema: members.own("output_schema", "a JSON Schema")?.filter(|_| face == Face::Native),
        extra_body: members.list("extra_body", body_edit)?,
        extra_headers: members.list("extra_headers", header_edit)?,
        cache: members.cache()?,
        include_usage: members.include_usage() || raws.usage,
        include_aggregated: face == Face::Native && members.flag("include_aggregated_response")?,
        raws,
        asked,
    };
    if call.variant.is_some() && !matches!(call.asked, Asked::Function(_)) {
        return Err(Error::invalid("a variant can be asked for of a function only, not of a model"));
    }
    if call.include_aggregated && !envelope.stream {
        return Err(Error::invalid("`include_aggregated_response` is for streams: it needs `stream: true`"));
    }
    if let Some((tag, _)) = call.tags.iter().find(|(tag, _)| tag.starts_with("tensorzero::")) {
        return Err(Error::invalid(format!("the tag `{tag}` begins with `tensorzero::`, which is not for callers")));
    }
    if call.brought.is_some() && !call.dryrun {
        return Err(Error::invalid("`internal_dynamic_variant_config` needs `dryrun: true`"));
    }
    Ok(call)
}

/// The members of a request, by the names that they have in the native form.
struct Members<'e, 'b> {
    face: Face,
    envelope: &'e Envelope<'b>,
}

impl<'b> Members<'_, 'b> {
    /// What is not there, and what is `null`, is `None`.
    fn get(&self, name: &str) -> Option<&'b str> {
        let text = match self.face {
            Face::Native => self.envelope.members.get(name),
            Face::Embeddings if !EMBEDDINGS.contains(&name) => None,
            Face::Chat | Face::Embeddings => self.envelope.members.get(&format!("tensorzero::{name}")),
        };
        text.filter(|text| *text != "null")
    }

    fn own<T: for<'de> serde::Deserialize<'de>>(&self, name: &str, expected: &'static str) -> Result<Option<T>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|_| JsonError::Type { key: name.to_owned(), expected }.into())
    }

    fn text(&self, name: &str) -> Result<Option<String>, Error> {
        self.own(name, "a string")
    }

    fn flag(&self, name: &str) -> Result<bool, Error> {
        Ok(self.own::<bool>(name, "true or false")?.unwrap_or_default())
    }

    fn texts(&self, name: &str) -> Result<Vec<(String, String)>, Error> {
        let map = self.own::<serde_json::Map<String, Value>>(name, "an object of strings")?.unwrap_or_default();
        let pairs = map.into_iter().map(|(key, value)| match value {
            Value::String(value) => Ok((key, value)),
            _ => Err(JsonError::Type { key: format!("{name}.{key}"), expected: "a string" }.into()),
        });
        pairs.collect()
    }

    fn list<T>(&self, name: &str, read: impl Fn(Object<'_>) -> Result<T, JsonError>) -> Result<Vec<T>, Error> {
        let Some(text) = self.get(name) else { return Ok(Vec::new()) };
        let wrong = |_| JsonError::Type { key: name.to_owned(), expected: "a list of objects" };
        let entries: Vec<&RawValue> = serde_json::from_str(text).map_err(wrong)?;
        let entries = entries.into_iter().map(|raw| read(Object::of(raw)?).map_err(Error::from));
        entries.collect()
    }

    fn cache(&self) -> Result<Option<Cache>, Error> {
        let Some(text) = self.get("cache_options") else { return Ok(None) };
        let mut options = Object::parse(text)?;
        let max_age_s = options.u64("max_age_s")?;
        let (read, write) = match options.string("enabled")?.as_deref() {
            None | Some("off") => (false, false),
            Some("on") => (true, true),
            Some("read_only") => (true, false),
            Some("write_only") => (false, true),
            Some(_) => {
                let expected = "`on`, `read_only`, `write_only` or `off`";
                return Err(JsonError::Type { key: "cache_options.enabled".to_owned(), expected }.into());
            }
        };
        Ok(Some(Cache { read, write, max_age_s }))
    }

    /// A native stream tells usage unasked.
    fn include_usage(&self) -> bool {
        let options = self.envelope.members.get("stream_options").and_then(|text| Object::parse(text).ok());
        let asked = options.and_then(|mut options| options.bool("include_usage").ok().flatten()).unwrap_or_default();
        self.face == Face::Native || asked
    }

    fn refuse_unknown(&self) -> Result<(), Error> {
        let known = match self.face {
            Face::Native => NATIVE,
            Face::Chat if self.flag("deny_unknown_fields")? => CHAT,
            Face::Chat | Face::Embeddings => return Ok(()),
        };
        let unknown: Vec<&str> = self.envelope.members.entries().iter().map(|member| &*member.key).collect();
        let unknown: Vec<String> =
            unknown.into_iter().filter(|key| !known.contains(key)).map(|key| format!("`{key}`")).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let message = format!("unknown members: {}; the ones known here are {}", unknown.join(", "), known.join(", "));
        Err(Error::invalid(message))
    }
}

fn filter(entry: &mut Object<'_>) -> Result<Filter, JsonError> {
    let filter = Filter {
        variant: entry.string("variant_name")?,
        model: entry.string("model_name")?,
        provider: entry.string("provider_name")?,
    };
    match (&filter.provider, &filter.model) {
        (Some(_), None) => Err(JsonError::Missing { key: "model_name".to_owned() }),
        _ => Ok(filter),
    }
}

/// Whether an entry says `delete: true`; anything else that it may say of deletion is wrong.
fn deletes(entry: &mut Object<'_>) -> Result<bool, JsonError> {
    let flag = entry.bool("delete")?;
    match flag {
        Some(false) => Err(JsonError::Type { key: "delete".to_owned(), expected: "true, where it is there" }),
        flag => Ok(flag.is_some()),
    }
}

fn refuse_rest(entry: &Object<'_>) -> Result<(), JsonError> {
    match entry.members().first() {
        Some(member) => {
            Err(JsonError::Type { key: member.key.to_string(), expected: "left out: an edit has no such member" })
        }
        None => Ok(()),
    }
}

/// # Errors
/// A member of the wrong form, neither a value nor a deletion, or both.
pub(super) fn body_edit(mut entry: Object<'_>) -> Result<BodyEdit, JsonError> {
    let filter = filter(&mut entry)?;
    let pointer = entry.string("pointer")?.ok_or_else(|| JsonError::Missing { key: "pointer".to_owned() })?;
    let value = entry.take("value").map(ToOwned::to_owned);
    let deletes = deletes(&mut entry)?;
    refuse_rest(&entry)?;
    match (deletes, value) {
        (true, None) => Ok(BodyEdit { filter, pointer, value: None }),
        (false, Some(value)) => Ok(BodyEdit { filter, pointer, value: Some(value) }),
        (true, Some(_)) | (false, None) => Err(JsonError::Missing { key: "value, or delete: true".to_owned() }),
    }
}

/// # Errors
/// As [`body_edit`].
pub(super) fn header_edit(mut entry: Object<'_>) -> Result<HeaderEdit, JsonError> {
    let filter = filter(&mut entry)?;
    let name = entry.string("name")?.ok_or_else(|| JsonError::Missing { key: "name".to_owned() })?;
    let value = entry.string("value")?;
    let deletes = deletes(&mut entry)?;
    refuse_rest(&entry)?;
    match (deletes, value) {
        (true, None) => Ok(HeaderEdit { filter, name, value: None }),
        (false, Some(value)) => Ok(HeaderEdit { filter, name, value: Some(value) }),
        (true, Some(_)) | (false, None) => Err(JsonError::Missing { key: "value, or delete: true".to_owned() }),
    }
}

/// Whom a native request asks.
///
/// # Errors
/// Neither a function nor a model, or both.
pub fn asked_of_native(function: Option<&str>, model: Option<&str>) -> Result<Asked, Error> {
    let text = |member: Option<&str>, key: &str| match member.filter(|text| *text != "null") {
        None => Ok(None),
        Some(text) => match json::string(text) {
            Some(name) => Ok(Some(name.into_owned())),
            None => Err(Error::from(JsonError::Type { key: key.to_owned(), expected: "a string" })),
        },
    };
    match (text(function, "function_name")?, text(model, "model_name")?) {
        (Some(name), None) => Ok(Asked::Function(name)),
        (None, Some(name)) => Ok(Asked::Model(name)),
        (Some(_), Some(_)) => Err(Error::invalid("either `function_name` or `model_name` can be given, not both")),
        (None, None) => Err(Error::invalid("`function_name` or `model_name` must be given")),
    }
}
