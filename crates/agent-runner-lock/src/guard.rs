//! The guard of a lock that is held.

use std::{
    fmt,
    fs::File,
    io, mem,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use crate::{
    LockInfo, LockState, LockStatus, LostError, NoteError, ReleaseError,
    dir::Shared,
    lease::Renewal,
    loss::Loss,
    record::{Block, State},
    spare::Draft,
    sys::{self, FileId, Locked},
    watch,
};

/// A lock that this process holds until the guard is released or dropped.
///
/// When the process dies, however that happens, the kernel releases the lock at once.
///
/// A forked child that inherits the guard does not hold the lock: there the guard does nothing.
#[must_use = "the lock is released as soon as its guard is dropped"]
pub struct TaskLock {
    pub(crate) shared: Arc<Shared>,
    pub(crate) held: Arc<Held>,
}

impl TaskLock {
    /// The longest note in bytes.
    pub const MAX_NOTE: usize = 150;

    pub(crate) fn new(shared: Arc<Shared>, held: Arc<Held>) -> Self {
        Self { shared, held }
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.held.key
    }

    /// A number that is higher than that of every earlier holder of the key.
    ///
    /// Send it along with what you write elsewhere: a store that remembers the highest one it saw
    /// can refuse a holder that does not know yet that it lost the lock.
    pub fn token(&self) -> u64 {
        self.held.token
    }

    /// What the record says of this holder.
    pub fn info(&self) -> LockInfo {
        self.held.info()
    }

    /// The record of the holder before, if it died without releasing the lock.
    ///
    /// So a rescuer learns who died, and reads the note that the dead holder left.
    pub fn previous(&self) -> Option<&LockInfo> {
        self.held.previous.as_ref()
    }

    /// Writes a word into the record, for people and for who takes over if this process dies: a
    /// process group to kill, a branch, what is going on. It replaces the note before.
    ///
    /// # Errors
    ///
    /// A note of more than [`TaskLock::MAX_NOTE`] bytes is refused rather than cut, because a cut
    /// one can mean something else.
    pub fn set_note(&self, note: &str) -> Result<(), NoteError> {
        if note.len() > Self::MAX_NOTE {
            return Err(NoteError::TooLong { len: note.len() });
        }
        let mut grip = self.held.grip();
        let locked = self.held.locked(&grip)?;
        let info = LockInfo { note: Some(note.to_owned()), ..LockInfo::clone(&grip.info) };
        let block = Block::held(&info);
        sys::write_block(locked.file(), block.as_bytes())
            .map_err(|source| NoteError::Io { key: self.key().to_owned(), source })?;
        (grip.info, grip.block) = (Arc::new(info), block);
        Ok(())
    }

    /// Does something that gives children the locked file.
    pub(crate) fn share<T>(
        &self,
        act: impl FnOnce(&File) -> io::Result<T>,
    ) -> Result<T, LostError> {
        let grip = self.held.grip();
        let file = self.held.locked(&grip)?.file();
        // Under the same mutex as a release looks at it.
        self.held.handed_on.store(true, Ordering::Relaxed);
        act(file).map_err(|source| LostError::Io { key: self.key().to_owned(), source })
    }

    /// When it is overdue; `None` for never.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.held.since.checked_add(self.held.grip().info.timeout?)
    }

    /// The path of the lock's file.
    pub fn path(&self) -> PathBuf {
        self.shared.path_of(&self.held.name)
    }

    /// Gives the lock back to a holder that died: the record says again what it said before, note and
    /// all, so that whoever acquires the lock next is told of the same
    /// [`previous`](TaskLock::previous) one. Only the token stays the higher one.
    ///
    /// For who finds that it is too early to take the dead holder's place. Without a holder that died
    /// it is a release. Returns what others see of the lock from now on.
    ///
    /// # Errors
    ///
    /// As [`TaskLock::release`].
    pub fn give_back(self) -> Result<LockStatus, ReleaseError> {
        let (mut state, mut info) = (LockState::Free, self.info());
        if let Some(previous) = self.previous() {
            (state, info) = (LockState::Died, LockInfo { token: self.token(), ..previous.clone() });
            let mut grip = self.held.grip();
            grip.block = Block::held(&info);
            grip.left = State::Held;
        }
        let status = LockStatus::new(self.key(), state, Some(info));
        self.release().map(|()| status)
    }

    /// Releases the lock and says whether that worked.
    ///
    /// # Errors
    ///
    /// In each case the lock is not this guard's any more.
    pub fn release(self) -> Result<(), ReleaseError> {
        self.shared.let_go(&self.held)
    }
}

impl Drop for TaskLock {
    fn drop(&mut self) {
        // Who wants to know calls `release`.
        self.shared.let_go(&self.held).ok();
    }
}

impl fmt::Debug for TaskLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLock")
            .field("key", &self.held.key)
            .field("token", &self.held.token)
            .finish_non_exhaustive()
    }
}

/// A lock that this process holds, known to its guard and to the registry.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) key: String,
    pub(crate) name: String,
    id: FileId,
    token: u64,
    since: Instant,
    /// The process that acquired it. A forked child has another number.
    pid: u32,
    previous: Option<LockInfo>,
    pub(crate) loss: Loss,
    watched: AtomicBool,
    /// Whether children may have the open file.
    handed_on: AtomicBool,
    grip: Mutex<Grip>,
}

#[derive(Debug)]
pub(crate) struct Grip {
    /// `None` once released.
    locked: Option<Locked>,
    info: Arc<LockInfo>,
    /// Empty once released.
    block: Block,
    /// What the record says of the lock when it is released.
    left: State,
    /// `None` in a strict directory.
    pub(crate) lease: Option<Renewal>,
}

impl Held {
    /// A lock whose record is about to be written.
    pub(crate) fn new(
        name: String,
        locked: Locked,
        id: FileId,
        info: Arc<LockInfo>,
        block: Block,
        previous: Option<LockInfo>,
    ) -> Self {
        let lease = info.lease.map(|lease| Renewal::new(lease.ttl, Instant::now()));
        Self {
            key: info.key.clone(),
            name,
            id,
            token: info.token,
            since: Instant::now(),
            pid: info.pid,
            previous,
            loss: Loss::default(),
            watched: AtomicBool::new(false),
            handed_on: AtomicBool::new(false),
            grip: Mutex::new(Grip { locked: Some(locked), info, block, left: State::Free, lease }),
        }
    }

    pub(crate) fn write_record(&self) -> io::Result<()> {
        self.grip().write()
    }

    /// Writes a sign of life: the record, with one more renewal in it. Does nothing in a strict
    /// directory.
    pub(crate) fn write_renewal(&self) -> io::Result<()> {
        let mut grip = self.grip();
        // Once it is over, only a loss is to be found, and nobody is to be misled.
        let over = grip.lease.is_none_or(|lease| lease.is_over(Instant::now()));
        if let Some(lease) = &mut Arc::make_mut(&mut grip.info).lease
            && !over
        {
            lease.renewals += 1;
            grip.block = Block::held(&grip.info);
            grip.write()?;
        }
        Ok(())
    }

    /// Looks after it from a time on, if that is not done already.
    pub(crate) fn watch(self: &Arc<Self>, shared: &Arc<Shared>, due: Instant) -> io::Result<()> {
        if self.watched.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        watch::look_after(shared, self, due)
    }

    pub(crate) fn info(&self) -> LockInfo {
        LockInfo::clone(&self.grip().info)
    }

    pub(crate) fn token(&self) -> u64 {
        self.token
    }

    /// Whether this process acquired it, rather than the one that it was forked from.
    pub(crate) fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }

    pub(crate) fn grip(&self) -> MutexGuard<'_, Grip> {
        self.grip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn locked<'a>(&self, grip: &'a Grip) -> Result<&'a Locked, LostError> {
        if !self.is_ours() {
            return Err(LostError::Forked { key: self.key.clone(), pid: self.pid });
        }
        grip.locked.as_ref().ok_or_else(|| LostError::Released { key: self.key.clone() })
    }
}

impl Grip {
    fn write(&self) -> io::Result<()> {
        let Some(locked) = &self.locked else { return Ok(()) };
        sys::write_block(locked.file(), self.block.as_bytes())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Only in a fork that ends with a lock which its parent still holds, or when a guard was
        // never made: who unlocks is who acquired.
        let grip = self.grip.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(locked) = grip.locked.take()
            && self.pid != std::process::id()
        {
            locked.abandon();
        }
    }
}

impl Shared {
    /// Releases a lock; does nothing if that was done before.
    pub(crate) fn let_go(&self, held: &Held) -> Result<(), ReleaseError> {
        let mut grip = held.grip();
        let Some(locked) = grip.locked.take() else {
            return Ok(());
        };
        let key = || held.key.clone();
        if !held.is_ours() {
            locked.abandon();
            return Err(ReleaseError::NotHeld { key: key() });
        }
        if held.watched.load(Ordering::Relaxed) {
            watch::forget(held);
        }
        let left = grip.left;
        grip.block.set_state(left);
        let written = sys::write_block(locked.file(), grip.block.as_bytes());
        // Before the kernel lets others in: a later holder's entry must find the place empty.
        self.registry.leave(&held.name, held);
        let unlocked = locked.unlock().map(|file| {
            // With an open file that a child has, it would have our next lock as well.
            if let Some(file) = file
                && !held.handed_on.load(Ordering::Relaxed)
                && left == State::Free
            {
                let (info, block) = (Arc::clone(&grip.info), mem::take(&mut grip.block));
                self.spares.put(&held.name, file, Draft { id: held.id, info, block });
            }
        });
        drop(grip);
        self.lines.call_first(&held.name);
        unlocked.map_err(|source| ReleaseError::Unlock { key: key(), source })?;
        written.map_err(|source| ReleaseError::Record { key: key(), source })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Acquire, LockDir};

    /// What a forked child has: the parent's guard, registry and open file.
    #[test]
    fn a_forked_childs_guard_does_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let dir = LockDir::open(folder.path().join("locks")).unwrap();
        let lock = dir.try_acquire("42").unwrap().acquired().unwrap();
        let grip = lock.held.grip();
        let shared_file = grip.locked.as_ref().unwrap().file().try_clone().unwrap();
        let mut info = LockInfo::clone(&grip.info);
        info.pid += 1;
        let locked = Locked::try_new(shared_file).unwrap().expect("the same open file");
        drop(grip);
        let block = Block::held(&info);
        let (name, id) = (lock.held.name.clone(), lock.held.id);
        let inherited = Held::new(name, locked, id, Arc::new(info), block, None);
        let inherited = TaskLock::new(Arc::clone(&dir.shared), Arc::new(inherited));

        assert!(matches!(inherited.check(), Err(LostError::Forked { .. })));
        assert!(matches!(inherited.set_note("mine"), Err(NoteError::Lost(_))));
        drop(inherited);
        lock.check().unwrap();
        let other = LockDir::open(dir.path()).unwrap();
        assert!(matches!(other.try_acquire("42").unwrap(), Acquire::Held(_)), "it was unlocked");
        assert_eq!(dir.status("42").unwrap().info, Some(lock.info()), "it was marked as free");
    }
}
