//! A run of delays, as an iterator.

use std::{iter::FusedIterator, time::Duration};

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use crate::{
    ExponentialBackoff, Jitter,
    jitter::{Around, duration},
};

/// The delays of one run of failures. Made by [`ExponentialBackoff::delays`].
///
/// Anything that takes an iterator of [`Duration`] takes this. It ends when the policy's attempts
/// or time are used up.
#[derive(Debug, Clone)]
pub struct Delays {
    sampler: Sampler,
    failures: u32,
    waited: Duration,
}

impl Delays {
    pub(crate) fn new(policy: ExponentialBackoff) -> Self {
        Self { sampler: Sampler::new(policy), failures: 0, waited: Duration::ZERO }
    }

    /// Draws the next delay if attempts are left, whatever time has passed.
    pub(crate) fn draw(&mut self, floor: Duration) -> Option<Duration> {
        let attempts = self.sampler.policy.max_attempts();
        if attempts.is_some_and(|attempts| self.failures >= attempts - 1) {
            return None;
        }
        let delay = self.sampler.draw(self.failures, floor);
        self.failures = self.failures.saturating_add(1);
        Some(delay)
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let left = match self.sampler.policy.max_elapsed() {
            Some(limit) => limit.saturating_sub(self.waited),
            None => Duration::MAX,
        };
        if left.is_zero() {
            return None;
        }
        let delay = self.draw(Duration::ZERO)?.min(left);
        self.waited = self.waited.saturating_add(delay);
        Some(delay)
    }
}

impl FusedIterator for Delays {}

/// A policy with the randomness that it draws from.
#[derive(Debug, Clone)]
pub(crate) struct Sampler {
    pub(crate) policy: ExponentialBackoff,
    rng: Xoshiro256PlusPlus,
    /// The delay that was drawn before, in seconds.
    previous: f64,
}

impl Sampler {
    pub(crate) fn new(policy: ExponentialBackoff) -> Self {
        let seed = policy.seed().unwrap_or_else(rand::random);
        Self { policy, rng: Xoshiro256PlusPlus::seed_from_u64(seed), previous: 0.0 }
    }

    /// Draws a delay. One under the floor becomes the floor and up to a tenth of it, since those
    /// who were told the same time would come back at the same time.
    pub(crate) fn draw(&mut self, failures: u32, floor: Duration) -> Duration {
        let policy = &self.policy;
        let around = Around {
            base: policy.base().as_secs_f64(),
            delay: policy.seconds(failures),
            previous: self.previous,
            max: policy.max().as_secs_f64(),
        };
        self.previous = policy.jitter().draw(&mut self.rng, &around);
        let delay = duration(self.previous).min(policy.max());
        if delay >= floor {
            return delay;
        }
        let spread = match policy.jitter() {
            Jitter::None => Duration::ZERO,
            _ => (floor / 10).min(policy.max()).mul_f64(self.rng.random()),
        };
        floor.saturating_add(spread)
    }

    pub(crate) fn forget(&mut self) {
        self.previous = 0.0;
    }
}

#[cfg(test)]
mod tests;
