//! Ending what a runner that was killed left behind.

use std::{collections::HashSet, time::Duration};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::time::{Instant, sleep};

use super::{
    cgroup::{self, Group},
    procfs::{self, Stat},
};
use crate::{Ended, ProcessIdentity};

/// How long the killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest pause between two looks. They are not our children: nobody tells us.
const LOOK: Duration = Duration::from_millis(200);

/// See [`crate::end_orphan`].
pub(crate) async fn end_orphan(identity: &ProcessIdentity, grace: Duration) -> Ended {
    if identity.boot_id() != procfs::boot_id() {
        return Ended::Gone;
    }
    let groups = cgroup::find(identity.mark());
    let mut found = living(identity, &groups);
    if found.is_empty() {
        // Dead and unburied, it is gone as well.
        let there = leader(identity).and_then(Stat::of).filter(|stat| !stat.is_dead());
        return if there.is_some() { Ended::NotOurs } else { Ended::Gone };
    }
    let mut all: HashSet<Pid> = HashSet::new();
    let began = Instant::now();
    let mut pause = Duration::from_millis(5);
    while !found.is_empty() && began.elapsed() < grace.saturating_add(PATIENCE) {
        // Each is asked once to end by itself, and told as often as it takes.
        let is_over = began.elapsed() >= grace;
        for &pid in &found {
            if is_over {
                _ = kill_process(pid, Signal::KILL);
            } else if !all.contains(&pid) {
                _ = kill_process(pid, Signal::TERM);
                _ = kill_process(pid, Signal::CONT);
            }
        }
        all.extend(&found);
        if is_over {
            kill_group(identity);
            groups.iter().for_each(Group::kill);
        }
        let rest_of_grace = grace.saturating_sub(began.elapsed());
        pause = LOOK.min(2 * pause);
        sleep(if is_over { pause } else { pause.min(rest_of_grace) }).await;
        found = living(identity, &groups);
    }
    match found.len() {
        0 => Ended::Killed(count(all.len())),
        left => Ended::Survived(count(left)),
    }
}

/// See [`crate::orphan_lives`].
pub(crate) fn orphan_lives(identity: &ProcessIdentity) -> bool {
    let living = || living(identity, &cgroup::find(identity.mark()));
    identity.boot_id() == procfs::boot_id() && !living().is_empty()
}

/// The processes of the attempt: all that carry its mark or are in its control group and, as long as its leader lives, all of
/// its group. A group whose leader is gone proves nothing: its number may be another's by now.
fn living(identity: &ProcessIdentity, groups: &[Group]) -> HashSet<Pid> {
    let mut found: HashSet<Pid> = procfs::marked(identity.mark()).collect();
    found.extend(groups.iter().flat_map(Group::living));
    if let Some(group) = proven_group(identity) {
        found.extend(procfs::living_in_group(group));
    }
    found.remove(&rustix::process::getpid());
    found
}

/// Reaches also those that were forked since we looked.
fn kill_group(identity: &ProcessIdentity) {
    if let Some(group) = proven_group(identity) {
        _ = kill_process_group(group, Signal::KILL);
    }
}

fn proven_group(identity: &ProcessIdentity) -> Option<Pid> {
    let leader = leader(identity)?;
    let stat = Stat::of(leader)?;
    let is_leader = stat.start_time == identity.start_time()
        && stat.group == leader.as_raw_pid()
        && !procfs::is_own_group(leader);
    is_leader.then_some(leader)
}

fn leader(identity: &ProcessIdentity) -> Option<Pid> {
    i32::try_from(identity.pid()).ok().and_then(Pid::from_raw)
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
