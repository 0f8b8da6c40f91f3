//! What is done with a job, and with a worker that failed.

use std::time::Duration;

use crate::{Context, Recovered, WorkerHealth, WorkerId};

/// What is done with each job.
///
/// Every `Fn(J, Context) -> impl Future<Output = Result<O, Failure<E>>>` is one, so an `async fn` or
/// a closure will do; implement it for a type when recovery or timeouts need its fields.
///
/// # Examples
///
/// ```
/// use agent_runner_pool::{Context, Failure, Handler, Recovered, WorkerHealth, WorkerId};
///
/// struct Fetch {
///     client: Client,
/// }
///
/// impl Handler<String> for Fetch {
///     type Output = usize;
///     type Error = std::io::Error;
///
///     async fn run(&self, url: &String, _: &Context) -> Result<usize, Failure<Self::Error>> {
///         self.client.get(url).await.map_err(Failure::Job)
///     }
///
///     async fn recover(&self, _: WorkerId, _: WorkerHealth, _: &Self::Error) -> Recovered {
///         if self.client.reconnect().await.is_ok() { Recovered::Yes } else { Recovered::No }
///     }
/// }
/// # struct Client;
/// # impl Client {
/// #     async fn get(&self, url: &str) -> std::io::Result<usize> { Ok(url.len()) }
/// #     async fn reconnect(&self) -> std::io::Result<()> { Ok(()) }
/// # }
/// ```
pub trait Handler<J>: Send + Sync + 'static {
    /// What a job makes.
    type Output: Send + Sync + 'static;
    /// What goes wrong.
    type Error: Send + Sync + 'static;

    /// Works on a job.
    ///
    /// A panic is the job's failure. The future is dropped when the job does not end within the
    /// pool's grace after it was told to stop ([`Context::cancelled`]).
    fn run(
        &self,
        job: &J,
        context: &Context,
    ) -> impl Future<Output = Result<Self::Output, Failure<Self::Error>>> + Send;

    /// Mends an unhealthy worker: clean up, probe, reconnect. The default says that all is well.
    ///
    /// `error` is what the worker failed of last. A panic counts as [`Recovered::No`]. The future is
    /// dropped when the worker is told to stop.
    fn recover(
        &self,
        worker: WorkerId,
        health: WorkerHealth,
        error: &Self::Error,
    ) -> impl Future<Output = Recovered> + Send {
        let _ = (worker, health, error);
        async { Recovered::Yes }
    }

    /// The time that this job has; `None` leaves it to the pool's setting.
    fn timeout(&self, job: &J) -> Option<Duration> {
        let _ = job;
        None
    }
}

/// Why a job was not done. The kind says who pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure<E> {
    /// The job's own failure: the job has failed, the worker is well.
    #[error("the job failed")]
    Job(#[source] E),
    /// The worker's failure (spawn, crash, lost connection): counted against its health, and the job
    /// goes back for another worker.
    #[error("the worker failed")]
    Worker(#[source] E),
    /// A limit, nobody's failure: the job goes back uncounted.
    #[error("the job met a limit")]
    Release(#[source] E),
}

/// `?` in a handler makes an error the job's own failure.
impl<E> From<E> for Failure<E> {
    fn from(error: E) -> Self {
        Self::Job(error)
    }
}

impl<J, O, E, F, Fut> Handler<J> for F
where
    J: Clone,
    O: Send + Sync + 'static,
    E: Send + Sync + 'static,
    F: Fn(J, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, Failure<E>>> + Send,
{
    type Output = O;
    type Error = E;

    fn run(
        &self,
        job: &J,
        context: &Context,
    ) -> impl Future<Output = Result<O, Failure<E>>> + Send {
        self(job.clone(), context.clone())
    }
}

/// Adds a recovery to a handler that is a closure or an `async fn`.
///
/// The closure gets the worker, its health, and what it failed of last.
pub fn with_recovery<H, R>(handler: H, recover: R) -> WithRecovery<H, R> {
    WithRecovery { handler, recover }
}

/// A handler with a recovery of its own, made by [`with_recovery`].
#[derive(Debug, Clone, Copy)]
pub struct WithRecovery<H, R> {
    handler: H,
    recover: R,
}

impl<J, O, E, H, HFut, R, RFut> Handler<J> for WithRecovery<H, R>
where
    J: Clone,
    O: Send + Sync + 'static,
    E: Send + Sync + 'static,
    H: Fn(J, Context) -> HFut + Send + Sync + 'static,
    HFut: Future<Output = Result<O, Failure<E>>> + Send,
    R: Fn(WorkerId, WorkerHealth, &E) -> RFut + Send + Sync + 'static,
    RFut: Future<Output = Recovered> + Send,
{
    type Output = O;
    type Error = E;

    fn run(
        &self,
        job: &J,
        context: &Context,
    ) -> impl Future<Output = Result<O, Failure<E>>> + Send {
        (self.handler)(job.clone(), context.clone())
    }

    fn recover(
        &self,
        worker: WorkerId,
        health: WorkerHealth,
        error: &E,
    ) -> impl Future<Output = Recovered> + Send {
        (self.recover)(worker, health, error)
    }
}
