//! A source in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{self, Instant},
};

use crate::{Assignment, End, Source, SourceError, Stop, Then, WorkerId, signal::after};

/// Jobs in memory, from an iterator that is only asked when a worker wants a job.
///
/// Clones are handles to the same queue. Jobs may be pushed while it is worked on, also by the jobs
/// themselves: the queue is drained when nothing waits, nothing runs, and it is not
/// [kept open](Self::keep_open).
///
/// Jobs that come back because their worker failed take turns with the others. One that met a limit
/// or was cancelled goes to the front; the worker that met the limit gets no job for a while
/// ([`rest`](Self::rest)).
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
    /// Jobs that go before all others.
    released: VecDeque<Assignment<J>>,
    /// Jobs that take turns with those that were not handed out yet.
    requeued: VecDeque<Assignment<J>>,
    requeued_turn: bool,
    jobs: Box<dyn Iterator<Item = J> + Send>,
    pushed: VecDeque<J>,
    running: usize,
    open: bool,
    /// Workers that met a limit, and until when they get no job.
    resting: BTreeMap<WorkerId, Instant>,
    rest: Duration,
}

impl<J: Send + 'static> Queue<J> {
    /// Makes a queue of these jobs.
    pub fn new<I>(jobs: I) -> Self
    where
        I: IntoIterator<Item = J>,
        I::IntoIter: Send + 'static,
    {
        let state = State {
            released: VecDeque::new(),
            requeued: VecDeque::new(),
            requeued_turn: false,
            jobs: Box::new(jobs.into_iter().fuse()),
            pushed: VecDeque::new(),
            running: 0,
            open: false,
            resting: BTreeMap::new(),
            rest: Duration::from_secs(1),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }) }
    }

    /// Keeps workers waiting for pushed jobs until [`close`](Self::close) is called.
    #[must_use]
    pub fn keep_open(self) -> Self {
        self.state().open = true;
        self
    }

    /// Sets how long a worker gets no job after one that met a limit (1 s).
    #[must_use]
    pub fn rest(self, rest: Duration) -> Self {
        self.state().rest = rest;
        self
    }

    /// Adds a job at the end.
    pub fn push(&self, job: J) {
        self.state().pushed.push_back(job);
        self.shared.changed.notify_one();
    }

    /// Lets workers leave once nothing waits and nothing runs.
    pub fn close(&self) {
        self.state().open = false;
        self.shared.changed.notify_waiters();
    }

    /// Takes out a job that nobody works on, such as one that is left when a run has ended.
    pub fn pop(&self) -> Option<J> {
        self.state().waiting().map(|waiting| waiting.job)
    }
}

impl<J> Queue<J> {
    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J, O, E> Source<O, E> for Queue<J>
where
    J: Clone + Send + Sync + 'static,
    O: Sync,
    E: Send + Sync,
{
    type Job = J;

    async fn next(
        &self,
        worker: WorkerId,
        stop: &Stop,
    ) -> Result<Option<Assignment<J>>, SourceError> {
        let rested = self.state().resting.remove(&worker);
        if let Some(rested) = rested {
            tokio::select! {
                biased;
                () = time::sleep_until(rested) => {}
                () = stop.stopped() => return Ok(None),
            }
        }
        loop {
            let mut changed = pin!(self.shared.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if let Some(assignment) = state.hand_out() {
                    return Ok(Some(assignment));
                }
                if state.is_drained() {
                    self.shared.changed.notify_waiters();
                    return Ok(None);
                }
            }
            // In this order: a worker that was told of a job takes it, and gives it back if it has
            // to stop, so that the word is not lost for the others.
            tokio::select! {
                biased;
                () = changed => {}
                () = stop.stopped() => return Ok(None),
            }
        }
    }

    async fn settle(
        &self,
        worker: WorkerId,
        assignment: Assignment<J>,
        end: &End<O, E>,
        then: Then,
    ) -> Result<Option<Assignment<J>>, SourceError> {
        let mut state = self.state();
        let waits_again = state.take_back(assignment, end);
        let rests = matches!(end, End::Released(_));
        if rests && !state.rest.is_zero() {
            let rested = after(state.rest);
            state.resting.insert(worker, rested);
        }
        let next = if then == Then::Next && !rests { state.hand_out() } else { None };
        if next.is_none() && state.is_drained() {
            self.shared.changed.notify_waiters();
        } else if waits_again {
            self.shared.changed.notify_one();
        }
        Ok(next)
    }
}

impl<J> State<J> {
    /// Takes out the next job that waits.
    fn waiting(&mut self) -> Option<Assignment<J>> {
        self.released.pop_front().or_else(|| {
            self.requeued_turn = !self.requeued_turn;
            if self.requeued_turn {
                self.requeued.pop_front().or_else(|| self.fresh())
            } else {
                self.fresh().or_else(|| self.requeued.pop_front())
            }
        })
    }

    fn fresh(&mut self) -> Option<Assignment<J>> {
        self.jobs.next().or_else(|| self.pushed.pop_front()).map(Assignment::new)
    }

    fn hand_out(&mut self) -> Option<Assignment<J>> {
        let assignment = self.waiting()?;
        self.running += 1;
        Some(assignment)
    }

    /// Whether no job will ever come; asked when none is waiting.
    fn is_drained(&self) -> bool {
        self.running == 0 && !self.open
    }

    /// Takes note of an end. Returns whether the job waits again.
    fn take_back<O, E>(&mut self, mut assignment: Assignment<J>, end: &End<O, E>) -> bool {
        self.running -= 1;
        assignment.attempt += 1;
        match end {
            End::Finished(_) | End::Failed(_) => return false,
            End::Requeued(_) => {
                assignment.requeues += 1;
                self.requeued.push_back(assignment);
            }
            End::Released(_) | End::Cancelled => self.released.push_back(assignment),
        }
        true
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
