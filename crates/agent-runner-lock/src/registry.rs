//! The locks that this process holds through one [`LockDir`](crate::LockDir).
//!
//! The kernel would refuse a second one as well. The registry answers without asking it, and goes
//! on doing so when the folder was removed under the holders.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::guard::Held;

#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<HashMap<String, Arc<Held>>>);

impl Registry {
    /// The lock of this file, if this process holds it. What a forked child inherited is not its
    /// own.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Held>> {
        self.lock().get(name).filter(|held| held.is_ours()).map(Arc::clone)
    }

    /// Enters a lock, or says who is there.
    pub(crate) fn enter(&self, name: &str, held: &Arc<Held>) -> Result<(), Arc<Held>> {
        match self.lock().entry(name.to_owned()) {
            Entry::Occupied(other) if other.get().is_ours() => Err(Arc::clone(other.get())),
            Entry::Occupied(mut inherited) => {
                inherited.insert(Arc::clone(held));
                Ok(())
            }
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::clone(held));
                Ok(())
            }
        }
    }

    /// Strikes out a lock, if it is the one that is entered.
    pub(crate) fn leave(&self, name: &str, held: &Held) {
        let mut entries = self.lock();
        if entries.get(name).is_some_and(|entered| std::ptr::eq(&raw const **entered, held)) {
            entries.remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Held>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
