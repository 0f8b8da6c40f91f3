//! A worktree that an attempt works in.

use std::{path::Path, sync::Arc};

use crate::{
    Checkpoint, CommitId, Error, Ignored, Landed,
    checkpoint::save,
    roster::{Phase, Slot, Tenant},
    worktrees::{Inner, short},
};

/// A worktree that is ours until it is released or dropped.
///
/// When it is dropped without [`release`](Self::release), or its process dies, what lies in it is
/// saved before anybody else gets it.
#[derive(Debug)]
#[must_use = "the worktree is given back as soon as it is dropped"]
pub struct Worktree {
    pub(crate) inner: Arc<Inner>,
    pub(crate) slot: Slot,
    pub(crate) tenant: Tenant,
    pub(crate) branch: String,
    pub(crate) landed: Option<Landed>,
}

impl Worktree {
    /// The folder to work in.
    pub fn path(&self) -> &Path {
        &self.slot.path
    }

    /// The task.
    pub fn task(&self) -> &str {
        &self.tenant.task
    }

    /// The name of the task's branch.
    pub fn branch(&self) -> &str {
        short(&self.branch)
    }

    /// Where this attempt began.
    pub fn start(&self) -> &CommitId {
        self.tenant.start.as_ref().unwrap_or(&self.tenant.base)
    }

    /// What of the task was part of the target before this attempt. If the caller knows nothing of
    /// it, a runner was killed after it had merged and before it could say so, and there is nothing
    /// left to do.
    pub fn landed(&self) -> Option<&Landed> {
        self.landed.as_ref()
    }

    /// Saves everything that the agent did, committed or not, under the attempt's ref and on the
    /// task's branch, and leaves the worktree on that branch without changes.
    ///
    /// The agent's processes must have ended. A later checkpoint of the same attempt builds on the
    /// one before.
    ///
    /// # Errors
    ///
    /// If git or the file system refuses; then everything stays where it is.
    pub fn checkpoint(&mut self) -> Result<Checkpoint, Error> {
        let tree = self.inner.tree(&self.slot);
        let checkpoint = save(&self.inner, &tree, &self.tenant)?;
        tree.settle(&self.inner.roster, &self.branch, &checkpoint.commit)?;
        Ok(checkpoint)
    }

    /// Puts the worktree back to what a checkpoint saved: what came since, from a check, is gone.
    /// Ignored files stay.
    ///
    /// # Errors
    ///
    /// If git or the file system refuses.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let tree = self.inner.tree(&self.slot);
        tree.settle(&self.inner.roster, &self.branch, &checkpoint.commit)?;
        tree.clean(&Ignored::Keep)
    }

    /// Gives the worktree back. What is in it and was not saved by a checkpoint is saved now.
    ///
    /// # Errors
    ///
    /// If that is impossible; then it is tried again before anybody else gets the worktree.
    pub fn release(mut self) -> Result<(), Error> {
        let checkpoint = self.checkpoint()?;
        self.inner.tree(&self.slot).detach(&checkpoint.commit)?;
        self.enter(Phase::Done)
    }

    /// Notes how far the attempt is.
    pub(crate) fn enter(&mut self, phase: Phase) -> Result<(), Error> {
        self.tenant.phase = phase;
        self.slot.record.tenant = Some(self.tenant.clone());
        self.slot.write()
    }
}
