//! The repository: where it is, and questions to it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    CommitId, Error, GitError,
    git::{self, Call, Git},
    name::Names,
    sys,
};

/// A repository, and how to ask it.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) git: Git,
    /// The folder that all its worktrees share.
    pub(crate) common: PathBuf,
    pub(crate) names: Names,
}

/// A working tree that git knows of.
#[derive(Debug, Default)]
pub(crate) struct Checkout {
    pub(crate) path: PathBuf,
    /// The full name of the branch that is checked out; none if it is a commit.
    pub(crate) branch: Option<String>,
    pub(crate) head: Option<CommitId>,
    pub(crate) bare: bool,
}

impl Repository {
    /// A command in the repository that needs no working tree.
    pub(crate) fn git(&self) -> Call {
        self.git.bare(&self.common)
    }

    /// The commit that a name stands for.
    pub(crate) fn commit(&self, name: &str) -> Result<Option<CommitId>, GitError> {
        commit_in(self.git(), name)
    }

    /// The commit that a name must stand for.
    pub(crate) fn known_commit(&self, name: &str) -> Result<CommitId, Error> {
        self.commit(name)?.ok_or_else(|| Error::NoCommit { name: name.to_owned() })
    }

    /// The tree of a commit.
    pub(crate) fn tree_of(&self, commit: &CommitId) -> Result<String, GitError> {
        self.git().args(["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).line()
    }

    /// Makes a commit that no branch has yet.
    pub(crate) fn commit_tree(
        &self,
        tree: &str,
        parents: &[&CommitId],
        message: &str,
    ) -> Result<CommitId, GitError> {
        let parents = parents.iter().flat_map(|parent| ["-p", parent.as_str()]);
        let call = self.git().args(["commit-tree", tree, "-F", "-"]).args(parents);
        call.input(message).line().map(CommitId)
    }

    /// Where two lines of work part.
    pub(crate) fn fork(&self, a: &CommitId, b: &CommitId) -> Result<Option<CommitId>, GitError> {
        let answer = self.git().args(["merge-base", a.as_str(), b.as_str()]).answer()?;
        Ok(answer.map(CommitId))
    }

    /// Whether one commit is part of another's history.
    pub(crate) fn is_ancestor(&self, old: &CommitId, new: &CommitId) -> Result<bool, GitError> {
        Ok(old == new
            || self
                .git()
                .args(["merge-base", "--is-ancestor", old.as_str(), new.as_str()])
                .test()?)
    }

    /// Changes several refs at once, or none of them.
    pub(crate) fn update_refs(&self, reason: &str, changes: &RefChanges) -> Result<(), GitError> {
        if changes.lines.is_empty() {
            return Ok(());
        }
        let update = || {
            let args = ["update-ref", "-m", reason, "--create-reflog", "--stdin", "-z"];
            self.git().args(args).input(changes.lines.clone()).run()
        };
        let refused = match update() {
            Err(GitError::Failed { message, .. }) if message.contains(".lock': File exists") => {
                message
            }
            other => return other,
        };
        // Git has waited for five seconds, and a living git keeps a ref for milliseconds: this is
        // what was left by one that was killed. Only our own refs are freed.
        for name in changes.names.iter().filter(|name| self.is_ours(name)) {
            let lock = self.common.join(format!("{name}.lock"));
            if refused.contains(&*lock.to_string_lossy()) {
                drop(fs::remove_file(lock));
            }
        }
        update()
    }

    /// All worktrees that exist, the main one first.
    pub(crate) fn checkouts(&self) -> Result<Vec<Checkout>, GitError> {
        let output = self.git().args(["worktree", "list", "--porcelain", "-z"]).output()?;
        let mut checkouts: Vec<Checkout> = Vec::new();
        for field in git::fields(&output) {
            if let Some(path) = field.strip_prefix(b"worktree ") {
                let path = sys::os_string(path.to_vec()).into();
                checkouts.push(Checkout { path, ..Checkout::default() });
                continue;
            }
            let Some(checkout) = checkouts.last_mut() else { continue };
            let text = String::from_utf8_lossy(field);
            match text.split_once(' ') {
                Some(("branch", name)) => checkout.branch = Some(name.to_owned()),
                Some(("HEAD", id)) => checkout.head = Some(CommitId(id.to_owned())),
                None if text == "bare" => checkout.bare = true,
                _ => {}
            }
        }
        checkouts.retain(|checkout| !checkout.bare && checkout.path.exists());
        Ok(checkouts)
    }

    /// The working tree that the repository was made with, if it has one.
    pub(crate) fn main_checkout(&self) -> Result<Option<PathBuf>, GitError> {
        let output = self.git().args(["worktree", "list", "--porcelain", "-z"]).output()?;
        let mut fields = git::fields(&output).take_while(|field| !field.is_empty());
        let path = fields.next().and_then(|field| field.strip_prefix(b"worktree "));
        let bare = fields.any(|field| field == b"bare");
        Ok(path.filter(|_| !bare).map(|path| sys::os_string(path.to_vec()).into()))
    }

    fn is_ours(&self, name: &str) -> bool {
        name.starts_with(&self.names.branches()) || name.starts_with(&self.names.all_attempts())
    }
}

/// The commit that a name stands for, in some worktree's eyes.
pub(crate) fn commit_in(call: Call, name: &str) -> Result<Option<CommitId>, GitError> {
    let name = format!("{name}^{{commit}}");
    let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
    Ok(call.args(args).answer()?.map(CommitId))
}

/// The admin folder of a worktree, in which git keeps its HEAD and its index.
pub(crate) fn admin_of(common: &Path, worktree: &Path) -> Option<PathBuf> {
    let pointer = worktree.join(".git");
    let entries = fs::read_dir(common.join("worktrees")).ok()?;
    entries.flatten().map(|entry| entry.path()).find(|admin| {
        let Ok(mut says) = fs::read(admin.join("gitdir")) else { return false };
        if says.last() == Some(&b'\n') {
            says.pop();
        }
        Path::new(&sys::os_string(says)) == pointer
    })
}

/// Changes of refs that happen together.
#[derive(Debug, Default)]
pub(crate) struct RefChanges {
    lines: Vec<u8>,
    names: Vec<String>,
}

impl RefChanges {
    /// Sets a ref, whatever it was.
    pub(crate) fn set(&mut self, name: &str, to: &CommitId) {
        self.push(&["update ", name, "\0", to.as_str(), "\0\0"], name);
    }

    /// Sets a ref if it still is what we saw.
    pub(crate) fn swap(&mut self, name: &str, from: &CommitId, to: &CommitId) {
        self.push(&["update ", name, "\0", to.as_str(), "\0", from.as_str(), "\0"], name);
    }

    /// Removes a ref if it still is what we saw.
    pub(crate) fn remove(&mut self, name: &str, from: &CommitId) {
        self.push(&["delete ", name, "\0", from.as_str(), "\0"], name);
    }

    fn push(&mut self, parts: &[&str], name: &str) {
        self.lines.extend(parts.concat().into_bytes());
        self.names.push(name.to_owned());
    }
}
