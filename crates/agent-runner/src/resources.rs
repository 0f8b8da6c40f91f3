//! What a task must have for itself while it runs: its `locks` by name, its `touches` by path.

use agent_runner_lock::{AcquireError, Resource, ResourceError};
use agent_runner_task_store::NewTask;

/// Why the resources of a task cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum Unlockable {
    /// One of them is none.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// There are too many.
    #[error(transparent)]
    TooMany(#[from] AcquireError),
}

/// The resources of a task.
pub fn of(task: &NewTask) -> Result<Vec<Resource>, Unlockable> {
    named(&task.locks, &task.touches)
}

/// Resources by name, and by path.
pub fn named(names: &[String], paths: &[String]) -> Result<Vec<Resource>, Unlockable> {
    let names = names.iter().map(|name| Ok(Resource::name(name)?));
    let paths = paths.iter().map(|path| Ok(Resource::paths(path)?));
    let all: Vec<_> = names.chain(paths).collect::<Result<_, ResourceError>>()?;
    if Resource::fit_together(&all) { Ok(all) } else { Err(AcquireError::TooManyResources.into()) }
}
