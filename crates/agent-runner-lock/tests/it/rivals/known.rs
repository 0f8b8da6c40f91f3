//! What programs usually do, in as few lines as show it.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
    process,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, fcntl_lock, flock as flock_file},
    process::{Pid, test_kill_process},
};

use super::Granted;

/// After what time without a change others remove a folder.
const STALE: Duration = Duration::from_millis(300);

fn open(path: &Path) -> Option<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).ok()
}

/// The kernel's lock on a file that stays.
pub(super) fn flock(path: &Path) -> Option<Granted> {
    let file = open(path)?;
    flock_file(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(Granted::new(path, move |_| drop(file)))
}

/// The kernel's lock on a file that is removed by who releases it.
pub(super) fn flock_unlink(path: &Path) -> Option<Granted> {
    let file = open(path)?;
    flock_file(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(Granted::new(path, move |path| {
        fs::remove_file(path).ok();
        drop(file);
    }))
}

/// The kernel's other lock, which belongs to a process.
pub(super) fn posix(path: &Path) -> Option<Granted> {
    let file = open(path)?;
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(Granted::new(path, move |_| drop(file)))
}

/// A file that only one can make, with a process's number in it. That of a dead one is removed.
pub(super) fn pid_file(path: &Path) -> Option<Granted> {
    if let Ok(text) = fs::read_to_string(path) {
        let pid = text.parse().ok().and_then(Pid::from_raw);
        if pid.is_some_and(|pid| test_kill_process(pid).is_err()) {
            fs::remove_file(path).ok();
        }
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).ok()?;
    file.write_all(process::id().to_string().as_bytes()).ok()?;
    Some(Granted::new(path, |path| drop(fs::remove_file(path))))
}

/// A folder that only one can make. An old one is removed.
pub(super) fn make_dir(path: &Path) -> Option<Granted> {
    let modified = fs::metadata(path).and_then(|found| found.modified()).ok();
    if modified.is_some_and(|modified| modified.elapsed().is_ok_and(|age| age > STALE)) {
        fs::remove_dir(path).ok();
    }
    fs::create_dir(path).ok()?;
    Some(Granted::new(path, |path| drop(fs::remove_dir(path))))
}
