//! A pause that is no key's fault, or no known key's: all who need the same wait for it.

use std::time::{Duration, Instant};

use agent_runner_backoff::{AdaptiveBackoff, ExponentialBackoff};
use agent_runner_credentials::Rejection;
use agent_runner_gateway::Unreachable;

use super::Hold;

#[derive(Debug)]
pub(super) struct Pause {
    until: Option<Instant>,
    backoff: AdaptiveBackoff,
    /// No key is known, and the provider refused the agent's own login; or nothing that can be
    /// waited for makes a connection to it.
    refused: bool,
    /// Why it cannot be reached, and since when.
    unreachable: Option<(String, Instant)>,
}

/// After so long a provider that was never reached is not waited for: it may have another name.
const NEVER_REACHED: Duration = Duration::from_secs(600);

impl Default for Pause {
    fn default() -> Self {
        let backoff = AdaptiveBackoff::new(ExponentialBackoff::new());
        Self { until: None, backoff, refused: false, unreachable: None }
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

    /// Makes it longer, since there is no connection. One that nobody can wait for is the end.
    pub(super) fn prolong_unreachable(
        &mut self,
        told: Unreachable,
        was_reached: bool,
    ) -> Option<Duration> {
        let since = self.unreachable.take().map_or_else(Instant::now, |(_, since)| since);
        self.refused |= told.lasts || (!was_reached && since.elapsed() > NEVER_REACHED);
        self.unreachable = Some((told.why, since));
        let wait = self.prolong(Rejection::Overloaded { retry_after: None });
        (!self.refused).then_some(wait)
    }

    pub(super) fn succeed(&mut self) {
        self.unreachable = None;
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
            unreachable: self.unreachable.as_ref().map(|(why, _)| why.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable(lasts: bool) -> Unreachable {
        let mut told = Unreachable::default();
        (told.why, told.lasts) = ("no route".into(), lasts);
        told
    }

    /// Whether it is waited for, after it was not reached for so many minutes.
    fn is_waited_for(minutes: u64, lasts: bool, was_reached: bool) -> bool {
        let mut pause = Pause::default();
        pause.prolong_unreachable(unreachable(false), was_reached);
        if let Some((_, since)) = &mut pause.unreachable {
            *since -= Duration::from_secs(60 * minutes);
        }
        pause.prolong_unreachable(unreachable(lasts), was_reached);
        let hold = pause.left().expect("it has begun just now");
        assert_eq!(hold.unreachable.as_deref(), Some("no route"));
        hold.lasts.is_some()
    }

    #[test]
    fn an_outage_is_waited_for_but_not_what_was_never_there() {
        assert!(is_waited_for(9, false, false));
        assert!(!is_waited_for(11, false, false));
        assert!(is_waited_for(11, false, true));
        assert!(!is_waited_for(0, true, true));
    }
}
