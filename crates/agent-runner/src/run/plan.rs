//! `run --dry-run`: what would be run, and nothing is.

use std::{path::PathBuf, sync::Arc};

use agent_runner_task_store::{
    Filter, MemoryStore, NewTask, Selector, Task, TaskStatus, TaskStore,
};

use super::settings::Settings;
use crate::{
    commands::{open_statuses, read_backlogs},
    error::{Error, Result},
    exit_code::Exit,
    keys,
    profile::Past,
    project::Project,
    ui::{BOLD, DIM, Ui, headline},
    units::{count, show_duration},
};

/// So many tasks are shown.
const SHOWN: usize = 50;

/// Shows the tasks and the command of each.
pub(super) async fn show(
    ui: &Ui,
    project: &Project,
    settings: &Settings,
    backlogs: &[PathBuf],
    format: Option<&str>,
) -> Result<Exit> {
    let store = overlay(project, read_backlogs(backlogs, format)?).await?;
    let filter = Filter { statuses: open_statuses(), tags: settings.tags.clone() };
    let shown =
        settings.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(SHOWN).min(SHOWN);
    let tasks = store.list(&filter, None, shown).await?;
    let counts = store.counts().await?;
    ui.say(format_args!(
        "{BOLD}{} to do{BOLD:#}, {} at once, in {}",
        count(counts.open(), "task"),
        settings.admission.jobs,
        project.root.display()
    ));
    if let Some(isolation) = settings.isolation.in_words() {
        ui.say(format_args!("  {isolation}"));
    }
    tell_limits(ui, settings);
    tell_keys(ui, project)?;
    for task in &tasks {
        print(ui, settings, task)?;
    }
    let rest = counts.open().saturating_sub(tasks.len() as u64);
    if rest > 0 && settings.tags.is_empty() {
        ui.say(format_args!("{DIM}… and {rest} more{DIM:#}"));
    }
    ui.say("\nnothing was run");
    Ok(Exit::Success)
}

/// The store as it would be with these tasks; nothing is written to it.
async fn overlay(project: &Project, tasks: Vec<NewTask>) -> Result<Arc<dyn TaskStore>> {
    if tasks.is_empty() {
        return project.existing_store();
    }
    let copy = MemoryStore::new().overlap(agent_runner_lock::paths_overlap);
    if project.has_store() {
        let real = project.open_store()?;
        let all = real.list(&Filter::default(), None, usize::MAX).await?;
        let ended: Vec<_> =
            all.iter().filter(|task| task.status.is_final()).map(|task| task.id.clone()).collect();
        copy.add(all.into_iter().map(|task| task.spec).collect()).await?;
        copy.cancel(&Selector::Ids(ended)).await?;
    }
    copy.add(tasks).await?;
    Ok(Arc::new(copy))
}

fn tell_limits(ui: &Ui, settings: &Settings) {
    let limit = |name: &str, limit: Option<std::time::Duration>| {
        if let Some(limit) = limit {
            ui.say(format_args!("  {name} {}", show_duration(limit)));
        }
    };
    limit("timeout", settings.timeout);
    limit("idle timeout", settings.idle_timeout);
    ui.say(format_args!("  attempts {}", settings.budget.attempts));
}

fn tell_keys(ui: &Ui, project: &Project) -> Result<()> {
    let loaded = keys::load(project)?;
    let names: Vec<_> = loaded
        .credentials
        .iter()
        .map(|key| format!("{} {}", key.label, key.key.masked()))
        .collect();
    if !names.is_empty() {
        ui.say(format_args!("  keys {}", names.join(", ")));
    }
    Ok(())
}

fn print(ui: &Ui, settings: &Settings, task: &Task) -> Result<()> {
    let words = match (&task.spec.command, &settings.recipe) {
        (Some(own), _) => super::attempt::shell_or_argv(own),
        (None, Some(recipe)) => recipe
            .render(task, &Past::default())
            .map_err(|error| Error::new(Exit::Invalid, error))?,
        (None, None) => vec!["(no command)".into()],
    };
    if ui.json {
        let line = serde_json::json!({ "id": task.id, "status": task.status, "title": task.spec.title, "argv": words });
        return ui.data(line).map_err(|error| Error::new(Exit::Unexpected, error));
    }
    let note = if task.status == TaskStatus::Waiting { " (waits)" } else { "" };
    let line = format!(
        "{BOLD}{}{BOLD:#} {}{note}\n    {}",
        task.id,
        headline(&task.spec.title, 70),
        shown(&words)
    );
    ui.data(line).map_err(|error| Error::new(Exit::Unexpected, error))
}

/// The words as a person would type them.
fn shown(words: &[String]) -> String {
    let word = |word: &String| {
        let plain = !word.is_empty()
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c));
        if plain {
            word.clone()
        } else {
            format!("'{}'", headline(word, 120).replace('\'', r"'\''"))
        }
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}
