//! `locks run`: a command that holds locks while it runs.

use std::{
    io::{IsTerminal, stdin},
    process::{ExitCode, ExitStatus},
    time::{Duration, Instant},
};

use agent_runner_lock::{AcquireError, ClaimStatus, LockDir, Resource, ResourceLock};
use tokio::process::{Child, Command};

use crate::{
    cli::LocksRun,
    error::{Error, OrExit, Result},
    exit_code::Exit,
    project::Project,
    resources,
    run::{Caught, Signals},
    ui::{Ui, headline},
};

/// Where the command finds the token of its locks.
const TOKEN: &str = "AGENT_RUNNER_LOCK_TOKEN";
/// How often it is checked that the locks are still ours.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// How long the command has between SIGTERM and SIGKILL when they are not.
const GRACE: Duration = Duration::from_secs(5);

/// Runs a command under locks. The exit code is the command's.
pub async fn run(ui: &Ui, project: &Project, args: &LocksRun) -> Result<ExitCode> {
    let resources = resources(args)?;
    let program = &args.command[0];
    let path = agent_runner_exec::find_program(program)
        .map_err(|error| Error::new(Exit::Invalid, error))?;
    project.make_state()?;
    let locks = project.open_locks(&headline(&format!("locks run {program}"), 60))?;
    // Caught from here on: a signal while we wait ends us, and nothing is held.
    let mut signals =
        Signals::new().or_exit(Exit::Unexpected, || "could not follow signals".into())?;
    let lock = tokio::select! {
        lock = acquire(ui, &locks, &resources, args) => lock?,
        signal = signals.next() => return Ok(signal.exit().into()),
    };
    let mut command = Command::new(path);
    command.args(&args.command[1..]).env(TOKEN, lock.token().to_string());
    let has_own_group = leave_group(&mut command);
    let child =
        lock.keep_with_child(&mut command).or_invalid(|| format!("could not start '{program}'"))?;
    Running { child, has_own_group }.watch(&mut signals, &lock).await
}

fn resources(args: &LocksRun) -> Result<Vec<Resource>> {
    let all = resources::named(&args.keys, &args.touches)
        .map_err(|error| Error::new(Exit::Usage, error))?;
    let share = |one: Resource| if args.shared { one.shared() } else { one };
    Ok(all.into_iter().map(share).collect())
}

async fn acquire(
    ui: &Ui,
    locks: &LockDir,
    resources: &[Resource],
    args: &LocksRun,
) -> Result<ResourceLock> {
    let at_once = locks.acquire_all_until(resources, Instant::now()).await;
    let wait = if args.no_wait { Some(Duration::ZERO) } else { args.wait };
    let acquired = match (at_once, wait) {
        (Err(AcquireError::ResourcesTimedOut { held: claims, .. }), wait)
            if wait != Some(Duration::ZERO) =>
        {
            if let Some(claim) = waits_for_us(locks, &claims) {
                let error = if claim.waiting {
                    format!("{claim}, and waits for what this command runs under")
                } else {
                    format!("{claim}, under which this command runs")
                };
                return Err(Error::message(Exit::Held, error).hint("it would wait for itself"));
            }
            for claim in &claims {
                ui.say(format_args!("waiting: {claim}"));
            }
            match wait {
                None => locks.acquire_all(resources).await,
                Some(wait) => locks.acquire_all_until(resources, Instant::now() + wait).await,
            }
        }
        (at_once, _) => at_once,
    };
    acquired.map_err(|error| match error {
        AcquireError::ResourcesTimedOut { .. } => {
            Error::new(Exit::Held, error).hint("`--wait TIME` sets how long to wait")
        }
        error => Error::new(Exit::Invalid, error),
    })
}

/// One of these claims that cannot end before we do: that of the `locks run` which started us, or of
/// one that waits for it.
fn waits_for_us<'a>(locks: &LockDir, claims: &'a [ClaimStatus]) -> Option<&'a ClaimStatus> {
    let above: u64 = std::env::var(TOKEN).ok()?.parse().ok()?;
    let is_above = |claim: &ClaimStatus| claim.info.as_ref().is_some_and(|it| it.token == above);
    let above = locks.claims().ok()?.into_iter().find(is_above)?;
    let is_ours = |one: &Resource| above.resources.iter().any(|other| one.conflicts_with(other));
    let waits = |claim: &&ClaimStatus| claim.waiting && claim.resources.iter().any(is_ours);
    claims.iter().find(|claim| is_above(claim)).or_else(|| claims.iter().find(waits))
}

/// The command at work.
struct Running {
    child: Child,
    /// Whether it is the leader of a group of its own, and not in the terminal's with us.
    has_own_group: bool,
}

impl Running {
    /// Waits for its end, or ends it when the locks are lost.
    async fn watch(mut self, signals: &mut Signals, lock: &ResourceLock) -> Result<ExitCode> {
        let mut check = tokio::time::interval(CHECK_EVERY);
        loop {
            tokio::select! {
                status = self.child.wait() => {
                    let status = status
                        .or_exit(Exit::Unexpected, || "could not wait for the command".into())?;
                    return Ok(code_of(status));
                }
                signal = signals.next() => self.pass_on(signal),
                _ = check.tick() => if let Err(lost) = lock.check() {
                    self.end().await;
                    return Err(Error::new(Exit::Held, lost)
                        .hint("the command was ended, since others can work now"));
                },
            }
        }
    }

    /// SIGTERM, and after a while SIGKILL.
    async fn end(&mut self) {
        self.signal(Caught::Terminate);
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            self.kill();
            // What cannot be killed is not waited for.
            drop(tokio::time::timeout(GRACE, self.child.wait()).await);
        }
    }

    fn pass_on(&self, signal: Caught) {
        // A Ctrl-C goes to all in the terminal's group: the command has it already.
        if self.has_own_group || signal != Caught::Interrupt {
            self.signal(signal);
        }
    }
}

#[cfg(unix)]
mod platform {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use rustix::process::{Pid, Signal, kill_process, kill_process_group};

    use super::{Caught, IsTerminal, Running, stdin};

    /// A command that talks to a terminal stays in our group, which may read from it. Any other
    /// gets one of its own, so that it can be ended with all that it starts.
    pub(super) fn leave_group(command: &mut tokio::process::Command) -> bool {
        let leaves = !stdin().is_terminal();
        if leaves {
            command.process_group(0);
        }
        leaves
    }

    impl Running {
        pub(super) fn signal(&self, signal: Caught) {
            self.send(match signal {
                Caught::Interrupt => Signal::INT,
                Caught::Terminate => Signal::TERM,
                Caught::HangUp => Signal::HUP,
            });
        }

        pub(super) fn kill(&self) {
            self.send(Signal::KILL);
        }

        fn send(&self, signal: Signal) {
            // Not reaped as long as it has a number.
            let id = self.child.id().and_then(|id| i32::try_from(id).ok());
            if let Some(pid) = id.and_then(Pid::from_raw) {
                let send = if self.has_own_group { kill_process_group } else { kill_process };
                send(pid, signal).ok();
            }
        }
    }

    pub(super) fn signal_of(status: ExitStatus) -> Option<u8> {
        status.signal().and_then(|signal| u8::try_from(signal).ok())
    }
}

#[cfg(windows)]
mod platform {
    use std::process::ExitStatus;

    use super::{Caught, Running};

    pub(super) fn leave_group(_: &mut tokio::process::Command) -> bool {
        false
    }

    impl Running {
        pub(super) fn signal(&mut self, _: Caught) {
            self.kill();
        }

        pub(super) fn kill(&mut self) {
            self.child.start_kill().ok();
        }
    }

    pub(super) fn signal_of(_: ExitStatus) -> Option<u8> {
        None
    }
}

use platform::{leave_group, signal_of};

/// As a shell has it: the command's code, or 128 and the number of the signal that ended it.
fn code_of(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.or(signal_of(status).map(|signal| 128 + signal)).unwrap_or(1).into()
}
