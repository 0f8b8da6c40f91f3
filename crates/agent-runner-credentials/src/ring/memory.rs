//! What a ring knows that is worth keeping: quotas that are spent, and keys that are out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{
    KeyRing,
    standing::{Standing, State},
};
use crate::{Credential, Rejection};

/// A state of a key, or of its limits with one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The key, by its place.
    pub(crate) key: usize,
    /// The model, if it is about one. `Some("")` are those who name none.
    pub(crate) model: Option<String>,
    pub(crate) state: Kept,
    /// Since when.
    pub(crate) since: SystemTime,
    /// Why, in a [word](Rejection::as_str).
    pub(crate) reason: String,
}

/// A state that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Somebody has reset it.
    Reset,
    Spent(SystemTime),
    Out,
}

impl KeyRing {
    /// The key at a place.
    pub(crate) fn credential(&self, key: usize) -> &Credential {
        &self.places.slots[key].credential
    }

    /// All that is worth keeping.
    pub(crate) fn remember(&self, now: SystemTime) -> Vec<Memory> {
        let mut all = Vec::new();
        for (key, slot) in self.places.slots.iter().enumerate() {
            let account = &self.places.accounts[slot.account].standing;
            all.extend(self.memory(key, None, [&slot.standing, account], now));
            for (model, lane) in slot.lanes.iter().enumerate() {
                let name = self.places.model_name(model).map_or("", |name| name);
                let group = &self.places.groups[lane.group].standing;
                all.extend(self.memory(key, Some(name.to_owned()), [group], now));
            }
        }
        all
    }

    /// Takes over what another ring has kept, where it is newer. Returns whether anything changed.
    pub(crate) fn recall(&mut self, memory: &Memory, now: SystemTime) -> bool {
        let moment = self.follow(now);
        let group = match &memory.model {
            None => None,
            Some(name) => {
                let model = self.places.model_of(Some(&**name).filter(|name| !name.is_empty()));
                Some(self.places.slots[memory.key].lanes[model].group)
            }
        };
        let account = self.places.slots[memory.key].account;
        let known = match group {
            Some(group) => &self.places.groups[group].standing,
            None => &self.places.slots[memory.key].standing,
        };
        if self.since(known, now).is_some_and(|since| since >= memory.since) {
            return false;
        }
        let state = match memory.state {
            Kept::Reset => State::Ready,
            Kept::Out => State::Out,
            Kept::Spent(until) => match until.duration_since(now) {
                Ok(left) => State::Spent(moment + left),
                Err(_) => return false,
            },
        };
        self.queue.touch();
        if group.is_none() && state == State::Out && self.asks_source(memory.key, moment) {
            return true;
        }
        let (began, reason) = (memory.since, Rejection::of_word(&memory.reason));
        match group {
            Some(group) => {
                self.places.groups[group].is_used = true;
                self.places.groups[group].standing.recall(state, moment, began, reason)
            }
            None if state == State::Ready => {
                let own =
                    self.places.slots[memory.key].standing.recall(state, moment, began, reason);
                self.places.accounts[account].standing.recall(state, moment, began, reason) || own
            }
            None => self.places.slots[memory.key].standing.recall(state, moment, began, reason),
        }
    }

    /// When a state began, in milliseconds, as they are kept.
    fn since(&self, standing: &Standing, now: SystemTime) -> Option<SystemTime> {
        let here = || Some(self.clock.time(standing.history().0?, now));
        let since = standing.recalled().or_else(here)?.duration_since(UNIX_EPOCH).ok()?;
        Some(UNIX_EPOCH + Duration::from_millis(u64::try_from(since.as_millis()).ok()?))
    }

    /// The state among these that lasts for longest, if it is worth keeping.
    fn memory<const N: usize>(
        &self,
        key: usize,
        model: Option<String>,
        standings: [&Standing; N],
        now: SystemTime,
    ) -> Option<Memory> {
        let moment = self.clock.at(now);
        let longest = standings.into_iter().max_by_key(|it| it.lasts_until(moment))?;
        let (_, reason) = longest.history();
        let state = match longest.state(moment) {
            State::Out => Kept::Out,
            State::Spent(until) => Kept::Spent(self.clock.time(until, now)),
            State::Ready if longest.was_reset() => Kept::Reset,
            State::Ready | State::Resting(_) => return None,
        };
        let since = self.since(longest, now)?;
        let reason = reason.map_or("", Rejection::as_str).to_owned();
        Some(Memory { key, model, state, since, reason })
    }
}
