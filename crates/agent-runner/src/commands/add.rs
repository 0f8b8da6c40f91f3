//! `add`: one task from the command line.

use std::io::{self, IsTerminal, Read};

use agent_runner_task_store::{CommandLine, NewTask};
use serde_json::json;

use super::{parse_id, unwritten};
use crate::{
    cli::Add,
    error::{Error, OrExit, Result},
    exit_code::Exit,
    project::Project,
    resources,
    ui::{Ui, headline},
};

/// Adds a task and prints its id.
pub async fn add(ui: &Ui, project: &Project, args: Add) -> Result<Exit> {
    let task = new_task(args)?;
    let title = task.title.clone();
    let store = project.open_store()?;
    let report = store.add(vec![task]).await?;
    let id = &report.ids[0];
    if ui.json {
        let what = if report.added > 0 {
            "added"
        } else if report.updated > 0 {
            "updated"
        } else {
            "unchanged"
        };
        ui.data(json!({ "id": id, "result": what })).map_err(unwritten)?;
    } else {
        ui.data(id).map_err(unwritten)?;
        ui.say(format_args!("added task {id}: {}", headline(&title, 60)));
    }
    Ok(Exit::Success)
}

fn new_task(args: Add) -> Result<NewTask> {
    let prompt = if args.prompt == "-" { read_stdin()? } else { args.prompt };
    if prompt.trim().is_empty() {
        return Err(Error::usage("the prompt is empty"));
    }
    let ids = |ids: Vec<String>| ids.iter().map(|id| parse_id(id)).collect::<Result<Vec<_>>>();
    let task = NewTask {
        id: args.id.as_deref().map(parse_id).transpose()?,
        title: args.title.unwrap_or_else(|| headline(&prompt, 100)),
        prompt,
        priority: args.priority,
        depends_on: ids(args.depends_on)?,
        locks: args.locks,
        touches: args.touches,
        tags: args.tags,
        verify: args.verify.map(CommandLine::Shell),
        expect_diff: args.expect_diff,
        timeout: args.timeout,
        max_attempts: args.attempts,
        ..NewTask::default()
    };
    resources::of(&task).map_err(|error| Error::new(Exit::Usage, error))?;
    Ok(task)
}

fn read_stdin() -> Result<String> {
    if io::stdin().is_terminal() {
        return Err(Error::usage("`-` reads the prompt from stdin, which is a terminal")
            .hint("give the prompt as an argument, or pipe it in"));
    }
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .or_invalid(|| "could not read the prompt from stdin".into())?;
    Ok(text.trim_end().to_owned())
}
