//! `locks break`: ending what keeps a lock.

use agent_runner_lock::{ClaimStatus, LockDir, LockState, LockStatus, Takeover};

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
        LockState::Free | LockState::Died => return break_claims(ui, locks, args, &status).await,
        LockState::Held if !args.kill_holder => return Err(refuse(key, &status)),
        LockState::Held | LockState::Orphaned => {}
    }
    let keepers = locks.keepers(key).unwrap_or_default().len();
    let how = Takeover::KillHolder { grace: args.grace };
    end(key, move || locks.take_over(&status, how).map(drop)).await?;
    say_ended(ui, keepers);
    Ok(Exit::Success)
}

/// No task has the lock, but maybe a resource of that name is held: by a command, or for a task.
async fn break_claims(
    ui: &Ui,
    locks: LockDir,
    args: &LocksBreak,
    task: &LockStatus,
) -> Result<Exit> {
    let mut claims = claims_of(&locks, &args.key)?;
    // Who only waits for it keeps nobody from it once it is free.
    claims.retain(|claim| !claim.waiting);
    if claims.is_empty() {
        ui.say(task);
        return Ok(Exit::Success);
    }
    if !args.kill_holder
        && let Some(claim) = claims.iter().find(|claim| claim.state != LockState::Orphaned)
    {
        return Err(refuse_claim(&locks, claim));
    }
    let keepers = |claim| locks.claim_keepers(claim).unwrap_or_default();
    let mut pids: Vec<_> = claims.iter().flat_map(keepers).collect();
    pids.sort_unstable();
    pids.dedup();
    let how = Takeover::KillHolder { grace: args.grace };
    end(&args.key, move || claims.iter().try_for_each(|claim| locks.end_claim(claim, how))).await?;
    say_ended(ui, pids.len());
    Ok(Exit::Success)
}

/// Does it where it may block.
async fn end(
    key: &str,
    act: impl FnOnce() -> Result<(), agent_runner_lock::TakeoverError> + Send + 'static,
) -> Result<()> {
    let ended = tokio::task::spawn_blocking(act).await;
    ended
        .map_err(|error| Error::new(Exit::Unexpected, error))?
        .or_exit(Exit::Held, || format!("could not break lock '{key}'"))
}

fn say_ended(ui: &Ui, keepers: usize) {
    let processes = if keepers == 1 { "process" } else { "processes" };
    ui.say(format_args!("{keepers} {processes} ended, the lock is free"));
}

fn refuse(key: &str, status: &LockStatus) -> Error {
    Error::message(Exit::Held, status)
        .hint(format!("`agent-runner cancel {key}` ends the work on this task alone"))
        .hint("`--kill-holder` ends the run that holds it, with all its agents")
}

fn refuse_claim(locks: &LockDir, claim: &ClaimStatus) -> Error {
    let keepers = locks.claim_keepers(claim).unwrap_or_default();
    let pids: Vec<_> = keepers.iter().map(ToString::to_string).collect();
    let who = if pids.is_empty() { String::new() } else { format!(" (pid {})", pids.join(", ")) };
    Error::message(Exit::Held, claim)
        .hint(format!("`--kill-holder` ends who holds it{who}; a run, with all its agents"))
}
