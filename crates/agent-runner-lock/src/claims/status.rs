//! What is known of a claim that is held.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::record::ClaimRecord;
use crate::{LockInfo, LockState, LockStatus, Resource, resource::joined, sys::Process};

/// A claim that somebody holds or waits for.
///
/// It displays as a sentence: `db, paths:src/** is held by run-7f3a/3, pid 311 on host a, for 12 min`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClaimStatus {
    /// What is claimed. Empty if the record cannot be read; then it could be anything, and is in
    /// the way of all.
    pub resources: Vec<Resource>,
    /// Whether its holder, or who waits, lives, as far as is known.
    pub state: LockState,
    /// Whether nobody holds it yet, but somebody waits for it. It is in the way of those who came
    /// later, lest they go ahead for ever.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waiting: bool,
    /// Its holder. `None` if the record cannot be read.
    pub info: Option<LockInfo>,
    /// Whether it is held for longer than its holder meant to. For people: nothing is ever taken
    /// from a holder because of it.
    pub overdue: bool,
    /// Whether the holder is this very process.
    pub by_this_process: bool,
}

impl ClaimStatus {
    pub(super) fn of(claim: &ClaimRecord, waiting: bool) -> Self {
        let dead = Process::now().knows_dead(&claim.info);
        let state = if dead { LockState::Orphaned } else { LockState::Held };
        let held = Self::new(claim.resources.clone(), state, Some(claim.info.clone()));
        Self { waiting, overdue: held.overdue && !waiting, ..held }
    }

    /// Whether its process can take what it waits for: for all that is known, it lives and runs.
    pub(super) fn can_go_on(&self) -> bool {
        let stopped = |info| Process::now().knows_stopped(info);
        self.state != LockState::Orphaned && !self.info.as_ref().is_some_and(stopped)
    }

    /// A claim on nobody knows what.
    pub(super) fn unknown() -> Self {
        Self::new(vec![], LockState::Held, None)
    }

    fn new(resources: Vec<Resource>, state: LockState, info: Option<LockInfo>) -> Self {
        let LockStatus { state, info, overdue, by_this_process, .. } =
            LockStatus::new("", state, info);
        Self { resources, state, waiting: false, info, overdue, by_this_process }
    }
}

impl fmt::Display for ClaimStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.info {
            None => f.write_str("something is held by an unknown holder"),
            Some(info) if self.waiting => {
                write!(f, "{} is wanted by {info}, who asked first", joined(&self.resources))
            }
            Some(info) => {
                write!(f, "{} is held by {info}", joined(&self.resources))?;
                match self.state {
                    LockState::Orphaned => f.write_str(" (dead, but its child goes on)"),
                    _ if self.overdue => f.write_str(" (overdue)"),
                    _ => Ok(()),
                }
            }
        }
    }
}
