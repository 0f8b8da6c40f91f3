//! What can be wrong with a backlog, and where.

use std::{borrow::Cow, error::Error, fmt, io};

use super::Format;
use crate::{TaskId, TaskIdError};

/// One thing that is wrong in a backlog.
///
/// It reads `tasks.jsonl:3: unknown field 'promt'`; what to do about it is in [`hint`](Self::hint).
#[derive(Debug)]
pub struct BacklogError {
    name: String,
    problem: Box<Problem>,
}

impl BacklogError {
    pub(super) fn new(name: &str, problem: Problem) -> Self {
        Self { name: name.to_owned(), problem: Box::new(problem) }
    }

    /// The backlog, as the caller named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The line, from 1, where it is known.
    pub fn line(&self) -> Option<usize> {
        known(self.problem.place.line)
    }

    /// The column, from 1 and mostly in bytes, where it is known.
    pub fn column(&self) -> Option<usize> {
        known(self.problem.place.column)
    }

    /// What is wrong.
    pub fn kind(&self) -> &BacklogErrorKind {
        &self.problem.kind
    }

    /// What the person could do, as a sentence part such as ``did you mean `prompt`?``.
    pub fn hint(&self) -> Option<&str> {
        self.problem.hint.as_deref()
    }
}

impl fmt::Display for BacklogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for number in [self.line(), self.column()].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.problem.kind)
    }
}

impl Error for BacklogError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.kind.source()
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BacklogErrorKind {
    /// The file or stream cannot be read.
    #[error("could not read the backlog")]
    Io(#[source] io::Error),
    /// Neither the name nor the caller says how to read it.
    #[error("cannot tell the format of the backlog from its name")]
    UnknownFormat,
    /// There are bytes that are not text.
    #[error("not UTF-8 text")]
    NotUtf8,
    /// A line, a record or the whole text is longer than is accepted.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// The most that is accepted.
        limit: usize,
    },
    /// The text is not what its format asks for.
    #[error("not valid {format}: {detail}")]
    Syntax {
        /// The format.
        format: Format,
        /// What its parser says.
        detail: String,
    },
    /// The text asks for more work than a backlog can need, as a YAML bomb does.
    #[error("refused: {detail}")]
    Refused {
        /// What is too much.
        detail: String,
    },
    /// There is something else where a task should stand.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A field that tasks do not have.
    #[error("unknown field '{field}'")]
    UnknownField {
        /// The field.
        field: String,
    },
    /// A field that is given twice.
    #[error("field '{field}' is given twice")]
    RepeatedField {
        /// The field.
        field: &'static str,
    },
    /// A field of another type than it should have.
    #[error("'{field}' should be {expected}, not {found}")]
    WrongType {
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A field with a value that makes no sense.
    #[error("'{field}' cannot be '{value}': {reason}")]
    BadValue {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// Why not.
        reason: &'static str,
    },
    /// A name that no task can have.
    #[error("bad '{field}'")]
    BadId {
        /// The field.
        field: &'static str,
        /// Why not.
        source: TaskIdError,
    },
    /// A task that says nothing.
    #[error("the task has neither a prompt, a title nor a command")]
    NothingToDo,
    /// The same id twice.
    #[error("task id '{id}' is used twice, first at line {first_line}")]
    DuplicateId {
        /// The id.
        id: TaskId,
        /// Where it was used first.
        first_line: usize,
    },
    /// A row of a table with more or fewer cells than the table has columns.
    #[error("the row has {found} cells, the header has {expected}")]
    RowLength {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// No task at all, done or not.
    #[error("there is no task in it")]
    Empty,
}

/// What is wrong in a backlog that was read whole.
#[derive(Debug)]
pub struct BacklogErrors {
    pub(super) errors: Vec<BacklogError>,
    pub(super) more: bool,
}

impl BacklogErrors {
    /// How many are collected before reading stops.
    pub const MAX: usize = 20;

    /// The errors, in the order of the backlog; at least one.
    pub fn errors(&self) -> &[BacklogError] {
        &self.errors
    }

    /// Whether reading stopped at [`MAX`](Self::MAX), so that there may be more.
    pub fn is_truncated(&self) -> bool {
        self.more
    }
}

impl fmt::Display for BacklogErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.errors.iter().enumerate() {
            write!(f, "{}{error}", if number == 0 { "" } else { "\n" })?;
            if let Some(source) = error.source() {
                write!(f, ": {source}")?;
            }
        }
        if self.more { f.write_str("\nand there may be more") } else { Ok(()) }
    }
}

impl Error for BacklogErrors {}

impl IntoIterator for BacklogErrors {
    type Item = BacklogError;
    type IntoIter = std::vec::IntoIter<BacklogError>;

    fn into_iter(self) -> Self::IntoIter {
        self.errors.into_iter()
    }
}

/// A line and a column, each from 1; 0 where it is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    pub(super) fn line(line: usize) -> Self {
        Self { line, column: 0 }
    }
}

/// An error before it is known which backlog it is in.
#[derive(Debug)]
pub(super) struct Problem {
    place: Place,
    kind: BacklogErrorKind,
    hint: Option<Cow<'static, str>>,
}

impl Problem {
    pub(super) fn new(kind: BacklogErrorKind) -> Self {
        Self { place: Place::default(), kind, hint: None }
    }

    pub(super) fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

fn known(number: usize) -> Option<usize> {
    (number > 0).then_some(number)
}
