//! `show`: one task with its attempts.

use agent_runner_task_store::{Attempt, Task};
use serde::Serialize;

use super::{no_such_task, parse_id, unwritten};
use crate::{
    cli::Show,
    error::{Error, Result},
    exit_code::Exit,
    project::Project,
    ui::{BOLD, Ui, headline, printable},
    units::{show_duration, show_time},
    views::{AttemptView, TaskView},
};

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    task: TaskView<'a>,
    attempt_log: Vec<AttemptView<'a>>,
}

/// Prints a task and its attempts.
pub async fn show(ui: &Ui, project: &Project, args: Show) -> Result<Exit> {
    let id = parse_id(&args.id)?;
    let store = project.existing_store()?;
    let task = store.get(&id).await?.ok_or_else(|| no_such_task(&id))?;
    let attempts = store.attempts(&id).await?;
    if ui.json {
        let shown =
            Shown { task: (&task).into(), attempt_log: attempts.iter().map(Into::into).collect() };
        let json =
            serde_json::to_string(&shown).map_err(|error| Error::new(Exit::Unexpected, error))?;
        ui.data(json).map_err(unwritten)?;
    } else {
        print_task(ui, &task)?;
        for attempt in &attempts {
            print_attempt(ui, attempt)?;
        }
    }
    Ok(Exit::Success)
}

fn print_task(ui: &Ui, task: &Task) -> Result<()> {
    let spec = &task.spec;
    let line = |name: &str, value: String| match value.as_str() {
        "" => Ok(()),
        value => ui.data(format_args!("{name:<12} {value}")).map_err(unwritten),
    };
    ui.data(format_args!("{BOLD}{}{BOLD:#} {}", task.id, headline(&spec.title, 200)))
        .map_err(unwritten)?;
    line("status", task.status.to_string())?;
    line("priority", if spec.priority == 0 { String::new() } else { spec.priority.to_string() })?;
    line("after", spec.depends_on.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))?;
    line("locks", spec.locks.join(", "))?;
    line("touches", spec.touches.join(", "))?;
    line("tags", spec.tags.join(", "))?;
    line("not before", spec.not_before.map(show_time).unwrap_or_default())?;
    line("from", spec.source.clone().unwrap_or_default())?;
    line("added", show_time(task.created_at))?;
    line("ended", task.finished_at.map(show_time).unwrap_or_default())?;
    line("budget", format!("{} failures, {} recoveries used", task.failures, task.recoveries))?;
    line("last error", printable_lines(task.error.as_deref().unwrap_or_default()))?;
    if spec.prompt != spec.title {
        ui.data(format_args!("\n{}", printable_lines(&spec.prompt))).map_err(unwritten)?;
    }
    Ok(())
}

fn print_attempt(ui: &Ui, attempt: &Attempt) -> Result<()> {
    let end = match &attempt.report {
        None => "running".to_owned(),
        Some(report) => {
            let code = match (report.exit_code, report.signal) {
                (Some(code), _) => format!(" (exit code {code})"),
                (None, Some(signal)) => format!(" (signal {signal})"),
                (None, None) => String::new(),
            };
            let why = report
                .message
                .as_deref()
                .map(|why| format!(": {}", headline(why, 100)))
                .unwrap_or_default();
            format!("{}{code} in {}{why}", report.outcome, show_duration(report.duration))
        }
    };
    let worker = &attempt.worker;
    ui.data(format_args!(
        "\n{BOLD}attempt {}{BOLD:#} {} by {} w{}: {end}",
        attempt.number,
        show_time(attempt.started_at),
        worker.run,
        worker.number,
    ))
    .map_err(unwritten)?;
    match attempt.report.as_ref().and_then(|report| report.log.as_ref()) {
        Some(log) => ui.data(format_args!("  log: {log}")).map_err(unwritten),
        None => Ok(()),
    }
}

fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}
