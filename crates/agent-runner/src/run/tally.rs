//! What a run has done so far, and whether too much of it failed.

use std::sync::atomic::{AtomicU64, Ordering};

use agent_runner_task_store::TaskStatus;

use crate::units::{FailureLimit, count};

/// Counters of one run.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) attempts: AtomicU64,
    pub(super) succeeded: AtomicU64,
    pub(super) failed: AtomicU64,
    total: u64,
    limit: Option<FailureLimit>,
}

impl Tally {
    /// `total` is what a limit's share refers to.
    pub(super) const fn new(total: u64, limit: Option<FailureLimit>) -> Self {
        Self {
            attempts: AtomicU64::new(0),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            total,
            limit,
        }
    }

    pub(super) fn see(&self, status: TaskStatus) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        match status {
            TaskStatus::Succeeded => self.succeeded.fetch_add(1, Ordering::Relaxed),
            TaskStatus::Failed => self.failed.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    /// Whether failures can end the run.
    pub(super) const fn has_limit(&self) -> bool {
        self.limit.is_some()
    }

    pub(super) fn too_many_failures(&self) -> Option<String> {
        let failed = self.failed.load(Ordering::Relaxed);
        let reached = self.limit.is_some_and(|limit| limit.is_reached(failed, self.total));
        reached.then(|| format!("{} failed", count(failed, "task")))
    }
}
