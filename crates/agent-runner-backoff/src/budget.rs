//! Retries as a share of traffic.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// A limit on retries for all callers of one service together.
///
/// When a service fails, every caller that retries three times sends it four times the load. With
/// a budget each first call puts a share of a retry in, each retry takes a whole one out, and when
/// nothing is left the error is returned at once. A small reserve trickles in with time, so that a
/// client with little traffic can retry at all. In any span of time
///
/// `retries ≤ burst + share × calls + reserve × seconds`
///
/// The idea is Finagle's `RetryBudget`. One lock around two numbers; made to be shared, as a
/// `static` or behind a reference.
///
/// | setting | default |
/// |---|---|
/// | [`share`](Self::with_share) | 0.1: one retry for ten calls |
/// | [`reserve`](Self::with_reserve) | 1 retry a second |
/// | [`burst`](Self::with_burst) | 10 retries |
///
/// # Examples
///
/// ```
/// use agent_runner_backoff::RetryBudget;
///
/// static BUDGET: RetryBudget = RetryBudget::new().with_burst(1.0).with_reserve(0.0);
///
/// BUDGET.deposit(); // a first call
/// assert!(BUDGET.withdraw(), "the burst pays the first retry");
/// assert!(!BUDGET.withdraw(), "a tenth of a retry is not a retry");
/// ```
#[derive(Debug)]
pub struct RetryBudget {
    share: f64,
    reserve: f64,
    burst: f64,
    account: Mutex<Account>,
}

/// What is missing from a full budget. An empty debt is right for every burst, so that a setter
/// has nothing to adjust.
#[derive(Debug)]
struct Account {
    debt: f64,
    settled_at: Option<Instant>,
}

impl RetryBudget {
    /// A budget with the defaults, full.
    pub const fn new() -> Self {
        let account = Mutex::new(Account { debt: 0.0, settled_at: None });
        Self { share: 0.1, reserve: 1.0, burst: 10.0, account }
    }

    /// Sets how many retries a first call pays for.
    ///
    /// # Panics
    ///
    /// If it is negative or not a finite number.
    pub const fn with_share(mut self, retries: f64) -> Self {
        assert_amount(retries);
        self.share = retries;
        self
    }

    /// Sets how many retries a second trickle in without any call.
    ///
    /// # Panics
    ///
    /// If it is negative or not a finite number.
    pub const fn with_reserve(mut self, retries_per_second: f64) -> Self {
        assert_amount(retries_per_second);
        self.reserve = retries_per_second;
        self
    }

    /// Sets how many retries can be saved up.
    ///
    /// # Panics
    ///
    /// If it is negative or not a finite number.
    pub const fn with_burst(mut self, retries: f64) -> Self {
        assert_amount(retries);
        self.burst = retries;
        self
    }

    /// Records a first call.
    pub fn deposit(&self) {
        self.deposit_at(Instant::now());
    }

    /// Asks for a retry: `false` means that there should be none.
    #[must_use = "a retry that was refused should not be made"]
    pub fn withdraw(&self) -> bool {
        self.withdraw_at(Instant::now())
    }

    /// [`deposit`](Self::deposit) with a clock of one's own.
    pub fn deposit_at(&self, now: Instant) {
        self.settle(now, |account| account.repay(self.share));
    }

    /// [`withdraw`](Self::withdraw) with a clock of one's own.
    #[must_use = "a retry that was refused should not be made"]
    pub fn withdraw_at(&self, now: Instant) -> bool {
        self.settle(now, |account| {
            // Ten times a tenth is a little under one.
            let granted = account.debt + 1.0 <= self.burst + 1e-9;
            if granted {
                account.debt += 1.0;
            }
            granted
        })
    }

    fn settle<T>(&self, now: Instant, then: impl FnOnce(&mut Account) -> T) -> T {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        // Two threads may come here in another order than they read the clock.
        let before = account.settled_at.unwrap_or(now);
        account.settled_at = Some(before.max(now));
        account.repay(self.reserve * now.saturating_duration_since(before).as_secs_f64());
        then(&mut account)
    }
}

impl Account {
    fn repay(&mut self, retries: f64) {
        self.debt = (self.debt - retries).max(0.0);
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new()
    }
}

const fn assert_amount(amount: f64) {
    assert!(amount >= 0.0 && amount.is_finite(), "an amount of retries is zero or more");
}

#[cfg(test)]
mod tests;
