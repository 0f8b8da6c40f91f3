//! What can go wrong with locks. That a lock is held is not among it.

use std::{io, path::PathBuf, time::Duration};

use crate::{ClaimStatus, LockInfo, LockMode, LockStatus, time::Span};

/// Why a string cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key is empty.
    #[error("a lock's key cannot be empty")]
    Empty,
    /// The key is too long.
    #[error("a lock's key has at most {max} bytes, this one has {len}", max = crate::name::MAX_KEY)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The key has a control character.
    #[error("lock key {key:?} has a control character")]
    ControlCharacter {
        /// The key.
        key: String,
    },
}

/// Why a folder cannot be used for locks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder belongs to somebody else, who could take the locks away.
    #[error(
        "lock folder '{path}' belongs to user {owner}, not to user {user} who runs this program; \
         use a folder of your own"
    )]
    ForeignOwner {
        /// The folder.
        path: PathBuf,
        /// The user it belongs to.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
    /// Other users may write to the folder, and so take the locks away.
    #[error(
        "other users can write to lock folder '{path}' (mode {mode:03o}); \
         run `chmod go-w` on it, or use a folder of your own"
    )]
    WritableByOthers {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The folder is on a file system whose locks may not hold, or may hang.
    #[error(
        "lock folder '{path}' is on {kind}, where file locks may fail to exclude others or hang; \
         use a folder on a local disk"
    )]
    NetworkFileSystem {
        /// The folder.
        path: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// The folder was made for locks that are taken from their holders by other rules.
    #[error(
        "lock folder '{path}' is for {found} locks, not for {asked} ones as asked; \
         open it as what it is, or use a folder of your own"
    )]
    Mode {
        /// The folder.
        path: PathBuf,
        /// What it is for.
        found: LockMode,
        /// What was asked for.
        asked: LockMode,
    },
    /// Leases do not work with this length, or on this system.
    #[error("no leases of {} in lock folder '{path}': {why}", Span(*ttl))]
    Lease {
        /// The folder.
        path: PathBuf,
        /// How long a lease was to last.
        ttl: Duration,
        /// Why not.
        why: &'static str,
    },
    /// The folder is used in a way that this version does not know.
    #[error("lock folder '{path}' has format {found:?}, this program knows {known:?}")]
    Format {
        /// The folder.
        path: PathBuf,
        /// What its `.lockdir` says.
        found: String,
        /// What it would have to say.
        known: &'static str,
    },
    /// The holder's name cannot be written to a record.
    #[error(
        "holder id {holder_id:?} must have 1 to {max} bytes and no control character",
        max = crate::dir::MAX_HOLDER
    )]
    HolderId {
        /// The name.
        holder_id: String,
    },
    /// The system refused.
    #[error("could not use lock folder '{path}'")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Why a lock could not be had, other than that somebody holds it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// The key is impossible.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The time that the caller gave was over, and somebody still held the lock.
    #[error("{status}; gave up after {}", Span(*waited))]
    TimedOut {
        /// Who held it.
        status: Box<LockStatus>,
        /// How long we waited.
        waited: Duration,
    },
    /// The time that the caller gave was over, and others still had what was wanted.
    #[error("{}; gave up after {}", in_the_way(held), Span(*waited))]
    ResourcesTimedOut {
        /// The claims that were in the way.
        held: Vec<ClaimStatus>,
        /// How long we waited.
        waited: Duration,
    },
    /// The resources do not fit the record of one claim.
    #[error(
        "the record of a claim has no room for so many resources (17 KiB in all); claim a folder \
         above them"
    )]
    TooManyResources,
    /// Some process keeps the mutex of the claims, which it needs for microseconds.
    #[error("'{path}' is locked for seconds already; is the process stopped that has it open?")]
    Stuck {
        /// The mutex's file.
        path: PathBuf,
    },
    /// The name is taken by something that cannot be a lock, such as a symbolic link.
    #[error("'{path}' is {what}, not a lock file; move it away")]
    NotALock {
        /// The file.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The disk is full. Nothing is held.
    #[error("no space left to write lock file '{path}'")]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The folder is gone and could not be made again.
    #[error("lock folder was removed or replaced")]
    Folder(#[source] OpenError),
    /// The file at the path was another one each time we looked.
    #[error(
        "lock file '{path}' is replaced all the time; does something else delete files there, \
         or does the file system not keep inode numbers?"
    )]
    Unstable {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("could not lock '{path}'")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl AcquireError {
    /// Whether the same call may succeed later without anybody mending anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::ResourcesTimedOut { .. } | Self::Stuck { .. })
    }
}

fn in_the_way(held: &[ClaimStatus]) -> String {
    match held {
        [] => "others looked at their claims all the time".to_owned(),
        [claim] => claim.to_string(),
        [claim, rest @ ..] => format!("{claim}, and {} more", rest.len()),
    }
}

/// Why a lock was not released by name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// This process does not hold the lock through this folder handle.
    #[error("task {key} is not held by this process")]
    NotHeld {
        /// The key.
        key: String,
    },
    /// This process holds the lock, but under another name.
    #[error("task {key} is held by {holder_id}, not by {asked}")]
    NotHolder {
        /// The key.
        key: String,
        /// Who holds it.
        holder_id: String,
        /// Who asked.
        asked: String,
    },
    /// The lock is released, but its record could not be changed: it still names the holder.
    #[error("released lock {key}, but could not say so in its record")]
    Record {
        /// The key.
        key: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The system refused to unlock. The file is closed, which unlocks it too, unless a child
    /// process has it.
    #[error("could not unlock {key}")]
    Unlock {
        /// The key.
        key: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Why a lock that was acquired protects nothing any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LostError {
    /// It was released through [`LockDir::release`](crate::LockDir::release).
    #[error("lock {key} was released")]
    Released {
        /// The key.
        key: String,
    },
    /// This is a forked child; the lock is its parent's.
    #[error("lock {key} is held by process {pid}, of which this is a fork")]
    Forked {
        /// The key.
        key: String,
        /// The process that holds it.
        pid: u32,
    },
    /// The file or its folder was removed or replaced, so that others can lock the new one.
    #[error("lock folder '{path}' or the file of lock {key} in it was removed or replaced")]
    LockDirReplaced {
        /// The key.
        key: String,
        /// The folder.
        path: PathBuf,
    },
    /// Another file has its place: in a lease directory a contender put it there, after it saw no
    /// sign of life for the length of the lease.
    #[error("task {key} was taken away{}", by.as_ref().map_or_else(String::new, |by| format!(" by {by}")))]
    Deposed {
        /// The key.
        key: String,
        /// Who acquired it since, if somebody did.
        by: Option<Box<LockInfo>>,
    },
    /// The lease was not renewed in time, so that others may take the lock at any moment.
    #[error("the lease of task {key} was not renewed for {}", Span(*ttl))]
    NotRenewed {
        /// The key.
        key: String,
        /// How long the lease lasts.
        ttl: Duration,
    },
    /// The system would not say.
    #[error("could not use the file of lock {key}")]
    Io {
        /// The key.
        key: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Why a lock was not taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeoverError {
    /// The lock has another holder than the one that was to be ended.
    #[error("{status}, no longer by who was to be ended")]
    Changed {
        /// Who holds it now.
        status: Box<LockStatus>,
    },
    /// It is not proven which process has the lock.
    #[error("'{key}' is held, but it is not certain by which process: {why}")]
    NoProof {
        /// The key.
        key: String,
        /// What is missing.
        why: NoProof,
    },
    /// A process that has the lock cannot be signalled.
    #[error("could not end process {pid}, which has the lock '{key}'")]
    Signal {
        /// The key.
        key: String,
        /// The process.
        pid: u32,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Processes were killed, but are still there: the system does something for them that cannot
    /// be interrupted, such as waiting for a dead disk.
    #[error("killed processes {pids:?}, which have the lock '{key}', but they do not end")]
    Survived {
        /// The key.
        key: String,
        /// The processes.
        pids: Vec<u32>,
    },
    /// The lock could not be had.
    #[error(transparent)]
    Acquire(#[from] AcquireError),
    /// It could not be found out who has the lock.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

/// What is missing to prove that a process holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoProof {
    /// The record cannot be read.
    #[error("its record names no holder")]
    UnknownHolder,
    /// The holder is on another machine.
    #[error("its holder is on host {host}")]
    OtherHost {
        /// The machine.
        host: String,
    },
    /// The holder wrote its record before the machine was started the last time, or on another
    /// machine of this name.
    #[error("its record is from before this machine was started")]
    OtherBoot,
    /// The holder's process number is that of another container.
    #[error("its holder counts processes in another PID namespace, as in a container")]
    OtherPidNamespace,
    /// The holder is another user's process.
    #[error("its holder is a process of another user{}", uid.map(|uid| format!(", {uid}")).unwrap_or_default())]
    OtherUser {
        /// The user.
        uid: Option<u32>,
    },
    /// This system does not say enough about processes, or did not to the holder.
    #[error("it is not known when its holder was started, and where")]
    UnknownProcess,
    /// It is this very process that holds the lock, or that inherited it.
    #[error("this process has it")]
    ThisProcess,
    /// The number of the holder's process was given to another one.
    #[error("process {pid} is another one than its holder")]
    OtherProcess {
        /// The process.
        pid: u32,
    },
    /// The holder's process lives, but the kernel does not show that it locked the file.
    #[error("process {pid}, which its record names, is not seen to have locked it")]
    NotLockedBy {
        /// The process.
        pid: u32,
    },
    /// Another process has the lock, not from the dead holder.
    #[error("process {pid} has it, but not from the dead holder that its record names")]
    NotInherited {
        /// The process.
        pid: u32,
    },
    /// No process can be seen that has the lock.
    #[error("no process can be seen that has it")]
    NobodySeen,
}

/// Why a note was not written. The one before it stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The note is too long.
    #[error("a note has at most {max} bytes, this one has {len}", max = crate::TaskLock::MAX_NOTE)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The lock is not held any more.
    #[error(transparent)]
    Lost(#[from] LostError),
    /// The system refused.
    #[error("could not write a note to lock {key}")]
    Io {
        /// The key.
        key: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Why locks could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The key is impossible.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The system refused.
    #[error("could not read '{path}'")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}
