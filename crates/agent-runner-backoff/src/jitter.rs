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
    /// Draws around `delay`, which is at most `max`.
    pub(crate) fn draw(self, rng: &mut Xoshiro256PlusPlus, around: &Around) -> Duration {
        let &Around { base, delay, previous, max } = around;
        let (low, high) = match self {
            Self::None => return delay,
            Self::Full => (Duration::ZERO, delay),
            Self::Equal => (delay / 2, delay),
            Self::Decorrelated => (base, previous.max(base).saturating_mul(3).min(max)),
            Self::Proportional(share) => {
                let middle = delay.min(scale(max, 1.0 / (1.0 + share)));
                (scale(middle, 1.0 - share), scale(middle, 1.0 + share).min(max))
            }
        };
        between(rng, low, high)
    }
}

/// What a delay is drawn around.
pub(crate) struct Around {
    /// The policy's first delay, at most `max`.
    pub(crate) base: Duration,
    /// The exponential delay, at most `max`.
    pub(crate) delay: Duration,
    /// The delay that was drawn before.
    pub(crate) previous: Duration,
    /// The policy's maximum.
    pub(crate) max: Duration,
}

/// Draws from `low..=high`; `low` when the range is empty.
pub(crate) fn between(rng: &mut Xoshiro256PlusPlus, low: Duration, high: Duration) -> Duration {
    let width = high.saturating_sub(low);
    low + scale(width, rng.random::<f64>()).min(width)
}

/// Multiplies without a panic: what does not fit becomes the longest duration there is.
pub(crate) fn scale(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}
