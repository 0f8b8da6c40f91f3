//! Looking at a tree's memory now and then.

use std::time::Duration;

use tokio::time::Instant;

use crate::tree::Tree;

/// The first look: a shorter child is not worth one.
const FIRST: Duration = Duration::from_millis(50);
/// The longest pause between two looks if nothing depends on them, and if a limit does.
const SELDOM: Duration = Duration::from_secs(2);
const OFTEN: Duration = Duration::from_millis(250);
/// A look may take so small a part of the time.
const SHARE: u32 = 50;

/// The most memory that was seen, and the limit.
pub(crate) struct Meter {
    limit: Option<u64>,
    peak: Option<u64>,
    pause: Duration,
    /// `None` if the kernel counts, or cannot be asked.
    next_at: Option<Instant>,
}

impl Meter {
    pub(crate) fn new(started: Instant, limit: Option<u64>, is_needed: bool) -> Self {
        Self { limit, peak: None, pause: FIRST, next_at: is_needed.then_some(started + FIRST) }
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    pub(crate) fn peak(&self) -> Option<u64> {
        self.peak
    }

    /// Takes a look if it is time; returns whether the tree uses more than it may.
    pub(crate) fn look(&mut self, tree: &Tree) -> bool {
        let now = Instant::now();
        if self.next_at.is_none_or(|at| at > now) {
            return false;
        }
        let Some(memory) = tree.memory(self.peak.unwrap_or(0)) else {
            self.next_at = None;
            return false;
        };
        self.peak = self.peak.max(Some(memory));
        let longest = if self.limit.is_some() { OFTEN } else { SELDOM };
        self.pause = longest.min(2 * self.pause);
        self.next_at = Some(Instant::now() + self.pause.max(SHARE * now.elapsed()));
        self.limit.is_some_and(|limit| memory > limit)
    }
}
