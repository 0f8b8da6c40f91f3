//! Ending what a child leaves behind.

use std::{collections::HashSet, time::Duration};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, kill_process, test_kill_process_group, waitpgid},
};

use super::{
    Leader, adopt,
    procfs::{self, Cpu},
};
use crate::mark::Mark;

/// After this many looks at a group that will not go, look who is in it.
const PATIENT_LOOKS: u32 = 3;

/// The end of a group whose leader is dead and of all that left the group.
pub(crate) struct Sweep {
    /// `None` once it was seen to be gone: from then on its number may be another's.
    group: Option<Pid>,
    mark: Mark,
    /// What the leader took.
    cpu: Cpu,
    /// Look at every process for our mark if orphans are not given to us.
    search: bool,
    /// Killed, but not yet seen dead.
    dying: HashSet<Pid>,
    ended: HashSet<Pid>,
    looks: u32,
    /// Somebody died, and its children may have come to us after we looked.
    look_again: bool,
    is_over: bool,
}

impl Sweep {
    /// For a group that was killed and a leader that was reaped just now.
    pub(crate) fn new(leader: &Leader, mark: Mark, cpu: Cpu, search: bool) -> Self {
        let (dying, ended) = (HashSet::new(), HashSet::new());
        Self {
            group: Some(leader.pid()),
            mark,
            cpu,
            search,
            dying,
            ended,
            looks: 0,
            look_again: false,
            is_over: false,
        }
    }

    /// Takes the next look, and returns whether all is gone.
    pub(crate) fn step(&mut self) -> bool {
        if !self.is_over {
            self.looks += 1;
            self.look_at_strays();
            self.look_at_group();
            self.is_over = self.group.is_none() && self.dying.is_empty() && !self.look_again;
        }
        self.is_over
    }

    /// How many were ended, as far as we saw them.
    pub(crate) fn ended(&self) -> u32 {
        count(self.ended.iter().filter(|pid| !self.dying.contains(pid)).count())
    }

    /// User and system time of the leader, of those that somebody of its tree waited for, and of
    /// those that came to us.
    #[expect(clippy::unnecessary_wraps, reason = "on other systems it is not known")]
    pub(crate) fn cpu(&self) -> Option<(Duration, Duration)> {
        let mut cpu = self.cpu;
        cpu += adopt::booked(&self.mark);
        Some(cpu.to_durations())
    }

    /// How many live in spite of all.
    pub(crate) fn survivors(&self) -> u32 {
        let members: HashSet<Pid> =
            self.group.into_iter().flat_map(procfs::living_in_group).collect();
        count(members.union(&self.dying).count())
    }

    /// SIGKILL was sent while the dead leader kept the group's number from being given away, and
    /// no fork escapes a signal to a group: what is left is to see them go.
    fn look_at_group(&mut self) {
        let Some(group) = self.group else { return };
        if test_kill_process_group(group) == Err(Errno::SRCH) {
            self.group = None;
            return;
        }
        while let Ok(Some((pid, _))) = waitpgid(group, WaitOptions::NOHANG) {
            self.ended.insert(pid);
        }
        if test_kill_process_group(group) == Err(Errno::SRCH) {
            self.group = None;
        } else if self.looks > PATIENT_LOOKS {
            // The dead may stay in a group for long, if their parent does not care.
            let living: Vec<_> = procfs::living_in_group(group).collect();
            if living.is_empty() {
                self.group = None;
            }
            self.ended.extend(living);
        }
    }

    fn look_at_strays(&mut self) {
        let killed = match adopt::end_strays(&self.dying) {
            Some(strays) => {
                self.look_again = !strays.buried.is_empty();
                let group = self.group.map(Pid::as_raw_pid);
                let members = strays.buried.iter().filter(|(_, of)| Some(*of) == group);
                self.ended.extend(members.map(|(pid, _)| pid));
                strays.killed
            }
            None if self.search => self.search_and_kill(),
            None => Vec::new(),
        };
        self.dying = killed.into_iter().collect();
        self.ended.extend(&self.dying);
    }

    fn search_and_kill(&self) -> Vec<Pid> {
        let strays: Vec<_> = procfs::marked(&self.mark).collect();
        for &pid in &strays {
            _ = kill_process(pid, Signal::KILL);
        }
        strays
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        adopt::close_account(&self.mark);
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
