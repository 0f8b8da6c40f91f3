//! The way back: one at a time, moved onto the target, checked again, landed.

use std::path::Path;

use crate::{
    Blocked, Checkpoint, CommitId, Conflict, Diff, Error, Ignored, Worktree,
    diff::diff,
    land::{Landing, land},
    landed::{Proof, landed},
    replay::{Replayed, replay},
    repository::RefChanges,
    roster::{Lock, Phase},
    turn::Turn,
    worktrees::short,
};

/// How often the target may move under a merge before it is given up.
const MAX_ROUNDS: u32 = 10;

/// What a task's work becomes on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum History {
    /// One commit a task, with its title and the trailers `Agent-Runner-Task` and
    /// `Agent-Runner-Attempt`.
    #[default]
    Squash,
    /// The commits that the agent made, moved, and what it left uncommitted. Work that contains
    /// merges becomes one commit all the same.
    Keep,
}

/// Work that has been moved onto the target and lies in the worktree, to be checked.
#[derive(Debug)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// Where it lies.
    pub path: &'a Path,
    /// What the target will be.
    pub commit: &'a CommitId,
    /// What the target is.
    pub onto: &'a CommitId,
    /// Whether it differs from what the attempt left, because the target has moved. If not, and the
    /// attempt was checked, it need not be checked again.
    pub is_changed: bool,
}

/// What became of a merge. `E` is what the check says when it is not content.
#[derive(Debug)]
#[must_use = "the work may not have been merged"]
#[non_exhaustive]
pub enum Merge<E> {
    /// It is part of the target.
    Merged(Merged),
    /// The task has changed nothing.
    Nothing,
    /// All that the task changed is part of the target: an earlier merge was cut short after it had
    /// landed, or others did the same. This commit of the target has it.
    Already(CommitId),
    /// It does not go together with what others have merged.
    Conflict(Conflict),
    /// It does, but the check says no.
    Refused(E),
    /// A working tree is in the way.
    Blocked(Blocked),
}

/// Work that is part of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Merged {
    /// The branch.
    pub target: String,
    /// What it is now.
    pub commit: CommitId,
    /// What it was before.
    pub onto: CommitId,
    /// What changed.
    pub diff: Diff,
}

impl Worktree {
    /// Merges what a checkpoint saved into the target.
    ///
    /// One at a time, in all processes: the work is moved onto the target in memory, put into the
    /// worktree, and checked there; then the target is moved to it if nobody else has moved it
    /// meanwhile, else all is done again. If the target is checked out by a person, that working
    /// tree moves along, and changes in it that are not committed stay or block the merge.
    ///
    /// Whatever comes of it, the worktree is clean on the task's branch afterwards, which has moved
    /// if the work was merged.
    ///
    /// # Errors
    ///
    /// If git or the file system refuses, or [`Error::NoTarget`]. The target is as it was, or has
    /// the work; merging again is safe and tells which.
    pub fn merge<E>(
        &mut self,
        checkpoint: &Checkpoint,
        check: impl FnMut(&Candidate<'_>) -> Result<(), E>,
    ) -> Result<Merge<E>, Error> {
        let turn = Turn(self.inner.roster.lock_merges()?);
        self.merge_in(&turn, checkpoint, check)
    }

    /// The same for who has waited for his [turn](crate::Worktrees::try_turn) himself.
    ///
    /// # Errors
    ///
    /// As [`merge`](Self::merge).
    pub fn merge_in<E>(
        &mut self,
        turn: &Turn,
        checkpoint: &Checkpoint,
        check: impl FnMut(&Candidate<'_>) -> Result<(), E>,
    ) -> Result<Merge<E>, Error> {
        let target = self.inner.target.clone().ok_or(Error::NoTarget)?;
        self.enter(Phase::Merging)?;
        let queue = Queue { worktree: self, checkpoint, target: &target, turn: &turn.0 };
        let merge = queue.merge(check);

        let (inner, branch) = (&self.inner, &self.branch);
        let now = inner.repo.commit(branch)?.unwrap_or_else(|| checkpoint.commit.clone());
        let tree = inner.tree(&self.slot);
        tree.settle(&inner.roster, branch, &now)?;
        tree.clean(&Ignored::Keep)?;
        self.enter(Phase::Working)?;
        merge
    }
}

/// One merge whose turn it is.
struct Queue<'a> {
    worktree: &'a Worktree,
    checkpoint: &'a Checkpoint,
    target: &'a str,
    turn: &'a Lock,
}

impl Queue<'_> {
    fn merge<E>(
        &self,
        mut check: impl FnMut(&Candidate<'_>) -> Result<(), E>,
    ) -> Result<Merge<E>, Error> {
        let repo = &self.worktree.inner.repo;
        let target = short(self.target).to_owned();
        let content = repo.tree_of(&self.checkpoint.commit)?;
        for _ in 0..MAX_ROUNDS {
            let no_branch = || Error::NoBranch { branch: target.clone() };
            let onto = repo.commit(self.target)?.ok_or_else(no_branch)?;
            let commit = match self.replay(&onto)? {
                Replayed::Nothing => return self.already(&onto),
                Replayed::Conflict(files) => {
                    return Ok(Merge::Conflict(Conflict { target, onto, files }));
                }
                Replayed::Commit(commit) => commit,
            };
            let tree = self.worktree.inner.tree(&self.worktree.slot);
            tree.settle_detached(&commit)?;
            let is_changed = repo.tree_of(&commit)? != content;
            let path = self.worktree.path();
            if let Err(said) = check(&Candidate { path, commit: &commit, onto: &onto, is_changed })
            {
                return Ok(Merge::Refused(said));
            }
            match self.land(&onto, &commit)? {
                Landing::Landed => return self.merged(commit, onto),
                Landing::Blocked(blocked) => return Ok(Merge::Blocked(blocked)),
                Landing::Moved => {}
            }
        }
        Err(Error::Restless { branch: target, times: MAX_ROUNDS })
    }

    fn replay(&self, onto: &CommitId) -> Result<Replayed, Error> {
        let inner = &self.worktree.inner;
        let tree = inner.tree(&self.worktree.slot);
        replay(&inner.repo, &|| tree.git(), self.checkpoint, onto, inner.history)
    }

    fn land(&self, onto: &CommitId, commit: &CommitId) -> Result<Landing, Error> {
        let inner = &self.worktree.inner;
        let proof = Proof::new(&inner.repo, self.checkpoint, commit)?;
        land(inner, self.turn, self.target, (onto, commit), (&self.worktree.branch, &proof))
    }

    fn merged<E>(&self, commit: CommitId, onto: CommitId) -> Result<Merge<E>, Error> {
        let diff = diff(&self.worktree.inner.repo, &onto, &commit)?;
        Ok(Merge::Merged(Merged { target: short(self.target).to_owned(), commit, onto, diff }))
    }

    /// Says whether nothing was done, or nothing is left to do.
    fn already<E>(&self, onto: &CommitId) -> Result<Merge<E>, Error> {
        let repo = &self.worktree.inner.repo;
        let Checkpoint { task, commit: tip, .. } = self.checkpoint;
        if repo.is_ancestor(tip, onto)? || self.checkpoint.is_empty() {
            let landed = landed(repo, task, onto)?;
            return Ok(landed.map_or(Merge::Nothing, |landed| Merge::Already(landed.commit)));
        }
        let mut changes = RefChanges::default();
        changes.set(&self.worktree.branch, onto);
        Proof::new(repo, self.checkpoint, onto)?.put(&mut changes);
        repo.update_refs("agent-runner: merged already", &changes)?;
        Ok(Merge::Already(onto.clone()))
    }
}
