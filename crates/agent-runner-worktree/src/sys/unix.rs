//! Unix: names are bytes, and `/proc` knows where processes are.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::{ffi::OsStringExt, fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
};

/// A name as git wrote it.
pub(crate) fn os_string(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}

/// Keeps the terminal's Ctrl-C from a command: git is not to be ended half-way.
pub(crate) fn own_group(command: &mut Command) {
    command.process_group(0);
}

/// A process that works in a folder or below it, as far as the system tells.
pub(crate) fn standing_in(folder: &Path) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let place = fs::read_link(entry.path().join("cwd")).ok()?;
        place.starts_with(folder).then_some(pid)
    })
}

/// Gives back the permissions that an agent took away from folders, so that they can be emptied.
pub(crate) fn make_removable(folder: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(folder)?;
    if !metadata.is_dir() {
        return Ok(());
    }
    let mode = metadata.permissions().mode();
    if mode & 0o700 != 0o700 {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode | 0o700))?;
    }
    fs::read_dir(folder)?.try_for_each(|entry| make_removable(&entry?.path()))
}
