//! A durable store of tasks: what there is to do, and what became of it.

mod clock;
mod content;
mod error;
mod graph;
mod memory;
mod rules;
mod store;
mod task;

#[cfg(feature = "backlog")]
pub mod backlog;

pub use crate::{
    clock::{Clock, ManualClock, SystemClock},
    error::StoreError,
    memory::MemoryStore,
    store::{
        AddReport, Beat, Budget, Claim, ClaimRequest, Counts, Fence, Filter, Finished, Imported,
        Report, RunningTask, Selector, TaskSource, TaskStore, Verdict, Worker,
    },
    task::{Attempt, CommandLine, NewTask, Task, TaskId, TaskIdError, TaskStatus},
};
