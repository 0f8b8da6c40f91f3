//! A pause that is no key's fault, or no known key's: all who need the same wait for it.

use std::time::{Duration, Instant};

use agent_runner_backoff::{AdaptiveBackoff, ExponentialBackoff};
use agent_runner_credentials::Rejection;

use super::Hold;

#[derive(Debug)]
pub(super) struct Pause {
    until: Option<Instant>,
    backoff: AdaptiveBackoff,
    /// No key is known, and the provider refused the agent's own login.
    refused: bool,
}

impl Default for Pause {
    fn default() -> Self {
        let backoff = AdaptiveBackoff::new(ExponentialBackoff::new());
        Self { until: None, backoff, refused: false }
    }
}

impl Pause {
    /// Makes it longer, and says how long. A login that is refused is the end.
    pub(super) fn prolong(&mut self, rejection: Rejection) -> Duration {
        self.refused |= matches!(rejection, Rejection::Unauthorized | Rejection::Billing);
        self.backoff.record_failure();
        if let Some(wait) = rejection.retry_after() {
            self.backoff.record_retry_after(wait);
        }
        let wait = self.backoff.delay();
        let until = Instant::now() + wait;
        self.until = Some(self.until.map_or(until, |known| known.max(until)));
        wait
    }

    pub(super) fn succeed(&mut self) {
        self.backoff.record_success();
    }

    /// What is left of it.
    pub(super) fn left(&self) -> Option<Hold> {
        let left = self.until?.saturating_duration_since(Instant::now());
        let lasts = (!self.refused).then_some(left);
        (lasts != Some(Duration::ZERO)).then_some(Hold {
            lasts,
            is_pause: true,
            providers: Vec::new(),
        })
    }
}
