//! `retry` and `cancel`: moving tasks by hand.

use agent_runner_task_store::{Filter, Selector, TaskStatus};
use serde_json::json;

use super::{parse_id, unwritten};
use crate::{cli::Select, error::Result, exit_code::Exit, project::Project, ui::Ui, units::count};

/// Makes ended tasks pending again.
pub async fn retry(ui: &Ui, project: &Project, args: Select) -> Result<Exit> {
    let ended = vec![TaskStatus::Succeeded, TaskStatus::Failed, TaskStatus::Cancelled];
    let changed = project.existing_store()?.retry(&selector(&args, ended)?).await?;
    tell(ui, "pending again", changed, "`agent-runner run` continues")
}

/// Takes tasks out.
pub async fn cancel(ui: &Ui, project: &Project, args: Select) -> Result<Exit> {
    let open = vec![TaskStatus::Pending, TaskStatus::Waiting, TaskStatus::Running];
    let changed = project.existing_store()?.cancel(&selector(&args, open)?).await?;
    tell(ui, "cancelled", changed, "a running one stops when its runner next looks, within seconds")
}

fn selector(args: &Select, possible: Vec<TaskStatus>) -> Result<Selector> {
    if !args.ids.is_empty() {
        return Ok(Selector::Ids(args.ids.iter().map(|id| parse_id(id)).collect::<Result<_>>()?));
    }
    let statuses = if args.failed { vec![TaskStatus::Failed] } else { possible };
    Ok(Selector::Matching(Filter { statuses, tags: args.tags.clone() }))
}

fn tell(ui: &Ui, what: &str, changed: u64, next: &str) -> Result<Exit> {
    if ui.json {
        ui.data(json!({ "changed": changed })).map_err(unwritten)?;
    } else if changed == 0 {
        ui.say("no task to change");
    } else {
        ui.say(format_args!("{} {what}; {next}", count(changed, "task")));
    }
    Ok(Exit::Success)
}
