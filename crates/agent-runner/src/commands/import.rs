//! `import`: the tasks of files and of stdin, all of a backlog or nothing of it.

use std::{
    io::{self, BufReader, IsTerminal},
    path::{Path, PathBuf},
};

use agent_runner_task_store::{
    AddReport, Imported as Counted, NewTask, StoreError, TaskId, TaskStore,
    backlog::{self, BacklogError, BacklogErrorKind, BacklogErrors, Format, Reader},
};
use serde_json::json;

use super::{read_ahead::read_ahead, unwritten};
use crate::{
    cli::Import,
    error::{Error, OrExit, Result},
    exit_code::Exit,
    project::Project,
    resources,
    run::Checklist,
    ui::{Ui, headline},
    units::count,
};

/// What importing did.
#[derive(Debug, Default)]
pub struct Imported {
    /// How many tasks are new, changed, as before.
    pub counted: Counted,
    /// The backlogs without a task.
    pub empty: Vec<PathBuf>,
    /// The Markdown files among the backlogs, whose boxes can be ticked.
    pub checklists: Vec<Checklist>,
}

impl Imported {
    /// An empty backlog is nothing wrong, but seldom what is meant.
    pub fn warn_of_empty(&self, ui: &Ui) {
        for path in &self.empty {
            ui.warn(format_args!("there is no task in '{}'", path.display()));
        }
    }

    fn count(&mut self, more: Counted) {
        self.counted.added += more.added;
        self.counted.updated += more.updated;
        self.counted.unchanged += more.unchanged;
    }
}

/// Adds the tasks of the files.
pub async fn import(ui: &Ui, project: &Project, args: &Import) -> Result<Exit> {
    let store = project.open_store()?;
    let imported = import_backlogs(&*store, &args.backlogs, args.format.as_deref()).await?;
    imported.warn_of_empty(ui);
    let Counted { added, updated, unchanged } = imported.counted;
    if ui.json {
        ui.data(json!({ "added": added, "updated": updated, "unchanged": unchanged }))
            .map_err(unwritten)?;
    } else {
        ui.say(format_args!(
            "{} added, {updated} updated, {unchanged} as before",
            count(added, "task")
        ));
    }
    Ok(Exit::Success)
}

/// Adds the tasks of backlogs to a store; `-` is stdin.
pub async fn import_backlogs(
    store: &dyn TaskStore,
    backlogs: &[PathBuf],
    format: Option<&str>,
) -> Result<Imported> {
    let format = format.map(parse_format).transpose()?;
    let mut all = Imported::default();
    for path in backlogs {
        match import_one(store, path, format, &mut all.checklists).await {
            Ok(counted) => all.count(counted),
            Err(StoreError::Source(error)) if is_empty(&*error) => all.empty.push(path.clone()),
            Err(error) => return Err(explain(error, path, format)),
        }
    }
    Ok(all)
}

/// A checklist is added with the ids of its boxes known, so that they can be ticked.
async fn import_one(
    store: &dyn TaskStore,
    path: &Path,
    format: Option<Format>,
    checklists: &mut Vec<Checklist>,
) -> Result<Counted, StoreError> {
    let mut reader = open(path, format).map_err(|error| StoreError::Source(Box::new(error)))?;
    let from = path.to_owned();
    let check = move |task: Result<NewTask, BacklogError>| match task {
        Ok(task) => check(task, &from).map_err(Into::into),
        Err(error) => Err(error.into()),
    };
    if reader.format() != Format::Markdown || path == Path::new("-") {
        return store.import(Box::new(read_ahead(reader.map(check)))).await;
    }
    let mut tasks: Vec<_> =
        reader.by_ref().map(check).collect::<Result<_, _>>().map_err(StoreError::Source)?;
    forget_done(store, &mut tasks, reader.done()).await?;
    let names: Vec<_> = tasks.iter().map(Checklist::name_of).collect();
    let AddReport { ids, added, updated, unchanged } = store.add(tasks).await?;
    checklists.push(Checklist::new(path.to_owned(), names.into_iter().zip(ids).collect()));
    Ok(Counted { added, updated, unchanged })
}

/// The tasks of backlogs, without a store.
pub fn read_backlogs(backlogs: &[PathBuf], format: Option<&str>) -> Result<Vec<NewTask>> {
    let format = format.map(parse_format).transpose()?;
    let mut tasks = Vec::new();
    for path in backlogs {
        for task in open(path, format)? {
            let task = task.map_err(|error| wrong(&error, path, format))?;
            tasks.push(check(task, path)?);
        }
    }
    Ok(tasks)
}

/// A task whose resources cannot be locked could never run.
fn check(task: NewTask, path: &Path) -> Result<NewTask> {
    match resources::of(&task) {
        Ok(_) => Ok(task),
        Err(error) => {
            let name = task.id.as_ref().map_or(task.title.as_str(), TaskId::as_str);
            Err(Error::invalid(format!(
                "task '{}' of '{}': {}",
                headline(name, 60),
                path.display(),
                crate::error::chain_of(&error)
            ))
            .hint("mend the backlog: nothing of it was added"))
        }
    }
}

/// A format's name, or a file's extension.
pub fn parse_format(name: &str) -> Result<Format> {
    name.parse().or_else(|error| {
        Format::from_extension(name).ok_or_else(|| {
            Error::new(Exit::Usage, anyhow::Error::new(error))
                .hint("`agent-runner help formats` lists them")
        })
    })
}

fn open(path: &Path, format: Option<Format>) -> Result<Reader<'static>> {
    if path != Path::new("-") {
        return backlog::open(path, format).map_err(|error| one(&error));
    }
    if io::stdin().is_terminal() {
        return Err(Error::usage("`-` reads the backlog from stdin, which is a terminal")
            .hint("name a file, or pipe the backlog in"));
    }
    let input = BufReader::new(io::stdin());
    if let Some(format) = format {
        return Ok(backlog::read("stdin", format, input));
    }
    let (format, input) =
        Format::detect(input).or_invalid(|| "could not read the backlog from stdin".into())?;
    Ok(backlog::read("stdin", format, input))
}

/// A task may wait for one whose box was ticked before this store was made: that is over.
async fn forget_done(
    store: &dyn TaskStore,
    tasks: &mut [NewTask],
    done: &[TaskId],
) -> Result<(), StoreError> {
    for id in done {
        if store.get(id).await?.is_none() {
            for task in &mut *tasks {
                task.depends_on.retain(|needed| needed != id);
            }
        }
    }
    Ok(())
}

fn is_empty(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<BacklogError>();
    error.is_some_and(|error| matches!(error.kind(), BacklogErrorKind::Empty))
}

fn explain(error: StoreError, path: &Path, format: Option<Format>) -> Error {
    match error {
        StoreError::Source(source) => match source.downcast::<BacklogError>() {
            Ok(error) => wrong(&error, path, format),
            Err(source) => match source.downcast::<Error>() {
                Ok(error) => *error,
                Err(other) => Error::message(Exit::Invalid, other),
            },
        },
        other => other.into(),
    }
}

/// The first mistake is known: a file is read once more for the others.
fn wrong(first: &BacklogError, path: &Path, format: Option<Format>) -> Error {
    let others = || {
        let reader =
            (path != Path::new("-")).then(|| backlog::open(path, format).ok()).flatten()?;
        let errors: Vec<_> = reader.filter_map(Result::err).take(BacklogErrors::MAX).collect();
        (errors.len() > 1).then_some(errors)
    };
    let Some(errors) = others() else { return one(first) };
    let lines: Vec<_> = errors.iter().map(|error| one(error).to_string()).collect();
    let failure = Error::invalid(lines.join("\n       "));
    let hint = errors.iter().find_map(BacklogError::hint);
    hint.into_iter().fold(failure, Error::hint).hint("mend the backlog: nothing of it was added")
}

fn one(error: &BacklogError) -> Error {
    let failure = Error::invalid(crate::error::chain_of(error));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
