//! `locks break`: ending what keeps a lock.

use agent_runner_lock::{LockDir, LockState, LockStatus, Takeover};

use super::show::claims_of;
use crate::{
    cli::LocksBreak,
    error::{Error, OrExit, Result},
    exit_code::Exit,
    ui::Ui,
};

/// Frees a lock by ending the processes that keep it: nothing is ever taken from a process that
/// goes on.
pub(super) async fn break_lock(ui: &Ui, locks: LockDir, args: &LocksBreak) -> Result<Exit> {
    let key = args.key.as_str();
    let status =
        locks.status(key).or_exit(Exit::Usage, || format!("could not look at lock '{key}'"))?;
    match status.state {
        LockState::Free | LockState::Died => return not_a_task(ui, &locks, key, &status),
        LockState::Held if !args.kill_holder => return Err(refuse(key, &status)),
        LockState::Held | LockState::Orphaned => {}
    }
    let takeover = Takeover::KillHolder { grace: args.grace };
    let keepers = locks.keepers(key).unwrap_or_default().len();
    let taken = tokio::task::spawn_blocking(move || locks.take_over(&status, takeover))
        .await
        .map_err(|error| Error::new(Exit::Unexpected, error))?;
    let lock = taken.or_exit(Exit::Held, || format!("could not break lock '{key}'"))?;
    drop(lock);
    let processes = if keepers == 1 { "process" } else { "processes" };
    ui.say(format_args!("{keepers} {processes} ended, the lock is free"));
    Ok(Exit::Success)
}

/// No task has the lock, but maybe a resource of that name is held: by a command, which is ended as
/// any other, or for a task, whose lock is the one to break.
fn not_a_task(ui: &Ui, locks: &LockDir, key: &str, status: &LockStatus) -> Result<Exit> {
    let claims = claims_of(locks, key)?;
    let Some(claim) = claims.first() else {
        ui.say(status);
        return Ok(Exit::Success);
    };
    let keepers = locks.claim_keepers(claim).unwrap_or_default();
    let me = std::process::id();
    let pids: Vec<_> = keepers.iter().filter(|pid| **pid != me).map(ToString::to_string).collect();
    let error = Error::message(Exit::Held, claim);
    Err(match &pids[..] {
        [] => error.hint("those who keep it cannot be seen from here"),
        pids => {
            error.hint(format!("it is free when those who keep it end: `kill {}`", pids.join(" ")))
        }
    })
}

fn refuse(key: &str, status: &LockStatus) -> Error {
    Error::message(Exit::Held, status)
        .hint(format!("`agent-runner cancel {key}` ends the work on this task alone"))
        .hint("`--kill-holder` ends the run that holds it, with all its agents")
}
