//! Whether somebody still works on a task that the store calls running.

use std::collections::HashMap;

use agent_runner_lock::{LockDir, LockInfo, LockState, LockStatus};
use agent_runner_task_store::{RunningTask, TaskId, TaskStore};
use serde::Serialize;

use crate::{error::Result, project::Project, run::host_name};

/// Who works on a running task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// Its run goes on, or is on another machine and not known to be gone.
    Working,
    /// Its run is gone, its agent still works.
    Orphaned,
    /// Its run and its agent are gone; the next run takes it back.
    Lost,
}

/// A run at work on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LivingRun {
    /// Its name.
    pub run: String,
    /// Its process.
    pub pid: u32,
    /// Why it starts no more agents now, if so.
    pub held: Option<String>,
}

/// Looks at the locks, which the kernel frees when their holders die.
#[derive(Debug)]
pub struct Lives {
    locks: Option<(LockDir, LockDir)>,
    host: String,
}

impl Lives {
    /// Without a lock folder, or with one that cannot be opened, nobody is said to be gone.
    pub fn new(project: &Project) -> Self {
        let open = || {
            Ok::<_, crate::error::Error>((
                project.open_locks("status")?,
                project.open_run_locks("status")?,
            ))
        };
        let locks = project.lock_folder().exists().then(open).and_then(Result::ok);
        Self { locks, host: host_name() }
    }

    /// Looks at one task.
    pub fn look(&self, task: &RunningTask) -> Life {
        let Some((locks, runs)) = self.locks.as_ref().filter(|_| task.worker.host == self.host)
        else {
            return Life::Working;
        };
        match runs.status(&task.worker.run) {
            Ok(run) if !run.is_held() => {}
            _ => return Life::Working,
        }
        match locks.status(task.fence.task.as_str()) {
            Ok(lock) if lock.state == LockState::Orphaned => Life::Orphaned,
            // Another run has it in hand.
            Ok(lock) if lock.is_held() => Life::Working,
            _ => Life::Lost,
        }
    }

    /// The runs that go on here.
    pub fn runs(&self) -> Vec<LivingRun> {
        let listed = self.locks.as_ref().and_then(|(_, runs)| runs.list().ok()).unwrap_or_default();
        let held = listed.into_iter().filter(LockStatus::is_held);
        held.filter_map(|lock| {
            let LockInfo { pid, note, .. } = lock.info?;
            Some(LivingRun { run: lock.key, pid, held: note.filter(|note| !note.is_empty()) })
        })
        .collect()
    }

    /// The running tasks that nobody looks after.
    pub async fn left_alone(&self, store: &dyn TaskStore) -> Result<HashMap<TaskId, Life>> {
        let running = store.running().await?;
        let lives = running.into_iter().map(|task| (self.look(&task), task.fence.task));
        Ok(lives.filter(|(life, _)| *life != Life::Working).map(|(life, id)| (id, life)).collect())
    }
}

impl std::fmt::Display for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Working => "running",
            Self::Orphaned => "orphaned",
            Self::Lost => "lost",
        })
    }
}
