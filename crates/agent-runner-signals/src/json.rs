//! Reads JSON objects out of any stream, as the bytes come and in bounded memory.
//!
//! An object starts with a `{` that is the first on its line; it may go over several lines, as
//! pretty-printed ones do. What stands between objects is passed over, and so is an object that is
//! cut short or is not JSON. A `{` in the first column always starts anew, because no printer puts
//! an inner one there: a line that was cut costs itself and not the next one.
//!
//! Of each object a part is kept that is large enough for what agents say about themselves: long
//! texts are cut, deep and wide values are left out. So no line is ever held as a whole, and an
//! object of a gigabyte is read like any other.

use std::mem;

use serde_json::{Map, Value};

/// The longest text that is kept; the rest of a longer one is cut off.
pub(crate) const MAX_STRING: usize = 8 * 1024;
/// How much is kept of one field of an object, about in bytes.
const MAX_FIELD: usize = 64 * 1024;
/// How many fields of an object are kept.
const MAX_FIELDS: usize = 128;
/// How deep values are kept.
const MAX_DEPTH: usize = 8;
/// No number, `true`, `false` or `null` is longer.
const MAX_SCALAR: usize = 64;
/// What a value costs beside its text, about in bytes.
const VALUE_COST: usize = 128;
/// What an object costs beside its fields: a map makes room for several at once.
const OBJECT_COST: usize = 640;

/// Reads objects, and forgets those whose `type` is not wanted.
#[derive(Debug)]
pub(crate) struct Reader {
    wants: fn(&str) -> bool,
    /// The names of fields that nobody reads.
    left_out: &'static [&'static str],
    state: State,
    /// The containers that are open and kept, the object itself first.
    open: Vec<Open>,
    /// How many containers are open and not kept.
    skipped: usize,
    /// The text or scalar that is being read.
    token: Vec<u8>,
    /// Whether the last byte of a text was a backslash that gives the next one another meaning.
    is_escaped: bool,
    is_line_start: bool,
    /// Whether nobody reads the current field.
    is_left_out: bool,
    /// What may still be kept of the current field.
    left: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before an object, with nothing but white space since the line began.
    Outside,
    /// In something else, until the line ends.
    Elsewhere,
    /// Before a value; in an empty list also before its end.
    Value,
    /// Before a name; in an empty object also before its end.
    Name,
    Colon,
    /// After a value.
    Comma,
    /// In a name or a text.
    Text(Role),
    Scalar,
    /// In a container that is not kept.
    Skipping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Name,
    Value,
    Skipped,
}

#[derive(Debug)]
enum Open {
    Object { fields: Map<String, Value>, name: String },
    List(Vec<Value>),
}

/// A byte has no place where it stands.
struct Malformed;

impl Reader {
    pub(crate) fn new(wants: fn(&str) -> bool, left_out: &'static [&'static str]) -> Self {
        Self {
            wants,
            left_out,
            state: State::Outside,
            open: Vec::new(),
            skipped: 0,
            token: Vec::new(),
            is_escaped: false,
            is_line_start: true,
            is_left_out: false,
            left: 0,
        }
    }

    /// Reads on, and hands over each object as soon as its last byte is there.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], on_object: &mut dyn FnMut(Value)) {
        while let Some(&byte) = bytes.first() {
            if mem::take(&mut self.is_line_start) && byte == b'{' {
                self.begin();
                bytes = &bytes[1..];
                continue;
            }
            // These three move over many bytes at once; they stop at the end of a line.
            let passed = match self.state {
                State::Elsewhere => bytes.iter().position(|&byte| byte == b'\n'),
                State::Text(role) => Some(self.pass_text(role, bytes)),
                State::Skipping => bytes.iter().position(|&byte| is_structure(byte)),
                _ => Some(0),
            };
            let Some(&byte) = passed.and_then(|passed| bytes.get(passed)) else { return };
            bytes = &bytes[passed.unwrap_or_default() + 1..];
            match self.step(byte) {
                Ok(None) => {}
                Ok(Some(object)) => on_object(object),
                Err(Malformed) => self.state = State::Elsewhere,
            }
            if byte == b'\n' {
                self.is_line_start = true;
                if self.state == State::Elsewhere {
                    self.state = State::Outside;
                }
            }
        }
    }

    fn begin(&mut self) {
        self.open.clear();
        self.open.push(Open::Object { fields: Map::new(), name: String::new() });
        self.skipped = 0;
        self.state = State::Name;
    }

    /// Reads a text up to what ends it, and says where that is.
    fn pass_text(&mut self, role: Role, bytes: &[u8]) -> usize {
        let end = self.text_end(bytes);
        if role != Role::Skipped {
            let room = (1 + MAX_STRING).saturating_sub(self.token.len());
            self.token.extend_from_slice(&bytes[..end.min(room)]);
        }
        end
    }

    fn text_end(&mut self, bytes: &[u8]) -> usize {
        // What follows a backslash is passed over, but for the end of a line, which ends all.
        let escaped = |at: usize| usize::from(bytes.get(at).is_some_and(|&byte| byte != b'\n'));
        let mut end = if mem::take(&mut self.is_escaped) { escaped(0) } else { 0 };
        loop {
            match bytes[end..].iter().position(|&byte| matches!(byte, b'"' | b'\\' | b'\n')) {
                None => return bytes.len(),
                Some(found) if bytes[end + found] != b'\\' => return end + found,
                Some(found) => {
                    end += found + 1;
                    self.is_escaped = end == bytes.len();
                    end += escaped(end);
                }
            }
        }
    }

    fn step(&mut self, byte: u8) -> Result<Option<Value>, Malformed> {
        match self.state {
            State::Text(role) if byte == b'"' => {
                self.end_text(role);
                return Ok(None);
            }
            State::Text(_) => return Err(Malformed),
            State::Skipping => {
                self.step_skipping(byte);
                return Ok(None);
            }
            State::Scalar if !is_scalar(byte) => self.end_scalar()?,
            _ => {}
        }
        match (self.state, byte) {
            (State::Elsewhere, _) | (_, b' ' | b'\t' | b'\r' | b'\n') => {}
            (State::Outside, b'{') => self.begin(),
            (State::Outside, _) => self.state = State::Elsewhere,
            (State::Name, b'"') => self.begin_text(Role::Name),
            (State::Colon, b':') => self.state = State::Value,
            (State::Value, b'"') if self.is_left_out => self.begin_text(Role::Skipped),
            (State::Value, b'"') => self.begin_text(Role::Value),
            (State::Value, b'{' | b'[') => self.begin_container(byte),
            (State::Comma, b',') => self.state = self.before_next(),
            (State::Comma, b'}' | b']') => return self.end_container(byte),
            (State::Name, b'}') | (State::Value, b']') if self.is_empty() => {
                return self.end_container(byte);
            }
            (State::Value | State::Scalar, _) if is_scalar(byte) => self.step_scalar(byte)?,
            _ => return Err(Malformed),
        }
        Ok(None)
    }

    fn begin_text(&mut self, role: Role) {
        self.token.clear();
        self.token.push(b'"');
        self.is_escaped = false;
        self.state = State::Text(role);
    }

    fn end_text(&mut self, role: Role) {
        if role == Role::Skipped {
            self.state = if self.skipped > 0 { State::Skipping } else { State::Comma };
            return;
        }
        self.token.push(b'"');
        let text = unescape(&self.token);
        if role == Role::Value {
            return self.pay_and_add(Value::String(text));
        }
        if self.open.len() == 1 {
            self.left = MAX_FIELD;
        }
        self.left = self.left.saturating_sub(text.len());
        self.is_left_out = self.left_out.contains(&text.as_str());
        if let Some(Open::Object { name, .. }) = self.open.last_mut() {
            *name = text;
        }
        self.state = State::Colon;
    }

    fn step_scalar(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.state == State::Value {
            self.token.clear();
        }
        self.state = State::Scalar;
        self.token.push(byte);
        if self.token.len() > MAX_SCALAR { Err(Malformed) } else { Ok(()) }
    }

    fn end_scalar(&mut self) -> Result<(), Malformed> {
        let value = serde_json::from_slice(&self.token).map_err(|_| Malformed)?;
        self.pay_and_add(value);
        Ok(())
    }

    /// Keeps a text or a scalar if there is room for it.
    fn pay_and_add(&mut self, value: Value) {
        let cost = VALUE_COST + value.as_str().map_or(0, str::len);
        self.state = State::Comma;
        if let Some(left) = self.left.checked_sub(cost) {
            self.left = left;
            self.add(value);
        }
    }

    /// Puts a value where it belongs.
    fn add(&mut self, value: Value) {
        self.state = State::Comma;
        let is_outermost = self.open.len() == 1;
        match self.open.last_mut() {
            Some(Open::List(list)) => list.push(value),
            Some(Open::Object { fields, name }) if fields.len() < MAX_FIELDS => {
                let name = mem::take(name);
                let kind = value.as_str().filter(|_| is_outermost && name == "type");
                if kind.is_some_and(|kind| !(self.wants)(kind)) {
                    return self.skip_all();
                }
                fields.insert(name, value);
            }
            _ => {}
        }
    }

    /// Forgets the whole object, which is open and has nothing else open in it.
    fn skip_all(&mut self) {
        self.open.clear();
        self.skipped = 1;
        self.state = State::Skipping;
    }

    fn begin_container(&mut self, byte: u8) {
        let cost = if byte == b'{' { OBJECT_COST } else { VALUE_COST };
        let left = self
            .left
            .checked_sub(cost)
            .filter(|_| self.open.len() < MAX_DEPTH && !self.is_left_out);
        let Some(left) = left else {
            self.skipped = 1;
            self.state = State::Skipping;
            return;
        };
        self.left = left;
        let (open, state) = match byte {
            b'{' => (Open::Object { fields: Map::new(), name: String::new() }, State::Name),
            _ => (Open::List(Vec::new()), State::Value),
        };
        self.open.push(open);
        self.state = state;
    }

    fn end_container(&mut self, byte: u8) -> Result<Option<Value>, Malformed> {
        let value = match (self.open.pop(), byte) {
            (Some(Open::Object { fields, .. }), b'}') => Value::Object(fields),
            (Some(Open::List(list)), b']') => Value::Array(list),
            _ => return Err(Malformed),
        };
        if self.open.is_empty() {
            self.state = State::Elsewhere;
            return Ok(Some(value));
        }
        self.add(value);
        Ok(None)
    }

    /// What is not kept needs no more than its strings and brackets to be found the end of.
    fn step_skipping(&mut self, byte: u8) {
        match byte {
            b'"' => self.begin_text(Role::Skipped),
            b'{' | b'[' => self.skipped += 1,
            b'}' | b']' => {
                self.skipped -= 1;
                if self.skipped == 0 {
                    let is_over = self.open.is_empty();
                    self.state = if is_over { State::Elsewhere } else { State::Comma };
                }
            }
            _ => {}
        }
    }

    fn before_next(&mut self) -> State {
        match self.open.last() {
            Some(Open::List(_)) => State::Value,
            _ => State::Name,
        }
    }

    /// Whether the innermost container has nothing in it yet.
    fn is_empty(&self) -> bool {
        match self.open.last() {
            Some(Open::List(list)) => list.is_empty(),
            Some(Open::Object { fields, .. }) => fields.is_empty(),
            None => true,
        }
    }
}

fn is_structure(byte: u8) -> bool {
    matches!(byte, b'"' | b'{' | b'[' | b'}' | b']' | b'\n')
}

fn is_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

/// A text as it was meant, from one with its quotes.
fn unescape(token: &[u8]) -> String {
    serde_json::from_slice(token).unwrap_or_else(|_| salvage(token))
}

/// What can be had of a text that is no JSON: bytes that are no UTF-8 are replaced, and an escape
/// that was cut off is left out.
fn salvage(token: &[u8]) -> String {
    let text = String::from_utf8_lossy(&token[1..token.len() - 1]);
    let parse = |text: &str| serde_json::from_str(&format!("\"{text}\"")).ok();
    let is_cut = token.len() >= MAX_STRING;
    let whole = || text.rsplit_once('\\').filter(|_| is_cut).and_then(|(head, _)| parse(head));
    parse(&text).or_else(whole).unwrap_or_else(|| text.into_owned())
}

#[cfg(test)]
mod tests;
