//! What happens in a run. `docs/schemas/event.schema.json` describes the JSON of each.

use std::time::SystemTime;

use agent_runner_gateway::Line;
use agent_runner_task_store::{Counts, TaskId, TaskStatus};
use serde::{Serialize, Serializer};

use crate::{run::Proof, units::show_time};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The run began.
    RunStarted {
        /// The run's name, unique for each start.
        run: String,
        /// The store as a URL.
        store: String,
        /// How many agents work at once.
        jobs: u32,
        /// How many credentials were found.
        keys: usize,
        /// How many tasks stand where.
        counts: Counts,
    },
    /// A worker began an attempt.
    TaskStarted {
        /// The task.
        task: TaskId,
        /// Its title.
        title: String,
        /// The number of the attempt.
        attempt: u32,
        /// The worker.
        worker: u32,
        /// The label of the credential that was lent.
        credential: Option<String>,
    },
    /// An attempt ended.
    TaskFinished {
        /// The task.
        task: TaskId,
        /// Its title.
        title: String,
        /// The number of the attempt.
        attempt: u32,
        /// The worker.
        worker: u32,
        /// Where the task stands now; `pending` or `waiting` when it will be tried again.
        status: TaskStatus,
        /// The kind of end in a word.
        outcome: String,
        /// Why, for people.
        message: Option<String>,
        /// The agent's exit code.
        exit_code: Option<i32>,
        /// The signal that ended the agent.
        signal: Option<i32>,
        /// How long it ran.
        duration_s: f64,
        /// How long until it is tried again.
        retry_after_s: Option<f64>,
        /// The log, relative to the state folder.
        log: Option<String>,
        /// What proves that it did what it was to do; `None` if nothing was run.
        proof: Option<Box<Proof>>,
    },
    /// An attempt ended, but its claim had been taken away: nothing of it was recorded.
    ClaimLost {
        /// The task.
        task: TaskId,
        /// The number of the attempt.
        attempt: u32,
        /// The worker.
        worker: u32,
    },
    /// A runner is gone, but its agent still works on a task: this run waits for its end.
    TaskOrphaned {
        /// The task.
        task: TaskId,
        /// The number of the attempt.
        attempt: u32,
        /// Who held it.
        holder: String,
    },
    /// A task was taken back from a runner that is gone.
    TaskRescued {
        /// The task.
        task: TaskId,
        /// The number of the attempt that was lost.
        attempt: u32,
        /// Who held it.
        holder: String,
        /// Where the task stands now.
        status: TaskStatus,
        /// How many processes of the lost attempt were still there, and were ended.
        ended_processes: u32,
    },
    /// What a runner that is gone left in a worktree is saved on the task's branch.
    WorkSaved {
        /// The task.
        task: String,
        /// The number of the attempt.
        attempt: u32,
        /// The commit that has it.
        commit: String,
        /// How many files differ from where the task's work began.
        files: usize,
    },
    /// A credential rests, is spent or is out.
    KeyRested {
        /// Its label.
        key: String,
        /// What it is now: `resting`, `spent` or `out`.
        state: String,
        /// How long until it is ready again; `None` when only a person can mend it.
        ready_in_s: Option<f64>,
    },
    /// No credential is ready: tasks wait for it whose agents need it, and others go on.
    KeysExhausted {
        /// How long until the first is ready; `None` when only a person can mend it.
        ready_in_s: Option<f64>,
        /// Of which providers; none if it is an agent's own login that is refused or paused.
        providers: Vec<String>,
        /// Why the provider cannot be reached, if that is it: then no key is to blame.
        unreachable: Option<String>,
    },
    /// What the gateway lent in this run, by key and model.
    KeysUsed {
        /// The sums.
        lines: Vec<Line>,
    },
    /// No agent is started beside those at work, since the machine has too little left.
    StartsHeld {
        /// What is missing: `load` or `memory`.
        reason: String,
        /// The same for people, with figures.
        message: String,
        /// How many agents work on.
        at_work: usize,
    },
    /// An agent may be started again.
    StartsResumed {
        /// How long none could be.
        held_s: f64,
    },
    /// With `--adaptive`: fewer or more agents may work at once.
    LimitChanged {
        /// So many.
        limit: usize,
        /// `start`, `throttled`, or `no_limit_met` when it grew.
        reason: String,
    },
    /// A worker failed too often in a row, or is being mended.
    WorkerRecovered {
        /// The worker.
        worker: u32,
        /// How many of its recoveries are used.
        recoveries: u32,
        /// What had happened.
        reason: String,
    },
    /// A worker is given up.
    WorkerRetired {
        /// The worker.
        worker: u32,
        /// What had happened.
        reason: String,
    },
    /// The run takes no more tasks.
    Stopping {
        /// Why.
        reason: String,
        /// What happens next.
        next: String,
    },
    /// The run is over.
    RunFinished {
        /// The exit code.
        exit_code: u8,
        /// Why it ended.
        reason: String,
        /// How many tasks stand where.
        counts: Counts,
        /// How many attempts this run made.
        attempts: u64,
        /// How many tasks this run completed.
        succeeded: u64,
        /// How many tasks this run gave up.
        failed: u64,
        /// How long it took.
        duration_s: f64,
    },
}

impl Event {
    /// Whether it is told even when only failures are wanted.
    pub const fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::TaskFinished { status: TaskStatus::Failed, .. }
                | Self::WorkerRetired { .. }
                | Self::KeysExhausted { .. }
        )
    }
}

/// An event with the time at which it is told.
#[derive(Debug, Serialize)]
pub struct Stamped<'a> {
    /// The time.
    #[serde(serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// The event.
    #[serde(flatten)]
    pub event: &'a Event,
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_time(*time))
}
