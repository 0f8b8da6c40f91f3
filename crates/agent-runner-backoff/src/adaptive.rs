//! Backoff with a memory: it grows with failures and falls back with a success.

use std::time::Duration;

use crate::{ExponentialBackoff, delays::Sampler};

/// The pace of a loop: the base while all is well, longer with each failure in a row, the base
/// again after a success.
///
/// It tells the pace and decides nothing: the policy's `max_attempts` and `max_elapsed` are for
/// [`Delays`](crate::Delays) and the retry helpers, and are not looked at here.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use agent_runner_backoff::{AdaptiveBackoff, ExponentialBackoff, Jitter};
///
/// let policy = ExponentialBackoff::new().with_jitter(Jitter::None);
/// let mut backoff = AdaptiveBackoff::new(policy);
///
/// backoff.record_failure();
/// backoff.record_failure();
/// assert_eq!(backoff.delay(), Duration::from_secs(4));
///
/// backoff.record_retry_after(Duration::from_secs(90)); // the server knows better than our maximum
/// assert_eq!(backoff.delay(), Duration::from_secs(90));
///
/// backoff.record_success();
/// assert_eq!(backoff.delay(), Duration::from_secs(1));
/// ```
#[derive(Debug, Clone)]
pub struct AdaptiveBackoff {
    sampler: Sampler,
    failures: u32,
    floor: Duration,
}

impl AdaptiveBackoff {
    /// Starts with no failure.
    pub fn new(policy: ExponentialBackoff) -> Self {
        Self { sampler: Sampler::new(policy), failures: 0, floor: Duration::ZERO }
    }

    /// Draws the delay before the next call, with jitter, anew each time.
    ///
    /// It is at most the policy's maximum, unless a server asked for more
    /// ([`record_retry_after`](Self::record_retry_after)). Such a request holds for one delay:
    /// this call takes it.
    #[doc(alias = "get_delay")]
    pub fn delay(&mut self) -> Duration {
        let delay = self.draw();
        self.floor = Duration::ZERO;
        delay
    }

    /// Records a failure: delays grow.
    pub fn record_failure(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// Records a success: delays start from the base again, and what a server asked for is done.
    pub fn record_success(&mut self) {
        self.failures = 0;
        self.floor = Duration::ZERO;
        self.sampler.forget();
    }

    /// Records that a server said when to come back, such as with `Retry-After`.
    ///
    /// It is a floor under the next delay, even over the policy's maximum; unless there is no
    /// jitter, up to a tenth is added, so that those who were told the same time do not come back
    /// together. It is not a failure by itself: a refused call is also
    /// [recorded as one](Self::record_failure), in either order. Of two requests the later time
    /// counts.
    pub fn record_retry_after(&mut self, delay: Duration) {
        self.floor = self.floor.max(delay);
    }

    /// Waits for the [`delay`](Self::delay).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: failures stay counted, and what a server asked
    /// for stays asked for until one wait has reached its end.
    #[cfg(feature = "tokio")]
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.draw()).await;
        self.floor = Duration::ZERO;
    }

    /// Failures since the last success.
    pub const fn consecutive_failures(&self) -> u32 {
        self.failures
    }

    /// The policy.
    pub const fn policy(&self) -> &ExponentialBackoff {
        &self.sampler.policy
    }

    fn draw(&mut self) -> Duration {
        self.sampler.draw(self.failures, self.floor)
    }
}

impl Default for AdaptiveBackoff {
    fn default() -> Self {
        Self::new(ExponentialBackoff::new())
    }
}

impl From<ExponentialBackoff> for AdaptiveBackoff {
    fn from(policy: ExponentialBackoff) -> Self {
        Self::new(policy)
    }
}
