//! A mark that a process cannot lose by accident, as it does one in an environment that it wipes.
//!
//! Limits of resources are handed on by `fork` and kept by `exec`, may be set from outside after
//! the start, so without `pre_exec`, and can be read by everybody, of a dead process too. The one
//! on the time that a real-time thread may take is endless for everybody, and is as good as endless
//! when it is 2^62 microseconds and a bit. That bit is the mark.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::procfs;
use crate::mark::Mark;

/// Over a hundred thousand years.
const ENDLESS: u64 = 1 << 62;

/// Marks a process that has just started, and whom it has started meanwhile. Those that may not be
/// marked have their environment.
pub(super) fn set(leader: Pid, mark: &Mark) {
    procfs::each_early(leader, |pid| tag(Some(pid), mark.tag()));
}

/// Marks this process, so that also those bear a mark that were started, and orphaned, before
/// their attempt's could be set.
pub(super) fn set_own() -> bool {
    tag(None, Mark::unassigned().tag())
}

fn tag(pid: Option<Pid>, tag: u64) -> bool {
    // The hard limit stays, so that a runner that an agent starts can mark its own.
    let limit = Rlimit { current: Some(ENDLESS | tag), maximum: None };
    prlimit(pid, Resource::Rttime, limit).is_ok()
}

/// The tag of a process, dead or alive.
pub(super) fn of(pid: Pid) -> Option<u64> {
    parse(&fs::read_to_string(format!("/proc/{pid}/limits")).ok()?)
}

fn parse(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max realtime timeout"))?;
    let soft: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    (soft & ENDLESS != 0).then_some(soft ^ ENDLESS).filter(|&tag| tag < ENDLESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_numbers_are_tags() {
        let limits = |soft: &str| {
            format!(
                "Max nice priority 0 0\nMax realtime timeout      {soft}    unlimited            us        \n"
            )
        };
        assert_eq!(parse(&limits("unlimited")), None);
        assert_eq!(parse(&limits("200000")), None);
        assert_eq!(parse(&limits(&(ENDLESS + 77).to_string())), Some(77));
        assert_eq!(parse(&limits(&u64::MAX.to_string())), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_mark_that_was_set_is_read() {
        let mut child = std::process::Command::new("sleep").arg("300").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let mark = Mark::next();
        assert_eq!(of(pid), None);
        set(pid, &mark);
        assert_eq!(of(pid), Some(mark.tag()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
