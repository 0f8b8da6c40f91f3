//! Proof that a task's work is part of the target, kept where the work is.
//!
//! It is a commit that names the one on the target and has both it and the work as parents. It is
//! written before the target moves, and proves nothing until the target has that commit: so there
//! is no moment at which a killed runner leaves work that is merged and not known to be.

use serde::{Deserialize, Serialize};

use crate::{
    Checkpoint, CommitId, Error, GitError,
    repository::{RefChanges, Repository},
};

/// A task's work that is part of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Landed {
    /// The attempt whose work it is.
    pub attempt: u32,
    /// Who made that attempt, if it was [told](crate::Attempt::by).
    pub by: Option<String>,
    /// The commit of the target.
    pub commit: CommitId,
    /// The proof, of whose history all the work is a part.
    #[serde(skip)]
    pub(crate) proof: Option<CommitId>,
}

/// A proof that is about to become one.
pub(crate) struct Proof {
    name: String,
    id: CommitId,
}

impl Proof {
    /// Writes that the work of a checkpoint becomes a commit.
    pub(crate) fn new(
        repo: &Repository,
        checkpoint: &Checkpoint,
        commit: &CommitId,
    ) -> Result<Self, Error> {
        let name = repo.names.landed(&checkpoint.task);
        let landed = Landed {
            attempt: checkpoint.attempt,
            by: checkpoint.by.clone(),
            commit: commit.clone(),
            proof: None,
        };
        let text =
            serde_json::to_string(&landed).map_err(|error| Error::io(&name)(error.into()))?;
        // What was proved before stays proved.
        let before = repo.commit(&name)?;
        let mut parents: Vec<&CommitId> = Vec::new();
        for parent in [&checkpoint.commit, commit].into_iter().chain(&before) {
            if !parents.contains(&parent) {
                parents.push(parent);
            }
        }
        let id = repo.commit_tree(&repo.tree_of(commit)?, &parents, &text)?;
        Ok(Self { name, id })
    }

    pub(crate) fn put(&self, changes: &mut RefChanges) {
        changes.set(&self.name, &self.id);
    }
}

/// What of a task is part of a target.
pub(crate) fn landed(
    repo: &Repository,
    task: &str,
    target: &CommitId,
) -> Result<Option<Landed>, GitError> {
    let Some(proof) = repo.commit(&repo.names.landed(task))? else { return Ok(None) };
    let args = ["show", "-s", "--no-show-signature", "--encoding=UTF-8", "--format=%B"];
    let text = repo.git().args(args).args([proof.as_str()]).output()?;
    let Ok(landed) = serde_json::from_slice::<Landed>(&text) else { return Ok(None) };
    // A commit that is not there any more is part of nothing.
    let is_there = repo.commit(landed.commit.as_str())?.is_some();
    let is_part = is_there && repo.is_ancestor(&landed.commit, target)?;
    Ok(is_part.then_some(Landed { proof: Some(proof), ..landed }))
}

impl Landed {
    /// Whether a commit is part of the work that has landed.
    pub(crate) fn has(&self, repo: &Repository, commit: &CommitId) -> Result<bool, GitError> {
        self.proof.as_ref().map_or(Ok(false), |proof| repo.is_ancestor(commit, proof))
    }
}
