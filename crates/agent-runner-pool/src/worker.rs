//! One worker: takes jobs, settles them, and minds its health.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{self, coop},
    time,
};

use crate::{
    Assignment, End, Event, Handler, Recovered, Source, SourceError, Stop, Then, WorkerHealth,
    WorkerId,
    attempt::{Attempted, attempt},
    board::Board,
    builder::Settings,
    contain::{contain, discard},
    event::Events,
    signal::Order,
};

/// What the workers of a run have in common.
pub(crate) struct Shared<J, S, H: Handler<J>> {
    pub(crate) source: S,
    pub(crate) handler: H,
    pub(crate) settings: Settings,
    pub(crate) events: Events<J, H::Output, H::Error>,
    pub(crate) board: Arc<Board>,
}

impl<J, S, H: Handler<J>> Shared<J, S, H> {
    pub(crate) fn new(
        source: S,
        handler: H,
        settings: Settings,
        events: Events<J, H::Output, H::Error>,
    ) -> Self {
        Self { source, handler, settings, events, board: Arc::default() }
    }
}

/// Why a worker left.
#[derive(Debug)]
pub(crate) enum Exit {
    /// There will be no more jobs.
    Drained,
    /// It was told to.
    Told,
    /// It used up its ration of recoveries.
    Retired(WorkerId, WorkerHealth),
    /// Something is wrong with the source.
    SourceFailed(SourceError),
}

pub(crate) struct Worker<J, S, H: Handler<J>> {
    id: WorkerId,
    shared: Arc<Shared<J, S, H>>,
    orders: Stop,
    health: WorkerHealth,
}

impl<J, S, H> Worker<J, S, H>
where
    J: Clone + Send + Sync + 'static,
    H: Handler<J>,
    S: Source<H::Output, H::Error, Job = J>,
{
    pub(crate) fn new(
        id: WorkerId,
        shared: Arc<Shared<J, S, H>>,
        orders: watch::Receiver<Order>,
    ) -> Self {
        let health = WorkerHealth::new(shared.settings.health);
        shared.board.worker_is(id, health);
        Self { id, shared, orders: Stop::new(orders), health }
    }

    pub(crate) async fn work(mut self) -> Exit {
        let worker = self.id;
        self.shared.events.emit(|| Event::WorkerStarted { worker }).await;
        let exit = self.work_until_exit().await.unwrap_or_else(Exit::SourceFailed);
        self.shared.board.worker_left(worker);
        let left = || match exit {
            Exit::Retired(worker, health) => Event::WorkerRetired { worker, health },
            _ => Event::WorkerStopped { worker },
        };
        self.shared.events.emit(left).await;
        exit
    }

    async fn work_until_exit(&mut self) -> Result<Exit, SourceError> {
        let mut at_hand = None;
        loop {
            let assignment = match at_hand.take() {
                Some(assignment) => Some(assignment),
                None if self.orders.is_stopped() => None,
                None => self.shared.source.next(self.id, &self.orders).await?,
            };
            let stopped = self.orders.is_stopped();
            let assignment = match assignment {
                Some(assignment) if !stopped => assignment,
                Some(assignment) => {
                    let source = &self.shared.source;
                    source.settle(self.id, assignment, &End::Cancelled, Then::Rest).await?;
                    return Ok(Exit::Told);
                }
                None if stopped => return Ok(Exit::Told),
                None => return Ok(Exit::Drained),
            };
            at_hand = match self.work_on(assignment).await? {
                Go::On(next) => next,
                Go::Yield => {
                    task::yield_now().await;
                    None
                }
                Go::Recover(error) => match self.recover(&error).await {
                    None => None,
                    Some(exit) => return Ok(exit),
                },
            };
            // Jobs that never wait would starve everybody else on this thread.
            coop::consume_budget().await;
        }
    }

    /// Runs a job and settles it; may return the next.
    async fn work_on(&mut self, assignment: Assignment<J>) -> Result<Go<J, H::Error>, SourceError> {
        let shared = Arc::clone(&self.shared);
        let Shared { source, events, board, .. } = &*shared;
        let (worker, job, number) = (self.id, &assignment.job, assignment.attempt);
        board.job_started();
        events.emit(|| Event::JobStarted { worker, job: job.clone(), attempt: number }).await;

        let Attempted { end, worker_error } =
            attempt(&shared, &self.orders, worker, &assignment).await;
        self.mind(&end, worker_error.is_some());

        // Another worker may have a job as soon as it was settled, so that what is to be said of
        // this attempt is said before. An output can only be given away afterwards.
        events.emit_unfinished(worker, job, &end).await;
        let finished = (matches!(end, End::Finished(_)) && events.are_read()).then(|| job.clone());
        let rest = worker_error.is_some() || self.orders.is_stopped();
        let then = if rest { Then::Rest } else { Then::Next };
        let next = source.settle(worker, assignment, &end, then).await?;
        board.job_ended(&end);
        if let (End::Finished(output), Some(job)) = (end, finished) {
            events.emit(|| Event::JobFinished { worker, job, output }).await;
        }
        Ok(match worker_error {
            None => Go::On(next),
            Some(_) if self.health.is_healthy() => Go::Yield,
            Some(error) => Go::Recover(error),
        })
    }

    /// Counts what a job says about the worker's health.
    fn mind<O, E>(&mut self, end: &End<O, E>, worker_failed: bool) {
        let before = self.health;
        if worker_failed {
            self.health.record_failure();
        } else if matches!(end, End::Finished(_)) {
            self.health.record_success();
        }
        if self.health != before {
            self.shared.board.worker_is(self.id, self.health);
        }
    }

    /// Tries to recover until it works, or the ration is used up.
    async fn recover(&mut self, error: &H::Error) -> Option<Exit> {
        let (worker, shared) = (self.id, Arc::clone(&self.shared));
        let Shared { handler, settings, events, board, .. } = &*shared;
        events.emit(|| Event::WorkerUnhealthy { worker, health: self.health }).await;
        let mut waits = settings.waits.begin();
        while self.health.may_recover() {
            let wait = waits.next().unwrap_or_default();
            let health = self.health;
            let mut recovery = pin!(Some(async {
                pause(wait).await;
                handler.recover(worker, health, error).await
            }));
            let recovered = tokio::select! {
                biased;
                () = self.orders.stopped() => None,
                recovered = contain(recovery.as_mut()) => Some(recovered.unwrap_or(Recovered::No)),
            };
            discard(recovery);
            let Some(recovered) = recovered else { return Some(Exit::Told) };
            self.health.record_recovery(recovered);
            let health = self.health;
            board.worker_is(worker, health);
            if recovered == Recovered::Yes {
                events.emit(|| Event::WorkerRecovered { worker, health }).await;
                return None;
            }
            events.emit(|| Event::RecoveryFailed { worker, health }).await;
        }
        Some(Exit::Retired(worker, self.health))
    }
}

/// What a worker does after a job.
enum Go<J, E> {
    On(Option<Assignment<J>>),
    /// The job that it failed at is for somebody else, if anybody else has time.
    Yield,
    Recover(Arc<E>),
}

async fn pause(wait: Duration) {
    if !wait.is_zero() {
        time::sleep(wait).await;
    }
}
