//! Token counts. Anthropic counts input that a cache read or kept apart from `input_tokens`; the hub's input is all of it.

use serde_json::value::RawValue;

use crate::wire::ir::Usage;
use crate::wire::ir::count::count;
use crate::wire::json::{self, Ext, Object, ObjectWriter};
use crate::wire::usage_left;

/// The counts of one `usage` object, each as it was last reported. A stream reports them piece by piece.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    /// What of `cache_write` lives for five minutes, and for an hour.
    lifetimes: [Option<u64>; 2],
    output: Option<u64>,
    thinking: Option<u64>,
    web_searches: Option<u64>,
}

impl Counts {
    /// Takes the members that the hub models; `null` and what is no count stay in `usage`.
    pub(super) fn read(usage: &mut Object<'_>) -> Counts {
        let mut taken = |key: &str| {
            let told = usage.get(key).and_then(count)?;
            usage.take(key);
            Some(told)
        };
        let (input, output) = (taken("input_tokens"), taken("output_tokens"));
        let (cache_read, cache_write) = (taken("cache_read_input_tokens"), taken("cache_creation_input_tokens"));
        let inner = |object: &str, key: &str| count(Object::of(usage.get(object)?).ok()?.get(key)?);
        let lifetimes = LIFETIMES.map(|key| inner("cache_creation", key));
        // Some relays report the lifetimes and leave the sum out.
        let sum = lifetimes.iter().any(Option::is_some).then(|| lifetimes.iter().flatten().sum());
        Counts {
            input,
            cache_read,
            cache_write: cache_write.or(sum),
            lifetimes,
            output,
            thinking: inner("output_tokens_details", "thinking_tokens"),
            web_searches: inner("server_tool_use", "web_search_requests"),
        }
    }

    /// Takes over every count that `newer` reports: counts of a stream are cumulative.
    pub(super) fn update(&mut self, newer: Counts) {
        self.input = newer.input.or(self.input);
        self.cache_read = newer.cache_read.or(self.cache_read);
        self.cache_write = newer.cache_write.or(self.cache_write);
        if newer.lifetimes.iter().any(Option::is_some) {
            self.lifetimes = newer.lifetimes;
        }
        self.output = newer.output.or(self.output);
        self.thinking = newer.thinking.or(self.thinking);
        self.web_searches = newer.web_searches.or(self.web_searches);
    }

    /// In the hub's meaning, `None` where nothing was reported.
    pub(super) fn usage(&self) -> Option<Usage> {
        let Counts { input, cache_read, cache_write, lifetimes, output, thinking, web_searches } = *self;
        // Server tools write to the cache while a stream runs, and only the sum is told again: what does not add up is stale.
        let adds_up = cache_write == Some(lifetimes.iter().flatten().sum());
        let [short, long] = lifetimes.map(|count| count.filter(|_| adds_up));
        let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
        let usage = Usage {
            input: input.map(|input| input.saturating_add(cached)),
            cache_read,
            cache_write,
            cache_write_5m: short,
            cache_write_1h: long,
            output,
            reasoning: thinking,
            web_searches,
            ..Usage::default()
        };
        usage.reported()
    }
}

/// The members of `cache_creation`.
const LIFETIMES: [&str; 2] = ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"];

/// Adds what a later event of a stream reports. One that tells the new input and leaves the cache out means the cache that was
/// told before.
pub(super) fn add(known: &mut Usage, newer: &Usage) {
    let untold = |now: Option<u64>, before: Option<u64>| if now.is_none() { before.unwrap_or(0) } else { 0 };
    let cached = untold(newer.cache_read, known.cache_read) + untold(newer.cache_write, known.cache_write);
    known.update(&Usage { input: newer.input.map(|input| input.saturating_add(cached)), ..*newer });
}

/// Counts of the hub that [`write`] writes.
pub(super) const SAID: &[&str] =
    &["input", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "output", "reasoning", "web_searches"];

/// Writes the counts among the members of `usage`.
pub(super) fn write(usage: &Usage, out: &mut ObjectWriter<'_>) {
    out.field("input_tokens", &usage.uncached_input().unwrap_or(0));
    out.optional("cache_creation_input_tokens", &usage.cache_write);
    out.optional("cache_read_input_tokens", &usage.cache_read);
    out.field("output_tokens", &usage.output.unwrap_or(0));
    let lifetimes = [usage.cache_write_5m, usage.cache_write_1h];
    if lifetimes.iter().any(Option::is_some) {
        out.object("cache_creation", |created| {
            LIFETIMES.iter().zip(lifetimes).for_each(|(key, count)| created.field(key, &count.unwrap_or(0)));
        });
    }
    if let Some(searches) = usage.web_searches {
        out.object("server_tool_use", |used| used.field("web_search_requests", &searches));
    }
    if let Some(reasoning) = usage.reasoning {
        out.object("output_tokens_details", |details| details.field("thinking_tokens", &reasoning));
    }
}

/// What is left of `usage` behind [`Counts::read`], `None` where nothing is.
pub(super) fn rest(usage: &Object<'_>) -> Option<Box<RawValue>> {
    const READ: &[&str] = &[
        "cache_creation.ephemeral_5m_input_tokens",
        "cache_creation.ephemeral_1h_input_tokens",
        "server_tool_use.web_search_requests",
        "output_tokens_details.thinking_tokens",
    ];
    usage_left::of(usage, READ)
}

/// Members as one object.
pub(super) fn raw_object(members: &Ext) -> Option<Box<RawValue>> {
    let mut text = Vec::new();
    json::object(&mut text, |object| object.ext(members));
    json::raw(String::from_utf8(text).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Counts {
        Counts::read(&mut Object::parse(text).unwrap())
    }

    fn written(usage: &Usage) -> serde_json::Value {
        let mut out = Vec::new();
        json::object(&mut out, |object| write(usage, object));
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn lifetimes_of_the_cache_and_searches_are_told() {
        let text = r#"{"input_tokens":3,"cache_creation_input_tokens":7,"cache_read_input_tokens":0,"output_tokens":1,
            "cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":2},
            "server_tool_use":{"web_search_requests":4}}"#;
        let usage = counts(text).usage().unwrap();
        assert_eq!((usage.input, usage.cache_write, usage.web_searches), (Some(10), Some(7), Some(4)));
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (Some(5), Some(2)));
        assert_eq!(written(&usage), serde_json::from_str::<serde_json::Value>(text).unwrap());
    }

    #[test]
    fn lifetimes_that_do_not_add_up_are_stale() {
        let start = r#"{"input_tokens":3,"cache_creation_input_tokens":7,"output_tokens":1,
            "cache_creation":{"ephemeral_5m_input_tokens":7,"ephemeral_1h_input_tokens":0}}"#;
        let end = r#"{"cache_creation_input_tokens":20,"output_tokens":9}"#;
        let mut read = counts(start);
        let mut watched = read.usage().unwrap();
        assert_eq!(watched.cache_write_5m, Some(7));
        read.update(counts(end));
        add(&mut watched, &counts(end).usage().unwrap());
        for usage in [read.usage().unwrap(), watched] {
            assert_eq!((usage.cache_write, usage.cache_write_5m, usage.cache_write_1h), (Some(20), None, None));
        }
    }

    #[test]
    fn an_end_without_the_cache_keeps_the_cache_in_the_input() {
        let start = r#"{"input_tokens":3,"cache_read_input_tokens":40,"output_tokens":1}"#;
        let end = r#"{"input_tokens":4,"output_tokens":9}"#;
        let mut read = counts(start);
        let mut watched = read.usage().unwrap();
        read.update(counts(end));
        add(&mut watched, &counts(end).usage().unwrap());
        assert_eq!(read.usage().unwrap(), watched);
        assert_eq!((watched.input, watched.cache_read, watched.output), (Some(44), Some(40), Some(9)));
    }
}
