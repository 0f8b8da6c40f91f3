//! A durable store of tasks: what there is to do, and what became of it.

mod error;
mod store;
mod task;

#[cfg(feature = "backlog")]
pub mod backlog;

pub use crate::{
    error::StoreError,
    store::{
        AddReport, Beat, Budget, Claim, ClaimRequest, Counts, Fence, Filter, Finished, Report,
        RunningTask, Selector, TaskStore, Verdict, Worker,
    },
    task::{Attempt, CommandLine, NewTask, Task, TaskId, TaskIdError, TaskStatus},
};
