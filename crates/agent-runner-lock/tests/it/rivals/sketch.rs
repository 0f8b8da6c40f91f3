//! The algorithm that this project began with, as it was: the positive control.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
    process,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{FlockOperation, flock},
    process::{Pid, test_kill_process},
};

use super::Granted;

const TIMEOUT: Duration = Duration::from_secs(300);

/// Any error means that somebody else has it.
pub(super) fn acquire(path: &Path) -> Option<Granted> {
    loop {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.ok()?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            file.set_len(0).ok()?;
            file.write_all_at(format!("{} {}", process::id(), now()).as_bytes(), 0).ok()?;
            return Some(Granted::new(path, move |path| release(&file, path)));
        }
        drop(file);
        if !is_stale(path) {
            return None;
        }
        fs::remove_file(path).ok();
    }
}

fn release(file: &File, path: &Path) {
    flock(file, FlockOperation::Unlock).ok();
    fs::remove_file(path).ok();
}

/// No file, an unreadable record, a dead process, or a timeout that is over.
fn is_stale(path: &Path) -> bool {
    let record = fs::read_to_string(path).unwrap_or_default();
    let Some((pid, since)) = record.split_once(' ') else { return true };
    let (Ok(pid), Ok(since)) = (pid.parse::<i32>(), since.parse::<u64>()) else { return true };
    let alive = Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok());
    !alive || now().saturating_sub(since) > TIMEOUT.as_secs()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
