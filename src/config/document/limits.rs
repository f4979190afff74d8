//! The `rate_limits:` section as written.

use crate::config::decode::leaf::{Text, Whole, Word};
use crate::config::decode::list::{AnyKey, Map, OneOrMore};
use crate::config::decode::mapping;
use crate::config::decode::texts::RateText;
use crate::source::{Span, Spanned};

mapping! {
    /// How much callers may have of models. What is beyond it is refused (429) at this target, and the next one is asked.
    #[called = "a rate limit"]
    #[derive(Debug, Clone)]
    pub struct RateLimitEntry named name, spanned span: Span, faulty faulty, {
        /// Whom it is for: facts of the request (`key`, `key.team`, `user`, `session`, `model`, `header("x-org")`,
        /// `tag("customer")`), and `provider` and `target` of the attempt. `each` counts every value by itself, `total` all of
        /// them together, any other text is the value itself, and a list holds several, which count together. It is for what has
        /// all of them; without a scope it is for everybody together.
        "scope" => scope: Vec<(Spanned<String>, Vec<Spanned<String>>)> as Map<AnyKey, OneOrMore<Word>>,
        /// Of the limits with a priority that are for an attempt only those with the highest hold. One without always holds.
        "priority" => priority: Option<Spanned<u64>> as Whole,
        /// Tries at targets: `100/minute`, or several, `[5/second, 100/minute]`.
        "attempts" => attempts: Vec<RateEntry> as OneOrMore<RateEntry>,
        /// Tokens of requests and answers: `50k/minute`. The input, by estimate, and `max_tokens` are taken before an attempt; what
        /// it did not need is given back afterwards.
        "tokens" => tokens: Vec<RateEntry> as OneOrMore<RateEntry>,
        /// USD: `5/day`. Taken and given back as tokens are, where the target's prices are known.
        "cost" => cost: Vec<RateEntry> as OneOrMore<RateEntry>,
        /// USD that an attempt counts for `cost` where the target's model has no price. Without it such an attempt costs nothing.
        "unpriced" => unpriced: Option<Spanned<String>> as Word,
    }
}

mapping! {
    /// So much in each window, which begins with the first use. `100/minute` is `{ rate: 100/minute }`.
    #[called = "a rate"]
    #[derive(Debug, Clone)]
    pub struct RateEntry spanned span: Span, faulty faulty, short "rate", {
        /// An amount for each `second`, `minute`, `hour`, `day`, `week` or `month` (30 days).
        "rate" => rate: Option<Spanned<String>> as Text<RateText>,
        /// The most that may be used at once; what a window does not use adds up to it. Without it the amount of `rate`.
        "burst" => burst: Option<Spanned<String>> as Word,
    }
}
