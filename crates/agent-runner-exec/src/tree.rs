//! The child and all that it starts, as something that must be ended.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    StopLevel,
    sys::{self, Group, Leader, Registration, Status, Sweep},
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
    /// Last, so that it is removed when all in it are gone.
    group: Option<Group>,
    /// How many lived in the group when the leader was dead.
    left_in_group: usize,
}

impl Tree {
    pub(crate) fn new(leader: Leader, registration: Registration, group: Option<Group>) -> Self {
        Self { leader: Some((leader, registration)), sweep: None, group, left_in_group: 0 }
    }

    pub(crate) fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// How much memory it uses now, in bytes; `known` if it is surely not more. `None` if that
    /// cannot be learned.
    pub(crate) fn memory(&self, known: u64) -> Option<u64> {
        let (leader, registration) = self.leader.as_ref()?;
        sys::tree_memory(leader, registration.mark(), known)
    }

    /// User and system time of all that was in it, as far as it is known.
    pub(crate) fn cpu(&self) -> Option<(Duration, Duration)> {
        let of_group = self.group.as_ref().and_then(Group::cpu);
        let of_sweep = self.sweep.as_ref().and_then(Sweep::cpu);
        // Each can have missed something: the group what was before it, the sweep who was lost.
        of_group.into_iter().chain(of_sweep).max_by_key(|&(user, system)| user + system)
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
        let in_group = u32::try_from(self.left_in_group).unwrap_or(u32::MAX);
        self.sweep.as_ref().map_or(0, Sweep::ended).max(in_group)
    }

    /// How many live in spite of all.
    pub(crate) fn survivors(&self) -> u32 {
        let in_group = self.group.as_ref().map_or(0, |group| group.living().len());
        let in_group = u32::try_from(in_group).unwrap_or(u32::MAX);
        self.sweep.as_ref().map_or(0, Sweep::survivors).max(in_group)
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
        (self.sweep, self.group) = (None, None);
    }

    fn reap(&mut self, search: bool) -> io::Result<Option<Status>> {
        let Some((leader, registration)) = self.leader.take() else { return Ok(None) };
        // While the dead leader is not reaped, the group's number is its own.
        leader.signal(StopLevel::Kill);
        if let Some(group) = &self.group {
            self.left_in_group = group.living().len();
            group.kill();
        }
        let cpu = leader.cpu();
        let status = leader.reap();
        self.sweep = Some(Sweep::new(&leader, registration.end(), cpu, search));
        status
    }

    /// Looks again; returns whether all is gone.
    fn step(&mut self) -> bool {
        let is_empty = self.group.as_ref().is_none_or(|group| group.living().is_empty());
        self.sweep.as_mut().is_none_or(Sweep::step) && is_empty
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if self.leader.is_none() && self.step() {
            return;
        }
        self.signal(StopLevel::Kill);
        let (leader, sweep, group) = (self.leader.take(), self.sweep.take(), self.group.take());
        let rest = Self { leader, sweep, group, left_in_group: self.left_in_group };
        // Without a thread the killed still die; only strays are left, to the next attempt's end.
        let thread = thread::Builder::new().name("agent-runner-exec".to_owned());
        drop(thread.spawn(move || rest.end_here()));
    }
}
