//! What differs between platforms, with the same signatures.

#[cfg(target_os = "linux")]
mod adopt;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod orphan;
#[cfg(target_os = "linux")]
mod procfs;
#[cfg(target_os = "linux")]
mod sweep;

#[cfg(not(target_os = "linux"))]
mod portable;

#[cfg(not(target_os = "linux"))]
pub(crate) use self::portable::{
    Feed, Leader, Pipes, Registration, Spawned, Sweep, adopt_orphans, end_orphan, identity,
    is_executable, spawn, unstarted,
};
#[cfg(target_os = "linux")]
pub(crate) use self::{
    adopt::{Registration, adopt_orphans},
    linux::{Feed, Leader, Pipes, Spawned, identity, is_executable, spawn, unstarted},
    orphan::end_orphan,
    sweep::Sweep,
};

/// How the leader left.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Status {
    Exited(i32),
    Signaled(i32),
}
