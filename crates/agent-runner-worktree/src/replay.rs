//! Moving commits onto another commit without a working tree.
//!
//! `git rebase` would do it in the worktree, under all the user's settings and hooks, and leave a
//! half-done rebase when it is killed. Here each step is a merge in memory, of which nothing is
//! seen before all have worked.

use crate::{
    CommitId, Error, GitError,
    checkpoint::{Checkpoint, message},
    conflict::{ConflictedFile, parse},
    git::Call,
    landed::landed,
    merge::History,
    repository::Repository,
};

/// What became of commits.
pub(crate) enum Replayed {
    Commit(CommitId),
    /// All that they change is there already.
    Nothing,
    Conflict(Vec<ConflictedFile>),
}

/// Moves work onto a commit, as one commit or as the commits that it consists of.
pub(crate) fn replay(
    repo: &Repository,
    merge_tree: &dyn Fn() -> Result<Call, Error>,
    checkpoint: &Checkpoint,
    onto: &CommitId,
    history: History,
) -> Result<Replayed, Error> {
    let tip = &checkpoint.commit;
    if let Some(landed) = landed(repo, &checkpoint.task, onto)?
        && landed.has(repo, tip)?
    {
        // A merge was cut short right after it; others may have changed the same lines again.
        return Ok(Replayed::Nothing);
    }
    let fork = repo.fork(onto, tip)?.unwrap_or_else(|| checkpoint.base.clone());
    let steps = match history {
        History::Keep => steps(repo, &fork, tip)?,
        History::Squash => None,
    };
    let Some(steps) = steps else {
        let Checkpoint { title, task, attempt, .. } = checkpoint;
        let message = message(title, "", task, *attempt);
        let squashed = repo.commit_tree(&repo.tree_of(tip)?, &[&fork], &message)?;
        let step = Step { commit: squashed, parent: fork };
        return apply(repo, merge_tree, vec![step], onto);
    };
    apply(repo, merge_tree, steps, onto)
}

/// A commit and the only one before it.
struct Step {
    commit: CommitId,
    parent: CommitId,
}

/// The commits between two, oldest first. None if they do not form a line: then how merges were
/// resolved would be lost on the way.
fn steps(
    repo: &Repository,
    fork: &CommitId,
    tip: &CommitId,
) -> Result<Option<Vec<Step>>, GitError> {
    let range = format!("{fork}..{tip}");
    let args = ["rev-list", "--reverse", "--topo-order", "--parents", &range];
    let output = repo.git().args(args).output()?;
    let (mut steps, mut before) = (Vec::new(), fork.clone());
    for line in String::from_utf8_lossy(&output).lines() {
        let mut ids = line.split(' ').map(|id| CommitId(id.to_owned()));
        let (commit, parent, other) = (ids.next(), ids.next(), ids.next());
        let (Some(commit), Some(parent), None) = (commit, parent, other) else { return Ok(None) };
        if parent != before {
            return Ok(None);
        }
        before = commit.clone();
        steps.push(Step { commit, parent });
    }
    Ok(Some(steps))
}

fn apply(
    repo: &Repository,
    merge_tree: &dyn Fn() -> Result<Call, Error>,
    steps: Vec<Step>,
    onto: &CommitId,
) -> Result<Replayed, Error> {
    let (mut top, mut tree) = (onto.clone(), repo.tree_of(onto)?);
    for Step { commit, parent } in steps {
        if parent == top {
            // It is where it should be already. A commit that changes nothing is dropped.
            let its_tree = repo.tree_of(&commit)?;
            if its_tree != tree {
                (top, tree) = (commit, its_tree);
            }
            continue;
        }
        // Git takes the last common ancestor for what both sides changed, so we give it a pair of
        // commits whose last common ancestor is the step's parent.
        let ours = repo.commit_tree(&tree, &[&parent], "replay")?;
        let args = ["merge-tree", "--write-tree", "-z", ours.as_str(), commit.as_str()];
        let said = merge_tree()?.args(args).said()?;
        let merged = match said.code {
            Some(0) => String::from_utf8_lossy(&said.stdout[..tree.len()]).into_owned(),
            Some(1) => return Ok(Replayed::Conflict(parse(repo, &said.stdout)?)),
            _ => return Err(said.into_error("git merge-tree").into()),
        };
        if merged != tree {
            top = copy(repo, &commit, &merged, &top)?;
            tree = merged;
        }
    }
    Ok(if top == *onto { Replayed::Nothing } else { Replayed::Commit(top) })
}

/// The same commit with another content, on another commit.
fn copy(
    repo: &Repository,
    commit: &CommitId,
    tree: &str,
    parent: &CommitId,
) -> Result<CommitId, GitError> {
    let format = "--format=%an%x00%ae%x00%ad%x00%B";
    let args = ["show", "-s", "--no-show-signature", "--date=raw", "--encoding=UTF-8", format];
    let shown = repo.git().args(args).args([commit.as_str()]).output()?;
    let text = String::from_utf8_lossy(&shown).into_owned();
    let mut parts = text.splitn(4, '\0');
    let mut next = || parts.next().unwrap_or_default();
    let call = repo.git().env("GIT_AUTHOR_NAME", next()).env("GIT_AUTHOR_EMAIL", next());
    let call = call.env("GIT_AUTHOR_DATE", next());
    let args = ["commit-tree", tree, "-p", parent.as_str(), "-F", "-"];
    call.args(args).input(next()).line().map(CommitId)
}
