//! The public API, from outside.

mod basics;
mod model;
