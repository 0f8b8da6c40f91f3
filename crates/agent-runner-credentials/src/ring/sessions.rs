//! Where sessions sit.

use std::{collections::HashMap, time::Duration};

use super::clock::Moment;
use crate::Session;

/// How many seats are kept; beyond that, those that nobody used for long are given up.
const SEATS: usize = 10_000;
/// No prompt cache lives longer.
const LONG: Duration = Duration::from_secs(60 * 60);

/// The key that served each session last, whose cache has it.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<Session, Seat>);

#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    pub(super) key: usize,
    used: Moment,
    /// Since when its session has been told to slow down, and not been served.
    refused: Option<Moment>,
}

impl Seat {
    /// Until when somebody of the session who asked then may wait for the key.
    pub(super) fn patience_ends(&self, asked: Moment, patience: Duration) -> Moment {
        self.refused.map_or(asked, |refused| refused.min(asked)).saturating_add(patience)
    }
}

impl Sessions {
    pub(super) fn seat(&self, session: Option<Session>) -> Option<Seat> {
        self.0.get(&session?).copied()
    }

    /// The key served the session.
    pub(super) fn served(&mut self, session: Option<Session>, key: usize, now: Moment) {
        let Some(session) = session else { return };
        if self.0.len() >= SEATS && !self.0.contains_key(&session) {
            self.give_up(now);
        }
        self.0.insert(session, Seat { key, used: now, refused: None });
    }

    /// The key did not serve the session, but may later.
    pub(super) fn refused(&mut self, session: Option<Session>, key: usize, now: Moment) {
        let seat = session.and_then(|session| self.0.get_mut(&session));
        if let Some(seat) = seat.filter(|seat| seat.key == key) {
            seat.refused.get_or_insert(now);
        }
    }

    fn give_up(&mut self, now: Moment) {
        self.0.retain(|_, seat| now.saturating_sub(seat.used) < LONG);
        if self.0.len() >= SEATS {
            let mut times: Vec<_> = self.0.values().map(|seat| seat.used).collect();
            let (_, middle, _) = times.select_nth_unstable(SEATS / 2);
            let middle = *middle;
            self.0.retain(|_, seat| seat.used > middle);
        }
    }
}
