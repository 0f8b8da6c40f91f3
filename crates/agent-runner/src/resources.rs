//! What a task must have for itself while it runs: its `locks` by name, its `touches` by path.

use agent_runner_lock::{Resource, ResourceError};
use agent_runner_task_store::NewTask;

/// The resources of a task.
pub fn of(task: &NewTask) -> Result<Vec<Resource>, ResourceError> {
    named(&task.locks, &task.touches)
}

/// Resources by name, and by path.
pub fn named(names: &[String], paths: &[String]) -> Result<Vec<Resource>, ResourceError> {
    let names = names.iter().map(|name| Ok(Resource::name(name)?));
    names.chain(paths.iter().map(|path| Ok(Resource::paths(path)?))).collect()
}
