//! The settings of presets, and how they combine on the way to a target: the outer preset wins over the inner one, and
//! both over the file's defaults.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use edits::{Headers, joined};

mod edits;
mod scope;

use super::document::cache::PresetCacheEntry;
use super::document::content::TraceContentEntry;
use super::document::{Document, PresetEntry, RetriesEntry, TimeoutEntry};
use super::{Files, Templates};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::Spanned;
use crate::table::SettingsIdx;
use crate::table::settings::{
    AnswerForm, AnswerModel, BodyEdit, CacheMode, CachePolicy, Degrade, FallThrough, OnForeignReasoning, OnInvalid,
    OnLoss, Retries, RetryOn, Scope, Settings, Timeouts, TraceContent,
};
use crate::wire::structured::mode::JsonMode;
use crate::wire::template::Prompts;

/// What one preset, or several nested ones, say. Everything may be left unsaid.
#[derive(Debug, Clone, Default, PartialEq)]
struct Layer {
    params: Vec<(Box<str>, Box<str>)>,
    overrides: Vec<(Box<str>, Box<str>)>,
    system: Option<Box<str>>,
    prompts: Prompts,
    timeout: [Option<Duration>; 7],
    attempts: Option<u32>,
    retry_on: Option<Box<[RetryOn]>>,
    backoff: Option<Duration>,
    max_backoff: Option<Duration>,
    fall_through: Option<FallThrough>,
    scopes: Vec<Scope>,
    headers: Headers,
    /// After those of presets around this one.
    headers_last: Headers,
    body: Vec<BodyEdit>,
    /// After those of presets around this one.
    body_last: Vec<BodyEdit>,
    on_loss: Option<OnLoss>,
    cache: Option<CachePolicy>,
    trace_content: Option<TraceContent>,
    on_foreign_reasoning: Option<OnForeignReasoning>,
    answer_model: Option<AnswerModel>,
    output: Option<Box<str>>,
    json_mode: Option<JsonMode>,
    on_invalid: Option<OnInvalid>,
    degrade: Option<Degrade>,
    variant: Option<Box<str>>,
}

impl Layer {
    /// This layer around `inner`.
    fn over(&self, inner: &Layer) -> Layer {
        let mut timeout = self.timeout;
        timeout.iter_mut().zip(inner.timeout).for_each(|(time, inner)| *time = time.or(inner));
        Layer {
            params: joined(&self.params, &inner.params),
            overrides: joined(&self.overrides, &inner.overrides),
            system: self.system.clone().or_else(|| inner.system.clone()),
            prompts: self.prompts.over(&inner.prompts),
            timeout,
            attempts: self.attempts.or(inner.attempts),
            retry_on: self.retry_on.clone().or_else(|| inner.retry_on.clone()),
            backoff: self.backoff.or(inner.backoff),
            max_backoff: self.max_backoff.or(inner.max_backoff),
            fall_through: self.fall_through.or(inner.fall_through),
            scopes: self.scopes.iter().chain(&inner.scopes).cloned().collect(),
            headers: self.headers.over(&inner.headers),
            headers_last: inner.headers_last.over(&self.headers_last),
            body: edits::after(&inner.body, &self.body),
            body_last: edits::after(&self.body_last, &inner.body_last),
            on_loss: self.on_loss.or(inner.on_loss),
            cache: self.cache.or(inner.cache),
            trace_content: self.trace_content.or(inner.trace_content),
            on_foreign_reasoning: self.on_foreign_reasoning.or(inner.on_foreign_reasoning),
            answer_model: self.answer_model.or(inner.answer_model),
            output: self.output.clone().or_else(|| inner.output.clone()),
            json_mode: self.json_mode.or(inner.json_mode),
            on_invalid: self.on_invalid.or(inner.on_invalid),
            degrade: self.degrade.or(inner.degrade),
            variant: inner.variant.clone().or_else(|| self.variant.clone()),
        }
    }

    fn settings(&self) -> Settings {
        let timeouts = Timeouts::default();
        let retries = Retries::default();
        let [connect, first_token, idle, total, keep_alive, whole, stream] = self.timeout;
        Settings {
            params: self.params.clone().into(),
            overrides: self.overrides.clone().into(),
            system: self.system.clone(),
            prompts: self.prompts.clone(),
            timeouts: Timeouts {
                connect: connect.unwrap_or(timeouts.connect),
                first_token: first_token.unwrap_or(timeouts.first_token),
                idle: idle.unwrap_or(timeouts.idle),
                total: total.unwrap_or(timeouts.total),
                whole,
                stream,
                keep_alive: keep_alive.unwrap_or(timeouts.keep_alive),
            },
            retries: Retries {
                attempts: self.attempts.unwrap_or(retries.attempts),
                on: self.retry_on.clone().unwrap_or(retries.on),
                backoff: self.backoff.unwrap_or(retries.backoff),
                max_backoff: self.max_backoff.unwrap_or(retries.max_backoff),
            },
            fall_through: self.fall_through.unwrap_or_default(),
            scopes: self.scopes.clone().into(),
            headers: self.headers_last.over(&self.headers).edits(),
            body: edits::after(&self.body, &self.body_last).into(),
            on_loss: self.on_loss.unwrap_or_default(),
            cache: self.cache,
            trace_content: self.trace_content,
            on_foreign_reasoning: self.on_foreign_reasoning.unwrap_or_default(),
            answer_model: self.answer_model.unwrap_or_default(),
            answers: AnswerForm {
                output: self.output.clone(),
                json_mode: self.json_mode,
                on_invalid: self.on_invalid.unwrap_or_default(),
                degrade: self.degrade.unwrap_or_default(),
            },
            variant: self.variant.clone(),
        }
    }
}

/// Every combination of settings that the table needs, each made once.
pub(super) struct Layers {
    layers: Vec<Layer>,
    /// The variant that a preset is, by the preset's name.
    variants: BTreeMap<Box<str>, Box<str>>,
    combined: HashMap<(SettingsIdx, SettingsIdx), SettingsIdx>,
}

impl Layers {
    /// With the file's defaults as [`SettingsIdx::BASE`].
    pub(super) fn new(document: &Document, diagnostics: &mut Diagnostics) -> Layers {
        let mut base = Layer::default();
        times(document.timeout.as_ref(), &mut base);
        scope::refuse_outside_presets(document, diagnostics);
        base.on_foreign_reasoning =
            document.on_foreign_reasoning.as_ref().and_then(|word| on_foreign_reasoning(&word.value));
        base.answer_model = document.answer_model.as_ref().and_then(|word| answer_model(&word.value));
        retries(document.retries.as_ref(), &mut base, diagnostics);
        let variants = super::tensorzero::variants(document).into_iter();
        let variants = variants.map(|(preset, variant)| (preset.into(), variant.into())).collect();
        Layers { layers: vec![base], variants, combined: HashMap::new() }
    }

    /// Adds a preset's own settings; [`SettingsIdx::BASE`] where it has none.
    pub(super) fn add(
        &mut self,
        entry: &PresetEntry,
        files: &dyn Files,
        templates: &Templates,
        diagnostics: &mut Diagnostics,
    ) -> SettingsIdx {
        let mut layer = Layer {
            params: texts(&entry.params),
            overrides: texts(&entry.override_),
            system: entry.system.as_ref().and_then(|system| system_text(system, files, diagnostics)),
            prompts: templates.of(entry, files, diagnostics),
            on_loss: entry.on_loss.as_ref().and_then(|word| on_loss(&word.value)),
            cache: entry.cache.as_ref().map(cache),
            trace_content: entry.trace_content.as_ref().map(|entry| trace_content(entry, diagnostics)),
            on_foreign_reasoning: entry
                .on_foreign_reasoning
                .as_ref()
                .and_then(|word| on_foreign_reasoning(&word.value)),
            answer_model: entry.answer_model.as_ref().and_then(|word| answer_model(&word.value)),
            output: entry.output.as_ref().and_then(|output| super::output::schema(output, files, diagnostics)),
            json_mode: entry.json_mode.as_ref().and_then(|word| JsonMode::from_word(&word.value)),
            on_invalid: entry.on_invalid.as_ref().and_then(|word| on_invalid(&word.value)),
            degrade: entry.degrade.as_ref().and_then(|word| degrade(&word.value)),
            variant: self.variants.get(entry.name.value.as_str()).cloned(),
            ..Layer::default()
        };
        times(entry.timeout.as_ref(), &mut layer);
        retries(entry.retries.as_ref(), &mut layer, diagnostics);
        layer.fall_through = entry.fall_through.as_ref().and_then(|word| fall_through(&word.value));
        scope::take_over(entry, &mut layer);
        edits::headers(entry.headers.as_ref(), &mut layer, diagnostics);
        edits::bodies(&entry.body, &mut layer, diagnostics);
        if layer == Layer::default() { SettingsIdx::BASE } else { self.push(layer) }
    }

    /// The settings of `outer` around those of `inner`.
    pub(super) fn combine(&mut self, outer: SettingsIdx, inner: SettingsIdx) -> SettingsIdx {
        if outer == SettingsIdx::BASE || outer == inner {
            return inner;
        }
        if inner == SettingsIdx::BASE {
            return outer;
        }
        if let Some(known) = self.combined.get(&(outer, inner)) {
            return *known;
        }
        let layer = match (self.layers.get(outer.0 as usize), self.layers.get(inner.0 as usize)) {
            (Some(outer), Some(inner)) => outer.over(inner),
            _ => return outer,
        };
        let index = self.push(layer);
        self.combined.insert((outer, inner), index);
        index
    }

    fn push(&mut self, layer: Layer) -> SettingsIdx {
        self.layers.push(layer);
        SettingsIdx(u32::try_from(self.layers.len() - 1).unwrap_or(u32::MAX))
    }

    /// How many combinations there are.
    pub(super) fn len(&self) -> usize {
        self.layers.len()
    }

    /// Everything put over the file's defaults.
    pub(super) fn finish(self) -> Box<[Settings]> {
        let base = self.layers.first().cloned().unwrap_or_default();
        self.layers.iter().map(|layer| layer.over(&base).settings()).collect()
    }
}

fn texts(entries: &[(Spanned<String>, Spanned<String>)]) -> Vec<(Box<str>, Box<str>)> {
    entries.iter().map(|(name, value)| (name.value.as_str().into(), value.value.as_str().into())).collect()
}

/// In the order of `Layer::timeout`.
fn times(entry: Option<&TimeoutEntry>, layer: &mut Layer) {
    let Some(entry) = entry else { return };
    let TimeoutEntry { connect, first_token, idle, total, keep_alive, whole, stream, around: _ } = entry;
    layer.timeout =
        [connect, first_token, idle, total, keep_alive, whole, stream].map(|time| time.map(|time| time.value));
}

fn retries(entry: Option<&RetriesEntry>, layer: &mut Layer, diagnostics: &mut Diagnostics) {
    const MOST: u64 = 100;
    let Some(entry) = entry else { return };
    if let Some(attempts) = entry.attempts {
        match u32::try_from(attempts.value).ok().filter(|_| (1..=MOST).contains(&attempts.value)) {
            Some(attempts) => layer.attempts = Some(attempts),
            None => diagnostics.push(
                Diagnostic::new(Code::BadBound, format!("{} attempts of one target are not possible", attempts.value))
                    .label(attempts.span, format!("1 to {MOST}"))
                    .help("1 means: no second try"),
            ),
        }
    }
    layer.retry_on = entry.on.as_ref().map(|on| on.iter().filter_map(|word| retry_on(&word.value)).collect());
    layer.backoff = entry.backoff.map(|time| time.value);
    layer.max_backoff = entry.max_backoff.map(|time| time.value);
}

/// The decoder has checked the words.
fn retry_on(word: &str) -> Option<RetryOn> {
    match word {
        "5xx" => Some(RetryOn::ServerError),
        "timeout" => Some(RetryOn::Timeout),
        "connect" => Some(RetryOn::Connect),
        "empty" => Some(RetryOn::Empty),
        "any" => Some(RetryOn::Any),
        status => status.parse().ok().map(RetryOn::Status),
    }
}

/// The decoder has checked the word.
fn fall_through(word: &str) -> Option<FallThrough> {
    [FallThrough::Usual, FallThrough::Any].into_iter().find(|policy| policy.word() == word)
}

/// The decoder has checked the word.
fn cache(entry: &PresetCacheEntry) -> CachePolicy {
    let mode = entry.mode.as_ref();
    let mode = mode.and_then(|word| CacheMode::ALL.into_iter().find(|mode| mode.word() == word.value));
    CachePolicy { mode: mode.unwrap_or_default(), ttl: entry.ttl.map(|ttl| ttl.value) }
}

/// What is too long to be kept is a mistake.
fn trace_content(entry: &TraceContentEntry, diagnostics: &mut Diagnostics) -> TraceContent {
    const MOST: u64 = 32 << 10;
    if let Some(limit) = entry.limit.filter(|limit| limit.value > MOST) {
        diagnostics.push(
            Diagnostic::new(Code::BadBound, format!("{} bytes of text are too many for a span", limit.value))
                .label(limit.span, "`32KiB` at most")
                .help("spans wait in memory for their collector; write for example `limit: 16KiB`"),
        );
    }
    let limit = entry.limit.map_or(8 << 10, |limit| limit.value.min(MOST));
    TraceContent {
        enabled: entry.enabled.is_none_or(|enabled| enabled.value),
        limit: usize::try_from(limit).unwrap_or_default(),
    }
}

/// The decoder has checked the word.
fn on_loss(word: &str) -> Option<OnLoss> {
    [OnLoss::Allow, OnLoss::Warn, OnLoss::Refuse].into_iter().find(|policy| policy.word() == word)
}

/// The decoder has checked the word.
fn on_foreign_reasoning(word: &str) -> Option<OnForeignReasoning> {
    OnForeignReasoning::ALL.into_iter().find(|policy| policy.word() == word)
}

/// The decoder has checked the word.
fn answer_model(word: &str) -> Option<AnswerModel> {
    AnswerModel::ALL.into_iter().find(|whose| whose.word() == word)
}

/// The decoder has checked the word.
fn on_invalid(word: &str) -> Option<OnInvalid> {
    OnInvalid::ALL.into_iter().find(|policy| policy.word() == word)
}

/// The decoder has checked the word.
fn degrade(word: &str) -> Option<Degrade> {
    [Degrade::Allow, Degrade::Refuse].into_iter().find(|policy| policy.word() == word)
}

/// The text itself, or that of the file it names.
fn system_text(written: &Spanned<String>, files: &dyn Files, diagnostics: &mut Diagnostics) -> Option<Box<str>> {
    let is_path = names_a_file(&written.value);
    let text = if is_path {
        match files.read(&written.value) {
            Ok(text) => text,
            Err(why) => {
                diagnostics.push(
                    Diagnostic::new(Code::BadSystem, format!("cannot read `{}`: {why}", written.value))
                        .label(written.span, "names a file")
                        .help("paths begin at the folder of the configuration; a text that is none of a file must not end in `.md`, `.txt` or `.j2`"),
                );
                return None;
            }
        }
    } else {
        written.value.clone()
    };
    if let Some(sign) = ["{{", "{%", "{#"].into_iter().find(|sign| text.contains(sign)) {
        diagnostics.push(
            Diagnostic::new(Code::BadSystem, format!("the system text holds `{sign}`, and is no template"))
                .label(written.span, if is_path { "in this file" } else { "in this text" })
                .help("a text is sent as it is; a template is written `templates: { system: prompts/system.j2 }`"),
        );
        return None;
    }
    Some(text.into())
}

fn names_a_file(text: &str) -> bool {
    !text.contains('\n') && [".md", ".txt", ".j2"].iter().any(|suffix| text.ends_with(suffix))
}
