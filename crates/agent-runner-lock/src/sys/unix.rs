//! Files and folders on Unix: everything relative to an open folder, no link followed.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::fd::OwnedFd,
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt},
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags},
    io::{Errno, FdFlags},
};

pub(crate) use super::proc::{Keeper, is_stopped, keepers, start_time};
use super::{Found, Process, proc};
use crate::OpenError;

/// Whether a file's name can be removed while the file is locked.
pub(crate) const CAN_REMOVE_HELD: bool = true;

/// Whether a file is unlocked before it is closed.
pub(super) const UNLOCKS_OPEN: bool = true;

/// What makes two open files the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

/// A folder that is kept open.
#[derive(Debug)]
pub(crate) struct Folder(File);

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?);
        super::keep_folder(&file);
        Ok(Self(file))
    }

    /// Opens a folder in this one; makes it, for its owner alone, if need be.
    pub(crate) fn subfolder(&self, name: &str) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.0, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = File::from(rustix::fs::openat(&self.0, name, flags, Mode::empty())?);
        super::keep_folder(&file);
        Ok(Self(file))
    }

    /// Checks that nobody else can take files away here.
    pub(crate) fn check_owner(&self, path: &Path) -> Result<(), OpenError> {
        let meta = self.0.metadata().map_err(|e| OpenError::Io { path: path.into(), source: e })?;
        let user = rustix::process::geteuid().as_raw();
        if meta.uid() != user {
            return Err(OpenError::ForeignOwner { path: path.into(), owner: meta.uid(), user });
        }
        if meta.mode() & 0o022 != 0 {
            let mode = meta.mode() & 0o7777;
            return Err(OpenError::WritableByOthers { path: path.into(), mode });
        }
        Ok(())
    }

    /// The kind of file system, if locks there are not the local kernel's own.
    pub(crate) fn network_kind(&self) -> io::Result<Option<&'static str>> {
        network_kind(&self.0)
    }

    /// Opens a file for reading and writing; makes it, readable by its owner alone, if need be.
    pub(crate) fn open_or_create(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDWR | OFlags::CREATE)
    }

    /// Makes a file, of which there must be none, and opens it for reading and writing.
    pub(crate) fn create_new(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
    }

    /// Opens a file for reading and writing.
    pub(crate) fn open_file_to_write(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDWR)
    }

    /// Opens a file for reading.
    pub(crate) fn open_file_to_read(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDONLY)
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        // NONBLOCK: a pipe of that name must not make us wait for its other end.
        let always = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd =
            rustix::io::retry_on_intr(|| rustix::fs::openat(&self.0, name, flags | always, mode))?;
        Ok(File::from(fd))
    }

    /// Removes a name. Only for who holds the lock of the file of that name, or knows that nobody
    /// ever will.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Gives a file another name, in the place of the file that has it. Only for who has the mutex
    /// of a lease directory.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    pub(crate) fn id(&self) -> io::Result<FileId> {
        Ok(found(&self.0)?.id)
    }
}

/// Makes a folder for its owner alone, and those above it.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// What there is to know of whatever has this path; `None` if nothing has.
pub(super) fn found_at(path: &Path, follow: bool) -> io::Result<Option<Found>> {
    let stat = if follow { rustix::fs::stat(path) } else { rustix::fs::lstat(path) };
    match stat {
        Ok(stat) => Ok(Some(found_in(&stat))),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::STALE) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn found(file: &File) -> io::Result<Found> {
    Ok(found_in(&rustix::fs::fstat(file)?))
}

fn found_in(stat: &rustix::fs::Stat) -> Found {
    let seconds = u64::try_from(stat.st_mtime).ok();
    Found {
        id: id(stat),
        has_other_names: stat.st_nlink > 1,
        is_file: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
        modified: seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
    }
}

#[allow(
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "the fields' types differ between systems"
)]
fn id(stat: &rustix::fs::Stat) -> FileId {
    FileId { device: stat.st_dev as u64, inode: stat.st_ino as u64 }
}

pub(super) fn unlock(file: &File) -> io::Result<()> {
    // What dropping fd-lock's guard does. Its guard borrows, so that none can be kept; asking it
    // for a second one in order to drop it would be one more system call.
    Ok(rustix::io::retry_on_intr(|| rustix::fs::flock(file, FlockOperation::Unlock))?)
}

/// A descriptor of the same open file that children inherit until it is closed.
pub(crate) fn inheritable(file: &File) -> io::Result<OwnedFd> {
    // Never in the place of a standard stream that happens to be closed.
    let second = rustix::io::fcntl_dupfd_cloexec(file, 3)?;
    rustix::io::fcntl_setfd(&second, FdFlags::empty())?;
    Ok(second)
}

/// Reads as much of a record as there is.
pub(crate) fn read_block<'a>(file: &File, block: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut len = 0;
    while len < block.len() {
        match file.read_at(&mut block[len..], len as u64) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&block[..len])
}

/// Writes a record over the one before.
pub(crate) fn write_block(file: &File, block: &[u8]) -> io::Result<()> {
    file.write_all_at(block, 0)
}

/// What stands where a lock file should be, if opening it failed because of that.
pub(crate) fn not_a_lock(error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error)? {
        Errno::LOOP | Errno::MLINK => Some("a symbolic link"),
        Errno::ISDIR => Some("a folder"),
        Errno::NXIO | Errno::OPNOTSUPP => Some("a socket or device"),
        _ => None,
    }
}

/// Whether opening failed because the folder or file is not there (any more).
pub(crate) fn absent_or_other(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::STALE))
}

pub(super) fn process(pid: u32) -> Process {
    let pid_ns = proc::pid_namespace();
    Process {
        pid,
        start_time: proc::own_start_time(pid).filter(|_| pid_ns.is_some()),
        pid_ns,
        uid: Some(rustix::process::geteuid().as_raw()),
        boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()
            .map(|id| id.trim().chars().take(36).collect()),
        host: rustix::system::uname().nodename().to_string_lossy().chars().take(64).collect(),
    }
}

#[cfg(target_os = "linux")]
fn network_kind(file: &File) -> io::Result<Option<&'static str>> {
    let magic = rustix::fs::fstatfs(file)?.f_type;
    // Numbers from Linux's include/uapi/linux/magic.h and the file systems' own headers.
    Ok(match u32::try_from(magic & 0xffff_ffff).unwrap_or_default() {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x6573_5546 => Some("FUSE"),
        0x0102_1997 => Some("9P"),
        0x00c3_6400 => Some("Ceph"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x4750_4653 => Some("GPFS"),
        0x1983_0326 => Some("BeeGFS"),
        0x0116_1970 => Some("GFS2"),
        0x7461_636f => Some("OCFS2"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x564c => Some("NCP"),
        0x786f_4256 => Some("a VirtualBox shared folder"),
        0xaad7_aaea => Some("PanFS"),
        _ => None,
    })
}

#[cfg(target_vendor = "apple")]
fn network_kind(file: &File) -> io::Result<Option<&'static str>> {
    const MNT_LOCAL: u32 = 0x1000;
    let local = rustix::fs::fstatfs(file)?.f_flags & MNT_LOCAL != 0;
    Ok((!local).then_some("a network file system"))
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn network_kind(_: &File) -> io::Result<Option<&'static str>> {
    Ok(None)
}
