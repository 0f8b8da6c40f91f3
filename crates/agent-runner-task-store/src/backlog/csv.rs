//! CSV with a header row, one record at a time.

use std::io::{self, BufRead, Cursor, Read};

use csv_core::{ReadRecordResult, ReaderBuilder};

use super::{
    Format, cell,
    error::{BacklogErrorKind, Place, Problem},
    field::{Draft, Entry, Field, Name},
    input::{self, MAX_LINE},
};

/// The rows of a table as drafts.
pub(super) fn drafts(input: impl BufRead) -> impl Iterator<Item = Result<Draft, Problem>> {
    let mut input = Some(input);
    let mut table = None;
    std::iter::from_fn(move || {
        if let Some(input) = input.take() {
            match Table::open(input) {
                Ok(opened) => table = Some(opened),
                Err(problem) => return Some(Err(problem)),
            }
        }
        let row = table.as_mut()?.next();
        // Nothing sensible can be read after a record that does not end.
        table.take_if(|table| table.is_broken);
        row
    })
}

struct Table<R> {
    records: Records<io::Chain<Cursor<Vec<u8>>, R>>,
    columns: Vec<Field>,
    is_broken: bool,
}

impl<R: BufRead> Table<R> {
    fn open(mut input: R) -> Result<Self, Problem> {
        let mut header = Vec::new();
        let mut limited = input.by_ref().take(MAX_LINE as u64);
        limited.read_until(b'\n', &mut header).map_err(input::io_problem)?;
        let delimiter = delimiter(&header);
        let mut records = Records::new(Cursor::new(header).chain(input), delimiter);
        let place = records.read()?;
        let columns = columns(&records, place.unwrap_or_default())?;
        Ok(Self { records, columns, is_broken: false })
    }

    fn next(&mut self) -> Option<Result<Draft, Problem>> {
        loop {
            match self.records.read() {
                Ok(Some(_)) if self.records.cells().all(<[u8]>::is_empty) => {}
                Ok(Some(place)) => return Some(self.draft(place)),
                Ok(None) => return None,
                Err(problem) => {
                    self.is_broken = true;
                    return Some(Err(problem));
                }
            }
        }
    }

    fn draft(&self, place: Place) -> Result<Draft, Problem> {
        let (found, expected) = (self.records.count, self.columns.len());
        if found != expected {
            return Err(Problem::new(BacklogErrorKind::RowLength { found, expected })
                .at(place)
                .hint("put a cell that has the separator in it in double quotes"));
        }
        let mut entries = Vec::with_capacity(expected);
        for (&field, bytes) in self.columns.iter().zip(self.records.cells()) {
            let text = text(bytes, place)?;
            if !text.trim().is_empty() {
                let value = cell::read(field, text);
                entries.push(Entry { name: Name::Known(field), value, place });
            }
        }
        Ok(Draft::new(place, entries))
    }
}

fn columns<R: BufRead>(header: &Records<R>, place: Place) -> Result<Vec<Field>, Problem> {
    let mut columns = Vec::with_capacity(header.count);
    for name in header.cells() {
        let field = column(text(name, place)?).known().map_err(|problem| problem.at(place))?;
        if columns.contains(&field) {
            let field = field.as_str();
            return Err(Problem::new(BacklogErrorKind::RepeatedField { field }).at(place));
        }
        columns.push(field);
    }
    Ok(columns)
}

/// Spreadsheets begin names with a capital and put spaces in them.
fn column(name: &str) -> Name {
    match Name::new(&name.trim().to_lowercase().replace(' ', "_")) {
        Name::Unknown(_) => Name::Unknown(name.trim().to_owned()),
        known @ Name::Known(_) => known,
    }
}

/// A comma, or what spreadsheets put in its place: the first of them in the header.
fn delimiter(header: &[u8]) -> u8 {
    let found = header.iter().copied().find(|byte| matches!(byte, b',' | b';' | b'\t'));
    found.unwrap_or(b',')
}

fn text(bytes: &[u8], place: Place) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| input::not_utf8(bytes).at(place))
}

/// Records of any number, each of which is bounded and knows its line.
struct Records<R> {
    input: R,
    parser: csv_core::Reader,
    /// The bytes of the cells of the last record, one after the other.
    bytes: Vec<u8>,
    /// Where each cell ends.
    ends: Vec<usize>,
    count: usize,
    line: usize,
}

impl<R: BufRead> Records<R> {
    fn new(input: R, delimiter: u8) -> Self {
        let parser = ReaderBuilder::new().delimiter(delimiter).build();
        Self { input, parser, bytes: vec![0; 1024], ends: vec![0; 16], count: 0, line: 1 }
    }

    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends[..self.count]
            .iter()
            .map(move |&end| &self.bytes[std::mem::replace(&mut start, end)..end])
    }

    /// Reads the next record, and says where it begins.
    fn read(&mut self) -> Result<Option<Place>, Problem> {
        self.skip_line_ends()?;
        let place = Place::line(self.line);
        let (mut taken, mut written, mut quotes) = (0, 0, 0);
        self.count = 0;
        loop {
            let input = fill(&mut self.input)?;
            let is_end = input.is_empty();
            let (result, read, wrote, ended) = self.parser.read_record(
                input,
                &mut self.bytes[written..],
                &mut self.ends[self.count..],
            );
            for byte in &input[..read] {
                self.line += usize::from(*byte == b'\n');
                quotes += usize::from(*byte == b'"');
            }
            self.input.consume(read);
            taken += read;
            written += wrote;
            self.count += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.bytes.resize(self.bytes.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                // A quote that nobody closed has taken all lines to the end of the input.
                ReadRecordResult::Record if is_end && quotes % 2 == 1 && self.line > place.line => {
                    let detail = "the row never ends".to_owned();
                    let kind = BacklogErrorKind::Syntax { format: Format::Csv, detail };
                    return Err(Problem::new(kind).hint(UNCLOSED).at(place));
                }
                ReadRecordResult::Record => return Ok(Some(place)),
                ReadRecordResult::End => return Ok(None),
            }
            if taken > MAX_LINE {
                let kind = BacklogErrorKind::TooLong { what: "the row", limit: MAX_LINE };
                return Err(Problem::new(kind).hint(UNCLOSED).at(place));
            }
        }
    }

    /// Empty lines are no records; the line of a record is that of its first cell.
    fn skip_line_ends(&mut self) -> Result<(), Problem> {
        loop {
            let input = fill(&mut self.input)?;
            let ends = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
            let (mut skipped, is_all) = (0, input.len());
            for byte in ends {
                skipped += 1;
                self.line += usize::from(*byte == b'\n');
            }
            self.input.consume(skipped);
            if skipped == 0 || skipped < is_all {
                return Ok(());
            }
        }
    }
}

const UNCLOSED: &str = "is there a double quote that is never closed?";

/// What is there to read; nothing at the end.
fn fill(input: &mut impl BufRead) -> Result<&[u8], Problem> {
    loop {
        match input.fill_buf() {
            // Asking again, and not returning what was found, is what the borrow checker follows.
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(input::io_problem(error)),
        }
    }
    input.fill_buf().map_err(input::io_problem)
}
