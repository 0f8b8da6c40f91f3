//! The exponential policy: settings, and the delay that follows from them.

use std::time::Duration;

use crate::{Delays, Jitter, jitter::duration};

/// How long to wait after how many failures.
///
/// A plain value that can be a `const` and is shared by copying it. The defaults:
///
/// | setting | default |
/// |---|---|
/// | [`base`](Self::with_base) | 1 s |
/// | [`max`](Self::with_max) | 60 s |
/// | [`factor`](Self::with_factor) | 2 |
/// | [`jitter`](Self::with_jitter) | [`Jitter::Proportional(0.1)`](Jitter::Proportional) |
/// | [`max_attempts`](Self::with_max_attempts) | no limit |
/// | [`max_elapsed`](Self::with_max_elapsed) | no limit |
/// | [`seed`](Self::with_seed) | random |
///
/// A setting that cannot be meant, such as a factor under 1, panics where it is set, once; in a
/// `const` it does not compile. After that nothing panics or overflows, at any number of failures.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use agent_runner_backoff::ExponentialBackoff;
///
/// const POLICY: ExponentialBackoff = ExponentialBackoff::new().with_max(Duration::from_secs(30));
///
/// assert_eq!(POLICY.delay(0), Duration::from_secs(1));
/// assert_eq!(POLICY.delay(3), Duration::from_secs(8));
/// assert_eq!(POLICY.delay(u32::MAX), Duration::from_secs(30));
/// ```
///
/// ```compile_fail
/// # use agent_runner_backoff::ExponentialBackoff;
/// const SHRINKING: ExponentialBackoff = ExponentialBackoff::new().with_factor(0.5);
/// # let _ = SHRINKING;
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a policy does nothing until it is asked for delays"]
pub struct ExponentialBackoff {
    base: Duration,
    max: Duration,
    factor: f64,
    jitter: Jitter,
    max_attempts: Option<u32>,
    max_elapsed: Option<Duration>,
    seed: Option<u64>,
}

impl ExponentialBackoff {
    /// A policy with the defaults.
    pub const fn new() -> Self {
        Self {
            base: Duration::from_secs(1),
            max: Duration::from_secs(60),
            factor: 2.0,
            jitter: Jitter::Proportional(0.1),
            max_attempts: None,
            max_elapsed: None,
            seed: None,
        }
    }

    /// Sets the first delay. One over the maximum counts as the maximum.
    #[doc(alias = "base_delay")]
    pub const fn with_base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// Sets what no delay exceeds, jitter included.
    #[doc(alias = "max_delay")]
    pub const fn with_max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// Sets what a failure multiplies the delay by.
    ///
    /// # Panics
    ///
    /// If it is under 1 or not a number.
    pub const fn with_factor(mut self, factor: f64) -> Self {
        assert!(factor >= 1.0, "the factor of a backoff is a number that is at least 1");
        self.factor = factor;
        self
    }

    /// Sets how delays are spread.
    ///
    /// # Panics
    ///
    /// If it is [`Jitter::Proportional`] with a share that is not between 0 and 1.
    #[doc(alias = "jitter_factor")]
    pub const fn with_jitter(mut self, jitter: Jitter) -> Self {
        if let Jitter::Proportional(share) = jitter {
            assert!(share >= 0.0 && share <= 1.0, "a proportional jitter is between 0 and 1");
        }
        self.jitter = jitter;
        self
    }

    /// Sets how often something is tried, the first time included: `3` means two delays.
    ///
    /// # Panics
    ///
    /// If it is 0.
    pub const fn with_max_attempts(mut self, attempts: u32) -> Self {
        assert!(attempts > 0, "whatever is retried is tried at least once");
        self.max_attempts = Some(attempts);
        self
    }

    /// Sets how long to go on. The last delay is shortened to end in time.
    ///
    /// [`Delays`], which know no clock, count the delays alone; the retry helpers count the
    /// calls too.
    pub const fn with_max_elapsed(mut self, elapsed: Duration) -> Self {
        self.max_elapsed = Some(elapsed);
        self
    }

    /// Makes the jitter repeatable: the same seed draws the same delays, on every platform.
    ///
    /// For tests and simulations. Processes that share a seed share their jitter, which defeats it.
    #[doc(alias = "with_jitter_seed")]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Returns the delay that follows `failures` earlier delays, without jitter:
    /// `base × factor^failures`, at most the maximum.
    ///
    /// Pure and total: `delay(0)` is the base, and `delay(u32::MAX)` is the maximum.
    #[doc(alias = "get_delay")]
    pub fn delay(&self, failures: u32) -> Duration {
        duration(self.seconds(failures)).min(self.max)
    }

    /// The same in seconds, before they are rounded.
    pub(crate) fn seconds(&self, failures: u32) -> f64 {
        // Nothing stays nothing, even times infinity.
        if self.base.is_zero() {
            return 0.0;
        }
        (self.base.as_secs_f64() * power(self.factor, failures)).min(self.max.as_secs_f64())
    }

    /// Returns the delays of one run of failures, jitter included: endless, unless attempts or
    /// time are limited.
    ///
    /// Each call starts anew and, without a seed, draws anew.
    pub fn delays(&self) -> Delays {
        Delays::new(*self)
    }

    /// The first delay, at most the maximum.
    pub const fn base(&self) -> Duration {
        if self.base.as_nanos() > self.max.as_nanos() { self.max } else { self.base }
    }

    /// What no delay exceeds.
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// What a failure multiplies the delay by.
    pub const fn factor(&self) -> f64 {
        self.factor
    }

    /// How delays are spread.
    pub const fn jitter(&self) -> Jitter {
        self.jitter
    }

    /// How often something is tried; `None` means for ever.
    pub const fn max_attempts(&self) -> Option<u32> {
        self.max_attempts
    }

    /// How long to go on; `None` means for ever.
    pub const fn max_elapsed(&self) -> Option<Duration> {
        self.max_elapsed
    }

    /// The seed of the jitter; `None` means random.
    pub const fn seed(&self) -> Option<u64> {
        self.seed
    }
}

impl Default for ExponentialBackoff {
    fn default() -> Self {
        Self::new()
    }
}

impl IntoIterator for ExponentialBackoff {
    type Item = Duration;
    type IntoIter = Delays;

    fn into_iter(self) -> Delays {
        self.delays()
    }
}

/// `base^exponent` by squaring. Unlike `f64::powi`, which is free to round as the platform likes,
/// it gives the same bits everywhere.
fn power(mut base: f64, mut exponent: u32) -> f64 {
    let mut power = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            power *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    power
}
