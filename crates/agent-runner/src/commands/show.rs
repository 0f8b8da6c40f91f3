//! `show`: one task with its attempts.

use std::time::Duration;

use agent_runner_task_store::{Attempt, Task};
use serde::Serialize;
use serde_json::Value;

use super::{no_such_task, parse_id, unwritten};
use crate::{
    cli::Show,
    error::{Error, Result},
    exit_code::Exit,
    project::Project,
    run::Proof,
    ui::{BOLD, Ui, headline, printable},
    units::{count, show_duration, show_size, show_time},
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
    line("memory", spec.memory.map(show_size).unwrap_or_default())?;
    line("not before", spec.not_before.map(show_time).unwrap_or_default())?;
    line("from", spec.source.clone().unwrap_or_default())?;
    line("added", show_time(task.created_at))?;
    line("ended", task.finished_at.map(show_time).unwrap_or_default())?;
    line(
        "budget",
        format!(
            "{}, {} used",
            count(u64::from(task.failures), "failure"),
            count(u64::from(task.recoveries), "recovery"),
        ),
    )?;
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
    let Some(report) = &attempt.report else { return Ok(()) };
    let figures = [("process", "used"), ("check", "check")].into_iter().filter_map(|(name, of)| {
        report.details.get(name).and_then(used).map(|used| format!("{of}: {used}"))
    });
    let proof = Proof::of(&report.details).unwrap_or_default();
    let log = report.log.iter().map(|log| format!("log: {log}"));
    for line in figures.chain(log).chain(proof_lines(&proof)) {
        ui.data(format_args!("  {}", printable(&line))).map_err(unwritten)?;
    }
    Ok(())
}

/// What there is to say of an attempt's proof.
fn proof_lines(proof: &Proof) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(diff) = &proof.diff {
        let files = count(diff.files as u64, "file");
        lines.push(format!("changed: {files}, +{} -{} lines", diff.insertions, diff.deletions));
    }
    if let Some(work) = &proof.work {
        lines.push(format!("work: {} at {}", work.branch, short(&work.commit)));
        lines.extend(work.left_out.iter().map(|file| format!("too large to be kept: {file}")));
        lines.extend(work.aside.iter().map(|name| format!("not part of it: {name}")));
    }
    if let Some(verified) = proof.verified {
        lines.push(format!("check: {}", if verified { "content" } else { "not content" }));
    }
    if let Some(merged) = &proof.merged {
        let before = if merged.already { ", by a run that could not say so" } else { "" };
        lines.push(format!("merged: {} at {}{before}", merged.target, short(&merged.commit)));
    }
    lines.extend(proof.conflicts.iter().map(|file| format!("conflict: {file}")));
    lines
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// What an agent or a check took of the machine, and what it left behind.
fn used(figures: &Value) -> Option<String> {
    let cpu = figures["cpu_user_s"].as_f64()? + figures["cpu_system_s"].as_f64()?;
    let cpu = show_duration(Duration::try_from_secs_f64(cpu).ok()?);
    let memory = figures["peak_memory_bytes"].as_u64();
    let memory = memory.map(|bytes| format!(", {} of memory", show_size(bytes)));
    let left = |name: &str, what: &str| {
        let number = figures[name].as_u64().filter(|&number| number > 0)?;
        Some({
            let processes = if number == 1 { "process" } else { "processes" };
            format!(", {number} {processes} {what}")
        })
    };
    Some(format!(
        "{cpu} of CPU{}{}{}",
        memory.unwrap_or_default(),
        left("leftovers", "ended after it").unwrap_or_default(),
        left("survivors", "could not be ended").unwrap_or_default(),
    ))
}

fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}
