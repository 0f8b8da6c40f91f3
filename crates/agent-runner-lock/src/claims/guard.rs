//! The guard of resources that are held.

use std::{
    fmt,
    fs::File,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{folder::ClaimsFolder, record::ClaimRecord};
use crate::{
    LockInfo, LostError, NoteError, ReleaseError, Resource, TaskLock,
    dir::Shared,
    sys::{self, Locked},
};

/// Resources that this process holds until the guard is released or dropped.
///
/// When the process dies, however that happens, they are free at once.
///
/// A forked child that inherits the guard does not hold them: there the guard does nothing.
#[must_use = "the resources are released as soon as their guard is dropped"]
pub struct ResourceLock {
    shared: Arc<Shared>,
    claims: Arc<ClaimsFolder>,
    name: String,
    /// What the record said at first.
    claim: Arc<ClaimRecord>,
    grip: Mutex<Grip>,
}

#[derive(Debug)]
struct Grip {
    /// `None` once released.
    locked: Option<Locked>,
    note: Option<String>,
}

impl ResourceLock {
    pub(super) fn new(
        shared: Arc<Shared>,
        claims: Arc<ClaimsFolder>,
        name: String,
        claim: Arc<ClaimRecord>,
        locked: Locked,
    ) -> Self {
        let grip = Mutex::new(Grip { locked: Some(locked), note: None });
        Self { shared, claims, name, claim, grip }
    }

    /// What is held.
    pub fn resources(&self) -> &[Resource] {
        &self.claim.resources
    }

    /// A number that is higher than that of every earlier holder of any of them, and of all other
    /// resources in the folder.
    ///
    /// Send it along with what you write elsewhere: a store that remembers the highest one it saw
    /// can refuse a holder that does not know yet that it lost its claim.
    pub fn token(&self) -> u64 {
        self.claim.info.token
    }

    /// What the record says of this holder.
    pub fn info(&self) -> LockInfo {
        LockInfo { note: self.grip().note.clone(), ..self.claim.info.clone() }
    }

    /// Writes a word into the record, for people; it replaces the note before.
    ///
    /// # Errors
    ///
    /// A note of more than [`TaskLock::MAX_NOTE`] bytes is refused rather than cut.
    pub fn set_note(&self, note: &str) -> Result<(), NoteError> {
        if note.len() > TaskLock::MAX_NOTE {
            return Err(NoteError::TooLong { len: note.len() });
        }
        let mut grip = self.grip();
        let locked = self.locked(&grip)?;
        let mut claim = ClaimRecord::clone(&self.claim);
        claim.info.note = Some(note.to_owned());
        let block = claim.block().ok_or(NoteError::TooLong { len: note.len() })?;
        sys::write_block(locked.file(), block.as_bytes())
            .map_err(|source| NoteError::Io { key: self.key(), source })?;
        grip.note = claim.info.note;
        Ok(())
    }

    /// Checks that the claim still excludes others: that its path still names the file which is
    /// locked.
    ///
    /// It does, unless something that does not follow the protocol removed or replaced the file
    /// or its folder (`git clean -fdx`, `rm -rf`). No file lock can prevent that.
    ///
    /// # Errors
    ///
    /// Says what became of it. The guard can still be released.
    pub fn check(&self) -> Result<(), LostError> {
        let here = sys::id_at(&self.claims.path_of(&self.name), false);
        let named = self.with_file(|file| Ok(Some(sys::found(file)?.id) == here?))?;
        if named {
            return Ok(());
        }
        let path = self.shared.path().to_owned();
        Err(LostError::LockDirReplaced { key: self.key(), path })
    }

    /// Does something with the locked file.
    pub(crate) fn with_file<T>(
        &self,
        act: impl FnOnce(&File) -> io::Result<T>,
    ) -> Result<T, LostError> {
        let grip = self.grip();
        act(self.locked(&grip)?.file()).map_err(|source| LostError::Io { key: self.key(), source })
    }

    /// Releases the resources and says whether that worked.
    ///
    /// # Errors
    ///
    /// In each case they are not this guard's any more.
    pub fn release(self) -> Result<(), ReleaseError> {
        self.let_go()
    }

    fn key(&self) -> String {
        self.claim.info.key.clone()
    }

    fn grip(&self) -> MutexGuard<'_, Grip> {
        self.grip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process acquired it, rather than the one that it was forked from.
    fn is_ours(&self) -> bool {
        self.claim.info.pid == std::process::id()
    }

    fn locked<'a>(&self, grip: &'a Grip) -> Result<&'a Locked, LostError> {
        if !self.is_ours() {
            return Err(LostError::Forked { key: self.key(), pid: self.claim.info.pid });
        }
        grip.locked.as_ref().ok_or_else(|| LostError::Released { key: self.key() })
    }

    /// Unlocks, then removes the file. Whoever meets it in between takes it for a dead one's, which
    /// comes to the same.
    fn let_go(&self) -> Result<(), ReleaseError> {
        let Some(locked) = self.grip().locked.take() else { return Ok(()) };
        if !self.is_ours() {
            locked.abandon();
            return Err(ReleaseError::NotHeld { key: self.key() });
        }
        let unlocked = locked.unlock();
        let removed = self.claims.remove(&self.name);
        self.shared.claims.line.call();
        unlocked.map_err(|source| ReleaseError::Unlock { key: self.key(), source })?;
        removed.map_err(|source| ReleaseError::Record { key: self.key(), source })
    }
}

impl Drop for ResourceLock {
    fn drop(&mut self) {
        // Who wants to know calls `release`.
        self.let_go().ok();
    }
}

impl fmt::Debug for ResourceLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceLock")
            .field("resources", &self.claim.resources)
            .field("token", &self.token())
            .finish_non_exhaustive()
    }
}
