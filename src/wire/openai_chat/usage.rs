//! Token counts, in the spellings of a dozen vendors.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use crate::wire::ir::Usage;
use crate::wire::ir::count::Count;
use crate::wire::json::{self, ObjectWriter};
use crate::wire::needle::Needle;
use crate::wire::outline::Outline;

/// Members of `usage` that are read, or repeat what others say: see [`crate::wire::usage_left`].
pub(super) const READ: &[&str] = &[
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details.cached_tokens",
    "prompt_tokens_details.cache_write_tokens",
    "prompt_tokens_details.audio_tokens",
    "prompt_tokens_details.image_tokens",
    "completion_tokens_details.reasoning_tokens",
    "completion_tokens_details.audio_tokens",
    "completion_tokens_details.image_tokens",
    "prompt_cache_hit_tokens",
    "prompt_cache_miss_tokens",
    "cached_tokens",
    "num_cached_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "prompt_tokens_details.cache_creation_tokens",
    "reasoning_tokens",
    "num_search_queries",
    "server_tool_use.web_search_requests",
];

/// Counts of the hub that [`write`] writes.
pub(super) const SAID: &[&str] = &[
    "input",
    "cache_read",
    "cache_write",
    "audio_input",
    "image_input",
    "output",
    "reasoning",
    "audio_output",
    "image_output",
];

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
    /// Mistral.
    num_cached_tokens: Count,
    /// Relays that put Anthropic's counts beside OpenAI's (LiteLLM, Venice); `prompt_tokens` has them.
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    /// Perplexity and others.
    reasoning_tokens: Count,
    /// OpenRouter: a number of USD. Perplexity: an object.
    cost: Charge,
    /// xAI: what it charges.
    cost_in_usd_ticks: Count,
    /// Perplexity.
    num_search_queries: Count,
    /// OpenRouter.
    server_tool_use: Option<ServerTools>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    web_search_requests: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
    /// LiteLLM.
    cache_creation_tokens: Count,
    audio_tokens: Count,
    image_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Count,
    audio_tokens: Count,
    image_tokens: Count,
}

impl Counts {
    /// The hub's meaning, `None` where nothing was counted.
    pub(super) fn read(&self) -> Option<Usage> {
        let prompt = self.prompt_tokens_details.as_ref();
        let completion = self.completion_tokens_details.as_ref();
        let reasoning = completion.and_then(|details| details.reasoning_tokens.0).or(self.reasoning_tokens.0);
        let audio_input = prompt.and_then(|details| details.audio_tokens.0);
        let searches = self.server_tool_use.as_ref().and_then(|tools| tools.web_search_requests.0);
        // What counts something goes before what counts nothing.
        fn told<const N: usize>(counts: [Option<u64>; N]) -> Option<u64> {
            counts.iter().flatten().copied().find(|count| *count > 0).or_else(|| counts.into_iter().flatten().next())
        }
        let usage = Usage {
            input: self.prompt_tokens.0,
            cache_read: told([
                prompt.and_then(|details| details.cached_tokens.0),
                self.prompt_cache_hit_tokens.0,
                self.cached_tokens.0,
                self.num_cached_tokens.0,
                self.cache_read_input_tokens.0,
            ]),
            cache_write: told([
                prompt.and_then(|details| details.cache_write_tokens.0),
                prompt.and_then(|details| details.cache_creation_tokens.0),
                self.cache_creation_input_tokens.0,
            ]),
            audio_input,
            image_input: prompt.and_then(|details| details.image_tokens.0),
            output: self.completion_tokens.0,
            reasoning,
            audio_output: completion.and_then(|details| details.audio_tokens.0),
            image_output: completion.and_then(|details| details.image_tokens.0),
            web_searches: self.num_search_queries.0.or(searches),
            charged: self.cost.0.or(self.cost_in_usd_ticks.0.map(Usage::charged_of_ticks)),
            ..Usage::default()
        };
        self.with_what_is_beyond(usage).reported()
    }

    /// `told` with what the total counts beyond prompt and completion: the reasoning (xAI), the prompt's sound (Mistral), or,
    /// where no reasoning is told, thoughts that are told nowhere (Gemini behind OpenAI's protocol).
    fn with_what_is_beyond(&self, told: Usage) -> Usage {
        let (Some(input), Some(output), Some(total)) = (told.input, told.output, self.total_tokens.0) else {
            return told;
        };
        let beyond = total.saturating_sub(input.saturating_add(output));
        let is = |count: Option<u64>| count == Some(beyond);
        if beyond == 0 {
            told
        } else if is(told.reasoning) {
            Usage { output: Some(output.saturating_add(beyond)), ..told }
        } else if is(told.audio_input) {
            Usage { input: Some(input.saturating_add(beyond)), ..told }
        } else if told.reasoning.is_none_or(|reasoning| reasoning == 0) {
            Usage { output: Some(output.saturating_add(beyond)), reasoning: Some(beyond), ..told }
        } else {
            told
        }
    }
}

/// What an upstream charges, in millionths of a millionth of a USD.
#[derive(Debug, Default, Clone, Copy)]
struct Charge(Option<u64>);

impl<'de> Deserialize<'de> for Charge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Charge, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Usd(f64),
            Text(String),
            Parts { total_cost: f64 },
            Other(IgnoredAny),
        }
        Ok(Charge(match Written::deserialize(deserializer)? {
            Written::Usd(usd) | Written::Parts { total_cost: usd } => Usage::charged_of_usd(usd),
            Written::Text(usd) => Usage::charged_of_text(&usd),
            Written::Other(_) => None,
        }))
    }
}

/// A part of a chunk or an answer that has usage of its own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part {
    usage: Option<Counts>,
}

impl Part {
    fn read(&self) -> Option<Usage> {
        self.usage.as_ref().and_then(Counts::read)
    }
}

static USAGE: Needle = Needle::new("\"usage\"");

/// The values of all members `usage`, however deep, but for `null`, which they are in all chunks but one.
fn values(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    USAGE.values(text).filter(|value| !value.starts_with(b"null"))
}

/// Usage of a whole answer or of a chunk. Nothing else of it is read, unless it has several.
pub(super) fn of_answer(body: &[u8]) -> Option<Usage> {
    let mut values = values(body);
    let (first, more) = (values.next()?, values.next());
    if more.is_some() {
        return of_parts(body);
    }
    serde_json::Deserializer::from_slice(first).into_iter::<Counts>().next()?.ok()?.read()
}

/// The answer's own usage, else that of a part of it.
fn of_parts(body: &[u8]) -> Option<Usage> {
    let members = Outline::with_repeats(json::utf8(body).ok()?).ok()?;
    let part = |name: &str| members.get(name).filter(|part| values(part.as_bytes()).next().is_some());
    let own = || serde_json::from_str::<Counts>(members.get("usage")?).ok()?.read();
    // Groq, whose last chunk has it twice.
    let groq = || serde_json::from_str::<Part>(part("x_groq")?).ok()?.read();
    // Moonshot's older API counts in the choice.
    let choices = || serde_json::from_str::<Vec<Part>>(part("choices")?).ok()?.iter().find_map(Part::read);
    own().or_else(groq).or_else(choices)
}

/// Writes the value of `usage`.
pub(super) fn write(usage: &Usage, counts: &mut ObjectWriter<'_>) {
    counts.field("prompt_tokens", &usage.input.unwrap_or(0));
    counts.field("completion_tokens", &usage.output.unwrap_or(0));
    counts.field("total_tokens", &usage.total().unwrap_or(0));
    write_details(
        "prompt_tokens_details",
        counts,
        [
            ("cached_tokens", usage.cache_read),
            ("cache_write_tokens", usage.cache_write),
            ("audio_tokens", usage.audio_input),
            ("image_tokens", usage.image_input),
        ],
    );
    write_details(
        "completion_tokens_details",
        counts,
        [
            ("reasoning_tokens", usage.reasoning),
            ("audio_tokens", usage.audio_output),
            ("image_tokens", usage.image_output),
        ],
    );
}

fn write_details<const N: usize>(key: &str, counts: &mut ObjectWriter<'_>, details: [(&str, Option<u64>); N]) {
    if details.iter().any(|(_, count)| count.is_some()) {
        counts.object(key, |object| details.iter().for_each(|(key, count)| object.optional(key, count)));
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
        assert_eq!(openai, Usage { audio_output: Some(0), ..expected });
        let deepseek =
            usage(r#"{"prompt_tokens":10,"completion_tokens":7,"prompt_cache_hit_tokens":4,"reasoning_tokens":5}"#);
        assert_eq!(deepseek, expected);
        let venice =
            usage(r#"{"prompt_tokens":10,"completion_tokens":7,"cache_read_input_tokens":4,"reasoning_tokens":5}"#);
        assert_eq!(venice, expected);
        let litellm = usage(
            r#"{"prompt_tokens":10,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":0,"cache_creation_tokens":3},
               "cache_creation_input_tokens":3,"cache_read_input_tokens":4,"reasoning_tokens":5}"#,
        );
        assert_eq!(litellm, Usage { cache_write: Some(3), ..expected });
    }

    #[test]
    fn reasoning_outside_of_the_completion_is_added() {
        let xai = r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":5}}"#;
        assert_eq!(usage(xai).output, Some(7));
    }

    #[test]
    fn what_the_total_counts_beyond_is_input_or_output() {
        let counts = |text: &str| {
            let usage = usage(text);
            (usage.input, usage.output, usage.reasoning)
        };
        let sound = r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":42,"prompt_tokens_details":{"audio_tokens":30}}"#;
        assert_eq!(counts(sound), (Some(40), Some(2), None));
        let thoughts = r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":42}"#;
        assert_eq!(counts(thoughts), (Some(10), Some(32), Some(30)));
        // A sum that nothing explains changes nothing, and neither does one that is too small.
        let odd = r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":42,"completion_tokens_details":{"reasoning_tokens":5}}"#;
        assert_eq!(counts(odd), (Some(10), Some(9), Some(5)));
        let small = r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":3}"#;
        assert_eq!(counts(small), (Some(10), Some(2), None));
    }

    #[test]
    fn what_a_provider_charges_is_read() {
        let ticks = usage(r#"{"prompt_tokens":1,"cost_in_usd_ticks":7715000}"#).charged;
        assert_eq!(ticks, Some(771_500_000), "of xAI: 0.0007715 USD");
        let charged = |cost: &str| usage(&format!(r#"{{"prompt_tokens":1,"cost":{cost}}}"#)).charged;
        assert_eq!(charged("0.0000115"), Some(11_500_000));
        assert_eq!(charged("\"0.0000115\""), Some(11_500_000));
        assert_eq!(charged(r#"{"input_tokens_cost":1,"total_cost":0.5}"#), Some(500_000_000_000));
        assert_eq!((charged("null"), charged("-1"), charged("\"free\"")), (None, None, None));
        let searches = usage(r#"{"prompt_tokens":1,"num_search_queries":3}"#);
        assert_eq!(searches.web_searches, Some(3));
    }

    #[test]
    fn sound_and_images_are_told_in_both_directions() {
        let text = r#"{"prompt_tokens":30,"completion_tokens":9,"total_tokens":39,
            "prompt_tokens_details":{"cached_tokens":1,"cache_write_tokens":2,"audio_tokens":6,"image_tokens":20},
            "completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":4,"image_tokens":1}}"#;
        let usage = usage(text);
        assert_eq!((usage.audio_input, usage.image_input), (Some(6), Some(20)));
        assert_eq!((usage.audio_output, usage.image_output), (Some(4), Some(1)));
        let mut out = Vec::new();
        crate::wire::json::object(&mut out, |counts| write(&usage, counts));
        let [written, given]: [serde_json::Value; 2] =
            [String::from_utf8(out).unwrap(), text.to_owned()].map(|text| serde_json::from_str(&text).unwrap());
        assert_eq!(written, given);
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
            r#"{"x_groq":{"usage":{"prompt_tokens":1}},"usage":{"prompt_tokens":3},"choices":[]}"#,
            r#"{"choices":[{"usage":{}},{"usage":{"prompt_tokens":3}}]}"#,
            r#"{"choices":[{"delta":{"content":"\"usage\":7"},"kind":"usage"}],"usage" : {"prompt_tokens":3}}"#,
        ] {
            assert_eq!(of_answer(text.as_bytes()).and_then(|usage| usage.input), Some(3), "{text}");
        }
    }
}
