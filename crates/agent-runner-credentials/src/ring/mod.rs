//! The ring: which key to use now.

mod key;
mod snapshot;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use key::Slot;
pub use snapshot::{KeySnapshot, KeyState, Snapshot};

use crate::{Answer, Credential, Rejection, classify};

/// Keys, and which of them can be used now.
///
/// Each key is *ready*, *resting* until a time, *spent* until its quota's reset, or *out* until
/// somebody [resets](Self::reset) it. The ring is a pure state machine: it reads no clock, sleeps
/// never, and does what it is told in nanoseconds. Workers share one behind a mutex.
///
/// There are two ways to use it: [`lease`](Self::lease) a key for each request and report how it
/// went, which spreads work over all that are ready; or stay with the [`current`](Self::current)
/// key and [`rotate`](Self::rotate) when it is refused.
///
/// # Time
///
/// Times are [`SystemTime`]s of this machine. A quota's reset is a date on the calendar, it should
/// mean the same after a restart or a night's suspend, and neither is true of an `Instant`. No
/// other machine's clock is compared with it: what a server says is turned into a duration by the
/// server's own clock first (see [`classify`]). If this machine's clock is set back, what is left of
/// a rest is never more than the whole of it.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use agent_runner_credentials::{Answer, ApiKey, Credential, KeyRing};
///
/// let key = |label: &str| Ok::<_, agent_runner_credentials::InvalidKey>(
///     Credential::new(label, "anthropic", ApiKey::new(&format!("sk-{label}"))?));
/// let mut ring = KeyRing::new([key("one")?, key("two")?]);
/// let now = SystemTime::now();
///
/// let lease = ring.lease(now)?;
/// assert_eq!(lease.credential().label, "one");
/// ring.report(&lease, now, &Answer::new(429, &[("retry-after", "30")], ""));
///
/// assert_eq!(ring.lease(now)?.credential().label, "two");
/// assert_eq!(ring.lease(now)?.credential().label, "two", "the first one rests");
/// assert_eq!(ring.lease(now + Duration::from_secs(30))?.credential().label, "one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[doc(alias = "APIRotationState")]
pub struct KeyRing {
    slots: Vec<Slot>,
    current: usize,
    leases: u64,
}

impl KeyRing {
    /// A ring of these keys, all ready.
    pub fn new(credentials: impl IntoIterator<Item = Credential>) -> Self {
        Self { slots: credentials.into_iter().map(Slot::new).collect(), current: 0, leases: 0 }
    }

    /// How many keys there are, whatever their state.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The keys, in the order in which they were given.
    pub fn credentials(&self) -> impl Iterator<Item = &Credential> {
        self.slots.iter().map(Slot::credential)
    }

    /// Lends the key that is ready and was lent longest ago, so that none starves.
    ///
    /// # Errors
    ///
    /// [`NoneReady`] says when one will be.
    pub fn lease(&mut self, now: SystemTime) -> Result<Lease, NoneReady> {
        self.lease_where(now, |_| true)
    }

    /// Lends one of the keys that `fits`, such as those of one provider.
    ///
    /// # Errors
    ///
    /// [`NoneReady`] says when one of them will be.
    pub fn lease_where(
        &mut self,
        now: SystemTime,
        fits: impl Fn(&Credential) -> bool,
    ) -> Result<Lease, NoneReady> {
        self.slots.iter_mut().for_each(|slot| slot.follow_clock(now));
        let ready = |slot: &Slot| slot.is_ready(now) && fits(slot.credential());
        let ready = self.slots.iter().enumerate().filter(|(_, slot)| ready(slot));
        let Some((index, _)) = ready.min_by_key(|(_, slot)| slot.last_lent()) else {
            return Err(NoneReady { until: self.next_ready_where(now, fits) });
        };
        self.leases += 1;
        let epoch = self.slots[index].lend(self.leases);
        let credential = Arc::clone(self.slots[index].shared());
        Ok(Lease { key: KeyId(index), epoch, credential })
    }

    /// Reports the answer to a request that was made with a lease, and says what it meant for the
    /// key, if anything.
    ///
    /// A report that is older than the key's state (ten requests were under way when the first of
    /// them was refused) adds what the server said, and nothing else: it never makes a key ready,
    /// never shortens its rest, and never counts as a further failure.
    pub fn report(
        &mut self,
        lease: &Lease,
        now: SystemTime,
        answer: &Answer<'_>,
    ) -> Option<Rejection> {
        let rejection = classify(answer, now);
        match rejection {
            Some(rejection) => self.report_rejection(lease, now, rejection),
            None if answer.is_success() => self.success(lease, now),
            None => (),
        }
        rejection
    }

    /// Reports what is already known to be a rejection, such as from an agent's own words.
    pub fn report_rejection(&mut self, lease: &Lease, now: SystemTime, rejection: Rejection) {
        if let Some(slot) = self.slots.get_mut(lease.key.0) {
            slot.reject(lease.epoch, now, rejection);
        }
    }

    /// Reports that all went well.
    pub fn success(&mut self, lease: &Lease, now: SystemTime) {
        if let Some(slot) = self.slots.get_mut(lease.key.0) {
            slot.succeed(lease.epoch, now);
        }
    }

    /// The key to stay with: the one that [`rotate`](Self::rotate) came to last or, when that is
    /// not ready, the next one that is.
    #[doc(alias = "get_current")]
    pub fn current(&self, now: SystemTime) -> Option<&Credential> {
        self.current_index(now).map(|index| self.slots[index].credential())
    }

    /// Reports an answer to the [`current`](Self::current) key, moves on to the next key if it
    /// says something about this one, and says whether a key is ready.
    ///
    /// Keys keep their places while others rest, so that none is skipped.
    pub fn rotate(&mut self, now: SystemTime, answer: &Answer<'_>) -> bool {
        let Some(index) = self.current_index(now) else {
            return false;
        };
        self.current = index;
        let epoch = self.slots[index].epoch();
        match classify(answer, now) {
            Some(rejection) => {
                self.slots[index].reject(epoch, now, rejection);
                if rejection.is_about_key() {
                    self.current = (index + 1) % self.slots.len();
                }
            }
            None if answer.is_success() => self.slots[index].succeed(epoch, now),
            None => (),
        }
        self.current_index(now).is_some()
    }

    /// When a key is ready: `now` if one is, `None` if all are out.
    pub fn next_ready(&self, now: SystemTime) -> Option<SystemTime> {
        self.next_ready_where(now, |_| true)
    }

    /// When one of the keys that `fits` is ready.
    pub fn next_ready_where(
        &self,
        now: SystemTime,
        fits: impl Fn(&Credential) -> bool,
    ) -> Option<SystemTime> {
        let fitting = self.slots.iter().filter(|slot| fits(slot.credential()));
        fitting.filter_map(|slot| slot.ready_at(now)).min()
    }

    /// Makes the keys of this label ready again, such as after somebody has paid. What was under
    /// way before says nothing about them any more. Returns whether there is such a key.
    pub fn reset(&mut self, label: &str, now: SystemTime) -> bool {
        let mut slots = self.slots.iter_mut().filter(|slot| slot.credential().label == label);
        let found = slots.by_ref().map(|slot| slot.reset(now)).count();
        found > 0
    }

    /// How all keys stand, for people and reports. It has no secret.
    pub fn snapshot(&self, now: SystemTime) -> Snapshot {
        let keys = self.slots.iter().map(|slot| slot.snapshot(now)).collect();
        Snapshot { keys, next_ready: self.next_ready(now) }
    }

    fn current_index(&self, now: SystemTime) -> Option<usize> {
        let places = (0..self.slots.len()).map(|step| (self.current + step) % self.slots.len());
        places.into_iter().find(|&index| self.slots[index].is_ready(now))
    }
}

/// A key's place in its ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(usize);

/// A key, lent for one request or one run of an agent. Nothing is owed: one that is dropped
/// without a report says nothing about its key.
#[derive(Debug, Clone)]
#[must_use = "a lease has the key to use"]
pub struct Lease {
    key: KeyId,
    epoch: u64,
    credential: Arc<Credential>,
}

impl Lease {
    /// The key and what belongs to it.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Which key it is.
    pub const fn key_id(&self) -> KeyId {
        self.key
    }
}

/// No key can be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoneReady {
    /// When the first one is ready; `None` if nothing but a person can help.
    pub until: Option<SystemTime>,
}

impl NoneReady {
    /// How long to wait; `None` if waiting does not help.
    pub fn wait(&self, now: SystemTime) -> Option<Duration> {
        self.until.map(|until| until.duration_since(now).unwrap_or_default())
    }
}

impl fmt::Display for NoneReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Some(until) => write!(f, "no key is ready before {}", crate::time::rfc3339(until)),
            None => f.write_str("no key is left that could be used"),
        }
    }
}

impl std::error::Error for NoneReady {}

#[cfg(test)]
mod tests;
