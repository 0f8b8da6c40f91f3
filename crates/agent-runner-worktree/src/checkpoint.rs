//! Saving what an attempt did, so that nothing of it is lost whatever the agent did to git.

use std::path::PathBuf;

use crate::{
    CommitId, Diff, Error,
    diff::diff,
    repository::{RefChanges, Repository},
    roster::Tenant,
    snapshot::{Camera, Snapshot},
    tree::Tree,
    worktrees::Inner,
};

/// What an attempt did, saved.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The task.
    pub task: String,
    /// The attempt.
    pub attempt: u32,
    /// Who makes it, if that was told.
    pub by: Option<String>,
    /// The task's title, for the commit that it may become.
    pub title: String,
    /// Everything that the task has come to.
    pub commit: CommitId,
    /// Where this attempt began.
    pub start: CommitId,
    /// Where the task's work and its target part.
    pub base: CommitId,
    /// What changed since `base`: the proof that something was done.
    pub diff: Diff,
    /// Whether the agent left something that it had not committed.
    pub was_uncommitted: bool,
    /// New files that are too large to be kept. They are removed when the worktree is used again.
    pub left_out: Vec<PathBuf>,
    /// Files of a merge, rebase or the like that the agent began and left with conflicts. What lies
    /// in them, with git's markers, is in `commit`.
    pub unmerged: Vec<PathBuf>,
    /// Refs of work that is not part of `commit`, because the agent left the branch, or an attempt
    /// of the same number was there.
    pub aside: Vec<String>,
}

impl Checkpoint {
    /// Whether the task has changed nothing so far.
    pub fn is_empty(&self) -> bool {
        self.diff.is_empty()
    }

    /// Whether this attempt did anything.
    pub fn is_progress(&self) -> bool {
        self.commit != self.start
    }
}

/// Saves what lies in a worktree under the refs of an attempt.
pub(crate) fn save(inner: &Inner, tree: &Tree<'_>, tenant: &Tenant) -> Result<Checkpoint, Error> {
    let repo = &inner.repo;
    let scene = Scene::look(repo, tree, tenant)?;
    let Work { commit: work, left_out, unmerged } = scene.commit_work(inner, tree, tenant)?;
    let tip = scene.tip(repo, &work)?;

    let mut refs = Refs { repo, task: &tenant.task, attempt: tenant.attempt, aside: Vec::new() };
    let mut changes = RefChanges::default();
    refs.keep(&mut changes, &tip, [Some(&work), scene.branch.as_ref()], &scene.base)?;
    changes.set(&repo.names.branch(&tenant.task), &tip);
    repo.update_refs(&format!("agent-runner: attempt {}", tenant.attempt), &changes)?;

    let base = repo.fork(&scene.base, &tip)?.unwrap_or_else(|| tenant.base.clone());
    Ok(Checkpoint {
        task: tenant.task.clone(),
        attempt: tenant.attempt,
        by: tenant.by.clone(),
        title: tenant.title.clone(),
        diff: diff(repo, &base, &tip)?,
        was_uncommitted: work != scene.parent,
        start: scene.start,
        commit: tip,
        base,
        left_out,
        unmerged,
        aside: refs.aside,
    })
}

/// What lies in a worktree, committed.
struct Work {
    commit: CommitId,
    left_out: Vec<PathBuf>,
    unmerged: Vec<PathBuf>,
}

/// How the agent left things.
struct Scene {
    start: CommitId,
    /// The base as it is now: it may have moved, and the agent may have followed it.
    base: CommitId,
    /// The task's branch, if the agent did not remove it.
    branch: Option<CommitId>,
    /// What lies in the worktree is a change of this.
    parent: CommitId,
    /// What the agent was merging, if only the commit is missing.
    merged: Option<CommitId>,
    on_branch: bool,
    is_rebasing: bool,
}

impl Scene {
    fn look(repo: &Repository, tree: &Tree<'_>, tenant: &Tenant) -> Result<Self, Error> {
        let start = tenant.start.clone().unwrap_or_else(|| tenant.base.clone());
        let name = repo.names.branch(&tenant.task);
        let branch = repo.commit(&name)?;
        let head = tree.head().filter(|_| tree.path.is_dir());
        let on_branch = head.is_none() || tree.branch().is_some_and(|on| on == name);
        Ok(Self {
            base: repo.commit(&tenant.base_name)?.unwrap_or_else(|| tenant.base.clone()),
            parent: head.or_else(|| branch.clone()).unwrap_or_else(|| start.clone()),
            merged: tree.resolved_merge(),
            is_rebasing: tree.is_rebasing(),
            start,
            branch,
            on_branch,
        })
    }

    /// Commits what the agent did not; the files that are too large for it come second.
    fn commit_work(&self, inner: &Inner, tree: &Tree<'_>, tenant: &Tenant) -> Result<Work, Error> {
        let repo = &inner.repo;
        let commit = self.parent.clone();
        if !tree.path.is_dir() {
            return Ok(Work { commit, left_out: Vec::new(), unmerged: Vec::new() });
        }
        let admin = tree.mended_admin(&repo.names.branch(&tenant.task));
        let git_dir = admin.as_ref().unwrap_or(&repo.common);
        let camera = Camera {
            repo,
            git_dir,
            index: git_dir.join("agent-runner.index"),
            work_tree: tree.path,
            base: &self.start,
            largest_file: inner.largest_file,
        };
        let Snapshot { tree, left_out, unmerged } = camera.take(&self.parent)?;
        if self.merged.is_none() && tree == repo.tree_of(&self.parent)? {
            return Ok(Work { commit, left_out, unmerged });
        }
        let attempt = tenant.attempt;
        let about = format!("What attempt {attempt} left uncommitted.");
        let message = message(&tenant.title, &about, &tenant.task, attempt);
        let parents: Vec<_> = [&self.parent].into_iter().chain(&self.merged).collect();
        let commit = repo.commit_tree(&tree, &parents, &message)?;
        Ok(Work { commit, left_out, unmerged })
    }

    /// Which of the worktree and the branch is the task's work, if they differ.
    fn tip(&self, repo: &Repository, work: &CommitId) -> Result<CommitId, Error> {
        let Some(branch) = &self.branch else { return Ok(work.clone()) };
        if self.on_branch || *branch == self.start || repo.is_ancestor(branch, work)? {
            return Ok(work.clone());
        }
        let is_clean = *work == self.parent;
        let is_elsewhere =
            is_clean && (repo.is_ancestor(work, branch)? || repo.is_ancestor(work, &self.base)?);
        // A rebase that was not finished has not moved the branch; a look at old commits does not
        // undo new ones.
        Ok(if self.is_rebasing || is_elsewhere { branch.clone() } else { work.clone() })
    }
}

/// The refs of one attempt.
struct Refs<'a> {
    repo: &'a Repository,
    task: &'a str,
    attempt: u32,
    aside: Vec<String>,
}

impl Refs<'_> {
    /// Keeps the tip under the attempt's name, and what is not part of it beside it.
    fn keep(
        &mut self,
        changes: &mut RefChanges,
        tip: &CommitId,
        others: [Option<&CommitId>; 2],
        base: &CommitId,
    ) -> Result<(), Error> {
        let name = self.repo.names.attempt(self.task, self.attempt);
        let before = self.repo.commit(&name)?;
        if before.is_some() && others.iter().all(|other| *other == Some(tip)) {
            // Nothing has happened since, but perhaps a merge, which is not the attempt's doing.
            return Ok(());
        }
        let mut seen: Vec<&CommitId> = Vec::new();
        for other in others.into_iter().flatten().chain(&before) {
            let is_part =
                self.repo.is_ancestor(other, tip)? || self.repo.is_ancestor(other, base)?;
            if !is_part && !seen.contains(&other) {
                seen.push(other);
                let aside = format!("{name}-{}", other.short());
                changes.set(&aside, other);
                self.aside.push(aside);
            }
        }
        changes.set(&name, tip);
        Ok(())
    }
}

/// The line that says which task a commit belongs to.
pub(crate) fn trailer(task: &str) -> String {
    format!("Agent-Runner-Task: {}", task.escape_debug())
}

/// The message of a commit that we make.
pub(crate) fn message(title: &str, about: &str, task: &str, attempt: u32) -> String {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (title, task) = (line(title), trailer(task));
    let about = if about.is_empty() { String::new() } else { format!("{about}\n\n") };
    format!("{title}\n\n{about}{task}\nAgent-Runner-Attempt: {attempt}\n")
}
