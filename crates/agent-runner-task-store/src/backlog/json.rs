//! JSON, and JSON Lines one line at a time.

use std::{
    io::{BufRead, Read},
    ops::Range,
};

use serde_json::{Value, value::RawValue};

use super::{
    Format,
    error::{BacklogErrorKind, Place, Problem},
    field::{Draft, Entry, Item, Name},
    input::{self, Index, Lines},
    top::Top,
};

/// JSON Lines: an object, or a prompt as text, a line.
pub(super) fn lines(input: impl BufRead) -> impl Iterator<Item = Result<Draft, Problem>> {
    let mut lines = Lines::new(input);
    std::iter::from_fn(move || {
        loop {
            let (place, line) = match lines.next()? {
                Ok(line) => line,
                Err(problem) => return Some(Err(problem)),
            };
            if !line.trim().is_empty() {
                return Some(line_draft(line, place));
            }
        }
    })
}

fn line_draft(line: &str, place: Place) -> Result<Draft, Problem> {
    let item = serde_json::from_str::<Item<Name, Value>>(line).map_err(|error| {
        let problem = syntax(Format::Jsonl, &error).at(Place { column: error.column(), ..place });
        match line.trim_end().as_bytes() {
            [b'[', ..] | [.., b'{' | b'['] => {
                problem.hint("each line has to be a task; a `.json` file may span lines")
            }
            [.., b','] => problem.hint("no comma stands between lines"),
            _ => problem,
        }
    })?;
    item.into_draft(place, |name, value| Ok(Entry { name, value, place }))
}

/// JSON: a list of tasks, or an object with the list in `tasks`.
pub(super) fn drafts(
    input: impl Read,
) -> Result<impl Iterator<Item = Result<Draft, Problem>> + Send, Problem> {
    let text = input::text(input)?;
    // Only where the tasks stand is kept, and each is looked at when it is asked for.
    let tasks = if text.trim().is_empty() { Vec::new() } else { tasks(&text)? };
    let index = Index::new(&text);
    Ok(tasks.into_iter().map(move |task| draft(&text, task, &index)))
}

fn tasks(text: &str) -> Result<Vec<Range<usize>>, Problem> {
    let top = serde_json::from_str::<Top<&RawValue>>(text).map_err(|error| {
        let place = Place { line: error.line(), column: error.column() };
        let detail = message(&error);
        let hint = hint(text, &detail);
        let problem = Problem::new(BacklogErrorKind::Syntax { format: Format::Json, detail });
        hint.into_iter().fold(problem.at(place), Problem::hint)
    })?;
    let tasks = top.into_list()?.into_iter().map(|raw| {
        let start = offset(text, raw);
        start..start + raw.get().len()
    });
    Ok(tasks.collect())
}

fn draft(text: &str, task: Range<usize>, index: &Index) -> Result<Draft, Problem> {
    let place = index.at(task.start);
    let item = serde_json::from_str::<Item<Name, &RawValue>>(&text[task])
        .map_err(|error| syntax(Format::Json, &error).at(place))?;
    item.into_draft(place, |name, raw| {
        let place = index.at(offset(text, raw));
        let value = serde_json::from_str(raw.get());
        let value = value.map_err(|error| syntax(Format::Json, &error).at(place))?;
        Ok(Entry { name, value, place })
    })
}

fn hint(text: &str, detail: &str) -> Option<&'static str> {
    match detail {
        "trailing comma" => Some("remove the comma before the closing bracket"),
        "trailing characters" if text.trim_start().starts_with('{') => {
            Some("one object a line is JSON Lines: name the file `.jsonl`")
        }
        _ => None,
    }
}

fn syntax(format: Format, error: &serde_json::Error) -> Problem {
    Problem::new(BacklogErrorKind::Syntax { format, detail: message(error) })
}

/// What the parser says, without the place that is said elsewhere.
fn message(error: &serde_json::Error) -> String {
    let mut message = error.to_string();
    if let Some(end) = message.rfind(" at line ") {
        message.truncate(end);
    }
    message
}

/// Where in the text a value stands that was borrowed from it.
fn offset(text: &str, raw: &RawValue) -> usize {
    raw.get().as_ptr().addr() - text.as_ptr().addr()
}
