//! Where programs are, looked up once: a search through `PATH` for each attempt adds up.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use agent_runner_exec::{SpawnError, find_program};

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
