//! What an answer took, in tokens.

/// Token counts with one meaning everywhere; encoders do each protocol's arithmetic. Absent means not reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Usage {
    /// All input, cached or not.
    pub input: Option<u64>,
    /// Input read from a cache (part of `input`).
    pub cache_read: Option<u64>,
    /// Input written to a cache (part of `input`).
    pub cache_write: Option<u64>,
    /// All output, reasoning included.
    pub output: Option<u64>,
    /// Output that was reasoning (part of `output`).
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Input plus output, `None` where both are unknown.
    pub fn total(&self) -> Option<u64> {
        match (self.input, self.output) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
        }
    }

    /// Input that no cache saved or kept.
    pub fn uncached_input(&self) -> Option<u64> {
        let cached = self.cache_read.unwrap_or(0).saturating_add(self.cache_write.unwrap_or(0));
        self.input.map(|input| input.saturating_sub(cached))
    }

    /// Takes over every count that `newer` reports.
    pub fn update(&mut self, newer: &Usage) {
        let Usage { input, cache_read, cache_write, output, reasoning } = *newer;
        self.input = input.or(self.input);
        self.cache_read = cache_read.or(self.cache_read);
        self.cache_write = cache_write.or(self.cache_write);
        self.output = output.or(self.output);
        self.reasoning = reasoning.or(self.reasoning);
    }
}
