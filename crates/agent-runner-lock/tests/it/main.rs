//! The public API, from outside.

#![expect(clippy::unwrap_used, reason = "a test's helper is a test")]

mod basics;
mod claims;
mod clean;
mod clock;
mod folder;
mod model;
mod waiting;

#[cfg(unix)]
mod agent;
#[cfg(unix)]
mod alone;
#[cfg(unix)]
mod claims_torture;
#[cfg(unix)]
mod disk_full;
#[cfg(target_os = "linux")]
mod fork;
#[cfg(target_os = "linux")]
mod inherit;
#[cfg(unix)]
mod lease;
#[cfg(unix)]
mod loss;
#[cfg(target_os = "linux")]
mod namespaces;
#[cfg(unix)]
mod rivals;
#[cfg(target_os = "linux")]
mod takeover;
#[cfg(unix)]
mod torture;
#[cfg(unix)]
mod traps;
#[cfg(target_os = "linux")]
mod wishes;

use agent_runner_lock::{LockDir, TaskLock};
use tempfile::TempDir;

/// A folder that is removed at the end, and a lock folder in it.
fn lock_dir() -> (TempDir, LockDir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = LockDir::builder(folder.path().join("locks")).holder_id("run-1/3").open().unwrap();
    (folder, dir)
}

/// Acquires a lock that nobody holds.
fn take(dir: &LockDir, key: &str) -> TaskLock {
    dir.try_acquire(key).unwrap().acquired().expect("nobody holds it")
}
