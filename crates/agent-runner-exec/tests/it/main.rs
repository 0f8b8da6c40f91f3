//! The public API of the crate, used as others use it, with real processes.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]
#![expect(clippy::print_stdout, reason = "that is how the roles answer")]

mod cgroup;
mod container;
mod limits;
mod orphan;
mod output;
mod roles;
mod start;
mod support;
mod tree;
mod usage;
mod wiped;
