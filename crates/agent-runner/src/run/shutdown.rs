//! How a run is stopped: first no new tasks, then SIGTERM to the agents, then SIGKILL.

use std::time::Duration;

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

/// Why a run stops before its tasks are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The exit code that it leads to.
    pub exit: Exit,
    /// In words.
    pub reason: String,
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

/// Follows the signals of the process: each one goes a stage further, and after the first one the
/// stages go on by themselves, `grace` apart.
///
/// # Cancel safety
///
/// A signal that comes after the future was dropped is not seen.
pub async fn follow_signals(shutdown: Shutdown, grace: Duration) -> std::io::Result<()> {
    let mut signals = signals::Signals::new()?;
    loop {
        let stage = shutdown.stage();
        let by_itself = async {
            match stage {
                Stage::Draining | Stage::Terminating
                    if shutdown.cause().is_some_and(|c| is_signal(c.exit)) =>
                {
                    tokio::time::sleep(grace).await;
                }
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            exit = signals.next() => {
                let reason = if exit == Exit::Interrupted { "interrupted" } else { "told to stop" };
                shutdown.advance(next(stage), exit, reason);
            }
            () = by_itself => {
                shutdown.advance(next(stage), Exit::Interrupted, "interrupted");
            }
            () = shutdown.left(stage) => {}
        }
    }
}

const fn is_signal(exit: Exit) -> bool {
    matches!(exit, Exit::Interrupted | Exit::Terminated)
}

const fn next(stage: Stage) -> Stage {
    match stage {
        Stage::Running => Stage::Draining,
        Stage::Draining => Stage::Terminating,
        Stage::Terminating | Stage::Killing => Stage::Killing,
    }
}

#[cfg(unix)]
mod signals {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    use crate::exit_code::Exit;

    pub(super) struct Signals {
        interrupt: Signal,
        terminate: Signal,
        hangup: Signal,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: signal(SignalKind::hangup())?,
            })
        }

        pub(super) async fn next(&mut self) -> Exit {
            tokio::select! {
                _ = self.interrupt.recv() => Exit::Interrupted,
                _ = self.terminate.recv() => Exit::Terminated,
                _ = self.hangup.recv() => Exit::Terminated,
            }
        }
    }
}

#[cfg(windows)]
mod signals {
    use std::io;

    use crate::exit_code::Exit;

    pub(super) struct Signals;

    impl Signals {
        #[expect(clippy::unnecessary_wraps, reason = "as on Unix, where it can fail")]
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn next(&mut self) -> Exit {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            Exit::Interrupted
        }
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
