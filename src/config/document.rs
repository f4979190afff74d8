//! The file as written: every leaf with its place. One type per mapping of the file; the decoder, the JSON Schema and the
//! configuration reference all come from these types.

use std::time::Duration;

use crate::source::{Span, Spanned};
use crate::wire::ProtocolId;
use crate::wire::quirk::Quirks;

/// `routeplane.yaml`.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// Always 1.
    pub version: Option<Spanned<u64>>,
    /// Address and port, `127.0.0.1:4356` by default.
    pub listen: Option<Spanned<String>>,
    /// Who may call. Needed as soon as `listen` is not loopback.
    pub keys: Vec<KeyEntry>,
    pub providers: Vec<ProviderEntry>,
    pub presets: Vec<PresetEntry>,
    pub rules: Option<RulesEntry>,
    pub tests: Vec<TestEntry>,
    /// Defaults for every target.
    pub timeout: Option<TimeoutEntry>,
    /// Defaults for every target.
    pub retries: Option<RetriesEntry>,
    pub limits: Option<LimitsEntry>,
    pub reload: Option<ReloadEntry>,
}

/// `keys: { ci: env:CI_KEY }` or `keys: { ci: { key: env:CI_KEY, team: lab } }`.
#[derive(Debug, Clone)]
pub struct KeyEntry {
    pub name: Spanned<String>,
    pub key: Option<Spanned<SecretText>>,
    pub attributes: Vec<(Spanned<String>, Spanned<String>)>,
}

/// A secret as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretText {
    /// `env:NAME`.
    Env(String),
    /// `file:/run/secrets/x`.
    File(String),
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

/// One provider, in the user's file or in `presets/providers/NAME.yaml` (the same keys; the user's win).
#[derive(Debug, Clone)]
pub struct ProviderEntry {
    pub name: Spanned<String>,
    /// For people.
    pub title: Option<Spanned<String>>,
    /// Where its API is described.
    pub docs: Option<Spanned<String>>,
    /// One protocol, or (`protocols`) several in order of preference.
    pub protocols: Option<Vec<Spanned<ProtocolId>>>,
    pub base_url: Option<Spanned<String>>,
    /// A pool: a 429 cools one key, not the provider. `key: X` is the same as `keys: [X]`.
    pub keys: Option<Vec<Spanned<SecretText>>>,
    /// `bearer`, `none`, or `header:NAME`.
    pub auth: Option<Spanned<String>>,
    /// Sent with every request.
    pub headers: Vec<(Spanned<String>, Spanned<SecretText>)>,
    /// Where a protocol is spoken elsewhere than at `base_url`.
    pub endpoints: Vec<EndpointEntry>,
    /// Models it serves, besides those of the catalogue.
    pub models: Option<Vec<Spanned<String>>>,
    /// The catalogue's name for it; its own name by default.
    pub catalogue: Option<Spanned<String>>,
    pub quirks: Option<Spanned<Quirks>>,
    /// `http` (default) or `demo`.
    pub transport: Option<Spanned<String>>,
    /// Variables that activate and redirect it (provider files only).
    pub env: Option<EnvEntry>,
    pub span: Span,
}

/// `endpoints: { anthropic-messages: { base_url: ..., auth: ..., paths: ... } }`.
#[derive(Debug, Clone)]
pub struct EndpointEntry {
    pub protocol: Spanned<ProtocolId>,
    pub base_url: Option<Spanned<String>>,
    pub auth: Option<Spanned<String>>,
    /// Paths that differ from the protocol's own, with `{model}` in them: `generate`, `stream`, `embed`, `count_tokens`.
    pub paths: Vec<(Spanned<String>, Spanned<String>)>,
    pub headers: Vec<(Spanned<String>, Spanned<SecretText>)>,
    pub quirks: Option<Spanned<Quirks>>,
}

/// `env: { key: [OPENAI_API_KEY], base_url: [OPENAI_BASE_URL] }`, first one set wins.
#[derive(Debug, Clone, Default)]
pub struct EnvEntry {
    pub key: Vec<Spanned<String>>,
    pub base_url: Vec<Spanned<String>>,
    /// Works without a key (local servers).
    pub key_optional: Option<Spanned<bool>>,
    /// Placeholders in `base_url` and paths filled from variables: `{ resource: [AZURE_RESOURCE_NAME] }`.
    pub variables: Vec<(Spanned<String>, Vec<Spanned<String>>)>,
}

/// One preset.
#[derive(Debug, Clone)]
pub struct PresetEntry {
    pub name: Spanned<String>,
    /// A target expression; a list means fallback order.
    pub route: Option<RouteText>,
    /// `user`, `session` or `header:NAME`: what keeps a `split` from being drawn anew.
    pub sticky: Option<Spanned<String>>,
    /// A system text, or the path of a file that holds one.
    pub system: Option<Spanned<String>>,
    /// Defaults that a request overrides; values as JSON text.
    pub params: Vec<(Spanned<String>, Spanned<String>)>,
    /// What a request cannot change.
    pub override_: Vec<(Spanned<String>, Spanned<String>)>,
    pub timeout: Option<TimeoutEntry>,
    pub retries: Option<RetriesEntry>,
    pub headers: Option<HeaderEditsEntry>,
    pub body: Option<BodyEditsEntry>,
    pub span: Span,
}

/// A target expression as written.
#[derive(Debug, Clone)]
pub enum RouteText {
    /// The whole expression; its span covers the scalar's content, so that offsets in the text are offsets in the source.
    Expression(Spanned<String>),
    /// A YAML list: fallback order.
    List(Vec<Spanned<String>>),
}

/// The `rules:` block. A block scalar is registered as a source of its own, so that spans stay exact.
#[derive(Debug, Clone)]
pub struct RulesEntry {
    pub text: Spanned<String>,
    /// For each line of `text`, the offset in the file where its content begins; empty where offsets map one to one.
    pub lines: Vec<u32>,
}

#[derive(Debug, Clone, Default)]
pub struct TimeoutEntry {
    pub connect: Option<Spanned<Duration>>,
    pub first_token: Option<Spanned<Duration>>,
    pub idle: Option<Spanned<Duration>>,
    pub total: Option<Spanned<Duration>>,
}

#[derive(Debug, Clone, Default)]
pub struct RetriesEntry {
    /// Tries of one target, the first included.
    pub attempts: Option<Spanned<u64>>,
    /// Statuses (`429`), classes (`5xx`), `timeout`, `connect`, `empty`.
    pub on: Option<Vec<Spanned<String>>>,
    pub backoff: Option<Spanned<Duration>>,
    pub max_backoff: Option<Spanned<Duration>>,
}

#[derive(Debug, Clone, Default)]
pub struct HeaderEditsEntry {
    pub set: Vec<(Spanned<String>, Spanned<String>)>,
    pub remove: Vec<Spanned<String>>,
}

/// JSON Pointers into the upstream's body; values as JSON text.
#[derive(Debug, Clone, Default)]
pub struct BodyEditsEntry {
    pub set: Vec<(Spanned<String>, Spanned<String>)>,
    pub remove: Vec<Spanned<String>>,
}

#[derive(Debug, Clone, Default)]
pub struct LimitsEntry {
    /// Bytes, with `KiB`, `MiB`: most that a request body may have.
    pub body: Option<Spanned<u64>>,
    pub connections: Option<Spanned<u64>>,
    pub drain: Option<Spanned<Duration>>,
}

#[derive(Debug, Clone, Default)]
pub struct ReloadEntry {
    /// `auto`, `poll` or `off`.
    pub watch: Option<Spanned<String>>,
    pub poll_interval: Option<Spanned<Duration>>,
    pub allow_shrink: Option<Spanned<bool>>,
}

/// One test of the file: decided offline by `check`.
#[derive(Debug, Clone)]
pub struct TestEntry {
    pub name: Option<Spanned<String>>,
    pub request: TestRequest,
    pub given: TestGiven,
    pub expect: TestExpect,
    pub span: Span,
}

/// The shape of a request; facts that are not given are absent or zero.
#[derive(Debug, Clone, Default)]
pub struct TestRequest {
    pub model: Option<Spanned<String>>,
    /// `chat` (default), `messages`, `gemini`, `embeddings`.
    pub protocol: Option<Spanned<String>>,
    pub headers: Vec<(Spanned<String>, Spanned<String>)>,
    pub stream: Option<Spanned<bool>>,
    pub user: Option<Spanned<String>>,
    /// The client key's id.
    pub key: Option<Spanned<String>>,
    pub input_tokens: Option<Spanned<u64>>,
    pub max_tokens: Option<Spanned<u64>>,
    pub messages: Option<Spanned<u64>>,
    pub tools: Vec<Spanned<String>>,
    pub images: Option<Spanned<u64>>,
}

#[derive(Debug, Clone, Default)]
pub struct TestGiven {
    /// Targets (`provider/model`) or providers that are down.
    pub down: Vec<Spanned<String>>,
    /// The random draw, 0 to 1.
    pub draw: Option<Spanned<f64>>,
}

#[derive(Debug, Clone, Default)]
pub struct TestExpect {
    /// One-based number of the rule that fires.
    pub rule: Option<Spanned<u64>>,
    pub route: Option<Spanned<String>>,
    /// Every attempt in order, as `provider/model`.
    pub attempts: Option<Vec<Spanned<String>>>,
    /// The first attempt that is not down.
    pub served_by: Option<Spanned<String>>,
    /// The status of a `deny`, or 404 for an unknown model.
    pub denied: Option<Spanned<u64>>,
    /// `pass-through`, `translated` or `refused`: the first attempt's lane.
    pub lane: Option<Spanned<String>>,
    pub span: Option<Span>,
}
