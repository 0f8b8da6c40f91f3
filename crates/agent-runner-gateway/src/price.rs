//! What tokens cost, by a table that the caller brings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Usage;

/// What a model's tokens cost, in US dollars a million.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input that is read anew.
    pub input: f64,
    /// Output.
    pub output: f64,
    /// Input from the prompt cache; a tenth of `input` unless it is given.
    #[serde(default)]
    pub cache_read: Option<f64>,
    /// Input that is written to the prompt cache; 1.25 times `input` unless it is given.
    #[serde(default)]
    pub cache_write: Option<f64>,
}

impl Price {
    /// What this usage costs, in US dollars.
    pub fn of(&self, usage: &Usage) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "no answer has 2^53 tokens")]
        let part = |tokens: u64, price: f64| tokens as f64 * price;
        let read = self.cache_read.unwrap_or(self.input * 0.1);
        let write = self.cache_write.unwrap_or(self.input * 1.25);
        let parts = part(usage.input, self.input)
            + part(usage.cache_read, read)
            + part(usage.cache_write, write)
            + part(usage.output, self.output);
        parts / 1e6
    }
}

/// Prices by the name of a model, or by how its name begins: `claude-opus-5` is also the price of
/// `claude-opus-5-20260101`. The longest name that fits counts.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prices(pub BTreeMap<String, Price>);

impl Prices {
    /// The price of a model.
    pub fn of(&self, model: &str) -> Option<&Price> {
        let fits = self.0.iter().filter(|(name, _)| model.starts_with(name.as_str()));
        fits.max_by_key(|(name, _)| name.len()).map(|(_, price)| price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_counts_and_caches_have_usual_prices() {
        let price = |input| Price { input, output: 25.0, cache_read: None, cache_write: None };
        let table = [("claude-opus", price(5.0)), ("claude-opus-9", price(7.0))];
        let prices = Prices(table.map(|(name, price)| (name.to_owned(), price)).into());
        assert_eq!(prices.of("claude-opus-9-20261001"), Some(&price(7.0)));
        assert_eq!(prices.of("claude-opus-8"), Some(&price(5.0)));
        assert_eq!(prices.of("gpt"), None);
        let million = 1_000_000;
        let usage =
            Usage { input: million, cache_read: million, cache_write: million, output: million };
        let dollars = price(5.0).of(&usage);
        assert!((dollars - (5.0 + 0.5 + 6.25 + 25.0)).abs() < 1e-9, "{dollars}");
    }
}
