//! [`MemoryStore`]: the store without a disk, and the model that the others are tested against.

mod add;
mod state;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use self::state::State;
use crate::{
    AddReport, Attempt, Beat, Claim, ClaimRequest, Clock, Counts, Fence, Filter, Finished, NewTask,
    Overlap, Report, RunningTask, Selector, StoreError, SystemClock, Task, TaskId, TaskStatus,
    TaskStore,
    clock::{self, Millis},
    rules,
};

/// A store that forgets everything when it is dropped.
///
/// It is written to be obviously right rather than fast: it looks at one task after the other
/// until it finds what it needs, and counts by counting. That serves tests and small runs.
///
/// # Examples
///
/// ```
/// use agent_runner_task_store::{MemoryStore, NewTask, TaskStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), agent_runner_task_store::StoreError> {
/// let store = MemoryStore::new();
/// store.add(vec![NewTask { prompt: "say hello".into(), ..NewTask::default() }]).await?;
/// assert_eq!(store.counts().await?.pending, 1);
/// # Ok(())
/// # }
/// ```
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store that takes its time from `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::new(State::new(rules::any_two_overlap)) }
    }

    /// Says which patterns of [`touches`](NewTask::touches) overlap, so that their tasks do not run
    /// at the same time. Without this any two patterns exclude each other.
    pub fn overlap(self, overlap: Overlap) -> Self {
        self.lock().1.overlap = overlap;
        self
    }

    /// The time, and the state to use it on.
    fn lock(&self) -> (Millis, MutexGuard<'_, State>) {
        // A panic cannot leave a change half done: each is checked whole before it is made.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (clock::now(&*self.clock), state)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("clock", &self.clock).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl TaskStore for MemoryStore {
    async fn add(&self, tasks: Vec<NewTask>) -> Result<AddReport, StoreError> {
        let (now, mut state) = self.lock();
        state.add(tasks, now)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, StoreError> {
        let (now, mut state) = self.lock();
        Ok(state.claim(request, now))
    }

    async fn finish(
        &self,
        fence: &Fence,
        report: Report,
        next: Option<&ClaimRequest>,
    ) -> Result<Finished, StoreError> {
        let (now, mut state) = self.lock();
        state.finish(fence, report, now)?;
        let status = state.status(&fence.task, now);
        Ok(Finished { status, next: next.and_then(|request| state.claim(request, now)) })
    }

    async fn heartbeat(&self, fences: &[Fence]) -> Result<Vec<Beat>, StoreError> {
        let (now, mut state) = self.lock();
        Ok(fences.iter().map(|fence| state.heartbeat(fence, now)).collect())
    }

    async fn rescue(&self, fence: &Fence, reason: &str) -> Result<TaskStatus, StoreError> {
        let (now, mut state) = self.lock();
        state.rescue(fence, reason, now)?;
        Ok(state.status(&fence.task, now))
    }

    async fn rescue_expired(&self, limit: usize) -> Result<Vec<TaskId>, StoreError> {
        let (now, mut state) = self.lock();
        let late = state.expired(limit, now);
        for fence in &late {
            state.rescue(fence, "the lease ran out", now)?;
        }
        Ok(late.into_iter().map(|fence| fence.task).collect())
    }

    async fn running(&self) -> Result<Vec<RunningTask>, StoreError> {
        let (now, state) = self.lock();
        Ok(state.running(now))
    }

    async fn cancel(&self, which: &Selector) -> Result<u64, StoreError> {
        let (now, mut state) = self.lock();
        state.cancel(which, now)
    }

    async fn retry(&self, which: &Selector) -> Result<u64, StoreError> {
        let (now, mut state) = self.lock();
        state.retry(which, now)
    }

    async fn get(&self, id: &TaskId) -> Result<Option<Task>, StoreError> {
        let (now, state) = self.lock();
        Ok(state.get(id, now))
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<&TaskId>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        let (now, state) = self.lock();
        state.list(filter, after, limit, now)
    }

    async fn attempts(&self, id: &TaskId) -> Result<Vec<Attempt>, StoreError> {
        let (_, state) = self.lock();
        state.attempts(id)
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let (now, state) = self.lock();
        Ok(state.counts(now))
    }

    async fn next_due(&self) -> Result<Option<Duration>, StoreError> {
        let (now, state) = self.lock();
        Ok(state.next_due(now))
    }

    async fn delayed(&self, limit: usize) -> Result<Vec<Task>, StoreError> {
        let (now, state) = self.lock();
        Ok(state.delayed(limit, now))
    }
}
