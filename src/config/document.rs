//! The file as written: every leaf with its place. One declaration per mapping of the file: the decoder, the JSON Schema and
//! the configuration reference all come from it.

pub mod cache;
pub mod collector;
pub mod content;
pub mod limits;
pub mod tensorzero;

use std::time::Duration;

use super::decode::json::{Json, QuirksText};
use super::decode::leaf::{Choice, DurationText, Flag, Fraction, Price, Protocol, Size, Text, Whole, Word};
use super::decode::list::{AnyKey, ByProtocol, HeaderKey, List, Map, Named, OneOrMore, PresetKey};
use super::decode::mapping;
use super::decode::secret::{HeaderValue, Keys, Secret};
use super::decode::texts::{
    Address, AnswerModelWord, Any, DegradePolicy, ExpiryText, FactWord, FallThroughWord, ForeignReasoning, HostingWord,
    InvalidPolicy, JsonModeWord, LaneWord, LineWord, LossPolicy, Moment, OtlpWord, OutputFact, ProtocolFact,
    ReasoningFact, RetryAround, Sticky, TemplateForm, TimeoutAround, Timezone, Transport, Url, Variable, Watch,
    WeekdayFact,
};
use super::decode::value::{RetryOn, Route, Rules, Version};
use crate::source::{SourceText, Span, Spanned};
use crate::wire::ProtocolId;
use crate::wire::quirk::Quirks;
use cache::{CacheEntry, PresetCacheEntry};
use collector::OtlpTlsEntry;
use content::TraceContentEntry;
use limits::RateLimitEntry;
use tensorzero::TensorzeroEntry;

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

mapping! {
    /// One provider, in the user's file or in `presets/providers/NAME.yaml` (the same keys; the user's win).
    #[called = "a provider"]
    #[derive(Debug, Clone)]
    pub struct ProviderEntry named name, spanned span: Span, faulty faulty, {
        /// The known provider that it is another one of: what this entry does not say is as it is there. Without it, the known
        /// provider of the same name, where there is one.
        "like" => like: Option<Spanned<String>> as Text<Any>,
        /// Its name for people.
        "title" => title: Option<Spanned<String>> as Text<Any>,
        /// Where its API is described.
        "docs" => docs: Option<Spanned<String>> as Text<Any>,
        /// The protocols it speaks, in order of preference.
        "protocols" alias "protocol" => protocols: Option<Vec<Spanned<ProtocolId>>> as OneOrMore<Protocol>,
        /// What the vendor's own SDK takes, e.g. `https://api.openai.com/v1`.
        "base_url" => base_url: Option<Spanned<String>> as Text<Url>,
        /// A pool of keys: a 429 cools one key, not the provider. `request:NAME` is the credential of this name that a request brings;
        /// `{ default: request:NAME, fallback: env:NAME }` is the first of both that is there.
        "keys" alias "key" => keys: Option<Vec<Spanned<SecretText>>> as Keys,
        /// How the key travels: `bearer`, `none` or `header:NAME`; or who a cloud is asked as: `aws-sigv4`, `google-oauth` or
        /// `azure-entra`. Of a list the first holds whose key or identity is there.
        "auth" default "bearer" => auth: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// The identity at a cloud. What is absent is looked for where the vendor's own SDKs look: in the environment, in
        /// their files, at the machine's metadata service.
        "credentials" => credentials: Option<CredentialsEntry> as CredentialsEntry,
        /// AWS: where it is called and what its requests are signed for. Fills `{region}`.
        "region" => region: Option<Spanned<String>> as Text<Any>,
        /// Google Cloud: whose quota is used. Fills `{project}`.
        "project" => project: Option<Spanned<String>> as Text<Any>,
        /// Google Cloud: where it is called; `global` is a place, too. Fills `{location}`.
        "location" => location: Option<Spanned<String>> as Text<Any>,
        /// Headers sent with every request; values may be references to secrets.
        "headers" => headers: Vec<(Spanned<String>, Spanned<SecretText>)> as Map<HeaderKey, HeaderValue>,
        /// Where a protocol is spoken elsewhere than at `base_url`.
        "endpoints" => endpoints: Vec<(Spanned<ProtocolId>, EndpointEntry)> as ByProtocol<EndpointEntry>,
        /// What else it can do, of what is relayed in OpenAI's shapes: `rerank`, `completions`, `moderations`, `images`,
        /// `image_edits`, `image_variations`, `speech`, `transcriptions`, `translations`, `files`, `batches`, `uploads`. Without
        /// it, what the provider file lists; a provider that only this file describes is asked for all but the last three.
        "operations" => operations: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// Models it serves, besides those of the catalogue. Others pass through all the same.
        "models" => models: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// The catalogue's name for it, where that differs from its own.
        "catalogue" => catalogue: Option<Spanned<String>> as Text<Any>,
        /// How it deviates from the protocol it speaks.
        "quirks" => quirks: Option<Spanned<Quirks>> as QuirksText,
        /// What more some models deviate in, by the pattern of their ids: `{ "o1-mini*": { developer_as_system: true } }`. A `*`
        /// stands for any text. Every pattern that matches adds to `quirks`.
        "model_quirks" => model_quirks: Vec<(Spanned<String>, Spanned<Quirks>)> as Map<AnyKey, QuirksText>,
        /// What models cost, by the pattern of their ids: `{ "qwen3-*": { input: 0.1, output: 0.3 } }`. A `*` stands for any
        /// text; an id without one wins over patterns, and of several patterns the first. An entry takes the place of the
        /// catalogue's prices altogether.
        "prices" => prices: Vec<(Spanned<String>, PricesEntry)> as Map<AnyKey, PricesEntry>,
        /// A stream that passes through Chat Completions is asked for its usage (`stream_options.include_usage`) also where the
        /// caller did not ask, and the chunk that answers is taken out again. `false`: such a stream is counted by estimate.
        "include_usage" default "true" => include_usage: Option<Spanned<bool>> as Flag,
        /// `demo` is the embedded provider, in process and without a socket.
        "transport" default "http" => transport: Option<Spanned<String>> as Choice<Transport>,
        /// Variables that activate and redirect it.
        "env" => env: Option<EnvEntry> as EnvEntry,
    }
}

mapping! {
    /// An identity at a cloud: references to secrets, and names.
    #[called = "an identity"]
    #[derive(Debug, Clone, Default)]
    pub struct CredentialsEntry {
        /// AWS: the profile of `~/.aws/credentials` and `~/.aws/config`.
        "profile" => profile: Option<Spanned<String>> as Text<Any>,
        /// AWS: the id of an access key.
        "access_key_id" => access_key_id: Option<Spanned<SecretText>> as Secret,
        /// AWS: the secret of that key.
        "secret_access_key" => secret_access_key: Option<Spanned<SecretText>> as Secret,
        /// AWS: the session that the key belongs to, where it is a temporary one.
        "session_token" => session_token: Option<Spanned<SecretText>> as Secret,
        /// AWS: the role to take on, by `token_file`.
        "role_arn" => role_arn: Option<Spanned<String>> as Text<Any>,
        /// AWS and Azure: a file with a token that another issuer (Kubernetes, a build service) keeps fresh.
        "token_file" => token_file: Option<Spanned<String>> as Text<Any>,
        /// Google Cloud: the JSON key of a service account, or the file of `gcloud auth application-default login`.
        "key_file" => key_file: Option<Spanned<String>> as Text<Any>,
        /// Azure: the directory.
        "tenant_id" => tenant_id: Option<Spanned<String>> as Text<Any>,
        /// Azure: the application, or the managed identity.
        "client_id" => client_id: Option<Spanned<String>> as Text<Any>,
        /// Azure: the secret of the application.
        "client_secret" => client_secret: Option<Spanned<SecretText>> as Secret,
    }
}

impl CredentialsEntry {
    /// Every reference to a secret.
    pub fn secrets(&self) -> impl Iterator<Item = &Spanned<SecretText>> {
        [&self.access_key_id, &self.secret_access_key, &self.session_token, &self.client_secret].into_iter().flatten()
    }
}

mapping! {
    /// What a model costs, in USD per million tokens.
    #[called = "the prices of a model"]
    #[derive(Debug, Clone, Default)]
    pub struct PricesEntry {
        /// Input that no cache saved.
        "input" => input: Option<Spanned<f64>> as Price,
        /// Output, reasoning included.
        "output" => output: Option<Spanned<f64>> as Price,
        /// Input that was read from a cache; where it is absent, the price of `input`.
        "cache_read" => cache_read: Option<Spanned<f64>> as Price,
        /// Input that was written to a cache; where it is absent, the price of `input`.
        "cache_write" => cache_write: Option<Spanned<f64>> as Price,
    }
}

mapping! {
    /// One protocol of a provider, where something differs from the provider's own settings.
    #[called = "an endpoint"]
    #[derive(Debug, Clone)]
    pub struct EndpointEntry {
        /// What the vendor's own SDK takes for this protocol.
        "base_url" => base_url: Option<Spanned<String>> as Text<Url>,
        /// How the key travels here, as in `auth` of a provider.
        "auth" => auth: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// Paths that differ from the protocol's own, with `{model}` in them, or whole URLs, by operation: `generate`, `stream`,
        /// `embed`, `count_tokens`, and the names that `operations` knows. `none` says that it lacks `embed` or `count_tokens`.
        "paths" => paths: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
        /// Headers sent with every request of this protocol.
        "headers" => headers: Vec<(Spanned<String>, Spanned<SecretText>)> as Map<HeaderKey, HeaderValue>,
        /// The models that are served over this protocol, by patterns of their ids in which `*` stands for any text; a pattern
        /// that begins with `!` names models that are not. Without it, all of them.
        "models" => models: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// Whose service speaks the protocol here: its inventor's (`own`), or a cloud's, which serves Anthropic Messages at paths
        /// of its own (`vertex`, `bedrock`).
        "hosting" default "own" => hosting: Option<Spanned<String>> as Choice<HostingWord>,
        /// The betas of Anthropic that are taken here, by pattern; others that a caller asks for are left out, and reported.
        /// Absent: all are taken.
        "betas" => betas: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// How it deviates from this protocol.
        "quirks" => quirks: Option<Spanned<Quirks>> as QuirksText,
    }
}

mapping! {
    /// Environment variables of a provider. Of several names the first that is set wins.
    #[called = "the variables of a provider"]
    #[derive(Debug, Clone, Default)]
    pub struct EnvEntry {
        /// Variables that hold a key, and activate the provider.
        "key" => key: Vec<Spanned<String>> as OneOrMore<Text<Variable>>,
        /// Variables that say who a cloud is asked as. One of them activates the provider.
        "identity" => identity: Vec<Spanned<String>> as OneOrMore<Text<Variable>>,
        /// Variables that replace `base_url`.
        "base_url" => base_url: Vec<Spanned<String>> as OneOrMore<Text<Variable>>,
        /// It works without a key, as local servers do.
        "key_optional" default "false" => key_optional: Option<Spanned<bool>> as Flag,
        /// Placeholders of `base_url`: `{ endpoint: [AZURE_OPENAI_ENDPOINT, "https://{AZURE_RESOURCE_NAME}.openai.azure.com"] }`.
        /// An alternative is a variable, a text with `{VARIABLE}` in it, or a text that stands for itself.
        "variables" => variables: Vec<(Spanned<String>, Vec<Spanned<String>>)> as Map<AnyKey, OneOrMore<Text<Any>>>,
        /// Hosts that are not called as the placeholders make them: `{ global-aiplatform.googleapis.com: aiplatform.googleapis.com }`.
        "hosts" => hosts: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
    }
}

mapping! {
    /// A named route with its settings. `cheap: openai/gpt-5-mini` is `cheap: { route: openai/gpt-5-mini }`.
    #[called = "a preset"]
    #[derive(Debug, Clone)]
    pub struct PresetEntry named name, spanned span: Span, faulty faulty, short "route", {
        /// A target expression; a list means fallback order.
        "route" => route: Option<RouteText> as Route,
        /// `user`, `session`, `episode` or `header:NAME`: what keeps a `split` from being drawn anew. An episode is named by the
        /// header `x-routeplane-episode`, and is drawn as TensorZero draws it.
        "sticky" => sticky: Option<Spanned<String>> as Text<Sticky>,
        /// A system text put before the caller's own.
        "system" => system: Option<Spanned<String>> as Text<Any>,
        /// Parameters that a request overrides: `max_tokens`, `temperature`, ...
        "params" => params: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Json>,
        /// Parameters that a request cannot change.
        "override" => override_: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Json>,
        /// MiniJinja templates by name. `system`, `user` and `assistant` are those of the roles; a request brings arguments for any of
        /// them in a part `{ "type": "template", "name": ..., "arguments": {...} }`.
        "templates" => templates: Vec<(Spanned<String>, TemplateEntry)> as Map<AnyKey, TemplateEntry>,
        /// Templates around every plain text of a role: `{ user: prompts/user.j2 }`. The text is `system_text`, `user_text` or
        /// `assistant_text`.
        "wrappers" => wrappers: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
        /// What the arguments of templates must satisfy: files with a JSON Schema, by the template's name.
        "arguments" => arguments: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Json>,
        /// How long a request may take.
        "timeout" => timeout: Option<TimeoutEntry> as TimeoutEntry,
        /// When and how often one target is tried again.
        "retries" => retries: Option<RetriesEntry> as RetriesEntry,
        /// After a failure that says that the request is wrong, no other target is asked (`usual`), or the next one all the same
        /// (`any`).
        "fall_through" default "usual" => fall_through: Option<Spanned<String>> as Choice<FallThroughWord>,
        /// Headers set on and removed from the upstream's request.
        "headers" => headers: Option<HeaderEditsEntry> as HeaderEditsEntry,
        /// Members set in and removed from the upstream's body; of a list one after the other.
        "body" => body: Vec<BodyEditsEntry> as OneOrMore<BodyEditsEntry>,
        /// A JSON Schema for the answers of requests that ask for none: the schema itself, or the path of a `.json` file.
        "output" => output: Option<Spanned<String>> as Json,
        /// How the form is asked for where the request names none: not at all (`off`), as any JSON (`on`), by the target's own means
        /// for `output` (`strict`), or as the arguments of a tool that must be called (`tool`).
        "json_mode" => json_mode: Option<Spanned<String>> as Choice<JsonModeWord>,
        /// An answer that does not have the form that was asked for passes unseen (`pass`), is mended where that invents
        /// nothing (`repair`), is asked for once more (`retry`), makes way for the next target (`fallback`), or becomes an
        /// error (`error`). With `repair`, `retry` and `fallback` a stream is held until its end.
        "on_invalid" default "pass" => on_invalid: Option<Spanned<String>> as Choice<InvalidPolicy>,
        /// Whether a target that can only be asked in words for a form may be asked (`allow`) or not (`refuse`).
        "degrade" default "allow" => degrade: Option<Spanned<String>> as Choice<DegradePolicy>,
        /// A request that a target of another protocol could only carry in part is sent (`allow`), sent with a line in the
        /// log (`warn`), or not sent to that target (`refuse`).
        "on_loss" default "allow" => on_loss: Option<Spanned<String>> as Choice<LossPolicy>,
        /// An answer to the same request of the same key may be given again: `10m` for as long as that. Without it every request is
        /// answered anew.
        "cache" => cache: Option<PresetCacheEntry> as PresetCacheEntry,
        /// The text of prompts and answers is on the spans that go to the collector, without secrets and cut to a length. Without it,
        /// no such text is anywhere.
        "trace_content" => trace_content: Option<TraceContentEntry> as TraceContentEntry,
        /// A target cannot read the signatures of another vendor's reasoning. They stay behind (`strip`), the thoughts that were
        /// shown go as plain text in their place (`text`), or the target is not asked while a tool call waits for its answer
        /// (`skip`).
        "on_foreign_reasoning" default "strip" => on_foreign_reasoning: Option<Spanned<String>> as Choice<ForeignReasoning>,
        /// Which name answers give the model: that of the `upstream`, or the one that the caller `asked` for, which clients want that
        /// compare the two.
        "answer_model" default "upstream" => answer_model: Option<Spanned<String>> as Choice<AnswerModelWord>,
    }
}

mapping! {
    /// A template. `system: prompts/system.j2` is `system: { path: prompts/system.j2 }`.
    #[called = "a template"]
    #[derive(Debug, Clone)]
    pub struct TemplateEntry short "path", {
        /// Its file, from the folder of the configuration. `.html` and `.xml` are escaped as HTML, `.json`, `.yaml` and `.js` as
        /// JSON, whether `.j2`, `.jinja` or `.jinja2` follows or not.
        "path" => path: Option<Spanned<String>> as Text<Any>,
        /// `named` is made of arguments that a request brings for it. `legacy`, of a role and without a schema, is made of every
        /// plain text of the role: `system_text`, `user_text`, `assistant_text`.
        "form" default "named" => form: Option<Spanned<String>> as Choice<TemplateForm>,
    }
}

/// A target expression as written.
#[derive(Debug, Clone)]
pub enum RouteText {
    /// The whole expression.
    Expression(SourceText),
    /// A YAML list: fallback order.
    List(Vec<SourceText>),
}

/// The `rules:` block.
#[derive(Debug, Clone)]
pub struct RulesEntry {
    pub text: SourceText,
}

mapping! {
    /// How long each phase may take. `timeout: 30s` is `timeout: { total: 30s }`.
    #[called = "a timeout"]
    #[derive(Debug, Clone, Default)]
    pub struct TimeoutEntry short "total", {
        /// TCP and TLS.
        "connect" default "5s" => connect: Option<Spanned<Duration>> as DurationText,
        /// From the request to the first content.
        "first_token" default "2m" => first_token: Option<Spanned<Duration>> as DurationText,
        /// Between two events of a stream.
        "idle" default "5m" => idle: Option<Spanned<Duration>> as DurationText,
        /// All attempts together, to the last byte.
        "total" default "30m" => total: Option<Spanned<Duration>> as DurationText,
        /// In place of `total`, for answers that are not streamed.
        "whole" => whole: Option<Spanned<Duration>> as DurationText,
        /// In place of `total`, for streams.
        "stream" => stream: Option<Spanned<Duration>> as DurationText,
        /// After so long a silence of a stream the caller gets a ping or a comment (Gemini's protocol has neither). `0s`: never.
        "keep_alive" default "15s" => keep_alive: Option<Spanned<Duration>> as DurationText,
        /// What `first_token`, `total`, `whole` and `stream` bound: the request (`request`), or, in a preset, everything that this
        /// preset leads to (`preset`). Those of `preset` hold beside the ones of presets around and inside it, and when one has
        /// passed, the next target outside of its preset is asked.
        "around" default "request" => around: Option<Spanned<String>> as Choice<TimeoutAround>,
    }
}

mapping! {
    /// When and how often one target is tried again. `retries: 3` is `retries: { attempts: 3 }`.
    #[called = "a retry setting"]
    #[derive(Debug, Clone, Default)]
    pub struct RetriesEntry short "attempts", {
        /// Tries, the first included.
        "attempts" default "2" => attempts: Option<Spanned<u64>> as Whole,
        /// Failures that are tried again: statuses (`429`), `5xx`, `timeout`, `connect`, `empty`, or `any`, which is the default
        /// with `around: chain`.
        "on" default "[408, 429, 5xx, timeout, connect]" => on: Option<Vec<Spanned<String>>> as OneOrMore<RetryOn>,
        /// First pause; it doubles, with jitter. A Retry-After of the upstream replaces it.
        "backoff" default "250ms" => backoff: Option<Spanned<Duration>> as DurationText,
        /// Longest pause.
        "max_backoff" default "8s" => max_backoff: Option<Spanned<Duration>> as DurationText,
        /// What is tried again: one target (`target`), or, in a preset, everything that the preset leads to, one target after the
        /// other, each once a round (`chain`).
        "around" default "target" => around: Option<Spanned<String>> as Choice<RetryAround>,
    }
}

mapping! {
    /// Headers set on and removed from the upstream's request.
    #[called = "an edit of headers"]
    #[derive(Debug, Clone, Default)]
    pub struct HeaderEditsEntry {
        /// Headers and their values.
        "set" => set: Vec<(Spanned<String>, Spanned<String>)> as Map<HeaderKey, Word>,
        /// Names of headers.
        "remove" => remove: Vec<Spanned<String>> as OneOrMore<Text<Any>>,
        /// These edits come after those of presets around this one, where they otherwise come before.
        "last" default "false" => last: Option<Spanned<bool>> as Flag,
    }
}

mapping! {
    /// Members of the upstream's body, by JSON Pointer (`/reasoning/effort`).
    #[called = "an edit of the body"]
    #[derive(Debug, Clone, Default)]
    pub struct BodyEditsEntry {
        /// Pointers and the values that go there.
        "set" => set: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Json>,
        /// Pointers to what is removed.
        "remove" => remove: Vec<Spanned<String>> as OneOrMore<Text<Any>>,
        /// These edits come after those of presets around this one, where they otherwise come before.
        "last" default "false" => last: Option<Spanned<bool>> as Flag,
    }
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

mapping! {
    /// One line for each model call, without any text of a prompt or an answer. `access_log: stdout` is
    /// `access_log: { to: stdout }`.
    #[called = "the access log"]
    #[derive(Debug, Clone)]
    pub struct AccessLogEntry spanned span: Span, faulty faulty, short "to", {
        /// `stdout`, `stderr`, or the path of a file, which is looked for in the folder of this one. A file may be moved away at
        /// any time: lines go on in a new one.
        "to" => to: Option<Spanned<String>> as Text<Any>,
        /// `json`, `text`, or `auto`: a line for people on a terminal, JSON everywhere else.
        "format" default "auto" => format: Option<Spanned<String>> as Choice<LineWord>,
        /// The facts that rules may ask for: those that the decision looked at and those that cost nothing (`known`), all of
        /// them, for which every request is read (`all`), or none.
        "facts" default "known" => facts: Option<Spanned<String>> as Choice<FactWord>,
    }
}

mapping! {
    /// What is told to other systems, besides `/metrics` and the logs.
    #[called = "the setting of telemetry"]
    #[derive(Debug, Clone, Default)]
    pub struct TelemetryEntry {
        /// The last requests are kept in memory, and what they spent is added up: for the console, `routeplane top` and
        /// `GET /admin/requests`. Without it, an access log and a collector, a request leaves no record.
        "recent" default "true" => recent: Option<Spanned<bool>> as Flag,
        /// An OpenTelemetry collector. The standard variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, ...) do the same without the file;
        /// what the file says wins.
        "otlp" => otlp: Option<OtlpEntry> as OtlpEntry,
        /// Regular expressions. What has such a form is taken out of the texts that `trace_content` puts on spans, besides everything that
        /// looks like a credential: `['[\w.+-]+@[\w-]+\.\w+']` for addresses of mail.
        "redact" => redact: Vec<Spanned<String>> as OneOrMore<Text<Any>>,
    }
}

mapping! {
    /// How traces, metrics and logs get to a collector. `otlp: http://localhost:4318` is `otlp: { endpoint: http://localhost:4318 }`.
    #[called = "the setting of the collector"]
    #[derive(Debug, Clone, Default)]
    pub struct OtlpEntry short "endpoint", {
        /// The collector's base URL; over HTTP, `/v1/traces`, `/v1/metrics` and `/v1/logs` are put behind it.
        "endpoint" default "http://localhost:4318" => endpoint: Option<Spanned<String>> as Text<Url>,
        /// `http/protobuf` or `grpc`.
        "protocol" default "http/protobuf" => protocol: Option<Spanned<String>> as Choice<OtlpWord>,
        /// Headers of every export; values may be references to secrets, and none is ever shown.
        "headers" => headers: Vec<(Spanned<String>, Spanned<SecretText>)> as Map<HeaderKey, HeaderValue>,
        /// How both know each other over TLS. Without it, the standard variables say so.
        "tls" => tls: Option<OtlpTlsEntry> as OtlpTlsEntry,
        /// How long one export may take.
        "timeout" default "10s" => timeout: Option<Spanned<Duration>> as DurationText,
        /// Exports are compressed with gzip.
        "gzip" default "false" => gzip: Option<Spanned<bool>> as Flag,
        /// Traces are exported.
        "traces" default "true" => traces: Option<Spanned<bool>> as Flag,
        /// Metrics are exported.
        "metrics" default "true" => metrics: Option<Spanned<bool>> as Flag,
        /// The gateway's own log is exported, as far as `ROUTEPLANE_LOG` lets it through.
        "logs" default "true" => logs: Option<Spanned<bool>> as Flag,
        /// The part of traces that is recorded, from 0 to 1, where the caller has not decided.
        "sample" default "1" => sample: Option<Spanned<f64>> as Fraction,
        /// The name of this service.
        "service" default "routeplane" => service: Option<Spanned<String>> as Text<Any>,
        /// What else describes it: `{ deployment.environment.name: prod }`.
        "resource" => resource: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
        /// Between two exports of metrics.
        "interval" default "1m" => interval: Option<Spanned<Duration>> as DurationText,
    }
}

mapping! {
    /// One test of the file: decided offline by `check`.
    #[called = "a test"]
    #[derive(Debug, Clone)]
    pub struct TestEntry spanned span: Span, faulty faulty, {
        /// What it shows.
        "name" => name: Option<Spanned<String>> as Text<Any>,
        /// The shape of a request; facts that are not given are absent or zero.
        "request" => request: TestRequest as TestRequest,
        /// The state of the world.
        "given" => given: TestGiven as TestGiven,
        /// What must come of it.
        "expect" => expect: TestExpect as TestExpect,
    }
}

mapping! {
    /// The shape of a request; facts that are not given are absent or zero.
    #[called = "the request of a test"]
    #[derive(Debug, Clone, Default)]
    pub struct TestRequest {
        /// The model asked for.
        "model" => model: Option<Spanned<String>> as Text<Any>,
        /// The caller's protocol: `chat`, `responses`, `messages`, `gemini`, `converse`, `embeddings`.
        "protocol" default "chat" => protocol: Option<Spanned<String>> as Choice<ProtocolFact>,
        /// A recorded JSON body instead of facts: the path of a file, seen from this one. Its facts are those that a caller's
        /// request would have; `model` and `stream` go into it, headers and key beside it.
        "body" => body: Option<Spanned<String>> as Text<Any>,
        /// Headers of the request.
        "headers" => headers: Vec<(Spanned<String>, Spanned<String>)> as Map<HeaderKey, Word>,
        /// A stream is asked for.
        "stream" default "false" => stream: Option<Spanned<bool>> as Flag,
        /// Models to go on with, as the body would say it: `[a/b, "@cheap"]`. Here and in the next two, see routing in the
        /// request.
        "models" => models: Option<Spanned<String>> as Json,
        /// OpenRouter's `provider`, as the body would say it: `{ order: [groq], sort: price }`.
        "provider" => provider: Option<Spanned<String>> as Json,
        /// `routing`, as the body would say it: `{ model: { sort: latency } }`.
        "routing" => routing: Option<Spanned<String>> as Json,
        /// The user named in the request.
        "user" => user: Option<Spanned<String>> as Text<Any>,
        /// The session that the request belongs to.
        "session" => session: Option<Spanned<String>> as Text<Any>,
        /// The id of the client key.
        "key" => key: Option<Spanned<String>> as Text<Any>,
        /// Attributes that the client key has; without `key`, the first key of the file that has them.
        "key_attributes" => key_attributes: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Word>,
        /// Tags of the request.
        "tags" => tags: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Word>,
        /// Tokens of the input; `150k` and `1M` are numbers too.
        "input_tokens" => input_tokens: Option<Spanned<u64>> as Whole,
        /// The limit of the answer that is asked for.
        "max_tokens" => max_tokens: Option<Spanned<u64>> as Whole,
        /// How many messages.
        "messages" => messages: Option<Spanned<u64>> as Whole,
        /// Names of the tools offered.
        "tools" => tools: Vec<Spanned<String>> as OneOrMore<Text<Any>>,
        /// The tool whose result the last message brings.
        "last_tool" => last_tool: Option<Spanned<String>> as Text<Any>,
        /// How many images.
        "images" => images: Option<Spanned<u64>> as Whole,
        /// How many files.
        "files" => files: Option<Spanned<u64>> as Whole,
        /// How many pieces of audio.
        "audio" => audio: Option<Spanned<u64>> as Whole,
        /// The form of the answer that is asked for: `text`, `json`, `schema`.
        "output" default "text" => output: Option<Spanned<String>> as Choice<OutputFact>,
        /// How much thinking is asked for: `none`, `minimal`, `low`, `medium`, `high`, `max`.
        "reasoning" default "none" => reasoning: Option<Spanned<String>> as Choice<ReasoningFact>,
        /// The hour of the day, 0 to 23, on the file's clock.
        "hour" default "0" => hour: Option<Spanned<u64>> as Whole,
        /// The day of the week, on the file's clock.
        "weekday" default "mon" => weekday: Option<Spanned<String>> as Choice<WeekdayFact>,
    }
}

mapping! {
    /// The state of the world in which the request is decided.
    #[called = "the state of a test"]
    #[derive(Debug, Clone, Default)]
    pub struct TestGiven {
        /// Targets (`provider/model`) or providers that are down.
        "down" => down: Vec<Spanned<String>> as OneOrMore<Text<Any>>,
        /// Targets or providers that have failed, or asked to be left alone: tried where nothing else is left.
        "cooling" => cooling: Vec<Spanned<String>> as OneOrMore<Text<Any>>,
        /// How long answers of a target or provider take, to their first content and to their end:
        /// `{ openai/gpt-5: 800ms }`.
        "latency" => latency: Vec<(Spanned<String>, Spanned<Duration>)> as Map<AnyKey, DurationText>,
        /// Requests that are on their way to a target or provider.
        "in_flight" => in_flight: Vec<(Spanned<String>, Spanned<u64>)> as Map<AnyKey, Whole>,
        /// How often every `round_robin` has chosen before.
        "turn" default "0" => turn: Option<Spanned<u64>> as Whole,
        /// What models cost for this test, by target: `{ openai/gpt-5: { input: 1.25, output: 10 } }`.
        "prices" => prices: Vec<(Spanned<String>, PricesEntry)> as Map<AnyKey, PricesEntry>,
        /// When it happens: a point in time (`2026-11-21T22:15:00Z`), read on the file's clock, or a day and an hour there
        /// (`sat 22:15`).
        "time" => time: Option<Spanned<String>> as Text<Moment>,
        /// The random draw, from 0 up to 1.
        "draw" default "0" => draw: Option<Spanned<f64>> as Fraction,
    }
}

mapping! {
    /// What must come of the request. What is not given is not tested.
    #[called = "the expectation of a test"]
    #[derive(Debug, Clone, Default)]
    pub struct TestExpect spanned span: Option<Span>, {
        /// Number of the rule that fires; the first is 1.
        "rule" => rule: Option<Spanned<u64>> as Whole,
        /// Name of the preset or target that the request is routed to.
        "route" => route: Option<Spanned<String>> as Text<Any>,
        /// Every attempt in order, as `provider/model`.
        "attempts" => attempts: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// The first attempt that is not down.
        "served_by" => served_by: Option<Spanned<String>> as Text<Any>,
        /// The status of a `deny`, or 404 for an unknown model.
        "denied" => denied: Option<Spanned<u64>> as Whole,
        /// The lane of the first attempt: `pass-through`, `translated` or `refused`.
        "lane" => lane: Option<Spanned<String>> as Choice<LaneWord>,
        /// Every field that the first attempt does not get as the caller meant it, in any order; `[]`: there is none. Needs a
        /// `body`.
        "losses" => losses: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// Whether the first attempt loses something of what the caller meant. Needs a `body`.
        "degraded" => degraded: Option<Spanned<bool>> as Flag,
        /// The most that the first attempt may cost, in USD: the input, and the longest answer that the request allows.
        "max_cost" => max_cost: Option<Spanned<f64>> as Fraction,
        /// Headers that presets set on the upstream's request of the first attempt.
        "header" => header: Vec<(Spanned<String>, Spanned<String>)> as Map<HeaderKey, Word>,
    }
}
