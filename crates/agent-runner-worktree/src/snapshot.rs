//! What lies in a working tree, as a tree of git's, without touching anything in it.
//!
//! The agent's index is copied, not used: it may be locked, in the middle of a merge, or broken.
//! Repositories that the agent made inside are taken in as plain files; git alone would keep their
//! name and lose their content.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    CommitId, Error, GitError,
    git::{Call, fields},
    repository::Repository,
    sys,
};

/// What lies in a working tree.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) tree: String,
    /// Files that are too large to be kept.
    pub(crate) left_out: Vec<PathBuf>,
    /// Files of a merge that the agent has not resolved.
    pub(crate) unmerged: Vec<PathBuf>,
}

/// Where to look, and with what in mind.
pub(crate) struct Camera<'a> {
    pub(crate) repo: &'a Repository,
    /// The worktree's admin folder, or the repository's if it has none.
    pub(crate) git_dir: &'a Path,
    pub(crate) work_tree: &'a Path,
    /// A commit whose submodules are no surprise.
    pub(crate) base: &'a CommitId,
    pub(crate) largest_file: u64,
    /// A file that is free, beside the agent's index.
    pub(crate) index: PathBuf,
}

impl Camera<'_> {
    /// Takes the snapshot, with the agent's index if that can be read, else with that of a commit.
    pub(crate) fn take(&self, parent: &CommitId) -> Result<Snapshot, Error> {
        let index = &self.index;
        let shot = |seed: &dyn Fn() -> Result<(), Error>| {
            remove_index(index).map_err(Error::io(index))?;
            seed()?;
            self.shoot(self.work_tree, index)
        };
        let copied =
            shot(&|| copy_index(&self.git_dir.join("index"), index).map_err(Error::io(index)));
        copied.or_else(|_| {
            shot(&|| {
                let call = self.git(self.work_tree, index);
                Ok(call.args(["read-tree", parent.as_str()]).run()?)
            })
        })
    }

    fn git(&self, work_tree: &Path, index: &Path) -> Call {
        self.repo.git.tree(self.git_dir, work_tree).env("GIT_INDEX_FILE", index)
    }

    /// Adds everything to an index and writes its tree; repositories inside by the same means.
    fn shoot(&self, work_tree: &Path, index: &Path) -> Result<Snapshot, Error> {
        let git = || self.git(work_tree, index);
        let listed = git().args(["ls-files", "-o", "-u", "-z", "--exclude-standard"]).output()?;
        let (mut nested, mut left_out, mut unmerged) = (Vec::new(), Vec::new(), Vec::new());
        for name in fields(&listed) {
            if let Some(name) = side_of_conflict(name) {
                unmerged.push(PathBuf::from(sys::os_string(name.to_vec())));
                continue;
            }
            let path = PathBuf::from(sys::os_string(name.to_vec()));
            if name.ends_with(b"/") {
                nested.push(path);
            } else if self.is_too_large(&work_tree.join(&path)) {
                left_out.push(path);
            }
        }
        let mut pathspec = b":(top)".to_vec();
        for path in nested.iter().chain(&left_out) {
            pathspec.extend(b"\0:(exclude,top,literal)");
            pathspec.extend(path_bytes(path));
        }
        let add = ["add", "-A", "--pathspec-from-file=-", "--pathspec-file-nul"];
        git().args(add).input(pathspec).run()?;
        if work_tree == self.work_tree {
            nested.extend(self.surprising_links(&git)?);
        }

        for path in nested {
            let inner = with_suffix(index, ".nested");
            remove_index(&inner).map_err(Error::io(&inner))?;
            let Snapshot { tree, left_out: inside, .. } =
                self.shoot(&work_tree.join(&path), &inner)?;
            remove_index(&inner).map_err(Error::io(&inner))?;
            left_out.extend(inside.into_iter().map(|file| path.join(file)));
            let mut prefix = OsString::from("--prefix=");
            prefix.push(path.join(""));
            git().args([OsStr::new("read-tree"), &prefix, tree.as_ref()]).run()?;
        }
        unmerged.dedup();
        Ok(Snapshot { tree: git().args(["write-tree"]).line()?, left_out, unmerged })
    }

    /// Repositories inside that the agent has added as if they were submodules: taken out of the
    /// index, so that their files can be put in.
    fn surprising_links(&self, git: &dyn Fn() -> Call) -> Result<Vec<PathBuf>, GitError> {
        let options = ["diff-index", "--cached", "--raw", "-z", "--no-renames"];
        let changes = git().args(options).args([self.base.as_str()]).output()?;
        let (mut links, mut remove) = (Vec::new(), Vec::new());
        let parts: Vec<&[u8]> = fields(&changes).collect();
        for pair in parts.chunks_exact(2) {
            let path = PathBuf::from(sys::os_string(pair[1].to_vec()));
            if becomes_link(pair[0]) && self.work_tree.join(&path).join(".git").exists() {
                remove.extend(pair[1]);
                remove.push(0);
                links.push(path);
            }
        }
        if !links.is_empty() {
            git().args(["update-index", "--force-remove", "-z", "--stdin"]).input(remove).run()?;
        }
        Ok(links)
    }

    fn is_too_large(&self, file: &Path) -> bool {
        fs::symlink_metadata(file).is_ok_and(|metadata| metadata.len() > self.largest_file)
    }
}

/// The file's name, if this is one side of a conflict as git lists it: `mode object stage\tname`.
/// An untracked file is listed by its name alone.
fn side_of_conflict(listed: &[u8]) -> Option<&[u8]> {
    let tab = listed.iter().position(|byte| *byte == b'\t')?;
    let (mut side, name) = (listed[..tab].split(|byte| *byte == b' '), &listed[tab + 1..]);
    let (mode, object, stage) = (side.next()?, side.next()?, side.next()?);
    let is_side = mode.len() == 6
        && object.len() >= 40
        && object.iter().all(u8::is_ascii_hexdigit)
        && matches!(stage, b"1" | b"2" | b"3")
        && side.next().is_none();
    is_side.then_some(name)
}

/// Whether a change in git's raw format, `:old-mode new-mode …`, makes something a link to a
/// repository that was none.
fn becomes_link(change: &[u8]) -> bool {
    !change.starts_with(b":160000 ") && change.split(|byte| *byte == b' ').nth(1) == Some(b"160000")
}

/// Copies an index with its time, by which git knows which files may have changed since.
fn copy_index(from: &Path, to: &Path) -> io::Result<()> {
    let modified = fs::metadata(from)?.modified()?;
    fs::copy(from, to)?;
    fs::File::options().write(true).open(to)?.set_modified(modified)
}

fn remove_index(index: &Path) -> io::Result<()> {
    for path in [index.to_owned(), with_suffix(index, ".lock")] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn path_bytes(path: &Path) -> &[u8] {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.strip_suffix(b"/").unwrap_or(bytes)
}
