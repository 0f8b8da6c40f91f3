//! How a run is stopped: first no new tasks, then SIGTERM to the agents, then SIGKILL.

use tokio::sync::watch;

use crate::exit_code::Exit;

/// How far the stopping has come. It only ever goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not at all.
    Running,
    /// No new tasks; agents finish.
    Draining,
    /// Agents are asked to end.
    Terminating,
    /// Agents are ended.
    Killing,
}

impl Stage {
    /// The one after it.
    pub const fn next(self) -> Self {
        match self {
            Self::Running => Self::Draining,
            Self::Draining => Self::Terminating,
            Self::Terminating | Self::Killing => Self::Killing,
        }
    }
}

/// Why a run stops before its tasks are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The exit code that it leads to.
    pub exit: Exit,
    /// In words.
    pub reason: String,
}

impl Cause {
    /// Whether a person or the system asked for it: then the stages go on by themselves.
    pub fn is_signal(&self) -> bool {
        matches!(self.exit, Exit::Interrupted | Exit::Terminated)
    }
}

/// The stage that everybody in a run watches.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Sender<(Stage, Option<Cause>)>);

impl Shutdown {
    /// Nothing has been stopped yet.
    pub fn new() -> Self {
        Self(watch::Sender::new((Stage::Running, None)))
    }

    /// Goes on to `stage`, if it is not there yet; the first cause is the one that counts. Returns
    /// whether anything changed.
    pub fn advance(&self, stage: Stage, exit: Exit, reason: impl Into<String>) -> bool {
        self.0.send_if_modified(|(current, cause)| {
            let further = stage > *current;
            if further {
                *current = stage;
                cause.get_or_insert_with(|| Cause { exit, reason: reason.into() });
            }
            further
        })
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        self.0.borrow().0
    }

    /// Why, if it has begun.
    pub fn cause(&self) -> Option<Cause> {
        self.0.borrow().1.clone()
    }

    /// Waits until it has come to `stage`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn reached(&self, stage: Stage) {
        // The sender is `self`: it cannot be gone while this waits.
        drop(self.0.subscribe().wait_for(|(current, _)| *current >= stage).await);
    }

    /// Waits until it has changed from `stage`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn left(&self, stage: Stage) {
        drop(self.0.subscribe().wait_for(|(current, _)| *current != stage).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_only_go_on_and_the_first_cause_counts() {
        let shutdown = Shutdown::new();
        assert!(shutdown.advance(Stage::Draining, Exit::Left, "limit"));
        assert!(shutdown.advance(Stage::Killing, Exit::Interrupted, "interrupted"));
        assert!(!shutdown.advance(Stage::Terminating, Exit::Terminated, "told to stop"));
        assert_eq!(shutdown.stage(), Stage::Killing);
        assert_eq!(shutdown.cause(), Some(Cause { exit: Exit::Left, reason: "limit".into() }));
    }
}
