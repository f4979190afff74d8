//! A preset: where requests go, and what is set on their way.

use std::time::Duration;

use super::cache::PresetCacheEntry;
use super::content::TraceContentEntry;
use crate::config::decode::json::Json;
use crate::config::decode::leaf::{Choice, DurationText, Flag, Text, Whole, Word};
use crate::config::decode::list::{AnyKey, HeaderKey, Map, OneOrMore};
use crate::config::decode::mapping;
use crate::config::decode::texts::{
    AnswerModelWord, Any, DegradePolicy, FallThroughWord, ForeignReasoning, InvalidPolicy, JsonModeWord, LossPolicy,
    RetryAround, Sticky, TemplateForm, TimeoutAround,
};
use crate::config::decode::value::{RetryOn, Route};
use crate::source::{SourceText, Span, Spanned};

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
