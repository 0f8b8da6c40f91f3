//! The three ways in: a path, a stream and a text.

use std::{
    fmt,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use super::{
    BacklogError, BacklogErrorKind, BacklogErrors, Format, csv, error::Problem, field::Draft,
    input, json, lines, markdown, record::Assembler, toml, yaml,
};
use crate::{NewTask, TaskId};

/// Opens a file, in the format that its extension names unless `format` does.
///
/// # Errors
///
/// [`BacklogErrorKind::Io`] when the file cannot be opened, and
/// [`BacklogErrorKind::UnknownFormat`] for an extension that says nothing.
///
/// # Examples
///
/// ```no_run
/// for task in agent_runner_task_store::backlog::open("tasks.jsonl", None)? {
///     println!("{}", task?.title);
/// }
/// # Ok::<(), agent_runner_task_store::backlog::BacklogError>(())
/// ```
pub fn open(
    path: impl AsRef<Path>,
    format: Option<Format>,
) -> Result<Reader<'static>, BacklogError> {
    let path = path.as_ref();
    let name = path.display().to_string();
    let Some(format) = format.or_else(|| Format::from_path(path)) else {
        let problem = Problem::new(BacklogErrorKind::UnknownFormat)
            .hint("the extensions are .json, .jsonl, .yaml, .toml, .csv, .md and .txt");
        return Err(BacklogError::new(&name, problem));
    };
    let file =
        File::open(path).map_err(|error| BacklogError::new(&name, input::io_problem(error)))?;
    Ok(read(&name, format, BufReader::with_capacity(256 << 10, file)))
}

/// Reads tasks from a stream. `name` stands in messages and in [`NewTask::source`].
///
/// Nothing is read before the first task is asked for.
pub fn read<'a>(name: &str, format: Format, input: impl BufRead + Send + 'a) -> Reader<'a> {
    let drafts: Drafts<'a> = match format {
        Format::Json => whole(input, json::drafts),
        Format::Jsonl => Box::new(json::lines(input)),
        Format::Yaml => whole(input, yaml::drafts),
        Format::Toml => whole(input, toml::drafts),
        Format::Csv => Box::new(csv::drafts(input)),
        Format::Markdown => whole(input, markdown::drafts),
        Format::Lines => Box::new(lines::drafts(input)),
    };
    Reader {
        name: name.to_owned(),
        format,
        drafts: Some(drafts),
        assembler: Assembler::new(Some(name)),
        is_empty: true,
        done: Vec::new(),
    }
}

/// Reads all tasks of a text, or says what is wrong with it: not only the first thing.
pub fn parse(
    name: &str,
    format: Format,
    text: impl AsRef<[u8]>,
) -> Result<Vec<NewTask>, BacklogErrors> {
    let mut tasks = Vec::new();
    let mut errors = Vec::new();
    let mut reader = read(name, format, text.as_ref());
    for task in &mut reader {
        match task {
            Ok(task) if errors.is_empty() => tasks.push(task),
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
        if errors.len() == BacklogErrors::MAX {
            break;
        }
    }
    if errors.is_empty() {
        return Ok(tasks);
    }
    let more = errors.len() == BacklogErrors::MAX && reader.next().is_some();
    Err(BacklogErrors { errors, more })
}

/// The tasks of a backlog, and the errors, in its order.
///
/// An error does not end it: what follows is read as far as it can be. A backlog without any task,
/// done or not, gives [`BacklogErrorKind::Empty`].
#[must_use = "a reader reads nothing until it is asked for a task"]
pub struct Reader<'a> {
    name: String,
    format: Format,
    drafts: Option<Drafts<'a>>,
    assembler: Assembler,
    is_empty: bool,
    done: Vec<TaskId>,
}

type Drafts<'a> = Box<dyn Iterator<Item = Result<Draft, Problem>> + Send + 'a>;

impl Reader<'_> {
    /// The format that is read.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The ids of the tasks that were left out so far because they are ticked off.
    ///
    /// Others may depend on them, also in a store that has never seen them.
    pub fn done(&self) -> &[TaskId] {
        &self.done
    }

    fn next_task(&mut self) -> Option<Result<NewTask, Problem>> {
        loop {
            let Some(draft) = self.drafts.as_mut()?.next() else {
                self.drafts = None;
                return self.is_empty.then(|| Err(empty(self.format)));
            };
            self.is_empty = false;
            let is_done = draft.as_ref().is_ok_and(|draft| draft.done);
            let task = draft.and_then(|draft| self.assembler.task(draft));
            // Done tasks count for the keys of those after them.
            if !is_done {
                return Some(task);
            }
            self.done.extend(task.ok().and_then(|task| task.id));
        }
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<NewTask, BacklogError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_task()?.map_err(|problem| BacklogError::new(&self.name, problem)))
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("name", &self.name)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// Reads all at the first call, and hands it out one by one.
fn whole<'a, R, I>(input: R, drafts: impl FnOnce(R) -> Result<I, Problem> + Send + 'a) -> Drafts<'a>
where
    R: BufRead + Send + 'a,
    I: Iterator<Item = Result<Draft, Problem>> + Send + 'a,
{
    let tasks = std::iter::once_with(move || drafts(input));
    Box::new(tasks.flat_map(|tasks| -> Drafts<'a> {
        match tasks {
            Ok(tasks) => Box::new(tasks),
            Err(problem) => Box::new(std::iter::once(Err(problem))),
        }
    }))
}

fn empty(format: Format) -> Problem {
    let problem = Problem::new(BacklogErrorKind::Empty);
    match format {
        Format::Markdown => problem.hint("tasks are checklist items: `- [ ] what to do`"),
        Format::Csv => problem.hint("tasks are the rows below the header"),
        Format::Toml => problem.hint("each task begins with `[[tasks]]`"),
        _ => problem,
    }
}
