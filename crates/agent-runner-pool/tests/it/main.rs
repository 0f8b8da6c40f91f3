//! The public API of the crate, used as others use it.

mod basics;
mod laws;
mod seed;
