//! What a job knows about where it runs.

use std::time::Duration;

use tokio::time::Instant;

use crate::{Stop, WorkerId, signal::sleep_until};

/// What a job knows about where it runs, and how it hears that it should stop.
///
/// A clone goes wherever the job's parts go.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) worker: WorkerId,
    pub(crate) attempt: u32,
    pub(crate) deadline: Option<Instant>,
    pub(crate) orders: Stop,
}

impl Context {
    /// One that is never cancelled, for calling a handler outside a pool.
    pub const fn detached(worker: WorkerId, attempt: u32) -> Self {
        Self { worker, attempt, deadline: None, orders: Stop::never() }
    }

    /// The worker that the job runs on.
    pub const fn worker(&self) -> WorkerId {
        self.worker
    }

    /// How often the job was handed out, this time included.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The time until the job's timeout; `None` when it has none.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether the job should stop, and why; for jobs that look now and then.
    pub fn cancellation(&self) -> Option<Cancelled> {
        if self.orders.is_cancelled() {
            return Some(Cancelled::Stopping);
        }
        let time_is_over = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        time_is_over.then_some(Cancelled::TimedOut)
    }

    /// Waits until the job should stop, and says why.
    ///
    /// A job that does not end within the pool's grace after that is dropped where it waits.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn cancelled(&self) -> Cancelled {
        tokio::select! {
            biased;
            () = self.orders.cancelled() => Cancelled::Stopping,
            () = sleep_until(self.deadline) => Cancelled::TimedOut,
        }
    }
}

/// Why a job should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancelled {
    /// The run is being cancelled. The job goes back, uncounted, unless it still gets done.
    Stopping,
    /// The job's time is over. It has failed, unless it still gets done.
    TimedOut,
}
