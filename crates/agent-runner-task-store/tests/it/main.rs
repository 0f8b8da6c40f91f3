//! The public API of the crate, used as others use it.

#[cfg(feature = "backlog")]
mod backlog;
#[cfg(feature = "conformance")]
mod memory;
#[cfg(all(feature = "conformance", feature = "sqlite"))]
mod sqlite;
