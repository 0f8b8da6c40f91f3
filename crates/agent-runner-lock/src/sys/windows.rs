//! Files and folders on Windows.
//!
//! A lock file is opened so that nobody can delete or rename it as long as it is open. So a file
//! that is locked keeps its name, and its identity need not be compared; but nor can it be removed
//! by who holds it, so that [`clean_stale`](crate::LockDir::clean_stale) keeps all files.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::windows::fs::{FileExt, OpenOptionsExt},
    path::{Component, Path, PathBuf, Prefix},
};

use super::{Found, Process};
use crate::OpenError;

/// Whether a file's name can be removed while the file is locked.
pub(crate) const CAN_REMOVE_HELD: bool = false;

const FILE_SHARE_READ: u32 = 1;
const FILE_SHARE_WRITE: u32 = 2;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

/// Whether a file is unlocked before it is closed.
pub(super) const UNLOCKS_OPEN: bool = false;

/// What makes two open files the same file: here, that they can be open at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId;

/// A folder.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if !fs::metadata(path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self(path.to_owned()))
    }

    /// Opens a folder in this one; makes it if need be.
    pub(crate) fn subfolder(&self, name: &str) -> io::Result<Self> {
        create_folder(&self.0.join(name))?;
        Self::open(&self.0.join(name))
    }

    /// Who may write to a folder is a matter of its access list, which we do not judge.
    #[expect(clippy::unnecessary_wraps, reason = "the signature of unix.rs")]
    pub(crate) fn check_owner(&self, _: &Path) -> Result<(), OpenError> {
        Ok(())
    }

    /// The kind of file system, if locks there are not the local kernel's own.
    #[expect(clippy::unnecessary_wraps, reason = "the signature of unix.rs")]
    pub(crate) fn network_kind(&self) -> io::Result<Option<&'static str>> {
        let unc = matches!(
            self.0.components().next(),
            Some(Component::Prefix(prefix))
                if matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..))
        );
        Ok(unc.then_some("SMB"))
    }

    /// Opens a file for reading and writing; makes it if need be.
    pub(crate) fn open_or_create(&self, name: &str) -> io::Result<File> {
        self.options().write(true).create(true).truncate(false).open(self.0.join(name))
    }

    /// Makes a file, of which there must be none, and opens it for reading and writing.
    pub(crate) fn create_new(&self, name: &str) -> io::Result<File> {
        self.options().write(true).create_new(true).open(self.0.join(name))
    }

    /// Opens a file for reading and writing.
    pub(crate) fn open_file_to_write(&self, name: &str) -> io::Result<File> {
        self.options().write(true).open(self.0.join(name))
    }

    /// Opens a file for reading.
    pub(crate) fn open_file_to_read(&self, name: &str) -> io::Result<File> {
        self.options().open(self.0.join(name))
    }

    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
            .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
        options
    }

    /// Removes a name. Only for a file that nobody has open, see [`CAN_REMOVE_HELD`].
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    /// Gives a file another name. Never called, see [`CAN_REMOVE_HELD`].
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    #[expect(clippy::unnecessary_wraps, reason = "the signature of unix.rs")]
    pub(crate) fn id(&self) -> io::Result<FileId> {
        Ok(FileId)
    }
}

/// Makes a folder, and those above it.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// What there is to know of whatever has this path; `None` if nothing has.
pub(super) fn found_at(path: &Path, follow: bool) -> io::Result<Option<Found>> {
    let meta = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
    match meta {
        Ok(meta) => Ok(Some(found_in(&meta))),
        Err(error) if absent_or_other(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn found(file: &File) -> io::Result<Found> {
    Ok(found_in(&file.metadata()?))
}

fn found_in(meta: &fs::Metadata) -> Found {
    Found {
        id: FileId,
        has_other_names: false,
        is_file: meta.is_file(),
        modified: meta.modified().ok(),
    }
}

/// Closing the handle, which comes next, unlocks the file, and no child shares it.
#[expect(clippy::unnecessary_wraps, reason = "the signature of unix.rs")]
pub(super) fn unlock(_: &File) -> io::Result<()> {
    Ok(())
}

/// Nothing: a lock is its process's own, and a child with the same handle does not share it.
#[expect(clippy::unnecessary_wraps, reason = "the signature of unix.rs")]
pub(crate) fn inheritable(_: &File) -> io::Result<()> {
    Ok(())
}

/// A process that keeps a file's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keeper {
    pub(crate) pid: u32,
    pub(crate) locked_by: u32,
}

/// Nothing is known of other processes.
pub(crate) fn keepers(_: &str, _: FileId) -> io::Result<Vec<Keeper>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing is known of other processes.
pub(crate) fn start_time(_: u32) -> io::Result<Option<u64>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing is known of other processes.
pub(crate) fn is_stopped(_: u32, _: u64) -> bool {
    false
}

/// Reads as much of a record as there is, but for byte 0, which a holder locks against reading.
pub(crate) fn read_block<'a>(file: &File, block: &'a mut [u8]) -> io::Result<&'a [u8]> {
    block[0] = b' ';
    let mut len = 1;
    while len < block.len() {
        match file.seek_read(&mut block[len..], len as u64)? {
            0 => break,
            read => len += read,
        }
    }
    Ok(if len == 1 { &[] } else { &block[..len] })
}

/// Writes a record over the one before.
pub(crate) fn write_block(file: &File, mut block: &[u8]) -> io::Result<()> {
    let mut at = 0;
    while !block.is_empty() {
        let written = file.seek_write(block, at)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        block = &block[written..];
        at += written as u64;
    }
    Ok(())
}

/// What stands where a lock file should be, if opening it failed because of that.
pub(crate) fn not_a_lock(_: &io::Error) -> Option<&'static str> {
    None
}

/// Whether opening failed because the folder or file is not there (any more).
pub(crate) fn absent_or_other(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

pub(super) fn process(pid: u32) -> Process {
    let host = std::env::var("COMPUTERNAME").unwrap_or_default();
    Process {
        pid,
        start_time: None,
        pid_ns: None,
        uid: None,
        boot_id: None,
        host: host.chars().filter(|character| !character.is_control()).take(16).collect(),
    }
}
