//! How a key, an account or a limit group stands: the same four states for all of them.

use std::time::{Duration, SystemTime};

use super::clock::Moment;
use crate::Rejection;

/// No answer keeps anything away for longer, whatever it says.
const LONGEST: Duration = Duration::from_secs(32 * 24 * 60 * 60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ready,
    Resting(Moment),
    Spent(Moment),
    Out,
}

impl State {
    /// When it ends; `None` for never.
    pub(super) const fn ends(self) -> Option<Moment> {
        match self {
            Self::Ready => Some(Moment::ZERO),
            Self::Resting(until) | Self::Spent(until) => Some(until),
            Self::Out => None,
        }
    }

    fn outlasts(self, other: Self) -> bool {
        match (self.ends(), other.ends()) {
            (Some(end), Some(other)) => end > other,
            (end, other) => end.is_none() && other.is_some(),
        }
    }
}

/// For how long a refusal counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Term {
    /// A rest of this length, as the server said.
    Rest(Duration),
    /// Until a quota starts anew.
    Spent(Duration),
    /// The server did not say: the first is short, and each further one in a row doubles it.
    Growing { first: Duration, longest: Duration, spent: bool },
    /// Until a person does something.
    ForGood,
}

/// A state with what led to it.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    state: State,
    since: Option<Moment>,
    /// When it began, if another ring saw it.
    recalled: Option<SystemTime>,
    reason: Option<Rejection>,
    /// Counts the changes of state; a lease has the one it was lent in.
    epoch: u64,
    /// Leases from before are about something that was reset since.
    reset_epoch: u64,
    /// Refusals in a row that did not say for how long.
    refusals: u32,
}

impl Default for Standing {
    fn default() -> Self {
        let state = State::Ready;
        Self {
            state,
            since: None,
            recalled: None,
            reason: None,
            epoch: 0,
            reset_epoch: 0,
            refusals: 0,
        }
    }
}

impl Standing {
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) const fn refusals(&self) -> u32 {
        self.refusals
    }

    /// Since when it has not been ready, and why.
    pub(super) const fn history(&self) -> (Option<Moment>, Option<Rejection>) {
        (self.since, self.reason)
    }

    /// When it began, if another ring saw it.
    pub(super) const fn recalled(&self) -> Option<SystemTime> {
        self.recalled
    }

    /// The state as it is at a moment: a rest that is over is over.
    pub(super) fn state(&self, now: Moment) -> State {
        match self.state {
            State::Resting(until) | State::Spent(until) if until <= now => State::Ready,
            state => state,
        }
    }

    /// When it is ready, not before `now`; `None` if only a person can help.
    pub(super) fn ready_at(&self, now: Moment) -> Option<Moment> {
        self.state.ends().map(|end| end.max(now))
    }

    pub(super) fn succeed(&mut self, epoch: u64, now: Moment) {
        if epoch == self.epoch {
            self.refusals = 0;
            if self.state(now) == State::Ready {
                self.reason = None;
            }
        }
    }

    /// Notes a refusal, and says whether it changed the state. One that is older than the state
    /// adds what the server said, and nothing else.
    pub(super) fn reject(
        &mut self,
        epoch: u64,
        now: Moment,
        term: Term,
        reason: Rejection,
    ) -> bool {
        if self.was_reset_since(epoch) {
            return false;
        }
        let is_current = epoch == self.epoch;
        let after = |wait: Duration| now.saturating_add(wait.min(LONGEST));
        let next = match term {
            Term::Rest(wait) => State::Resting(after(wait)),
            Term::Spent(wait) => State::Spent(after(wait)),
            Term::ForGood => State::Out,
            Term::Growing { .. } if !is_current => return false,
            Term::Growing { first, longest, spent } => {
                let until = after(self.next_rest(first, longest));
                if spent { State::Spent(until) } else { State::Resting(until) }
            }
        };
        let changes = is_current || next.outlasts(self.state(now));
        if changes {
            self.change(next, now, Some(reason));
        }
        changes
    }

    /// Whether a lease of then is about something that was reset since.
    pub(super) const fn was_reset_since(&self, epoch: u64) -> bool {
        epoch < self.reset_epoch
    }

    /// It rests while its source is read.
    pub(super) fn rest(&mut self, now: Moment, wait: Duration) {
        self.change(State::Resting(now + wait), now, Some(Rejection::Unauthorized));
    }

    /// It is out, until a person does something.
    pub(super) fn lose(&mut self, now: Moment) {
        self.change(State::Out, now, Some(Rejection::Unauthorized));
    }

    pub(super) fn reset(&mut self, now: Moment) {
        self.refusals = 0;
        self.change(State::Ready, now, None);
        self.reset_epoch = self.epoch;
    }

    /// Takes over what another knows, when the two turn out to be one.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.state.outlasts(self.state) {
            (self.state, self.since, self.reason) = (other.state, other.since, other.reason);
        }
        self.refusals = self.refusals.max(other.refusals);
        self.epoch = self.epoch.max(other.epoch) + 1;
    }

    /// How far in the future it ends; for those that are equal, how lately it began.
    pub(super) fn lasts_until(&self, now: Moment) -> (Moment, Option<Moment>) {
        let end = self.state(now).ends().unwrap_or(Moment::MAX);
        (end, self.since)
    }

    /// Whether somebody has reset it, and nothing happened since.
    pub(super) const fn was_reset(&self) -> bool {
        self.epoch > 0 && self.reset_epoch == self.epoch
    }

    /// Takes over a state from elsewhere. Returns whether it is another one.
    pub(super) fn recall(
        &mut self,
        state: State,
        now: Moment,
        began: SystemTime,
        reason: Option<Rejection>,
    ) -> bool {
        let changes = self.state(now) != state;
        if changes && state == State::Ready {
            self.reset(now);
        } else if changes {
            self.change(state, now, reason);
        }
        self.recalled = Some(began);
        changes
    }

    fn next_rest(&mut self, first: Duration, longest: Duration) -> Duration {
        let doublings = self.refusals.min(31);
        self.refusals = self.refusals.saturating_add(1);
        first.saturating_mul(1 << doublings).min(longest)
    }

    fn change(&mut self, state: State, now: Moment, reason: Option<Rejection>) {
        self.state = state;
        self.since = Some(now);
        self.recalled = None;
        self.reason = reason;
        self.epoch += 1;
    }
}
