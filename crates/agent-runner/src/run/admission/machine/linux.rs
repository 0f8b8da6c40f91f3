//! Linux: `/proc/loadavg`, `/proc/meminfo`, and the limits of the control groups that we are in.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The mean number of processes that wanted to run in the last minute.
pub(in super::super) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// The bytes of memory that new processes can have: what the machine has, and what each of our
/// control groups may still take.
pub(in super::super) fn free_memory() -> Option<u64> {
    free_in(Path::new("/"))
}

fn free_in(root: &Path) -> Option<u64> {
    let meminfo = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let available = value_of(&meminfo, "MemAvailable:")?.checked_mul(1024)?;
    let rooms = groups(root).filter_map(|(folder, names)| room(&folder, names));
    rooms.chain([available]).min()
}

/// How a version of control groups names its files.
#[derive(Debug, Clone, Copy)]
struct Names {
    max: &'static str,
    used: &'static str,
    /// The line of `memory.stat` about what the kernel would rather give up than refuse memory.
    cached: &'static str,
}

const V2: Names = Names { max: "memory.max", used: "memory.current", cached: "inactive_file" };
const V1: Names = Names {
    max: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cached: "total_inactive_file",
};

/// The folders of our control groups and of those above them, which limit us too.
fn groups(root: &Path) -> impl Iterator<Item = (PathBuf, Names)> {
    let lines = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mount = root.join("sys/fs/cgroup");
    let found: Vec<_> = lines
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (controllers, path) = (fields.nth(1)?, fields.next()?);
            let (mount, names) = match controllers {
                "" => (mount.clone(), V2),
                list if list.split(',').any(|name| name == "memory") => (mount.join("memory"), V1),
                _ => return None,
            };
            let path = PathBuf::from(path.trim_start_matches('/'));
            let above: Vec<_> = path.ancestors().map(|part| (mount.join(part), names)).collect();
            Some(above)
        })
        .flatten()
        .collect();
    found.into_iter()
}

/// What a group may still take; `None` if it has no limit, or none that we can see.
fn room(folder: &Path, names: Names) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let max: u64 = read(names.max)?.trim().parse().ok()?;
    let used: u64 = read(names.used)?.trim().parse().ok()?;
    let cached = read("memory.stat").and_then(|stat| value_of(&stat, names.cached)).unwrap_or(0);
    Some(max.saturating_sub(used.saturating_sub(cached)))
}

/// The number behind a word at the beginning of a line.
fn value_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix([' ', '\t']))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], expected: Option<u64>) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(free_in(root.path()), expected, "{files:?}");
    }

    const MEMINFO: (&str, &str) =
        ("proc/meminfo", "MemTotal:  900 kB\nMemFree: 1 kB\nMemAvailable:    600 kB\n");

    #[test]
    fn without_limits_it_is_what_the_machine_has() {
        check(&[], None);
        check(&[MEMINFO], Some(600 * 1024));
        let unlimited = [
            MEMINFO,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "5\n"),
        ];
        check(&unlimited, Some(600 * 1024));
    }

    #[test]
    fn a_group_above_limits_as_well_and_its_cache_can_be_had() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/memory.max", "100000\n"),
            ("sys/fs/cgroup/a/memory.current", "90000\n"),
            ("sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 40000\nactive_file 7\n"),
            ("sys/fs/cgroup/a/b/memory.max", "90000\n"),
            ("sys/fs/cgroup/a/b/memory.current", "1000\n"),
        ];
        check(&files, Some(50_000));
    }

    #[test]
    fn groups_of_the_first_version_are_known() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/outside/x\n0::/x\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "70000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "80000\n"),
            ("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 20000\n"),
        ];
        check(&files, Some(10_000));
    }

    #[test]
    fn this_machine_can_be_asked() {
        assert!(load().is_some_and(|load| load >= 0.0));
        assert!(free_memory().is_some_and(|bytes| bytes > 0));
    }
}
