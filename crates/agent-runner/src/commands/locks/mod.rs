//! `locks`: who holds which task and resource on this machine.

mod breaking;
mod hold;
mod show;

use std::time::Duration;

use agent_runner_lock::{CleanOptions, CleanReport, LockDir};

use crate::{
    cli::Locks,
    error::{OrExit, Result},
    exit_code::Exit,
    project::Project,
    ui::Ui,
};

pub use hold::run as run_locked;

/// Looks at the locks, cleans or breaks them.
pub async fn locks(ui: &Ui, project: &Project, command: &Locks) -> Result<Exit> {
    let folder = project.lock_folder();
    if !folder.exists() {
        ui.say(format_args!("there is no lock folder at '{}'", folder.display()));
        return Ok(Exit::Success);
    }
    let locks = project.open_locks("locks")?;
    match command {
        Locks::List => show::list(ui, &locks),
        Locks::Show(args) => show::show(ui, &locks, &args.key),
        Locks::Clean => clean(ui, &locks),
        Locks::Break(args) => breaking::break_lock(ui, locks, args).await,
        Locks::Run(_) => unreachable!("it has an exit code of its own, see `run_locked`"),
    }
}

/// A lock that is held is never removed, whatever its file says.
fn clean(ui: &Ui, locks: &LockDir) -> Result<Exit> {
    let report = clean_unused(locks)?;
    if ui.json {
        show::print_json(ui, &report)?;
        return Ok(Exit::Success);
    }
    let claims = locks.claims().or_invalid(|| "could not list the locks".into())?.len();
    ui.say(format_args!("{} removed, {} held", report.removed.len(), report.held.len() + claims));
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
