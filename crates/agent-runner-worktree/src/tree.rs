//! The working tree of a slot: made, filled, cleaned, thrown away.
//!
//! An agent may have done anything to it, so that nothing in it is believed: git is always told
//! which repository and which folder are meant.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    CommitId, Error,
    git::{Call, fields, is_absent},
    options::Ignored,
    repository::{Repository, admin_of, commit_in},
    roster::{Lock, Roster},
    sys,
};

/// What git keeps about a worktree and we leave there. Everything else is a merge, a rebase or a
/// bisection that somebody did not finish, or a lock of a process that is gone.
const KEPT: &[&str] = &["HEAD", "commondir", "gitdir", "index", "locked", "logs", "modules"];

/// A working tree that we hold the lock of.
pub(crate) struct Tree<'a> {
    pub(crate) repo: &'a Repository,
    pub(crate) path: &'a Path,
    pub(crate) lock: &'a Lock,
}

impl Tree<'_> {
    /// The folder in which git keeps its HEAD and index, if git knows this worktree.
    pub(crate) fn admin(&self) -> Option<PathBuf> {
        admin_of(&self.repo.common, self.path)
    }

    /// The same, with a HEAD that git understands. None if nothing can be made of it.
    pub(crate) fn mended_admin(&self, branch: &str) -> Option<PathBuf> {
        let admin = self.admin()?;
        let is_whole = || self.repo.git.bare(&admin).args(["rev-parse", "--git-dir"]).run().is_ok();
        if !is_whole() {
            fs::write(admin.join("HEAD"), format!("ref: {branch}\n")).ok()?;
        }
        is_whole().then_some(admin)
    }

    /// The commit that it stands on, if it stands on one.
    pub(crate) fn head(&self) -> Option<CommitId> {
        let call = self.repo.git.bare(&self.admin()?);
        commit_in(call, "HEAD").ok().flatten()
    }

    /// The branch that is checked out, if one is.
    pub(crate) fn branch(&self) -> Option<String> {
        let call = self.repo.git.bare(&self.admin()?);
        call.args(["symbolic-ref", "--quiet", "HEAD"]).answer().ok().flatten()
    }

    /// Whether the agent was about to move its commits elsewhere.
    pub(crate) fn is_rebasing(&self) -> bool {
        let Some(admin) = self.admin() else { return false };
        ["rebase-merge", "rebase-apply"].iter().any(|name| admin.join(name).exists())
    }

    /// The commit that the agent was merging, if it has mended all conflicts and only did not commit.
    pub(crate) fn resolved_merge(&self) -> Option<CommitId> {
        let call = self.repo.git.bare(&self.admin()?);
        let other = commit_in(call, "MERGE_HEAD").ok().flatten()?;
        let unmerged = self.git().ok()?.args(["ls-files", "-u", "-z"]).output().ok()?;
        let is_mended = |entry: &[u8]| {
            let name = entry.splitn(2, |byte| *byte == b'\t').nth(1).unwrap_or_default();
            let text = fs::read(self.path.join(sys::os_string(name.to_vec()))).unwrap_or_default();
            !text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"<<<<<<< "))
        };
        fields(&unmerged).all(is_mended).then_some(other)
    }

    /// A command in this working tree, which must be whole.
    pub(crate) fn git(&self) -> Result<Call, Error> {
        let admin = self.admin().ok_or_else(|| Error::NoCommit { name: "HEAD".to_owned() })?;
        Ok(self.repo.git.tree(&admin, self.path).hold(self.lock))
    }

    /// Puts a branch at a commit into the working tree; ignored files stay.
    pub(crate) fn settle(
        &self,
        roster: &Roster,
        branch: &str,
        commit: &CommitId,
    ) -> Result<(), Error> {
        self.ensure(roster, branch, commit)?;
        self.git()?.args(["symbolic-ref", "HEAD", branch]).run()?;
        self.fill()
    }

    /// Puts a commit without a branch into the working tree; ignored files stay.
    pub(crate) fn settle_detached(&self, commit: &CommitId) -> Result<(), Error> {
        self.detach(commit)?;
        self.fill()?;
        self.clean(&Ignored::Keep)
    }

    /// Lets go of the branch, so that people can check it out or remove it.
    pub(crate) fn detach(&self, commit: &CommitId) -> Result<(), Error> {
        Ok(self.git()?.args(["update-ref", "--no-deref", "HEAD", commit.as_str()]).run()?)
    }

    /// Puts a task's branch into the working tree and removes what the task before left. If that is
    /// impossible, the working tree is thrown away and made anew.
    pub(crate) fn prepare(
        &self,
        roster: &Roster,
        branch: &str,
        commit: &CommitId,
        ignored: &Ignored,
    ) -> Result<(), Error> {
        let attempt = || {
            self.settle(roster, branch, commit)?;
            self.clean(ignored)
        };
        attempt().or_else(|_| {
            self.discard()?;
            attempt()
        })
    }

    fn fill(&self) -> Result<(), Error> {
        let reset = || Ok::<_, Error>(self.git()?.args(["reset", "--hard", "--quiet"]).run()?);
        reset().or_else(|_| {
            // An index that cannot be read is worth nothing.
            if let Some(admin) = self.admin() {
                drop(fs::remove_file(admin.join("index")));
            }
            reset()
        })
    }

    /// Removes what git does not know, and of what it ignores what is not to be kept.
    pub(crate) fn clean(&self, ignored: &Ignored) -> Result<(), Error> {
        self.git()?.args(["clean", "-ffdq"]).run()?;
        let kept: Vec<String> = match ignored {
            Ignored::Keep => return Ok(()),
            Ignored::KeepOnly(patterns) => patterns.iter().map(|one| format!("-e!{one}")).collect(),
        };
        Ok(self.git()?.args(["clean", "-ffdXq"]).args(kept).run()?)
    }

    /// Makes it a worktree that git can work in.
    fn ensure(&self, roster: &Roster, branch: &str, commit: &CommitId) -> Result<(), Error> {
        let Some(admin) = self.mended_admin(branch) else {
            self.discard()?;
            return self.create(roster, commit);
        };
        let failed = |source| Error::Io { path: self.path.to_owned(), source };
        tidy(&admin).map_err(failed)?;
        fs::create_dir_all(self.path).map_err(failed)?;
        point_to(self.path, &admin).map_err(failed)
    }

    /// Makes a worktree, one at a time: git's own bookkeeping is no match for a crowd.
    fn create(&self, roster: &Roster, commit: &CommitId) -> Result<(), Error> {
        let lock = roster.lock()?;
        let options = ["worktree", "add", "--quiet", "--no-checkout", "--detach", "--force"];
        // The lock keeps it from `git worktree prune`, and tells people whose it is.
        let locked = ["--lock", "--reason", "agent-runner works here; it removes it when asked to"];
        let call = self.repo.git().hold(&lock).args(options).args(locked).args(["--"]);
        call.args([self.path.as_os_str(), commit.as_str().as_ref()]).run()?;
        Ok(())
    }

    /// Throws the worktree away, whatever state it is in.
    pub(crate) fn discard(&self) -> Result<(), Error> {
        for folder in [Some(self.path.to_owned()), self.admin()].into_iter().flatten() {
            remove(&folder).map_err(Error::io(folder))?;
        }
        Ok(())
    }
}

/// Removes a file, or a folder even if an agent has forbidden to look into it.
fn remove(path: &Path) -> io::Result<()> {
    let gone = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if is_absent(&error) => Ok(()),
        Err(_) => {
            sys::make_removable(path)?;
            fs::remove_dir_all(path)
        }
        Ok(()) => Ok(()),
    }
}

fn tidy(admin: &Path) -> io::Result<()> {
    for entry in fs::read_dir(admin)? {
        let entry = entry?;
        if !KEPT.iter().any(|name| entry.file_name() == *name) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Writes the file that tells git, and the agent, which repository this is.
fn point_to(worktree: &Path, admin: &Path) -> io::Result<()> {
    let pointer = worktree.join(".git");
    let mut text = b"gitdir: ".to_vec();
    text.extend(admin.as_os_str().as_encoded_bytes());
    text.push(b'\n');
    if fs::read(&pointer).is_ok_and(|says| says == text) {
        return Ok(());
    }
    remove(&pointer)?;
    fs::write(pointer, text)
}
