//! The folder of the claims, which is made when the first one is.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{line::Line, record::ClaimRecord};
use crate::{AcquireError, dir::Shared, sys::Folder};

/// Its name in the folder of locks.
pub(crate) const CLAIMS: &str = "claims";

/// What one [`LockDir`](crate::LockDir) knows of claims.
#[derive(Debug, Default)]
pub(crate) struct ClaimsOfFolder {
    folder: Mutex<Option<Arc<ClaimsFolder>>>,
    pub(super) line: Line,
}

/// The folder, kept open.
#[derive(Debug)]
pub(super) struct ClaimsFolder {
    pub(super) folder: Folder,
    pub(super) path: PathBuf,
    /// The records of the claims that were seen here. A name stands for one claim for ever, so that
    /// what a claim is about must be read only once.
    known: Mutex<HashMap<String, Arc<ClaimRecord>>>,
}

impl ClaimsFolder {
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<ClaimRecord>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the file of a claim that is not locked any more. Somebody else may have done it.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match self.folder.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
}

impl Shared {
    /// The folder, made and opened if need be.
    pub(super) fn claims_folder(&self) -> Result<Arc<ClaimsFolder>, AcquireError> {
        let mut folder = self.claims.folder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = &*folder {
            return Ok(Arc::clone(folder));
        }
        let opened = self.subfolder(CLAIMS).map_err(AcquireError::Folder)?;
        let (path, known) = (self.path_of(CLAIMS), Mutex::default());
        Ok(Arc::clone(folder.insert(Arc::new(ClaimsFolder { folder: opened, path, known }))))
    }

    /// Forgets the folder, since its path leads elsewhere.
    pub(super) fn forget_claims_folder(&self) {
        *self.claims.folder.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
