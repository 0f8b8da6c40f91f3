//! What can go wrong in a store.

use std::{io, path::PathBuf};

use crate::TaskId;

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The claim is not (or no longer) the holder's: the task was given to somebody else, ended or
    /// was taken back. What the holder did since must not be recorded.
    #[error("the claim on task '{task}' (attempt {attempt}) is no longer held")]
    LeaseLost {
        /// The task.
        task: TaskId,
        /// The attempt that lost it.
        attempt: u32,
    },
    /// There is no such task.
    #[error("there is no task '{task}'")]
    NotFound {
        /// The id asked for.
        task: TaskId,
    },
    /// A task depends on one that is neither in the store nor among those added.
    #[error("task '{task}' depends on '{missing}', which does not exist")]
    UnknownDependency {
        /// The task.
        task: TaskId,
        /// What it names.
        missing: TaskId,
    },
    /// Tasks that wait for each other.
    #[error("tasks depend on each other in a circle: {}", join(cycle))]
    Cycle {
        /// The circle, first task repeated at the end.
        cycle: Vec<TaskId>,
    },
    /// The same id twice in one call.
    #[error("task id '{task}' is used twice")]
    Duplicate {
        /// The id.
        task: TaskId,
    },
    /// The task runs, so that it cannot be changed.
    #[error("task '{task}' is running, so that it cannot be changed")]
    Running {
        /// The task.
        task: TaskId,
    },
    /// The store was made by a newer version of this software.
    #[error("store '{path}' has schema version {found}, this program knows up to {known}")]
    NewerSchema {
        /// The store.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// The file is a database, but not a task store.
    #[error("'{path}' is not a task store")]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// The store's content is damaged.
    #[error("store '{path}' is damaged: {detail}")]
    Corrupt {
        /// The store.
        path: PathBuf,
        /// What the database says.
        detail: String,
    },
    /// The file or folder could not be opened, created or written.
    #[error("could not use store '{path}'")]
    Io {
        /// The store.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left for store '{path}'")]
    DiskFull {
        /// The store.
        path: PathBuf,
    },
    /// The store was opened for reading only.
    #[error("store '{path}' was opened for reading only")]
    ReadOnly {
        /// The store.
        path: PathBuf,
    },
    /// The source of an import failed, and nothing was added.
    #[error("could not read the tasks to import")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store was closed, or its thread has ended.
    #[error("the store is closed")]
    Closed,
    /// Anything else that the database reports.
    #[error("the store's database failed")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn join(ids: &[TaskId]) -> String {
    ids.iter().map(TaskId::as_str).collect::<Vec<_>>().join(" -> ")
}
