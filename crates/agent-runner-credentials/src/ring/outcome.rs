//! What is learned from the end of a lease.

use std::time::{Duration, SystemTime};

use super::{KeyRing, clock::Moment, group::Spent, lease::Open, standing::Term};
use crate::{Answer, End, Kind, Rejection, Scope, classify, limits::Limits, time};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

impl KeyRing {
    /// Ends a lease.
    pub(super) fn end(
        &mut self,
        open: &Open,
        moment: Moment,
        now: SystemTime,
        end: End<'_>,
    ) -> Option<Rejection> {
        let (rejection, spent) = match end {
            End::Answer(answer, usage) => {
                let rejection = self.hear(open, moment, now, answer);
                let refused = rejection.is_some() || !answer.is_success();
                let spent = usage.map_or(Spent::AsExpected, Spent::Usage);
                (rejection, if refused && usage.is_none() { Spent::Nothing } else { spent })
            }
            End::Success(usage) => {
                self.succeed(open, moment);
                (None, usage.map_or(Spent::AsExpected, Spent::Usage))
            }
            End::Rejected(rejection) => {
                self.reject(open, moment, now, rejection);
                (Some(rejection), Spent::Nothing)
            }
            End::Lost => (None, Spent::AsExpected),
            End::Unsent => (None, Spent::Nothing),
        };
        let slot = &mut self.places.slots[open.key];
        slot.processes -= u32::from(open.kind == Kind::Process);
        let lane = slot.lanes[open.model];
        let (group, gate) =
            (&mut self.places.groups[lane.group], &mut self.places.gates[lane.gate]);
        group.settle(open.kind, &open.taken, spent, moment);
        gate.leave();
        if matches!(end, End::Lost | End::Unsent) {
            gate.abandoned(open.epochs.gate);
        } else {
            group.is_known |= open.kind == Kind::Call;
        }
        self.queue.touch();
        rejection
    }

    /// Learns from an answer, which may not be the whole of it.
    pub(super) fn hear(
        &mut self,
        open: &Open,
        moment: Moment,
        now: SystemTime,
        answer: &Answer<'_>,
    ) -> Option<Rejection> {
        let limits = Limits::read(answer, now);
        if let Some(account) = &limits.account {
            self.places.belongs(open.key, account, moment);
        }
        let rejection = classify(answer, now).rejection();
        let lane = self.places.slots[open.key].lanes[open.model];
        let is_refused =
            matches!(rejection, Some(Rejection::RateLimited { .. } | Rejection::SlowDown { .. }));
        if open.kind == Kind::Call {
            let group = &mut self.places.groups[lane.group];
            group.follow(&open.taken, &limits, is_refused, moment);
            group.is_known = true;
        }
        match rejection {
            Some(rejection) => self.reject(open, moment, now, rejection),
            None if answer.is_success() => self.succeed(open, moment),
            None => self.places.gates[lane.gate].answered(open.epochs.gate),
        }
        self.queue.touch();
        rejection
    }

    fn succeed(&mut self, open: &Open, moment: Moment) {
        self.places.sessions.served(open.session, open.key, moment);
        let slot = &mut self.places.slots[open.key];
        slot.counts.succeeded += u64::from(!open.is_told);
        slot.succeed(open.model, (open.epochs.key, open.epochs.denied), moment);
        let lane = slot.lanes[open.model];
        self.places.accounts[slot.account].standing.succeed(open.epochs.account, moment);
        self.places.groups[lane.group].succeed(open.epochs.group, moment);
        self.places.gates[lane.gate].answered(open.epochs.gate);
    }

    fn reject(&mut self, open: &Open, moment: Moment, now: SystemTime, rejection: Rejection) {
        let slot = &mut self.places.slots[open.key];
        slot.counts.rejected += u64::from(!open.is_told);
        let lane = slot.lanes[open.model];
        let (epochs, group) = (open.epochs, &mut self.places.groups[lane.group]);
        let gate = &mut self.places.gates[lane.gate];
        if let Rejection::Overloaded { retry_after } = rejection {
            gate.overloaded(epochs.gate, open.sent, retry_after, moment);
            return;
        }
        gate.answered(epochs.gate);
        let term = match rejection {
            Rejection::RateLimited { .. } | Rejection::SlowDown { .. } => {
                self.places.sessions.refused(open.session, open.key, moment);
                return group.limited(epochs.group, moment, rejection);
            }
            Rejection::QuotaExhausted { resets_in: Some(wait), .. } => Term::Spent(wait),
            Rejection::QuotaExhausted { resets_in: None, .. } => {
                Term::Spent(rest_of_day(&slot.credential.provider, now))
            }
            Rejection::Billing => {
                Term::Growing { first: 10 * MINUTE, longest: 6 * HOUR, spent: true }
            }
            // What was sent with another key, before this one took its place, says nothing of it.
            Rejection::Unauthorized if slot.standing.was_reset_since(epochs.key) => return,
            Rejection::Unauthorized => match slot.refused(open.key, moment, &mut self.to_renew) {
                Some(term) => term,
                None => return,
            },
            _ => {
                Term::Growing { first: Duration::from_secs(1), longest: 10 * MINUTE, spent: false }
            }
        };
        let account = &mut self.places.accounts[slot.account].standing;
        match rejection.scope() {
            Scope::Key => slot.standing.reject(epochs.key, moment, term, rejection),
            Scope::Account => account.reject(epochs.account, moment, term, rejection),
            Scope::Group => group.standing.reject(epochs.group, moment, term, rejection),
            Scope::KeyModel => slot.deny(open.model, epochs.denied, moment),
            Scope::Endpoint | Scope::Nothing => false,
        };
    }
}

/// What is left of a daily quota's day if nobody says: to midnight UTC, but for Google, whose day
/// ends at midnight in California (in winter, the later of its two).
fn rest_of_day(provider: &str, now: SystemTime) -> Duration {
    let hours_behind = if matches!(provider, "gemini" | "google") { 8 } else { 0 };
    time::next_midnight(now, hours_behind).duration_since(now).unwrap_or_default()
}
