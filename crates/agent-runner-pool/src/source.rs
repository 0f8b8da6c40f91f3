//! Where jobs come from, and where their ends are recorded.

use std::{fmt, sync::Arc, time::Duration};

use crate::Stop;

/// A place that hands each job to one worker at a time and is told how it ended.
///
/// [`Queue`](crate::Queue) is one in memory; over a durable store it is a few lines. `O` and `E` are
/// the output and the error of the [`Handler`](crate::Handler).
///
/// What the pool promises: a job that was handed out is settled exactly once, whatever happens to
/// the job or the worker, unless the whole runtime goes; a call is never dropped in flight, so that
/// no claim is lost.
///
/// An error from a source ends the run: workers finish their jobs and take no more, and
/// [`Ended::SourceFailed`](crate::Ended::SourceFailed) brings it to the caller.
pub trait Source<O, E>: Send + Sync + 'static {
    /// What is worked on. Clones go into events and to closures: put what is large in an [`Arc`].
    type Job: Clone + Send + Sync + 'static;

    /// Waits for a job.
    ///
    /// `None` means that no job will ever come again, to no worker; not merely that there is none
    /// now, since a job that is running elsewhere may yet come back. Once `stop` says so, it
    /// returns soon, with a job or `None`.
    fn next(
        &self,
        worker: WorkerId,
        stop: &Stop,
    ) -> impl Future<Output = Result<Option<Assignment<Self::Job>>, SourceError>> + Send;

    /// Records how a job ended.
    ///
    /// With [`Then::Next`] it may hand out the worker's next job in the same step, if there is one
    /// at hand: a store saves a transaction that way. `None` is always right, the pool then asks
    /// [`next`](Self::next); with [`Then::Rest`] nothing else is.
    fn settle(
        &self,
        worker: WorkerId,
        assignment: Assignment<Self::Job>,
        end: &End<O, E>,
        then: Then,
    ) -> impl Future<Output = Result<Option<Assignment<Self::Job>>, SourceError>> + Send;
}

/// Whatever a source reports when something is wrong with it.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// The number of a worker in its run, from 0. Numbers are not used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(u32);

impl WorkerId {
    /// The worker with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker-{}", self.0)
    }
}

/// A job in a worker's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment<J> {
    /// The job.
    pub job: J,
    /// How often it was handed out, this time included.
    pub attempt: u32,
    /// How often it came back because its worker failed. The pool's `max_requeues` is compared
    /// with it; a source that keeps such a budget by itself leaves it at 0.
    pub requeues: u32,
}

impl<J> Assignment<J> {
    /// A job that is handed out for the first time.
    pub const fn new(job: J) -> Self {
        Self { job, attempt: 1, requeues: 0 }
    }

    /// The same as the attempt of this number.
    #[must_use]
    pub fn attempt(self, attempt: u32) -> Self {
        Self { attempt, ..self }
    }
}

/// What a worker wants after a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next job, if there is one at hand.
    Next,
    /// Nothing: it has to stop or to recover.
    Rest,
}

/// How a job ended. The kind says who pays.
#[derive(Debug)]
#[non_exhaustive]
pub enum End<O, E> {
    /// It is done.
    Finished(O),
    /// It failed by itself. Whether that is the last word is the source's to decide.
    Failed(Arc<JobError<E>>),
    /// Its worker failed under it. It goes back, and may count that.
    Requeued(Arc<E>),
    /// It met a limit, which is nobody's failure. It goes back as if it had not been handed out.
    Released(Arc<E>),
    /// Its worker was told to stop before it was done, or before it began. It goes back as if it had
    /// not been handed out.
    Cancelled,
}

/// Why a job failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError<E> {
    /// It said so.
    #[error("the job failed")]
    Failed(#[source] E),
    /// It panicked.
    #[error("the job panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// It was not done in time.
    #[error("the job was not done after {}", seconds(*after))]
    TimedOut {
        /// The time that it had.
        after: Duration,
    },
    /// Workers failed under it more often than the pool lets them.
    #[error("workers failed under the job {times} times")]
    GivenUp {
        /// How often.
        times: u32,
        /// What the last worker failed of.
        last: Arc<E>,
    },
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
