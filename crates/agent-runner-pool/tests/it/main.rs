//! The public API of the crate, used as others use it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod basics;
mod control;
mod laws;
mod seed;
mod source;
