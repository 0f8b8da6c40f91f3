//! `locks list` and `locks show`: who holds what.

use std::fmt::Display;

use agent_runner_lock::{ClaimStatus, LockDir, LockInfo, LockState, Resource};
use serde::Serialize;

use super::super::unwritten;
use crate::{
    error::{Error, OrExit, Result},
    exit_code::Exit,
    ui::{Ui, headline, printable},
    units::{show_duration, show_time},
};

/// Lists the locks that are held or waited for, and those whose holder died. The file of a lock that is free is
/// no lock; it is there so that the next holder is quick.
pub(super) fn list(ui: &Ui, locks: &LockDir) -> Result<Exit> {
    let mut tasks = locks.list().or_invalid(|| "could not list the locks".into())?;
    tasks.retain(|lock| lock.state != LockState::Free);
    let claims = locks.all_claims().or_invalid(|| "could not list the locks".into())?;
    for lock in &tasks {
        print(ui, lock)?;
    }
    for claim in &claims {
        print(ui, claim)?;
    }
    if tasks.is_empty() && claims.is_empty() {
        ui.say("there is no lock");
    }
    Ok(Exit::Success)
}

/// What `locks show` prints as JSON: a line of `locks list`, and who keeps it.
#[derive(Serialize)]
struct Shown<'a, L> {
    #[serde(flatten)]
    lock: &'a L,
    keepers: &'a [Process],
}

/// A process that keeps a lock.
#[derive(Serialize)]
struct Process {
    pid: u32,
    command: String,
}

/// Shows the lock of a task and those of a resource that have this name.
pub(super) fn show(ui: &Ui, locks: &LockDir, key: &str) -> Result<Exit> {
    let failed = || format!("could not look at lock '{}'", printable(key));
    let task = locks.status(key).or_exit(Exit::Usage, failed)?;
    let claims = claims_of(locks, key)?;
    // A resource that is held is what was meant, unless a task has its name.
    if task.state != LockState::Free || claims.is_empty() {
        let keepers = locks.keepers(key).unwrap_or_default();
        show_one(ui, &task, task.info.as_ref(), &keepers, "kept by")?;
    }
    for claim in &claims {
        let keepers = locks.claim_keepers(claim).unwrap_or_default();
        let verb = if claim.waiting { "waits" } else { "kept by" };
        show_one(ui, claim, claim.info.as_ref(), &keepers, verb)?;
    }
    Ok(Exit::Success)
}

/// The claims of which a resource is called so.
pub(super) fn claims_of(locks: &LockDir, key: &str) -> Result<Vec<ClaimStatus>> {
    let mut claims = locks.all_claims().or_invalid(|| "could not list the locks".into())?;
    let is_called_so = |resource: &Resource| {
        resource.as_name() == Some(key) || resource.as_paths().is_some_and(|it| it.as_str() == key)
    };
    claims.retain(|claim| claim.resources.iter().any(is_called_so));
    Ok(claims)
}

fn show_one<L: Serialize + Display>(
    ui: &Ui,
    lock: &L,
    info: Option<&LockInfo>,
    keepers: &[u32],
    verb: &str,
) -> Result<()> {
    let keepers: Vec<_> =
        keepers.iter().map(|&pid| Process { pid, command: command_of(pid) }).collect();
    if ui.json {
        return print_json(ui, &Shown { lock, keepers: &keepers });
    }
    ui.data(lock).map_err(unwritten)?;
    let line =
        |name: &str, value: String| ui.data(format_args!("  {name:<9} {value}")).map_err(unwritten);
    if let Some(info) = info {
        line("token", info.token.to_string())?;
        line("since", show_time(info.acquired_at))?;
        if let Some(timeout) = info.timeout {
            line("at most", show_duration(timeout))?;
        }
        if let Some(note) = &info.note {
            line("note", printable(note))?;
        }
    }
    for Process { pid, command } in &keepers {
        line(verb, format!("pid {pid} ({})", headline(command, 60)))?;
    }
    Ok(())
}

/// What a process runs, as far as the system tells.
fn command_of(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if name.is_empty() { "unknown".into() } else { name.trim_end().to_owned() }
}

fn print(ui: &Ui, lock: &(impl Serialize + Display)) -> Result<()> {
    if ui.json { print_json(ui, lock) } else { ui.data(lock).map_err(unwritten) }
}

pub(super) fn print_json(ui: &Ui, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string(value).map_err(|error| Error::new(Exit::Unexpected, error))?;
    ui.data(json).map_err(unwritten)
}
