//! One error type for the program: what happened, which exit code it means, and what to do.

use std::{error::Error as StdError, fmt, io};

use agent_runner_lock::AcquireError;
use agent_runner_task_store::StoreError;

use crate::exit_code::Exit;

/// An error that ends the program.
#[derive(Debug)]
pub struct Error {
    exit: Exit,
    source: anyhow::Error,
    hints: Vec<String>,
}

/// What the program's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What to do about a full disk. To the system it is the same where only files are too many.
const FULL: &str = "free some space and run again: nothing that was recorded is lost (too many files fill a disk as well: `df -i`)";

impl Error {
    /// An error with its exit code.
    pub fn new(exit: Exit, source: impl Into<anyhow::Error>) -> Self {
        let source = source.into();
        let hints = if is_full(&source) { vec![FULL.to_owned()] } else { Vec::new() };
        Self { exit, source, hints }
    }

    /// A command line that cannot be followed.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::message(Exit::Usage, message)
    }

    /// A configuration, backlog or store that cannot be used.
    pub fn invalid(message: impl fmt::Display) -> Self {
        Self::message(Exit::Invalid, message)
    }

    /// An error that is its message.
    pub fn message(exit: Exit, message: impl fmt::Display) -> Self {
        Self::new(exit, anyhow::anyhow!("{message}"))
    }

    /// Adds what a person can do.
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// The exit code.
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// The hints, first to last.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The message and its causes, joined by colons, without repetition.
    pub fn chain(&self) -> String {
        let mut text = self.source.to_string();
        for cause in self.source.chain().skip(1).map(ToString::to_string) {
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}

impl StdError for Error {}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let (exit, hint) = match &error {
            StoreError::NewerSchema { .. } => (
                Exit::Invalid,
                Some(
                    "this store was written by a newer agent-runner: upgrade, or name another one with `--store`",
                ),
            ),
            StoreError::NotAStore { .. } => {
                (Exit::Invalid, Some("name another file with `--store sqlite:PATH`"))
            }
            StoreError::Corrupt { .. } => (
                Exit::Invalid,
                Some(
                    "keep the file and its `-wal` for inspection, and start with another `--store`; `agent-runner export` may still read what is intact",
                ),
            ),
            StoreError::DiskFull { .. } => (Exit::Invalid, None),
            StoreError::Io { .. } => (
                Exit::Invalid,
                Some(
                    "check that the folder exists and can be written, or name another one with `--store`",
                ),
            ),
            StoreError::UnknownDependency { .. }
            | StoreError::Cycle { .. }
            | StoreError::Duplicate { .. } => {
                (Exit::Invalid, Some("mend the backlog: nothing of it was added"))
            }
            StoreError::Running { .. } => {
                (Exit::Invalid, Some("wait for it, or `agent-runner cancel` it first"))
            }
            StoreError::NotFound { .. } => {
                (Exit::Usage, Some("`agent-runner list` shows the tasks"))
            }
            _ => (Exit::Unexpected, None),
        };
        let error = Self::new(exit, error);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// Whether a disk is full, of bytes or of files.
fn is_full(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|it| {
            matches!(it.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        }) || matches!(cause.downcast_ref(), Some(AcquireError::DiskFull { .. }))
            || matches!(cause.downcast_ref(), Some(StoreError::DiskFull { .. }))
    })
}

/// Turns a failure of a library or the system into an [`Error`] with an exit code.
pub trait OrExit<T> {
    /// Says what was tried, and which exit code its failure means.
    fn or_exit(self, exit: Exit, what: impl FnOnce() -> String) -> Result<T>;

    /// As [`OrExit::or_exit`] with [`Exit::Invalid`].
    fn or_invalid(self, what: impl FnOnce() -> String) -> Result<T>
    where
        Self: Sized,
    {
        self.or_exit(Exit::Invalid, what)
    }
}

impl<T, E: StdError + Send + Sync + 'static> OrExit<T> for std::result::Result<T, E> {
    fn or_exit(self, exit: Exit, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::new(exit, anyhow::Error::new(error).context(what())))
    }
}

/// An error and its causes, joined by colons.
pub fn chain_of(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_full_disk_is_told_as_one_wherever_it_is_met() {
        let path = PathBuf::from("x");
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        for error in [
            Error::new(Exit::Unexpected, AcquireError::DiskFull { path: path.clone() }),
            Error::from(StoreError::DiskFull { path: path.clone() }),
            Error::from(StoreError::Database(Box::new(full()))),
            Err::<(), _>(full()).or_exit(Exit::Unexpected, || "could not".into()).unwrap_err(),
        ] {
            assert!(error.hints().iter().any(|hint| hint.contains("df -i")), "{error}");
        }
        assert!(Error::new(Exit::Unexpected, io::Error::other("x")).hints().is_empty());
    }
}
