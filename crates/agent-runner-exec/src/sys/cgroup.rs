//! A control group for each attempt, where we may make some.
//!
//! The child is moved into its group just after its start, which can take the kernel a millisecond,
//! and whom it started meanwhile is moved after it. A shim that enters the group and then becomes the
//! program would leave no such moment, but costs as much as the program's own start, and hides why a
//! start fails. Who slips through, by a double fork as its very first act, is still known by its marks.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process,
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustix::{
    fs::{Access, access, getxattr},
    process::{Pid, Signal, geteuid, kill_process},
};

use super::procfs;
use crate::{CgroupError, mark::Mark};

/// The beginning of the names of our groups.
const NAME: &str = "agent-runner.";

/// Where groups are made. Clones are the same place.
#[derive(Debug, Clone)]
pub(crate) struct Place(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The group that we are in ourselves: what limits it limits all that is below.
    folder: PathBuf,
    limits_memory: OnceLock<bool>,
}

impl Place {
    /// See [`crate::Cgroups::find`].
    pub(crate) fn find() -> Result<Self, CgroupError> {
        let (mount, folder) = own_group().ok_or(CgroupError::NotMounted)?;
        let write = |path: PathBuf| {
            access(&path, Access::WRITE_OK)
                .map_err(|error| CgroupError::NotWritable { path, source: error.into() })
        };
        write(folder.clone())?;
        write(folder.join("cgroup.procs"))?;
        if geteuid().is_root() && folder != mount && !is_delegated(&folder, &mount) {
            return Err(CgroupError::NotDelegated { path: folder });
        }
        Ok(Self(Arc::new(Inner { folder, limits_memory: OnceLock::new() })))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Whether the kernel could limit memory here; changes nothing.
    pub(crate) fn has_memory(&self) -> bool {
        has_word(&self.0.folder.join("cgroup.controllers"), "memory")
    }

    /// Removes the empty groups of runners that are gone.
    pub(crate) fn sweep(&self) {
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(NAME))
        };
        for group in folders_in(self.folder()).filter(is_ours) {
            let Ok(lock) = File::open(&group) else { continue };
            if lock.try_lock().is_ok() && !is_populated(&group) {
                remove(&group);
            }
        }
    }

    /// Whether the kernel limits memory in groups that are made from now on.
    fn enable_memory(&self) -> bool {
        *self.0.limits_memory.get_or_init(|| self.has_memory() && hand_on_memory(&self.0.folder))
    }
}

/// The mount point of the unified hierarchy, and our own group below it.
fn own_group() -> Option<(PathBuf, PathBuf)> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| below_mount(line, own))
}

/// Reads a line of `mountinfo`: which part of the hierarchy is mounted, and where.
fn below_mount(line: &str, own: &str) -> Option<(PathBuf, PathBuf)> {
    let (left, right) = line.split_once(" - ")?;
    let mut fields = left.split(' ').skip(3);
    let (root, mount) = (fields.next()?, fields.next()?);
    let below = Path::new(own).strip_prefix(root).ok()?;
    let is_plain = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    (right.starts_with("cgroup2 ") && is_plain).then(|| {
        let folder = if below.as_os_str().is_empty() {
            PathBuf::from(mount)
        } else {
            Path::new(mount).join(below)
        };
        (mount.into(), folder)
    })
}

/// What systemd gave away. The rest is its own, though root may write there.
fn is_delegated(folder: &Path, mount: &Path) -> bool {
    let says_so = |path: &Path, name: &str| {
        let mut value = [0; 4];
        getxattr(path, name, &mut value[..]).is_ok_and(|len| value[..len] == *b"1")
    };
    folder
        .ancestors()
        .take_while(|path| *path != mount)
        .any(|path| says_so(path, "trusted.delegate") || says_so(path, "user.delegate"))
}

/// Lets groups below limit memory. A group that does so may have no process of its own, so if we
/// are alone here we move one level down.
fn hand_on_memory(folder: &Path) -> bool {
    let control = folder.join("cgroup.subtree_control");
    if has_word(&control, "memory") || fs::write(&control, "+memory").is_ok() {
        return true;
    }
    let us = rustix::process::getpid();
    if members(folder) != [us] {
        return false;
    }
    let below = folder.join(format!("{NAME}runner-{}", process::id()));
    fs::create_dir(&below).is_ok()
        && fs::write(below.join("cgroup.procs"), us.to_string()).is_ok()
        && fs::write(&control, "+memory").is_ok()
}

fn has_word(path: &Path, word: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.split_ascii_whitespace().any(|it| it == word))
}

/// The group of one attempt. It is removed when it is dropped, if it is empty.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
    limits_memory: bool,
    /// The folder, locked: the kernel frees it when its runner dies, and the next one sees that.
    _alive: Option<File>,
}

impl Group {
    /// Makes a group; what cannot be had is `None`, and does without.
    pub(crate) fn create(place: &Place, mark: &Mark, memory: Option<u64>) -> Option<Self> {
        let limits_memory = memory.is_some() && place.enable_memory();
        let folder = place.folder().join(format!("{NAME}{mark}"));
        fs::create_dir(&folder).ok()?;
        let alive = File::open(&folder).ok().filter(|folder| folder.lock_shared().is_ok());
        let mut group = Self { folder, limits_memory, _alive: alive };
        if let Some(bytes) = memory.filter(|_| limits_memory) {
            group.limits_memory = group.limit_memory(bytes).is_ok();
        }
        Some(group)
    }

    /// The kernel ends all of the tree together, rather than one process that it chooses.
    fn limit_memory(&self, bytes: u64) -> io::Result<()> {
        fs::write(self.folder.join("memory.max"), bytes.to_string())?;
        fs::write(self.folder.join("memory.oom.group"), "1")?;
        let swap = self.folder.join("memory.swap.max");
        // A limit that is met by swapping is none; without swap there is no such file.
        if swap.exists() { fs::write(swap, "0") } else { Ok(()) }
    }

    pub(crate) fn limits_memory(&self) -> bool {
        self.limits_memory
    }

    /// Takes in a process that has just started, and whom it started meanwhile.
    pub(crate) fn take_in(&self, leader: Pid) {
        let procs = self.folder.join("cgroup.procs");
        procfs::each_early(leader, |pid| fs::write(&procs, pid.to_string()).is_ok());
    }

    /// Kills all, at once.
    pub(crate) fn kill(&self) {
        if fs::write(self.folder.join("cgroup.kill"), "1").is_err() {
            // Before Linux 5.14.
            for pid in all_members(&self.folder) {
                _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Those that live in it.
    pub(crate) fn living(&self) -> Vec<Pid> {
        if is_populated(&self.folder) { all_members(&self.folder) } else { Vec::new() }
    }

    /// User and system time of all that was ever in it.
    pub(crate) fn cpu(&self) -> Option<(Duration, Duration)> {
        let of = |name| Some(Duration::from_micros(self.number("cpu.stat", name)?));
        Some((of("user_usec")?, of("system_usec")?))
    }

    /// The most memory that it had at once.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        fs::read_to_string(self.folder.join("memory.peak")).ok()?.trim().parse().ok()
    }

    /// Whether the kernel ended something in it for want of memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.limits_memory && self.number("memory.events", "oom_kill").is_some_and(|n| n > 0)
    }

    fn number(&self, file: &str, name: &str) -> Option<u64> {
        let text = fs::read_to_string(self.folder.join(file)).ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        value.parse().ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// The groups of an attempt, wherever its runner made them.
pub(super) fn find(mark: &Mark) -> Vec<Group> {
    let Some((mount, _)) = own_group() else { return Vec::new() };
    let name = format!("{NAME}{mark}");
    let mut found = Vec::new();
    let mut open = vec![mount];
    while let Some(folder) = open.pop() {
        for below in folders_in(&folder) {
            if below.ends_with(&name) {
                found.push(Group { folder: below, limits_memory: false, _alive: None });
            } else {
                open.push(below);
            }
        }
    }
    found
}

/// Whether a process lives in a group or below it.
fn is_populated(folder: &Path) -> bool {
    let events = fs::read_to_string(folder.join("cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "populated 1")
}

/// Removes an empty group and the empty groups below it.
fn remove(folder: &Path) {
    for below in folders_in(folder) {
        remove(&below);
    }
    drop(fs::remove_dir(folder));
}

fn members(folder: &Path) -> Vec<Pid> {
    procfs::read_pids(&fs::read(folder.join("cgroup.procs")).unwrap_or_default())
}

fn all_members(folder: &Path) -> Vec<Pid> {
    let below = folders_in(folder).flat_map(|below| all_members(&below));
    members(folder).into_iter().chain(below.collect::<Vec<_>>()).collect()
}

fn folders_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[track_caller]
    fn check_mount(root: &str, own: &str, folder: Option<&str>) {
        let line = format!("42 31 0:26 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw");
        assert_eq!(below_mount(&line, own).map(|(_, folder)| folder), folder.map(PathBuf::from));
    }

    #[test]
    fn our_own_group_is_found_below_the_mount() {
        check_mount("/", "/", Some("/sys/fs/cgroup"));
        check_mount("/", "/user.slice/a.scope", Some("/sys/fs/cgroup/user.slice/a.scope"));
        check_mount("/docker/1", "/docker/1/a", Some("/sys/fs/cgroup/a"));
        check_mount("/docker/1", "/docker/2", None);
        check_mount("/", "/../a", None);
        assert_eq!(
            below_mount("42 31 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw", "/"),
            None
        );
    }

    /// A folder of plain files has no kernel behind it, but shows what is asked of one.
    #[test]
    fn a_limit_is_asked_for_and_its_end_is_read() {
        let folder = TempDir::new().unwrap();
        for (file, text) in [
            ("cgroup.controllers", "cpu memory pids\n"),
            ("cgroup.subtree_control", "memory\n"),
            ("cgroup.procs", ""),
        ] {
            fs::write(folder.path().join(file), text).unwrap();
        }
        let inner = Inner { folder: folder.path().to_owned(), limits_memory: OnceLock::new() };
        let place = Place(Arc::new(inner));
        let group = Group::create(&place, &Mark::next(), Some(4 << 20)).unwrap();
        assert!(group.limits_memory());
        let read = |file: &str| fs::read_to_string(group.folder.join(file)).unwrap();
        assert_eq!((read("memory.max"), read("memory.oom.group")), ("4194304".into(), "1".into()));
        assert!(!group.ran_out_of_memory());
        fs::write(group.folder.join("memory.events"), "oom 1\noom_kill 1\n").unwrap();
        fs::write(group.folder.join("memory.peak"), "4194300\n").unwrap();
        assert!(group.ran_out_of_memory());
        assert_eq!(group.peak_memory(), Some(4_194_300));
        assert!(!Group::create(&place, &Mark::next(), None).unwrap().limits_memory());
    }
}
