//! A run: a pool at work, seen and steered from outside.

use std::{panic, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    Counts, Event, Handler, Snapshot, Source, SourceError, WorkerHealth, WorkerId,
    board::Board,
    dispatcher::{self, Wishes},
    signal::after,
    worker::Shared,
};

/// A pool at work.
///
/// Read its events or [`join`](Self::join) it: events are bounded, and workers wait for a reader
/// that does neither. Dropping it cancels the run in the background.
#[derive(Debug)]
#[must_use = "dropping a run cancels it"]
pub struct Run<J, O, E> {
    control: Control,
    events: Option<mpsc::Receiver<Event<J, O, E>>>,
    dispatcher: JoinHandle<Summary>,
}

impl<J, O, E> Run<J, O, E>
where
    J: Clone + Send + Sync + 'static,
    O: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    pub(crate) fn spawn<S, H>(
        shared: Arc<Shared<J, S, H>>,
        events: Option<mpsc::Receiver<Event<J, O, E>>>,
    ) -> Self
    where
        H: Handler<J, Output = O, Error = E>,
        S: Source<O, E, Job = J>,
    {
        let (wishes, heard) = watch::channel(Wishes::new(shared.settings.workers));
        let control = Control {
            wishes: Arc::new(wishes),
            board: Arc::clone(&shared.board),
            grace: shared.settings.grace,
        };
        let dispatcher = tokio::spawn(dispatcher::run(shared, heard));
        Self { control, events, dispatcher }
    }
}

impl<J, O, E> Run<J, O, E> {
    /// Waits for the next event; `None` once the run is over and all events were read.
    ///
    /// # Cancel safety
    ///
    /// No event is lost when the future is dropped.
    pub async fn next_event(&mut self) -> Option<Event<J, O, E>> {
        self.events.as_mut()?.recv().await
    }

    /// Waits until the run is over. Events that were not read are dropped.
    ///
    /// # Panics
    ///
    /// When the source panicked, or the iterator of waits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run, as dropping the run does.
    pub async fn join(mut self) -> Summary {
        self.events = None;
        match (&mut self.dispatcher).await {
            Ok(summary) => summary,
            Err(error) => match error.try_into_panic() {
                Ok(payload) => panic::resume_unwind(payload),
                Err(_) => unreachable!("nobody aborts the dispatcher"),
            },
        }
    }

    /// Returns a handle that steers the run from elsewhere, such as a signal handler.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// As [`Control::stop`].
    pub fn stop(&self) {
        self.control.stop();
    }

    /// As [`Control::cancel`].
    pub fn cancel(&self) {
        self.control.cancel();
    }

    /// As [`Control::abort_after`].
    pub fn abort_after(&self, grace: Duration) {
        self.control.abort_after(grace);
    }

    /// As [`Control::set_workers`].
    pub fn set_workers(&self, workers: usize) {
        self.control.set_workers(workers);
    }

    /// As [`Control::snapshot`].
    pub fn snapshot(&self) -> Snapshot {
        self.control.snapshot()
    }
}

impl<J, O, E> Drop for Run<J, O, E> {
    fn drop(&mut self) {
        self.control.cancel();
    }
}

/// Steers a run from anywhere. Each call takes effect at once, and none waits.
#[derive(Debug, Clone)]
pub struct Control {
    wishes: Arc<watch::Sender<Wishes>>,
    board: Arc<Board>,
    grace: Duration,
}

impl Control {
    /// Stops gracefully: no new jobs, running ones finish.
    pub fn stop(&self) {
        self.wishes.send_modify(Wishes::finish);
    }

    /// Tells running jobs to stop, and gives back those that do, uncounted. A job that goes on
    /// longer than the pool's grace is dropped, and given back too.
    pub fn cancel(&self) {
        self.abort_after(self.grace);
    }

    /// Cancels with a grace of its own, from now. It can only shorten one that is under way.
    pub fn abort_after(&self, grace: Duration) {
        self.wishes.send_modify(|wishes| wishes.cancel_by(after(grace)));
    }

    /// Changes how many workers there are.
    ///
    /// Surplus workers finish their jobs first, and new ones come when they are gone. Workers that
    /// had retired are replaced. 0 pauses the run until somebody asks for more.
    pub fn set_workers(&self, workers: usize) {
        self.wishes.send_modify(|wishes| wishes.set_workers(workers));
    }

    /// Returns what can be seen of the run now.
    pub fn snapshot(&self) -> Snapshot {
        self.board.snapshot()
    }
}

/// What became of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Summary {
    /// Why it is over.
    pub ended: Ended,
    /// What became of the jobs.
    pub counts: Counts,
    /// The workers that used up their ration of recoveries.
    pub retired: Vec<(WorkerId, WorkerHealth)>,
}

/// Why a run is over.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The source has no more jobs.
    Drained,
    /// It was told to stop, or to cancel. Jobs that were not done are still in the source.
    Stopped,
    /// All workers have retired. Jobs that were not done are still in the source, not failed.
    NoWorkersLeft,
    /// Something is wrong with the source.
    SourceFailed(SourceError),
}
