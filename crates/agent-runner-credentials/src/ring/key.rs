//! One key of the ring and its state.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::snapshot::{KeySnapshot, KeyState};
use crate::{Credential, Rejection, time};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// No answer keeps a key away for longer, whatever it says.
const LONGEST: Duration = Duration::from_secs(32 * 24 * 60 * 60);

/// A key and what is known about it.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    credential: Arc<Credential>,
    state: State,
    since: Option<SystemTime>,
    reason: Option<Rejection>,
    /// Counts the changes of state; a lease has the one it was lent in.
    epoch: u64,
    /// Leases from before are about a key that was reset since.
    reset_epoch: u64,
    /// Refusals in a row that did not say for how long.
    refusals: u32,
    last_lent: u64,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    lent: u64,
    succeeded: u64,
    rejected: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Resting(SystemTime),
    Spent(SystemTime),
    Out,
}

impl State {
    /// When it ends; `None` for never.
    const fn ends(self, now: SystemTime) -> Option<SystemTime> {
        match self {
            Self::Ready => Some(now),
            Self::Resting(until) | Self::Spent(until) => Some(until),
            Self::Out => None,
        }
    }

    fn outlasts(self, other: Self, now: SystemTime) -> bool {
        match (self.ends(now), other.ends(now)) {
            (Some(end), Some(other)) => end > other,
            (end, other) => end.is_none() && other.is_some(),
        }
    }
}

impl Slot {
    pub(super) fn new(credential: Credential) -> Self {
        Self {
            credential: Arc::new(credential),
            state: State::Ready,
            since: None,
            reason: None,
            epoch: 0,
            reset_epoch: 0,
            refusals: 0,
            last_lent: 0,
            counts: Counts::default(),
        }
    }

    pub(super) fn credential(&self) -> &Credential {
        &self.credential
    }

    pub(super) const fn shared(&self) -> &Arc<Credential> {
        &self.credential
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) const fn last_lent(&self) -> u64 {
        self.last_lent
    }

    pub(super) fn is_ready(&self, now: SystemTime) -> bool {
        self.ready_at(now).is_some_and(|at| at <= now)
    }

    /// When it can be lent, `now` included; `None` if only a person can help.
    pub(super) fn ready_at(&self, now: SystemTime) -> Option<SystemTime> {
        self.state_at(now).ends(now)
    }

    /// Notes a lease, and returns the epoch that it is lent in.
    pub(super) const fn lend(&mut self, number: u64) -> u64 {
        self.last_lent = number;
        self.counts.lent += 1;
        self.epoch
    }

    pub(super) fn succeed(&mut self, epoch: u64, now: SystemTime) {
        self.counts.succeeded += 1;
        if epoch == self.epoch {
            self.refusals = 0;
            if self.state_at(now) == State::Ready {
                self.reason = None;
            }
        }
    }

    pub(super) fn reject(&mut self, epoch: u64, now: SystemTime, rejection: Rejection) {
        self.counts.rejected += 1;
        self.follow_clock(now);
        if epoch < self.reset_epoch {
            return;
        }
        let is_current = epoch == self.epoch;
        let Some(next) = self.consequence(now, rejection, is_current) else {
            return;
        };
        if is_current || next.outlasts(self.state_at(now), now) {
            self.change(next, now, Some(rejection));
        }
    }

    pub(super) fn reset(&mut self, now: SystemTime) {
        self.refusals = 0;
        self.change(State::Ready, now, None);
        self.reset_epoch = self.epoch;
    }

    pub(super) fn snapshot(&self, now: SystemTime) -> KeySnapshot {
        let state = self.state_at(now);
        let (state, until) = match state {
            State::Ready => (KeyState::Ready, None),
            State::Resting(until) => (KeyState::Resting, Some(until)),
            State::Spent(until) => (KeyState::Spent, Some(until)),
            State::Out => (KeyState::Out, None),
        };
        KeySnapshot {
            label: self.credential.label.clone(),
            provider: self.credential.provider.clone(),
            state,
            since: if state == KeyState::Ready { None } else { self.since },
            until,
            reason: self.reason.map(|reason| reason.to_string()),
            key: self.credential.key.masked(),
            base_url: self.credential.shown_base_url(),
            model: self.credential.model.clone(),
            lent: self.counts.lent,
            succeeded: self.counts.succeeded,
            rejected: self.counts.rejected,
        }
    }

    /// What a rejection leads to; `None` for nothing. A refusal without a time makes the rest
    /// longer each time, and says nothing when it is old.
    fn consequence(
        &mut self,
        now: SystemTime,
        rejection: Rejection,
        is_current: bool,
    ) -> Option<State> {
        let after = |wait: Duration| now.checked_add(wait.min(LONGEST)).unwrap_or(now);
        match rejection {
            Rejection::Overloaded { .. } | Rejection::Blocked => None,
            Rejection::Billing | Rejection::Unauthorized => Some(State::Out),
            Rejection::QuotaExhausted { resets_in: Some(wait) } => Some(State::Spent(after(wait))),
            Rejection::QuotaExhausted { resets_in: None } => {
                Some(State::Spent(end_of_day(&self.credential.provider, now)))
            }
            Rejection::RateLimited { retry_after: Some(wait) } if !wait.is_zero() => {
                Some(State::Resting(after(wait)))
            }
            _ if !is_current => None,
            Rejection::Forbidden => {
                Some(State::Resting(after(self.next_rest(10 * MINUTE, 6 * HOUR))))
            }
            Rejection::RateLimited { .. } | Rejection::Unknown { .. } => {
                Some(State::Resting(after(self.next_rest(Duration::from_secs(1), 10 * MINUTE))))
            }
        }
    }

    /// Doubles from `first` to `longest` with each refusal in a row.
    fn next_rest(&mut self, first: Duration, longest: Duration) -> Duration {
        let doublings = self.refusals.min(31);
        self.refusals = self.refusals.saturating_add(1);
        first.saturating_mul(1 << doublings).min(longest)
    }

    fn change(&mut self, state: State, now: SystemTime, reason: Option<Rejection>) {
        self.state = state;
        self.since = Some(now);
        self.reason = reason;
        self.epoch += 1;
    }

    /// The state as it is now: a rest that is over is over, and a clock that was set back since it
    /// began does not make it longer.
    fn state_at(&self, now: SystemTime) -> State {
        let back = self.set_back(now);
        match self.state {
            State::Resting(until) | State::Spent(until) if until - back <= now => State::Ready,
            State::Resting(until) => State::Resting(until - back),
            State::Spent(until) => State::Spent(until - back),
            state => state,
        }
    }

    /// Moves the state to a clock that was set back.
    pub(super) fn follow_clock(&mut self, now: SystemTime) {
        let back = self.set_back(now);
        if back.is_zero() {
            return;
        }
        if let State::Resting(until) | State::Spent(until) = &mut self.state {
            *until -= back;
        }
        self.since = Some(now);
    }

    fn set_back(&self, now: SystemTime) -> Duration {
        self.since.and_then(|since| since.duration_since(now).ok()).unwrap_or_default()
    }
}

/// When a daily quota starts anew if nobody says: midnight UTC, but for Google, whose day ends at
/// midnight in California (in winter, the later of its two).
fn end_of_day(provider: &str, now: SystemTime) -> SystemTime {
    let hours_behind = if matches!(provider, "gemini" | "google") { 8 } else { 0 };
    time::next_midnight(now, hours_behind)
}
