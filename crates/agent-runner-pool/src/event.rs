//! What happened, in the order in which it happened.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{End, JobError, WorkerHealth, WorkerId, dispatcher::News};

/// What happened in a run. Events of one job come in their order, and so do those of one worker.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<J, O, E> {
    /// A worker began to ask for jobs.
    WorkerStarted {
        /// The worker.
        worker: WorkerId,
    },
    /// A worker began with a job.
    JobStarted {
        /// The worker.
        worker: WorkerId,
        /// The job.
        job: J,
        /// How often it was handed out, this time included.
        attempt: u32,
    },
    /// A job is done, and its source knows.
    JobFinished {
        /// The worker.
        worker: WorkerId,
        /// The job.
        job: J,
        /// What it made.
        output: O,
    },
    /// A job failed by itself. The source may hand it out again.
    JobFailed {
        /// The worker.
        worker: WorkerId,
        /// The job.
        job: J,
        /// Why.
        error: Arc<JobError<E>>,
    },
    /// A job went back to its source, because its worker failed.
    JobRequeued {
        /// The worker.
        worker: WorkerId,
        /// The job.
        job: J,
        /// What the worker failed of.
        error: Arc<E>,
    },
    /// A job went back to its source, uncounted.
    JobReleased {
        /// The worker.
        worker: WorkerId,
        /// The job.
        job: J,
        /// The limit that it met; `None` when the run is being cancelled.
        error: Option<Arc<E>>,
    },
    /// A worker failed too often in a row: it gets no job until it has recovered.
    WorkerUnhealthy {
        /// The worker.
        worker: WorkerId,
        /// Its health.
        health: WorkerHealth,
    },
    /// A worker recovered.
    WorkerRecovered {
        /// The worker.
        worker: WorkerId,
        /// Its health.
        health: WorkerHealth,
    },
    /// An attempt at recovery failed.
    RecoveryFailed {
        /// The worker.
        worker: WorkerId,
        /// Its health.
        health: WorkerHealth,
    },
    /// A worker used up its ration of recoveries, and left.
    WorkerRetired {
        /// The worker.
        worker: WorkerId,
        /// Its health.
        health: WorkerHealth,
    },
    /// A worker left because there is nothing more for it to do.
    WorkerStopped {
        /// The worker.
        worker: WorkerId,
    },
    /// The run was told to stop: running jobs go on, no new ones begin.
    Stopping,
    /// The run was told to cancel: running jobs are told to stop.
    Cancelling,
}

/// Where events go; to nobody once the reader is gone.
#[derive(Debug)]
pub(crate) struct Events<J, O, E>(Option<mpsc::Sender<Event<J, O, E>>>);

impl<J, O, E> Events<J, O, E> {
    pub(crate) const fn nowhere() -> Self {
        Self(None)
    }

    pub(crate) fn channel(capacity: usize) -> (Self, mpsc::Receiver<Event<J, O, E>>) {
        let (sender, receiver) = mpsc::channel(capacity);
        (Self(Some(sender)), receiver)
    }

    pub(crate) fn are_read(&self) -> bool {
        self.0.as_ref().is_some_and(|sender| !sender.is_closed())
    }

    /// Says what the dispatcher has to say.
    pub(crate) async fn announce(&self, news: Option<News>) {
        if let Some(news) = news {
            self.emit(|| news.into()).await;
        }
    }

    /// Says how a job ended that did not finish.
    pub(crate) async fn emit_unfinished(&self, worker: WorkerId, job: &J, end: &End<O, E>)
    where
        J: Clone,
    {
        let released = |error| Event::JobReleased { worker, job: job.clone(), error };
        match end {
            End::Finished(_) => {}
            End::Failed(error) => {
                let error = Arc::clone(error);
                self.emit(|| Event::JobFailed { worker, job: job.clone(), error }).await;
            }
            End::Requeued(error) => {
                let error = Arc::clone(error);
                self.emit(|| Event::JobRequeued { worker, job: job.clone(), error }).await;
            }
            End::Released(error) => self.emit(|| released(Some(Arc::clone(error)))).await,
            End::Cancelled => self.emit(|| released(None)).await,
        }
    }

    /// Waits for room, so that a slow reader slows the workers and fills no memory.
    pub(crate) async fn emit(&self, event: impl FnOnce() -> Event<J, O, E>) {
        let Some(sender) = self.0.as_ref().filter(|sender| !sender.is_closed()) else { return };
        if let Ok(room) = sender.reserve().await {
            room.send(event());
        }
    }
}
