//! The ring: which key to use now.

mod bucket;
mod choice;
mod clock;
mod gate;
mod group;
mod lease;
mod memory;
mod outcome;
mod pace;
mod places;
mod queue;
mod ramp;
mod renewal;
mod sessions;
mod slot;
mod snapshot;
mod standing;

use std::time::SystemTime;

use choice::Choice;
use clock::{Clock, Moment};
pub use lease::{KeyId, Lease, NoneReady};
use lease::{Open, Returned};
pub(crate) use memory::{Kept, Memory};
use places::Places;
use queue::Queue;
pub use queue::Ticket;
pub use snapshot::{
    GroupSnapshot, KeySnapshot, KeyState, LimitSnapshot, OverloadSnapshot, Snapshot,
};

use crate::{Answer, Credential, End, Rejection, Want};

/// Keys, and which of them can be used now.
///
/// The ring keeps three kinds of state, and never mixes them: of an *endpoint*, which is overloaded
/// for everybody; of a *limit group*, the keys of one account with one model, which share its
/// limits; and of a *key*, which is *ready*, *resting* until a time, *spent* until its quota's
/// reset, or *out* until somebody [resets](Self::reset) it.
///
/// It is a pure state machine: it reads no clock, sleeps never, and does what it is told in less
/// than two microseconds. Workers share one behind a mutex, or with the feature `tokio` as a
/// `SharedRing`, in which they wait for their turn.
///
/// # Time
///
/// Times are [`SystemTime`]s of this machine. A quota's reset is a date on the calendar, it should
/// mean the same after a restart or a night's suspend, and neither is true of an `Instant`. No
/// other machine's clock is compared with it: what a server says is turned into a duration by the
/// server's own clock first (see [`classify`](crate::classify)). If this machine's clock is set
/// back, what is left of a rest is never more than the whole of it.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use agent_runner_credentials::{Answer, ApiKey, Credential, End, KeyRing, Want};
///
/// let key = |label: &str| Ok::<_, agent_runner_credentials::InvalidKey>(
///     Credential::new(label, "anthropic", ApiKey::new(&format!("sk-{label}"))?));
/// let mut ring = KeyRing::new([key("one")?, key("two")?]);
/// let (now, want) = (SystemTime::now(), Want::call());
///
/// let lease = ring.lease(now, &want)?;
/// assert_eq!(lease.credential().label, "one");
/// let busy = Answer::new(429, &[("retry-after", "30")], "");
/// ring.settle(lease, now, End::Answer(&busy, None));
///
/// assert_eq!(ring.lease(now, &want)?.credential().label, "two");
/// assert_eq!(ring.lease(now, &want)?.credential().label, "two", "the first one rests");
/// assert_eq!(ring.lease(now + Duration::from_secs(30), &want)?.credential().label, "one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[doc(alias = "APIRotationState")]
#[doc(alias = "Scheduler")]
pub struct KeyRing {
    clock: Clock,
    places: Places,
    queue: Queue,
    returned: Returned,
    /// Keys whose source is to be read again.
    to_renew: Vec<usize>,
}

impl KeyRing {
    /// A ring of these keys, all ready.
    pub fn new(credentials: impl IntoIterator<Item = Credential>) -> Self {
        Self {
            clock: Clock::default(),
            places: Places::new(credentials),
            queue: Queue::default(),
            returned: Returned::default(),
            to_renew: Vec::new(),
        }
    }

    /// How many keys there are, whatever their state.
    pub fn len(&self) -> usize {
        self.places.slots.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys, in the order in which they were given.
    pub fn credentials(&self) -> impl Iterator<Item = &Credential> {
        self.places.slots.iter().map(|slot| &*slot.credential)
    }

    /// Lends a key at once, past all who [wait](Self::enqueue).
    ///
    /// A session gets the key that served it last. Others get the key with the most room in its
    /// scarcest limit or, where nothing is known of limits, the one that was lent longest ago.
    /// Processes get the key with the fewest processes.
    ///
    /// # Errors
    ///
    /// [`NoneReady`] says when one will be.
    pub fn lease(&mut self, now: SystemTime, want: &Want) -> Result<Lease, NoneReady> {
        let moment = self.follow(now);
        let model = self.places.model_of(want.model.as_deref());
        match self.places.choose(want, model, moment, moment, &[]) {
            Choice::Key(key) => Ok(self.lend(key, want, model, moment)),
            _ => Err(self.none_ready(now, want)),
        }
    }

    /// Reports the head of an answer, or an event in it, while the lease is still in use: limits
    /// are learned at once, and a refusal stops others at once. Says what it means for keys.
    ///
    /// A report that is older than a state (ten requests were under way when the first of them was
    /// refused) adds what the server said, and nothing else: it never makes a key ready, never
    /// shortens its rest, and never counts as a further failure.
    pub fn report(
        &mut self,
        lease: &mut Lease,
        now: SystemTime,
        answer: &Answer<'_>,
    ) -> Option<Rejection> {
        let moment = self.follow(now);
        let rejection = self.hear(&lease.open, moment, now, answer);
        lease.open.is_told = true;
        rejection
    }

    /// Takes a lease back, learns from how its use ended, and says what that means for keys.
    pub fn settle(&mut self, lease: Lease, now: SystemTime, end: End<'_>) -> Option<Rejection> {
        let moment = self.follow(now);
        self.end(&lease.close(), moment, now, end)
    }

    /// When a key is ready for this: `now` if one is, `None` if all are out.
    pub fn next_ready(&self, now: SystemTime, want: &Want) -> Option<SystemTime> {
        match self.readiness(now, want) {
            Ok(()) => Some(now),
            Err(none) => none.until.or_else(|| none.is_busy.then_some(now)),
        }
    }

    /// Whether a key is ready for this.
    ///
    /// # Errors
    ///
    /// [`NoneReady`] says when one will be.
    pub fn readiness(&self, now: SystemTime, want: &Want) -> Result<(), NoneReady> {
        let moment = self.clock.at(now);
        let model = self.places.known_model(want.model.as_deref());
        match self.places.choose(want, model, moment, moment, &[]) {
            Choice::Key(_) => Ok(()),
            _ => Err(self.none_ready(now, want)),
        }
    }

    /// Makes the keys of this label ready again, such as after somebody has paid. What was under
    /// way before says nothing about them any more. Returns whether there is such a key.
    pub fn reset(&mut self, label: &str, now: SystemTime) -> bool {
        let moment = self.follow(now);
        self.queue.touch();
        self.places.reset(label, moment)
    }

    /// How all keys stand, for people and reports. It has no secret.
    pub fn snapshot(&self, now: SystemTime) -> Snapshot {
        let mut snapshot = self.places.snapshot(&self.clock, now);
        snapshot.waiting = self.queue.len();
        snapshot.next_ready = self.next_ready(now, &Want::process());
        snapshot
    }

    /// Follows the clock, and takes back what was dropped.
    fn follow(&mut self, now: SystemTime) -> Moment {
        let moment = self.clock.follow(now);
        for open in self.returned.take() {
            self.end(&open, moment, now, End::Unsent);
        }
        moment
    }

    fn lend(&mut self, key: usize, want: &Want, model: usize, now: Moment) -> Lease {
        let (model, taken, epochs) = self.places.take(key, want, model, now);
        let (kind, session, is_told) = (want.kind, want.session, false);
        let open = Open { key, model, kind, session, sent: now, taken, epochs, is_told };
        let name = self.places.model_name(model);
        Lease::new(&open, &self.places.slots[key].credential, name, &self.returned)
    }

    fn none_ready(&self, now: SystemTime, want: &Want) -> NoneReady {
        let moment = self.clock.at(now);
        let model = self.places.known_model(want.model.as_deref());
        let soonest = self.places.soonest(want, model, moment);
        let at = soonest.at.filter(|_| !soonest.is_busy);
        NoneReady {
            until: at.map(|at| self.clock.time(at, now)),
            reason: soonest.reason,
            is_busy: soonest.is_busy,
        }
    }
}

#[cfg(test)]
mod tests;
