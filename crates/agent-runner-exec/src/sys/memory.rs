//! How much memory a tree uses, where no control group counts it.

use std::{collections::HashSet, fs};

use rustix::process::Pid;

use super::{Leader, adopt, procfs};
use crate::mark::Mark;

/// The memory of a leader, of all that descend from it, and of their orphans that came to us, in
/// bytes; `known` if it is surely not more than that.
///
/// What processes share is counted once, by the share of each (`Pss`). The kernel takes its time
/// to find out; the resident sizes, which count it for each, are quick and never less.
#[expect(clippy::unnecessary_wraps, reason = "on other systems it is not known")]
pub(crate) fn tree_memory(leader: &Leader, mark: &Mark, known: u64) -> Option<u64> {
    let pids = tree(leader.pid(), mark);
    let at_most: u64 = pids.iter().filter_map(|&pid| resident(pid)).sum();
    if at_most <= known {
        return Some(known);
    }
    let shares = pids.into_iter().filter_map(|pid| share(pid).or_else(|| resident(pid)));
    Some(shares.sum())
}

fn tree(leader: Pid, mark: &Mark) -> HashSet<Pid> {
    let mut open = adopt::living_orphans(mark);
    open.push(leader);
    let mut all: HashSet<Pid> = open.iter().copied().collect();
    while let Some(pid) = open.pop() {
        let children = procfs::children_of(pid);
        open.extend(children.into_iter().filter(|&child| all.insert(child)));
    }
    all
}

fn resident(pid: Pid) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn share(pid: Pid) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}
