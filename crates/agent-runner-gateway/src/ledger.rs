//! What was used, by key and model, and whether there is still a budget for more.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{Prices, Usage};

/// Lines of one ledger at most. A model's name comes from a client, who may make up any number.
const MOST_LINES: usize = 256;

/// What was used of one model with one key.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Line {
    /// The key's label.
    pub key: String,
    /// The model, as the answer names it or else the request.
    pub model: String,
    /// Requests that were answered.
    pub requests: u64,
    /// Those of them whose answer said no usage, and which were counted by their size.
    pub estimated: u64,
    /// The tokens.
    #[serde(flatten)]
    pub usage: Usage,
    /// What they cost, in US dollars; `None` without a price for the model.
    pub cost_usd: Option<f64>,
}

/// A sum, as budgets look at it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Spent {
    /// Tokens, without those that were read from a prompt cache.
    pub tokens: u64,
    /// US dollars, as far as prices are known.
    pub usd: f64,
}

impl Spent {
    /// A sum.
    pub const fn new(tokens: u64, usd: f64) -> Self {
        Self { tokens, usd }
    }

    fn add(&mut self, usage: &Usage, usd: Option<f64>) {
        let tokens = usage.total().saturating_sub(usage.cache_read);
        self.tokens = self.tokens.saturating_add(tokens);
        self.usd += usd.unwrap_or(0.0);
    }
}

/// What may be spent. Nothing that is set is no limit.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Budget {
    /// Tokens, without those that are read from a prompt cache.
    pub tokens: Option<u64>,
    /// US dollars.
    pub usd: Option<f64>,
}

impl Budget {
    /// So many tokens.
    pub const fn tokens(self, tokens: u64) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// So many US dollars.
    pub const fn usd(self, usd: f64) -> Self {
        Self { usd: Some(usd), ..self }
    }

    /// Whether all of it is spent.
    pub fn is_spent(&self, spent: &Spent) -> bool {
        self.tokens.is_some_and(|most| spent.tokens >= most)
            || self.usd.is_some_and(|most| spent.usd >= most)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.tokens, self.usd) {
            (Some(tokens), Some(usd)) => write!(f, "{tokens} tokens or ${usd:.2}"),
            (Some(tokens), None) => write!(f, "{tokens} tokens"),
            (None, Some(usd)) => write!(f, "${usd:.2}"),
            (None, None) => f.write_str("no limit"),
        }
    }
}

/// One answer, as it is written down.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    pub(crate) key: &'a str,
    pub(crate) model: &'a str,
    pub(crate) usage: Usage,
    pub(crate) is_estimated: bool,
}

/// What was used by one caller, or by all.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    lines: BTreeMap<(String, String), Line>,
    spent: Spent,
}

impl Ledger {
    /// One that goes on from what was spent before.
    pub(crate) fn from(spent: Spent) -> Self {
        Self { lines: BTreeMap::new(), spent }
    }

    pub(crate) const fn spent(&self) -> Spent {
        self.spent
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.values()
    }

    pub(crate) fn write(&mut self, entry: &Entry<'_>, prices: &Prices) {
        let usd = prices.of(entry.model).map(|price| price.of(&entry.usage));
        self.spent.add(&entry.usage, usd);
        let mut name = (entry.key.to_owned(), entry.model.to_owned());
        if self.lines.len() >= MOST_LINES && !self.lines.contains_key(&name) {
            "other".clone_into(&mut name.1);
        }
        let line = self.lines.entry(name).or_insert_with_key(|(key, model)| Line {
            key: key.clone(),
            model: model.clone(),
            requests: 0,
            estimated: 0,
            usage: Usage::default(),
            cost_usd: None,
        });
        line.requests += 1;
        line.estimated += u64::from(entry.is_estimated);
        line.usage += entry.usage;
        line.cost_usd = usd.map(|usd| line.cost_usd.unwrap_or(0.0) + usd).or(line.cost_usd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(model: &str) -> Entry<'_> {
        let usage = Usage { input: 10, cache_read: 90, cache_write: 0, output: 5 };
        Entry { key: "K1", model, usage, is_estimated: false }
    }

    #[test]
    fn a_budget_is_spent_by_tokens_that_count() {
        let mut ledger = Ledger::from(Spent::new(70, 0.0));
        let budget = Budget::default().tokens(100);
        ledger.write(&entry("m"), &Prices::default());
        assert_eq!(ledger.spent().tokens, 85, "what the cache had is free");
        assert!(!budget.is_spent(&ledger.spent()));
        ledger.write(&entry("m"), &Prices::default());
        assert!(budget.is_spent(&ledger.spent()));
        assert!(!Budget::default().is_spent(&ledger.spent()));
        assert!(Budget::default().usd(0.0).is_spent(&ledger.spent()));
    }

    #[test]
    fn names_that_a_client_makes_up_do_not_fill_the_memory() {
        let mut ledger = Ledger::default();
        for number in 0..10_000 {
            ledger.write(&entry(&number.to_string()), &Prices::default());
        }
        assert!(ledger.lines().count() <= MOST_LINES + 1);
        assert_eq!(ledger.lines().map(|line| line.requests).sum::<u64>(), 10_000);
    }
}
