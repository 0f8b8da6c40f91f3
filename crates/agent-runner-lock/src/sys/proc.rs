//! Processes, as `/proc` shows them. Where there is none, as on macOS, nothing is known of them.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use super::{FileId, id_at};

/// A process that keeps a file's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keeper {
    pub(crate) pid: u32,
    /// Who locked the file: the keeper itself, or who it inherited the lock from. 0 for a process
    /// that is not in our PID namespace, or is gone from it.
    pub(crate) locked_by: u32,
}

/// The PID namespace of this process, if `/proc` counts as it does.
///
/// In a namespace that was made without mounting a `/proc` of its own, `/proc/311` is another
/// process than our 311. Then nothing can be known of any.
pub(super) fn pid_namespace() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    // Our number in each namespace from that of `/proc` down to ours.
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    (numbers.split_whitespace().count() == 1).then(|| namespace("pid")).flatten()
}

fn namespace(kind: &str) -> Option<u64> {
    fs::metadata(format!("/proc/self/ns/{kind}")).ok().map(|namespace| namespace.ino())
}

/// When this process was started, if its clock counts from the machine's start as others' do: in a
/// time namespace it need not, and `/proc` is read with the reader's clock.
pub(super) fn own_start_time(pid: u32) -> Option<u64> {
    let is_zero = |line: &str| line.split_whitespace().skip(1).all(|offset| offset == "0");
    // Before time namespaces there was no such file.
    let offsets = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
    offsets.lines().all(is_zero).then(|| start_time(pid).ok().flatten()).flatten()
}

/// When a process was started, in clock ticks; `None` if there is no such process any more.
pub(crate) fn start_time(pid: u32) -> io::Result<Option<u64>> {
    Ok(stat(pid)?.filter(|stat| !stat.is_dead()).map(|stat| stat.start_time))
}

/// Whether the process that was started at that time is stopped, by a signal or a debugger.
pub(crate) fn is_stopped(pid: u32, start_time: u64) -> bool {
    let same = |stat: &Stat| stat.start_time == start_time;
    stat(pid).ok().flatten().filter(same).is_some_and(|stat| matches!(stat.state, b'T' | b't'))
}

fn stat(pid: u32) -> io::Result<Option<Stat>> {
    let stat = match fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(parse_stat(&stat).ok_or(io::ErrorKind::InvalidData)?))
}

/// Those who have this file open and its lock with it.
pub(crate) fn keepers(name: &str, id: FileId) -> io::Result<Vec<Keeper>> {
    if pid_namespace().is_none() {
        let why = "there is no /proc that shows the processes of this PID namespace";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    let processes = fs::read_dir("/proc")?;
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let keeper = |pid| locked_by(pid, name, id).map(|locked_by| Keeper { pid, locked_by });
    Ok(pids.filter_map(keeper).collect())
}

/// Who locked a file that a process has open. `None` also when the process is gone, or is another
/// user's.
fn locked_by(pid: u32, name: &str, id: FileId) -> Option<u32> {
    let process = format!("/proc/{pid}");
    fs::read_dir(format!("{process}/fd")).ok()?.flatten().find_map(|fd| {
        // The name first: to look at a file can take for ever if it is on a dead server.
        let path = fs::read_link(fd.path()).ok()?;
        let same = path.file_name()? == name && id_at(&fd.path(), true).ok()? == Some(id);
        let info = Path::new(&process).join("fdinfo").join(fd.file_name());
        same.then(|| parse_lock(&fs::read_to_string(info).ok()?)).flatten()
    })
}

/// Reads who made the exclusive lock that an open file has:
/// `lock: 1: FLOCK  ADVISORY  WRITE 311 fe:00:10012728 0 EOF`.
fn parse_lock(fdinfo: &str) -> Option<u32> {
    let locks = fdinfo.lines().filter_map(|line| line.strip_prefix("lock:"));
    locks.map(str::split_whitespace).find_map(|mut words| {
        let exclusive = words.nth(1)? == "FLOCK" && words.nth(1)? == "WRITE";
        exclusive.then(|| words.next()?.parse().ok()).flatten()
    })
}

fn is_gone(error: &io::Error) -> bool {
    // The second one comes when it ends while it is read.
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: u8,
    threads: u64,
    start_time: u64,
}

impl Stat {
    /// Whether it only waits for its parent to ask how it ended. A first thread that ended before
    /// others looks the same but for their number.
    fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x') && self.threads <= 1
    }
}

/// Reads fields 3, 20 and 22, counted after the command, which may hold anything.
fn parse_stat(stat: &[u8]) -> Option<Stat> {
    let command_end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(&stat[command_end + 1..]).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    Some(Stat {
        state: *fields.next()?.as_bytes().first()?,
        threads: fields.nth(16)?.parse().ok()?,
        start_time: fields.nth(1)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_name_can_hold_anything() {
        let fields = "S 1 4242 4242 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 361500 9 9";
        let expected = Stat { state: b'S', threads: 3, start_time: 361_500 };
        for name in ["cat", "a) Z 1 (b", "\u{e9})", ""] {
            let stat = parse_stat(format!("4242 ({name}) {fields}").as_bytes());
            assert_eq!(stat.as_ref(), Some(&expected));
        }
        assert_eq!(parse_stat(b"4242 (cat) S 1"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn a_zombie_is_dead_unless_other_threads_live() {
        let dead = |state, threads| Stat { state, threads, start_time: 1 }.is_dead();
        assert!(dead(b'Z', 1) && dead(b'X', 0));
        assert!(!dead(b'Z', 2) && !dead(b'S', 1) && !dead(b'T', 1));
    }

    #[test]
    fn only_an_exclusive_flock_is_a_lock_of_ours() {
        let lock = |kind| format!("pos:\t0\nflags:\t02\nlock:\t1: {kind} 311 fe:00:77 0 EOF\n");
        assert_eq!(parse_lock(&lock("FLOCK  ADVISORY  WRITE")), Some(311));
        assert_eq!(parse_lock(&lock("FLOCK  ADVISORY  READ ")), None);
        assert_eq!(parse_lock(&lock("POSIX  ADVISORY  WRITE")), None);
        assert_eq!(parse_lock("pos:\t0\n"), None);
        assert_eq!(parse_lock("lock:\t1:"), None);
    }
}
