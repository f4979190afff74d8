//! Token counts: input includes what a cache read, output includes reasoning.

use serde_json::value::RawValue;

use crate::wire::ir::Usage;
use crate::wire::ir::count::count;
use crate::wire::json::{self, Kind, Object, ObjectWriter};

/// Members of `usage` that are read: see [`crate::wire::usage_left`].
pub(super) const READ: &[&str] = &[
    "input_tokens",
    "input_tokens_details.cached_tokens",
    "input_tokens_details.cache_write_tokens",
    "output_tokens",
    "output_tokens_details.reasoning_tokens",
    "total_tokens",
];

/// Counts of the hub that [`write`] writes.
pub(super) const SAID: &[&str] = &["input", "cache_read", "cache_write", "output", "reasoning"];

/// Reads the value of `usage`, `None` where nothing was counted.
pub(super) fn read(raw: &RawValue) -> Option<Usage> {
    if json::kind(raw) != Kind::Object {
        return None;
    }
    let usage = Object::of(raw).ok()?;
    let inner = |object: &str, key: &str| count(Object::of(usage.get(object)?).ok()?.get(key)?);
    let read = Usage {
        input: usage.get("input_tokens").and_then(count),
        cache_read: inner("input_tokens_details", "cached_tokens"),
        cache_write: inner("input_tokens_details", "cache_write_tokens"),
        output: usage.get("output_tokens").and_then(count),
        reasoning: inner("output_tokens_details", "reasoning_tokens"),
        charged: charged(&usage),
        ..Usage::default()
    };
    (read != Usage::default()).then_some(read)
}

/// What OpenRouter charges, in USD, and xAI, in ticks.
fn charged(usage: &Object<'_>) -> Option<u64> {
    let usd = usage.get("cost").and_then(|raw| match json::str_of(raw) {
        Some(text) => Usage::charged_of_text(&text),
        None => Usage::charged_of_text(raw.get()),
    });
    let ticks = usage.get("cost_in_usd_ticks").and_then(count);
    usd.or(ticks.map(Usage::charged_of_ticks))
}

/// Writes the value of `usage`. Clients read every one of these members.
pub(super) fn write(usage: &Usage, out: &mut ObjectWriter<'_>) {
    out.field("input_tokens", &usage.input.unwrap_or(0));
    out.object("input_tokens_details", |details| {
        details.field("cached_tokens", &usage.cache_read.unwrap_or(0));
        details.field("cache_write_tokens", &usage.cache_write.unwrap_or(0));
    });
    out.field("output_tokens", &usage.output.unwrap_or(0));
    out.object("output_tokens_details", |details| {
        details.field("reasoning_tokens", &usage.reasoning.unwrap_or(0));
    });
    out.field("total_tokens", &usage.total().unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_charges_is_read() {
        let usage = json::raw(r#"{"input_tokens":352,"output_tokens":267,"cost_in_usd_ticks":7715000}"#).unwrap();
        assert_eq!(read(&usage).and_then(|usage| usage.charged), Some(771_500_000));
        for cost in ["0.0007715", r#""0.0007715""#] {
            let usage = json::raw(format!(r#"{{"input_tokens":352,"output_tokens":267,"cost":{cost}}}"#)).unwrap();
            assert_eq!(read(&usage).and_then(|usage| usage.charged), Some(771_500_000), "of OpenRouter: {cost}");
        }
    }
}
