//! The locks of a task at work: its own, and the resources that it names.

use std::time::{Duration, Instant};

use agent_runner_lock::{AcquireError, LockDir, LockInfo, LostError, ResourceLock, TaskLock};
use agent_runner_task_store::{Task, Verdict};

use super::{leftovers, outcome::Outcome};
use crate::{cli::Orphans, resources};

/// How long its last holder may take to let go of what the store has given to the next.
const HANDOVER: Duration = Duration::from_millis(500);

/// What excludes others from a task and from what it works on, on this machine.
#[derive(Debug)]
pub(super) struct Locks {
    pub(super) task: TaskLock,
    resources: Option<ResourceLock>,
}

/// Why a task does not get its locks.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) verdict: Verdict,
    pub(super) outcome: Outcome,
    /// For people: who has them.
    pub(super) message: String,
}

impl Locks {
    /// Takes all of them or none.
    pub(super) async fn take(
        dir: &LockDir,
        task: &Task,
        orphans: Orphans,
    ) -> Result<Result<Self, Refused>, AcquireError> {
        let resources = match resources::of(&task.spec) {
            Ok(resources) => resources,
            Err(error) => return Ok(Err(Refused::invalid(crate::error::chain_of(&error)))),
        };
        let deadline = Instant::now() + HANDOVER;
        let taken = match dir.acquire_until(task.id.as_str(), deadline).await {
            // Its last holder may have been killed after the store had heard from it.
            Ok(lock) => leftovers::settle(lock, orphans).await?,
            Err(AcquireError::TimedOut { .. }) => {
                leftovers::take(dir, task.id.as_str(), orphans).await?
            }
            Err(error) => return Err(error),
        };
        let task = match taken {
            Ok(taken) => taken.lock,
            Err(held) => return Ok(Err(Refused::held(held.to_string(), held.info.as_ref()))),
        };
        if resources.is_empty() {
            return Ok(Ok(Self { task, resources: None }));
        }
        match dir.acquire_all_until(&resources, deadline).await {
            Ok(resources) => Ok(Ok(Self { task, resources: Some(resources) })),
            Err(AcquireError::ResourcesTimedOut { held: claims, .. }) => {
                let words: Vec<_> = claims.iter().map(ToString::to_string).collect();
                let info = claims.first().and_then(|claim| claim.info.as_ref());
                Ok(Err(Refused::held(words.join("; "), info)))
            }
            Err(error) => Err(error),
        }
    }

    /// Does something while children inherit the locks, so that these outlive this process in them.
    pub(super) fn while_inheritable<T>(&self, spawn: impl FnOnce() -> T) -> Result<T, LostError> {
        match &self.resources {
            Some(resources) => {
                self.task.while_inheritable(|| resources.while_inheritable(spawn))?
            }
            None => self.task.while_inheritable(spawn),
        }
    }
}

impl Refused {
    /// It is tried again: soon if the holder came just now, seldom if it has been there for hours.
    fn held(message: String, holder: Option<&LockInfo>) -> Self {
        let since = holder.map(LockInfo::age).unwrap_or_default();
        let retry_after = (since / 4).clamp(Duration::from_secs(1), Duration::from_secs(30));
        Self { verdict: Verdict::Released { retry_after }, outcome: Outcome::Locked, message }
    }

    fn invalid(message: String) -> Self {
        Self { verdict: Verdict::Dead, outcome: Outcome::Invalid, message }
    }
}
