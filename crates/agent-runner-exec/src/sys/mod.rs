//! What differs between platforms, with the same signatures.

#[cfg(target_os = "linux")]
mod adopt;
#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod orphan;
#[cfg(target_os = "linux")]
mod procfs;
#[cfg(target_os = "linux")]
mod sweep;
#[cfg(target_os = "linux")]
mod tag;

#[cfg(not(target_os = "linux"))]
mod portable;

#[cfg(not(target_os = "linux"))]
pub(crate) use self::portable::{
    Feed, Group, Leader, Pipes, Place, Registration, Spawned, Sweep, adopt_orphans, end_orphan,
    identity, is_executable, orphan_lives, spawn, tree_memory, unstarted,
};
#[cfg(target_os = "linux")]
pub(crate) use self::{
    adopt::{Registration, adopt_orphans},
    cgroup::{Group, Place},
    linux::{Feed, Leader, Pipes, Spawned, identity, is_executable, spawn, unstarted},
    memory::tree_memory,
    orphan::{end_orphan, orphan_lives},
    sweep::Sweep,
};

/// Whether the memory of a tree can be learned.
pub(crate) const KNOWS_MEMORY: bool = cfg!(target_os = "linux");

/// How the leader left.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Status {
    Exited(i32),
    Signaled(i32),
}
