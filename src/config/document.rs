//! The file as written: every leaf with its place. One declaration per mapping of the file: the decoder, the JSON Schema and
//! the configuration reference all come from it.

pub mod cache;
pub mod collector;
pub mod content;
pub mod limits;
pub mod preset;
pub mod provider;
pub mod telemetry;
pub mod tensorzero;
pub mod tests;

use std::time::Duration;

use super::decode::leaf::{Choice, DurationText, Flag, Size, Text, Whole};
use super::decode::list::{List, Named, OneOrMore, PresetKey};
use super::decode::mapping;
use super::decode::secret::Secret;
use super::decode::texts::{Address, AnswerModelWord, Any, ExpiryText, ForeignReasoning, Timezone, Watch};
use super::decode::value::{Rules, Version};
use crate::source::{SourceText, Spanned};
use cache::CacheEntry;
use limits::RateLimitEntry;
pub use preset::{BodyEditsEntry, HeaderEditsEntry, PresetEntry, RetriesEntry, RouteText, TemplateEntry, TimeoutEntry};
pub use provider::{CredentialsEntry, EndpointEntry, EnvEntry, PricesEntry, ProviderEntry};
pub use telemetry::{AccessLogEntry, OtlpEntry, TelemetryEntry};
use tensorzero::TensorzeroEntry;
pub use tests::{TestEntry, TestExpect, TestGiven, TestRequest};

mapping! {
    /// The whole of `routeplane.yaml`. Every key may be left out.
    #[called = "the file"]
    #[derive(Debug, Clone, Default)]
    pub struct Document {
        /// The version of this format. Always 1.
        "version" default "1" => version: Option<Spanned<u64>> as Version,
        /// Address and port to listen at. Anything but a loopback address needs `keys`.
        "listen" default "127.0.0.1:4356" => listen: Option<Spanned<String>> as Text<Address>,
        /// Who may call, by the id of the key. Needed as soon as `listen` is not loopback.
        "keys" => keys: Vec<KeyEntry> as Named<KeyEntry>,
        /// Providers by name. A known provider needs no entry: a key in the environment activates it.
        "providers" => providers: Vec<ProviderEntry> as Named<ProviderEntry>,
        /// Named routes with their settings. A request asks for one by `@name` or by its name.
        "presets" => presets: Vec<PresetEntry> as Named<PresetEntry, PresetKey>,
        /// Rules, one a line, first match wins: `when CONDITION -> TARGET`, then `otherwise -> as requested`.
        "rules" default "otherwise -> as requested" => rules: Option<RulesEntry> as Rules,
        /// The clock of the facts `hour` and `weekday`: `UTC`, or the distance from it, such as `+02:00`. It knows no summer
        /// time.
        "timezone" default "UTC" => timezone: Option<Spanned<String>> as Text<Timezone>,
        /// The folder below which templates may include others. Without it, they may include those that this file names.
        "template_root" => template_root: Option<Spanned<String>> as Text<Any>,
        /// Callers may say in their requests which models and providers they want, and in which order: OpenRouter's `models` and
        /// `provider`, and `routing`. Rules and presets go first, and access is judged on every target.
        "allow_request_routing" default "false" => allow_request_routing: Option<Spanned<bool>> as Flag,
        /// Callers may ask with the header `x-routeplane-explain: 1` why a request went where it went. Without it, they may where
        /// no `keys` are asked for.
        "allow_explain" => allow_explain: Option<Spanned<bool>> as Flag,
        /// Tests that `routeplane check` decides offline.
        "tests" => tests: Vec<TestEntry> as List<TestEntry>,
        /// How long a request may take, for every target that no preset says otherwise of.
        "timeout" => timeout: Option<TimeoutEntry> as TimeoutEntry,
        /// When and how often one target is tried again, for every target that no preset says otherwise of.
        "retries" => retries: Option<RetriesEntry> as RetriesEntry,
        /// What becomes of another vendor's reasoning, for every target that no preset says otherwise of: `strip`, `text` or
        /// `skip`.
        "on_foreign_reasoning" default "strip" => on_foreign_reasoning: Option<Spanned<String>> as Choice<ForeignReasoning>,
        /// Which name answers give the model, for every target that no preset says otherwise of: that of the `upstream`, or the
        /// one that the caller `asked` for.
        "answer_model" default "upstream" => answer_model: Option<Spanned<String>> as Choice<AnswerModelWord>,
        /// The surface of a TensorZero gateway, for its clients.
        "tensorzero" => tensorzero: Option<TensorzeroEntry> as TensorzeroEntry,
        /// Limits of the server.
        "limits" => limits: Option<LimitsEntry> as LimitsEntry,
        /// How much callers may have of models, by name: for everybody, or for each key, user or tag.
        "rate_limits" => rate_limits: Vec<RateLimitEntry> as Named<RateLimitEntry>,
        /// What is kept in memory of answers, for `previous_response_id` of OpenAI Responses.
        "responses" => responses: Option<ResponsesEntry> as ResponsesEntry,
        /// What is kept in memory of answers for requests with the same content. Only presets with `cache`, and requests of
        /// TensorZero's clients with `cache_options`, use it.
        "cache" => cache: Option<CacheEntry> as CacheEntry,
        /// Files and batches that callers keep at a provider.
        "files" => files: Option<FilesEntry> as FilesEntry,
        /// How changes of this file are noticed.
        "reload" => reload: Option<ReloadEntry> as ReloadEntry,
        /// One line for each model call: to `stdout`, `stderr`, or a file.
        "access_log" => access_log: Option<AccessLogEntry> as AccessLogEntry,
        /// Export to an OpenTelemetry collector.
        "telemetry" => telemetry: Option<TelemetryEntry> as TelemetryEntry,
    }
}

mapping! {
    /// A key that callers present, and what is known of its holder. `ci: env:CI_KEY` is `ci: { key: env:CI_KEY }`. Other
    /// keys are attributes, which rules read as `key.team`.
    #[called = "a client key"]
    #[derive(Debug, Clone)]
    pub struct KeyEntry named name, faulty faulty, rest attributes, short "key", {
        /// The key itself.
        "key" => key: Option<Spanned<SecretText>> as Secret,
        /// Until when it opens anything: a date, which begins at midnight UTC, or a point in time.
        "expires" => expires: Option<Spanned<String>> as Text<ExpiryText>,
        /// It opens nothing for now.
        "disabled" default "false" => disabled: Option<Spanned<bool>> as Flag,
        /// Its holder may, or may not, say in its requests which models and providers it wants, whatever the file says for
        /// everybody.
        "allow_request_routing" => allow_request_routing: Option<Spanned<bool>> as Flag,
        /// Its holder may, or may not, ask with `x-routeplane-explain`, whatever the file says for everybody.
        "allow_explain" => allow_explain: Option<Spanned<bool>> as Flag,
        /// Its holder may use the console and `/admin/`, from other machines too: look at every call, and reload the file.
        "admin" default "false" => admin: Option<Spanned<bool>> as Flag,
    }
}

/// A secret as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretText {
    /// `env:NAME`.
    Env(String),
    /// `file:/run/secrets/x`.
    File(String),
    /// `request:NAME`: a credential that each request brings itself.
    Request(String),
    /// Anything else: the key itself. Kept out of `Debug` output.
    Literal(LiteralSecret),
}

/// A key written in the file. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct LiteralSecret(pub String);

impl std::fmt::Debug for LiteralSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LiteralSecret(***)")
    }
}

/// The `rules:` block.
#[derive(Debug, Clone)]
pub struct RulesEntry {
    pub text: SourceText,
}

mapping! {
    /// Limits of the server.
    #[called = "the limits"]
    #[derive(Debug, Clone, Default)]
    pub struct LimitsEntry {
        /// Most bytes that the body of a request may have.
        "body" => body: Option<Spanned<u64>> as Size,
        /// Most connections at a time.
        "connections" => connections: Option<Spanned<u64>> as Whole,
        /// How long requests in flight may still take when the gateway stops.
        "drain" => drain: Option<Spanned<Duration>> as DurationText,
    }
}

mapping! {
    /// What is kept in memory of answers that later calls of OpenAI Responses may go on from. The oldest make room.
    #[called = "the setting of kept answers"]
    #[derive(Debug, Clone, Default)]
    pub struct ResponsesEntry {
        /// How long an answer is kept.
        "ttl" default "24h" => ttl: Option<Spanned<Duration>> as DurationText,
        /// How many answers; `0` keeps none.
        "entries" default "10000" => entries: Option<Spanned<u64>> as Whole,
        /// Most bytes of all of them together.
        "memory" default "64MiB" => memory: Option<Spanned<u64>> as Size,
    }
}

mapping! {
    /// Files and batches that callers keep at a provider. They belong to the provider's account, so that whoever may see some
    /// of them sees all, unless `per_key` tells them apart.
    #[called = "the setting of files"]
    #[derive(Debug, Clone, Default)]
    pub struct FilesEntry {
        /// The provider that keeps them where a request does not name one in the header `x-routeplane-provider`. Without it, the
        /// only one that can.
        "default_provider" => default_provider: Option<Spanned<String>> as Text<Any>,
        /// The client keys whose holders share them, by their ids. Without it nobody may have any, unless there is one key at
        /// most, or `per_key` is on.
        "keys" => keys: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// Each client key has what was made with it since the gateway started, and finds nothing else.
        "per_key" default "false" => per_key: Option<Spanned<bool>> as Flag,
    }
}

mapping! {
    /// How changes of this file are noticed.
    #[called = "the reload setting"]
    #[derive(Debug, Clone, Default)]
    pub struct ReloadEntry {
        /// `auto` watches and falls back to polling, `poll` only polls, `off` waits for a signal or command.
        "watch" default "auto" => watch: Option<Spanned<String>> as Choice<Watch>,
        /// Pause between two looks when polling.
        "poll_interval" => poll_interval: Option<Spanned<Duration>> as DurationText,
        /// Accept a file that lost half of its routes or all of its rules; otherwise it counts as half written.
        "allow_shrink" default "false" => allow_shrink: Option<Spanned<bool>> as Flag,
    }
}
