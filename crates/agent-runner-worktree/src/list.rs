//! Which worktrees there are, and what is in them.

use std::path::PathBuf;

use crate::{
    Error, Worktrees,
    roster::{Phase, Record},
};

/// A worktree, as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its folder.
    pub path: PathBuf,
    /// What it is used for.
    pub state: State,
    /// The task that it was used for last.
    pub task: Option<String>,
    /// The attempt that it was used for last.
    pub attempt: Option<u32>,
}

/// What a worktree is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Somebody works in it.
    Working,
    /// What was done in it is being merged.
    Merging,
    /// Nobody uses it.
    Idle,
    /// Its holder died. What lies in it is saved by the next who opens the pool for work.
    Unsaved,
    /// Its holder died, and what lies in it could not be saved, for this reason.
    Parked(String),
}

impl Worktrees {
    /// Lists the worktrees that are on the disk or in use, in order.
    ///
    /// # Errors
    ///
    /// If the pool cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>, Error> {
        let roster = &self.inner.roster;
        let mut entries = Vec::new();
        for name in roster.names()? {
            let path = roster.path(&name);
            let (record, state) = {
                // Under the lock, so that nobody takes our look for a holder.
                let _roster = roster.lock()?;
                match roster.try_slot(&name)? {
                    None => {
                        let record = roster.record(&name)?;
                        let state = in_use(&record);
                        (record, state)
                    }
                    Some(slot) if slot.record.parked.is_some() => {
                        let why = slot.record.parked.clone().unwrap_or_default();
                        (slot.record.clone(), State::Parked(why))
                    }
                    Some(slot) if slot.is_dead() => (slot.record.clone(), State::Unsaved),
                    Some(slot) => (slot.record.clone(), State::Idle),
                }
            };
            if state == State::Idle && !path.exists() {
                continue;
            }
            let tenant = record.unsaved.or(record.tenant);
            let attempt = tenant.as_ref().map(|tenant| tenant.attempt);
            let task = tenant.map(|tenant| tenant.task);
            entries.push(Entry { path, state, task, attempt });
        }
        Ok(entries)
    }
}

fn in_use(record: &Record) -> State {
    match record.tenant.as_ref().map(|tenant| tenant.phase) {
        Some(Phase::Merging) => State::Merging,
        _ => State::Working,
    }
}
