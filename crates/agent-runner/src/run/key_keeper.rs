//! Keeps what a run learns of its keys: for the next run, for others beside it, and for `status`.

use std::sync::Arc;

use super::supply::Supply;
use crate::{key_state, project::Project, report::Reporter};

/// Looks after what is known of a run's keys.
#[derive(Debug, Clone)]
pub(super) struct KeyKeeper {
    pub(super) supply: Arc<Supply>,
    pub(super) project: Project,
    pub(super) run: String,
    pub(super) reporter: Arc<Reporter>,
}

impl KeyKeeper {
    /// Keeps it up to date for ever.
    ///
    /// # Cancel safety
    ///
    /// What was learned since the last time is kept by [`end`](Self::end).
    pub(super) async fn keep(self) {
        while self.supply.len() > 0 {
            tokio::time::sleep(key_state::EVERY).await;
            let keeper = self.clone();
            // Files may be slow, and it is cut short only when the runtime ends.
            drop(tokio::task::spawn_blocking(move || keeper.once(true)).await);
        }
    }

    /// Keeps the last of it.
    pub(super) fn end(&self) {
        if self.supply.len() > 0 {
            self.once(false);
            key_state::hide(&self.project, &self.run);
        }
    }

    fn once(&self, is_shown: bool) {
        self.supply.sync(self.reporter.ui());
        if is_shown && self.project.state().is_dir() {
            // `status` is no reason to stop for.
            drop(key_state::show(&self.project, &self.run, &self.supply.snapshot()));
        }
    }
}
