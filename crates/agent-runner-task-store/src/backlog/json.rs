//! JSON, and JSON Lines one line at a time.

use std::io::{BufRead, Read};

use serde_json::{Value, value::RawValue};

use super::{
    Format,
    error::{BacklogErrorKind, Place, Problem},
    field::{Draft, Item},
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
    match serde_json::from_str::<Item<Value>>(line) {
        Ok(item) => item.into_draft(place, |value| Ok((value, place))),
        Err(error) => {
            let place = Place { column: error.column(), ..place };
            let problem = syntax(Format::Jsonl, &error).at(place);
            Err(if line.starts_with('[') || (error.is_eof() && place.line == 1) {
                problem.hint("each line has to be a task; a `.json` file may span lines")
            } else {
                problem
            })
        }
    }
}

/// JSON: a list of tasks, or an object with the list in `tasks`.
pub(super) fn drafts(input: impl Read) -> Result<Vec<Result<Draft, Problem>>, Problem> {
    let text = input::text(input)?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let index = Index::new(&text);
    let top = serde_json::from_str::<Top<&RawValue>>(&text).map_err(|error| {
        let place = Place { line: error.line(), column: error.column() };
        whole_problem(&text, &error).at(place)
    })?;
    Ok(top.0?.into_iter().map(|raw| draft(raw, &index)).collect())
}

fn draft(raw: &RawValue, index: &Index<'_>) -> Result<Draft, Problem> {
    let place = place_of(raw, index);
    let item = serde_json::from_str::<Item<&RawValue>>(raw.get())
        .map_err(|error| syntax(Format::Json, &error).at(place))?;
    item.into_draft(place, |raw| {
        let place = place_of(raw, index);
        let value = serde_json::from_str(raw.get());
        Ok((value.map_err(|error| syntax(Format::Json, &error).at(place))?, place))
    })
}

fn whole_problem(text: &str, error: &serde_json::Error) -> Problem {
    let problem = syntax(Format::Json, error);
    if text.trim_start().starts_with('{') && problem_is(error, "trailing characters") {
        problem.hint("one object a line is JSON Lines: name the file `.jsonl`")
    } else if problem_is(error, "trailing comma") {
        problem.hint("remove the comma before the closing bracket")
    } else {
        problem
    }
}

fn problem_is(error: &serde_json::Error, what: &str) -> bool {
    error.to_string().starts_with(what)
}

/// The parser's message without its place, which has been noted.
fn syntax(format: Format, error: &serde_json::Error) -> Problem {
    let mut detail = error.to_string();
    if let Some(end) = detail.rfind(" at line ") {
        detail.truncate(end);
    }
    Problem::new(BacklogErrorKind::Syntax { format, detail })
}

/// Where in the text a borrowed value stands.
fn place_of(raw: &RawValue, index: &Index<'_>) -> Place {
    index.at((raw.get().as_ptr() as usize).saturating_sub(index.text().as_ptr() as usize))
}
