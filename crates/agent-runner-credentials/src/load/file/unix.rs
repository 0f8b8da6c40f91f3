//! Permissions as Unix has them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

pub(super) fn is_readable_by_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}
