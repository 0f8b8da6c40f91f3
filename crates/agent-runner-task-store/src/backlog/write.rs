//! Tasks back to text.

use std::io::{self, Write};

use jiff::{Timestamp, fmt::friendly::SpanPrinter};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Format, attributes, cell, field::Field, read, record::first_line};
use crate::{Bytes, CommandLine, NewTask};

/// Writes tasks so that [`read`](super::read) gives the same tasks again, but for their `key` and
/// `source`.
///
/// # Errors
///
/// Of the writer, and [`io::ErrorKind::InvalidData`] for a task that the format has no words for:
/// anything but a prompt of one line as a plain line, and in TOML a payload with a `null` or a
/// number above 2^63.
pub fn write<'a>(
    format: Format,
    tasks: impl IntoIterator<Item = &'a NewTask>,
    out: impl Write,
) -> io::Result<()> {
    let mut writer = Writer::new(format, out)?;
    for task in tasks {
        writer.write(task)?;
    }
    writer.finish().map(drop)
}

/// Writes tasks one at a time.
#[derive(Debug)]
#[must_use = "some formats have an end to write: call `finish`"]
pub struct Writer<W> {
    format: Format,
    out: W,
    is_empty: bool,
}

impl<W: Write> Writer<W> {
    /// Starts a backlog.
    pub fn new(format: Format, mut out: W) -> io::Result<Self> {
        match format {
            Format::Json => out.write_all(b"[")?,
            Format::Csv => out.write_all(&row(Field::ALL.map(Field::as_str)))?,
            _ => {}
        }
        Ok(Self { format, out, is_empty: true })
    }

    /// Adds a task.
    pub fn write(&mut self, task: &NewTask) -> io::Result<()> {
        let record = Record::new(task)?;
        let text = match self.format {
            Format::Json => {
                let separator = if self.is_empty { "\n  " } else { ",\n  " };
                format!("{separator}{}", serde_json::to_string(&record)?).into_bytes()
            }
            Format::Jsonl => format!("{}\n", serde_json::to_string(&record)?).into_bytes(),
            Format::Yaml => serde_saphyr::to_string(&[record]).map_err(invalid)?.into_bytes(),
            Format::Toml => {
                let text = toml::to_string(&TomlTask { tasks: [record] }).map_err(invalid)?;
                let separator = if self.is_empty { "" } else { "\n" };
                format!("{separator}{text}").into_bytes()
            }
            Format::Csv => row(Field::ALL.map(|field| record.cell(field))),
            Format::Markdown => record.checklist_item()?.into_bytes(),
            Format::Lines => record.line()?.into_bytes(),
        };
        self.is_empty = false;
        self.out.write_all(&text)
    }

    /// Ends the backlog and gives the writer back, flushed.
    pub fn finish(mut self) -> io::Result<W> {
        match self.format {
            Format::Json if self.is_empty => self.out.write_all(b"]\n")?,
            Format::Json => self.out.write_all(b"\n]\n")?,
            Format::Yaml if self.is_empty => self.out.write_all(b"[]\n")?,
            _ => {}
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A task as the fields that say more than their defaults.
#[derive(Debug, PartialEq)]
struct Record(Vec<(Field, Value)>);

#[derive(Serialize)]
struct TomlTask {
    tasks: [Record; 1],
}

impl Record {
    fn new(task: &NewTask) -> io::Result<Self> {
        let mut fields = Vec::new();
        let mut add = |field, value: Option<Value>| fields.extend(value.map(|it| (field, it)));
        add(Field::Id, task.id.as_ref().map(|id| id.as_str().into()));
        let has_title = task.title != first_line(&task.prompt);
        add(Field::Title, has_title.then(|| task.title.as_str().into()));
        add(Field::Prompt, (!task.prompt.is_empty()).then(|| task.prompt.as_str().into()));
        add(Field::Command, task.command.as_ref().map(command));
        add(Field::Priority, (task.priority != 0).then(|| task.priority.into()));
        add(Field::DependsOn, list(task.depends_on.iter().map(crate::TaskId::as_str)));
        add(Field::Locks, list(task.locks.iter().map(String::as_str)));
        add(Field::Touches, list(task.touches.iter().map(String::as_str)));
        add(Field::Tags, list(task.tags.iter().map(String::as_str)));
        add(Field::MaxAttempts, task.max_attempts.map(Value::from));
        add(Field::Timeout, task.timeout.map(duration));
        add(Field::IdleTimeout, task.idle_timeout.map(duration));
        add(Field::Memory, task.memory.map(|bytes| Bytes(bytes).to_string().into()));
        add(Field::Verify, task.verify.as_ref().map(command));
        add(Field::ExpectDiff, task.expect_diff.map(Value::from));
        add(Field::NotBefore, task.not_before.map(time).transpose()?);
        add(Field::Payload, (!task.payload.is_null()).then(|| task.payload.clone()));
        Ok(Self(fields))
    }

    fn get(&self, field: Field) -> Option<&Value> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, value)| value)
    }

    fn cell(&self, field: Field) -> String {
        self.get(field).map(|value| cell::write(field, value)).unwrap_or_default()
    }

    fn line(&self) -> io::Result<String> {
        match self.0.as_slice() {
            [(Field::Prompt, Value::String(prompt))]
                if prompt == first_line(prompt) && !prompt.starts_with(['#', '\u{feff}']) =>
            {
                Ok(format!("{prompt}\n"))
            }
            _ => Err(invalid("a plain line holds nothing but a prompt of one line")),
        }
    }

    /// The first of three ways that reads as it should: the prompt as text, the title as text and
    /// the prompt as an attribute, or all as attributes.
    fn checklist_item(&self) -> io::Result<String> {
        let prompt = self.get(Field::Prompt).and_then(Value::as_str).unwrap_or_default();
        let title = self.get(Field::Title).and_then(Value::as_str);
        let title = title.unwrap_or_else(|| first_line(prompt));
        [(prompt, Some(Field::Prompt)), (title, Some(Field::Title)), ("", None)]
            .into_iter()
            .map(|(text, field)| item(text, &self.attributes(field)))
            .find(|item| self.is_read_from(item))
            .ok_or_else(|| invalid("the task cannot be written as an item of a checklist"))
    }

    /// All but the field that is written as text. A title that the text gives need not be written.
    fn attributes(&self, text: Option<Field>) -> String {
        let mut words = Vec::new();
        for (field, value) in self.0.iter().filter(|(field, _)| Some(*field) != text) {
            match (field, value) {
                (Field::Id, Value::String(id)) => words.push(attributes::write("#", id)),
                (Field::Tags, Value::Array(tags)) => {
                    let tags = tags.iter().filter_map(Value::as_str);
                    words.extend(tags.map(|tag| attributes::write(".", tag)));
                }
                _ => {
                    let name = format!("{}=", field.as_str());
                    words.push(attributes::write(&name, &cell::write(*field, value)));
                }
            }
        }
        if words.is_empty() { String::new() } else { format!("{{{}}}", words.join(" ")) }
    }

    fn is_read_from(&self, item: &str) -> bool {
        let mut tasks = read("", Format::Markdown, item.as_bytes());
        let task = tasks.next().and_then(Result::ok);
        task.is_some_and(|task| Self::new(&task).is_ok_and(|record| record == *self))
            && tasks.next().is_none()
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(field, value)| (field.as_str(), value)))
    }
}

fn item(text: &str, attributes: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let space = if first.is_empty() || attributes.is_empty() { "" } else { " " };
    let mut item = format!("- [ ] {first}{space}{attributes}\n");
    for line in lines {
        if !line.is_empty() {
            item.push_str("  ");
            item.push_str(line);
        }
        item.push('\n');
    }
    item
}

fn row(cells: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<u8> {
    let cells = cells.into_iter().map(|cell| {
        let cell = cell.as_ref();
        if cell.contains(['"', ',', '\n', '\r']) || cell.trim() != cell {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    });
    let mut row = cells.collect::<Vec<_>>().join(",");
    row.push('\n');
    row.into_bytes()
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> Option<Value> {
    let words: Vec<Value> = words.map(Value::from).collect();
    (!words.is_empty()).then(|| words.into())
}

fn command(command: &CommandLine) -> Value {
    match command {
        CommandLine::Shell(line) => line.as_str().into(),
        CommandLine::Argv(words) => words.as_slice().into(),
    }
}

fn duration(duration: std::time::Duration) -> Value {
    SpanPrinter::new().unsigned_duration_to_string(&duration).into()
}

fn time(time: std::time::SystemTime) -> io::Result<Value> {
    Timestamp::try_from(time).map(|time| time.to_string().into()).map_err(invalid)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
