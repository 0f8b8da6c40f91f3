//! Keys whose source is read once more before they are out: somebody may have renewed them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{KeyRing, clock::Moment, slot::Slot, standing::Term};
use crate::{ApiKey, Credential};

/// How long a key rests while its source is read, at most: longer than a command may take.
const PATIENCE: Duration = Duration::from_secs(45);
/// A source is not read again sooner, whatever it says.
const APART: Duration = Duration::from_secs(60);

/// Whether the source of a key can be read again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Renewal {
    #[default]
    Impossible,
    Possible {
        last: Option<Moment>,
    },
    UnderWay {
        since: Moment,
    },
}

impl KeyRing {
    /// Says of which keys the source can be read again. Such a key is not out when it is refused:
    /// it rests until [`renew`](Self::renew) says what its source has now, for 45 seconds at most.
    /// It is for the caller to ask [`next_to_renew`](Self::next_to_renew) after each answer.
    pub fn with_renewable(mut self, labels: &[String]) -> Self {
        for slot in &mut self.places.slots {
            if labels.contains(&slot.credential.label) {
                slot.renewal = Renewal::Possible { last: None };
            }
        }
        self
    }

    /// The next key whose source is to be read again.
    pub fn next_to_renew(&mut self) -> Option<Credential> {
        let key = self.to_renew.pop()?;
        Some(Credential::clone(&self.places.slots[key].credential))
    }

    /// Says what the source of a key has now; `None` if it cannot be read. A key that is another
    /// than before is ready at once, and the same one is out. Returns whether it is another one.
    pub fn renew(&mut self, label: &str, key: Option<ApiKey>, now: SystemTime) -> bool {
        let moment = self.follow(now);
        let found = self.places.slots.iter_mut().find(|slot| {
            slot.credential.label == label && matches!(slot.renewal, Renewal::UnderWay { .. })
        });
        let Some(slot) = found else { return false };
        slot.renewal = Renewal::Possible { last: Some(moment) };
        let new = key.filter(|key| key.expose() != slot.credential.key.expose());
        let is_new = new.is_some();
        match new {
            Some(key) => {
                slot.credential = Arc::new(Credential { key, ..(*slot.credential).clone() });
                slot.standing.reset(moment);
            }
            None => slot.standing.lose(moment),
        }
        self.queue.touch();
        is_new
    }
}

impl KeyRing {
    /// Whether the source of a key is asked that others found refused: not of one that was not used
    /// yet, for it was read just now.
    pub(super) fn asks_source(&mut self, key: usize, now: Moment) -> bool {
        let slot = &mut self.places.slots[key];
        if slot.counts.lent == 0 || matches!(slot.renewal, Renewal::Impossible) {
            return false;
        }
        match slot.refused(key, now, &mut self.to_renew) {
            Some(Term::Rest(wait)) => slot.standing.rest(now, wait),
            Some(_) => return false,
            None => {}
        }
        true
    }
}

impl Slot {
    /// What a refusal of the key means for it; nothing if its source is being read.
    pub(super) fn refused(
        &mut self,
        key: usize,
        now: Moment,
        to_renew: &mut Vec<usize>,
    ) -> Option<Term> {
        match self.renewal {
            Renewal::Possible { last } if last.is_none_or(|last| last + APART <= now) => {
                self.renewal = Renewal::UnderWay { since: now };
                to_renew.push(key);
                Some(Term::Rest(PATIENCE))
            }
            Renewal::UnderWay { since } if now < since + PATIENCE => None,
            _ => Some(Term::ForGood),
        }
    }
}
