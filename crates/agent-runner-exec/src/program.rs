//! Finding a program, as a shell would.
//!
//! `std` leaves this to `posix_spawnp`, but only as long as the child's environment is ours: with
//! another `PATH` it falls back to `fork`, which takes tens of milliseconds in a large process.
//! An absolute path always keeps the fast way.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{self, Path, PathBuf},
};

use crate::{SpawnError, sys};

/// Where to look if there is no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The absolute path of a program as [`Command::spawn`](crate::Command::spawn) would find it, to check a command before
/// it is needed. Bare names are searched in this process's `PATH`.
///
/// # Errors
///
/// As for [`Command::spawn`](crate::Command::spawn): not found, or not executable.
pub fn find_program(program: impl AsRef<OsStr>) -> Result<PathBuf, SpawnError> {
    let program = program.as_ref();
    let path = locate(program, env::var_os("PATH"))?;
    check(program, &path).map(|()| path)
}

/// The absolute path of `program`, searched in `path` if it is a bare name. Another one is not looked
/// at: the system does that when the program is started.
pub(crate) fn locate(program: &OsStr, path: Option<OsString>) -> Result<PathBuf, SpawnError> {
    if is_bare(program) { search(program, path) } else { absolute(Path::new(program)) }
}

fn is_bare(program: &OsStr) -> bool {
    let path = Path::new(program);
    path.components().count() <= 1 && !path.is_absolute()
}

fn search(program: &OsStr, path: Option<OsString>) -> Result<PathBuf, SpawnError> {
    let folders: Vec<_> = env::split_paths(&path.unwrap_or_else(|| DEFAULT_PATH.into())).collect();
    let mut not_executable = None;
    for candidate in folders.iter().map(|folder| folder.join(program)) {
        if sys::is_executable(&candidate) {
            return absolute(&candidate);
        }
        if not_executable.is_none() && candidate.is_file() {
            not_executable = Some(candidate);
        }
    }
    Err(match not_executable {
        Some(path) => SpawnError::NotExecutable { path },
        None => SpawnError::ProgramNotFound { program: program.to_owned(), searched: folders },
    })
}

/// Looks whether a program, called so and located there, can be executed.
pub(crate) fn check(program: &OsStr, path: &Path) -> Result<(), SpawnError> {
    if sys::is_executable(path) {
        Ok(())
    } else if path.exists() {
        Err(SpawnError::NotExecutable { path: path.to_owned() })
    } else {
        Err(SpawnError::ProgramNotFound { program: program.to_owned(), searched: Vec::new() })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, SpawnError> {
    path::absolute(path).map_err(|source| SpawnError::Start { path: path.to_owned(), source })
}
