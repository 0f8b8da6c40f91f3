//! The first steps of a run, for a process that is to die in the middle of them.

use std::{process, time::Duration};

use agent_runner_lock::{LockDir, TaskLock};
use agent_runner_task_store::{Budget, Claim, ClaimRequest, Takes, Worker};

use super::host;
use crate::{
    error::{Error, OrExit, Result},
    exit_code::Exit,
    project::Project,
};

/// What a runner holds while its agent works.
#[derive(Debug)]
#[must_use = "what is held is released when it is dropped"]
pub struct Holding {
    _run: TaskLock,
    _task: TaskLock,
    _claim: Claim,
}

/// Claims a task and takes its lock, as a run does.
pub async fn claim_and_hold(project: &Project) -> Result<Holding> {
    let run = format!("doomed-{}", process::id());
    let run_lock = lock(&project.open_run_locks(&run)?, &run)?;
    let store = project.open_store()?;
    let request = ClaimRequest {
        worker: Worker { run: run.clone(), host: host::name(), pid: process::id(), number: 0 },
        lease: Duration::from_secs(30),
        budget: Budget::default(),
        tags: Vec::new(),
        takes: Takes::default(),
    };
    let claim =
        store.claim(&request).await?.ok_or_else(|| Error::invalid("there is no task to claim"))?;
    let task_lock = lock(&project.open_locks(&run)?, claim.fence.task.as_str())?;
    Ok(Holding { _run: run_lock, _task: task_lock, _claim: claim })
}

fn lock(locks: &LockDir, key: &str) -> Result<TaskLock> {
    let acquired =
        locks.try_acquire(key).or_exit(Exit::Invalid, || format!("could not lock '{key}'"))?;
    acquired.acquired().ok_or_else(|| {
        Error::message(Exit::Held, format!("somebody else holds the lock of '{key}'"))
    })
}
