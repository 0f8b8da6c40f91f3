//! Claims: several resources at once, all or none.
//!
//! Each acquirer has one file in the folder `claims`, whose record lists what it claims and whose
//! lock it keeps. Conflicts are between patterns, not names, so that no file's lock can stand for a
//! resource; instead one mutex, a locked file too, puts {look at all claims, add one} in an order.
//!
//! 1. Lock the mutex. Check that its path still names the file that was locked.
//! 2. Look at all claims. One whose lock is free has lost its holder for good, and is removed: no
//!    claim is ever locked by anybody but who made its file, and no name is used twice.
//! 3. If none is in the way, make a file, lock it, write the record. Unlock the mutex.
//!
//! 4. Who waits for longer puts that on the board too (a wish), under the same mutex and by the same
//!    steps. It is in the way of those who come later, as long as its lock is held.
//!
//! A claim ends when its lock does: by release, or with its holder, or with the child that keeps it.
//! Who is killed on the way leaves at most a file that is not locked.

mod board;
mod folder;
mod guard;
mod line;
mod record;
mod status;
mod wait;
mod wish;

use std::{fs, io};

pub(crate) use self::{
    folder::{CLAIMS, ClaimsOfFolder},
    record::has_room_for,
};
pub use self::{guard::ResourceLock, status::ClaimStatus};
use crate::{
    Acquire, AcquireError, LockDir, Resource, ScanError, TaskLock,
    list::keepers,
    sys::{Folder, Keeper},
};

/// What became of a try to acquire resources. That some are held is an answer, not an error.
#[derive(Debug)]
#[must_use = "the resources are released as soon as their guard is dropped"]
pub enum AcquireAll {
    /// All of them are ours.
    Acquired(ResourceLock),
    /// None of them is ours: these claims are in the way.
    Held(Vec<ClaimStatus>),
}

impl AcquireAll {
    /// The guard, if all are ours.
    pub fn acquired(self) -> Option<ResourceLock> {
        match self {
            Self::Acquired(lock) => Some(lock),
            Self::Held(_) => None,
        }
    }
}

impl LockDir {
    /// Acquires all of these resources if nobody is in the way of any, and none of them otherwise.
    ///
    /// It does not wait for a holder. It waits while another process looks at the claims, which
    /// takes well under a millisecond. It does not overtake those who wait for the same, in whatever
    /// process: they are in the way too ([`ClaimStatus::waiting`]).
    ///
    /// Nobody takes a claim from its holder, in a lease directory either.
    ///
    /// # Errors
    ///
    /// When the resources can neither be had nor be said to be held; nothing is held then.
    ///
    /// # Examples
    ///
    /// ```
    /// use agent_runner_lock::{AcquireAll, LockDir, Resource};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let dir = LockDir::open(folder.path().join("locks"))?;
    /// let needed = [Resource::paths("src/auth/**")?, Resource::name("db")?.shared()];
    /// match dir.try_acquire_all(&needed)? {
    ///     AcquireAll::Acquired(lock) => println!("working, token {}", lock.token()),
    ///     AcquireAll::Held(claims) => println!("another task first: {}", claims[0]),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_acquire_all(&self, resources: &[Resource]) -> Result<AcquireAll, AcquireError> {
        self.shared.board_in_time()?.acquire(self, resources, None)
    }

    /// Acquires the first lock of these keys that is free; `None` if all are held.
    ///
    /// # Errors
    ///
    /// As [`LockDir::try_acquire`], for the first key for which there is one.
    pub fn try_acquire_any<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Option<TaskLock>, AcquireError> {
        for key in keys {
            if let Acquire::Acquired(lock) = self.try_acquire(key.as_ref())? {
                return Ok(Some(lock));
            }
        }
        Ok(None)
    }

    /// All claims that are held, oldest first.
    ///
    /// # Errors
    ///
    /// When the folder or a claim cannot be read.
    pub fn claims(&self) -> Result<Vec<ClaimStatus>, ScanError> {
        let mut claims = self.all_claims()?;
        claims.retain(|claim| !claim.waiting);
        Ok(claims)
    }

    /// All claims that are held, oldest first, and then all that somebody waits for.
    ///
    /// # Errors
    ///
    /// When the folder or a claim cannot be read.
    pub fn all_claims(&self) -> Result<Vec<ClaimStatus>, ScanError> {
        self.shared.folder_to_scan()?;
        let path = self.shared.path_of(CLAIMS);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            _ => self
                .shared
                .board_in_time()
                .and_then(|mut board| board.all())
                .map_err(|error| ScanError::Io { path, source: io::Error::other(error) }),
        }
    }

    /// The processes that keep a claim, or wait for it, as [`LockDir::keepers`] has them for a lock.
    /// None if the claim is over, or its holder is unknown.
    ///
    /// # Errors
    ///
    /// As [`LockDir::keepers`].
    pub fn claim_keepers(&self, claim: &ClaimStatus) -> Result<Vec<u32>, ScanError> {
        Ok(self.keepers_of_claim(claim)?.iter().map(|keeper| keeper.pid).collect())
    }

    pub(crate) fn keepers_of_claim(&self, claim: &ClaimStatus) -> Result<Vec<Keeper>, ScanError> {
        let Some(info) = &claim.info else { return Ok(Vec::new()) };
        let name = board::name_of(info.token, claim.waiting);
        let path = self.shared.path_of(CLAIMS);
        let folder = match Folder::open(&path) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(ScanError::Io { path, source }),
        };
        keepers(&folder, &name).map_err(|source| ScanError::Io { path: path.join(name), source })
    }
}
