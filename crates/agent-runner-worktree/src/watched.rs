//! A working tree that is not ours: looked at, and never changed.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    CommitId, Diff, Error, OpenError,
    diff::diff,
    git::Git,
    name::Names,
    options::io_error,
    repository::{Repository, commit_in},
    snapshot::Camera,
};

/// A working tree of somebody's, to see whether anything changes in it. Clones are cheap.
///
/// All calls block; in asynchronous code they belong into `spawn_blocking`.
#[derive(Debug, Clone)]
pub struct Watched(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    repo: Repository,
    /// Where git keeps this working tree's HEAD and index.
    git_dir: PathBuf,
    top: PathBuf,
    looks: AtomicU64,
}

/// How a working tree was at some time: what is checked out, and all files that git does not ignore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    head: CommitId,
    tree: String,
}

impl Watched {
    /// Finds the working tree around a folder.
    ///
    /// # Errors
    ///
    /// If there is none, or it has no commit; see [`OpenError`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, OpenError> {
        let folder = folder.as_ref();
        let git = Git::default();
        let first = |error| OpenError::of_first(error, folder);
        let ask = |args: &[&str]| {
            let path =
                git.at(folder).args(["rev-parse", "--path-format=absolute"]).args(args).path();
            let path = path.map_err(first)?;
            fs::canonicalize(&path).map_err(io_error(&path))
        };
        let (top, git_dir) = (ask(&["--show-toplevel"])?, ask(&["--git-dir"])?);
        let common = ask(&["--git-common-dir"])?;
        if commit_in(git.at(folder), "HEAD")?.is_none() {
            return Err(OpenError::NoCommit { path: folder.to_owned() });
        }
        let names = Names { prefix: "agent-runner".to_owned(), folds: false };
        let repo = Repository { git, common, names };
        Ok(Self(Arc::new(Inner { repo, git_dir, top, looks: AtomicU64::new(0) })))
    }

    /// Looks at the working tree. Its index and all else of it stays as it is; files that are new
    /// are copied into the repository, as `git add` would.
    ///
    /// # Errors
    ///
    /// If git or the file system refuses.
    pub fn look(&self) -> Result<Sight, Error> {
        let Inner { repo, git_dir, top, looks } = &*self.0;
        let head = commit_in(repo.git.bare(git_dir), "HEAD")?;
        let head = head.ok_or_else(|| Error::NoCommit { name: "HEAD".to_owned() })?;
        let number = looks.fetch_add(1, Ordering::Relaxed);
        let index = git_dir.join(format!("agent-runner.{}-{number}.index", process::id()));
        let camera =
            Camera { repo, git_dir, work_tree: top, base: &head, largest_file: u64::MAX, index };
        let snapshot = camera.take(&head);
        drop(fs::remove_file(&camera.index));
        Ok(Sight { tree: snapshot?.tree, head })
    }

    /// Counts what changed in files between two looks. It may be nothing although the looks differ:
    /// what was there is now committed.
    ///
    /// # Errors
    ///
    /// If git refuses.
    pub fn diff(&self, before: &Sight, after: &Sight) -> Result<Diff, Error> {
        let tree = |sight: &Sight| CommitId(sight.tree.clone());
        diff(&self.0.repo, &tree(before), &tree(after))
    }
}
