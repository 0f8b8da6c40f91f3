//! Tasks that something is in the way of which only a person can put right.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use agent_runner_task_store::{Counts, StoreError, Task, TaskId};

use super::{attempt::Ended, needs::Selection, outcome::Outcome, queue::TaskQueue};

/// A task waits twice as long each time that it is tried in vain. When it waits as long as this,
/// somebody who looks has had a minute to put it right.
const LONG: Duration = Duration::from_secs(30);

/// So many tasks that wait for their time are looked at; of more, one can surely be run.
const LOOKED_AT: usize = 1_000;

/// The tasks that this run has tried in vain until they waited for long.
#[derive(Debug, Default)]
pub(super) struct Blocked(Mutex<HashSet<TaskId>>);

impl Blocked {
    /// Learns from how an attempt ended.
    pub(super) fn see(&self, task: &TaskId, ended: &Ended) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.outcome.is_in_the_way() && ended.retry_after.is_some_and(|wait| wait >= LONG) {
            tasks.insert(task.clone());
        } else {
            tasks.remove(task);
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(super) fn has(&self, task: &TaskId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(task)
    }
}

impl TaskQueue {
    /// Whether nothing that comes due could be run then: something is in the way of each task that
    /// stays there or, where others were passed over for the want of a key, that is not waited for.
    pub(super) async fn is_stuck(
        &self,
        selection: &Selection,
        passes_over: bool,
        before: Counts,
    ) -> Result<bool, StoreError> {
        if before.running > 0 || (!passes_over && self.blocked.is_empty()) {
            return Ok(false);
        }
        let delayed = self.store.delayed(LOOKED_AT).await?;
        let is_stuck = |task: &Task| {
            let held = || selection.hold_of(&self.agents, task.spec.command.as_ref());
            let is_given_up = || held().is_some_and(|hold| !self.waits_for(&hold));
            self.blocked.has(&task.id) || (passes_over && is_given_up())
        };
        let are_all = !delayed.is_empty() && delayed.len() < LOOKED_AT;
        // None has come due since the others were counted.
        Ok(are_all && delayed.iter().all(is_stuck) && self.look().await?.1 == before)
    }
}

impl Outcome {
    /// Whether only a person can put right what was in the way.
    pub(super) fn is_in_the_way(self) -> bool {
        matches!(self, Self::MergeBlocked | Self::WorktreeBlocked)
    }
}
