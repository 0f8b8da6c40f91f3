//! A source in memory.

use std::{
    collections::VecDeque,
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{Assignment, End, Source, SourceError, Stop, Then, WorkerId, signal::sleep_until};

/// Jobs in memory, from an iterator that is only asked when a worker wants a job.
///
/// Clones are handles to the same queue. Jobs may be pushed while it is worked on, also by the jobs
/// themselves: the queue is drained when nothing waits, nothing runs, and it is not
/// [kept open](Self::keep_open).
///
/// A job whose worker failed goes to the back. One that met a limit, or was cancelled, goes to the
/// front; after a limit it is handed out again after [`release_delay`](Self::release_delay).
///
/// # Examples
///
/// ```
/// use agent_runner_pool::{Context, Failure, Pool, Queue};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let queue = Queue::new([1]);
/// let tree = queue.clone();
/// let visit = move |node: u32, _: Context| {
///     let tree = tree.clone();
///     async move {
///         if node < 100 {
///             tree.push(2 * node);
///             tree.push(2 * node + 1);
///         }
///         Ok::<_, Failure<std::io::Error>>(())
///     }
/// };
/// let summary = Pool::builder().build()?.run(queue, visit).await;
/// assert_eq!(summary.counts.finished, 199);
/// # Ok(())
/// # }
/// ```
pub struct Queue<J> {
    shared: Arc<Shared<J>>,
}

struct Shared<J> {
    state: Mutex<State<J>>,
    changed: Notify,
}

struct State<J> {
    /// Jobs that go before the others.
    front: VecDeque<Assignment<J>>,
    jobs: Box<dyn Iterator<Item = J> + Send>,
    /// Jobs that were pushed, or came back.
    back: VecDeque<Assignment<J>>,
    /// Jobs that met a limit, in the order in which they may be handed out again.
    resting: VecDeque<(Instant, Assignment<J>)>,
    running: usize,
    open: bool,
    release_delay: Duration,
}

impl<J: Send + 'static> Queue<J> {
    /// Makes a queue of these jobs.
    pub fn new<I>(jobs: I) -> Self
    where
        I: IntoIterator<Item = J>,
        I::IntoIter: Send + 'static,
    {
        let state = State {
            front: VecDeque::new(),
            jobs: Box::new(jobs.into_iter().fuse()),
            back: VecDeque::new(),
            resting: VecDeque::new(),
            running: 0,
            open: false,
            release_delay: Duration::from_secs(1),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }) }
    }

    /// Keeps workers waiting for pushed jobs until [`close`](Self::close) is called.
    #[must_use]
    pub fn keep_open(self) -> Self {
        self.state().open = true;
        self
    }

    /// Sets how long a job rests that met a limit (1 s).
    #[must_use]
    pub fn release_delay(self, delay: Duration) -> Self {
        self.state().release_delay = delay;
        self
    }

    /// Adds a job at the end.
    pub fn push(&self, job: J) {
        self.state().back.push_back(Assignment::new(job));
        self.shared.changed.notify_one();
    }

    /// Lets workers leave once nothing waits and nothing runs.
    pub fn close(&self) {
        self.state().open = false;
        self.shared.changed.notify_waiters();
    }

    /// Takes a job out that nobody works on, such as one that was left when a run had ended.
    pub fn pop(&self) -> Option<J> {
        let mut state = self.state();
        let waiting = state.waiting();
        waiting.or_else(|| state.resting.pop_front().map(|(_, job)| job)).map(|found| found.job)
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> State<J> {
    /// The next job that may be handed out now.
    fn waiting(&mut self) -> Option<Assignment<J>> {
        if let Some((due, _)) = self.resting.front()
            && *due <= Instant::now()
        {
            return self.resting.pop_front().map(|(_, job)| job);
        }
        self.front
            .pop_front()
            .or_else(|| self.jobs.next().map(Assignment::new))
            .or_else(|| self.back.pop_front())
    }

    fn hand_out(&mut self) -> Option<Assignment<J>> {
        let assignment = self.waiting()?;
        self.running += 1;
        Some(assignment)
    }

    /// Whether no job will ever come; asked when none can be handed out.
    fn is_drained(&self) -> bool {
        self.running == 0 && self.resting.is_empty() && !self.open
    }

    fn take_back<O, E>(&mut self, mut assignment: Assignment<J>, end: &End<O, E>) {
        self.running -= 1;
        match end {
            End::Finished(_) | End::Failed(_) => return,
            End::Requeued(_) => {
                assignment.attempt += 1;
                assignment.requeues += 1;
                self.back.push_back(assignment);
            }
            End::Released(_) => {
                assignment.attempt += 1;
                self.resting.push_back((Instant::now() + self.release_delay, assignment));
            }
            End::Cancelled => {
                assignment.attempt += 1;
                self.front.push_back(assignment);
            }
        }
    }
}

impl<J, O, E> Source<O, E> for Queue<J>
where
    J: Clone + Send + Sync + 'static,
    O: Sync,
    E: Send + Sync,
{
    type Job = J;

    async fn next(&self, _: WorkerId, stop: &Stop) -> Result<Option<Assignment<J>>, SourceError> {
        loop {
            let mut changed = pin!(self.shared.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            let due = {
                let mut state = self.state();
                if let Some(assignment) = state.hand_out() {
                    return Ok(Some(assignment));
                }
                if state.is_drained() {
                    self.shared.changed.notify_waiters();
                    return Ok(None);
                }
                state.resting.front().map(|(due, _)| *due)
            };
            tokio::select! {
                () = changed => {}
                () = sleep_until(due) => {}
                () = stop.stopped() => {
                    // A change that this worker was told of is for somebody else.
                    self.shared.changed.notify_one();
                    return Ok(None);
                }
            }
        }
    }

    async fn settle(
        &self,
        _: WorkerId,
        assignment: Assignment<J>,
        end: &End<O, E>,
        then: Then,
    ) -> Result<Option<Assignment<J>>, SourceError> {
        let mut state = self.state();
        state.take_back(assignment, end);
        let next = if then == Then::Next { state.hand_out() } else { None };
        let drained = next.is_none() && state.is_drained();
        drop(state);
        if drained {
            self.shared.changed.notify_waiters();
        } else if !matches!(end, End::Finished(_) | End::Failed(_)) {
            self.shared.changed.notify_one();
        }
        Ok(next)
    }
}

impl<J> Clone for Queue<J> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<J> fmt::Debug for Queue<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}
