//! The public API of the crate, used as others use it, with real processes.

#![cfg(target_os = "linux")]

mod limits;
mod orphan;
mod output;
mod roles;
mod start;
mod support;
mod tree;
