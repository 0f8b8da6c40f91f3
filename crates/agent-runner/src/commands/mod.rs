//! The commands that do their work and end; `run` and `demo` have modules of their own.

mod add;
mod change;
mod classify;
mod doctor;
mod export;
mod gateway;
mod help;
mod import;
mod init;
mod keys;
mod keys_test;
mod list;
mod locks;
mod logs;
mod read_ahead;
mod rehearse;
mod show;
mod status;
mod worktrees;

pub use add::add;
pub use change::{cancel, retry};
pub use classify::classify;
pub use doctor::doctor;
pub use export::export;
pub use gateway::gateway;
pub use help::{completions, help, man};
pub use import::{Imported, import, import_backlogs, read_backlogs};
pub use init::init;
pub use keys::keys;
pub use list::list;
pub use locks::{locks, run_locked};
pub use logs::logs;
pub use rehearse::rehearse;
pub use show::show;
pub use status::{status, welcome};
pub use worktrees::worktrees;

use agent_runner_task_store::{TaskId, TaskStatus};

use crate::{
    cli,
    error::{Error, Result},
    exit_code::Exit,
};

/// How many tasks a page has when all are looked at.
const PAGE: usize = 1_000;

/// Where a task stands that is still to be done.
pub fn open_statuses() -> Vec<TaskStatus> {
    TaskStatus::ALL.into_iter().filter(|status| !status.is_final()).collect()
}

fn parse_id(id: &str) -> Result<TaskId> {
    TaskId::new(id).map_err(Error::usage)
}

fn statuses(given: &[cli::Status]) -> Vec<TaskStatus> {
    given
        .iter()
        .map(|status| match status {
            cli::Status::Pending => TaskStatus::Pending,
            cli::Status::Waiting => TaskStatus::Waiting,
            cli::Status::Running => TaskStatus::Running,
            cli::Status::Succeeded => TaskStatus::Succeeded,
            cli::Status::Failed => TaskStatus::Failed,
            cli::Status::Cancelled => TaskStatus::Cancelled,
        })
        .collect()
}

/// Data that could not be written ends the program: a script must not take half for all.
fn unwritten(error: std::io::Error) -> Error {
    Error::new(Exit::Unexpected, anyhow::Error::new(error).context("could not write to stdout"))
}

fn no_such_task(id: &TaskId) -> Error {
    Error::usage(format!("there is no task '{id}'")).hint("`agent-runner list` shows the tasks")
}
