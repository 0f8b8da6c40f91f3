//! A lease: a key, lent for one request or one run of an agent.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::{clock::Moment, group::Taken};
use crate::{Credential, Kind, Rejection, Session};

/// A key's place in its ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub(super) usize);

impl KeyId {
    /// Its place in the order in which the keys were given, from 0.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// A key, lent for one request or one run of an agent.
///
/// It goes back with [`settle`](super::KeyRing::settle). One that is dropped was not used: its ring
/// takes it back, and what was reserved for it, as soon as it is asked for anything.
#[must_use = "a lease has the key to use"]
pub struct Lease {
    pub(super) open: Open,
    credential: Arc<Credential>,
    model: Option<Arc<str>>,
    returned: Option<Returned>,
}

/// What the ring has to know of a lease that is out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) key: usize,
    pub(super) model: usize,
    pub(super) kind: Kind,
    pub(super) session: Option<Session>,
    pub(super) sent: Moment,
    pub(super) taken: Taken,
    pub(super) epochs: Epochs,
    /// Whether an answer was reported already.
    pub(super) is_told: bool,
}

/// The states that a lease was lent in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epochs {
    pub(super) key: u64,
    pub(super) denied: u64,
    pub(super) account: u64,
    pub(super) group: u64,
    pub(super) gate: u64,
}

/// Where leases go that are dropped.
#[derive(Debug, Clone, Default)]
pub(super) struct Returned(Arc<Mutex<Vec<Open>>>);

impl Returned {
    pub(super) fn take(&self) -> Vec<Open> {
        mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    pub(super) fn new(
        open: &Open,
        credential: &Arc<Credential>,
        model: Option<&Arc<str>>,
        returned: &Returned,
    ) -> Self {
        let (credential, model) = (Arc::clone(credential), model.cloned());
        Self { open: *open, credential, model, returned: Some(returned.clone()) }
    }

    /// The key and what belongs to it.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The model to use it with: the key's own, or else the one that was wanted.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Which key it is.
    pub const fn key_id(&self) -> KeyId {
        KeyId(self.open.key)
    }

    /// Ends it without giving it back.
    pub(super) fn close(mut self) -> Open {
        self.returned = None;
        self.open
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(returned) = self.returned.take() {
            returned.lock().push(self.open);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("label", &self.credential.label)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// No key can be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoneReady {
    /// When the first one is ready; `None` if nothing but a person can help, or if it depends on
    /// calls that are under way.
    pub until: Option<SystemTime>,
    /// Why the one that is ready first is not, if it was refused.
    /// [`Forbidden`](Rejection::Forbidden) means that no key may use this model.
    pub reason: Option<Rejection>,
    /// Whether it is only a matter of calls that are under way.
    pub is_busy: bool,
}

impl NoneReady {
    /// How long to wait; `None` if waiting does not help.
    pub fn wait(&self, now: SystemTime) -> Option<Duration> {
        self.until.map(|until| until.duration_since(now).unwrap_or_default())
    }
}

impl fmt::Display for NoneReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.until, self.is_busy) {
            (Some(until), _) => write!(f, "no key is ready before {}", crate::time::rfc3339(until)),
            (None, true) => f.write_str("all keys are busy"),
            (None, false) => f.write_str("no key is left that could be used"),
        }
    }
}

impl std::error::Error for NoneReady {}
