//! The signals of the process, and what each means for the run.

use std::{io, sync::Arc, time::Duration};

pub use self::platform::Signals;
use super::shutdown::{Shutdown, Stage};
use crate::{
    exit_code::Exit,
    report::{Event, Reporter},
    units::show_duration,
};

/// A signal that was caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caught {
    /// A Ctrl-C.
    Interrupt,
    /// A request to end.
    Terminate,
    /// The terminal is gone. Only on Unix.
    #[cfg_attr(windows, expect(dead_code, reason = "there is none"))]
    HangUp,
}

impl Caught {
    /// The exit code of who ends because of it.
    pub fn exit(self) -> Exit {
        if self == Self::Interrupt { Exit::Interrupted } else { Exit::Terminated }
    }
}

/// Follows the signals, and says each time what happens next. They are caught from now on, also
/// before the future is polled.
pub(super) fn follow(
    shutdown: Shutdown,
    grace: Duration,
    reporter: Arc<Reporter>,
) -> io::Result<impl Future<Output = ()> + Send> {
    let signals = Signals::new()?;
    Ok(async move {
        let told = shutdown.clone();
        let tell = async {
            loop {
                let stage = told.stage();
                told.left(stage).await;
                tell_stage(&told, grace, &reporter);
            }
        };
        tokio::select! {
            () = follow_signals(signals, shutdown, grace) => {}
            () = tell => {}
        }
    })
}

fn tell_stage(shutdown: &Shutdown, grace: Duration, reporter: &Reporter) {
    let Some(cause) = shutdown.cause() else { return };
    let next = match shutdown.stage() {
        Stage::Running => return,
        Stage::Draining if cause.is_signal() => format!(
            "no new tasks; agents may finish for {}; again to end them",
            show_duration(grace)
        ),
        Stage::Draining => "no new tasks; agents finish".into(),
        Stage::Terminating => "ending the agents; again to kill them".into(),
        Stage::Killing => "killing the agents".into(),
    };
    reporter.tell(&Event::Stopping { reason: cause.reason, next });
}

/// Follows the signals of the process: each one goes a stage further, and after the first one the
/// stages go on by themselves, `grace` apart.
///
/// # Cancel safety
///
/// A signal that comes after the future was dropped is not seen.
async fn follow_signals(mut signals: Signals, shutdown: Shutdown, grace: Duration) {
    loop {
        let stage = shutdown.stage();
        let by_itself = async {
            match stage {
                Stage::Draining | Stage::Terminating
                    if shutdown.cause().is_some_and(|c| c.is_signal()) =>
                {
                    tokio::time::sleep(grace).await;
                }
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            signal = signals.next() => {
                let exit = signal.exit();
                let reason = if exit == Exit::Interrupted { "interrupted" } else { "told to stop" };
                shutdown.advance(stage.next(), exit, reason);
            }
            () = by_itself => {
                shutdown.advance(stage.next(), Exit::Interrupted, "interrupted");
            }
            () = shutdown.left(stage) => {}
        }
    }
}

#[cfg(unix)]
mod platform {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::Caught;

    /// What ends a program.
    pub struct Signals {
        interrupt: Signal,
        terminate: Signal,
        hangup: Signal,
    }

    impl Signals {
        /// Catches them from now on.
        pub fn new() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: signal(SignalKind::hangup())?,
            })
        }

        /// Waits for one.
        pub async fn next(&mut self) -> Caught {
            tokio::select! {
                _ = self.interrupt.recv() => Caught::Interrupt,
                _ = self.terminate.recv() => Caught::Terminate,
                _ = self.hangup.recv() => Caught::HangUp,
            }
        }
    }
}

#[cfg(windows)]
mod platform {
    use std::io;

    use super::Caught;

    /// What ends a program.
    pub struct Signals;

    impl Signals {
        #[expect(clippy::unnecessary_wraps, reason = "as on Unix, where it can fail")]
        /// Catches them from now on.
        pub fn new() -> io::Result<Self> {
            Ok(Self)
        }

        /// Waits for one.
        pub async fn next(&mut self) -> Caught {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            Caught::Interrupt
        }
    }
}
