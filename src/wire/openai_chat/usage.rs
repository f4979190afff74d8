//! Token counts, in the spellings of a dozen vendors.

use std::fmt;

use memchr::memmem;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::wire::ir::Usage;
use crate::wire::json::ObjectWriter;

/// `usage` as it may be written. Counts are `null`, absent or fractional at some upstreams.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek.
    prompt_cache_hit_tokens: Count,
    /// Moonshot.
    cached_tokens: Count,
    /// Perplexity and others.
    reasoning_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Count,
}

impl Counts {
    /// The hub's meaning, `None` where nothing was counted.
    pub(super) fn read(&self) -> Option<Usage> {
        let prompt = self.prompt_tokens_details.as_ref();
        let reasoning = self.completion_tokens_details.as_ref().and_then(|details| details.reasoning_tokens.0);
        let reasoning = reasoning.or(self.reasoning_tokens.0);
        let usage = Usage {
            input: self.prompt_tokens.0,
            cache_read: prompt
                .and_then(|details| details.cached_tokens.0)
                .or(self.prompt_cache_hit_tokens.0)
                .or(self.cached_tokens.0),
            cache_write: prompt.and_then(|details| details.cache_write_tokens.0),
            output: self.output(reasoning),
            reasoning,
            ..Usage::default()
        };
        usage.reported()
    }

    /// `completion_tokens` includes the reasoning everywhere but at xAI, whose total tells.
    fn output(&self, reasoning: Option<u64>) -> Option<u64> {
        let completion = self.completion_tokens.0?;
        let apart = reasoning.filter(|&reasoning| {
            reasoning > 0 && self.total_tokens.0 == Some(self.prompt_tokens.0.unwrap_or(0) + completion + reasoning)
        });
        Some(completion.saturating_add(apart.unwrap_or(0)))
    }
}

/// Where a chunk or an answer may have its usage.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Places {
    usage: Option<Counts>,
    /// Groq, whose last chunk has it twice.
    x_groq: Option<Groq>,
    choices: Option<Vec<Choice>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Groq {
    usage: Option<Counts>,
}

/// Moonshot's older API counts in the choice.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice {
    usage: Option<Counts>,
}

/// Usage of a whole answer or of a chunk, without a tree.
pub(super) fn of_answer(body: &[u8]) -> Option<Usage> {
    memmem::find(body, b"\"usage\"")?;
    let places: Places = serde_json::from_slice(body).ok()?;
    let read = |counts: Option<Counts>| counts.as_ref().and_then(Counts::read);
    read(places.usage)
        .or_else(|| read(places.x_groq.and_then(|groq| groq.usage)))
        .or_else(|| places.choices?.into_iter().find_map(|choice| read(choice.usage)))
}

/// Writes the value of `usage`.
pub(super) fn write(usage: &Usage, counts: &mut ObjectWriter<'_>) {
    counts.field("prompt_tokens", &usage.input.unwrap_or(0));
    counts.field("completion_tokens", &usage.output.unwrap_or(0));
    counts.field("total_tokens", &usage.total().unwrap_or(0));
    if usage.cache_read.is_some() || usage.cache_write.is_some() {
        counts.object("prompt_tokens_details", |details| {
            details.optional("cached_tokens", &usage.cache_read);
            details.optional("cache_write_tokens", &usage.cache_write);
        });
    }
    if usage.reasoning.is_some() {
        counts.object("completion_tokens_details", |details| details.optional("reasoning_tokens", &usage.reasoning));
    }
}

/// A count, `None` for anything that is not one.
#[derive(Debug, Default, Clone, Copy)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Count, E> {
        Ok(Count(Some(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Count, E> {
        Ok(Count(u64::try_from(value).ok()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Count, E> {
        // A saturating cast: no count of tokens comes near the bounds.
        Ok(Count((value >= 0.0).then_some(value as u64)))
    }

    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Count(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Count(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(text: &str) -> Usage {
        of_answer(format!(r#"{{"id":"x","usage":{text}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn vendors_spellings_have_one_meaning() {
        let openai = usage(
            r#"{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4},
               "completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":0}}"#,
        );
        let expected =
            Usage { input: Some(10), cache_read: Some(4), output: Some(7), reasoning: Some(5), ..Usage::default() };
        assert_eq!(openai, expected);
        let deepseek =
            usage(r#"{"prompt_tokens":10,"completion_tokens":7,"prompt_cache_hit_tokens":4,"reasoning_tokens":5}"#);
        assert_eq!(deepseek, expected);
    }

    #[test]
    fn reasoning_outside_of_the_completion_is_added() {
        let xai = r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":5}}"#;
        assert_eq!(usage(xai).output, Some(7));
    }

    #[test]
    fn counts_may_be_fractional_or_missing() {
        let odd =
            usage(r#"{"prompt_tokens":10.0,"completion_tokens":null,"total_tokens":"x","prompt_tokens_details":null}"#);
        assert_eq!((odd.input, odd.output), (Some(10), None));
        assert_eq!(of_answer(br#"{"usage":null}"#), None);
        assert_eq!(of_answer(br#"{"usage":{}}"#), None);
    }

    #[test]
    fn usage_is_found_where_vendors_put_it() {
        for text in [
            r#"{"choices":[],"x_groq":{"id":"r","usage":{"prompt_tokens":3}}}"#,
            r#"{"choices":[{"index":0,"usage":{"prompt_tokens":3}}],"usage":null}"#,
        ] {
            assert_eq!(of_answer(text.as_bytes()).and_then(|usage| usage.input), Some(3), "{text}");
        }
    }
}
