//! What is known of a lock that is not ours.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{LockInfo, sys, time::Span};

/// Whether a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockState {
    /// Nobody holds it.
    Free,
    /// The kernel says that somebody holds it.
    Held,
    /// Its holder is dead, but a child to which the holder handed it on still holds it; see
    /// [`TaskLock::keep_with_child`](crate::TaskLock::keep_with_child) and
    /// [`LockDir::keepers`](crate::LockDir::keepers).
    Orphaned,
    /// Nobody holds it, but its last holder did not release it: the holder died.
    Died,
}

/// What is known of a lock.
///
/// It displays as a sentence: `task 42 is held by run-7f3a/3, pid 311 on host a, for 12 min`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockStatus {
    /// The key. In a list, for an unreadable record of a key that cannot be a file's name: the
    /// name of its file.
    pub key: String,
    /// Whether it is held.
    pub state: LockState,
    /// Its holder, or the last one. `None` when there was none, or when the record cannot be read;
    /// a lock that is held can have an unknown holder.
    pub info: Option<LockInfo>,
    /// Whether it is held for longer than its holder meant to. For people: nothing is ever taken
    /// from a holder because of it.
    pub overdue: bool,
    /// Whether the holder is this very process.
    pub by_this_process: bool,
}

impl LockStatus {
    pub(crate) fn new(key: &str, state: LockState, info: Option<LockInfo>) -> Self {
        let held = matches!(state, LockState::Held | LockState::Orphaned);
        Self {
            key: key.to_owned(),
            state,
            overdue: held && info.as_ref().is_some_and(LockInfo::is_overdue),
            by_this_process: held && info.as_ref().is_some_and(|i| sys::Process::now().wrote(i)),
            info,
        }
    }

    /// Whether somebody holds it, be it a dead holder's child.
    pub fn is_held(&self) -> bool {
        matches!(self.state, LockState::Held | LockState::Orphaned)
    }

    /// Whether its holder is dead and a child of it holds it.
    pub fn is_orphaned(&self) -> bool {
        self.state == LockState::Orphaned
    }

    /// Whether its last holder died without releasing it.
    pub fn holder_died(&self) -> bool {
        self.state == LockState::Died
    }
}

impl fmt::Display for LockStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, info, .. } = self;
        match (self.state, info) {
            (LockState::Free, _) => write!(f, "task {key} is free"),
            (LockState::Held, None) => write!(f, "task {key} is held by an unknown holder"),
            (LockState::Held, Some(info)) => {
                write!(f, "task {key} is held by {info}")?;
                match info.timeout {
                    Some(timeout) if self.overdue => {
                        write!(f, " (overdue, it meant to take {} at most)", Span(timeout))
                    }
                    _ => Ok(()),
                }
            }
            (LockState::Orphaned, Some(LockInfo { holder_id, pid, host, .. })) => write!(
                f,
                "task {key} is held by a child of its dead holder {holder_id}, pid {pid} on host \
                 {host}"
            ),
            (LockState::Orphaned, None) => {
                write!(f, "task {key} is held by a child of its dead holder")
            }
            (LockState::Died, Some(LockInfo { holder_id, pid, host, .. })) => write!(
                f,
                "task {key} is free: its last holder {holder_id}, pid {pid} on host {host}, died"
            ),
            (LockState::Died, None) => write!(f, "task {key} is free: its last holder died"),
        }
    }
}
