//! Token counts. Converse counts input that a cache read or kept apart from `inputTokens`; the hub's input is all of it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::ir::Usage;
use crate::wire::ir::count::{Count, count as number};
use crate::wire::json::{self, Object, ObjectWriter, str_of};

/// Members of `usage` that are read: see [`crate::wire::usage_left`].
pub(super) const READ: &[&str] = &[
    "inputTokens",
    "outputTokens",
    "totalTokens",
    "cacheReadInputTokens",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokens",
    "cacheWriteInputTokenCount",
    "cacheDetails",
];

/// Counts of the hub that [`write`] writes.
pub(super) const SAID: &[&str] = &["input", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "output"];

/// The usage of a document that has a member `usage`.
pub(super) fn of(text: &str) -> Option<Usage> {
    read(Object::of(Object::parse(text).ok()?.get("usage")?).ok()?)
}

/// Reads the object `usage`. Older services spell the cache's counts with `Count` at their end.
pub(super) fn read(usage: Object<'_>) -> Option<Usage> {
    let count = |keys: &[&str]| keys.iter().find_map(|key| number(usage.get(key)?));
    let cache_read = count(&["cacheReadInputTokens", "cacheReadInputTokenCount"]);
    let cache_write = count(&["cacheWriteInputTokens", "cacheWriteInputTokenCount"]);
    let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
    let lifetimes: Vec<Written> =
        usage.get("cacheDetails").and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let written = |ttl: &str| {
        let counts: Vec<u64> =
            lifetimes.iter().filter(|entry| entry.ttl == ttl).filter_map(|entry| entry.input_tokens.0).collect();
        (!counts.is_empty()).then(|| counts.iter().sum())
    };
    let read = Usage {
        input: count(&["inputTokens"]).map(|input| input.saturating_add(cached)),
        cache_read,
        cache_write,
        cache_write_5m: written("5m"),
        cache_write_1h: written("1h"),
        output: count(&["outputTokens"]),
        ..Usage::default()
    };
    (read != Usage::default()).then_some(read)
}

/// One entry of `cacheDetails`: what was written to the cache, by its lifetime.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    ttl: String,
    input_tokens: Count,
}

/// Writes the members of `usage`; clients require the first three.
pub(super) fn write(usage: &Usage, body: &mut ObjectWriter<'_>) {
    body.field("inputTokens", &usage.uncached_input().unwrap_or(0));
    body.field("outputTokens", &usage.output.unwrap_or(0));
    body.field("totalTokens", &usage.total().unwrap_or(0));
    body.optional("cacheReadInputTokens", &usage.cache_read);
    body.optional("cacheWriteInputTokens", &usage.cache_write);
    let lifetimes = [("5m", usage.cache_write_5m), ("1h", usage.cache_write_1h)];
    if lifetimes.iter().any(|(_, count)| count.is_some()) {
        let told = lifetimes.into_iter().filter_map(|(ttl, count)| Some((ttl, count?)));
        body.array("cacheDetails", told, |(ttl, count), out| {
            json::object(out, |entry| {
                entry.field("ttl", ttl);
                entry.field("inputTokens", &count);
            });
        });
    }
}

/// Writes how long the upstream took, which clients require and the hub does not know: nought, unless the upstream itself
/// told it.
pub(super) fn write_metrics(told: Option<&RawValue>, body: &mut ObjectWriter<'_>) {
    match told {
        Some(metrics) => body.raw("metrics", metrics),
        None => body.object("metrics", |metrics| metrics.field("latencyMs", &0)),
    }
}

/// Writes the stop text that was met.
pub(super) fn write_stop_sequence(text: Option<&String>, body: &mut ObjectWriter<'_>) {
    if let Some(text) = text {
        body.object("additionalModelResponseFields", |fields| fields.field("stop_sequence", text));
    }
}

/// The stop text that was met, which Claude tells among the additional fields, in streams one level deeper.
pub(super) fn stop_sequence(fields: &RawValue) -> Option<String> {
    let fields = Object::of(fields).ok()?;
    let inner = fields.get("delta").and_then(|delta| Object::of(delta).ok()).unwrap_or(fields);
    inner.get("stop_sequence").and_then(str_of).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_input_is_input() {
        let usage = of(
            r#"{"usage":{"inputTokens":3,"outputTokens":5,"totalTokens":58,"cacheReadInputTokens":40,"cacheWriteInputTokens":10}}"#,
        );
        let usage = usage.unwrap();
        assert_eq!((usage.input, usage.output, usage.total()), (Some(53), Some(5), Some(58)));
        assert_eq!(of("{}"), None);
    }

    #[test]
    fn lifetimes_of_the_cache_are_told_in_both_directions() {
        let text = r#"{"inputTokens":3,"outputTokens":5,"totalTokens":18,"cacheWriteInputTokens":10,
            "cacheDetails":[{"ttl":"5m","inputTokens":4},{"ttl":"1h","inputTokens":6}]}"#;
        let usage = read(Object::parse(text).unwrap()).unwrap();
        assert_eq!((usage.cache_write, usage.cache_write_5m, usage.cache_write_1h), (Some(10), Some(4), Some(6)));
        let mut out = Vec::new();
        json::object(&mut out, |body| write(&usage, body));
        let [written, given]: [serde_json::Value; 2] =
            [String::from_utf8(out).unwrap(), text.to_owned()].map(|text| serde_json::from_str(&text).unwrap());
        assert_eq!(written, given);
    }
}
