//! A child from its start to the end of its output.

use std::{io, pin::pin, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    Command, End, Exit, ProcessIdentity, SpawnError, Stop, StopLevel, Usage, WaitError,
    launch::{self, Launched},
    meter::Meter,
    output::Output,
    sys::{Feed, Group, Pipes, Status},
    tree::{PATIENCE, Tree},
};

/// How long the pipes must be silent after the child's death before we stop listening: a
/// grandchild may keep them open for ever.
const QUIET: Duration = Duration::from_millis(100);
/// How long we listen at most, if what it left behind goes on writing.
const LISTEN: Duration = Duration::from_secs(1);

/// What the kernel ends a group with.
const SIGKILL: i32 = 9;

/// A running child.
///
/// Dropping it, or the future of [`wait`](Self::wait), kills it and all that it started. What can
/// not be done at once, because the kernel needs a moment to end them, is done by a thread.
#[must_use = "a child that is dropped is killed"]
pub struct Child {
    identity: ProcessIdentity,
    limits: Limits,
    tree: Tree,
    meter: Meter,
    pipes: Pipes,
    feed: Option<Feed>,
    output: Output,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    started: Instant,
    timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    grace: Duration,
}

/// A sequence of signals that has begun.
struct Ending {
    reason: End,
    level: StopLevel,
    next_at: Option<Instant>,
}

impl Child {
    pub(crate) fn spawn(command: Command) -> Result<Self, SpawnError> {
        let Command { timeout, idle_timeout, grace, memory_limit, .. } = command;
        let Launched { identity, tree, pipes, feed, output } = launch::launch(command)?;
        let limits = Limits { started: Instant::now(), timeout, idle_timeout, grace };
        let is_kept = tree.group().is_some_and(Group::limits_memory);
        let is_counted = tree.group().and_then(Group::peak_memory).is_some();
        let meter =
            Meter::new(limits.started, memory_limit.filter(|_| !is_kept), !is_kept && !is_counted);
        Ok(Self { identity, limits, tree, meter, pipes, feed, output })
    }

    /// Which process it is. Keep it where the next run finds it, for [`end_orphan`].
    ///
    /// [`end_orphan`]: crate::end_orphan
    pub fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    /// Waits until the child has ended, by itself or because of a limit or of `stop`, and until
    /// all that it started is gone.
    ///
    /// A limit begins with SIGTERM. A process that the child leaves behind is killed, after its
    /// output has been silent for 100 ms (or was written for a second). The call does not wait
    /// for one that cannot be killed: after 5 seconds it is counted as a
    /// [survivor](Exit::survivors).
    ///
    /// # Errors
    ///
    /// Fails if the child's status cannot be learned. It is gone nevertheless.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future kills the child. To end a child for a reason of your
    /// own, raise `stop` and wait on.
    pub async fn wait(mut self, stop: &Stop) -> Result<Exit, WaitError> {
        let result = match self.supervise(stop).await {
            Ok(forced) => {
                self.listen().await;
                let search = forced.is_some() || self.pipes.are_open();
                self.tree.end(search).await.map(|status| (forced, status))
            }
            Err(error) => Err(error),
        };
        let pid = self.identity.pid();
        let (forced, status) = result.map_err(|source| WaitError::Status { pid, source })?;
        self.pipes.drain(&mut self.output);
        Ok(self.exit(forced, status))
    }

    /// Until the child is dead, or cannot be killed; says why, if we ended it.
    async fn supervise(&mut self, stop: &Stop) -> io::Result<Option<End>> {
        let Self { limits, tree, meter, pipes, feed, output, .. } = self;
        let mut levels = stop.subscribe();
        let mut ending = None;
        let mut last_output = limits.started;
        let mut timer = pin!(sleep_until(limits.started));
        loop {
            let due = ending.as_ref().map_or_else(
                || limits.first_deadline(last_output).map(|(at, _)| at),
                |ending: &Ending| ending.next_at,
            );
            let wake = due.into_iter().chain(meter.next_at()).min();
            // A timer that is early only looks again: output must not move it each time.
            if let Some(at) = wake.filter(|&at| at < timer.deadline() || timer.is_elapsed()) {
                timer.as_mut().reset(at);
            }
            tokio::select! {
                biased;
                dead = tree.dead() => return dead.map(|()| ending.map(|ending| ending.reason)),
                Ok(()) = levels.changed() => {
                    if let Some(level) = *levels.borrow_and_update() {
                        raise(&mut ending, End::Stopped, level, limits, tree);
                    }
                }
                () = timer.as_mut(), if wake.is_some() => {
                    if meter.look(tree) {
                        raise(&mut ending, End::MemoryExceeded, StopLevel::Kill, limits, tree);
                        continue;
                    }
                    let is_due = due.is_some_and(|at| at <= Instant::now());
                    let now = ending.as_ref().map(|ending| (ending.reason, ending.level.next()));
                    match now.or_else(|| limits.begin(last_output)) {
                        _ if !is_due => {}
                        Some((reason, Some(level))) => {
                            raise(&mut ending, reason, level, limits, tree);
                        }
                        Some((reason, None)) => return Ok(Some(reason)),
                        None => {}
                    }
                }
                () = pipes.read(output), if pipes.are_open() => last_output = Instant::now(),
                () = proceed(feed), if feed.is_some() => {}
            }
        }
    }

    /// Takes in what is still in the pipes when the child is dead.
    async fn listen(&mut self) {
        self.pipes.drain(&mut self.output);
        let end = Instant::now() + LISTEN;
        while self.pipes.are_open() && Instant::now() < end {
            let quiet = Instant::now() + QUIET;
            if timeout_at(quiet.min(end), self.pipes.read(&mut self.output)).await.is_err() {
                break;
            }
        }
    }

    fn exit(self, forced: Option<End>, status: Option<Status>) -> Exit {
        let (code, signal) = match status {
            Some(Status::Exited(code)) => (Some(code), None),
            Some(Status::Signaled(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let group = self.tree.group();
        let was_ended = signal == Some(SIGKILL) && group.is_some_and(Group::ran_out_of_memory);
        let forced = forced.or(was_ended.then_some(End::MemoryExceeded));
        let (user, system) = self.tree.cpu().unzip();
        let counted = group.and_then(Group::peak_memory);
        let usage = Usage { user, system, peak_memory: counted.or(self.meter.peak()) };
        let by_itself = code.map(End::Exited).or(signal.map(End::Signaled));
        let summary = self.output.finish();
        Exit {
            end: forced.or(by_itself).unwrap_or(End::Stopped),
            code,
            signal,
            duration: self.limits.started.elapsed(),
            usage,
            stdout_bytes: summary.stdout_bytes,
            stderr_bytes: summary.stderr_bytes,
            left_out_bytes: summary.left_out_bytes,
            tail: summary.tail,
            leftovers: self.tree.leftovers(),
            survivors: self.tree.survivors(),
            log_error: summary.log_error,
        }
    }
}

impl std::fmt::Debug for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Child").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Limits {
    /// When the child has to be ended next, and what for.
    fn first_deadline(&self, last_output: Instant) -> Option<(Instant, End)> {
        let wall = self.timeout.and_then(|limit| self.started.checked_add(limit));
        let idle = self.idle_timeout.and_then(|limit| last_output.checked_add(limit));
        let wall = wall.map(|at| (at, End::TimedOut));
        let idle = idle.map(|at| (at, End::IdleTimedOut));
        wall.into_iter().chain(idle).min_by_key(|&(at, _)| at)
    }

    /// What the first deadline begins.
    fn begin(&self, last_output: Instant) -> Option<(End, Option<StopLevel>)> {
        self.first_deadline(last_output).map(|(_, end)| (end, Some(StopLevel::Terminate)))
    }
}

/// Begins a sequence of signals, or goes on in it. Its first reason stays.
fn raise(ending: &mut Option<Ending>, reason: End, level: StopLevel, limits: &Limits, tree: &Tree) {
    if ending.as_ref().is_some_and(|ending| ending.level >= level) {
        return;
    }
    tree.signal(level);
    let wait = if level == StopLevel::Kill { PATIENCE } else { limits.grace };
    let reason = ending.as_ref().map_or(reason, |ending| ending.reason);
    *ending = Some(Ending { reason, level, next_at: Instant::now().checked_add(wait) });
}

async fn proceed(feed: &mut Option<Feed>) {
    if let Some(open) = feed {
        open.proceed().await;
        if !open.is_open() {
            *feed = None;
        }
    }
}
