//! How a caller asks for the end of what runs.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// How firmly a child is asked to end.
///
/// Each level begins a sequence that goes on by itself, a [grace](crate::Command::grace) apart,
/// until the child is gone; a higher one may be asked for at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopLevel {
    /// SIGINT, as Ctrl-C would; then as [`Terminate`](Self::Terminate).
    Interrupt,
    /// SIGTERM; then as [`Kill`](Self::Kill).
    Terminate,
    /// SIGKILL, at once.
    Kill,
}

impl StopLevel {
    pub(crate) const fn next(self) -> Option<Self> {
        match self {
            Self::Interrupt => Some(Self::Terminate),
            Self::Terminate => Some(Self::Kill),
            Self::Kill => None,
        }
    }
}

/// A switch that ends every child that waits on it. Clones are the same switch.
///
/// It only goes up: a level that was asked for cannot be taken back.
///
/// # Examples
///
/// ```
/// use agent_runner_exec::{Stop, StopLevel};
///
/// let stop = Stop::new();
/// stop.raise(StopLevel::Terminate);
/// stop.raise(StopLevel::Interrupt); // too late to ask more softly
/// assert_eq!(stop.level(), Some(StopLevel::Terminate));
/// ```
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<Option<StopLevel>>);

impl Stop {
    /// Makes a switch that nobody has touched.
    pub fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Asks for the end, or for a firmer end than before.
    pub fn raise(&self, level: StopLevel) {
        self.0.send_if_modified(|current| {
            let raised = Some(level) > *current;
            if raised {
                *current = Some(level);
            }
            raised
        });
    }

    /// What has been asked for so far.
    pub fn level(&self) -> Option<StopLevel> {
        *self.0.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<StopLevel>> {
        let mut levels = self.0.subscribe();
        levels.mark_changed();
        levels
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}
