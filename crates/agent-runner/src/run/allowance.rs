//! How many attempts a run may still make.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that workers take from, and never more than there is.
#[derive(Debug)]
pub(super) struct Allowance(AtomicU64);

impl Allowance {
    /// `None` is as good as no end.
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self(AtomicU64::new(limit.unwrap_or(u64::MAX)))
    }

    pub(super) fn is_left(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Takes one, if there is one.
    pub(super) fn take(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Gives one back that was not needed.
    pub(super) fn give_back(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
