//! The protocol by which a lock is acquired.
//!
//! 1. Open the file, lock it in the kernel.
//! 2. Check that the path still names the file that was locked. If not, begin again: who locked a
//!    file without a name excludes nobody.
//! 3. Read the token of the holder before, write the own record over its record.
//!
//! Why two guards of one key cannot live at once: on the same file the kernel forbids it. On two
//! files, one of them found its file at the path later than the other; between the two checks the
//! name was taken from the first file, and only its holder, who still lives, may do that.

use std::{
    fs::File,
    io,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    AcquireError, LockDir, LockInfo, LockState, LockStatus, TaskLock,
    dir::Shared,
    floor::floor,
    guard::Held,
    lease::{Leases, Shard},
    name::file_name,
    record::{self, Block, Peek, State},
    spare::Draft,
    sys::{self, FileId, Folder, Locked, Process},
    time::micros,
};

/// How often the file may turn out to have lost its name before we give up.
const MAX_MOVES: u32 = 100;

/// How often to ask again when the kernel refuses but no holder is to be seen.
const MAX_GLANCES: u32 = 3;

/// What became of a try to acquire a lock. That it is held is an answer, not an error.
#[derive(Debug)]
#[must_use = "the lock is released as soon as its guard is dropped"]
pub enum Acquire {
    /// The lock is ours.
    Acquired(TaskLock),
    /// Somebody holds it; maybe this very process, see
    /// [`LockStatus::by_this_process`].
    Held(Box<LockStatus>),
}

impl Acquire {
    /// The lock, if it is ours.
    pub fn acquired(self) -> Option<TaskLock> {
        match self {
            Self::Acquired(lock) => Some(lock),
            Self::Held(_) => None,
        }
    }
}

impl LockDir {
    /// Acquires a lock if nobody holds it. Never waits.
    ///
    /// The key may be any text of 1 to 255 bytes without control characters.
    ///
    /// # Errors
    ///
    /// When the lock can neither be had nor be said to be held; nothing is held then.
    ///
    /// # Examples
    ///
    /// ```
    /// use agent_runner_lock::{Acquire, LockDir};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let dir = LockDir::open(folder.path().join("locks"))?;
    /// match dir.try_acquire("42")? {
    ///     Acquire::Acquired(lock) => println!("working, token {}", lock.token()),
    ///     Acquire::Held(status) => println!("skipping: {status}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_acquire(&self, key: &str) -> Result<Acquire, AcquireError> {
        let name = file_name(key)?;
        if let Some(held) = self.shared.registry.get(&name) {
            return Ok(held_by_us(&held));
        }
        self.attempt(key, &name, Ask::Once)
    }

    /// One pass of the protocol, begun again as often as the file loses its name.
    pub(crate) fn attempt(&self, key: &str, name: &str, ask: Ask) -> Result<Acquire, AcquireError> {
        let shared = &self.shared;
        let path = shared.path_of(name);
        let failed = |source| failed(&path, source);
        let mut folder = shared.folder();
        let mut glances = 0;

        for _ in 0..MAX_MOVES {
            let spare = if ask == Ask::Once { shared.spares.take(name) } else { None };
            let is_spare = spare.is_some();
            let (file, draft) = spare.unzip();
            let file = match file.map_or_else(|| folder.open_or_create(name), Ok) {
                Ok(file) => file,
                Err(error) if sys::absent_or_other(&error) => {
                    folder = shared.folder_again().map_err(AcquireError::Folder)?;
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            let locked = match ask.lock(file).map_err(failed)? {
                Ok(locked) => locked,
                Err(_) if is_spare => continue,
                Err(file) => {
                    if shared.depose_expired(&folder, name, &file).map_err(failed)? {
                        continue;
                    }
                    let (state, info) = read_holder(&file).map_err(failed)?;
                    if glance_again(&mut glances, state, info.as_ref()) {
                        continue;
                    }
                    return Ok(Acquire::Held(Box::new(LockStatus::new(key, state, info))));
                }
            };
            let known = draft.as_ref().map(|draft| draft.id);
            let confirmed = shared.confirm(&folder, name, &path, &locked, known);
            let (id, _no_breaker) = match confirmed.map_err(failed)? {
                Confirmed::Ours(id, no_breaker) => (id, no_breaker),
                Confirmed::Moved => {
                    drop(locked);
                    folder = shared.folder_again().map_err(AcquireError::Folder)?;
                    continue;
                }
                Confirmed::Contested => {
                    drop(locked);
                    if glance_again(&mut glances, LockState::Held, None) {
                        continue;
                    }
                    let status = LockStatus::new(key, LockState::Held, None);
                    return Ok(Acquire::Held(Box::new(status)));
                }
                Confirmed::Odd(what) => return Err(AcquireError::NotALock { path, what }),
            };
            return self.take(key, name, &folder, locked, id, draft).map_err(failed).map(|taken| {
                match taken {
                    Ok(held) => Acquire::Acquired(TaskLock::new(Arc::clone(shared), held)),
                    Err(other) => held_by_us(&other),
                }
            });
        }
        Err(AcquireError::Unstable { path })
    }
}

/// What there is to a file that we locked.
enum Confirmed {
    /// The path names it. Nobody puts another file there before the record is written.
    Ours(FileId, Shard),
    /// The path names another file, or none.
    Moved,
    /// In a lease directory: somebody breaks a lock at this moment.
    Contested,
    /// It is not to be written to.
    Odd(&'static str),
}

impl Shared {
    fn confirm(
        &self,
        folder: &Folder,
        name: &str,
        path: &Path,
        locked: &Locked,
        known: Option<FileId>,
    ) -> io::Result<Confirmed> {
        let no_breaker = match self.keep_breakers_out(folder, name) {
            Ok(Some(no_breaker)) => no_breaker,
            Ok(None) => return Ok(Confirmed::Contested),
            Err(error) if sys::absent_or_other(&error) => return Ok(Confirmed::Moved),
            Err(error) => return Err(error),
        };
        // An open file is the same one for ever.
        let id = known.map_or_else(|| Ok(sys::found(locked.file())?.id), Ok::<_, io::Error>)?;
        Ok(match sys::found_at(path, false)? {
            Some(found) if found.id == id => match oddity(&found) {
                None => Confirmed::Ours(id, no_breaker),
                Some(what) => Confirmed::Odd(what),
            },
            _ => Confirmed::Moved,
        })
    }
}

/// Whether to ask the kernel again, after it refused a lock but no living holder is to be seen: the
/// holder comes, or goes, or somebody only looks.
///
/// Lets others run meanwhile: all that is done in a microsecond or two, by who did not lose the
/// processor.
pub(crate) fn glance_again(glances: &mut u32, state: LockState, info: Option<&LockInfo>) -> bool {
    let seen = state == LockState::Held && info.is_some();
    if seen || *glances == MAX_GLANCES {
        return false;
    }
    *glances += 1;
    if *glances < MAX_GLANCES {
        thread::yield_now();
    } else {
        thread::sleep(Duration::from_micros(50));
    }
    true
}

/// How to ask the kernel for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Take no for an answer.
    Once,
    /// Wait in the kernel's queue.
    Queue,
}

impl Ask {
    fn lock(self, file: File) -> io::Result<Result<Locked, File>> {
        match self {
            Self::Once => Locked::try_new(file),
            Self::Queue => Locked::wait(file).map(Ok),
        }
    }
}

impl LockDir {
    /// Writes who holds the lock now, and enters it in the registry. `Err` is the lock of another
    /// thread that holds the key in a folder which was since removed.
    fn take(
        &self,
        key: &str,
        name: &str,
        folder: &Folder,
        locked: Locked,
        id: FileId,
        draft: Option<Draft>,
    ) -> io::Result<Result<Arc<Held>, Arc<Held>>> {
        let mut block = [0; record::LEN];
        let before = sys::read_block(locked.file(), &mut block)?;
        let peek = match &draft {
            // Nobody had it since.
            Some(Draft { info, block, .. }) if block.as_bytes() == before => {
                Some(Peek { state: State::Free, token: info.token })
            }
            _ => record::peek(before),
        };
        let died = peek.is_some_and(|peek| peek.state == State::Held);
        let previous = died.then(|| record::parse(before)).flatten().map(|record| record.info);

        let before = peek.map_or_else(|| floor(folder), |peek| Ok(peek.token))?;
        let (info, block) = self.word(key, before, draft);
        let held = Arc::new(Held::new(name.to_owned(), locked, id, info, block, previous));
        held.write_record()?;
        match self.shared.registry.enter(name, &held) {
            Ok(()) => self.shared.begin_lease(&held).map(|()| Ok(held)),
            Err(other) => {
                // Marks the record as free too, lest we pass for dead.
                self.shared.let_go(&held).ok();
                Ok(Err(other))
            }
        }
    }

    /// Words the record of a new holder; from the last one that we wrote, if that differs in nothing
    /// but token and time.
    fn word(&self, key: &str, token_before: u64, draft: Option<Draft>) -> (Arc<LockInfo>, Block) {
        let (token, acquired_at) = self.stamp(token_before);
        if let Some(Draft { mut info, mut block, .. }) = draft
            && self.would_write(&info)
            && let Some(stamped) = Arc::get_mut(&mut info)
            && block.restamp(token, acquired_at)
        {
            (stamped.token, stamped.acquired_at) = (token, acquired_at);
            return (info, block);
        }
        let info = self.info_at(key, token, acquired_at);
        let block = Block::held(&info);
        (Arc::new(info), block)
    }

    /// Whether a record of this process says what a new one would, but for token and time.
    fn would_write(&self, info: &LockInfo) -> bool {
        info.lease.is_none()
            && self.shared.leases.is_none()
            && info.note.is_none()
            && info.timeout == self.timeout
            && *info.holder_id == *self.holder_id
    }

    pub(crate) fn info(&self, key: &str, token_before: u64) -> LockInfo {
        let (token, acquired_at) = self.stamp(token_before);
        self.info_at(key, token, acquired_at)
    }

    /// The token and the time of a new holder.
    fn stamp(&self, token_before: u64) -> (u64, SystemTime) {
        let now = micros(self.shared.wall_clock());
        // The one before makes tokens grow even when the clock was set back; the clock, even when
        // the folder was deleted.
        (now.max(token_before + 1), UNIX_EPOCH + Duration::from_micros(now))
    }

    fn info_at(&self, key: &str, token: u64, acquired_at: SystemTime) -> LockInfo {
        let process = Process::now();
        LockInfo {
            token,
            acquired_at,
            key: key.to_owned(),
            holder_id: (*self.holder_id).to_owned(),
            pid: process.pid,
            timeout: self.timeout,
            host: process.host.clone(),
            boot_id: process.boot_id.clone(),
            start_time: process.start_time,
            pid_ns: process.pid_ns,
            uid: process.uid,
            note: None,
            lease: self.shared.leases.as_ref().map(Leases::info),
        }
    }
}

fn held_by_us(held: &Held) -> Acquire {
    let info = held.info();
    let key = info.key.clone();
    Acquire::Held(Box::new(LockStatus::new(&key, LockState::Held, Some(info))))
}

/// Who holds a file of which the kernel says that it is locked.
///
/// It can be nobody that we know: a record can be torn by a write under our eyes, not written yet,
/// or marked as free already.
pub(crate) fn read_holder(file: &File) -> io::Result<(LockState, Option<LockInfo>)> {
    let mut block = [0; record::LEN];
    let record = record::parse(sys::read_block(file, &mut block)?);
    let info = record.filter(|record| record.state == State::Held).map(|record| record.info);
    let dead = info.as_ref().is_some_and(|info| Process::now().knows_dead(info));
    Ok((if dead { LockState::Orphaned } else { LockState::Held }, info))
}

/// What is wrong with a file of the right name, if it cannot be a lock.
pub(crate) fn oddity(found: &sys::Found) -> Option<&'static str> {
    if !found.is_file {
        Some("not a regular file")
    } else if found.has_other_names {
        // Writing the record would change the file under its other name.
        Some("a file with another name (a hard link)")
    } else {
        None
    }
}

pub(crate) fn failed(path: &Path, source: io::Error) -> AcquireError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            AcquireError::DiskFull { path }
        }
        _ => match sys::not_a_lock(&source) {
            Some(what) => AcquireError::NotALock { path, what },
            None => AcquireError::Io { path, source },
        },
    }
}
