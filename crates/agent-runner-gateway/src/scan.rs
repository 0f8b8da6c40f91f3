//! Finds a few fields near the top of JSON that comes in pieces, and holds nothing else.

use std::ops::Range;

use memchr::{memchr2, memchr3};

/// What is captured of a value at most. Longer ones are passed over.
const LONGEST_VALUE: usize = 4096;
/// Longer keys are none of ours.
const LONGEST_KEY: usize = 24;
/// Deeper than this no field is looked for.
const DEPTH: usize = 2;
/// What wraps a message in an event of a stream.
const WRAPPERS: [&[u8]; 2] = [b"message", b"response"];

/// A field that was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    /// Its name.
    pub(crate) key: &'a str,
    /// Its value, as JSON.
    pub(crate) value: &'a [u8],
    /// Where the value stands in all that was fed.
    pub(crate) range: Range<usize>,
}

/// Looks for fields of the top object, or of the `message` or `response` in it.
///
/// It goes over text like a tokenizer, so that what a model writes inside of strings, or hands to a
/// tool, is never taken for a field. It never fails: what is no JSON has no fields.
#[derive(Debug)]
pub(crate) struct Scanner {
    wanted: &'static [&'static str],
    /// Whether each line is a document of its own, as in a stream of events.
    by_line: bool,
    place: Place,
    string: Option<Text>,
    key: Vec<u8>,
    capture: Option<Capture>,
    /// How much was fed before.
    offset: usize,
    documents: u64,
}

/// Where in a document.
#[derive(Debug, Default)]
struct Place {
    depth: usize,
    is_object: [bool; DEPTH],
    is_wrapped: bool,
    expects_key: bool,
}

/// A string that has begun.
#[derive(Debug)]
struct Text {
    is_key: bool,
    is_escaped: bool,
}

/// A value that has begun.
#[derive(Debug)]
struct Capture {
    depth: usize,
    start: usize,
    value: Vec<u8>,
}

impl Scanner {
    /// Looks for `wanted` in one document, or in an array of them.
    pub(crate) fn new(wanted: &'static [&'static str]) -> Self {
        Self {
            wanted,
            by_line: false,
            place: Place::default(),
            string: None,
            key: Vec::new(),
            capture: None,
            offset: 0,
            documents: 0,
        }
    }

    /// Looks for `wanted` in a document on each line.
    pub(crate) fn by_line(wanted: &'static [&'static str]) -> Self {
        Self { by_line: true, ..Self::new(wanted) }
    }

    /// How many documents have ended.
    pub(crate) const fn documents(&self) -> u64 {
        self.documents
    }

    /// Goes over the next piece.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(Found<'_>)) {
        let mut at = 0;
        // From where on bytes belong to the capture and were not taken yet.
        let mut open = 0;
        while at < bytes.len() {
            if let Some(text) = &mut self.string {
                at += text.skip(&bytes[at..], self.by_line, &mut self.key);
                if let Some(&byte) = bytes.get(at) {
                    self.end_of_run(byte);
                    at += 1;
                }
                continue;
            }
            let byte = bytes[at];
            let ends = self.capture.as_ref().is_some_and(|capture| {
                capture.depth == self.place.depth && matches!(byte, b',' | b'}' | b']')
            });
            if ends {
                self.take(&bytes[open..at]);
                self.finish(&mut found);
            }
            self.structure(byte, self.offset + at);
            at += 1;
            if byte == b':' && self.capture.is_some() && self.is_fresh() {
                open = at;
            }
        }
        self.take(&bytes[open.min(bytes.len())..]);
        self.offset += bytes.len();
    }

    /// What stopped a run of plain text: an escape, the end of the string or of the line.
    fn end_of_run(&mut self, byte: u8) {
        match (byte, &mut self.string) {
            (b'\\', Some(text)) => text.is_escaped = true,
            (b'\n', _) => self.new_line(),
            _ => self.string = None,
        }
    }

    fn structure(&mut self, byte: u8, at: usize) {
        let place = &mut self.place;
        match byte {
            b'"' => {
                let is_key = place.expects_key && self.capture.is_none();
                if is_key {
                    self.key.clear();
                }
                self.string = Some(Text { is_key, is_escaped: false });
            }
            b':' if place.expects_key => self.value(at + 1),
            // An array around all is passed through: so a stream of Gemini's is one of documents.
            b'[' if place.depth == 0 => (),
            b'{' | b'[' => place.enter(byte == b'{'),
            b'}' | b']' => self.documents += u64::from(place.leave()),
            b',' => place.expects_key = place.in_object(),
            b'\n' if self.by_line => self.new_line(),
            _ => (),
        }
    }

    /// A key has ended, and its value begins.
    fn value(&mut self, at: usize) {
        self.place.expects_key = false;
        let depth = self.place.depth;
        if depth == 1 {
            self.place.is_wrapped = WRAPPERS.contains(&&self.key[..]);
        }
        let is_near = depth == 1 || self.place.is_wrapped;
        if is_near && self.wanted.iter().any(|wanted| wanted.as_bytes() == self.key) {
            self.capture = Some(Capture { depth, start: at, value: Vec::new() });
        }
    }

    /// Whether a capture has just begun.
    fn is_fresh(&self) -> bool {
        self.capture.as_ref().is_some_and(|it| it.value.is_empty() && it.depth == self.place.depth)
    }

    fn take(&mut self, bytes: &[u8]) {
        if let Some(capture) = &mut self.capture {
            let room = (LONGEST_VALUE + 1).saturating_sub(capture.value.len());
            capture.value.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn finish(&mut self, found: &mut impl FnMut(Found<'_>)) {
        let Some(Capture { start, value, .. }) = self.capture.take() else { return };
        if value.len() > LONGEST_VALUE {
            return;
        }
        let (before, trimmed) = (value.len() - value.trim_ascii_start().len(), value.trim_ascii());
        let range = start + before..start + before + trimmed.len();
        let key = std::str::from_utf8(&self.key).unwrap_or_default();
        found(Found { key, value: trimmed, range });
    }

    /// What was begun on a line is not continued on the next.
    fn new_line(&mut self) {
        self.place = Place::default();
        self.string = None;
        self.capture = None;
        self.key.clear();
    }
}

impl Text {
    /// Goes to the next byte that means something, and says how far that is.
    fn skip(&mut self, bytes: &[u8], by_line: bool, key: &mut Vec<u8>) -> usize {
        let escaped = usize::from(std::mem::take(&mut self.is_escaped) && !bytes.is_empty());
        let rest = &bytes[escaped..];
        let end =
            if by_line { memchr3(b'"', b'\\', b'\n', rest) } else { memchr2(b'"', b'\\', rest) };
        let length = escaped + end.unwrap_or(rest.len());
        if self.is_key {
            let room = LONGEST_KEY.saturating_sub(key.len());
            key.extend_from_slice(&bytes[..length.min(room)]);
        }
        length
    }
}

impl Place {
    const fn in_object(&self) -> bool {
        matches!(self.depth, 1..=DEPTH) && self.is_object[self.depth - 1]
    }

    fn enter(&mut self, is_object: bool) {
        self.depth += 1;
        if let Some(place) = self.is_object.get_mut(self.depth - 1) {
            *place = is_object;
        }
        self.expects_key = self.in_object();
    }

    /// Says whether this was the end of a document.
    const fn leave(&mut self) -> bool {
        self.expects_key = false;
        let was_last = self.depth == 1;
        self.depth = self.depth.saturating_sub(1);
        was_last
    }
}

#[cfg(test)]
mod tests;
