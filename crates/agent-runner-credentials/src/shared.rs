//! A ring that many tasks share, and in which they wait for their turn.

use std::{
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{Mutex as Turn, Notify, oneshot},
    time::{sleep, timeout},
};

use crate::{
    Answer, ApiKey, Credential, End, KeyRing, Lease, NoneReady, Rejection, Snapshot, Ticket, Want,
};

/// The longest sleep without a look at the clock, which may have been set, or have slept with the
/// machine.
const GLANCE: Duration = Duration::from_secs(20);

/// Why a channel has an end that speaks.
const SERVED: &str = "who waits is served, or has left the line";

/// A [`KeyRing`] for many tasks at once. Clones share one ring.
///
/// # Examples
///
/// ```
/// use agent_runner_credentials::{ApiKey, Credential, End, KeyRing, SharedRing, Want};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = Credential::new("one", "anthropic", ApiKey::new("sk-one")?);
/// let ring = SharedRing::new(KeyRing::new([key]));
///
/// let lent = ring.lease(Want::call().provider("anthropic")).await?;
/// let secret = lent.credential().key.expose(); // make the request with it
/// # assert_eq!(secret, "sk-one");
/// lent.settle(End::Success(None)); // or let it drop, if nothing was sent
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SharedRing(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    /// How many times as fast as the machine's the clock goes.
    speed: u32,
    /// Whoever waits and has the turn keeps the time for all.
    turn: Turn<()>,
    /// Rung when the time to wake up may have changed.
    changed: Notify,
    /// Reads the source of a key again.
    renew: OnceLock<Box<Renew>>,
}

type Renew = dyn Fn(&Credential) -> Option<ApiKey> + Send + Sync;

struct State {
    ring: KeyRing,
    waiting: HashMap<Ticket, oneshot::Sender<Served>>,
}

type Served = Result<Lent, NoneReady>;

#[expect(clippy::missing_panics_doc, reason = "a channel is not dropped before it has spoken")]
impl SharedRing {
    /// Shares a ring, by the machine's clock.
    pub fn new(ring: KeyRing) -> Self {
        Self::with_clock(ring, SystemTime::now)
    }

    /// Shares a ring, by a clock of the caller's.
    pub fn with_clock(
        ring: KeyRing,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Self {
        Self::at_speed(ring, 1, clock)
    }

    /// Shares a ring by a clock that goes so many times as fast as the machine's: for trials with a
    /// provider that hurries as much.
    ///
    /// # Panics
    ///
    /// If the speed is 0.
    pub fn at_speed(
        ring: KeyRing,
        speed: u32,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Self {
        assert!(speed > 0, "a clock that stands still serves nobody");
        let state = Mutex::new(State { ring, waiting: HashMap::new() });
        let (clock, turn, changed) = (Box::new(clock), Turn::new(()), Notify::new());
        let renew = OnceLock::new();
        Self(Arc::new(Inner { state, clock, speed, turn, changed, renew }))
    }

    /// Sets who reads the source of a key again that is [renewable](KeyRing::with_renewable) and was
    /// refused. It is called on a thread of its own, once for a refusal, and may take its time:
    /// whoever needs the key waits for it, and others are lent other keys meanwhile.
    ///
    /// Only the first one counts.
    pub fn renew_by(&self, read: impl Fn(&Credential) -> Option<ApiKey> + Send + Sync + 'static) {
        self.0.renew.set(Box::new(read)).ok();
    }

    /// Waits in line for a key.
    ///
    /// The wait has no limit of its own: it may be a second for a rate, or until midnight for a
    /// quota. [`readiness`](KeyRing::readiness) says how long, and a timeout around it is fine.
    ///
    /// # Errors
    ///
    /// [`NoneReady`] if waiting does not help, and if no key may use the model.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the line; nothing is reserved or lost.
    pub async fn lease(&self, want: Want) -> Result<Lent, NoneReady> {
        if let Some(lent) = self.lease_at_once(&want) {
            return Ok(lent);
        }
        let (sender, mut served) = oneshot::channel();
        let _place = self.enqueue(want, sender);
        let turn = tokio::select! {
            biased;
            served = &mut served => return served.expect(SERVED),
            turn = self.0.turn.lock() => turn,
        };
        loop {
            let wake_at = self.lock().ring.wake_at(self.now());
            let left = wake_at.map(|at| at.duration_since(self.now()).unwrap_or_default());
            let left = left.map(|left| left / self.0.speed);
            tokio::select! {
                biased;
                served = &mut served => {
                    drop(turn);
                    return served.expect(SERVED);
                }
                () = self.0.changed.notified() => {}
                () = sleep(left.map_or(GLANCE, |left| left.min(GLANCE))) => self.serve(self.lock()),
            }
        }
    }

    /// Waits in line for a key, for so long at most; not at all if none will be ready by then.
    ///
    /// # Errors
    ///
    /// [`NoneReady`] says when one will be.
    ///
    /// # Cancel safety
    ///
    /// As with [`lease`](Self::lease).
    pub async fn lease_within(&self, want: Want, most: Duration) -> Result<Lent, NoneReady> {
        const BUSY: NoneReady = NoneReady { until: None, reason: None, is_busy: true };
        if let Some(lent) = self.lease_at_once(&want) {
            return Ok(lent);
        }
        let is_hopeless = |none: &NoneReady, now| match none.wait(now) {
            // It is being read again, which takes much less as a rule.
            Some(_) if none.reason == Some(Rejection::Unauthorized) => false,
            Some(time) => time > most,
            None => !none.is_busy,
        };
        let none = self.with(|ring, now| {
            ring.readiness(now, &want).err().filter(|none| is_hopeless(none, now))
        });
        if let Some(none) = none {
            return Err(none);
        }
        if let Ok(leased) = timeout(most, self.lease(want.clone())).await {
            return leased;
        }
        Err(self.with(|ring, now| ring.readiness(now, &want)).err().unwrap_or(BUSY))
    }

    /// Lends a key at once, past all who wait.
    ///
    /// # Errors
    ///
    /// [`NoneReady`] says when one will be.
    pub fn try_lease(&self, want: &Want) -> Result<Lent, NoneReady> {
        let lease = self.lock().ring.lease(self.now(), want)?;
        Ok(self.lent(lease))
    }

    /// Does something with the ring, such as a reset or a look. It blocks all others meanwhile.
    pub fn with<R>(&self, work: impl FnOnce(&mut KeyRing, SystemTime) -> R) -> R {
        let mut state = self.lock();
        let result = work(&mut state.ring, self.now());
        let refused: Vec<_> = std::iter::from_fn(|| state.ring.next_to_renew()).collect();
        self.serve(state);
        for credential in refused {
            self.renew(credential);
        }
        result
    }

    /// Reads the source of a key again, and tells the ring.
    fn renew(&self, old: Credential) {
        let ring = self.clone();
        let read = move || {
            let key = ring.0.renew.get().and_then(|read| read(&old));
            ring.with(|ring, now| ring.renew(&old.label, key, now));
        };
        // A key must not rest for what nobody reads.
        if self.0.renew.get().is_none() {
            return read();
        }
        let thread = thread::Builder::new().name("key-source".to_owned());
        drop(thread.spawn(read));
    }

    /// How all keys stand.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().ring.snapshot(self.now())
    }

    /// What the ring's clock shows.
    pub fn now(&self) -> SystemTime {
        (self.0.clock)()
    }

    fn lent(&self, lease: Lease) -> Lent {
        Lent { lease: Some(lease), ring: self.clone() }
    }

    /// Lends a key, if nobody waits and one is ready.
    fn lease_at_once(&self, want: &Want) -> Option<Lent> {
        let mut state = self.lock();
        let lease = state.waiting.is_empty().then(|| state.ring.lease(self.now(), want).ok())?;
        lease.map(|lease| self.lent(lease))
    }

    /// Takes a place in the line, at whose head it may be served at once.
    fn enqueue(&self, want: Want, sender: oneshot::Sender<Served>) -> Place<'_> {
        let mut state = self.lock();
        let ticket = state.ring.enqueue(self.now(), want);
        state.waiting.insert(ticket, sender);
        self.serve(state);
        Place { ring: self, ticket }
    }

    /// Serves all who can be served now.
    fn serve(&self, mut guard: MutexGuard<'_, State>) {
        let mut refused = Vec::new();
        let state = &mut *guard;
        while let Some((ticket, served)) = state.ring.serve(self.now()) {
            let served = served.map(|lease| self.lent(lease));
            if let Some(sender) = state.waiting.remove(&ticket)
                && let Err(back) = sender.send(served)
            {
                refused.push(back);
            }
        }
        drop(guard);
        self.0.changed.notify_one();
        // Given back only now, since that takes the lock.
        drop(refused);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SharedRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedRing").field(&self.lock().ring).finish()
    }
}

/// A place in the line, given up when it is dropped.
struct Place<'a> {
    ring: &'a SharedRing,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.ring.lock();
        if state.waiting.remove(&self.ticket).is_some() {
            state.ring.leave(self.ticket);
            self.ring.serve(state);
        }
    }
}

/// A [`Lease`] of a [`SharedRing`]. One that is dropped was not used, and goes back.
#[derive(Debug)]
#[must_use = "a lease has the key to use"]
pub struct Lent {
    lease: Option<Lease>,
    ring: SharedRing,
}

#[expect(clippy::missing_panics_doc, reason = "only its end takes the lease")]
impl Lent {
    /// Reports the head of an answer, or an event in it, while the lease is still in use. See
    /// [`KeyRing::report`].
    pub fn report(&mut self, answer: &Answer<'_>) -> Option<Rejection> {
        let lease = self.lease.as_mut().expect("only its end takes the lease");
        self.ring.with(|ring, now| ring.report(lease, now, answer))
    }

    /// Gives it back, and says what its end means for keys. See [`KeyRing::settle`].
    pub fn settle(mut self, end: End<'_>) -> Option<Rejection> {
        let lease = self.lease.take().expect("only its end takes the lease");
        self.ring.with(|ring, now| ring.settle(lease, now, end))
    }
}

impl Deref for Lent {
    type Target = Lease;

    fn deref(&self) -> &Lease {
        self.lease.as_ref().expect("only its end takes the lease")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            drop(lease);
            self.ring.serve(self.ring.lock());
        }
    }
}
