//! The public API, with real repositories.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test's helper is a test")]

mod basics;
mod collecting;
mod hostile;
mod kills;
mod landed;
mod merging;
mod names;
mod night;
mod opening;
mod sandbox;
mod wild;
