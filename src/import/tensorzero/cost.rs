//! Prices: TensorZero adds up counts that it finds by JSON Pointer, here a model has a price of each kind of token.

use super::Converter;
use super::providers::Prices;
use super::target::{Table, Target};
use crate::diagnostic::Severity;
use crate::import::toml::Node;

/// What a pointer counts.
#[derive(Clone, Copy, PartialEq)]
enum Count {
    Input,
    Output,
    /// Input and output alike.
    Total,
    CacheRead,
    CacheWrite,
    /// Counted in the input as well, so that its price is a difference.
    CachedInput,
}

/// In the usage of OpenAI (both protocols), Anthropic, Gemini and Bedrock.
const POINTERS: &[(&str, Count)] = &[
    ("/usage/prompt_tokens", Count::Input),
    ("/usage/input_tokens", Count::Input),
    ("/usage/inputTokens", Count::Input),
    ("/usageMetadata/promptTokenCount", Count::Input),
    ("/usage/completion_tokens", Count::Output),
    ("/usage/output_tokens", Count::Output),
    ("/usage/outputTokens", Count::Output),
    ("/usageMetadata/candidatesTokenCount", Count::Output),
    ("/usage/total_tokens", Count::Total),
    ("/usage/totalTokens", Count::Total),
    ("/usageMetadata/totalTokenCount", Count::Total),
    ("/usage/prompt_tokens_details/cached_tokens", Count::CachedInput),
    ("/usage/input_tokens_details/cached_tokens", Count::CachedInput),
    ("/usageMetadata/cachedContentTokenCount", Count::CachedInput),
    ("/usage/cache_read_input_tokens", Count::CacheRead),
    ("/usage/cacheReadInputTokens", Count::CacheRead),
    ("/usage/cache_creation_input_tokens", Count::CacheWrite),
    ("/usage/cacheWriteInputTokens", Count::CacheWrite),
];

impl Converter<'_> {
    /// `cost` of a provider, as prices of the model.
    pub(super) fn prices(&mut self, table: Table<'_>, target: &Target) {
        let Some(list) = table.node.get("cost") else { return };
        let mut prices = Prices::default();
        let mut difference = None;
        for entry in list.items() {
            let Some((count, price)) = self.counted(entry) else { continue };
            let places = match count {
                Count::Total => vec![&mut prices.input, &mut prices.output],
                Count::Input => vec![&mut prices.input],
                Count::Output => vec![&mut prices.output],
                Count::CacheRead => vec![&mut prices.cache_read],
                Count::CacheWrite => vec![&mut prices.cache_write],
                Count::CachedInput => vec![&mut difference],
            };
            for place in places {
                *place = Some(place.unwrap_or(0.0) + price);
            }
        }
        if let Some(difference) = difference {
            prices.cache_read = Some((prices.input.unwrap_or(0.0) + difference).max(0.0));
        }
        if list.items().is_empty() || prices == Prices::default() {
            self.ledger.carried(list, "the catalogue's prices hold");
            return;
        }
        let origin = self.origin(list);
        if !self.providers.price(&target.provider, &target.model, prices, &origin) {
            self.ledger.adapted(
                list,
                Severity::Warning,
                format!("another table has other prices for `{}`; the first ones hold", target.text()),
            );
        }
    }

    fn counted(&mut self, entry: &Node) -> Option<(Count, f64)> {
        let pointer = entry.text_of("pointer").or_else(|| entry.text_of("pointer_nonstreaming")).unwrap_or_default();
        let known = POINTERS.iter().find(|(name, _)| *name == pointer);
        let per_million = entry.get("cost_per_million").and_then(Node::number);
        let price = per_million.or_else(|| entry.get("cost_per_unit").and_then(Node::number).map(|price| price * 1e6));
        match (known, price) {
            (Some((_, count)), Some(price)) if price >= 0.0 || *count == Count::CachedInput => {
                self.ledger.carried(entry, "`prices` of the provider");
                if let Some(required) = entry.get("required") {
                    self.ledger.adapted(required, Severity::Info, "a count that is missing makes the cost unknown");
                }
                Some((*count, price))
            }
            _ => {
                self.ledger.dropped(
                    entry,
                    Severity::Warning,
                    "prices here are of tokens of input, output and caches; this count has none",
                );
                None
            }
        }
    }
}
