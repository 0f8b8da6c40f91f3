//! Lease directories: a holder that shows no sign of life for a while is deposed.
//!
//! 1. A holder rewrites its record every third of the lease, with another number of renewals in it.
//! 2. A contender remembers what it saw of a held lock, and since when by its own monotonic clock.
//!    When nothing of it changed for the length of a lease, the holder has lost it. No clock is
//!    compared with another one.
//! 3. To depose it, the contender locks the key's mutex exclusively, looks once more whether the
//!    path, the record and the kernel still say the same, and puts a new file with a copy of the
//!    record in the place of the old one. Then it acquires the lock like anybody.
//! 4. Who acquires a lock holds the mutex shared from before the look at the path until the
//!    record is written, and who cleans a file away until its name is gone.
//! 5. A holder that could not renew its lease counts it as lost a little before anybody may depose
//!    it, by its own monotonic clock.
//!
//! The mutex is never waited for. `tests/it/model` finds the protocol guilty without any of these.

mod renewal;
mod shard;

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub(crate) use self::{
    renewal::Renewal,
    shard::{Shard, is_ours},
};
use crate::{
    LeaseInfo,
    dir::Shared,
    guard::Held,
    record,
    sys::{self, FileId, Folder, Locked},
};

/// What a lease directory knows that a strict one need not.
#[derive(Debug)]
pub(crate) struct Leases {
    ttl: Duration,
    /// What was seen of the locks that we were refused, by file name.
    sights: Mutex<HashMap<String, (Sight, Instant)>>,
}

/// What a contender sees of a lock: which file it is, and every byte in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sight {
    id: FileId,
    record: blake3::Hash,
}

impl Sight {
    /// Looks at a file, and leaves its record in `block`.
    fn of<'a>(file: &File, block: &'a mut [u8; record::LEN]) -> io::Result<(Self, &'a [u8])> {
        let bytes = sys::read_block(file, block)?;
        Ok((Self { id: sys::found(file)?.id, record: blake3::hash(bytes) }, bytes))
    }
}

impl Shared {
    /// Keeps everybody from putting another file in the place of this one; `None` if somebody does
    /// just now. In a strict directory nobody ever does.
    pub(crate) fn keep_breakers_out(
        &self,
        folder: &Folder,
        name: &str,
    ) -> io::Result<Option<Shard>> {
        match self.leases {
            None => Ok(Some(Shard::not_needed())),
            Some(_) => Shard::shared(folder, name),
        }
    }

    /// Deposes the holder of a lock that we were refused, if that is an expired lease. Then the lock
    /// is free to be acquired, by whoever comes first.
    pub(crate) fn depose_expired(
        &self,
        folder: &Folder,
        name: &str,
        file: &File,
    ) -> io::Result<bool> {
        match &self.leases {
            None => Ok(false),
            Some(leases) => leases.depose_expired(folder, &self.path_of(name), name, file),
        }
    }

    /// Has a lock renewed that was just acquired.
    pub(crate) fn begin_lease(self: &Arc<Self>, held: &Arc<Held>) -> io::Result<()> {
        let Some(leases) = &self.leases else { return Ok(()) };
        leases.sights().remove(&held.name);
        let due = held.grip().lease.map(|lease| lease.due(Instant::now()));
        let watched = due.map_or(Ok(()), |due| held.watch(self, due));
        watched.inspect_err(|_| drop(self.let_go(held)))
    }
}

impl Leases {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { ttl, sights: Mutex::default() }
    }

    /// What a new holder's record says.
    pub(crate) fn info(&self) -> LeaseInfo {
        LeaseInfo { ttl: self.ttl, renewals: 0 }
    }

    fn depose_expired(
        &self,
        folder: &Folder,
        path: &Path,
        name: &str,
        file: &File,
    ) -> io::Result<bool> {
        let Some(judged) = self.expired(name, file)? else { return Ok(false) };
        // Refused: somebody acquires, cleans or breaks a lock of this shard at this moment.
        let Some(shard) = Shard::exclusive(folder, name)? else { return Ok(false) };
        let again = match folder.open_file_to_write(name) {
            Ok(again) => again,
            Err(error) if sys::absent_or_other(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut block = [0; record::LEN];
        let (sight, record) = Sight::of(&again, &mut block)?;
        if sight != judged || sys::id_at(path, false)? != Some(sight.id) {
            return Ok(false);
        }
        match Locked::try_new(again)? {
            // It was released meanwhile.
            Ok(locked) => drop(locked),
            // With the record of the one before: so tokens grow, and its note reaches the next.
            Err(_) => shard.replace(folder, name, record)?,
        }
        self.sights().remove(name);
        Ok(true)
    }

    /// What there is to see of a held lock, if nothing of it changed for the length of a lease.
    fn expired(&self, name: &str, file: &File) -> io::Result<Option<Sight>> {
        // What we see now was there at this moment or later.
        let now = Instant::now();
        let (sight, _) = Sight::of(file, &mut [0; record::LEN])?;
        let mut sights = self.sights();
        match sights.get(name) {
            Some((before, since)) if *before == sight => {
                Ok((now.duration_since(*since) >= self.ttl).then_some(sight))
            }
            _ => {
                // What we see was there at this moment or earlier.
                sights.insert(name.to_owned(), (sight, Instant::now()));
                Ok(None)
            }
        }
    }

    fn sights(&self) -> MutexGuard<'_, HashMap<String, (Sight, Instant)>> {
        self.sights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
