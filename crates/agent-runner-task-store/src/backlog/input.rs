//! Bytes to text: lines one at a time or all of it, with limits, byte order marks and CRLF.

use std::io::{BufRead, Read};

use super::error::{BacklogErrorKind, Place, Problem};

/// The longest line or record.
pub(super) const MAX_LINE: usize = 16 << 20;

/// The longest text in a format that is read whole.
pub(super) const MAX_TEXT: usize = 256 << 20;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Reads all of it.
pub(super) fn text(input: impl Read) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let limit = MAX_TEXT as u64 + 1;
    input.take(limit).read_to_end(&mut bytes).map_err(io_problem)?;
    if bytes.len() > MAX_TEXT {
        return Err(Problem::new(BacklogErrorKind::TooLong { what: "the text", limit: MAX_TEXT })
            .hint("JSON Lines (`.jsonl`) are read one at a time and have no such limit"));
    }
    if bytes.starts_with(BOM) {
        bytes.drain(..BOM.len());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..valid];
        let line = before.split(|&byte| byte == b'\n').count();
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        not_utf8(error.as_bytes()).at(Place { line, column: valid - start + 1 })
    })
}

/// Lines of any number, each of which is bounded.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    number: usize,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), number: 0, ended: false }
    }

    /// The next line without its end, and its number from 1.
    pub(super) fn next(&mut self) -> Option<Result<(Place, &str), Problem>> {
        if self.ended {
            return None;
        }
        self.buffer.clear();
        self.number += 1;
        let place = Place::line(self.number);
        let mut limited = self.input.by_ref().take(MAX_LINE as u64 + 1);
        match limited.read_until(b'\n', &mut self.buffer) {
            Ok(0) => {
                self.ended = true;
                return None;
            }
            Ok(read) if read > MAX_LINE && self.buffer.last() != Some(&b'\n') => {
                self.ended = self.input.skip_until(b'\n').is_err();
                let kind = BacklogErrorKind::TooLong { what: "the line", limit: MAX_LINE };
                return Some(Err(Problem::new(kind).at(place)));
            }
            Ok(_) => {}
            Err(error) => {
                self.ended = true;
                return Some(Err(io_problem(error)));
            }
        }
        let mut line = self.buffer.as_slice();
        line = line.strip_suffix(b"\n").unwrap_or(line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.number == 1 {
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        match std::str::from_utf8(line) {
            Ok(line) => Some(Ok((place, line))),
            Err(error) => {
                let place = Place { column: error.valid_up_to() + 1, ..place };
                let problem = not_utf8(line).at(place);
                // Half of UTF-16 is no end of a line: what follows would be one error a line.
                self.ended = is_utf16(line);
                Some(Err(problem))
            }
        }
    }
}

/// Without the mark that some editors put at the start of a text.
pub(super) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).unwrap_or(bytes)
}

pub(super) fn io_problem(error: std::io::Error) -> Problem {
    Problem::new(BacklogErrorKind::Io(error))
}

pub(super) fn not_utf8(bytes: &[u8]) -> Problem {
    let problem = Problem::new(BacklogErrorKind::NotUtf8);
    if is_utf16(bytes) {
        problem.hint("it looks like UTF-16: save it as UTF-8")
    } else {
        problem.hint("save it as UTF-8")
    }
}

fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF")
}

/// Where the lines of a text start.
pub(super) struct Index(Vec<usize>);

impl Index {
    pub(super) fn new(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        Self(std::iter::once(0).chain(ends.map(|(end, _)| end + 1)).collect())
    }

    /// The place of an offset into the text.
    pub(super) fn at(&self, offset: usize) -> Place {
        let line = self.0.partition_point(|&start| start <= offset);
        Place { line, column: offset - self.0[line - 1] + 1 }
    }
}
