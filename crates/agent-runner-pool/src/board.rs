//! What can be seen of a run while it works: counters, and the workers' health.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{End, WorkerHealth, WorkerId};

/// How often jobs ended in which way. A job that goes back counts each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Jobs that run now.
    pub running: u64,
    /// Done.
    pub finished: u64,
    /// Failed by themselves.
    pub failed: u64,
    /// Gone back because a worker failed.
    pub requeued: u64,
    /// Gone back uncounted: a limit, or the run was cancelled.
    pub released: u64,
}

/// A run at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The jobs so far.
    pub counts: Counts,
    /// The workers that have not left, and their health.
    pub workers: Vec<(WorkerId, WorkerHealth)>,
}

#[derive(Debug, Default)]
pub(crate) struct Board {
    started: AtomicU64,
    finished: AtomicU64,
    failed: AtomicU64,
    requeued: AtomicU64,
    released: AtomicU64,
    workers: Mutex<BTreeMap<WorkerId, WorkerHealth>>,
}

impl Board {
    pub(crate) fn job_started(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    pub(crate) fn job_ended<O, E>(&self, end: &End<O, E>) {
        let counter = match end {
            End::Finished(_) => &self.finished,
            End::Failed(_) => &self.failed,
            End::Requeued(_) => &self.requeued,
            End::Released(_) | End::Cancelled => &self.released,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn worker_is(&self, worker: WorkerId, health: WorkerHealth) {
        self.workers().insert(worker, health);
    }

    pub(crate) fn worker_left(&self, worker: WorkerId) {
        self.workers().remove(&worker);
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts {
            running: 0,
            finished: self.finished.load(Relaxed),
            failed: self.failed.load(Relaxed),
            requeued: self.requeued.load(Relaxed),
            released: self.released.load(Relaxed),
        };
        let ended = counts.finished + counts.failed + counts.requeued + counts.released;
        // Counters are read one after the other, so that an end may be seen before its start.
        counts.running = self.started.load(Relaxed).saturating_sub(ended);
        counts
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let workers = self.workers().iter().map(|(&id, &health)| (id, health)).collect();
        Snapshot { counts: self.counts(), workers }
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<WorkerId, WorkerHealth>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
