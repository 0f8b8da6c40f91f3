//! The pool: settings that runs are started from.

use std::sync::Arc;

use crate::{
    Handler, PoolBuilder, Run, Source, Summary, builder::Settings, event::Events, worker::Shared,
};

/// N workers, their health and their recovery.
///
/// A pool is settings; it may be run any number of times, also at once.
#[doc(alias = "ParallelSessionManager")]
#[derive(Debug, Clone)]
pub struct Pool {
    settings: Settings,
}

impl Pool {
    /// Begins with the defaults.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    pub(crate) const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Works through a source to its end.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time, and when the source or the iterator of waits panics. A
    /// panic in the handler is the job's failure.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run: running jobs are told to stop and go back to the
    /// source. That happens in the background, and takes up to the grace.
    #[doc(alias = "run_parallel_agents")]
    pub async fn run<J, S, H>(&self, source: S, handler: H) -> Summary
    where
        J: Clone + Send + Sync + 'static,
        H: Handler<J>,
        S: Source<H::Output, H::Error, Job = J>,
    {
        let shared = Shared::new(source, handler, self.settings.clone(), Events::nowhere());
        Run::spawn(Arc::new(shared), None).join().await
    }

    /// Starts to work through a source, in the background.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time.
    pub fn start<J, S, H>(&self, source: S, handler: H) -> Run<J, H::Output, H::Error>
    where
        J: Clone + Send + Sync + 'static,
        H: Handler<J>,
        S: Source<H::Output, H::Error, Job = J>,
    {
        let (events, receiver) = Events::channel(self.settings.event_buffer);
        let shared = Shared::new(source, handler, self.settings.clone(), events);
        Run::spawn(Arc::new(shared), Some(receiver))
    }
}
