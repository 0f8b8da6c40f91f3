//! What `/proc` says about processes.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    ops::AddAssign,
    os::unix::fs::FileExt,
    sync::OnceLock,
    time::Duration,
};

use rustix::{process::Pid, time::ClockId};

use super::tag;
use crate::mark::Mark;

/// A line of `/proc/PID/stat`, as far as we care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    state: u8,
    /// 0 if the group's leader is outside of our PID namespace.
    pub(crate) group: i32,
    /// 0 if the session's leader is outside of our PID namespace.
    pub(crate) session: i32,
    /// Its own, and that of its children that it waited for, and of theirs.
    pub(crate) cpu: Cpu,
    /// In clock ticks after the boot.
    pub(crate) start_time: u64,
}

/// Time on a processor, in clock ticks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cpu {
    pub(crate) user: u64,
    pub(crate) system: u64,
}

impl AddAssign for Cpu {
    fn add_assign(&mut self, more: Self) {
        self.user += more.user;
        self.system += more.system;
    }
}

impl Cpu {
    pub(crate) fn to_durations(self) -> (Duration, Duration) {
        let second = rustix::param::clock_ticks_per_second().max(1);
        let duration = |ticks: u64| {
            Duration::from_secs(ticks / second)
                + Duration::from_nanos(ticks % second * 1_000_000_000 / second)
        };
        (duration(self.user), duration(self.system))
    }
}

impl Stat {
    /// Reads the line; `None` if there is no such process.
    pub(crate) fn of(pid: Pid) -> Option<Self> {
        Self::read(&Self::open(pid).ok()?)
    }

    /// Opens the line, to be read more than once: to open it costs about as much.
    pub(crate) fn open(pid: Pid) -> io::Result<File> {
        File::open(format!("/proc/{pid}/stat"))
    }

    /// Reads an open line as it is now; `None` if the process was reaped.
    pub(crate) fn read(file: &File) -> Option<Self> {
        let mut line = [0; 1024];
        let len = file.read_at(&mut line, 0).ok()?;
        Self::parse(&line[..len])
    }

    /// Whether only its exit status is left of it.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    fn parse(line: &[u8]) -> Option<Self> {
        // The second field is the program's name in brackets, and may hold anything.
        let name_end = line.iter().rposition(|&byte| byte == b')')?;
        let mut fields = std::str::from_utf8(&line[name_end + 1..]).ok()?.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?; // field 3
        // Field 5; -1 if it is being buried at this moment.
        let group = fields.nth(1)?.parse().ok().filter(|&group| group >= 0)?;
        let session = fields.next()?.parse().ok()?;
        let mut ticks = |skip: usize| fields.nth(skip)?.parse::<u64>().ok();
        let (user, system) = (ticks(7)?, ticks(0)?); // fields 14 and 15
        let (user, system) = (user + ticks(0)?, system + ticks(0)?); // with fields 16 and 17
        let start_time = ticks(4)?; // field 22
        Some(Self { state, group, session, cpu: Cpu { user, system }, start_time })
    }
}

/// Ourselves. `getsid` and `getpgrp` cannot be asked: in a container that was entered rather than
/// started, our group and session have no number, and `rustix` takes their 0 for a broken kernel.
pub(crate) fn own() -> Option<Stat> {
    Stat::of(rustix::process::getpid())
}

/// Whether it is our own group, which nobody may kill. One that we cannot tell is.
pub(crate) fn is_own_group(group: Pid) -> bool {
    own().is_none_or(|own| own.group == group.as_raw_pid())
}

/// All processes that we can see.
pub(crate) fn pids() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

/// Those of a group that live.
pub(crate) fn living_in_group(group: Pid) -> impl Iterator<Item = Pid> {
    let is_member = move |stat: Stat| stat.group == group.as_raw_pid() && !stat.is_dead();
    pids().filter(move |&pid| Stat::of(pid).is_some_and(is_member))
}

/// Those that carry a mark, in their environment or where it cannot be wiped off.
pub(crate) fn marked(mark: &Mark) -> impl Iterator<Item = Pid> {
    let is_in_environ = move |pid| Mark::all_in(&environ(pid)).any(|found| found == *mark);
    pids().filter(move |&pid| is_in_environ(pid) || is_living_and_tagged(pid, mark))
}

fn is_living_and_tagged(pid: Pid, mark: &Mark) -> bool {
    tag::of(pid) == Some(mark.tag()) && Stat::of(pid).is_some_and(|stat| !stat.is_dead())
}

/// The children of all its threads.
pub(crate) fn children_of(pid: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = tasks.filter_map(|task| fs::read(task.path().join("children")).ok());
    texts.flat_map(|text| read_pids(&text)).collect()
}

/// Does something to a process that has just started, and, if that could be done, to whom it
/// started before it was done, and so on: whoever is started after it has it from its parent.
pub(crate) fn each_early(leader: Pid, mut act: impl FnMut(Pid) -> bool) {
    let mut seen = HashSet::new();
    let mut open = vec![leader];
    while let Some(pid) = open.pop() {
        if seen.insert(pid) && act(pid) {
            // Who has just started has one thread.
            let children = fs::read(format!("/proc/{pid}/task/{pid}/children"));
            open.extend(read_pids(&children.unwrap_or_default()));
        }
    }
}

/// Now, on the clock by which starts are told.
pub(crate) fn now() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::Boottime);
    let second = rustix::param::clock_ticks_per_second();
    now.tv_sec.unsigned_abs() * second + now.tv_nsec.unsigned_abs() * second / 1_000_000_000
}

/// Numbers with spaces between, as the kernel lists children.
pub(crate) fn read_pids(text: &[u8]) -> Vec<Pid> {
    let words = text.split(u8::is_ascii_whitespace);
    words.filter_map(|word| Pid::from_raw(std::str::from_utf8(word).ok()?.parse().ok()?)).collect()
}

/// The environment with which a process was started; empty if it is dead or not ours to see.
pub(crate) fn environ(pid: Pid) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

/// The boot that we are in, as 32 hexadecimal digits.
pub(crate) fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let read = || -> io::Result<String> {
            let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
            Ok(text.trim().replace('-', ""))
        };
        read().ok().filter(|id| id.len() == 32).unwrap_or_else(|| "0".repeat(32))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_skipped() {
        let line = b"42 (a) Z 1 (b) S 1 7 6 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2\n";
        let cpu = Cpu { user: 5 + 7, system: 6 + 8 };
        let expected = Stat { state: b'S', group: 7, session: 6, cpu, start_time: 987_654 };
        assert_eq!(Stat::parse(line), Some(expected));
        assert_eq!(Stat::parse(b"42 (a) X 1 -1 -1 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 9 1"), None);
        for end in 0..40 {
            assert_eq!(Stat::parse(&line[..end]), None, "a part of a line is no line");
        }
    }

    #[test]
    fn we_can_see_ourselves() {
        let me = rustix::process::getpid();
        let stat = Stat::of(me).unwrap();
        assert_eq!(Some(stat), own());
        assert!(Pid::from_raw(stat.group).is_none_or(is_own_group));
        assert!(!stat.is_dead() && (1..=now()).contains(&stat.start_time));
        assert!(pids().any(|pid| pid == me));
    }
}
