//! Looking at locks without taking them.

use std::{fs, io};

use crate::{
    LockDir, LockInfo, LockState, LockStatus, ScanError,
    acquire::{glance_again, read_holder},
    claims::CLAIMS,
    dir::{FORMAT_FILE, IGNORE_FILE, Shared},
    floor::FLOOR_FILE,
    lease,
    name::{file_name, stem},
    record::{self, Record, State},
    sys::{self, Folder, Keeper},
};

impl LockDir {
    /// Says whether a lock is held, and by whom.
    ///
    /// The kernel decides whether it is: a killed holder's lock is [`LockState::Died`] at once.
    ///
    /// # Errors
    ///
    /// When the folder or the file cannot be read.
    #[doc(alias = "holder")]
    pub fn status(&self, key: &str) -> Result<LockStatus, ScanError> {
        let name = file_name(key)?;
        let path = self.shared.path_of(&name);
        let folder = self.shared.folder_to_scan()?;
        match look(&folder, &name, Trust::Kernel) {
            Ok(Some((state, info))) => Ok(LockStatus::new(key, state, info)),
            Ok(None) => Ok(LockStatus::new(key, LockState::Free, None)),
            Err(source) => Err(ScanError::Io { path, source }),
        }
    }

    /// The processes that keep a lock: its holder, and whoever a holder handed it on to. It is free
    /// when all of them have ended.
    ///
    /// The numbers are of this process's PID namespace; those of other namespaces and users cannot
    /// be seen unless their `/proc` can. It looks at all processes, which takes milliseconds.
    ///
    /// # Errors
    ///
    /// When the folder or the file cannot be read. Where there is no `/proc`, as on macOS and
    /// Windows, that is always.
    pub fn keepers(&self, key: &str) -> Result<Vec<u32>, ScanError> {
        let name = file_name(key)?;
        let folder = self.shared.folder_to_scan()?;
        keepers(&folder, &name)
            .map(|keepers| keepers.iter().map(|keeper| keeper.pid).collect())
            .map_err(|source| ScanError::Io { path: self.shared.path_of(&name), source })
    }

    /// All locks that were ever acquired here and whose file was not cleaned away, ordered by key.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read. A file that cannot be read is left out; see
    /// [`CleanReport::foreign`](crate::CleanReport::foreign).
    pub fn list(&self) -> Result<Vec<LockStatus>, ScanError> {
        let folder = self.shared.folder_to_scan()?;
        let mut list = Vec::new();
        for name in self.shared.names()? {
            let Some(stem) = stem(&name) else { continue };
            if let Ok(Some((state, info))) = look(&folder, &name, Trust::FreeRecords) {
                list.push(status(stem, state, info));
            }
        }
        list.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(list)
    }
}

impl Shared {
    /// The folder that has our path now.
    pub(crate) fn folder_to_scan(&self) -> Result<std::sync::Arc<Folder>, ScanError> {
        self.folder_again().map_err(|error| match error {
            crate::OpenError::Io { path, source } => ScanError::Io { path, source },
            other => {
                ScanError::Io { path: self.path().to_owned(), source: io::Error::other(other) }
            }
        })
    }

    /// The names in the folder, but for those that we keep there for ourselves.
    pub(crate) fn names(&self) -> Result<Vec<String>, ScanError> {
        let failed = |source| ScanError::Io { path: self.path().to_owned(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path()).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            let known = [FORMAT_FILE, IGNORE_FILE, FLOOR_FILE, CLAIMS].contains(&name.as_str());
            if !known && !lease::is_ours(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// The status of the lock in a file of a folder.
pub(crate) fn status(stem: &str, state: LockState, info: Option<LockInfo>) -> LockStatus {
    let key = info.as_ref().map_or(stem, |info| info.key.as_str()).to_owned();
    LockStatus::new(&key, state, info)
}

/// The processes that keep the lock of a file.
pub(crate) fn keepers(folder: &Folder, name: &str) -> io::Result<Vec<Keeper>> {
    match folder.open_file_to_read(name) {
        Ok(file) => sys::keepers(name, sys::found(&file)?.id),
        Err(error) if sys::absent_or_other(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// When to ask the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Always.
    Kernel,
    /// Unless the record says that the lock was released.
    ///
    /// That is written before unlocking, and overwritten before an acquirer returns: if it can be
    /// read, there was a moment in this call at which nobody held a guard. Not asking keeps a list
    /// fast, and out of the way of acquirers: to ask is to take the lock for a moment.
    FreeRecords,
}

/// What is known of the lock in a file; `None` if there is no file.
pub(crate) fn look(
    folder: &Folder,
    name: &str,
    trust: Trust,
) -> io::Result<Option<(LockState, Option<LockInfo>)>> {
    let file = match folder.open_file_to_read(name) {
        Ok(file) => file,
        Err(error) if sys::absent_or_other(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let read = || {
        let mut block = [0; record::LEN];
        sys::read_block(&file, &mut block).map(record::parse)
    };
    if trust == Trust::FreeRecords
        && let Some(Record { state: State::Free, info }) = read()?
    {
        return Ok(Some((LockState::Free, Some(info))));
    }
    let mut glances = 0;
    loop {
        // Read while it is known to be free, lest the next holder's record pass for a dead one's.
        let (state, info) = match sys::while_free(&file, read)?.transpose()? {
            Some(Some(Record { state: State::Held, info })) => (LockState::Died, Some(info)),
            Some(record) => (LockState::Free, record.map(|record| record.info)),
            None => {
                let (state, info) = read_holder(&file)?;
                if glance_again(&mut glances, state, info.as_ref()) {
                    continue;
                }
                (state, info)
            }
        };
        return Ok(Some((state, info)));
    }
}
