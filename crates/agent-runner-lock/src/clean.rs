//! Removing the files of locks that nobody needs any more.

use std::{io, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    LockDir, LockInfo, LockState, LockStatus, ScanError,
    acquire::oddity,
    dir::Shared,
    floor::raise_floor,
    list::{Trust, look, status},
    name::stem,
    record::{self, Record, State},
    sys::{self, Folder, Locked},
};

/// What [`LockDir::clean_stale`] removes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CleanOptions {
    /// How long a lock must have been untouched (1 hour).
    pub retention: Duration,
    /// Whether to keep what dead holders left, so that a rescuer can still read it (no; the report
    /// has it).
    pub keep_died: bool,
}

impl Default for CleanOptions {
    fn default() -> Self {
        Self { retention: Duration::from_secs(3600), keep_died: false }
    }
}

/// What [`LockDir::clean_stale`] did, and what it left alone.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CleanReport {
    /// Removed, with the last word of each holder: [`LockState::Free`] or [`LockState::Died`].
    pub removed: Vec<LockStatus>,
    /// Free, but kept: too young, or asked to be kept.
    pub kept: u64,
    /// Held, and left to their holders or to the children of dead ones.
    pub held: Vec<LockStatus>,
    /// Those of `held` that are held for longer than their holder meant to.
    pub overdue: Vec<LockStatus>,
    /// Files whose record cannot be read. They are kept: the next holder overwrites them.
    pub unreadable: Vec<String>,
    /// What is in the folder but is no lock, or cannot be opened.
    pub foreign: Vec<String>,
}

impl LockDir {
    /// Removes the files of locks that are free and have been for a while.
    ///
    /// A held lock is never touched, whatever its record says and however long it is overdue. While
    /// a file is looked at, a concurrent [`LockDir::try_acquire`] of the same key can be told that
    /// the lock is held. The claims of dead holders are removed too, whatever their age.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read, or a file not be removed.
    #[doc(alias = "clean_all_stale_locks")]
    pub fn clean_stale(&self, options: &CleanOptions) -> Result<CleanReport, ScanError> {
        let folder = self.shared.folder_to_scan()?;
        // Who looks at claims removes those of the dead. That cannot do harm, nor matter if it fails.
        self.claims().ok();
        let mut report = CleanReport::default();
        for name in self.shared.names()? {
            let Some(stem) = stem(&name) else {
                report.foreign.push(name);
                continue;
            };
            match self.shared.clean_one(&folder, &name, options) {
                Ok(Cleaned::Removed(state, info)) => report.removed.push(status(stem, state, info)),
                Ok(Cleaned::Kept) => report.kept += 1,
                Ok(Cleaned::Held(state, info)) => report.held.push(status(stem, state, info)),
                Ok(Cleaned::Unreadable) => report.unreadable.push(name),
                Ok(Cleaned::Foreign) => report.foreign.push(name),
                Ok(Cleaned::Gone) => {}
                Err(source) => {
                    return Err(ScanError::Io { path: self.shared.path_of(&name), source });
                }
            }
        }
        report.overdue = report.held.iter().filter(|status| status.overdue).cloned().collect();
        Ok(report)
    }
}

/// What became of one file.
enum Cleaned {
    Removed(LockState, Option<LockInfo>),
    Kept,
    Held(LockState, Option<LockInfo>),
    Unreadable,
    Foreign,
    Gone,
}

impl Shared {
    /// Removes a file if that is safe and asked for.
    ///
    /// Safe is: we hold the lock of the very file that the name stands for, from before we look
    /// at it until its name is gone. Whoever opened it before finds that it has no name.
    fn clean_one(
        &self,
        folder: &Folder,
        name: &str,
        options: &CleanOptions,
    ) -> io::Result<Cleaned> {
        let file = match folder.open_file_to_write(name) {
            Ok(file) => file,
            Err(error) if sys::absent_or_other(&error) => return Ok(Cleaned::Gone),
            Err(_) => return Ok(Cleaned::Foreign),
        };
        let Ok(locked) = Locked::try_new(file)? else {
            return refused(folder, name);
        };
        // In a lease directory nobody may put a new file in the place of this one meanwhile.
        let Some(_no_breaker) = self.keep_breakers_out(folder, name)? else {
            return Ok(Cleaned::Kept);
        };
        let found = sys::found(locked.file())?;
        if sys::id_at(&self.path_of(name), false)? != Some(found.id) {
            return Ok(Cleaned::Gone);
        }
        if oddity(&found).is_some() {
            return Ok(Cleaned::Foreign);
        }
        let mut block = [0; record::LEN];
        let bytes = sys::read_block(locked.file(), &mut block)?;
        let record = record::parse(bytes);
        if record.is_none() && !bytes.is_empty() {
            return Ok(Cleaned::Unreadable);
        }

        let age = found.modified.and_then(|modified| modified.elapsed().ok());
        let old = age.is_some_and(|age| age >= options.retention);
        let died = record.as_ref().is_some_and(|record| record.state == State::Held);
        if !old || (died && options.keep_died) || !sys::CAN_REMOVE_HELD {
            return Ok(Cleaned::Kept);
        }
        if let Some(record) = &record {
            raise_floor(folder, record.info.token)?;
        }
        folder.remove(name)?;
        let state = if died { LockState::Died } else { LockState::Free };
        Ok(Cleaned::Removed(state, record.map(|Record { info, .. }| info)))
    }
}

/// What is there to report of a file that the kernel says is locked.
fn refused(folder: &Folder, name: &str) -> io::Result<Cleaned> {
    Ok(match look(folder, name, Trust::Kernel)? {
        Some((state @ (LockState::Held | LockState::Orphaned), info)) => Cleaned::Held(state, info),
        // Free in the meantime, and so too young to go.
        Some(_) => Cleaned::Kept,
        None => Cleaned::Gone,
    })
}
