//! Removing what nobody needs any more, and only that.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::{
    CommitId, Error, Worktrees,
    repository::RefChanges,
    roster::{Record, Slot},
    worktrees::Inner,
};

/// What was removed, and what not.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct GcReport {
    /// Worktrees that nobody used.
    pub worktrees: Vec<PathBuf>,
    /// Tasks whose branch was merged, and is gone.
    pub branches: Vec<String>,
    /// How many refs of attempts that are part of merged work are gone.
    pub attempts: usize,
    /// What is still there.
    pub kept: Vec<Kept>,
}

/// Something that was not removed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// The task that it belongs to, if that is known.
    pub task: Option<String>,
    /// The ref or the folder.
    pub what: String,
    /// Why it is still there.
    pub because: KeptBecause,
}

/// Why something was not removed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeptBecause {
    /// Somebody works on the task.
    InUse,
    /// The caller still wants the task.
    Wanted,
    /// Its commits are not part of the target.
    Unmerged,
    /// Somebody has it checked out there.
    CheckedOut(PathBuf),
    /// The work of a dead runner could not be saved yet.
    Unsaved,
}

impl Worktrees {
    /// Removes worktrees that nobody uses, and the branches and attempts of tasks that are merged
    /// and that the caller does not want any more. Never removes a commit that is not part of the
    /// target, whatever became of its task; see [`GcReport::kept`].
    ///
    /// # Errors
    ///
    /// If git or the file system refuses; what was removed until then is gone.
    pub fn gc(&self, mut is_wanted: impl FnMut(&str) -> bool) -> Result<GcReport, Error> {
        self.recover()?;
        let inner = &self.inner;
        let mut report = GcReport::default();
        for name in inner.roster.names()? {
            match inner.try_slot(&name)? {
                Some(slot) => inner.empty(slot, &mut report)?,
                None => report.keep(None, &inner.roster.path(&name).display(), KeptBecause::InUse),
            }
        }
        let merged = inner.merged_refs()?;
        for (task, refs) in inner.refs()? {
            let wanted = is_wanted(&task);
            inner.drop_refs(&task, &refs, &merged, wanted, &mut report)?;
        }
        Ok(report)
    }
}

impl GcReport {
    fn keep(&mut self, task: Option<&str>, what: &impl ToString, because: KeptBecause) {
        let (task, what) = (task.map(str::to_owned), what.to_string());
        self.kept.push(Kept { task, what, because });
    }
}

impl Inner {
    /// Removes a worktree from the disk, unless work lies in it.
    fn empty(&self, mut slot: Slot, report: &mut GcReport) -> Result<(), Error> {
        if slot.is_dead() || slot.record.parked.is_some() {
            let task = slot.record.unsaved.as_ref().or(slot.record.tenant.as_ref());
            let task = task.map(|tenant| tenant.task.as_str());
            report.keep(task, &slot.path.display(), KeptBecause::Unsaved);
            return Ok(());
        }
        if slot.path.exists() || self.tree(&slot).admin().is_some() {
            self.tree(&slot).discard()?;
            slot.record = Record::default();
            slot.write()?;
            report.worktrees.push(slot.path);
        }
        Ok(())
    }

    /// All refs of ours, by task.
    fn refs(&self) -> Result<BTreeMap<String, Vec<(String, CommitId)>>, Error> {
        let names = &self.repo.names;
        let attempts = names.all_attempts();
        let args = ["for-each-ref", "--format=%(objectname) %(refname)"];
        let output = self.repo.git().args(args).args([&names.branches(), &attempts]).output()?;
        let mut tasks: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for line in String::from_utf8_lossy(&output).lines() {
            let Some((id, name)) = line.split_once(' ') else { continue };
            if let Some(task) = names.task(name).or_else(|| names.task_of_attempt(name)) {
                tasks.entry(task).or_default().push((name.to_owned(), CommitId(id.to_owned())));
            }
        }
        Ok(tasks)
    }

    /// The refs of ours whose commits are part of the target.
    fn merged_refs(&self) -> Result<BTreeSet<String>, Error> {
        let Some(target) = &self.target else { return Ok(BTreeSet::new()) };
        self.refs_in(target, [&self.repo.names.branches(), &self.repo.names.all_attempts()])
    }

    fn refs_in(&self, whole: &str, names: [&str; 2]) -> Result<BTreeSet<String>, Error> {
        let merged = format!("--merged={whole}");
        let args = ["for-each-ref", "--format=%(refname)", &merged];
        let output = self.repo.git().args(args).args(names).output()?;
        Ok(String::from_utf8_lossy(&output).lines().map(str::to_owned).collect())
    }

    fn drop_refs(
        &self,
        task: &str,
        refs: &[(String, CommitId)],
        merged: &BTreeSet<String>,
        wanted: bool,
        report: &mut GcReport,
    ) -> Result<(), Error> {
        let branch = self.repo.names.branch(task);
        let mut merged = merged.clone();
        if self.landed(task)?.is_some() {
            // What was squashed is merged by content, not by name.
            let (landed, attempts) = (self.repo.names.landed(task), self.repo.names.attempts(task));
            merged.extend(self.refs_in(&landed, [&attempts, &branch])?);
        }
        // Under the lock, nobody begins to work on the task before its refs are gone.
        let _roster = self.roster.lock()?;
        let whole = if wanted {
            Some(KeptBecause::Wanted)
        } else if self.is_in_use(task)? {
            Some(KeptBecause::InUse)
        } else {
            self.checked_out_elsewhere(&branch)?.map(KeptBecause::CheckedOut)
        };
        let mut changes = RefChanges::default();
        for (name, commit) in refs {
            match &whole {
                Some(because) => report.keep(Some(task), name, because.clone()),
                None if !merged.contains(name) => {
                    report.keep(Some(task), name, KeptBecause::Unmerged);
                }
                None => {
                    changes.remove(name, commit);
                    if *name == branch {
                        report.branches.push(task.to_owned());
                    } else {
                        report.attempts += 1;
                    }
                }
            }
        }
        Ok(self.repo.update_refs("agent-runner: gc", &changes)?)
    }

    /// Whether a worktree is held for a task.
    fn is_in_use(&self, task: &str) -> Result<bool, Error> {
        for name in self.roster.names()? {
            if self.roster.record(&name)?.is_of(task) && self.roster.try_slot(&name)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
