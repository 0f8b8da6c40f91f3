//! Windows: git speaks UTF-8, and nobody tells where processes are.

use std::{ffi::OsString, fs, io, os::windows::process::CommandExt, path::Path, process::Command};

const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;

/// A name as git wrote it.
pub(crate) fn os_string(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// Keeps the console's Ctrl-C from a command: git is not to be ended half-way.
pub(crate) fn own_group(command: &mut Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP);
}

/// Unknown here. A folder in which a process works cannot be removed anyway.
pub(crate) fn standing_in(_: &Path) -> Option<u32> {
    None
}

/// Takes the read-only mark from files, which keeps them from being removed.
pub(crate) fn make_removable(folder: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(folder)?;
    if metadata.is_dir() {
        return fs::read_dir(folder)?.try_for_each(|entry| make_removable(&entry?.path()));
    }
    let mut permissions = metadata.permissions();
    permissions.set_readonly(false);
    fs::set_permissions(folder, permissions)
}
