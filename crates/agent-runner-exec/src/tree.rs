//! The child and all that it starts, as something that must be ended.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    StopLevel,
    sys::{Leader, Registration, Status, Sweep},
};

/// How long the killed may take to be gone. Only the kernel can keep them so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// The longest pause between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Ends what it holds when it is dropped.
pub(crate) struct Tree {
    /// `None` once it is reaped.
    leader: Option<(Leader, Registration)>,
    sweep: Option<Sweep>,
}

impl Tree {
    pub(crate) fn new(leader: Leader, registration: Registration) -> Self {
        Self { leader: Some((leader, registration)), sweep: None }
    }

    /// Waits until the leader is dead.
    pub(crate) async fn dead(&self) -> io::Result<()> {
        match &self.leader {
            Some((leader, _)) => leader.dead().await,
            None => Ok(()),
        }
    }

    /// Signals the group.
    pub(crate) fn signal(&self, level: StopLevel) {
        if let Some((leader, _)) = &self.leader {
            leader.signal(level);
        }
    }

    /// Ends all that the leader left behind; `search` looks everywhere for it. Returns how the
    /// leader ended; `None` if it cannot be killed.
    pub(crate) async fn end(&mut self, search: bool) -> io::Result<Option<Status>> {
        let status = self.reap(search);
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        while !self.step() && began.elapsed() < PATIENCE {
            tokio::time::sleep(pause).await;
            pause = LOOK.min(2 * pause);
        }
        status
    }

    /// How many were ended after the leader, as far as they were seen.
    pub(crate) fn leftovers(&self) -> u32 {
        self.sweep.as_ref().map_or(0, Sweep::ended)
    }

    /// How many live in spite of all.
    pub(crate) fn survivors(&self) -> u32 {
        self.sweep.as_ref().map_or(0, Sweep::survivors)
    }

    /// As [`end`](Self::end), where nobody waits.
    fn end_here(mut self) {
        let began = Instant::now();
        let is_over = || began.elapsed() > PATIENCE;
        if let Some((leader, _)) = &self.leader {
            while !leader.is_dead() && !is_over() {
                thread::sleep(Duration::from_millis(1));
            }
        }
        drop(self.reap(true));
        while !self.step() && !is_over() {
            thread::sleep(Duration::from_millis(1));
        }
        // What is left now cannot be ended; it must not start another thread.
        self.sweep = None;
    }

    fn reap(&mut self, search: bool) -> io::Result<Option<Status>> {
        let Some((leader, registration)) = self.leader.take() else { return Ok(None) };
        // While the dead leader is not reaped, the group's number is its own.
        leader.signal(StopLevel::Kill);
        let status = leader.reap();
        self.sweep = Some(Sweep::new(&leader, registration.end(), search));
        status
    }

    /// Looks again; returns whether all is gone.
    fn step(&mut self) -> bool {
        self.sweep.as_mut().is_none_or(Sweep::step)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if self.leader.is_none() && self.step() {
            return;
        }
        self.signal(StopLevel::Kill);
        let (leader, sweep) = (self.leader.take(), self.sweep.take());
        // Without a thread the killed still die; only strays are left, to the next attempt's end.
        let thread = thread::Builder::new().name("agent-runner-exec".to_owned());
        drop(thread.spawn(move || Self { leader, sweep }.end_here()));
    }
}
