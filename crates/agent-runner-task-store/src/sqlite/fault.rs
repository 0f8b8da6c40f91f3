//! From what the database says to what a caller can act upon.

use std::{fs, io, path::Path};

use rusqlite::ErrorCode;

use crate::StoreError;

/// Why an operation stopped: for a reason of its own, or because the database failed.
#[derive(Debug)]
pub(super) enum Fault {
    Store(StoreError),
    Sql(rusqlite::Error),
}

pub(super) type Outcome<T> = Result<T, Fault>;

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Store(StoreError::Database(error.into()))
    }
}

impl Fault {
    pub(super) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) => translate(&error, path),
        }
    }
}

/// The database's error once more, for the others whom it concerns.
pub(super) fn repeat(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(error, message) => {
            rusqlite::Error::SqliteFailure(*error, message.clone())
        }
        _ => rusqlite::Error::InvalidQuery,
    }
}

/// What an error of the database means for the store at `path`.
pub(super) fn translate(error: &rusqlite::Error, path: &Path) -> StoreError {
    let path = path.to_owned();
    let detail = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::NotAStore { path },
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Corrupt { path, detail },
        Some(ErrorCode::DiskFull) => StoreError::DiskFull { path },
        Some(ErrorCode::CannotOpen) if is_full(&path) => StoreError::DiskFull { path },
        Some(ErrorCode::CannotOpen) => io_error(path, io::ErrorKind::NotFound, detail),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            io_error(path, io::ErrorKind::PermissionDenied, detail)
        }
        Some(ErrorCode::SystemIoFailure) => io_error(path, io::ErrorKind::Other, detail),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            io_error(path, io::ErrorKind::WouldBlock, detail)
        }
        // A row that is not as this code writes it.
        None if is_unreadable(error) => StoreError::Corrupt { path, detail },
        _ => StoreError::Database(detail.into()),
    }
}

/// Whether no file can be made beside the store for want of room, which SQLite does not say: there
/// may be bytes left, and no more files.
fn is_full(path: &Path) -> bool {
    let probe = path.with_extension(format!("probe-{}", std::process::id()));
    let made = fs::OpenOptions::new().write(true).create_new(true).open(&probe);
    if made.is_ok() {
        drop(fs::remove_file(probe));
    }
    made.is_err_and(|error| {
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    })
}

fn is_unreadable(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows
    )
}

fn io_error(path: std::path::PathBuf, kind: io::ErrorKind, detail: String) -> StoreError {
    StoreError::Io { path, source: io::Error::new(kind, detail) }
}
