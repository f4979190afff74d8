//! Values of the table in words.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::provider::Provider;
use crate::provider::catalogue::Prices;
use crate::provider::identity::{CloudIdentity, Credentials};
use crate::rule::ast::PresetName;
use crate::rule::predicate::Quoted;
use crate::table::limits::{RateLimit, Resource};
use crate::table::settings::{
    AnswerForm, AnswerModel, BodyEdit, CachePolicy, OnForeignReasoning, Retries, RetryOn, Scope, Settings, TraceContent,
};
use crate::table::telemetry::{AccessLog, Otlp};
use crate::table::{
    CacheLimits, ClientKey, FilesPolicy, Kept, Lane, Limits, ReloadSettings, RoutingTable, SettingsIdx, WatchMode,
};
use crate::wire::Operation;
use crate::wire::quirk::Quirks;
use crate::wire::template::{Prompts, Template};

/// What `settings` has that `base` does not have, in words; of a system text its beginning and a digest.
pub fn settings_words(settings: &Settings, base: &Settings) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    words.extend(settings.params.iter().map(|(name, value)| format!("{name}={value}")));
    words.extend(settings.overrides.iter().map(|(name, value)| format!("{name}:={value}")));
    words.extend(settings.system.iter().map(|system| system_words(system)));
    words.extend(prompt_words(&settings.prompts));
    words.extend(differing(timeout_words(settings), timeout_words(base)));
    words.extend(
        [("whole", settings.timeouts.whole), ("stream", settings.timeouts.stream)]
            .into_iter()
            .filter_map(|(name, time)| time.map(|time| format!("timeout {name} {}", duration(time)))),
    );
    words.extend(differing(retry_words(&settings.retries), retry_words(&base.retries)));
    words.extend(settings.scopes.iter().map(scope_words));
    let through = settings.fall_through;
    words.extend((through != base.fall_through).then(|| format!("fall_through {}", through.word())));
    words.extend(settings.headers.set.iter().map(|(name, value)| format!("header {name}: {}", header(name, value))));
    words.extend(settings.headers.remove.iter().map(|name| format!("without header {name}")));
    words.extend(settings.body.iter().map(|BodyEdit { pointer, value }| match value {
        Some(value) => format!("body {pointer}={value}"),
        None => format!("without body {pointer}"),
    }));
    words.extend(settings.answers.output.iter().map(|schema| output_words(schema)));
    words.extend(settings.answers.json_mode.map(|mode| format!("json_mode {}", mode.word())));
    let AnswerForm { on_invalid, degrade, .. } = &settings.answers;
    words.extend((*on_invalid != base.answers.on_invalid).then(|| format!("on_invalid {}", on_invalid.word())));
    words.extend((*degrade != base.answers.degrade).then(|| format!("degrade {}", degrade.word())));
    words.extend(settings.cache.iter().map(cache_words));
    words.extend(settings.trace_content.iter().map(content_words));
    words.extend((settings.on_loss != base.on_loss).then(|| format!("on_loss {}", settings.on_loss.word())));
    let foreign = settings.on_foreign_reasoning;
    words.extend((foreign != base.on_foreign_reasoning).then(|| format!("on_foreign_reasoning {}", foreign.word())));
    let whose = settings.answer_model;
    words.extend((whose != base.answer_model).then(|| format!("answer_model {}", whose.word())));
    words.extend(settings.variant.iter().map(|variant| format!("as variant {variant}")));
    words
}

/// Who the provider is asked as; of secrets the references.
pub(super) fn identity(provider: &Provider) -> String {
    let Some(CloudIdentity { cloud, credentials, .. }) = &provider.identity else { return String::new() };
    let Credentials {
        profile,
        access_key_id,
        secret_access_key,
        session_token,
        role_arn,
        token_file,
        key_file,
        tenant_id,
        client_id,
        client_secret,
    } = credentials;
    let texts = [
        ("profile", profile),
        ("role_arn", role_arn),
        ("token_file", token_file),
        ("key_file", key_file),
        ("tenant_id", tenant_id),
        ("client_id", client_id),
    ];
    let secrets = [
        ("access_key_id", access_key_id),
        ("secret_access_key", secret_access_key),
        ("session_token", session_token),
        ("client_secret", client_secret),
    ];
    let texts = texts.into_iter().filter_map(|(name, text)| Some(format!(", {name} {}", text.as_ref()?)));
    let secrets = secrets.into_iter().filter_map(|(name, secret)| Some(format!(", {name} {}", secret.as_ref()?)));
    format!(", as {}{}", cloud.title(), texts.chain(secrets).collect::<String>())
}

/// Every price that is known, in USD per million tokens.
pub(super) fn prices(prices: &Prices) -> String {
    let Prices { input, output, cache_read, cache_write } = *prices;
    let all = [("input", input), ("output", output), ("cache_read", cache_read), ("cache_write", cache_write)];
    let known: Vec<String> =
        all.into_iter().filter_map(|(name, price)| price.map(|price| format!("{name} {price}"))).collect();
    if known.is_empty() { "unknown".to_owned() } else { known.join(", ") }
}

fn differing(words: Vec<String>, base: Vec<String>) -> impl Iterator<Item = String> {
    words.into_iter().zip(base).filter(|(word, base)| word != base).map(|(word, _)| word)
}

fn system_words(text: &str) -> String {
    const SHOWN: usize = 40;
    if text.chars().count() <= SHOWN && !text.contains('\n') {
        return format!("system {}", Quoted(text));
    }
    let beginning: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    let digest = blake3::hash(text.as_bytes()).to_hex();
    format!("system {} ... ({} bytes, {})", Quoted(&beginning), text.len(), digest.chars().take(16).collect::<String>())
}

fn prompt_words(prompts: &Prompts) -> impl Iterator<Item = String> {
    let templates = prompts.templates.iter().map(|template| {
        let schema = template.schema.as_ref().map_or(String::new(), |schema| {
            format!(", {}", output_words(&schema.text).replacen("output", "arguments", 1))
        });
        let Template { name, path, form, digest, .. } = template;
        format!("template {name} from {path} ({}, {digest}{schema})", form.word())
    });
    let wrappers = prompts
        .wrappers
        .iter()
        .map(|wrapper| format!("{} texts in {} ({})", wrapper.speaker.word(), wrapper.path, wrapper.digest));
    templates.chain(wrappers)
}

fn output_words(schema: &str) -> String {
    const SHOWN: usize = 60;
    if schema.len() <= SHOWN {
        return format!("output {schema}");
    }
    let digest = blake3::hash(schema.as_bytes()).to_hex();
    format!("output of {} bytes ({})", schema.len(), digest.chars().take(16).collect::<String>())
}

fn timeout_words(settings: &Settings) -> Vec<String> {
    let times = &settings.timeouts;
    [
        ("connect", times.connect),
        ("first_token", times.first_token),
        ("idle", times.idle),
        ("total", times.total),
        ("keep_alive", times.keep_alive),
    ]
    .map(|(name, time)| format!("timeout {name} {}", duration(time)))
    .into()
}

/// What a preset says of everything that it leads to.
fn scope_words(scope: &Scope) -> String {
    let times = [("whole", scope.whole), ("stream", scope.stream), ("first_token", scope.first_token)];
    let times =
        times.into_iter().filter_map(|(name, time)| time.map(|time| format!("timeout {name} {}", duration(time))));
    let words: Vec<String> = scope.retries.iter().flat_map(retry_words).chain(times).collect();
    format!("around {}: {}", PresetName(&scope.preset), words.join(" and "))
}

fn retry_words(retries: &Retries) -> Vec<String> {
    let on: Vec<String> = retries.on.iter().map(|on| retry_on(*on)).collect();
    vec![
        format!("{} attempt{}", retries.attempts, if retries.attempts == 1 { "" } else { "s" }),
        format!("retry on {}", if on.is_empty() { "nothing".to_owned() } else { on.join(" ") }),
        format!("backoff {} to {}", duration(retries.backoff), duration(retries.max_backoff)),
    ]
}

fn retry_on(on: RetryOn) -> String {
    match on {
        RetryOn::Status(status) => status.to_string(),
        RetryOn::ServerError => "5xx".to_owned(),
        RetryOn::Timeout => "timeout".to_owned(),
        RetryOn::Connect => "connect".to_owned(),
        RetryOn::Empty => "empty".to_owned(),
        RetryOn::Any => "any failure".to_owned(),
    }
}

pub(super) fn defaults(table: &RoutingTable) -> String {
    let Some(base) = table.settings(SettingsIdx::BASE) else { return String::new() };
    let mut words = timeout_words(base);
    words.extend(retry_words(&base.retries));
    let foreign = base.on_foreign_reasoning;
    words
        .extend((foreign != OnForeignReasoning::default()).then(|| format!("on_foreign_reasoning {}", foreign.word())));
    let whose = base.answer_model;
    words.extend((whose != AnswerModel::default()).then(|| format!("answer_model {}", whose.word())));
    words.join(", ")
}

pub(super) fn limits(limits: &Limits) -> String {
    format!("body {} bytes, {} connections, drain {}", limits.body, limits.connections, duration(limits.drain))
}

pub(super) fn rate_limit(limit: &RateLimit) -> String {
    let rates: Vec<String> = limit.rates.iter().map(ToString::to_string).collect();
    let priority = limit.priority.map_or(String::new(), |priority| format!(", priority {priority}"));
    let unpriced = (limit.unpriced > 0).then(|| format!(", {} without a price", Resource::Cost.amount(limit.unpriced)));
    format!("for {}: {}{}{priority}", limit.scope_words(), rates.join("; "), unpriced.unwrap_or_default())
}

pub(super) fn kept(kept: &Kept) -> String {
    format!("{} kept, {} bytes, for {}", kept.entries, kept.memory, duration(kept.ttl))
}

pub(super) fn cache(cache: &CacheLimits) -> String {
    match cache.enabled {
        true => format!("{} bytes, for {}", cache.memory, duration(cache.ttl)),
        false => "off".to_owned(),
    }
}

fn content_words(content: &TraceContent) -> String {
    match content.enabled {
        true => format!("text on spans, {} bytes", content.limit),
        false => "no text on spans".to_owned(),
    }
}

fn cache_words(policy: &CachePolicy) -> String {
    let ttl = policy.ttl.map_or(String::new(), |ttl| format!(" {}", duration(ttl)));
    format!("cache {}{ttl}", policy.mode.word())
}

/// Nothing where the file says nothing.
pub(super) fn files(files: &FilesPolicy) -> Option<String> {
    let provider = files.provider.as_ref().map(|provider| format!("at {provider}"));
    let keys = files.keys.as_ref().map(|keys| {
        format!(
            "{} {}",
            if files.per_key { "for" } else { "shared by" },
            if keys.is_empty() { "nobody".to_owned() } else { keys.join(" ") }
        )
    });
    let per_key = files.per_key.then(|| "each key its own".to_owned());
    let words: Vec<String> = provider.into_iter().chain(keys).chain(per_key).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

pub(super) fn reload(reload: &ReloadSettings) -> String {
    let shrink = if reload.allow_shrink { ", shrinking allowed" } else { "" };
    format!("watch {}, poll every {}{shrink}", watch(reload.watch), duration(reload.poll_interval))
}

pub(super) fn otlp(otlp: &Otlp) -> String {
    let mut words = vec![format!("otlp to {}", otlp.endpoint.as_deref().unwrap_or("where the environment says"))];
    words.extend(otlp.protocol.map(|protocol| protocol.word().to_owned()));
    words.extend(otlp.headers.iter().map(|(name, secret)| format!("header {name} of {secret}")));
    words.extend(otlp.tls.files().map(|(name, path)| format!("{name} {path}")));
    words.extend(otlp.timeout.map(|timeout| format!("timeout {}", duration(timeout))));
    words.extend(otlp.gzip.map(|gzip| format!("gzip {gzip}")));
    words.extend(otlp.traces.map(|traces| format!("traces {traces}")));
    words.extend(otlp.metrics.map(|metrics| format!("metrics {metrics}")));
    words.extend(otlp.logs.map(|logs| format!("logs {logs}")));
    words.extend(otlp.sample.map(|sample| format!("sample {sample}")));
    words.extend(otlp.service.as_ref().map(|service| format!("service {service}")));
    words.extend(otlp.resource.iter().map(|(name, value)| format!("{name} = {value}")));
    words.extend(otlp.interval.map(|interval| format!("metrics every {}", duration(interval))));
    words.join(", ")
}

pub(super) fn access_log(log: &AccessLog) -> String {
    format!("to {}, format {}, facts {}", log.to.text(), log.format.word(), log.facts.word())
}

pub(super) fn watch(mode: WatchMode) -> &'static str {
    match mode {
        WatchMode::Auto => "auto",
        WatchMode::Poll => "poll",
        WatchMode::Off => "off",
    }
}

/// The first models, and a digest of the others: a catalogue has hundreds.
pub(super) fn models(models: &[Box<str>]) -> String {
    const SHOWN: usize = 8;
    let (first, others) = models.split_at_checked(SHOWN).unwrap_or((models, &[]));
    let first: Vec<&str> = first.iter().map(|model| &**model).collect();
    if others.is_empty() {
        return first.join(", ");
    }
    let digest = blake3::hash(others.join("\n").as_bytes()).to_hex();
    let digest: String = digest.chars().take(16).collect();
    format!("{} and {} others ({digest})", first.join(", "), others.len())
}

pub(super) fn key(key: &ClientKey) -> String {
    let expires = key.expires.iter().map(|expiry| format!(", until {}", expiry.text));
    let disabled = key.disabled.then(|| ", disabled".to_owned());
    let attributes = key.attributes.iter().map(|(name, value)| format!(", {name} {}", Quoted(value)));
    let attributes = expires.chain(disabled).chain(attributes);
    let routing = match key.allow_request_routing {
        Some(true) => ", may choose targets",
        Some(false) => ", may not choose targets",
        None => "",
    };
    let explain = match key.allow_explain {
        Some(true) => ", may ask why",
        Some(false) => ", may not ask why",
        None => "",
    };
    let admin = if key.admin { ", may look and reload" } else { "" };
    format!("{}{}{routing}{explain}{admin}", key.secret, attributes.collect::<String>())
}

pub(super) fn operation(operation: Operation, stream: bool) -> &'static str {
    match operation {
        Operation::Generate if stream => "stream",
        operation => operation.name(),
    }
}

/// The word for a lane, in dumps, explanations and tests of the file.
pub fn lane_word(lane: &Lane) -> &'static str {
    match lane {
        Lane::Passthrough { .. } => "pass-through",
        Lane::Translate { .. } => "translated",
        Lane::Refused(_) => "refused",
    }
}

/// The value, unless the header is one that carries secrets.
pub(super) fn header(name: &HeaderName, value: &HeaderValue) -> String {
    const SECRET: &[&str] = &["auth", "key", "token", "secret", "cookie", "password", "credential", "session"];
    if SECRET.iter().any(|word| name.as_str().contains(word)) {
        return "***".to_owned();
    }
    value.to_str().unwrap_or("***").to_owned()
}

/// Quirks that are set, by their names.
pub(super) fn quirks(quirks: &Quirks) -> Vec<String> {
    let (Ok(serde_json::Value::Object(all)), Ok(serde_json::Value::Object(none))) =
        (serde_json::to_value(quirks), serde_json::to_value(Quirks::default()))
    else {
        return Vec::new();
    };
    let set = all.into_iter().filter(|(name, value)| none.get(name) != Some(value));
    set.map(|(name, value)| if value == true { name } else { format!("{name}={value}") }).collect()
}

/// `250ms`, `30s`.
pub(super) fn duration(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}
