//! One attempt at a job: run it, stop it when it has to stop, and judge how it ended.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::time::{self, Instant};

use crate::{
    Assignment, Cancelled, Context, End, Failure, Handler, JobError, Stop, WorkerId,
    contain::{contain, contained, discard},
    worker::Shared,
};

/// How an attempt ended.
pub(crate) struct Attempted<O, E> {
    pub(crate) end: End<O, E>,
    /// Set when the worker failed, whatever becomes of the job.
    pub(crate) worker_error: Option<Arc<E>>,
}

impl<O, E> Attempted<O, E> {
    const fn of_job(end: End<O, E>) -> Self {
        Self { end, worker_error: None }
    }
}

/// Runs a job to its end, which may be forced.
pub(crate) async fn attempt<J, S, H: Handler<J>>(
    shared: &Shared<J, S, H>,
    orders: &Stop,
    worker: WorkerId,
    assignment: &Assignment<J>,
) -> Attempted<H::Output, H::Error> {
    let Shared { handler, settings, .. } = shared;
    let timeout = match contained(|| handler.timeout(&assignment.job)) {
        Ok(timeout) => timeout.or(settings.timeout),
        Err(message) => return Attempted::of_job(failed(JobError::Panicked { message })),
    };
    let context = Context {
        worker,
        attempt: assignment.attempt,
        deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
        orders: orders.clone(),
    };
    let (returned, cancelled) = run(handler, &assignment.job, &context, settings.grace).await;
    let end = match (returned, cancelled) {
        (Returned::Value(Ok(output)), _) => End::Finished(output),
        (_, Some(Cancelled::Stopping)) => End::Cancelled,
        (_, Some(Cancelled::TimedOut)) => {
            failed(JobError::TimedOut { after: timeout.unwrap_or_default() })
        }
        (Returned::Panic(message), None) => failed(JobError::Panicked { message }),
        (Returned::Value(Err(Failure::Job(error))), None) => failed(JobError::Failed(error)),
        (Returned::Value(Err(Failure::Release(error))), None) => End::Released(Arc::new(error)),
        (Returned::Value(Err(Failure::Worker(error))), None) => {
            return worker_failed(error, assignment.requeues, settings.max_requeues);
        }
        (Returned::Nothing, None) => unreachable!("only a cancelled job is dropped"),
    };
    Attempted::of_job(end)
}

fn failed<O, E>(error: JobError<E>) -> End<O, E> {
    End::Failed(Arc::new(error))
}

/// The job goes back, unless workers failed under it too often.
fn worker_failed<O, E>(error: E, requeues: u32, max_requeues: u32) -> Attempted<O, E> {
    let error = Arc::new(error);
    let end = if requeues < max_requeues {
        End::Requeued(Arc::clone(&error))
    } else {
        let times = requeues.saturating_add(1);
        failed(JobError::GivenUp { times, last: Arc::clone(&error) })
    };
    Attempted { end, worker_error: Some(error) }
}

/// What came out of a job's future.
enum Returned<T> {
    Value(T),
    Panic(String),
    /// It was dropped.
    Nothing,
}

type Outcome<O, E> = Returned<Result<O, Failure<E>>>;

async fn run<J, H: Handler<J>>(
    handler: &H,
    job: &J,
    context: &Context,
    grace: Duration,
) -> (Outcome<H::Output, H::Error>, Option<Cancelled>) {
    // The call itself may panic too, so it is made inside.
    let mut slot = pin!(Some(async { handler.run(job, context).await }));
    let cancelled = tokio::select! {
        biased;
        // The job may have heard of its cancellation first, and have failed of it.
        returned = contain(slot.as_mut()) => return (returned.into(), context.cancellation()),
        cancelled = context.cancelled() => cancelled,
    };
    let returned = tokio::select! {
        biased;
        returned = contain(slot.as_mut()) => returned.into(),
        () = context.orders.aborted() => Returned::Nothing,
        () = time::sleep(grace), if cancelled == Cancelled::TimedOut => Returned::Nothing,
    };
    discard(slot);
    (returned, Some(cancelled))
}

impl<T> From<Result<T, String>> for Returned<T> {
    fn from(result: Result<T, String>) -> Self {
        result.map_or_else(Self::Panic, Self::Value)
    }
}
