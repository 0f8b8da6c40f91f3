//! Workers with a connection that breaks: a job whose worker lost it goes to another one, and the worker
//! reconnects before it gets a job again.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use agent_runner_pool::{
    Context, Failure, Handler, HealthPolicy, Pool, Queue, Recovered, WorkerHealth, WorkerId,
};

/// The workers whose connection is up.
#[derive(Default)]
struct Connections {
    up: Mutex<HashSet<WorkerId>>,
}

impl Connections {
    fn with<T>(&self, change: impl FnOnce(&mut HashSet<WorkerId>) -> T) -> T {
        change(&mut self.up.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Handler<u32> for Connections {
    type Output = u32;
    type Error = &'static str;

    async fn run(&self, job: &u32, context: &Context) -> Result<u32, Failure<Self::Error>> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let worker = context.worker();
        if !self.with(|up| up.contains(&worker)) {
            return Err(Failure::Worker("not connected"));
        }
        if job.is_multiple_of(5) && context.attempt() == 1 {
            self.with(|up| up.remove(&worker));
            return Err(Failure::Worker("connection lost"));
        }
        Ok(job * job)
    }

    async fn recover(
        &self,
        worker: WorkerId,
        health: WorkerHealth,
        error: &Self::Error,
    ) -> Recovered {
        println!("{worker}: {error}; attempt {} to reconnect", health.recovery_attempts() + 1);
        self.with(|up| up.insert(worker));
        Recovered::Yes
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder()
        .workers(3)
        .health(HealthPolicy { max_consecutive_failures: 1, ..HealthPolicy::default() })
        // Any iterator of durations will do, such as a backoff.
        .waits(|| (1..).map(|n| Duration::from_millis(20 * n)))
        .build()?;
    let summary = pool.run(Queue::new(1..=20), Connections::default()).await;
    println!("{:?}: {:?}", summary.ended, summary.counts);
    Ok(())
}
