//! Where programs are, looked up once: a search through `PATH` for each attempt adds up.

use std::{
    collections::HashMap,
    env,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use agent_runner_exec::SpawnError;

/// The absolute path of a program. By its own name this one is found wherever it is.
pub(super) fn find_program(program: &str) -> Result<PathBuf, SpawnError> {
    let own = (program == env!("CARGO_PKG_NAME")).then(env::current_exe);
    own.and_then(Result::ok).map_or_else(|| agent_runner_exec::find_program(program), Ok)
}

/// The programs found so far.
#[derive(Debug, Default)]
pub(super) struct Programs(Mutex<HashMap<String, PathBuf>>);

impl Programs {
    /// The absolute path of a program. What was not found is looked for again the next time.
    pub(super) fn find(&self, program: &str) -> Result<PathBuf, SpawnError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = known.get(program) {
            return Ok(path.clone());
        }
        let path = find_program(program)?;
        known.insert(program.to_owned(), path.clone());
        Ok(path)
    }
}
