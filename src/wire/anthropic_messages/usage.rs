//! Token counts. Anthropic counts input that a cache read or kept apart from `input_tokens`; the hub's input is all of it.

use serde_json::value::RawValue;

use crate::wire::ir::Usage;
use crate::wire::json::{self, Ext, Object, ObjectWriter};

/// The counts of one `usage` object, each as it was last reported. A stream reports them piece by piece.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

impl Counts {
    /// Takes the members that the hub models; `null` and what is no number stay in `usage`.
    pub(super) fn read(usage: &mut Object<'_>) -> Counts {
        let mut taken = |key: &str| {
            let count = usage.get(key).and_then(number)?;
            usage.take(key);
            Some(count)
        };
        let (input, output) = (taken("input_tokens"), taken("output_tokens"));
        let (cache_read, cache_write) = (taken("cache_read_input_tokens"), taken("cache_creation_input_tokens"));
        Counts {
            input,
            cache_read,
            cache_write: cache_write.or_else(|| usage.get("cache_creation").and_then(written_by_ttl)),
            output,
            thinking: usage
                .get("output_tokens_details")
                .and_then(|raw| number(Object::of(raw).ok()?.get("thinking_tokens")?)),
        }
    }

    /// Takes over every count that `newer` reports: counts of a stream are cumulative.
    pub(super) fn update(&mut self, newer: Counts) {
        self.input = newer.input.or(self.input);
        self.cache_read = newer.cache_read.or(self.cache_read);
        self.cache_write = newer.cache_write.or(self.cache_write);
        self.output = newer.output.or(self.output);
        self.thinking = newer.thinking.or(self.thinking);
    }

    /// In the hub's meaning, `None` where nothing was reported.
    pub(super) fn usage(&self) -> Option<Usage> {
        let Counts { input, cache_read, cache_write, output, thinking } = *self;
        let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
        let usage = Usage {
            input: input.map(|input| input.saturating_add(cached)),
            cache_read,
            cache_write,
            output,
            reasoning: thinking,
            ..Usage::default()
        };
        usage.reported()
    }
}

/// Some relays report `cache_creation` by lifetime and leave the sum out.
fn written_by_ttl(raw: &RawValue) -> Option<u64> {
    let written = Object::of(raw).ok()?;
    let counts =
        ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"].map(|key| written.get(key).and_then(number));
    counts.iter().any(Option::is_some).then(|| counts.iter().flatten().sum())
}

/// A count, also where it is written as `12.0`.
fn number(raw: &RawValue) -> Option<u64> {
    let number: serde_json::Number = serde_json::from_str(raw.get()).ok()?;
    number.as_u64().or_else(|| number.as_f64().filter(|count| *count >= 0.0).map(|count| count as u64))
}

/// Writes the members of `usage`. `rest` holds what an answer of this protocol had besides.
pub(super) fn write(usage: &Usage, rest: Option<&RawValue>, out: &mut ObjectWriter<'_>) {
    let rest = rest.and_then(|rest| Object::of(rest).ok()).map(Object::rest).unwrap_or_default();
    let mut count = |key: &str, value: Option<u64>| {
        if rest.get(key).is_none() {
            out.optional(key, &value);
        }
    };
    count("input_tokens", Some(usage.uncached_input().unwrap_or(0)));
    count("cache_creation_input_tokens", usage.cache_write);
    count("cache_read_input_tokens", usage.cache_read);
    count("output_tokens", Some(usage.output.unwrap_or(0)));
    if let Some(reasoning) = usage.reasoning.filter(|_| rest.get("output_tokens_details").is_none()) {
        out.object("output_tokens_details", |details| details.field("thinking_tokens", &reasoning));
    }
    out.ext(&rest);
}

/// The members of `usage` that [`Counts::read`] left, as one object; `None` where it left none.
pub(super) fn rest(usage: Object<'_>) -> Option<Box<RawValue>> {
    let rest = usage.rest();
    if rest.0.is_empty() { None } else { raw_object(&rest) }
}

/// Members as one object.
pub(super) fn raw_object(members: &Ext) -> Option<Box<RawValue>> {
    let mut text = Vec::new();
    json::object(&mut text, |object| object.ext(members));
    json::raw(String::from_utf8(text).ok()?)
}
