//! Which key, if any.

use std::cmp::Reverse;

use super::{clock::Moment, places::Places, standing::State};
use crate::{Kind, Rejection, Want};

/// Why a key cannot be lent now, and when it can; never if `None`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Blocked {
    pub(super) at: Option<Moment>,
    pub(super) reason: Option<Rejection>,
    /// Whether it depends on calls that are under way.
    pub(super) is_busy: bool,
}

/// What one who waits has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// This key, now.
    Key(usize),
    /// Its own key, not before then, and no other before.
    Home(usize, Moment),
    /// Any of those that fit, not before then.
    Any(Moment),
    /// None, ever.
    None,
}

impl Places {
    /// The key for somebody who has waited since `asked`. Groups that are `held` are kept for those
    /// who wait for longer.
    pub(super) fn choose(
        &self,
        want: &Want,
        model: usize,
        asked: Moment,
        now: Moment,
        held: &[bool],
    ) -> Choice {
        let seat = self.sessions.seat(want.session);
        if let Some(seat) = seat.filter(|seat| self.slots[seat.key].fits(want)) {
            let (home, end) = (seat.key, seat.patience_ends(asked, want.patience));
            match self.chance(home, want, model, now, held) {
                Ok(_) => return Choice::Key(home),
                Err(Blocked { at: Some(at), is_busy, .. })
                    if now < end && (at <= end || is_busy) =>
                {
                    return Choice::Home(home, at.min(end));
                }
                Err(_) => (),
            }
        }
        self.choose_any(want, model, now, held)
    }

    fn choose_any(&self, want: &Want, model: usize, now: Moment, held: &[bool]) -> Choice {
        let mut best: Option<(Rank, usize)> = None;
        let mut soonest: Option<Moment> = None;
        for &key in &self.line {
            let slot = &self.slots[key];
            if !slot.fits(want) {
                continue;
            }
            match self.chance(key, want, model, now, held) {
                Ok(room) => {
                    let processes = if want.kind == Kind::Process { slot.processes } else { 0 };
                    let rank = (Room(room), Reverse(processes));
                    if rank == BEST {
                        return Choice::Key(key);
                    }
                    if best.is_none_or(|(known, _)| rank > known) {
                        best = Some((rank, key));
                    }
                }
                // What no key may do is an answer, too: nobody waits for it.
                Err(
                    Blocked { reason: Some(Rejection::Forbidden), .. } | Blocked { at: None, .. },
                ) => (),
                Err(Blocked { at: Some(at), .. }) => {
                    soonest = Some(soonest.map_or(at, |known| known.min(at)));
                }
            }
        }
        match (best, soonest) {
            (Some((_, key)), _) => Choice::Key(key),
            (None, Some(at)) => Choice::Any(at),
            (None, None) => Choice::None,
        }
    }

    /// The key that is ready first, as far as one can tell. Of a key that is only busy one cannot,
    /// but it is sooner than one that rests.
    pub(super) fn soonest(&self, want: &Want, model: usize, now: Moment) -> Blocked {
        let fitting = |key: &usize| self.slots[*key].fits(want);
        let keys = (0..self.slots.len()).filter(fitting);
        let blocked = keys.filter_map(|key| self.chance(key, want, model, now, &[]).err());
        let first =
            blocked.min_by_key(|blocked| (!blocked.is_busy, blocked.at.unwrap_or(Moment::MAX)));
        first.unwrap_or_default()
    }

    /// How many input tokens would count on this key.
    pub(super) fn input_of(&self, key: usize, want: &Want) -> u64 {
        let seat = self.sessions.seat(want.session);
        let is_cached = seat.is_some_and(|seat| seat.key == key);
        let cached = if is_cached { 0 } else { want.cached_tokens };
        want.input_tokens.saturating_add(cached)
    }

    /// What a key would leave of its scarcest limit, 1 at most, or why it is not to be had.
    pub(super) fn chance(
        &self,
        key: usize,
        want: &Want,
        model: usize,
        now: Moment,
        held: &[bool],
    ) -> Result<f64, Blocked> {
        let slot = &self.slots[key];
        let model = slot.model(model);
        let lane = slot.lanes[model];
        let (account, group) = (&self.accounts[slot.account].standing, &self.groups[lane.group]);
        let denied = slot.denied(model);
        let mut at = now;
        let mut reason = None;
        for standing in [Some(&slot.standing), Some(account), Some(&group.standing), denied] {
            let Some(standing) = standing else { continue };
            match standing.state(now) {
                State::Ready => (),
                State::Out => {
                    return Err(Blocked { reason: standing.history().1, ..Blocked::default() });
                }
                State::Resting(until) | State::Spent(until) => {
                    if until > at {
                        (at, reason) = (until, standing.history().1);
                    }
                }
            }
        }
        let gate = self.gates[lane.gate].opens_at(now);
        if gate > at {
            (at, reason) = (gate, Some(Rejection::Overloaded { retry_after: None }));
        }
        if at > now {
            return Err(Blocked { at: Some(at), reason, is_busy: false });
        }
        if want.kind == Kind::Process {
            return Ok(1.0);
        }
        if held.get(lane.group).is_some_and(|held| *held) {
            return Err(Blocked { at: Some(Moment::MAX), reason: None, is_busy: true });
        }
        let cost = group.cost(self.input_of(key, want), want.output_tokens);
        group.room(&cost, now).map_err(|at| Blocked {
            at: Some(at),
            reason: None,
            is_busy: at == Moment::MAX,
        })
    }
}

/// The most room, then the fewest processes. Of equals the first in the line is taken.
type Rank = (Room, Reverse<u32>);

/// No key can rank higher.
const BEST: Rank = (Room(1.0), Reverse(0));

/// Room, which is never NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Room(f64);

impl Eq for Room {}

impl PartialOrd for Room {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Room {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
