//! What a dead runner left behind at a task: an agent that still works on it.

use std::time::Duration;

use agent_runner_exec::{Ended, ProcessIdentity, end_orphan};
use agent_runner_lock::TaskLock;

/// How long it gets between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(500);

/// Ends the agent that the lock's last holder noted and that is still there, with all that it
/// started. Returns how many processes that were.
pub(super) async fn end(lock: &TaskLock) -> u32 {
    let Some(note) = lock.previous().and_then(|info| info.note.as_deref()) else { return 0 };
    let Ok(agent) = note.parse::<ProcessIdentity>() else { return 0 };
    // If this process is killed as well, the next one must find the note again. A lock that cannot
    // be written does not keep the agent from being ended.
    drop(lock.set_note(note));
    match end_orphan(&agent, GRACE).await {
        Ended::Killed(processes) => processes,
        _ => 0,
    }
}
