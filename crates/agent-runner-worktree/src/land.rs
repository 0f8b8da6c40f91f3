//! Moving the target to a commit that builds on it, whoever has it checked out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    CommitId, Error,
    landed::Proof,
    repository::{RefChanges, admin_of},
    roster::Lock,
    worktrees::{Inner, short},
};

/// A working tree that keeps the target from moving. Nothing in it was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blocked {
    /// Where.
    pub path: PathBuf,
    /// The files that are in the way, where git names some.
    pub files: Vec<String>,
    /// Why, in git's words where it has some.
    pub reason: String,
}

/// What became of the target.
pub(crate) enum Landing {
    Landed,
    /// Somebody else moved it meanwhile.
    Moved,
    Blocked(Blocked),
}

/// Moves the target from one commit to the next, and the task's branch with it; the proof goes ahead.
pub(crate) fn land(
    inner: &Inner,
    lock: &Lock,
    target: &str,
    (from, to): (&CommitId, &CommitId),
    (branch, proof): (&str, &Proof),
) -> Result<Landing, Error> {
    let repo = &inner.repo;
    let reason = "agent-runner: merge";
    if let Some(blocked) = rebased_elsewhere(inner, target) {
        return Ok(Landing::Blocked(blocked));
    }
    let mut people = Vec::new();
    for checkout in
        repo.checkouts()?.into_iter().filter(|one| one.branch.as_deref() == Some(target))
    {
        match (admin_of(&repo.common, &checkout.path), checkout.head) {
            // An agent looks at the target. If it moved under its feet, the agent's files would be
            // taken for a wish to undo what others have merged.
            (Some(admin), Some(head)) if inner.is_slot(&checkout.path) => {
                let call = repo.git.bare(&admin);
                call.args(["update-ref", "--no-deref", "HEAD", head.as_str()]).run()?;
            }
            _ => people.push(checkout.path),
        }
    }
    match &people[..] {
        [] => {
            let mut changes = RefChanges::default();
            changes.swap(target, from, to);
            changes.set(branch, to);
            proof.put(&mut changes);
            match repo.update_refs(reason, &changes) {
                Ok(()) => Ok(Landing::Landed),
                Err(_) if repo.commit(target)?.as_ref() != Some(from) => Ok(Landing::Moved),
                Err(error) => Err(error.into()),
            }
        }
        [path] => {
            let (mut ahead, mut after) = (RefChanges::default(), RefChanges::default());
            proof.put(&mut ahead);
            repo.update_refs(reason, &ahead)?;
            let landing = forward(inner, lock, target, (from, to), path)?;
            if matches!(landing, Landing::Landed) {
                after.set(branch, to);
                repo.update_refs(reason, &after)?;
            }
            Ok(landing)
        }
        [path, ..] => {
            let reason = format!("branch {} is checked out in several places", short(target));
            Ok(Landing::Blocked(Blocked { path: path.clone(), files: Vec::new(), reason }))
        }
    }
}

/// Moves the target together with the working tree that has it checked out. Git keeps changes that
/// are not committed, and refuses if they are in the way.
fn forward(
    inner: &Inner,
    lock: &Lock,
    target: &str,
    (from, to): (&CommitId, &CommitId),
    path: &Path,
) -> Result<Landing, Error> {
    let options = ["--ff-only", "--quiet", "--no-stat", "--no-autostash", "--no-verify-signatures"];
    let call = inner.repo.git.at(path).hold(lock);
    let said = call.args(["merge"]).args(options).args([to.as_str()]).said()?;
    let now = inner.repo.commit(target)?;
    if said.code == Some(0) && now.as_ref() == Some(to) {
        return Ok(Landing::Landed);
    }
    if now.as_ref() != Some(from) {
        return Ok(Landing::Moved);
    }
    // Git puts each on a line of its own, behind a tab, in every language.
    let files = said.stderr.lines().filter_map(|line| line.strip_prefix('\t'));
    let files = files.map(|file| file.trim_end().to_owned()).collect();
    Ok(Landing::Blocked(Blocked { path: path.to_owned(), files, reason: said.stderr }))
}

/// Where somebody is in the middle of a rebase of the target: at its end the branch would be set
/// back to before our merge.
fn rebased_elsewhere(inner: &Inner, target: &str) -> Option<Blocked> {
    let common = &inner.repo.common;
    let linked = fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    let mut admins = linked.map(|entry| entry.path()).chain([common.clone()]);
    let path = admins.find(|admin| {
        ["rebase-merge", "rebase-apply"].iter().any(|kind| {
            let name = fs::read_to_string(admin.join(kind).join("head-name"));
            name.is_ok_and(|name| name.trim_end() == target)
        })
    })?;
    let reason = format!("branch {} is being rebased", short(target));
    Some(Blocked { path, files: Vec::new(), reason })
}
