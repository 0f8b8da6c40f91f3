#![doc = include_str!("../README.md")]

mod adaptive;
mod attempt;
mod board;
mod builder;
mod contain;
mod context;
mod dispatcher;
mod event;
mod handler;
mod health;
#[cfg(test)]
mod interleavings;
mod pool;
mod queue;
mod run;
mod signal;
mod source;
mod waits;
mod worker;

pub use adaptive::{AdaptiveLimit, AdaptivePolicy};
pub use board::{Counts, Snapshot};
pub use builder::{BuildError, PoolBuilder};
pub use context::{Cancelled, Context};
pub use event::Event;
pub use handler::{Failure, Handler, WithRecovery, with_recovery};
pub use health::{HealthPolicy, Recovered, WorkerHealth};
pub use pool::Pool;
pub use queue::Queue;
pub use run::{Control, Ended, Run, Summary};
pub use signal::Stop;
pub use source::{Assignment, End, JobError, Source, SourceError, Then, WorkerId};
