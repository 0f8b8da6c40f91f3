//! `locks`: who holds which task on this machine.

use std::time::Duration;

use agent_runner_lock::{CleanOptions, CleanReport, LockDir, LockState, LockStatus};

use super::unwritten;
use crate::{
    cli::Locks,
    error::{Error, OrExit, Result},
    exit_code::Exit,
    project::Project,
    ui::Ui,
};

/// Lists or cleans the locks.
pub fn locks(ui: &Ui, project: &Project, command: &Locks) -> Result<Exit> {
    let folder = project.lock_folder();
    if !folder.exists() {
        ui.say(format_args!("there is no lock folder at '{}'", folder.display()));
        return Ok(Exit::Success);
    }
    let locks = project.open_locks("locks")?;
    match command {
        Locks::List => list(ui, &locks),
        Locks::Clean => clean(ui, &locks),
    }
}

fn list(ui: &Ui, locks: &LockDir) -> Result<Exit> {
    // The file of a lock that is free is no lock; it is there so that the next holder is quick.
    let mut locks = locks.list().or_invalid(|| "could not list the locks".into())?;
    locks.retain(|lock| lock.state != LockState::Free);
    for lock in &locks {
        if ui.json {
            print_json(ui, lock)?;
        } else {
            ui.data(lock).map_err(unwritten)?;
        }
    }
    if locks.is_empty() {
        ui.say("there is no lock");
    }
    Ok(Exit::Success)
}

/// A lock that is held is never removed, whatever its file says.
fn clean(ui: &Ui, locks: &LockDir) -> Result<Exit> {
    let report = clean_unused(locks)?;
    if ui.json {
        let json =
            serde_json::to_string(&report).map_err(|error| Error::new(Exit::Unexpected, error))?;
        ui.data(json).map_err(unwritten)?;
        return Ok(Exit::Success);
    }
    ui.say(format_args!("{} removed, {} held", report.removed.len(), report.held.len()));
    for lock in &report.overdue {
        ui.warn(lock);
    }
    for name in &report.unreadable {
        ui.warn(format_args!("'{name}' cannot be read; it is kept"));
    }
    Ok(Exit::Success)
}

/// Removes the files of locks that are free now.
pub(super) fn clean_unused(locks: &LockDir) -> Result<CleanReport> {
    let mut options = CleanOptions::default();
    options.retention = Duration::ZERO;
    locks.clean_stale(&options).or_invalid(|| "could not clean the locks".into())
}

fn print_json(ui: &Ui, lock: &LockStatus) -> Result<()> {
    let json = serde_json::to_string(lock).map_err(|error| Error::new(Exit::Unexpected, error))?;
    ui.data(json).map_err(unwritten)
}
