//! What differs between systems: folders, files, their identity, and this process.
//!
//! `unix.rs` and `windows.rs` have the same signatures. The kernel's lock itself is `fd-lock`'s on
//! all of them.

use std::{
    fs::File,
    io, mem,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use fd_lock::RwLock;

use crate::LockInfo;

#[cfg(unix)]
mod proc;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(not(target_os = "linux"))]
#[path = "no_signal.rs"]
mod signal;
#[cfg(target_os = "linux")]
mod signal;

#[cfg(unix)]
use self::unix as system;
#[cfg(windows)]
use self::windows as system;

pub(crate) use self::system::{
    CAN_REMOVE_HELD, FileId, Folder, Keeper, absent_or_other, create_folder, inheritable, keepers,
    not_a_lock, read_block, write_block,
};

pub(crate) use self::signal::Target;

/// What ends a process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    /// Asks it to.
    Term,
    /// Does not ask.
    Kill,
}

/// What is there to know of an open file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) id: FileId,
    pub(crate) has_other_names: bool,
    pub(crate) is_file: bool,
    /// When it was last written; `None` if that is not known.
    pub(crate) modified: Option<std::time::SystemTime>,
}

/// Looks at an open file.
pub(crate) fn found(file: &File) -> io::Result<Found> {
    system::found(file)
}

/// Looks at whatever has this path; `None` if nothing has.
pub(crate) fn found_at(path: &Path, follow: bool) -> io::Result<Option<Found>> {
    system::found_at(path, follow)
}

/// The identity of whatever has this path; `None` if nothing has.
pub(crate) fn id_at(path: &Path, follow: bool) -> io::Result<Option<FileId>> {
    Ok(found_at(path, follow)?.map(|found| found.id))
}

/// A file that is locked until this is dropped.
#[derive(Debug)]
pub(crate) struct Locked(Option<File>);

impl Locked {
    /// Locks a file if nobody has it, or gives it back.
    pub(crate) fn try_new(file: File) -> io::Result<Result<Self, File>> {
        let taken = granted(|| RwLock::new(&file).try_write().map(mem::forget))?;
        Ok(if taken { Ok(Self(Some(file))) } else { Err(file) })
    }

    /// Locks a file along with others who share it, or gives it back if somebody has it alone.
    pub(crate) fn try_shared(file: File) -> io::Result<Result<Self, File>> {
        let taken = granted(|| RwLock::new(&file).try_read().map(mem::forget))?;
        Ok(if taken { Ok(Self(Some(file))) } else { Err(file) })
    }

    /// Locks a file when its turn has come in the kernel's queue.
    pub(crate) fn wait(file: File) -> io::Result<Self> {
        granted(|| RwLock::new(&file).write().map(mem::forget))?;
        Ok(Self(Some(file)))
    }

    /// The file.
    pub(crate) fn file(&self) -> &File {
        self.0.as_ref().expect("it is there until it is unlocked")
    }

    /// Unlocks, and gives the file back if it can be locked again; else it is closed.
    pub(crate) fn unlock(mut self) -> io::Result<Option<File>> {
        let file = self.0.take();
        file.as_ref().map_or(Ok(()), system::unlock)?;
        Ok(file.filter(|_| system::UNLOCKS_OPEN))
    }

    /// Closes without unlocking, in a process that shares the lock but does not own it.
    pub(crate) fn abandon(mut self) {
        self.0 = None;
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if let Some(file) = self.0.take() {
            // Closing is the second best, and done in any case.
            system::unlock(&file).ok();
        }
    }
}

/// Does something while nobody holds a file's lock; `None` if somebody does.
///
/// It takes the lock shared meanwhile, so that who asks for it then is refused: keep it short.
pub(crate) fn while_free<T>(file: &File, act: impl FnOnce() -> T) -> io::Result<Option<T>> {
    let lock = RwLock::new(file);
    let mut guard = None;
    let granted = granted(|| lock.try_read().map(|shared| guard = Some(shared)))?;
    let done = granted.then(act);
    drop(guard);
    Ok(done)
}

/// Keeps a shared lock on a folder as long as it is open, so that systemd-tmpfiles leaves it alone.
pub(crate) fn keep_folder(folder: &File) {
    // Best effort: who cleans the folder at this moment is met again at the next acquire.
    granted(|| RwLock::new(folder).try_read().map(mem::forget)).ok();
}

/// Whether a request for a lock was granted. Signals do not count as an answer.
fn granted(mut ask: impl FnMut() -> io::Result<()>) -> io::Result<bool> {
    loop {
        match ask() {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Who this process is, beyond its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) start_time: Option<u64>,
    pub(crate) pid_ns: Option<u64>,
    pub(crate) uid: Option<u32>,
    pub(crate) boot_id: Option<String>,
    pub(crate) host: String,
}

impl Process {
    /// This process. Read once, and again in a forked child.
    pub(crate) fn now() -> Arc<Self> {
        static NOW: Mutex<Option<Arc<Process>>> = Mutex::new(None);

        let pid = std::process::id();
        let mut now = NOW.lock().unwrap_or_else(PoisonError::into_inner);
        match &*now {
            Some(process) if process.pid == pid => Arc::clone(process),
            _ => Arc::clone(now.insert(Arc::new(system::process(pid)))),
        }
    }

    /// Whether a record is this process's.
    pub(crate) fn wrote(&self, info: &LockInfo) -> bool {
        self.pid == info.pid
            && self.start_time == info.start_time
            && self.pid_ns == info.pid_ns
            && self.boot_id == info.boot_id
            && self.host == info.host
    }

    /// Whether the process that wrote a record is proven to be dead. Of one that counts processes
    /// or time in another way than we do, nothing is known.
    pub(crate) fn knows_dead(&self, info: &LockInfo) -> bool {
        let start_time = || system::start_time(info.pid).ok();
        self.counts_as(info)
            && info.start_time.is_some()
            && start_time().is_some_and(|start_time| start_time != info.start_time)
    }

    /// Whether the process that wrote a record is proven to be stopped.
    pub(crate) fn knows_stopped(&self, info: &LockInfo) -> bool {
        self.counts_as(info) && info.start_time.is_some_and(|it| system::is_stopped(info.pid, it))
    }

    /// Whether a process's number and start mean to us what they meant to who wrote a record.
    fn counts_as(&self, info: &LockInfo) -> bool {
        let known = self.pid_ns.is_some() && self.boot_id.is_some() && self.start_time.is_some();
        known
            && self.pid_ns == info.pid_ns
            && self.boot_id == info.boot_id
            && self.host == info.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_no_answer() {
        for (end, expected) in [
            (Ok(()), Some(true)),
            (Err(io::ErrorKind::WouldBlock), Some(false)),
            (Err(io::ErrorKind::PermissionDenied), None),
        ] {
            let mut answers =
                vec![end, Err(io::ErrorKind::Interrupted), Err(io::ErrorKind::Interrupted)];
            let answer = granted(|| answers.pop().expect("it stops").map_err(io::Error::from));
            assert_eq!(answer.ok(), expected);
            assert!(answers.is_empty(), "it must ask until there is an answer");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abandoned_lock_stays_with_who_shares_the_open_file() {
        let file = tempfile::tempfile().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        let locked = Locked::try_new(file.try_clone().unwrap()).unwrap().unwrap();
        locked.abandon();
        let other = File::open(path).unwrap();
        assert_eq!(while_free(&other, || ()).unwrap(), None, "a fork must not unlock");
        Locked::try_new(file).unwrap().unwrap().unlock().unwrap();
        assert_eq!(while_free(&other, || ()).unwrap(), Some(()));
    }
}
