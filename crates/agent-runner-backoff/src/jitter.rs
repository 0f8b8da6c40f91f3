//! How far a delay strays from its exponential course.

use std::time::Duration;

use rand::{RngExt, rngs::Xoshiro256PlusPlus};

/// How a delay is spread, so that those who failed together do not come back together.
///
/// Whatever the kind, a delay is never over the policy's maximum, and at the maximum delays are
/// still spread: what is capped is the range that is drawn from, not the number that was drawn.
///
/// Full, equal and decorrelated jitter are those of Marc Brooker's "Exponential Backoff And
/// Jitter" (AWS Architecture Blog, 2015).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Jitter {
    /// Exactly the exponential delay. Many clients with this one collide again and again.
    None,
    /// This share of the delay more or less: `0.1` turns 10 s into 9 s to 11 s.
    Proportional(f64),
    /// Anything from zero to the delay.
    Full,
    /// Half of the delay, and anything up to the other half.
    Equal,
    /// Anything from the base to three times the delay before.
    Decorrelated,
}

impl Jitter {
    /// Draws around `delay`, which is at most `max`. All are seconds: what they are made from fits
    /// a [`Duration`], and what comes out is rounded once.
    pub(crate) fn draw(self, rng: &mut Xoshiro256PlusPlus, around: &Around) -> f64 {
        let &Around { base, delay, previous, max } = around;
        let (low, high) = match self {
            Self::None => return delay,
            Self::Full => (0.0, delay),
            Self::Equal => (delay / 2.0, delay),
            Self::Decorrelated => (base, (previous.max(base) * 3.0).min(max)),
            Self::Proportional(share) => {
                let middle = delay.min(max / (1.0 + share));
                (middle * (1.0 - share), middle * (1.0 + share))
            }
        };
        low + (high - low) * rng.random::<f64>()
    }
}

/// What a delay is drawn around, in seconds.
pub(crate) struct Around {
    /// The policy's first delay, at most `max`.
    pub(crate) base: f64,
    /// The exponential delay, at most `max`.
    pub(crate) delay: f64,
    /// The delay that was drawn before.
    pub(crate) previous: f64,
    /// The policy's maximum.
    pub(crate) max: f64,
}

/// A duration without a panic: what does not fit becomes the longest there is.
pub(crate) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
