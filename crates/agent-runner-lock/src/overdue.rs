//! A holder learns that it took longer than it meant to.

use std::time::Instant;

use crate::TaskLock;

impl TaskLock {
    /// Whether it is held for longer than its [timeout](crate::LockDirBuilder::default_timeout), by
    /// this process's own clock. Others see it as
    /// [overdue](crate::LockStatus::overdue) then, and can [take it over](crate::LockDir::take_over).
    pub fn is_overdue(&self) -> bool {
        self.due().is_some_and(|due| Instant::now() >= due)
    }

    /// Waits until [`TaskLock::is_overdue`]: for ever, if it was acquired without a timeout.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    #[cfg(feature = "tokio")]
    pub async fn overdue(&self) {
        match self.due() {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
    }
}
