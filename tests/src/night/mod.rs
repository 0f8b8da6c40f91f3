//! A simulated night in real time: the provider of [`simulate`](agent_runner_credentials::simulate)
//! behind a server on loopback, and many clients who reach it through a real gateway.
//!
//! What limits, outages and dead keys do is the same model that virtual time has; what is real are
//! sockets, timers, threads and the gateway. Time can go faster: then it does so for the provider,
//! for the clients and, by a clock of its own, for the gateway's ring. So a `retry-after` of one
//! second is over in a tenth at ten-fold speed, and all that is said on the wire stays as it is:
//! whole seconds there, resets and dates by the clock of the night. The time that sockets and the
//! gateway take counts ten-fold.

mod clock;
mod load;
mod messages;
mod provider;

pub use self::{
    clock::Clock,
    load::{Keys, Outcome, spend},
    provider::{Counts, Provider},
};
