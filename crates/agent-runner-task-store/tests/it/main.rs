//! The public API of the crate, used as others use it.

#[cfg(feature = "backlog")]
mod backlog;
#[cfg(feature = "conformance")]
mod memory;
#[cfg(all(feature = "conformance", feature = "sqlite"))]
mod sqlite;

/// Whether two paths, or folders written as `src/**`, have one in common.
#[cfg(feature = "conformance")]
fn overlap(one: &str, other: &str) -> bool {
    let holds = |outer: &str, inner: &str| {
        outer.strip_suffix("**").map_or(outer == inner, |folder| inner.starts_with(folder))
    };
    holds(one, other) || holds(other, one)
}
