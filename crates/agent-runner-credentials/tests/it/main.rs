//! The public API, from outside.

#[cfg(unix)]
mod command;
mod file;
mod renewal;
mod secrets;
mod seed;
#[cfg(feature = "tokio")]
mod shared;
#[cfg(feature = "simulate")]
mod simulated;
mod state_file;
mod variables;
