//! Backlogs as people write them.

mod errors;
mod keys;
mod laws;
mod markdown;
mod same_tasks;
mod streams;

use agent_runner_task_store::{
    NewTask,
    backlog::{self, Format},
};

/// Tasks of a text that is well-formed.
fn tasks(format: Format, text: impl AsRef<[u8]>) -> Vec<NewTask> {
    match backlog::parse("tasks", format, text) {
        Ok(tasks) => tasks,
        Err(errors) => panic!("it should read as {format}:\n{errors}"),
    }
}

fn prompts(tasks: &[NewTask]) -> Vec<&str> {
    tasks.iter().map(|task| task.prompt.as_str()).collect()
}
