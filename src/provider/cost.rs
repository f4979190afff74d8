//! What an answer costs.

use super::catalogue::Prices;
use crate::wire::ir::Usage;

/// Whose word counts about what a model costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tariff {
    pub prices: Option<Prices>,
    /// The file says the prices itself: they stand above what the provider says that it charges.
    pub written: bool,
}

impl Tariff {
    /// The cost of `usage` in USD, `None` where nobody knows it.
    pub fn cost(&self, usage: &Usage) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 9,000 USD")]
        let charged = usage.charged.filter(|_| !self.written).map(|charged| charged as f64 * 1e-12);
        charged.or_else(|| cost(usage, self.prices.as_ref()?))
    }
}

/// The cost of `usage` in USD. `None` where nothing was reported, or where tokens were taken whose price is not known.
///
/// Input that a cache saved or kept has a price of its own, and that of input where none is known. Reasoning is output.
pub fn cost(usage: &Usage, prices: &Prices) -> Option<f64> {
    if usage.input.is_none() && usage.output.is_none() {
        return None;
    }
    let parts = [
        part(usage.uncached_input(), prices.input)?,
        part(usage.cache_read, prices.cache_read.or(prices.input))?,
        part(usage.cache_write, prices.cache_write.or(prices.input))?,
        part(usage.output, prices.output)?,
    ];
    Some(parts.iter().sum::<f64>() * USD_PER_MICRO)
}

/// A price in USD per million tokens is one in millionths of a USD per token.
const USD_PER_MICRO: f64 = 1e-6;

/// Tokens times price; no tokens cost nothing at any price, also at one that nobody knows.
fn part(tokens: Option<u64>, price: Option<f64>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 tokens")]
    match tokens {
        None | Some(0) => Some(0.0),
        Some(tokens) => price.map(|price| price * tokens as f64),
    }
}

/// `cost` as a plain decimal without an exponent, to the millionth of a millionth: `0.0000115`.
pub fn decimal(cost: f64) -> String {
    let text = format!("{cost:.12}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: Prices =
        Prices { input: Some(3.0), output: Some(15.0), cache_read: Some(0.3), cache_write: Some(3.75) };

    fn priced(usage: Usage, prices: Prices) -> Option<String> {
        cost(&usage, &prices).map(decimal)
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let usage = Usage {
            input: Some(1_000),
            cache_read: Some(600),
            cache_write: Some(300),
            output: Some(50),
            reasoning: Some(40),
            ..Usage::default()
        };
        // 100 × 3 + 600 × 0.3 + 300 × 3.75 + 50 × 15 = 2355 millionths
        assert_eq!(priced(usage, PRICES).as_deref(), Some("0.002355"));
    }

    #[test]
    fn an_answer_without_tokens_costs_nothing() {
        let zero = Usage { input: Some(0), output: Some(0), ..Usage::default() };
        let unknown = Prices { input: None, output: None, cache_read: None, cache_write: None };
        assert_eq!(priced(zero, PRICES).as_deref(), Some("0"));
        assert_eq!(priced(zero, unknown).as_deref(), Some("0"));
    }

    #[test]
    fn what_was_not_reported_has_no_cost() {
        assert_eq!(priced(Usage::default(), PRICES), None);
        assert_eq!(priced(Usage { web_searches: Some(2), ..Usage::default() }, PRICES), None);
    }

    #[test]
    fn output_alone_is_priced() {
        assert_eq!(priced(Usage { output: Some(2), ..Usage::default() }, PRICES).as_deref(), Some("0.00003"));
    }

    #[test]
    fn more_cached_than_input_is_not_negative() {
        let usage = Usage { input: Some(10), cache_read: Some(20), output: Some(0), ..Usage::default() };
        assert_eq!(priced(usage, PRICES).as_deref(), Some("0.000006"));
    }

    #[test]
    fn a_cache_without_a_price_costs_what_input_costs() {
        let prices = Prices { cache_read: None, cache_write: None, ..PRICES };
        let usage = Usage { input: Some(10), cache_read: Some(4), cache_write: Some(5), ..Usage::default() };
        assert_eq!(priced(usage, prices).as_deref(), Some("0.00003"));
    }

    #[test]
    fn tokens_whose_price_nobody_knows_leave_the_cost_unknown() {
        let usage = Usage { input: Some(10), output: Some(1), ..Usage::default() };
        assert_eq!(priced(usage, Prices { output: None, ..PRICES }), None);
        assert!(priced(Usage { output: None, ..usage }, Prices { output: None, ..PRICES }).is_some());
    }

    #[test]
    fn what_a_provider_charges_counts_unless_the_file_says_a_price() {
        let usage = Usage { input: Some(10), output: Some(1), charged: Some(11_500_000), ..Usage::default() };
        let cost = |prices, written| Tariff { prices, written }.cost(&usage).map(decimal);
        assert_eq!(cost(None, false).as_deref(), Some("0.0000115"));
        assert_eq!(cost(Some(PRICES), false).as_deref(), Some("0.0000115"));
        assert_eq!(cost(Some(PRICES), true).as_deref(), Some("0.000045"));
        assert_eq!(cost(None, true), None);
    }

    #[test]
    fn costs_are_written_without_an_exponent() {
        assert_eq!(decimal(1.15e-8), "0.0000000115");
        assert_eq!(decimal(1e-20), "0");
        assert_eq!(decimal(100.0), "100");
    }
}
