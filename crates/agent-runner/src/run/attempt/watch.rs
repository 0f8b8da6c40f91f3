//! Watching a command to its end, or to the end that somebody asked for.

use agent_runner_exec::{Child, Command, Exit, SpawnError, Stop, StopLevel, WaitError};
use agent_runner_pool::Context;
use agent_runner_task_store::Beat;

use super::{Attempts, Ended};
use crate::{
    error::chain_of,
    run::{outcome::Outcome, queue::Job, shutdown::Stage},
    units::count,
};

/// Why an agent was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::run) enum Order {
    /// A person took the task out.
    Cancel,
    /// The claim is gone.
    Lost,
    /// The run stops.
    Stop,
}

impl Attempts {
    /// Runs a command to its end, or to the end that somebody asked for.
    pub(super) async fn watch(
        &self,
        mut command: Command,
        job: &Job,
        context: &Context,
        stop: &Stop,
    ) -> Result<(Exit, Option<Order>), Ended> {
        // Before it is there, in case that this process is killed while it starts. A lock that
        // cannot be written is told once.
        drop(job.note(&command.identity().to_string()));
        let child = job
            .start(|| command.spawn())
            .map_err(|error| Ended::new(Outcome::WorkerFailed, error.to_string()))?
            .map_err(|error| not_started(&error))?;
        if let Err(error) = job.note(&child.identity().to_string()) {
            self.reporter
                .ui()
                .warn(format_args!("could not note the agent in the task's lock: {error}"));
        }
        let (exit, order) = self.wait(child, stop, job, context).await;
        let exit = exit.map_err(|error| {
            Ended::new(Outcome::WorkerFailed, format!("could not watch the agent: {error}"))
        })?;
        if let Some(error) = &exit.log_error {
            self.reporter.ui().warn(format_args!("{error}: {}", error.source));
        }
        if exit.survivors > 0 {
            let task = &job.claim.fence.task;
            self.reporter.ui().warn(format_args!(
                "{} of task '{task}' could not be ended",
                count(u64::from(exit.survivors), "process")
            ));
        }
        Ok((exit, order))
    }

    async fn wait(
        &self,
        child: Child,
        stop: &Stop,
        job: &Job,
        context: &Context,
    ) -> (Result<Exit, WaitError>, Option<Order>) {
        let mut order = None;
        let mut exit = std::pin::pin!(child.wait(stop));
        loop {
            let ordered = tokio::select! {
                exit = &mut exit => return (exit, order),
                ordered = self.ordered(job, context), if order.is_none() => ordered,
                () = self.shutdown.reached(Stage::Killing), if order.is_some() && stop.level() < Some(StopLevel::Kill) => {
                    stop.raise(StopLevel::Kill);
                    continue;
                }
            };
            stop.raise(StopLevel::Interrupt);
            order = Some(ordered);
        }
    }

    /// Waits until somebody wants the agent to end.
    pub(in crate::run) async fn ordered(&self, job: &Job, context: &Context) -> Order {
        tokio::select! {
            beat = job.held.ended() => match beat {
                Beat::Cancel => Order::Cancel,
                _ => Order::Lost,
            },
            () = self.shutdown.reached(Stage::Terminating) => Order::Stop,
            _ = context.cancelled() => Order::Stop,
        }
    }
}

/// A program that is not there cannot be mended by another worker; a full process table can.
fn not_started(error: &SpawnError) -> Ended {
    let message = chain_of(error);
    let outcome = if error.is_transient() { Outcome::WorkerFailed } else { Outcome::Invalid };
    Ended::new(outcome, message)
}
