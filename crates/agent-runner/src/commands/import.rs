//! `import`: the tasks of files and of stdin, all of a backlog or nothing of it.

use std::{
    io::{self, BufReader, IsTerminal},
    path::{Path, PathBuf},
};

use agent_runner_task_store::{
    Imported as Counted, NewTask, StoreError, TaskSource, TaskStore,
    backlog::{self, BacklogError, BacklogErrors, Format, Reader},
};
use serde_json::json;

use super::unwritten;
use crate::{
    cli::Import,
    error::{Error, OrExit, Result},
    exit_code::Exit,
    project::Project,
    run::Checklist,
    ui::Ui,
};

/// What importing did.
#[derive(Debug, Default)]
pub struct Imported {
    /// How many tasks are new, changed, as before.
    pub counted: Counted,
    /// The Markdown files among the backlogs, whose boxes can be ticked.
    pub checklists: Vec<Checklist>,
}

/// Adds the tasks of the files.
pub async fn import(ui: &Ui, project: &Project, args: &Import) -> Result<Exit> {
    let store = project.open_store()?;
    let counted = import_backlogs(&*store, &args.backlogs, args.format.as_deref()).await?.counted;
    let Counted { added, updated, unchanged } = counted;
    if ui.json {
        ui.data(json!({ "added": added, "updated": updated, "unchanged": unchanged }))
            .map_err(unwritten)?;
    } else {
        ui.say(format_args!("{added} tasks added, {updated} updated, {unchanged} as before"));
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
        let reader = open(path, format)?;
        let counted = if reader.format() == Format::Markdown && path != Path::new("-") {
            let (counted, checklist) = add_checklist(store, path, reader).await?;
            all.checklists.push(checklist);
            counted
        } else {
            store.import(source(reader)).await.map_err(|error| explain(error, path, format))?
        };
        all.counted.added += counted.added;
        all.counted.updated += counted.updated;
        all.counted.unchanged += counted.unchanged;
    }
    Ok(all)
}

/// The tasks of backlogs, without a store.
pub fn read_backlogs(backlogs: &[PathBuf], format: Option<&str>) -> Result<Vec<NewTask>> {
    let format = format.map(parse_format).transpose()?;
    let mut tasks = Vec::new();
    for path in backlogs {
        for task in open(path, format)? {
            tasks.push(task.map_err(|error| wrong(&error, path, format))?);
        }
    }
    Ok(tasks)
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

/// A checklist is added with the ids of its boxes known, so that they can be ticked.
async fn add_checklist(
    store: &dyn TaskStore,
    path: &Path,
    reader: Reader<'_>,
) -> Result<(Counted, Checklist)> {
    let tasks: Vec<_> = reader
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(&error, path, Some(Format::Markdown)))?;
    let names: Vec<_> = tasks.iter().map(Checklist::name_of).collect();
    let report = store.add(tasks).await?;
    let boxes = names.into_iter().zip(report.ids).collect();
    let counted =
        Counted { added: report.added, updated: report.updated, unchanged: report.unchanged };
    Ok((counted, Checklist::new(path.to_owned(), boxes)))
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

fn source(reader: Reader<'static>) -> TaskSource {
    Box::new(reader.map(|task| task.map_err(Into::into)))
}

fn explain(error: StoreError, path: &Path, format: Option<Format>) -> Error {
    match error {
        StoreError::Source(source) => match source.downcast::<BacklogError>() {
            Ok(error) => wrong(&error, path, format),
            Err(other) => Error::message(Exit::Invalid, other),
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
