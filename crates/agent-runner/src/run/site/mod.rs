//! Where an attempt works: in the project's folder with all others, or in a worktree of its own.

mod merge;
mod own;
mod shared;

pub(super) use own::{Entry, Own};
pub(super) use shared::Shared;

use std::{path::PathBuf, sync::Arc};

use agent_runner_worktree::{Recovered, Watched, Worktrees};
use tokio::sync::Mutex;

use super::{attempt::Ended, history::History, outcome::Outcome, proof::Proof};
use crate::{
    error::{Error, OrExit, Result},
    exit_code::Exit,
    isolation::{Isolation, Merging},
    project::Project,
    report::{Event, Reporter},
};

/// The sites of a run.
pub(super) struct Sites {
    /// The worktrees, if each attempt has its own.
    worktrees: Option<Worktrees>,
    /// What to look at for changes, if all share a folder and changes are expected.
    watched: Option<Watched>,
    pub(super) merges: bool,
    expect_diff: bool,
    /// One of this run waits for its turn to merge; the others wait for it.
    queue: Arc<Mutex<()>>,
}

impl Sites {
    /// Opens what there is to be opened, or says why it cannot be.
    pub(super) fn open(project: &Project, isolation: &Isolation) -> Result<Self> {
        Ok(Self {
            worktrees: isolation.open(project)?,
            watched: isolation.watch(project)?,
            merges: isolation.merging != Merging::No,
            expect_diff: isolation.expect_diff,
            queue: Arc::default(),
        })
    }

    pub(super) fn worktrees(&self) -> Option<&Worktrees> {
        self.worktrees.as_ref()
    }

    /// Whether a task has to change something.
    fn expects_diff(&self, own: Option<bool>) -> bool {
        own.unwrap_or(self.expect_diff)
    }

    /// Saves what runs that were killed left in worktrees, before anybody gets them.
    pub(super) async fn recover(&self, reporter: &Reporter) -> Result<()> {
        let Some(worktrees) = self.worktrees.clone() else { return Ok(()) };
        let recovered = blocking(move || worktrees.recover())
            .await
            .or_exit(Exit::Invalid, || "could not look after the worktrees".into())?;
        for found in recovered {
            match found {
                Recovered::Saved(checkpoint) => reporter.tell(&Event::WorkSaved {
                    task: checkpoint.task,
                    attempt: checkpoint.attempt,
                    commit: checkpoint.commit.to_string(),
                    files: checkpoint.diff.files.len(),
                }),
                Recovered::Parked { task, path, error } => reporter.ui().warn(format_args!(
                    "the work of task '{task}' in '{}' could not be saved: {}; nobody else gets that worktree",
                    path.display(),
                    Error::new(Exit::Invalid, error)
                )),
                // Its task is not handed out before that process has ended.
                _ => {}
            }
        }
        Ok(())
    }
}

/// Where one attempt works.
pub(super) enum Site {
    Shared(Shared),
    Own(Box<Own>),
}

/// What agents and checks find around them.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// Their working directory.
    pub(super) folder: PathBuf,
    pub(super) variables: Vec<(&'static str, String)>,
    /// What they must not find.
    pub(super) unset: &'static [&'static str],
}

impl Site {
    pub(super) fn setting(&self) -> Setting {
        match self {
            Self::Shared(shared) => shared.setting(),
            Self::Own(own) => own.setting(),
        }
    }

    /// The end of an attempt at a task whose work was merged, but not recorded.
    pub(super) fn done_before(&self, history: &History) -> Option<Ended> {
        let Self::Own(own) = self else { return None };
        let merged = history.unrecorded(own.landed(), own.target())?;
        let message = format!("its work was merged into {} before", merged.target);
        let proof = Proof { merged: Some(merged), ..Proof::default() };
        Some(Ended { proof, ..Ended::new(Outcome::Succeeded, message) })
    }

    /// The work of an attempt before, if all that it lacks is to be merged.
    pub(super) fn ready_before(&self, history: &History) -> Option<Ended> {
        let Self::Own(own) = self else { return None };
        let proof = history.last_proof().filter(|proof| proof.ready)?;
        let is_here = proof.work.as_ref().is_some_and(|work| Some(&*work.commit) == own.start());
        let proof = Proof { survivors: 0, ..proof };
        is_here.then(|| Ended { proof, ..Ended::new(Outcome::Succeeded, None) })
    }

    /// Looks at what the agent did, and keeps it. A success that left conflicts, or that should have
    /// changed something and did not, is none.
    pub(super) async fn keep(&mut self, ended: Ended) -> Ended {
        let (expects, mut ended) = match self {
            Self::Shared(shared) => (shared.expects_diff(), shared.keep(ended).await),
            Self::Own(own) => (own.expects_diff(), own.keep(ended).await),
        };
        if ended.outcome != Outcome::Succeeded {
            return ended;
        }
        if !ended.proof.conflicts.is_empty() {
            ended.outcome = Outcome::Conflict;
            ended.message = Some(format!(
                "the agent said that it was done, but it left conflicts of a merge in {}; resolve them, and finish the task",
                ended.proof.conflicts.join(", ")
            ));
        } else if expects && ended.proof.diff.is_some_and(|diff| !diff.changed) {
            ended.outcome = Outcome::NoDiff;
            ended.message = Some(NO_DIFF.to_owned());
        }
        ended
    }

    /// Forgets what a check left.
    pub(super) async fn forget_check(&mut self, ended: Ended) -> Ended {
        match self {
            Self::Shared(_) => ended,
            Self::Own(own) => own.forget_check(ended).await,
        }
    }

    /// Gives the site back. Says what could not be saved now and will be tried again.
    pub(super) async fn leave(self) -> Result<(), agent_runner_worktree::Error> {
        match self {
            Self::Shared(_) => Ok(()),
            Self::Own(own) => own.leave().await,
        }
    }
}

const NO_DIFF: &str = "the agent said that it was done, but it changed no file; this task is done only when something has changed";

/// Does what blocks where it may.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done,
        // It is not cancelled: nobody has its handle but us.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
