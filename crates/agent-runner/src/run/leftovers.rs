//! What a dead runner left behind at a task: an agent that still works on it.
//!
//! Each agent inherits the lock of its task. So a lock whose holder is dead but that the kernel
//! still refuses means: the agent lives. One that let go of its lock (some programs close all that they
//! inherit) is found by the note.

use std::{io, time::Duration};

use agent_runner_exec::{Ended, ProcessIdentity, end_orphan, orphan_lives};
use agent_runner_lock::{
    Acquire, AcquireError, LockDir, LockInfo, LockState, LockStatus, Takeover, TakeoverError,
    TaskLock,
};

use crate::cli::Orphans;

/// How long they get between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(500);

/// The lock of a task whose last holder is gone.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) lock: TaskLock,
    /// How many processes were still there, and were ended.
    pub(super) ended: u32,
}

/// Takes a task's lock, and ends what its dead holder left at work. The status says who keeps it
/// if it cannot be had: a living runner or, if we are to wait for those, an agent without one.
pub(super) async fn take(
    locks: &LockDir,
    task: &str,
    orphans: Orphans,
) -> Result<Result<Taken, Box<LockStatus>>, AcquireError> {
    let status = match locks.try_acquire(task)? {
        Acquire::Acquired(lock) => return settle(lock, orphans).await,
        Acquire::Held(status) => status,
    };
    if status.state != LockState::Orphaned || orphans == Orphans::Wait {
        return Ok(Err(status));
    }
    take_from_orphan(locks, status).await
}

/// Deals with what the last holder of a lock left at work although nobody keeps the lock: it is ended
/// or, if we are to wait for it, the lock is left as it was.
pub(super) async fn settle(
    lock: TaskLock,
    orphans: Orphans,
) -> Result<Result<Taken, Box<LockStatus>>, AcquireError> {
    // If this process is killed while it looks, the next one must find the note again. A lock that
    // cannot be written does not keep the agent from being ended.
    let note = lock.previous().and_then(|info| info.note.as_deref());
    note.map(|note| lock.set_note(note).ok());
    let lives = || agent_of(lock.previous()).is_some_and(|agent| orphan_lives(&agent));
    if orphans != Orphans::Wait || !lives() {
        let ended = end_agent(lock.previous()).await;
        return Ok(Ok(Taken { lock, ended }));
    }
    let path = lock.path();
    let mut status = lock
        .give_back()
        .map_err(|error| AcquireError::Io { path, source: io::Error::other(error) })?;
    // By its holder's agent, whatever the kernel knows of that.
    status.state = LockState::Orphaned;
    Ok(Err(Box::new(status)))
}

async fn take_from_orphan(
    locks: &LockDir,
    status: Box<LockStatus>,
) -> Result<Result<Taken, Box<LockStatus>>, AcquireError> {
    // All that carry the agent's mark first, then whoever else has the lock.
    let ended = end_agent(status.info.as_ref()).await;
    let (dir, orphaned) = (locks.clone(), status.clone());
    let takeover = Takeover::KillHolder { grace: GRACE };
    let taken = tokio::task::spawn_blocking(move || dir.take_over(&orphaned, takeover)).await;
    match taken.map_err(std::io::Error::from) {
        Ok(Ok(lock)) => Ok(Ok(Taken { lock, ended: ended.max(1) })),
        Ok(Err(TakeoverError::Acquire(error))) => Err(error),
        // Another run was faster, or somebody may not be killed by us.
        Ok(Err(_)) | Err(_) => Ok(Err(status)),
    }
}

/// Ends the agent that the lock's last holder noted and that is still there, with all that it
/// started.
async fn end_agent(holder: Option<&LockInfo>) -> u32 {
    let Some(agent) = agent_of(holder) else { return 0 };
    match end_orphan(&agent, GRACE).await {
        Ended::Killed(processes) => processes,
        _ => 0,
    }
}

/// The agent that a holder noted.
fn agent_of(holder: Option<&LockInfo>) -> Option<ProcessIdentity> {
    holder?.note.as_deref()?.parse().ok()
}
