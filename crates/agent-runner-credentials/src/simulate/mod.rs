//! A simulated provider, and clients that work through it in virtual time.
//!
//! A night of limits, outages and dead keys is over in milliseconds, and the same seed gives the
//! same night. [`run`] lets a [`Client`] do [`Job`]s against a [`Scenario`]; [`Scheduled`] is the
//! client that uses a [`KeyRing`](crate::KeyRing), and others can be written to compare with it.
//! [`Provider`] alone can be put behind a server. [`optimum`] is how soon somebody who knows everything in advance would be done.
//!
//! The provider is a model, and simpler than a real one: token buckets an account for requests,
//! input and output tokens, answers with the headers of Anthropic's API, refusals that come soon.

mod client;
mod engine;
mod optimum;
mod provider;
mod random;
mod scenario;

pub use client::{Client, Next, Request, Scheduled};
pub use engine::{Report, run};
pub use optimum::optimum;
pub use provider::{Provider, Reply, time_of};
pub use random::Random;
pub use scenario::{Account, Job, Key, Scenario, Turn, calls, conversations};
