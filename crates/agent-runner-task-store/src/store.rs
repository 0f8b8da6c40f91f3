//! The [`TaskStore`] trait and the words it speaks.

use std::{collections::BTreeMap, error::Error, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Attempt, CommandLine, NewTask, StoreError, Task, TaskId, TaskStatus};

/// A place that keeps tasks and hands each to one worker at a time.
///
/// Runs are at least once, changes of state exactly once: every write of a holder carries the
/// [`Fence`] of its claim, and a fence that is not the current one is refused with
/// [`StoreError::LeaseLost`].
///
/// A change is durable when its call returns.
///
/// # Cancel safety
///
/// A call whose future is dropped either happens or does not. A claim that nobody is there to
/// receive is given back.
#[async_trait::async_trait]
pub trait TaskStore: Send + Sync + 'static {
    /// Adds tasks, all or none.
    ///
    /// A task that is there with the same content is left alone; one with other content is updated
    /// unless it runs ([`StoreError::Running`]). An update does not change how a task stands, but
    /// for one that had ended with other content: it is pending again, with its budgets full.
    /// Where a task was read from is no content: it is brought up to date and changes nothing.
    ///
    /// Dependencies may name tasks of the store and of the same call. A task without an id gets the
    /// next free number, one that no task of the store or of the call has; the same key twice in a
    /// call is one task.
    async fn add(&self, tasks: Vec<NewTask>) -> Result<AddReport, StoreError>;

    /// Adds tasks from a source that may be long, all or none, holding few of them at a time.
    ///
    /// It is [`TaskStore::add`] for a million tasks: a task may depend on one that comes later. A
    /// task without an id gets its number when it is met, so that an id given later in the source
    /// may be found taken ([`StoreError::Duplicate`]). An error of the source comes back as
    /// [`StoreError::Source`], and nothing is added.
    async fn import(&self, tasks: TaskSource) -> Result<Imported, StoreError> {
        let tasks: Vec<_> = tasks.collect::<Result<_, _>>().map_err(StoreError::Source)?;
        let AddReport { added, updated, unchanged, .. } = self.add(tasks).await?;
        Ok(Imported { added, updated, unchanged })
    }

    /// Claims the next task: highest priority first, then the order in which they were added.
    ///
    /// `None` means that nothing can be claimed now.
    async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, StoreError>;

    /// Ends a claim with a verdict and, in the same transaction, claims the next task if asked.
    async fn finish(
        &self,
        fence: &Fence,
        report: Report,
        next: Option<&ClaimRequest>,
    ) -> Result<Finished, StoreError>;

    /// Extends claims by their lease, and says what each holder should do.
    async fn heartbeat(&self, fences: &[Fence]) -> Result<Vec<Beat>, StoreError>;

    /// Takes a claim away from a holder that the caller knows to be gone, and counts it as a
    /// recovery. Returns where the task stands now.
    ///
    /// The fence is that of [`TaskStore::running`], so that only the very attempt that was judged is
    /// ended; [`StoreError::LeaseLost`] says that it had ended by itself.
    async fn rescue(&self, fence: &Fence, reason: &str) -> Result<TaskStatus, StoreError>;

    /// Rescues up to `limit` tasks whose lease has run out, longest ago first, and says which.
    async fn rescue_expired(&self, limit: usize) -> Result<Vec<TaskId>, StoreError>;

    /// The claims that are held now, oldest first.
    async fn running(&self) -> Result<Vec<RunningTask>, StoreError>;

    /// Takes tasks out: those that do not run at once, those that run as soon as their holder
    /// beats. Returns how many it concerned. Tasks that have ended are left alone.
    ///
    /// A task that runs may still succeed, or turn out to be dead; any other end cancels it.
    async fn cancel(&self, which: &Selector) -> Result<u64, StoreError>;

    /// Makes ended tasks pending again, with full budgets. Returns how many. What depends on a task
    /// that had succeeded, and has not begun, waits for it again.
    async fn retry(&self, which: &Selector) -> Result<u64, StoreError>;

    /// One task.
    async fn get(&self, id: &TaskId) -> Result<Option<Task>, StoreError>;

    /// Tasks in the order in which they were added, from the one after `after`, at most `limit`.
    ///
    /// Memory and time are those of the page, not of the store.
    async fn list(
        &self,
        filter: &Filter,
        after: Option<&TaskId>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError>;

    /// The attempts at a task, first to last.
    async fn attempts(&self, id: &TaskId) -> Result<Vec<Attempt>, StoreError>;

    /// How many tasks stand where. Its cost does not grow with the store.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// How long until a waiting task may become claimable by time alone: a `not_before`, a retry's
    /// delay or the end of a lease. `None` when no time is waited for.
    async fn next_due(&self) -> Result<Option<Duration>, StoreError>;

    /// The tasks that wait for nothing but a time, a `not_before` or a retry's delay, those that come
    /// due first before the others, at most `limit`. Its cost does not grow with the store.
    async fn delayed(&self, limit: usize) -> Result<Vec<Task>, StoreError>;
}

/// Tasks one after the other, for [`TaskStore::import`].
pub type TaskSource =
    Box<dyn Iterator<Item = Result<NewTask, Box<dyn Error + Send + Sync>>> + Send>;

/// Who claims. Unique for each start of a process, never just a host's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Worker {
    /// The run that the worker belongs to, unique for each start.
    pub run: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The worker's number in its run.
    pub number: u32,
}

/// What a task may cost before it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Failures of its own (3); the last of them fails the task.
    pub attempts: u32,
    /// Crashes and lost holders that are allowed (5); one more fails the task.
    pub recoveries: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { attempts: 3, recoveries: 5 }
    }
}

/// What a worker asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Who asks.
    pub worker: Worker,
    /// How long the claim lasts without a heartbeat.
    pub lease: Duration,
    /// For tasks that bring no budget of their own. It is kept with the claim, so that a rescue
    /// knows it too.
    pub budget: Budget,
    /// Only tasks with one of these tags; empty means any task.
    pub tags: Vec<String>,
    /// Only tasks with a command that is taken.
    pub takes: Takes,
}

/// Which commands of tasks a claim takes: those that can be run now.
///
/// A task that is not taken stays where it is. Two of these are equal when they are the same.
///
/// # Examples
///
/// ```
/// use agent_runner_task_store::{CommandLine, Takes};
///
/// let all = Takes::default();
/// assert!(all.takes(None));
/// let only_of_its_own = Takes::new(|command| command.is_some());
/// assert!(!only_of_its_own.takes(None));
/// assert!(only_of_its_own.takes(Some(&CommandLine::Shell("make".into()))));
/// ```
#[derive(Clone, Default)]
pub struct Takes(Option<Test>);

type Test = Arc<dyn Fn(Option<&CommandLine>) -> bool + Send + Sync>;

impl Takes {
    /// Those that pass a test, which is told a task's own command if it has one. It is called
    /// while the store waits, for each ready task in turn, and should be quick.
    pub fn new(test: impl Fn(Option<&CommandLine>) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(test)))
    }

    /// Whether all are taken, whatever they are.
    pub const fn takes_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a task with this command of its own, or with none, is taken.
    pub fn takes(&self, command: Option<&CommandLine>) -> bool {
        self.0.as_ref().is_none_or(|test| test(command))
    }
}

impl fmt::Debug for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.takes_all() { "Takes(all)" } else { "Takes(some)" })
    }
}

impl PartialEq for Takes {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Takes {}

/// The proof of a claim: an attempt's number, and a random word in case a number comes twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// The task.
    pub task: TaskId,
    /// The attempt. It only grows.
    pub attempt: u32,
    /// Random.
    pub nonce: u64,
}

/// A task in the hands of one worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// What every write needs.
    pub fence: Fence,
    /// The task as it stands with this claim.
    pub task: Task,
}

/// How an attempt ended: the verdict that moves the task, and what is kept of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What becomes of the task.
    pub verdict: Verdict,
    /// The kind of end in a word, such as `succeeded`, `task_failed`, `timed_out`, `throttled`.
    pub outcome: String,
    /// Why, for people.
    pub message: Option<String>,
    /// The exit code of the agent.
    pub exit_code: Option<i32>,
    /// The signal that ended the agent.
    pub signal: Option<i32>,
    /// How long the agent ran.
    pub duration: Duration,
    /// The log, relative to the state folder.
    pub log: Option<String>,
    /// The label of the credential that was lent; never the secret.
    pub credential: Option<String>,
    /// Anything else, such as tokens and cost.
    pub details: BTreeMap<String, serde_json::Value>,
}

impl Report {
    /// A report that says no more than its verdict.
    pub fn new(verdict: Verdict, outcome: impl Into<String>) -> Self {
        Self {
            verdict,
            outcome: outcome.into(),
            message: None,
            exit_code: None,
            signal: None,
            duration: Duration::ZERO,
            log: None,
            credential: None,
            details: BTreeMap::new(),
        }
    }

    /// Adds why, for people.
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

/// What becomes of a task after an attempt. The kind decides who pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Verdict {
    /// Done.
    Succeeded,
    /// The task's own failure: counted, tried again after `retry_after` while its budget lasts.
    Failed {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Failed in a way that no retry mends.
    Dead,
    /// The worker's failure: counted as a recovery, tried again after `retry_after` while that
    /// budget lasts.
    Crashed {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Nobody's failure, such as a limit or a shutdown: not counted, back to its place.
    Released {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Taken out by a person while it ran.
    Cancelled,
}

/// What a finish led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Where the task stands now.
    pub status: TaskStatus,
    /// The next claim, if one was asked for and there was a task.
    pub next: Option<Claim>,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Go on.
    Continue,
    /// Somebody cancelled the task: stop, and finish with [`Verdict::Cancelled`].
    Cancel,
    /// The claim is gone: stop, and write nothing.
    Lost,
}

/// A claim that is held.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningTask {
    /// The claim.
    pub fence: Fence,
    /// Who holds it.
    pub worker: Worker,
    /// How long it has been held, by the store's clock.
    pub held_for: Duration,
    /// How long until its lease ends without a heartbeat; zero when it has run out.
    pub lease_left: Duration,
}

/// Which tasks a change concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// These. An id that does not exist is [`StoreError::NotFound`], and nothing is changed.
    Ids(Vec<TaskId>),
    /// All that fit.
    Matching(Filter),
}

/// Which tasks to look at. An empty list means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Those that stand in one of these.
    pub statuses: Vec<TaskStatus>,
    /// Those with one of these tags.
    pub tags: Vec<String>,
}

/// What adding did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AddReport {
    /// The id of every task of the call, in its order.
    pub ids: Vec<TaskId>,
    /// How many are new.
    pub added: u64,
    /// How many have other content than before.
    pub updated: u64,
    /// How many were there as they are.
    pub unchanged: u64,
}

/// What importing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Imported {
    /// How many are new.
    pub added: u64,
    /// How many have other content than before.
    pub updated: u64,
    /// How many were there as they are.
    pub unchanged: u64,
}

/// How many tasks stand where: every task in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Can be claimed now.
    pub pending: u64,
    /// Cannot be claimed yet.
    pub waiting: u64,
    /// Claimed.
    pub running: u64,
    /// Done.
    pub succeeded: u64,
    /// Given up.
    pub failed: u64,
    /// Taken out.
    pub cancelled: u64,
}

impl Counts {
    /// How many stand there.
    pub const fn get(&self, status: TaskStatus) -> u64 {
        match status {
            TaskStatus::Pending => self.pending,
            TaskStatus::Waiting => self.waiting,
            TaskStatus::Running => self.running,
            TaskStatus::Succeeded => self.succeeded,
            TaskStatus::Failed => self.failed,
            TaskStatus::Cancelled => self.cancelled,
        }
    }

    pub(crate) const fn of(&mut self, status: TaskStatus) -> &mut u64 {
        match status {
            TaskStatus::Pending => &mut self.pending,
            TaskStatus::Waiting => &mut self.waiting,
            TaskStatus::Running => &mut self.running,
            TaskStatus::Succeeded => &mut self.succeeded,
            TaskStatus::Failed => &mut self.failed,
            TaskStatus::Cancelled => &mut self.cancelled,
        }
    }

    /// All tasks.
    pub const fn total(&self) -> u64 {
        self.pending + self.waiting + self.running + self.succeeded + self.failed + self.cancelled
    }

    /// The tasks that have not ended.
    pub const fn open(&self) -> u64 {
        self.pending + self.waiting + self.running
    }
}
