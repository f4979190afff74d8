//! The tests of the file.

use std::time::Duration;

use super::provider::PricesEntry;
use crate::config::decode::json::Json;
use crate::config::decode::leaf::{Choice, DurationText, Flag, Fraction, Text, Whole, Word};
use crate::config::decode::list::{AnyKey, HeaderKey, Map, OneOrMore};
use crate::config::decode::mapping;
use crate::config::decode::texts::{Any, LaneWord, Moment, OutputFact, ProtocolFact, ReasoningFact, WeekdayFact};
use crate::source::{Span, Spanned};

mapping! {
    /// One test of the file: decided offline by `check`.
    #[called = "a test"]
    #[derive(Debug, Clone)]
    pub struct TestEntry spanned span: Span, faulty faulty, {
        /// What it shows.
        "name" => name: Option<Spanned<String>> as Text<Any>,
        /// The shape of a request; facts that are not given are absent or zero.
        "request" => request: TestRequest as TestRequest,
        /// The state of the world.
        "given" => given: TestGiven as TestGiven,
        /// What must come of it.
        "expect" => expect: TestExpect as TestExpect,
    }
}

mapping! {
    /// The shape of a request; facts that are not given are absent or zero.
    #[called = "the request of a test"]
    #[derive(Debug, Clone, Default)]
    pub struct TestRequest {
        /// The model asked for.
        "model" => model: Option<Spanned<String>> as Text<Any>,
        /// The caller's protocol: `chat`, `responses`, `messages`, `gemini`, `converse`, `embeddings`.
        "protocol" default "chat" => protocol: Option<Spanned<String>> as Choice<ProtocolFact>,
        /// A recorded JSON body instead of facts: the path of a file, seen from this one. Its facts are those that a caller's
        /// request would have; `model` and `stream` go into it, headers and key beside it.
        "body" => body: Option<Spanned<String>> as Text<Any>,
        /// Headers of the request.
        "headers" => headers: Vec<(Spanned<String>, Spanned<String>)> as Map<HeaderKey, Word>,
        /// A stream is asked for.
        "stream" default "false" => stream: Option<Spanned<bool>> as Flag,
        /// Models to go on with, as the body would say it: `[a/b, "@cheap"]`. Here and in the next two, see routing in the
        /// request.
        "models" => models: Option<Spanned<String>> as Json,
        /// OpenRouter's `provider`, as the body would say it: `{ order: [groq], sort: price }`.
        "provider" => provider: Option<Spanned<String>> as Json,
        /// `routing`, as the body would say it: `{ model: { sort: latency } }`.
        "routing" => routing: Option<Spanned<String>> as Json,
        /// The user named in the request.
        "user" => user: Option<Spanned<String>> as Text<Any>,
        /// The session that the request belongs to.
        "session" => session: Option<Spanned<String>> as Text<Any>,
        /// The id of the client key.
        "key" => key: Option<Spanned<String>> as Text<Any>,
        /// Attributes that the client key has; without `key`, the first key of the file that has them.
        "key_attributes" => key_attributes: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Word>,
        /// Tags of the request.
        "tags" => tags: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Word>,
        /// Tokens of the input; `150k` and `1M` are numbers too.
        "input_tokens" => input_tokens: Option<Spanned<u64>> as Whole,
        /// The limit of the answer that is asked for.
        "max_tokens" => max_tokens: Option<Spanned<u64>> as Whole,
        /// How many messages.
        "messages" => messages: Option<Spanned<u64>> as Whole,
        /// Names of the tools offered.
        "tools" => tools: Vec<Spanned<String>> as OneOrMore<Text<Any>>,
        /// The tool whose result the last message brings.
        "last_tool" => last_tool: Option<Spanned<String>> as Text<Any>,
        /// How many images.
        "images" => images: Option<Spanned<u64>> as Whole,
        /// How many files.
        "files" => files: Option<Spanned<u64>> as Whole,
        /// How many pieces of audio.
        "audio" => audio: Option<Spanned<u64>> as Whole,
        /// The form of the answer that is asked for: `text`, `json`, `schema`.
        "output" default "text" => output: Option<Spanned<String>> as Choice<OutputFact>,
        /// How much thinking is asked for: `none`, `minimal`, `low`, `medium`, `high`, `max`.
        "reasoning" default "none" => reasoning: Option<Spanned<String>> as Choice<ReasoningFact>,
        /// The hour of the day, 0 to 23, on the file's clock.
        "hour" default "0" => hour: Option<Spanned<u64>> as Whole,
        /// The day of the week, on the file's clock.
        "weekday" default "mon" => weekday: Option<Spanned<String>> as Choice<WeekdayFact>,
    }
}

mapping! {
    /// The state of the world in which the request is decided.
    #[called = "the state of a test"]
    #[derive(Debug, Clone, Default)]
    pub struct TestGiven {
        /// Targets (`provider/model`) or providers that are down.
        "down" => down: Vec<Spanned<String>> as OneOrMore<Text<Any>>,
        /// Targets or providers that have failed, or asked to be left alone: tried where nothing else is left.
        "cooling" => cooling: Vec<Spanned<String>> as OneOrMore<Text<Any>>,
        /// How long answers of a target or provider take, to their first content and to their end:
        /// `{ openai/gpt-5: 800ms }`.
        "latency" => latency: Vec<(Spanned<String>, Spanned<Duration>)> as Map<AnyKey, DurationText>,
        /// Requests that are on their way to a target or provider.
        "in_flight" => in_flight: Vec<(Spanned<String>, Spanned<u64>)> as Map<AnyKey, Whole>,
        /// How often every `round_robin` has chosen before.
        "turn" default "0" => turn: Option<Spanned<u64>> as Whole,
        /// What models cost for this test, by target: `{ openai/gpt-5: { input: 1.25, output: 10 } }`.
        "prices" => prices: Vec<(Spanned<String>, PricesEntry)> as Map<AnyKey, PricesEntry>,
        /// When it happens: a point in time (`2026-11-21T22:15:00Z`), read on the file's clock, or a day and an hour there
        /// (`sat 22:15`).
        "time" => time: Option<Spanned<String>> as Text<Moment>,
        /// The random draw, from 0 up to 1.
        "draw" default "0" => draw: Option<Spanned<f64>> as Fraction,
    }
}

mapping! {
    /// What must come of the request. What is not given is not tested.
    #[called = "the expectation of a test"]
    #[derive(Debug, Clone, Default)]
    pub struct TestExpect spanned span: Option<Span>, {
        /// Number of the rule that fires; the first is 1.
        "rule" => rule: Option<Spanned<u64>> as Whole,
        /// Name of the preset or target that the request is routed to.
        "route" => route: Option<Spanned<String>> as Text<Any>,
        /// Every attempt in order, as `provider/model`.
        "attempts" => attempts: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// The first attempt that is not down.
        "served_by" => served_by: Option<Spanned<String>> as Text<Any>,
        /// The status of a `deny`, or 404 for an unknown model.
        "denied" => denied: Option<Spanned<u64>> as Whole,
        /// The lane of the first attempt: `pass-through`, `translated` or `refused`.
        "lane" => lane: Option<Spanned<String>> as Choice<LaneWord>,
        /// Every field that the first attempt does not get as the caller meant it, in any order; `[]`: there is none. Needs a
        /// `body`.
        "losses" => losses: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// Whether the first attempt loses something of what the caller meant. Needs a `body`.
        "degraded" => degraded: Option<Spanned<bool>> as Flag,
        /// The most that the first attempt may cost, in USD: the input, and the longest answer that the request allows.
        "max_cost" => max_cost: Option<Spanned<f64>> as Fraction,
        /// Headers that presets set on the upstream's request of the first attempt.
        "header" => header: Vec<(Spanned<String>, Spanned<String>)> as Map<HeaderKey, Word>,
    }
}
