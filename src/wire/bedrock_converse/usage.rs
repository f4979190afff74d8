//! Token counts. Converse counts input that a cache read or kept apart from `inputTokens`; the hub's input is all of it.

use crate::wire::ir::Usage;
use crate::wire::json::{Object, str_of};

/// The usage of a document that has a member `usage`.
pub(super) fn of(text: &str) -> Option<Usage> {
    read(Object::of(Object::parse(text).ok()?.get("usage")?).ok()?)
}

/// Reads the object `usage`. Older services spell the cache's counts with `Count` at their end.
pub(super) fn read(usage: Object<'_>) -> Option<Usage> {
    let count = |keys: &[&str]| keys.iter().find_map(|key| serde_json::from_str::<u64>(usage.get(key)?.get()).ok());
    let cache_read = count(&["cacheReadInputTokens", "cacheReadInputTokenCount"]);
    let cache_write = count(&["cacheWriteInputTokens", "cacheWriteInputTokenCount"]);
    let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
    let read = Usage {
        input: count(&["inputTokens"]).map(|input| input.saturating_add(cached)),
        cache_read,
        cache_write,
        output: count(&["outputTokens"]),
        ..Usage::default()
    };
    (read != Usage::default()).then_some(read)
}

/// The stop text that was met, which Claude tells among the additional fields, in streams one level deeper.
pub(super) fn stop_sequence(fields: &serde_json::value::RawValue) -> Option<String> {
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
}
