//! CSV with a header row, one record at a time.

use std::io::{self, BufRead, Cursor, Read};

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use super::{
    Format, cell,
    error::{BacklogErrorKind, Place, Problem},
    field::{Draft, Entry, Field},
    input::{self, MAX_LINE},
};

/// The rows of a table as drafts.
pub(super) fn drafts(input: impl BufRead) -> impl Iterator<Item = Result<Draft, Problem>> {
    let mut state = State::Start(input);
    std::iter::from_fn(move || {
        if let State::Start(_) = state {
            let State::Start(input) = std::mem::replace(&mut state, State::Ended) else {
                return None;
            };
            match Table::open(input) {
                Ok(table) => state = State::Rows(Box::new(table)),
                Err(problem) => return Some(Err(problem)),
            }
        }
        let State::Rows(table) = &mut state else { return None };
        let row = table.next()?;
        if table.broken {
            state = State::Ended;
        }
        Some(row)
    })
}

enum State<R> {
    Start(R),
    Rows(Box<Table<R>>),
    Ended,
}

struct Table<R> {
    reader: Reader<Meter<io::Chain<Cursor<Vec<u8>>, R>>>,
    columns: Vec<Field>,
    record: ByteRecord,
    /// Whether nothing sensible can be read any more.
    broken: bool,
}

impl<R: BufRead> Table<R> {
    fn open(mut input: R) -> Result<Self, Problem> {
        let mut header = Vec::new();
        let mut limited = input.by_ref().take(MAX_LINE as u64);
        limited.read_until(b'\n', &mut header).map_err(input::io_problem)?;
        let header = input::without_bom(&header).to_vec();
        let delimiter = delimiter(&header);
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .has_headers(false)
            .from_reader(Meter { input: Cursor::new(header).chain(input), left: MAX_LINE });
        let mut record = ByteRecord::new();
        read(&mut reader, &mut record)?;
        let columns = columns(&record)?;
        Ok(Self { reader, columns, record, broken: false })
    }

    fn next(&mut self) -> Option<Result<Draft, Problem>> {
        loop {
            match read(&mut self.reader, &mut self.record) {
                Ok(true) if self.record.iter().all(<[u8]>::is_empty) => {}
                Ok(true) => return Some(self.draft()),
                Ok(false) => return None,
                Err(problem) => {
                    self.broken = true;
                    return Some(Err(problem));
                }
            }
        }
    }

    fn draft(&self) -> Result<Draft, Problem> {
        let place = place(&self.record);
        if self.record.len() != self.columns.len() {
            let (found, expected) = (self.record.len(), self.columns.len());
            return Err(Problem::new(BacklogErrorKind::RowLength { found, expected })
                .at(place)
                .hint("put a cell that has the separator in it in double quotes"));
        }
        let mut entries = Vec::with_capacity(self.columns.len());
        for (&field, bytes) in self.columns.iter().zip(&self.record) {
            let text = text(bytes, place)?;
            if !text.trim().is_empty() {
                let value = cell::read(field, text);
                entries.push(Entry { name: super::field::Name::Known(field), value, place });
            }
        }
        Ok(Draft::new(place, entries))
    }
}

fn columns(header: &ByteRecord) -> Result<Vec<Field>, Problem> {
    let place = place(header);
    let mut columns = Vec::with_capacity(header.len());
    for name in header {
        let name = super::field::Name::new(text(name, place)?.trim());
        let field = name.known().map_err(|problem| problem.at(place))?;
        if columns.contains(&field) {
            let field = field.as_str();
            return Err(Problem::new(BacklogErrorKind::RepeatedField { field }).at(place));
        }
        columns.push(field);
    }
    Ok(columns)
}

/// A comma, or what spreadsheets put in its place: the first of them in the header.
fn delimiter(header: &[u8]) -> u8 {
    let found = header.iter().copied().find(|byte| matches!(byte, b',' | b';' | b'\t'));
    found.unwrap_or(b',')
}

fn read<R: Read>(reader: &mut Reader<Meter<R>>, record: &mut ByteRecord) -> Result<bool, Problem> {
    reader.get_mut().left = MAX_LINE;
    reader.read_byte_record(record).map_err(|error| {
        let line = error.position().map_or(reader.position().line(), ::csv::Position::line);
        let place = Place::line(usize::try_from(line).unwrap_or(0));
        let problem = match error.into_kind() {
            ::csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                let kind = BacklogErrorKind::TooLong { what: "the row", limit: MAX_LINE };
                Problem::new(kind).hint("is there a double quote that is never closed?")
            }
            ::csv::ErrorKind::Io(error) => input::io_problem(error),
            other => {
                let detail = format!("{other:?}");
                Problem::new(BacklogErrorKind::Syntax { format: Format::Csv, detail })
            }
        };
        problem.at(place)
    })
}

fn text(bytes: &[u8], place: Place) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| input::not_utf8(bytes).at(place))
}

fn place(record: &ByteRecord) -> Place {
    let line = record.position().map_or(0, ::csv::Position::line);
    Place::line(usize::try_from(line).unwrap_or(0))
}

/// Stops a record that a quote keeps open from taking all memory.
struct Meter<R> {
    input: R,
    left: usize,
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let room = buffer.len().min(self.left);
        let read = self.input.read(&mut buffer[..room])?;
        self.left -= read;
        Ok(read)
    }
}
