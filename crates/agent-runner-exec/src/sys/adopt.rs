//! Being the parent of what our children leave behind.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Mutex, OnceLock, PoisonError},
};

use rustix::process::{
    self, Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, waitpid,
};

use super::{
    procfs::{self, Cpu, Stat},
    tag,
};
use crate::mark::Mark;

/// Our main thread's children, where the kernel puts orphans. Set once we adopt them.
static CHILDREN: OnceLock<File> = OnceLock::new();

/// The attempts that run now.
static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

#[derive(Default)]
struct Running {
    /// With the time at which each began, in clock ticks after the boot.
    marks: HashMap<Mark, u64>,
    leaders: HashSet<Pid>,
    /// What their dead orphans took, until the attempts are told.
    ledger: HashMap<Mark, Cpu>,
}

/// See [`crate::adopt_orphans`].
pub(crate) fn adopt_orphans() -> io::Result<()> {
    let main_thread = getpid();
    let children = File::open(format!("/proc/self/task/{main_thread}/children"))?;
    process::set_child_subreaper(Some(main_thread))?;
    CHILDREN.get_or_init(|| children);
    tag::set_own();
    Ok(())
}

/// What the dead orphans of an attempt took so far.
pub(super) fn booked(mark: &Mark) -> Cpu {
    with_running(|running| running.ledger.get(mark).copied()).unwrap_or_default()
}

/// Nobody will ask for an attempt's account again.
pub(super) fn close_account(mark: &Mark) {
    with_running(|running| running.ledger.remove(mark));
}

/// Our children that live and belong to an attempt, but for those that we started. The dead are
/// buried on the way, so that a long attempt does not fill the system with them.
pub(super) fn living_orphans(mark: &Mark) -> Vec<Pid> {
    let Some(file) = CHILDREN.get() else { return Vec::new() };
    with_running(|running| {
        let mut living = running.others(file);
        living.retain(|&pid| match Stat::of(pid) {
            Some(stat) if stat.is_dead() => !bury(pid, stat, false, running),
            _ => true,
        });
        living.retain(|&pid| marks_of(pid).contains(mark));
        living
    })
}

/// An attempt that runs: what it started is nobody's to end.
#[derive(Debug)]
pub(crate) struct Registration {
    mark: Mark,
    leader: Option<Pid>,
}

impl Registration {
    /// Before the spawn, so that no other attempt's end takes the new child for a stray.
    pub(crate) fn new(mark: Mark) -> Self {
        with_running(|running| {
            running.ledger.insert(mark.clone(), Cpu::default());
            running.marks.insert(mark.clone(), procfs::now());
        });
        Self { mark, leader: None }
    }

    pub(crate) fn spawned(&mut self, pid: u32) {
        self.leader = i32::try_from(pid).ok().and_then(Pid::from_raw);
        with_running(|running| running.leaders.extend(self.leader));
        // Not before: who is dead and marked, but no leader, is an orphan to be buried.
        if let Some(leader) = self.leader {
            tag::set(leader, &self.mark);
        }
    }

    pub(crate) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// From now on, what carries the mark is a stray.
    pub(crate) fn end(self) -> Mark {
        self.mark.clone()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        with_running(|running| {
            running.marks.remove(&self.mark);
            match self.leader {
                Some(leader) => running.leaders.remove(&leader),
                None => running.ledger.remove(&self.mark).is_some(),
            };
        });
    }
}

/// What one look at our children found.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// Children of attempts that are over; SIGKILL was sent.
    pub(super) killed: Vec<Pid>,
    /// Those that were taken off the system, with their groups: their children have come to us.
    pub(super) buried: Vec<(Pid, i32)>,
}

/// Kills every child of ours that belongs to an attempt that is over, and reaps those that are
/// dead, surely the `dying` ones from the look before. `None` if we do not adopt.
///
/// A child's number stays its own until we reap it, and that happens under the same lock.
pub(super) fn end_strays(dying: &HashSet<Pid>) -> Option<Strays> {
    let file = CHILDREN.get()?;
    Some(with_running(|running| {
        let mut strays = Strays::default();
        for pid in running.others(file) {
            if let Some(stat) = Stat::of(pid).filter(Stat::is_dead) {
                if bury(pid, stat, dying.contains(&pid), running) {
                    strays.buried.push((pid, stat.group));
                }
            } else if running.is_stray(pid) {
                kill_with_group(pid, running);
                strays.killed.push(pid);
            }
        }
        strays
    }))
}

impl Running {
    /// Our children but for the leaders.
    fn others(&self, file: &File) -> Vec<Pid> {
        let mut children = read_children(file);
        children.retain(|pid| !self.leaders.contains(pid));
        children
    }

    /// Whether it belongs to an attempt that is over.
    fn is_stray(&self, pid: Pid) -> bool {
        let marks = marks_of(pid);
        if marks == [Mark::unassigned()] {
            return self.is_early_stray(pid);
        }
        marks.iter().any(|mark| !self.marks.contains_key(mark))
    }

    /// Of one that was started, and orphaned, before its attempt's mark was set, we know only when.
    /// It may belong to any attempt that ran by then; if it has not even left our session, it
    /// may have been started by somebody else in this process.
    fn is_early_stray(&self, pid: Pid) -> bool {
        let (Some(stat), Some(own)) = (Stat::of(pid), procfs::own()) else { return false };
        stat.session != own.session && self.marks.values().all(|&began| began > stat.start_time)
    }
}

/// The attempts of this runner that a process belongs to: by its environment, or by the mark that
/// it cannot wipe off.
fn marks_of(pid: Pid) -> Vec<Mark> {
    let environ = procfs::environ(pid);
    let ours: Vec<_> = Mark::all_in(&environ).filter(Mark::is_of_this_runner).collect();
    if ours.is_empty() { tagged(pid).into_iter().collect() } else { ours }
}

fn tagged(pid: Pid) -> Option<Mark> {
    Mark::from_tag(tag::of(pid)?)
}

/// Reaps a dead orphan, and books what it took on its attempt.
fn bury(pid: Pid, stat: Stat, is_known: bool, running: &mut Running) -> bool {
    let mark = tagged(pid);
    let is_assigned = mark.as_ref().is_some_and(|mark| *mark != Mark::unassigned());
    let is_ours = is_known || is_assigned || is_orphan(stat, running);
    let is_gone = is_ours && reap(pid);
    if let Some(total) = mark.filter(|_| is_gone).and_then(|mark| running.ledger.get_mut(&mark)) {
        *total += stat.cpu;
    }
    is_gone
}

/// Where marks could not be set: a child that somebody else in this process started is in our session,
/// and in no group of an attempt.
fn is_orphan(stat: Stat, running: &Running) -> bool {
    let in_our_session = procfs::own().is_some_and(|own| own.session == stat.session);
    let in_a_group = Pid::from_raw(stat.group).is_some_and(|g| running.leaders.contains(&g));
    !in_our_session || in_a_group
}

/// A group forks no faster than one signal reaches all of it; so the stray's group goes as well.
fn kill_with_group(pid: Pid, running: &Running) {
    let group = Stat::of(pid).and_then(|stat| Pid::from_raw(stat.group));
    if let Some(group) = group.filter(|g| !procfs::is_own_group(*g) && !running.leaders.contains(g))
    {
        _ = kill_process_group(group, Signal::KILL);
    }
    _ = kill_process(pid, Signal::KILL);
}

fn reap(pid: Pid) -> bool {
    matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_)))
}

fn read_children(file: &File) -> Vec<Pid> {
    let mut text = vec![0; 4096];
    let mut len = 0;
    while let Ok(read @ 1..) = file.read_at(&mut text[len..], len as u64) {
        len += read;
        if text.len() - len < 1024 {
            text.resize(2 * text.len(), 0);
        } else if read < 1024 {
            break; // The kernel gives a page at once: this was the last.
        }
    }
    procfs::read_pids(&text[..len])
}

fn with_running<T>(use_it: impl FnOnce(&mut Running) -> T) -> T {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    use_it(running.get_or_insert_default())
}
