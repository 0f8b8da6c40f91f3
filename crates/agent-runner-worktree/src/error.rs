//! What can go wrong. A conflict, a pool in full use and work that changed nothing are not among it.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

/// Why git did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is no such program, or it cannot be started.
    #[error("could not start '{}'; is git installed, and in PATH?", program.display())]
    Start {
        /// The program.
        program: OsString,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It said no.
    #[error("`{command}` failed: {}", said(message, *code))]
    Failed {
        /// The command.
        command: String,
        /// Its exit code; none if a signal ended it.
        code: Option<i32>,
        /// What it wrote to stderr.
        message: String,
    },
}

fn said(message: &str, code: Option<i32>) -> String {
    match (message, code) {
        ("", Some(code)) => format!("exit code {code}"),
        ("", None) => "ended by a signal".to_owned(),
        (message, _) => message.to_owned(),
    }
}

/// Why worktrees of a repository cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder is in no repository.
    #[error("'{}' is in no git repository", path.display())]
    NoRepository {
        /// The folder.
        path: PathBuf,
    },
    /// Git refused.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Git is too old.
    #[error("git {found} is too old; agent-runner needs {needed} or newer")]
    Version {
        /// What is installed.
        found: String,
        /// What is needed.
        needed: &'static str,
    },
    /// There is nothing to begin with.
    #[error("repository '{}' has no commit; make one, then try again", path.display())]
    NoCommit {
        /// The repository.
        path: PathBuf,
    },
    /// The branch that work comes from and goes to is not there.
    #[error("there is no branch {branch:?} in repository '{}'", path.display())]
    NoBranch {
        /// The branch.
        branch: String,
        /// The repository.
        path: PathBuf,
    },
    /// The repository has submodules, which a worktree does not check out.
    #[error(
        "repository '{}' has submodules (such as '{}'), which worktrees leave empty; allow that if \
         the tasks do not need them, or if their set-up fills them",
        path.display(), submodule.display()
    )]
    Submodules {
        /// The repository.
        path: PathBuf,
        /// One of them.
        submodule: PathBuf,
    },
    /// A branch is named like the folder of our branches.
    #[error(
        "branch {branch:?} is in the way of branches {prefix}/…; rename it, or choose another prefix"
    )]
    BranchInTheWay {
        /// The branch.
        branch: String,
        /// What our branches begin with.
        prefix: String,
    },
    /// Branches cannot begin with that.
    #[error("{prefix:?} cannot be the beginning of a branch's name")]
    Prefix {
        /// What was asked for.
        prefix: String,
    },
    /// The pool may hold no worktree at all.
    #[error("a pool needs at least one worktree")]
    EmptyPool,
    /// The system refused.
    #[error("could not use '{}'", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Why work with a worktree failed. Nothing that was committed or lay in the worktree is lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Git refused.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A task's id cannot be empty or longer than a name can be.
    #[error("a task's id has 1 to {max} bytes, this one has {len}")]
    TaskId {
        /// Its length.
        len: usize,
        /// The most that is possible.
        max: usize,
    },
    /// A branch or commit that was named is not there.
    #[error("there is no commit {name:?} in the repository")]
    NoCommit {
        /// What was named.
        name: String,
    },
    /// The branch to merge into is not there.
    #[error("there is no branch {branch:?} to merge into")]
    NoBranch {
        /// The branch.
        branch: String,
    },
    /// The repository has no branch checked out, and none was chosen.
    #[error("no branch is checked out; choose the one to merge into")]
    NoTarget,
    /// The target moved each time that the work was about to land.
    #[error("branch {branch:?} moved {times} times while work was to be merged; try again")]
    Restless {
        /// The branch.
        branch: String,
        /// How often.
        times: u32,
    },
    /// The system refused.
    #[error("could not use '{}'", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    /// What the first question to a repository came to.
    pub(crate) fn of_first(error: GitError, path: &Path) -> Self {
        match &error {
            GitError::Failed { message, .. } if message.contains("not a git repository") => {
                Self::NoRepository { path: path.to_owned() }
            }
            _ => Self::Git(error),
        }
    }
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { path: path.into(), source }
    }

    /// Whether the same call may succeed later without anybody mending anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Restless { .. } => true,
            Self::Git(GitError::Failed { message, .. }) => message.contains(".lock': File exists"),
            _ => false,
        }
    }
}
