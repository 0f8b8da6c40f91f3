//! Being the parent of what our children leave behind.

use std::{
    collections::HashSet,
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Mutex, OnceLock, PoisonError},
};

use rustix::process::{
    self, Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, waitpid,
};

use super::procfs::{self, Stat};
use crate::mark::Mark;

/// Our main thread's children, where the kernel puts orphans. Set once we adopt them.
static CHILDREN: OnceLock<File> = OnceLock::new();

/// The attempts that run now.
static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

#[derive(Default)]
struct Running {
    marks: HashSet<Mark>,
    leaders: HashSet<Pid>,
}

/// See [`crate::adopt_orphans`].
pub(crate) fn adopt_orphans() -> io::Result<()> {
    let main_thread = getpid();
    let children = File::open(format!("/proc/self/task/{main_thread}/children"))?;
    process::set_child_subreaper(Some(main_thread))?;
    CHILDREN.get_or_init(|| children);
    Ok(())
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
        with_running(|running| running.marks.insert(mark.clone()));
        Self { mark, leader: None }
    }

    pub(crate) fn spawned(&mut self, pid: u32) {
        self.leader = i32::try_from(pid).ok().and_then(Pid::from_raw);
        with_running(|running| running.leaders.extend(self.leader));
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
            if let Some(leader) = self.leader {
                running.leaders.remove(&leader);
            }
        });
    }
}

/// What one look at our children found.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// Children of attempts that are over; SIGKILL was sent.
    pub(super) killed: Vec<Pid>,
    /// Whether any was taken off the system: then its children have come to us.
    pub(super) reaped: bool,
}

/// Kills every child of ours that belongs to an attempt that is over, and reaps those that are
/// dead, also the `dying` ones from the look before. `None` if we do not adopt.
///
/// A child's number stays its own until we reap it, and that happens under the same lock.
pub(super) fn end_strays(dying: &HashSet<Pid>) -> Option<Strays> {
    let file = CHILDREN.get()?;
    Some(with_running(|running| {
        let mut strays = Strays::default();
        for &pid in dying {
            strays.reaped |= reap(pid);
        }
        for pid in read_children(file) {
            if running.leaders.contains(&pid) {
                continue;
            }
            let environ = procfs::environ(pid);
            if environ.is_empty() {
                strays.reaped |= is_dead_orphan(pid, running) && reap(pid);
            } else if is_stray(&environ, running) {
                kill_with_group(pid, running);
                strays.killed.push(pid);
            }
        }
        strays
    }))
}

fn is_stray(environ: &[u8], running: &Running) -> bool {
    let mut ours = Mark::all_in(environ).filter(Mark::is_of_this_runner);
    ours.any(|mark| !running.marks.contains(&mark))
}

/// A dead child has no environment to know it by. But a child that somebody else in this process
/// started is in our session, and in no group of an attempt.
fn is_dead_orphan(pid: Pid, running: &Running) -> bool {
    let Some(stat) = Stat::of(pid).filter(Stat::is_dead) else { return false };
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
    let words = text[..len].split(|&byte| byte == b' ');
    words.filter_map(|word| Pid::from_raw(std::str::from_utf8(word).ok()?.parse().ok()?)).collect()
}

fn with_running<T>(use_it: impl FnOnce(&mut Running) -> T) -> T {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    use_it(running.get_or_insert_default())
}
