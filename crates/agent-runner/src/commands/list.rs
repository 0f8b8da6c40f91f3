//! `list`: the tasks, a line each, a page at a time.

use agent_runner_task_store::{Filter, Task};

use super::{PAGE, statuses, unwritten};
use crate::{
    cli::List,
    error::{Error, Result},
    exit_code::Exit,
    life::{Life, Lives},
    project::Project,
    ui::{BOLD, Ui, headline},
    views::TaskView,
};

/// Lists the tasks.
pub async fn list(ui: &Ui, project: &Project, args: List) -> Result<Exit> {
    let store = project.existing_store()?;
    let filter = Filter { statuses: statuses(&args.statuses), tags: args.tags };
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut after = None;
    let left_alone = Lives::new(project).left_alone(&*store).await?;
    while left > 0 {
        let page = store.list(&filter, after.as_ref(), left.min(PAGE)).await?;
        if after.is_none() && !page.is_empty() && !ui.json && !args.plain {
            let heading = format!(
                "{BOLD}{:<14} {:<10} {:>8}  {}{BOLD:#}",
                "ID", "STATUS", "ATTEMPTS", "TITLE"
            );
            ui.data(heading).map_err(unwritten)?;
        }
        for task in &page {
            let line = if ui.json {
                json(task)?
            } else if args.plain {
                plain(task)
            } else {
                row(task, left_alone.get(&task.id).copied())
            };
            if ui.data_while_read(line).map_err(unwritten)?.is_break() {
                return Ok(Exit::Success);
            }
        }
        left -= page.len();
        match page.last() {
            Some(task) if page.len() == PAGE => after = Some(task.id.clone()),
            _ => break,
        }
    }
    Ok(Exit::Success)
}

fn json(task: &Task) -> Result<String> {
    serde_json::to_string(&TaskView::from(task))
        .map_err(|error| Error::new(Exit::Unexpected, error))
}

fn plain(task: &Task) -> String {
    let title = headline(&task.spec.title, usize::MAX).replace('\t', " ");
    format!("{}\t{}\t{}\t{title}", task.id, task.status, task.attempt)
}

fn row(task: &Task, life: Option<Life>) -> String {
    let status = life.map_or(task.status.to_string(), |life| life.to_string());
    let title = headline(&task.spec.title, 70);
    format!("{:<14} {:<10} {:>8}  {title}", task.id.as_str(), status, task.attempt)
}
