//! What goes on beside the work: heartbeats for the claims of this run, and the rescue of tasks
//! whose runner is gone.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    mem::ManuallyDrop,
    sync::Arc,
    time::Duration,
};

use agent_runner_lock::{Acquire, LockDir, LockState, TaskLock};
use agent_runner_task_store::{Beat, Fence, RunningTask, StoreError, TaskId, TaskStore};

use super::{claims::Claims, leftovers};
use crate::{
    cli::Orphans,
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
/// When the claim of an agent without a runner is extended.
const ADOPTED_FOR: Duration = Duration::from_secs(15);

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
    /// What becomes of agents that outlived their runner.
    pub(super) orphans: Orphans,
    /// The claims of those that we wait for, so that each is told once.
    pub(super) adopted: HashSet<Fence>,
    /// The locks of runs that are gone but have tasks left. If we go as well, whoever looks next
    /// must find them as they were: so only what is done is released.
    pub(super) dead: HashMap<String, ManuallyDrop<TaskLock>>,
    pub(super) reporter: Arc<Reporter>,
}

impl Rescuer {
    /// Looks again and again.
    ///
    /// # Cancel safety
    ///
    /// What was not rescued yet is found by the next one who looks.
    pub(super) async fn watch(mut self) {
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
    pub(super) async fn look(&mut self) -> Result<()> {
        let mut runs: BTreeMap<String, Vec<RunningTask>> = BTreeMap::new();
        for task in self.store.running().await? {
            if task.worker.run != self.run && task.worker.host == self.host {
                runs.entry(task.worker.run.clone()).or_default().push(task);
            }
        }
        for (run, tasks) in runs {
            self.look_at(run, tasks).await?;
        }
        // Those that are left have no lock here. What was adopted above is not among them.
        for id in self.store.rescue_expired(EXPIRED_AT_ONCE).await? {
            self.tell_expired(&id).await?;
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
    async fn look_at(&mut self, run: String, tasks: Vec<RunningTask>) -> Result<()> {
        if !self.dead.contains_key(&run) {
            let locked = self
                .runs
                .try_acquire(&run)
                .or_exit(Exit::Unexpected, || format!("could not look at run '{run}'"))?;
            match locked {
                Acquire::Acquired(lock) if lock.previous().is_some() => {
                    self.dead.insert(run.clone(), ManuallyDrop::new(lock));
                }
                // Another run has found it dead, and waits for one of its agents.
                Acquire::Held(status)
                    if status.info.as_ref().is_some_and(|info| info.holder_id != run) => {}
                _ => return Ok(()),
            }
        }
        let mut all = true;
        for task in tasks {
            all &= self.rescue(task).await?;
        }
        if all && let Some(lock) = self.dead.remove(&run) {
            drop(ManuallyDrop::into_inner(lock));
        }
        Ok(())
    }

    /// Returns whether there is nothing more to do for a task.
    async fn rescue(&mut self, task: RunningTask) -> Result<bool> {
        let id = &task.fence.task;
        let taken = leftovers::take(&self.locks, id.as_str(), self.orphans)
            .await
            .or_exit(Exit::Unexpected, || format!("could not lock task '{id}'"))?;
        let taken = match taken {
            Ok(taken) => taken,
            Err(status) if status.state == LockState::Orphaned => {
                return self.adopt(task).await.map(|()| false);
            }
            // The dead runner itself, which the kernel has not buried yet.
            Err(status)
                if status.info.as_ref().is_some_and(|info| info.holder_id == task.worker.run) =>
            {
                return Ok(false);
            }
            // Somebody works on it, whatever the store says.
            Err(_) => return Ok(true),
        };
        let holder = format!("{} (pid {})", task.worker.run, task.worker.pid);
        match self.store.rescue(&task.fence, &format!("its runner {holder} is gone")).await {
            Ok(status) => self.reporter.tell(&Event::TaskRescued {
                task: id.clone(),
                attempt: task.fence.attempt,
                holder,
                status,
                ended_processes: taken.ended,
            }),
            Err(StoreError::LeaseLost { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Keeps the claim of a task whose agent outlived its runner, until that has ended too.
    async fn adopt(&mut self, task: RunningTask) -> Result<()> {
        if task.lease_left < ADOPTED_FOR {
            self.store.heartbeat(std::slice::from_ref(&task.fence)).await?;
        }
        if self.adopted.insert(task.fence.clone()) {
            let holder = format!("{} (pid {})", task.worker.run, task.worker.pid);
            let Fence { task, attempt, .. } = task.fence;
            self.reporter.tell(&Event::TaskOrphaned { task, attempt, holder });
        }
        Ok(())
    }
}
