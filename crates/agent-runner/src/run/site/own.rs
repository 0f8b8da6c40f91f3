//! A worktree for one attempt: entered, saved, and given back.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use agent_runner_task_store::Task;
use agent_runner_worktree::{
    Acquire, Attempt, Checkpoint, Error, Landed, REPOSITORY_VARIABLES, Start, Worktree, Worktrees,
};

use super::{Setting, Sites, blocking};
use crate::{
    error::chain_of,
    run::{attempt::Ended, outcome::Outcome},
};

/// A worktree that an attempt works in.
pub(in crate::run) struct Own {
    pool: Worktrees,
    /// Away only while something is done with it where that may block.
    worktree: Option<Worktree>,
    pub(super) checkpoint: Option<Checkpoint>,
    folder: PathBuf,
    root: PathBuf,
    branch: String,
    expects_diff: bool,
}

/// What became of the wish for a worktree.
pub(in crate::run) enum Entry {
    Entered(Box<Own>),
    /// All are in use by others: ask again.
    Full,
    /// Something is in the way of this task alone.
    InTheWay(String),
}

impl Own {
    /// Gets a worktree for an attempt at a task. Waits for git, but not for others.
    pub(in crate::run) async fn enter(
        sites: &Sites,
        pool: &Worktrees,
        task: &Task,
        run: &str,
        start: Start,
    ) -> Result<Entry, Ended> {
        let attempt = Attempt::new(task.id.as_str(), task.attempt).title(&task.spec.title).by(run);
        let (worktrees, prefix) = (pool.clone(), pool.prefix().to_owned());
        let acquired = blocking(move || {
            let acquired = worktrees.acquire(&attempt, start)?;
            if let Acquire::Ready(worktree) = &acquired {
                // Git knows no empty folders.
                let folder = worktree.path().join(prefix);
                fs::create_dir_all(&folder).map_err(|source| Error::Io { path: folder, source })?;
            }
            Ok::<_, Error>(acquired)
        });
        let worktree = match acquired.await {
            Ok(Acquire::Ready(worktree)) => *worktree,
            Ok(Acquire::InUse { path }) => return Ok(Entry::in_use(&path)),
            Ok(Acquire::CheckedOut { path }) => return Ok(Entry::checked_out(&path)),
            Ok(_) => return Ok(Entry::Full),
            Err(error @ Error::TaskId { .. }) => {
                return Err(Ended::new(Outcome::Invalid, chain_of(&error)));
            }
            Err(error) => return Ok(Entry::unprepared(&error)),
        };
        let own = Self {
            folder: worktree.path().join(pool.prefix()),
            root: worktree.path().to_owned(),
            branch: worktree.branch().to_owned(),
            expects_diff: sites.expects_diff(task.spec.expect_diff),
            pool: pool.clone(),
            worktree: Some(worktree),
            checkpoint: None,
        };
        Ok(Entry::Entered(Box::new(own)))
    }

    pub(super) fn setting(&self) -> Setting {
        let folder = self.folder.clone();
        Setting { folder, variables: self.variables(), unset: REPOSITORY_VARIABLES }
    }

    pub(super) fn expects_diff(&self) -> bool {
        self.expects_diff
    }

    /// What of the task was part of the target before.
    pub(in crate::run) fn landed(&self) -> Option<&Landed> {
        self.worktree.as_ref().and_then(Worktree::landed)
    }

    /// Where the attempt began.
    pub(in crate::run) fn start(&self) -> Option<&str> {
        self.worktree.as_ref().map(|worktree| worktree.start().as_str())
    }

    /// The branch to merge into.
    pub(in crate::run) fn target(&self) -> &str {
        self.pool.target().unwrap_or_default()
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("AGENT_RUNNER_WORKTREE", self.root.display().to_string()),
            ("AGENT_RUNNER_BRANCH", self.branch.clone()),
        ];
        variables.extend(self.pool.target().map(|it| ("AGENT_RUNNER_TARGET", it.to_owned())));
        variables
    }

    /// Saves all that the agent did.
    pub(super) async fn keep(&mut self, mut ended: Ended) -> Ended {
        match self.with(Worktree::checkpoint).await {
            Ok(checkpoint) => {
                ended.proof.see(&checkpoint, &self.folder, &self.branch);
                self.checkpoint = Some(checkpoint);
                ended
            }
            Err(error) => ended.spoilt("could not save its work", &error),
        }
    }

    /// Puts the worktree back to what was saved.
    pub(super) async fn forget_check(&mut self, ended: Ended) -> Ended {
        let Some(checkpoint) = self.checkpoint.clone() else { return ended };
        match self.with(move |worktree| worktree.restore(&checkpoint)).await {
            Ok(()) => ended,
            Err(error) => ended.spoilt("could not clean up after the check", &error),
        }
    }

    pub(super) async fn leave(mut self) -> Result<(), Error> {
        match self.worktree.take() {
            Some(worktree) => blocking(move || worktree.release()).await,
            None => Ok(()),
        }
    }

    /// Does something with the worktree where it may block. If that is not waited for, the worktree
    /// is given back when it is done, and what lies in it is saved by the next who gets it.
    pub(super) async fn with<T: Send + 'static>(
        &mut self,
        act: impl FnOnce(&mut Worktree) -> T + Send + 'static,
    ) -> T {
        let mut worktree = self.worktree.take().expect("it is here between two of these");
        let (worktree, done) = blocking(move || {
            let done = act(&mut worktree);
            (worktree, done)
        })
        .await;
        self.worktree = Some(worktree);
        done
    }
}

impl Entry {
    /// A worktree that cannot even be made anew is no fault of the task's: the next would fare
    /// no better, and all of a night's backlog be lost in a minute.
    fn unprepared(error: &Error) -> Self {
        Self::InTheWay(format!("could not prepare its worktree: {}", chain_of(error)))
    }

    fn in_use(path: &Path) -> Self {
        Self::InTheWay(format!("somebody is in its worktree '{}'", path.display()))
    }

    fn checked_out(path: &Path) -> Self {
        Self::InTheWay(format!("its branch is checked out in '{}'", path.display()))
    }
}

impl Ended {
    /// It cannot be a success any more; another end stays what it was.
    pub(super) fn spoilt(mut self, what: &str, error: &Error) -> Self {
        if self.outcome == Outcome::Succeeded {
            let Self { outcome, message, .. } = failed(what, error);
            (self.outcome, self.message) = (outcome, message);
        }
        self
    }

    /// Something that a person has to put away is in the way: again later, and seldom if it stays.
    pub(in crate::run) fn in_the_way(outcome: Outcome, message: String, times: u32) -> Self {
        const LONGEST: Duration = Duration::from_secs(300);
        let wait = Duration::from_secs(1).saturating_mul(1 << times.min(9)).min(LONGEST);
        Self { retry_after: Some(wait), ..Self::new(outcome, message) }
    }
}

pub(super) fn failed(what: &str, error: &Error) -> Ended {
    Ended::new(Outcome::WorkerFailed, format!("{what}: {}", chain_of(error)))
}
