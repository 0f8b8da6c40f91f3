//! What goes on beside the work: heartbeats for the claims of this run, and the rescue of tasks
//! whose runner is gone.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use agent_runner_lock::{Acquire, LockDir};
use agent_runner_task_store::{Beat, RunningTask, StoreError, TaskId, TaskStore};

use super::{claims::Claims, leftovers};
use crate::{
    error::{OrExit, Result},
    exit_code::Exit,
    report::{Event, Reporter},
};

/// How often claims are extended: far more often than they need it, since this is also how a
/// holder hears that its task was cancelled.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// How often dead runners are looked for.
const RESCUE_EVERY: Duration = Duration::from_millis(400);
/// How many leases are looked at in one go.
const EXPIRED_AT_ONCE: usize = 100;

/// Extends the claims of this run for ever, and tells their holders what the store says.
///
/// # Cancel safety
///
/// The claims last as long as their last extension.
pub(super) async fn beat(store: Arc<dyn TaskStore>, claims: Arc<Claims>, reporter: Arc<Reporter>) {
    let mut every = tokio::time::interval(BEAT_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        every.tick().await;
        let fences = claims.fences();
        if fences.is_empty() {
            continue;
        }
        match store.heartbeat(&fences).await {
            Ok(beats) => {
                told = None;
                for (fence, beat) in fences.iter().zip(beats) {
                    if beat != Beat::Continue {
                        claims.tell(fence, beat);
                    }
                }
            }
            // The next one may succeed; if none does, the fences refuse what comes too late.
            Err(error) => {
                warn_once(&mut told, &reporter, format!("could not extend the claims: {error}"));
            }
        }
    }
}

/// Warns, but not of the same thing again and again.
fn warn_once(told: &mut Option<String>, reporter: &Reporter, warning: String) {
    if told.as_ref() != Some(&warning) {
        reporter.ui().warn(&warning);
        *told = Some(warning);
    }
}

/// Looks for tasks whose runner is gone and gives them back to the store.
pub(super) struct Rescuer {
    pub(super) store: Arc<dyn TaskStore>,
    /// The locks of the tasks.
    pub(super) locks: LockDir,
    /// The locks of the runs: each run holds its own as long as it lives.
    pub(super) runs: LockDir,
    pub(super) run: String,
    pub(super) host: String,
    pub(super) reporter: Arc<Reporter>,
}

impl Rescuer {
    /// Looks again and again.
    ///
    /// # Cancel safety
    ///
    /// What was not rescued yet is found by the next one who looks.
    pub(super) async fn watch(self) {
        let mut told = None;
        loop {
            match self.look().await {
                Ok(()) => told = None,
                Err(error) => {
                    let warning = format!("could not look for dead runners: {error}");
                    warn_once(&mut told, &self.reporter, warning);
                }
            }
            tokio::time::sleep(RESCUE_EVERY).await;
        }
    }

    /// Looks once.
    pub(super) async fn look(&self) -> Result<()> {
        for id in self.store.rescue_expired(EXPIRED_AT_ONCE).await? {
            self.tell_expired(&id).await?;
        }
        let mut runs: BTreeMap<String, Vec<RunningTask>> = BTreeMap::new();
        for task in self.store.running().await? {
            if task.worker.run != self.run && task.worker.host == self.host {
                runs.entry(task.worker.run.clone()).or_default().push(task);
            }
        }
        for (run, tasks) in runs {
            self.look_at(&run, tasks).await?;
        }
        Ok(())
    }

    async fn tell_expired(&self, id: &TaskId) -> Result<()> {
        if let Some(task) = self.store.get(id).await? {
            self.reporter.tell(&Event::TaskRescued {
                task: task.id,
                attempt: task.attempt,
                holder: "a runner that has not extended its claim".into(),
                status: task.status,
                ended_processes: 0,
            });
        }
        Ok(())
    }

    /// A run whose lock is free is gone: the kernel freed it. A lock without the record of its
    /// holder proves nothing (somebody may have removed the file), and is left to the lease.
    async fn look_at(&self, run: &str, tasks: Vec<RunningTask>) -> Result<()> {
        let locked = self
            .runs
            .try_acquire(run)
            .or_exit(Exit::Unexpected, || format!("could not look at run '{run}'"))?;
        let Acquire::Acquired(lock) = locked else { return Ok(()) };
        if lock.previous().is_some() {
            for task in tasks {
                self.rescue(task).await?;
            }
        }
        Ok(())
    }

    async fn rescue(&self, task: RunningTask) -> Result<()> {
        let id = &task.fence.task;
        let locked = self
            .locks
            .try_acquire(id.as_str())
            .or_exit(Exit::Unexpected, || format!("could not lock task '{id}'"))?;
        // Somebody works on it, whatever the store says.
        let Acquire::Acquired(lock) = locked else { return Ok(()) };
        let ended_processes = leftovers::end(&lock).await;
        let holder = format!("{} (pid {})", task.worker.run, task.worker.pid);
        match self.store.rescue(&task.fence, &format!("its runner {holder} is gone")).await {
            Ok(status) => self.reporter.tell(&Event::TaskRescued {
                task: id.clone(),
                attempt: task.fence.attempt,
                holder,
                status,
                ended_processes,
            }),
            Err(StoreError::LeaseLost { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
