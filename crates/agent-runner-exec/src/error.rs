//! Why a command could not be run.

use std::{ffi::OsString, io, path::PathBuf};

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// No such program.
    #[error(
        "could not find program '{}'{}",
        program.display(),
        if searched.is_empty() { "" } else { " in PATH" }
    )]
    ProgramNotFound {
        /// What was asked for.
        program: OsString,
        /// The folders of `PATH`; empty if a path was asked for.
        searched: Vec<PathBuf>,
    },
    /// There is such a file, but it cannot be executed.
    #[error("'{}' is not an executable file", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
    },
    /// The program is a script, and what its first line names cannot be run.
    #[error("could not start '{}': the interpreter in its first line cannot be run", path.display())]
    Interpreter {
        /// The script.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The working directory is not there, or cannot be entered.
    #[error("could not enter working directory '{}'", path.display())]
    WorkingDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The log cannot be created.
    #[error("could not create log '{}'", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A [memory limit](crate::Command::memory_limit), where it could not be kept.
    #[error("memory cannot be limited on this system")]
    MemoryLimit,
    /// The system refused.
    #[error("could not start '{}'", path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl SpawnError {
    /// Whether the same command may well start a moment later: the system was short of processes,
    /// memory, descriptors or disk space, or the file was being written.
    pub fn is_transient(&self) -> bool {
        use io::ErrorKind as K;
        match self {
            Self::Start { source, .. } | Self::Log { source, .. } => {
                matches!(
                    source.kind(),
                    K::WouldBlock | K::OutOfMemory | K::ExecutableFileBusy | K::StorageFull
                ) || too_many_open_files(source)
            }
            _ => false,
        }
    }
}

/// Why the end of a child could not be seen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The system refused to tell. Something else in this process has taken the child's status,
    /// or SIGCHLD is ignored.
    #[error("could not learn how process {pid} ended")]
    Status {
        /// The child.
        pid: u32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

#[cfg(unix)]
fn too_many_open_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(not(unix))]
fn too_many_open_files(_: &io::Error) -> bool {
    false
}
