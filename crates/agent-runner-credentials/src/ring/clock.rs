//! The caller's clock, made to go forward only.

use std::time::{Duration, SystemTime};

/// Time since the ring's first look at a clock, without the steps that the clock was set back.
pub(super) type Moment = Duration;

/// Turns times of day into moments.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock {
    last: Option<SystemTime>,
    elapsed: Moment,
}

impl Clock {
    /// The moment of a time, after which all others count from it.
    pub(super) fn follow(&mut self, now: SystemTime) -> Moment {
        self.elapsed = self.at(now);
        self.last = Some(now);
        self.elapsed
    }

    /// The moment of a time.
    pub(super) fn at(&self, now: SystemTime) -> Moment {
        let since = self.last.and_then(|last| now.duration_since(last).ok());
        self.elapsed + since.unwrap_or_default()
    }

    /// The time of a moment, seen from `now`.
    pub(super) fn time(&self, moment: Moment, now: SystemTime) -> SystemTime {
        let here = self.at(now);
        let time = match moment.checked_sub(here) {
            Some(ahead) => now.checked_add(ahead),
            None => now.checked_sub(here.saturating_sub(moment)),
        };
        time.unwrap_or(now)
    }
}
