//! The worktrees of a repository, and how one is had for an attempt.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Builder, Checkpoint, CommitId, Diff, Error, OpenError, Worktree,
    checkpoint::save,
    diff::diff,
    landed::{Landed, landed},
    merge::History,
    name,
    options::Ignored,
    repository::{RefChanges, Repository},
    roster::{Choice, Phase, Roster, Slot, Tenant},
    sys,
    tree::Tree,
};

/// A bounded pool of worktrees of one repository, shared by all who open it.
///
/// All calls block; in asynchronous code they belong into `spawn_blocking`. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Worktrees {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) repo: Repository,
    /// The folder that was opened, from the top of its working tree.
    pub(crate) prefix: PathBuf,
    pub(crate) roster: Roster,
    /// The full name of the branch that work comes from and goes to.
    pub(crate) target: Option<String>,
    /// What was checked out when there was no branch.
    pub(crate) head: Option<CommitId>,
    pub(crate) max: usize,
    pub(crate) ignored: Ignored,
    pub(crate) history: History,
    pub(crate) largest_file: u64,
}

/// One attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    task: String,
    number: u32,
    title: Option<String>,
    by: Option<String>,
    base: Option<String>,
}

impl Attempt {
    /// An attempt at a task. The task's id may be any text of 1 to 1000 bytes; the number is the
    /// caller's, and should not come twice.
    pub fn new(task: impl Into<String>, number: u32) -> Self {
        Self { task: task.into(), number, title: None, by: None, base: None }
    }

    /// What the task is about: the first line of commits that are made for it.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Who makes it. Together with its number that names the attempt beyond doubt, also when the
    /// caller has begun to count anew; see [`Worktree::landed`].
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// Another branch or commit to begin at than the target.
    pub fn base(mut self, base: impl Into<String>) -> Self {
        self.base = Some(base.into());
        self
    }
}

/// Where an attempt begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// Where the attempt before ended; the first one begins at the base.
    #[default]
    Warm,
    /// At the base, as it is now. What attempts before did stays under their refs.
    Cold,
}

/// What became of the wish for a worktree.
#[derive(Debug)]
#[must_use = "the worktree is given back as soon as it is dropped"]
#[non_exhaustive]
pub enum Acquire {
    /// It is ready.
    Ready(Box<Worktree>),
    /// Somebody works on this very task, or a dead one's agent still does.
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// The task's branch is checked out elsewhere, probably by a person.
    CheckedOut {
        /// Where.
        path: PathBuf,
    },
    /// All worktrees are in use, and there may be no more.
    Full {
        /// How many there are.
        max: usize,
    },
}

impl Acquire {
    /// The worktree, if there is one.
    pub fn ready(self) -> Option<Worktree> {
        match self {
            Self::Ready(worktree) => Some(*worktree),
            _ => None,
        }
    }
}

/// What was found in the worktree of a runner that died.
#[derive(Debug)]
#[non_exhaustive]
pub enum Recovered {
    /// Its work is saved.
    Saved(Checkpoint),
    /// A process of its still works there. It has to end first.
    StillUsed {
        /// The task.
        task: String,
        /// The process.
        pid: u32,
    },
    /// The work cannot be saved. It stays where it is, and nobody else gets that worktree.
    Parked {
        /// The task.
        task: String,
        /// Where its work is.
        path: PathBuf,
        /// Why.
        error: Error,
    },
}

impl Worktrees {
    /// Opens the worktrees of the repository around a folder, with the defaults of [`Builder`].
    ///
    /// # Errors
    ///
    /// Says what is in the way, and what to do about it; see [`OpenError`].
    pub fn open(repository: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::builder(repository).open()
    }

    /// Opens the worktrees of a repository in another way than the default one.
    pub fn builder(repository: impl Into<PathBuf>) -> Builder {
        Builder::new(repository.into())
    }

    /// The folder in which the worktrees are.
    pub fn folder(&self) -> &Path {
        &self.inner.roster.folder
    }

    /// The branch that work comes from and goes to.
    pub fn target(&self) -> Option<&str> {
        self.inner.target.as_deref().map(short)
    }

    /// The folder that was opened, from the top of its working tree: the same folder of a worktree
    /// is what somebody who works there would take for it.
    pub fn prefix(&self) -> &Path {
        &self.inner.prefix
    }

    /// The name of a task's branch.
    ///
    /// # Errors
    ///
    /// [`Error::TaskId`].
    pub fn branch(&self, task: &str) -> Result<String, Error> {
        name::check(task)?;
        Ok(short(&self.inner.repo.names.branch(task)).to_owned())
    }

    /// Gets a worktree for an attempt: its task's branch checked out, clean but for build caches.
    ///
    /// Never waits for a worktree, only for others who choose one. What a dead runner left in the
    /// worktree is saved first.
    ///
    /// # Errors
    ///
    /// If git or the file system refuses; nothing is held then, and nothing is lost.
    pub fn acquire(&self, attempt: &Attempt, start: Start) -> Result<Acquire, Error> {
        name::check(&attempt.task)?;
        let inner = &self.inner;
        let tenant = inner.tenant(attempt)?;
        let branch = inner.repo.names.branch(&tenant.task);
        if let Some(path) = inner.checked_out_elsewhere(&branch)? {
            return Ok(Acquire::CheckedOut { path });
        }
        let mut slot = loop {
            let mut slot = match inner.roster.choose(&tenant, inner.max)? {
                Choice::Slot(slot) => *slot,
                Choice::InUse(path) => return Ok(Acquire::InUse { path }),
                Choice::Full => return Ok(Acquire::Full { max: inner.max }),
            };
            let own = slot.record.unsaved.as_ref().is_some_and(|dead| dead.task == tenant.task);
            match inner.recover(&mut slot) {
                Ok(_) => break slot,
                Err(error) if own => return Err(error),
                // Somebody else's work is in the way, and now known to be.
                Err(_) => {}
            }
        };
        let (tenant, landed) = inner.prepare(&mut slot, tenant, start)?;
        let inner = Arc::clone(inner);
        let worktree = Worktree { inner, slot, tenant, branch, landed };
        Ok(Acquire::Ready(Box::new(worktree)))
    }

    /// Saves the work that dead runners left in worktrees, each as a checkpoint of its attempt.
    ///
    /// A runner calls it when it starts. [`acquire`](Self::acquire) does the same for the worktree
    /// that it is about to give away.
    ///
    /// # Errors
    ///
    /// If the pool itself cannot be read.
    pub fn recover(&self) -> Result<Vec<Recovered>, Error> {
        let inner = &self.inner;
        let mut found = Vec::new();
        for name in inner.roster.names()? {
            let Some(mut slot) = inner.try_slot(&name)? else { continue };
            slot.mark_dead();
            let Some(task) = slot.record.unsaved.as_ref().map(|dead| dead.task.clone()) else {
                continue;
            };
            if let Some(pid) = sys::standing_in(&slot.path) {
                found.push(Recovered::StillUsed { task, pid });
                continue;
            }
            found.push(match inner.recover(&mut slot) {
                Ok(Some(checkpoint)) => Recovered::Saved(checkpoint),
                Ok(None) => continue,
                Err(error) => Recovered::Parked { task, path: slot.path.clone(), error },
            });
        }
        Ok(found)
    }

    /// Counts what changed between two commits.
    ///
    /// # Errors
    ///
    /// If there are no such commits.
    pub fn diff(&self, from: &CommitId, to: &CommitId) -> Result<Diff, Error> {
        diff(&self.inner.repo, from, to)
    }
}

impl Inner {
    fn tenant(&self, attempt: &Attempt) -> Result<Tenant, Error> {
        let head = || self.head.as_ref().map(|head| head.0.as_str());
        let base_name = attempt.base.as_deref().or(self.target.as_deref()).or_else(head);
        let base_name = base_name.unwrap_or("HEAD").to_owned();
        Ok(Tenant {
            base: self.repo.known_commit(&base_name)?,
            base_name,
            task: attempt.task.clone(),
            attempt: attempt.number,
            by: attempt.by.clone(),
            title: attempt.title.clone().unwrap_or_else(|| format!("Task {}", attempt.task)),
            start: None,
            phase: Phase::Preparing,
        })
    }

    /// Whether an attempt's ref keeps a commit.
    fn is_kept(&self, task: &str, commit: &CommitId) -> Result<bool, Error> {
        let args = ["for-each-ref", "--count=1", "--contains", commit.as_str()];
        let attempts = self.repo.names.attempts(task);
        Ok(!self.repo.git().args(args).args([attempts]).output()?.is_empty())
    }

    /// What of a task is part of the target.
    pub(crate) fn landed(&self, task: &str) -> Result<Option<Landed>, Error> {
        let Some(target) = &self.target else { return Ok(None) };
        match self.repo.commit(target)? {
            Some(target) => Ok(landed(&self.repo, task, &target)?),
            None => Ok(None),
        }
    }

    /// Where a person, not we, has a branch checked out.
    pub(crate) fn checked_out_elsewhere(&self, branch: &str) -> Result<Option<PathBuf>, Error> {
        let mut checkouts = self.repo.checkouts()?.into_iter();
        let found =
            checkouts.find(|one| one.branch.as_deref() == Some(branch) && !self.is_slot(&one.path));
        Ok(found.map(|checkout| checkout.path))
    }

    /// Whether a working tree is one of ours.
    pub(crate) fn is_slot(&self, path: &Path) -> bool {
        path.starts_with(&self.roster.folder)
    }

    /// Takes a worktree, under the roster's lock, unless somebody holds it.
    pub(crate) fn try_slot(&self, name: &str) -> Result<Option<Slot>, Error> {
        let _roster = self.roster.lock()?;
        self.roster.try_slot(name)
    }

    pub(crate) fn tree<'a>(&'a self, slot: &'a Slot) -> Tree<'a> {
        Tree { repo: &self.repo, path: &slot.path, lock: &slot.lock }
    }

    /// Saves what a dead one left in a worktree.
    fn recover(&self, slot: &mut Slot) -> Result<Option<Checkpoint>, Error> {
        let Some(dead) = slot.record.unsaved.clone() else { return Ok(None) };
        let saved = save(self, &self.tree(slot), &dead);
        match &saved {
            Ok(_) => (slot.record.unsaved, slot.record.parked) = (None, None),
            Err(error) => {
                slot.record.parked = Some(error.to_string());
                slot.record.tenant = None;
            }
        }
        slot.write()?;
        saved.map(Some)
    }

    /// Makes a worktree ready for an attempt.
    fn prepare(
        &self,
        slot: &mut Slot,
        mut tenant: Tenant,
        start: Start,
    ) -> Result<(Tenant, Option<Landed>), Error> {
        let branch = self.repo.names.branch(&tenant.task);
        let landed = self.landed(&tenant.task)?;
        let mut before = self.repo.commit(&branch)?;
        if let (Some(tip), Some(landed)) = (&before, &landed)
            && landed.has(&self.repo, tip)?
        {
            // Its runner was killed between the target and the branch.
            before = Some(landed.commit.clone());
        }
        let commit = match (&before, start) {
            (Some(before), Start::Warm) => before.clone(),
            _ => tenant.base.clone(),
        };
        let mut changes = RefChanges::default();
        if let Some(before) = before
            && !self.repo.is_ancestor(&before, &commit)?
            && !self.is_kept(&tenant.task, &before)?
        {
            let name = self.repo.names.attempts(&tenant.task) + "before-";
            changes.set(&format!("{name}{}", before.short()), &before);
        }
        changes.set(&branch, &commit);
        self.repo.update_refs("agent-runner: begin", &changes)?;
        self.tree(slot).prepare(&self.roster, &branch, &commit, &self.ignored)?;
        tenant.start = Some(commit);
        tenant.phase = Phase::Working;
        slot.record.tenant = Some(tenant.clone());
        slot.write()?;
        Ok((tenant, landed))
    }
}

/// A branch's name as people say it.
pub(crate) fn short(branch: &str) -> &str {
    branch.strip_prefix("refs/heads/").unwrap_or(branch)
}
