#![doc = include_str!("../README.md")]

mod bytes;
mod clock;
mod content;
mod error;
mod graph;
mod memory;
mod rules;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod task;

#[cfg(feature = "backlog")]
pub mod backlog;
#[cfg(feature = "conformance")]
pub mod conformance;

#[cfg(feature = "sqlite")]
pub use crate::sqlite::{SqliteOptions, SqliteStore, Synchronous};

pub use crate::{
    bytes::{Bytes, ParseBytesError},
    clock::{Clock, ManualClock, SystemClock},
    error::StoreError,
    memory::MemoryStore,
    rules::Overlap,
    store::{
        AddReport, Beat, Budget, Claim, ClaimRequest, Counts, Fence, Filter, Finished, Imported,
        Report, RunningTask, Selector, Takes, TaskSource, TaskStore, Verdict, Worker,
    },
    task::{Attempt, CommandLine, NewTask, Task, TaskId, TaskIdError, TaskStatus},
};
