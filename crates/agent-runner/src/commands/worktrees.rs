//! `worktrees`: what tasks work in, and what is left of those that are merged.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use agent_runner_task_store::{TaskId, TaskStore};
use agent_runner_worktree::{Entry, GcReport, Kept, KeptBecause, State};
use serde::Serialize;
use tokio::{runtime::Handle, task::spawn_blocking};

use super::unwritten;
use crate::{
    cli::Worktrees,
    error::{Error, OrExit, Result},
    exit_code::Exit,
    isolation,
    project::Project,
    ui::{BOLD, Ui, headline, printable},
    units::count,
};

/// A line of `worktrees list --json`.
#[derive(Serialize)]
struct WorktreeView {
    path: PathBuf,
    state: &'static str,
    task: Option<String>,
    attempt: Option<u32>,
    branch: Option<String>,
    bytes: u64,
    reason: Option<String>,
}

/// `worktrees gc --json`.
#[derive(Serialize)]
struct GcView<'a> {
    worktrees: &'a [PathBuf],
    branches: &'a [String],
    attempts: usize,
    kept: Vec<KeptView<'a>>,
}

/// Something that was not removed.
#[derive(Serialize)]
struct KeptView<'a> {
    task: Option<&'a str>,
    what: &'a str,
    because: &'static str,
}

/// Lists the worktrees, or removes what is not needed any more.
pub async fn worktrees(ui: &Ui, project: &Project, command: &Worktrees) -> Result<Exit> {
    let target = project.config.target.clone();
    let worktrees = isolation::open(project, |builder| match target {
        Some(target) => builder.target(target),
        None => builder,
    })?;
    match command {
        Worktrees::List => list(ui, &worktrees),
        Worktrees::Gc => gc(ui, project, worktrees).await,
    }
}

fn list(ui: &Ui, worktrees: &agent_runner_worktree::Worktrees) -> Result<Exit> {
    let entries = worktrees.list().or_invalid(|| "could not list the worktrees".into())?;
    if entries.is_empty() {
        ui.say("there is no worktree");
    }
    for entry in entries {
        let branch = entry.task.as_ref().and_then(|task| worktrees.branch(task).ok());
        let view = WorktreeView::new(entry, branch);
        if ui.json {
            print_json(ui, &view)?;
        } else {
            ui.data(view.line()).map_err(unwritten)?;
        }
    }
    Ok(Exit::Success)
}

impl WorktreeView {
    fn new(entry: Entry, branch: Option<String>) -> Self {
        let bytes = bytes_in(&entry.path);
        let Entry { path, task, attempt, state, .. } = entry;
        let (state, reason) = match state {
            State::Working => ("working", None),
            State::Merging => ("merging", None),
            State::Unsaved => ("unsaved", None),
            State::Parked(reason) => ("parked", Some(reason)),
            _ => ("idle", None),
        };
        Self { path, state, task, attempt, branch, bytes, reason }
    }

    fn line(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let used_for = match (&self.task, self.attempt) {
            (Some(task), Some(attempt)) => format!("{} attempt {attempt}", printable(task)),
            _ => String::new(),
        };
        let remark = match (self.state, &self.reason) {
            (_, Some(reason)) => format!(": could not be saved: {}", headline(reason, 100)),
            ("unsaved", None) => ": its run is gone; the next one saves what it left".to_owned(),
            _ => String::new(),
        };
        let (state, size) = (self.state, self.bytes / (1 << 20));
        format!("{BOLD}{name:<4}{BOLD:#} {state:<8} {size:>6} MiB  {used_for}{remark}")
    }
}

/// What lies in a folder, without following links.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_in(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// Tasks that are still to be done keep what they have, whatever it is.
async fn gc(
    ui: &Ui,
    project: &Project,
    worktrees: agent_runner_worktree::Worktrees,
) -> Result<Exit> {
    let store = project.has_store().then(|| project.open_store()).transpose()?;
    let runtime = Handle::current();
    let collected = spawn_blocking(move || {
        worktrees.gc(|task| store.as_ref().is_some_and(|store| is_open(&runtime, store, task)))
    });
    let report = collected
        .await
        .or_exit(Exit::Unexpected, || "could not collect".into())?
        .or_invalid(|| "could not collect".into())?;
    if ui.json {
        print_json(ui, &GcView::from(&report))?;
    } else {
        tell(ui, &report)?;
    }
    Ok(Exit::Success)
}

/// Whether a task is to be done yet, or nobody can say.
fn is_open(runtime: &Handle, store: &Arc<dyn TaskStore>, task: &str) -> bool {
    let Ok(id) = TaskId::new(task) else { return false };
    match runtime.block_on(store.get(&id)) {
        Ok(task) => task.is_some_and(|task| !task.status.is_final()),
        Err(_) => true,
    }
}

impl<'a> From<&'a GcReport> for GcView<'a> {
    fn from(report: &'a GcReport) -> Self {
        Self {
            worktrees: &report.worktrees,
            branches: &report.branches,
            attempts: report.attempts,
            kept: report.kept.iter().map(KeptView::from).collect(),
        }
    }
}

impl<'a> From<&'a Kept> for KeptView<'a> {
    fn from(kept: &'a Kept) -> Self {
        let because = match kept.because {
            KeptBecause::InUse => "in_use",
            KeptBecause::Wanted => "wanted",
            KeptBecause::CheckedOut(_) => "checked_out",
            KeptBecause::Unsaved => "unsaved",
            _ => "unmerged",
        };
        Self { task: kept.task.as_deref(), what: &kept.what, because }
    }
}

fn tell(ui: &Ui, report: &GcReport) -> Result<()> {
    for kept in &report.kept {
        let KeptView { what, because, .. } = kept.into();
        let line = format_args!("kept {}: {}", printable(what), because.replace('_', " "));
        ui.data(line).map_err(unwritten)?;
    }
    ui.say(format_args!(
        "removed: {}, {}, {} of attempts",
        count(report.worktrees.len() as u64, "worktree"),
        count(report.branches.len() as u64, "branch"),
        count(report.attempts as u64, "ref"),
    ));
    Ok(())
}

fn print_json(ui: &Ui, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string(value).map_err(|error| Error::new(Exit::Unexpected, error))?;
    ui.data(json).map_err(unwritten)
}
