//! What a preset adds to the requests that pass through it. Nested presets are combined when the file is compiled.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::wire::structured::mode::JsonMode;
use crate::wire::template::Prompts;

/// Combined settings of the presets on the way to a target. The outer preset wins over the inner, the caller's own
/// parameters over `params`, and `overrides` over everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// Defaults: member and JSON text, in the hub's names (`max_tokens`, `temperature`, `stop`, ...) or, unknown to the
    /// hub, as the target's own.
    pub params: Box<[(Box<str>, Box<str>)]>,
    /// As `params`, but a caller cannot change them.
    pub overrides: Box<[(Box<str>, Box<str>)]>,
    /// A system text put before the caller's own.
    pub system: Option<Box<str>>,
    /// Templates that make texts of the request.
    pub prompts: Prompts,
    pub timeouts: Timeouts,
    pub retries: Retries,
    pub fall_through: FallThrough,
    /// Presets around the target that bound or repeat everything they lead to, the outermost first.
    pub scopes: Box<[Scope]>,
    pub headers: HeaderEdits,
    /// Edits of the upstream's body, in order and after everything else.
    pub body: Box<[BodyEdit]>,
    pub on_loss: OnLoss,
    pub on_foreign_reasoning: OnForeignReasoning,
    pub answer_model: AnswerModel,
    pub answers: AnswerForm,
    /// Answers of equal requests may be given again.
    pub cache: Option<CachePolicy>,
    /// What is said is on the spans of traces.
    pub trace_content: Option<TraceContent>,
    /// The variant of a function of TensorZero's that the target answers as.
    pub variant: Option<Box<str>>,
}

/// How requests use the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachePolicy {
    pub mode: CacheMode,
    /// The oldest answer that is good enough; `None`: as old as any that is kept.
    pub ttl: Option<Duration>,
}

/// Whether the text of prompts and answers is on spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContent {
    pub enabled: bool,
    /// Most bytes of each attribute.
    pub limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CacheMode {
    #[default]
    On,
    ReadOnly,
    WriteOnly,
    Off,
}

impl CacheMode {
    pub const ALL: [CacheMode; 4] = [CacheMode::On, CacheMode::ReadOnly, CacheMode::WriteOnly, CacheMode::Off];

    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            CacheMode::On => "on",
            CacheMode::ReadOnly => "read_only",
            CacheMode::WriteOnly => "write_only",
            CacheMode::Off => "off",
        }
    }

    pub fn reads(self) -> bool {
        matches!(self, CacheMode::On | CacheMode::ReadOnly)
    }

    pub fn writes(self) -> bool {
        matches!(self, CacheMode::On | CacheMode::WriteOnly)
    }
}

/// What a preset says about answers of a given form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerForm {
    /// A JSON Schema, as JSON text, for requests that ask for none.
    pub output: Option<Box<str>>,
    /// How the form is asked for, where the file says so.
    pub json_mode: Option<JsonMode>,
    pub on_invalid: OnInvalid,
    pub degrade: Degrade,
}

/// What becomes of an answer that does not have the form that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnInvalid {
    /// Nobody looks.
    #[default]
    Pass,
    /// Mended where that can be done without inventing anything; else it passes.
    Repair,
    /// As `Repair`; else the same target is asked once more and told what was wrong, then the next one is.
    Retry,
    /// As `Repair`; else the next target is asked.
    Fallback,
    /// The caller gets an error.
    Error,
}

impl OnInvalid {
    pub const ALL: [OnInvalid; 5] =
        [OnInvalid::Pass, OnInvalid::Repair, OnInvalid::Retry, OnInvalid::Fallback, OnInvalid::Error];

    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            OnInvalid::Pass => "pass",
            OnInvalid::Repair => "repair",
            OnInvalid::Retry => "retry",
            OnInvalid::Fallback => "fallback",
            OnInvalid::Error => "error",
        }
    }
}

/// Whether a target that can only be asked in words may be asked for a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Degrade {
    #[default]
    Allow,
    /// Not sent to such a target; the next one is tried.
    Refuse,
}

impl Degrade {
    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            Degrade::Allow => "allow",
            Degrade::Refuse => "refuse",
        }
    }
}

/// What becomes of reasoning whose proof the target cannot read, because another vendor's model made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnForeignReasoning {
    /// The proof stays behind, and the thoughts with it where the target takes none without.
    #[default]
    Strip,
    /// The proof stays behind; thoughts that were shown go as plain text.
    Text,
    /// While the model is between its tool calls and its answer, the target is not asked; otherwise as `Strip`.
    Skip,
}

impl OnForeignReasoning {
    pub const ALL: [OnForeignReasoning; 3] =
        [OnForeignReasoning::Strip, OnForeignReasoning::Text, OnForeignReasoning::Skip];

    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            OnForeignReasoning::Strip => "strip",
            OnForeignReasoning::Text => "text",
            OnForeignReasoning::Skip => "skip",
        }
    }
}

/// Whose name of the model answers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AnswerModel {
    /// That of the upstream, which knows best what answered.
    #[default]
    Upstream,
    /// The caller's, as it asked: some clients trust only answers of the model that they asked for.
    Asked,
}

impl AnswerModel {
    pub const ALL: [AnswerModel; 2] = [AnswerModel::Upstream, AnswerModel::Asked];

    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            AnswerModel::Upstream => "upstream",
            AnswerModel::Asked => "asked",
        }
    }
}

/// What becomes of a request that a translation could only carry in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnLoss {
    /// Sent; the answer's header says what was lost.
    #[default]
    Allow,
    /// As `Allow`, and a line in the log.
    Warn,
    /// Not sent to this target; the next one is tried.
    Refuse,
}

impl OnLoss {
    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            OnLoss::Allow => "allow",
            OnLoss::Warn => "warn",
            OnLoss::Refuse => "refuse",
        }
    }
}

/// Which failures lead to the next target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FallThrough {
    /// Those that another target may do better at.
    #[default]
    Usual,
    /// Every one.
    Any,
}

impl FallThrough {
    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            FallThrough::Usual => "usual",
            FallThrough::Any => "any",
        }
    }
}

/// What a preset says of everything that it leads to, and not of single targets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// The preset's name.
    pub preset: Box<str>,
    /// How often all of it is tried again after its last target has failed.
    pub retries: Option<Retries>,
    /// From its first attempt to the end of a whole answer.
    pub whole: Option<Duration>,
    /// From its first attempt to the last byte of a stream.
    pub stream: Option<Duration>,
    /// From its first attempt to the first content of a stream.
    pub first_token: Option<Duration>,
}

impl Scope {
    /// How long everything in it may take together.
    pub fn total(&self, stream: bool) -> Option<Duration> {
        if stream { self.stream } else { self.whole }
    }
}

/// How long each phase of an attempt may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS.
    pub connect: Duration,
    /// From the request to the first content of a stream. A whole answer is bounded by `total` alone.
    pub first_token: Duration,
    /// Between two events of a stream.
    pub idle: Duration,
    /// All attempts together, to the last byte.
    pub total: Duration,
    /// In place of `total`, for answers that are not streamed.
    pub whole: Option<Duration>,
    /// In place of `total`, for streams.
    pub stream: Option<Duration>,
    /// After how long a silence of a stream the caller is told that it still lives; zero for never.
    pub keep_alive: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(120),
            idle: Duration::from_secs(300),
            total: Duration::from_secs(1800),
            whole: None,
            stream: None,
            keep_alive: Duration::from_secs(15),
        }
    }
}

impl Timeouts {
    /// How long all attempts together may take.
    pub fn all(&self, stream: bool) -> Duration {
        let own = if stream { self.stream } else { self.whole };
        own.unwrap_or(self.total)
    }
}

/// When and how often one target is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// Tries of one target, the first included.
    pub attempts: u32,
    pub on: Box<[RetryOn]>,
    /// First pause; doubles, with full jitter, up to `max_backoff`. A Retry-After of the upstream replaces it.
    pub backoff: Duration,
    pub max_backoff: Duration,
}

impl Default for Retries {
    fn default() -> Retries {
        Retries {
            attempts: 2,
            on: Box::new([
                RetryOn::Status(408),
                RetryOn::Status(429),
                RetryOn::ServerError,
                RetryOn::Timeout,
                RetryOn::Connect,
            ]),
            backoff: Duration::from_millis(250),
            max_backoff: Duration::from_secs(8),
        }
    }
}

/// A failure after which the same target may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryOn {
    /// One HTTP status.
    Status(u16),
    /// `5xx`.
    ServerError,
    /// First token or idle.
    Timeout,
    /// No connection, or one that broke before an answer.
    Connect,
    /// An answer without content.
    Empty,
    /// Every failure but the gateway's own refusal.
    Any,
}

/// Headers set on and removed from the upstream's request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdits {
    pub set: Box<[(HeaderName, HeaderValue)]>,
    pub remove: Box<[HeaderName]>,
}

/// One edit of the upstream's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyEdit {
    /// A JSON Pointer (RFC 6901); `-` stands for the end of an array.
    pub pointer: Box<str>,
    /// What goes there, as JSON text; `None` removes what is there.
    pub value: Option<Box<str>>,
}
