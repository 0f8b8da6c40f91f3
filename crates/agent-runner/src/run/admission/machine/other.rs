//! Systems that we do not know how to ask.

/// The mean number of processes that wanted to run in the last minute.
pub(in super::super) const fn load() -> Option<f64> {
    None
}

/// The bytes of memory that new processes can have.
pub(in super::super) const fn free_memory() -> Option<u64> {
    None
}
