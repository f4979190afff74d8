//! The surface of a TensorZero gateway, as far as it is no wire format: names, episodes, functions, feedback.
//!
//! | file | what it does |
//! |---|---|
//! | `doors` | from method and path to what the caller wants |
//! | `names` | what functions, variants and models mean here |
//! | `ids` | ids of inferences and episodes |
//! | `tools` | the tools of a function, and those of a request |
//! | `provider_tools` | the tools of a request that the upstream runs itself |
//! | `dynamic` | variants that come with a request |
//! | `edits` | edits of the upstream's request that the caller asks for |
//! | `traces` | what the caller adds to the export of its trace |
//! | `failed` | what a caller is told when nothing answered |
//! | `feedback` | what is said of an answer afterwards |
//! | `other` | the list of models, the state, and what is not here |

pub mod doors;
mod dynamic;
mod edits;
mod failed;
mod feedback;
mod ids;
mod names;
pub mod other;
mod provider_tools;
mod tools;
mod traces;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use uuid::Uuid;

use super::Gateway;
use super::ingress;
use super::respond::Trail;
use crate::live::Live;
use crate::provider::Provider;
use crate::provider::cost::Tariff;
use crate::state::inferences::Known;
use crate::table::settings::Settings;
use crate::table::tensorzero::{Function, FunctionKind};
use crate::table::{Attempt, RoutingTable};
use crate::telemetry::Entry;
use crate::wire::envelope::Envelope;
use crate::wire::ir::{self, Error};
use crate::wire::structured::mode::JsonMode;
use crate::wire::tensorzero::call::{Asked, Cache as CacheOptions, Call};
use crate::wire::tensorzero::{self as wire, Face, FailedTry, Told};
use crate::wire::{Inbound, ProtocolId};

/// The version of TensorZero whose surface this is, by which its clients know what they talk to.
pub const VERSION: &str = "2026.6.0";

/// One call of the surface.
pub struct Inference<'l> {
    face: Face,
    call: Call,
    inference_id: Uuid,
    episode_id: Uuid,
    /// What the name that was asked for means: a preset with its `@`, or a target.
    meaning: Cow<'l, str>,
    function: Option<&'l Function>,
    table: &'l RoutingTable,
    tools: tools::Offered,
    /// Seconds since 1970.
    now: u64,
    /// The variant that the request brings.
    brought: Option<Box<dynamic::Compiled>>,
    /// What tries that failed were answered, where the caller wants to see it.
    failed: failed::Tries,
}

/// Notes what a call of the surface adds to the export of its trace; nothing for every other call.
///
/// # Errors
/// An addition that no export can have.
pub fn note_additions(call: &ingress::Call<'_>, headers: &HeaderMap, entry: &mut Entry) -> Result<(), Error> {
    if Face::of(call.protocol, call.operation).is_some()
        && let Some(extra) = traces::extra(headers)?
    {
        entry.exports_with(&extra);
    }
    Ok(())
}

/// Reads what a call of the surface says beyond its conversation; `None` for every other call. The request is read to its end
/// here: what is wrong with it is wrong at every target.
///
/// # Errors
/// A request that no target could answer.
pub fn begin<'l>(
    live: &'l Live,
    call: &ingress::Call<'_>,
    inbound: &'static dyn Inbound,
    (envelope, body): (&Envelope<'_>, &Bytes),
) -> Result<Option<(Inference<'l>, Option<ir::Request>)>, Error> {
    let (Some(face), Some(surface)) = (Face::of(call.protocol, call.operation), live.table.tensorzero.as_deref())
    else {
        return Ok(None);
    };
    let asked = wire::asked(face, envelope)?;
    let call_read = wire::call::read(face, asked, envelope)?;
    let now = super::now();
    let episode_id = match &call_read.episode_id {
        Some(text) => ids::of_caller(text)?,
        None => Uuid::now_v7(),
    };
    let request = match face {
        Face::Embeddings => {
            let codec = call.protocol.codec().and_then(|codec| codec.embeddings_in());
            codec.map(|codec| codec.decode_request(&call.head(), body)).transpose()?;
            None
        }
        Face::Native | Face::Chat => Some(inbound.decode_request(&call.head(), body)?),
    };
    let names::Meaning { function, mut meaning } = names::of(&call_read, surface)?;
    names::check_filters(&call_read, surface, function)?;
    provider_tools::check(&call_read, surface, &live.table)?;
    let mut brought = None;
    if let (Some(variant), Some(function)) = (&call_read.brought, function) {
        let (compiled, model) = dynamic::compile(variant, function, (surface, &call_read))?;
        (brought, meaning) = (Some(Box::new(compiled)), Cow::Owned(model));
    }
    let tools = tools::offered(&call_read, request.as_ref(), function, surface)?;
    let inference = Inference {
        face,
        call: call_read,
        inference_id: Uuid::now_v7(),
        episode_id,
        meaning,
        function,
        table: &live.table,
        tools,
        now,
        brought,
        failed: failed::Tries::default(),
    };
    Ok(Some((inference, request)))
}

impl<'l> Inference<'l> {
    /// The name by which the request is routed.
    pub fn meaning(&self) -> &str {
        &self.meaning
    }

    /// What sticky choices stick to.
    pub fn episode(&self) -> Uuid {
        self.episode_id
    }

    /// A credential of the caller's, for providers that take theirs from requests.
    pub fn credential(&self, name: &str) -> Option<&str> {
        self.call.credentials.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The settings of each attempt where the request brings a variant of its own.
    pub fn settings(&self, attempts: &[Attempt<'_>]) -> Option<Vec<Settings>> {
        self.brought.as_ref().map(|variant| variant.around(attempts))
    }

    /// Puts into a request what belongs to the function and to no variant of it.
    ///
    /// # Errors
    /// A tool for an upstream that takes none of its own.
    pub fn shape(&self, request: &mut ir::Request, attempt: &Attempt<'_>, protocol: ProtocolId) -> Result<(), Error> {
        self.tools.put(request, provider_tools::fitting(self, attempt, protocol)?);
        // Before a text that a template makes it stands by now.
        if let Some(system) = attempt.settings.system.as_ref().filter(|_| !attempt.settings.prompts.has_system()) {
            let text = ir::Part::Text(ir::Text::new(system.to_string()));
            request.messages.insert(0, wire::system_message(text));
        }
        let mode = attempt.settings.answers.json_mode;
        if let Some(schema) = self.call.output_schema.as_ref().filter(|_| self.is_json())
            && matches!(mode, Some(JsonMode::Strict | JsonMode::Tool) | None)
        {
            request.output = Some(wire::strict_output(schema.clone()));
        }
        if protocol == ProtocolId::OpenAiChat && mode.is_none() {
            wire::ask_for_json(request);
        }
        Ok(())
    }

    /// How the call wants to use the cache, and whether it is a dry run.
    pub fn cache(&self) -> Option<(&CacheOptions, bool)> {
        self.call.cache.as_ref().map(|options| (options, self.call.dryrun))
    }

    /// The caller's own tags.
    pub fn own_tags(&self) -> &[(String, String)] {
        &self.call.tags
    }

    fn is_json(&self) -> bool {
        self.function.is_some_and(|function| function.kind == FunctionKind::Json)
    }

    /// The schema of a JSON function's answers.
    fn schema(&self) -> Option<&str> {
        let own = self.call.output_schema.as_deref().map(serde_json::value::RawValue::get);
        own.or_else(|| self.function.and_then(|function| function.output_schema.as_deref()))
    }

    /// The variant that answers.
    fn variant(&self, attempt: &Attempt<'_>) -> String {
        match &self.call.asked {
            Asked::Model(name) | Asked::EmbeddingModel(name) => name.clone(),
            Asked::Function(_) => {
                let known = attempt.settings.variant.as_deref().or(self.call.variant.as_deref());
                known.unwrap_or_default().to_owned()
            }
        }
    }

    /// What the answer of a try tells of itself. `cached`: it comes from the cache.
    pub fn told(&self, attempt: &Attempt<'_>, protocol: ProtocolId, tariff: Tariff, cached: bool) -> Arc<Told> {
        let variant = self.variant(attempt);
        let name = match &self.call.asked {
            Asked::Function(_) => format!("{}::variant_name::{variant}", self.call.asked.name()),
            Asked::Model(_) | Asked::EmbeddingModel(_) => self.call.asked.name(),
        };
        let (provider_type, api_type) = self.kinds(attempt.provider, protocol);
        Arc::new(Told {
            inference_id: self.inference_id.to_string(),
            episode_id: self.episode_id.to_string(),
            name,
            variant,
            json: self.is_json(),
            schema: self.schema().map(Into::into),
            include_usage: self.call.include_usage,
            raws: self.call.raws,
            include_aggregated: self.call.include_aggregated,
            failed: self.failures(),
            cached,
            called: self.is_json() && attempt.settings.answers.json_mode == Some(JsonMode::Tool),
            model_inference_id: Uuid::now_v7().to_string(),
            provider_type,
            api_type,
            now: self.now,
            // TensorZero knows the prices that its file gives, and no others; what comes from the cache has no cost.
            price: Box::new(move |usage| tariff.cost(usage).filter(|_| tariff.written && !cached)),
        })
    }

    /// Whether the caller wants to see what tries that fail are answered.
    pub fn shows_failures(&self) -> bool {
        self.call.raws.response
    }

    /// Keeps what a try that has failed was answered.
    pub fn hear_failure(&self, attempt: &Attempt<'_>, protocol: ProtocolId, body: &[u8]) {
        let (provider_type, api_type) = self.kinds(attempt.provider, protocol);
        let body = String::from_utf8_lossy(body).into_owned();
        self.failed.add(FailedTry { provider_type, api_type, body });
    }

    fn failures(&self) -> Vec<FailedTry> {
        if self.shows_failures() { self.failed.so_far() } else { Vec::new() }
    }

    /// Writes the error that the caller gets after tries that failed.
    pub fn write_error(&self, error: &Error, out: &mut Vec<u8>) {
        wire::write_error(self.face, error, &self.failures(), out);
    }

    fn kinds(&self, provider: &Provider, protocol: ProtocolId) -> (&'static str, &'static str) {
        let (kind, api) = kinds(provider, protocol);
        (kind, if self.face == Face::Embeddings { "embeddings" } else { api })
    }

    /// The upstream's body with the caller's own edits.
    ///
    /// # Errors
    /// An edit that does not fit the body.
    pub fn edit_body(
        &self,
        body: crate::upstream::Pieces,
        attempt: &Attempt<'_>,
    ) -> Result<crate::upstream::Pieces, Error> {
        edits::body(body, &self.edits_of(attempt))
    }

    /// The upstream's headers with the caller's own edits.
    pub fn edit_headers(&self, headers: &mut HeaderMap, attempt: &Attempt<'_>) {
        edits::headers(headers, &self.edits_of(attempt));
    }

    fn edits_of<'a>(&'a self, attempt: &'a Attempt<'_>) -> edits::Edits<'a> {
        edits::Edits {
            call: &self.call,
            variant: attempt.settings.variant.as_deref(),
            provider: &attempt.provider.name,
        }
    }

    /// Notes an answer that begins, for feedback, and for the record of the call.
    pub fn answered(&self, gateway: &Gateway, trail: &Trail, attempt: &Attempt<'_>) {
        if self.face == Face::Embeddings {
            return;
        }
        let known = Known {
            episode_id: self.episode_id,
            request_id: (&*trail.request_id).into(),
            place: trail.entry.place(),
            function: self.call.asked.name().into(),
            variant: self.variant(attempt).into(),
        };
        if !self.call.dryrun {
            gateway.inferences.keep(self.inference_id, known);
        }
    }

    /// The tags of the call: the caller's own, and the names by which feedback finds it.
    pub fn tags(&self) -> Vec<(Box<str>, Box<str>)> {
        let own = self.call.tags.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into()));
        let ids = [
            ("tensorzero.inference_id", self.inference_id.to_string()),
            ("tensorzero.episode_id", self.episode_id.to_string()),
        ];
        ids.into_iter().map(|(key, value)| (key.into(), value.into())).chain(own).collect()
    }
}

/// TensorZero's types of providers that have the same name here.
const SAME_NAME: [&str; 12] = [
    "azure",
    "deepseek",
    "fireworks",
    "groq",
    "hyperbolic",
    "mistral",
    "openrouter",
    "sglang",
    "tgi",
    "together",
    "vllm",
    "xai",
];

/// TensorZero's names of a provider's kind and of its API: by the known provider that it is or is like, else by the protocol
/// that is spoken.
fn kinds(provider: &Provider, protocol: ProtocolId) -> (&'static str, &'static str) {
    let known = provider.known.as_deref().unwrap_or_default();
    let (kind, api) = kinds_of_protocol(protocol);
    let kind = match (known, protocol) {
        ("bedrock", _) => "aws_bedrock",
        ("vertex", ProtocolId::AnthropicMessages) => "gcp_vertex_anthropic",
        ("vertex", ProtocolId::Gemini) => "gcp_vertex_gemini",
        _ => SAME_NAME.into_iter().find(|name| *name == known).unwrap_or(kind),
    };
    (kind, api)
}

fn kinds_of_protocol(protocol: ProtocolId) -> (&'static str, &'static str) {
    match protocol {
        ProtocolId::OpenAiChat | ProtocolId::TensorZero | ProtocolId::TensorZeroChat => ("openai", "chat_completions"),
        ProtocolId::OpenAiResponses => ("openai", "responses"),
        ProtocolId::AnthropicMessages => ("anthropic", "chat_completions"),
        ProtocolId::Gemini => ("google_ai_studio_gemini", "chat_completions"),
        ProtocolId::BedrockConverse => ("aws_bedrock", "chat_completions"),
    }
}

pub use failed::{failed, undecided};
