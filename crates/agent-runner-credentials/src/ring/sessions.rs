//! Where sessions sit.

use std::{collections::HashMap, time::Duration};

use super::clock::Moment;
use crate::Session;

/// How many seats are kept; beyond that, those that nobody used for long are given up.
const SEATS: usize = 10_000;
/// No prompt cache lives longer.
const LONG: Duration = Duration::from_secs(60 * 60);

/// The key of each session.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<Session, (usize, Moment)>);

impl Sessions {
    pub(super) fn key_of(&self, session: Session) -> Option<usize> {
        self.0.get(&session).map(|(key, _)| *key)
    }

    pub(super) fn sit(&mut self, session: Session, key: usize, now: Moment) {
        if self.0.len() >= SEATS && !self.0.contains_key(&session) {
            self.give_up(now);
        }
        self.0.insert(session, (key, now));
    }

    fn give_up(&mut self, now: Moment) {
        self.0.retain(|_, (_, used)| now.saturating_sub(*used) < LONG);
        if self.0.len() >= SEATS {
            let mut times: Vec<_> = self.0.values().map(|(_, used)| *used).collect();
            let (_, middle, _) = times.select_nth_unstable(SEATS / 2);
            let middle = *middle;
            self.0.retain(|_, (_, used)| *used > middle);
        }
    }
}
