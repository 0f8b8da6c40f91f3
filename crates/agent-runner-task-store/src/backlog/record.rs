//! From fields to a task: one set of rules for every format.

use std::time::{Duration, SystemTime};

use jiff::{Timestamp, fmt::friendly::SpanParser};
use serde_json::Value;

use super::{
    error::{BacklogErrorKind, Problem},
    field::{Draft, Field},
    key::Seen,
};
use crate::{Bytes, CommandLine, NewTask, TaskId};

/// Makes tasks of the drafts of one backlog.
#[derive(Debug)]
pub(super) struct Assembler {
    source: Option<String>,
    seen: Seen,
}

impl Assembler {
    pub(super) fn new(source: Option<&str>) -> Self {
        Self { source: source.map(str::to_owned), seen: Seen::default() }
    }

    pub(super) fn task(&mut self, draft: Draft) -> Result<NewTask, Problem> {
        let place = draft.place;
        let mut task = fill(draft)?;
        match &task.id {
            Some(id) => self.seen.id(id, place.line).map_err(|first_line| {
                let id = id.clone();
                Problem::new(BacklogErrorKind::DuplicateId { id, first_line })
                    .at(place)
                    .hint("give one of them another id, or leave it out")
            })?,
            None => task.key = Some(self.seen.key(&task)),
        }
        task.source.clone_from(&self.source);
        Ok(task)
    }
}

fn fill(draft: Draft) -> Result<NewTask, Problem> {
    let mut task = NewTask::default();
    let mut given = 0_u32;
    for entry in draft.entries {
        let field = entry.name.known().map_err(|problem| problem.at(entry.place))?;
        let bit = 1 << field as u32;
        if given & bit != 0 {
            let field = field.as_str();
            return Err(Problem::new(BacklogErrorKind::RepeatedField { field }).at(entry.place));
        }
        given |= bit;
        if !entry.value.is_null() {
            set(&mut task, field, entry.value).map_err(|problem| problem.at(entry.place))?;
        }
    }
    if complete(&mut task) {
        Ok(task)
    } else {
        Err(Problem::new(BacklogErrorKind::NothingToDo)
            .at(draft.place)
            .hint("say in `prompt` what there is to do"))
    }
}

fn set(task: &mut NewTask, field: Field, value: Value) -> Result<(), Problem> {
    match field {
        Field::Id => task.id = Some(id(field, value)?),
        Field::Title => task.title = one_line(text(field, value)?),
        Field::Prompt => task.prompt = text(field, value)?,
        Field::Command => task.command = Some(command(field, value)?),
        Field::Priority => task.priority = number(field, &value)?,
        Field::DependsOn => task.depends_on = list(field, value, id)?,
        Field::Locks => task.locks = list(field, value, word)?,
        Field::Touches => task.touches = list(field, value, word)?,
        Field::Tags => task.tags = list(field, value, word)?,
        Field::MaxAttempts => task.max_attempts = Some(attempts(field, &value)?),
        Field::Timeout => task.timeout = Some(duration(field, &value)?),
        Field::IdleTimeout => task.idle_timeout = Some(duration(field, &value)?),
        Field::Memory => task.memory = Some(memory(field, &value)?),
        Field::Verify => task.verify = Some(command(field, value)?),
        Field::ExpectDiff => task.expect_diff = Some(yes_or_no(field, &value)?),
        Field::NotBefore => task.not_before = Some(time(field, &value)?),
        Field::Payload => task.payload = value,
    }
    Ok(())
}

/// Fills in what is left out. Returns whether there is something to do.
fn complete(task: &mut NewTask) -> bool {
    let prompt_is_blank = task.prompt.trim().is_empty();
    if task.title.is_empty() {
        task.title = match &task.command {
            _ if !prompt_is_blank => first_line(&task.prompt).to_owned(),
            Some(CommandLine::Shell(line)) => first_line(line).to_owned(),
            Some(CommandLine::Argv(words)) => one_line(words.join(" ")),
            None => return false,
        };
    }
    if prompt_is_blank {
        task.prompt.clone_from(&task.title);
    }
    true
}

/// The first line that is not blank, which is what a title defaults to.
pub(super) fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

/// A title is one line, whatever is written.
fn one_line(text: String) -> String {
    let is_one = text.trim() == text && !text.contains(char::is_control);
    if is_one { text } else { text.split_whitespace().collect::<Vec<_>>().join(" ") }
}

fn text(field: Field, value: Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(field, "text", &other)),
    }
}

fn id(field: Field, value: Value) -> Result<TaskId, Problem> {
    let name = match value {
        Value::String(name) => name,
        Value::Number(number) if !number.is_f64() => number.to_string(),
        other => {
            return Err(
                wrong_type(field, "text or a whole number", &other).hint("put it in quotes")
            );
        }
    };
    TaskId::new(name)
        .map_err(|source| Problem::new(BacklogErrorKind::BadId { field: field.as_str(), source }))
}

fn word(field: Field, value: Value) -> Result<String, Problem> {
    let word = text(field, value)?;
    if word.is_empty() || word.trim() != word {
        return Err(bad_value(field, word, "it is empty, or has white space at an end"));
    }
    Ok(word)
}

fn list<T>(
    field: Field,
    value: Value,
    one: impl Fn(Field, Value) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    match value {
        Value::Array(values) => values.into_iter().map(|value| one(field, value)).collect(),
        other => Ok(vec![one(field, other)?]),
    }
}

fn command(field: Field, value: Value) -> Result<CommandLine, Problem> {
    match value {
        Value::String(line) if line.trim().is_empty() => {
            Err(bad_value(field, line, "there is no program in it"))
        }
        Value::String(line) => Ok(CommandLine::Shell(line)),
        Value::Array(words) => {
            let words = words.into_iter().map(|word| argument(field, word));
            let words = words.collect::<Result<Vec<_>, _>>()?;
            if words.first().is_none_or(String::is_empty) {
                return Err(bad_value(field, "[]".into(), "there is no program in it"));
            }
            Ok(CommandLine::Argv(words))
        }
        other => Err(wrong_type(field, "text for a shell, or a list of words", &other)),
    }
}

/// A whole number is as good as its digits: `[sleep, 5]` is what people write in YAML.
fn argument(field: Field, value: Value) -> Result<String, Problem> {
    match value {
        Value::String(word) => Ok(word),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        other => Err(wrong_type(field, "a list of words", &other).hint("put it in quotes")),
    }
}

fn number<T: TryFrom<i64>>(field: Field, value: &Value) -> Result<T, Problem> {
    let Value::Number(number) = value else {
        return Err(wrong_type(field, "a whole number", value));
    };
    if number.is_f64() {
        return Err(wrong_type(field, "a whole number", value));
    }
    let in_range = number.as_i64().and_then(|number| T::try_from(number).ok());
    in_range.ok_or_else(|| bad_value(field, number.to_string(), "it is out of range"))
}

fn attempts(field: Field, value: &Value) -> Result<u32, Problem> {
    match number(field, value)? {
        0 => Err(bad_value(field, "0".into(), "a task needs at least one")),
        attempts => Ok(attempts),
    }
}

fn yes_or_no(field: Field, value: &Value) -> Result<bool, Problem> {
    value.as_bool().ok_or_else(|| wrong_type(field, "`true` or `false`", value))
}

fn duration(field: Field, value: &Value) -> Result<Duration, Problem> {
    static PARSER: SpanParser = SpanParser::new();
    let duration = match value {
        Value::String(text) => PARSER.parse_unsigned_duration(text).ok(),
        Value::Number(number) if !number.is_f64() => number.as_u64().map(Duration::from_secs),
        other => return Err(wrong_type(field, "a duration", other).hint(DURATION_HINT)),
    };
    let reason = match duration {
        Some(Duration::ZERO) => "it has to be longer than nothing",
        Some(duration) => return Ok(duration),
        None => "it is not a duration",
    };
    Err(bad_value(field, shown(value), reason).hint(DURATION_HINT))
}

const DURATION_HINT: &str = "write it like `90s`, `30m` or `1h 30m`, or as a number of seconds";

fn memory(field: Field, value: &Value) -> Result<u64, Problem> {
    const HINT: &str = "write it like `512M` or `4G`, or as a number of bytes";
    let bytes = match value {
        Value::String(text) => text.parse::<Bytes>().ok().map(|Bytes(bytes)| bytes),
        Value::Number(number) if !number.is_f64() => number.as_u64(),
        other => return Err(wrong_type(field, "an amount of memory", other).hint(HINT)),
    };
    let bytes = bytes.ok_or_else(|| {
        bad_value(field, shown(value), "it is not an amount of memory").hint(HINT)
    })?;
    match bytes {
        0 => Err(bad_value(field, shown(value), "it has to be more than nothing").hint(HINT)),
        bytes => Ok(bytes),
    }
}

fn time(field: Field, value: &Value) -> Result<SystemTime, Problem> {
    const HINT: &str = "write it like `2026-11-24T06:00:00Z` or `2026-11-24T06:00:00+01:00`";
    let Value::String(text) = value else {
        return Err(wrong_type(field, "a time", value).hint(HINT));
    };
    let time = text.parse::<Timestamp>().ok().and_then(|time| SystemTime::try_from(time).ok());
    time.ok_or_else(|| bad_value(field, text.clone(), "it is not a time with its zone").hint(HINT))
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn bad_value(field: Field, value: String, reason: &'static str) -> Problem {
    Problem::new(BacklogErrorKind::BadValue { field: field.as_str(), value, reason })
}

fn wrong_type(field: Field, expected: &'static str, value: &Value) -> Problem {
    let found = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Problem::new(BacklogErrorKind::WrongType { field: field.as_str(), expected, found })
}
