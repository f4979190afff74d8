//! What an answer took, in tokens.

/// Token counts with one meaning everywhere; encoders do each protocol's arithmetic. Absent means not reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Usage {
    /// All input, cached or not, whatever its kind.
    pub input: Option<u64>,
    /// Input read from a cache (part of `input`).
    pub cache_read: Option<u64>,
    /// Input written to a cache (part of `input`).
    pub cache_write: Option<u64>,
    /// What of `cache_write` lives for five minutes.
    pub cache_write_5m: Option<u64>,
    /// What of `cache_write` lives for an hour.
    pub cache_write_1h: Option<u64>,
    /// Sound (part of `input`).
    pub audio_input: Option<u64>,
    /// Images (part of `input`).
    pub image_input: Option<u64>,
    /// What tools of the provider's own put into the prompt (part of `input`).
    pub tool_prompt: Option<u64>,
    /// All output, reasoning included.
    pub output: Option<u64>,
    /// Output that was reasoning (part of `output`).
    pub reasoning: Option<u64>,
    /// Sound (part of `output`).
    pub audio_output: Option<u64>,
    /// Images (part of `output`).
    pub image_output: Option<u64>,
    /// How often the provider searched the web: calls, not tokens.
    pub web_searches: Option<u64>,
    /// What the provider says that it charges, in millionths of a millionth of a USD.
    pub charged: Option<u64>,
}

impl Usage {
    /// What xAI charges, in [`Usage::charged`]'s unit. It counts in ticks, of which a USD has ten thousand million.
    pub fn charged_of_ticks(ticks: u64) -> u64 {
        ticks.saturating_mul(100)
    }

    /// A price in USD in [`Usage::charged`]'s unit, `None` for what is none.
    pub fn charged_of_usd(usd: f64) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
        (usd.is_finite() && usd >= 0.0).then(|| (usd * 1e12).round() as u64)
    }

    /// As [`Usage::charged_of_usd`], of a price that is written as a text.
    pub fn charged_of_text(usd: &str) -> Option<u64> {
        usd.trim().parse().ok().and_then(Usage::charged_of_usd)
    }

    /// Every count by its name; what was charged is none.
    pub fn counts(&self) -> [(&'static str, Option<u64>); 13] {
        let Usage {
            input,
            cache_read,
            cache_write,
            cache_write_5m,
            cache_write_1h,
            audio_input,
            image_input,
            tool_prompt,
            output,
            reasoning,
            audio_output,
            image_output,
            web_searches,
            charged: _,
        } = *self;
        [
            ("input", input),
            ("cache_read", cache_read),
            ("cache_write", cache_write),
            ("cache_write_5m", cache_write_5m),
            ("cache_write_1h", cache_write_1h),
            ("audio_input", audio_input),
            ("image_input", image_input),
            ("tool_prompt", tool_prompt),
            ("output", output),
            ("reasoning", reasoning),
            ("audio_output", audio_output),
            ("image_output", image_output),
            ("web_searches", web_searches),
        ]
    }

    /// Whether nothing was reported.
    pub fn is_empty(&self) -> bool {
        *self == Usage::default()
    }

    /// `self`, unless nothing was reported.
    pub fn reported(self) -> Option<Usage> {
        (!self.is_empty()).then_some(self)
    }

    /// Input plus output, `None` where both are unknown.
    pub fn total(&self) -> Option<u64> {
        sum(self.input, self.output)
    }

    /// Input that no cache saved or kept.
    pub fn uncached_input(&self) -> Option<u64> {
        let cached = self.cache_read.unwrap_or(0).saturating_add(self.cache_write.unwrap_or(0));
        self.input.map(|input| input.saturating_sub(cached))
    }

    /// Takes over every count that `newer` reports.
    pub fn update(&mut self, newer: &Usage) {
        self.input = newer.input.or(self.input);
        self.cache_read = newer.cache_read.or(self.cache_read);
        if newer.cache_write.is_some_and(|written| self.cache_write != Some(written)) {
            // Lifetimes that added up to an older sum say nothing about a new one.
            (self.cache_write_5m, self.cache_write_1h) = (None, None);
        }
        self.cache_write_5m = newer.cache_write_5m.or(self.cache_write_5m);
        self.cache_write_1h = newer.cache_write_1h.or(self.cache_write_1h);
        self.cache_write = newer.cache_write.or(self.cache_write);
        self.audio_input = newer.audio_input.or(self.audio_input);
        self.image_input = newer.image_input.or(self.image_input);
        self.tool_prompt = newer.tool_prompt.or(self.tool_prompt);
        self.output = newer.output.or(self.output);
        self.reasoning = newer.reasoning.or(self.reasoning);
        self.audio_output = newer.audio_output.or(self.audio_output);
        self.image_output = newer.image_output.or(self.image_output);
        self.web_searches = newer.web_searches.or(self.web_searches);
        self.charged = newer.charged.or(self.charged);
    }
}

/// The sum of what is known, `None` where nothing is.
pub fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_report_keeps_what_it_leaves_out() {
        let mut usage = Usage { input: Some(10), cache_read: Some(4), output: Some(1), ..Usage::default() };
        usage.update(&Usage { output: Some(7), web_searches: Some(1), ..Usage::default() });
        let expected =
            Usage { input: Some(10), cache_read: Some(4), output: Some(7), web_searches: Some(1), ..Usage::default() };
        assert_eq!(usage, expected);
    }

    #[test]
    fn no_count_is_forgotten_by_an_update() {
        let all = Usage {
            input: Some(1),
            cache_read: Some(2),
            cache_write: Some(3),
            cache_write_5m: Some(4),
            cache_write_1h: Some(5),
            audio_input: Some(6),
            image_input: Some(7),
            tool_prompt: Some(8),
            output: Some(9),
            reasoning: Some(10),
            audio_output: Some(11),
            image_output: Some(12),
            web_searches: Some(13),
            charged: Some(14),
        };
        let mut usage = Usage::default();
        usage.update(&all);
        assert_eq!(usage, all);
        assert!(usage.counts().iter().zip(1..).all(|((_, count), expected)| *count == Some(expected)));
    }

    #[test]
    fn lifetimes_of_an_older_sum_are_forgotten() {
        let begun =
            Usage { cache_write: Some(7), cache_write_5m: Some(5), cache_write_1h: Some(2), ..Usage::default() };
        let mut usage = begun;
        usage.update(&Usage { cache_write: Some(7), output: Some(1), ..Usage::default() });
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (Some(5), Some(2)));
        usage.update(&Usage { cache_write: Some(9), ..Usage::default() });
        assert_eq!((usage.cache_write, usage.cache_write_5m, usage.cache_write_1h), (Some(9), None, None));
    }

    #[test]
    fn more_cached_than_there_was_is_no_underflow() {
        let usage = Usage { input: Some(1), cache_read: Some(2), cache_write: Some(3), ..Usage::default() };
        assert_eq!((usage.uncached_input(), usage.total()), (Some(0), Some(1)));
    }
}
