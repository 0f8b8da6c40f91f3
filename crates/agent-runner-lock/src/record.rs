//! The record in a lock file: one block of fixed length, written in place while the lock is held.
//!
//! ```text
//! byte 0    a blank, because Windows locks this byte against reading
//! byte 1    {"v":1,"state":"held","token":1795462894123456,"acquired_at":"2026-…",…,"check":"0f…"}
//!           blanks
//! last      a newline
//! ```
//!
//! `check` covers everything before it, so that a torn, cut or foreign block is told from a record.
//! A block that is not a record says nothing: neither that the lock is free nor that it is held.

use std::time::SystemTime;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    LockInfo, TaskLock,
    time::{UTC_LEN, utc_text, write_digits},
};

/// The length of a record.
///
/// The longest key, holder, host and note fit even if JSON needs six bytes for each of the note's.
/// A file never gets shorter or longer: truncating costs 60 times as much as writing in place on
/// ext4, which flushes such a file when it is closed.
pub const LEN: usize = 2560;

const HEAD: &str = r#" {"v":1,"state":""#;
const TOKEN: &str = r#"","token":"#;
const ACQUIRED_AT: &str = r#","acquired_at":""#;
const CHECK: &str = r#","check":""#;
const TAIL: &str = r#""}"#;
const STATE: std::ops::Range<usize> = HEAD.len()..HEAD.len() + 4;

/// What a record says of its lock. The kernel may know better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was not released since it was written.
    Held,
    /// It was released.
    Free,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Free => "free",
        }
    }
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What it says of its lock.
    pub state: State,
    /// What it says of its holder.
    pub info: LockInfo,
}

/// Reads a record. `None` for anything that was not written whole by [`Block::held`] and
/// [`Block::set_state`].
pub fn parse(block: &[u8]) -> Option<Record> {
    let state = peek(block)?.state;
    Some(Record { state, info: fields(block)? })
}

/// Reads a record that says more than that of a lock, if it is held.
pub(crate) fn parse_held<T: DeserializeOwned>(block: &[u8]) -> Option<T> {
    (peek(block)?.state == State::Held).then(|| fields(block)).flatten()
}

fn fields<T: DeserializeOwned>(block: &[u8]) -> Option<T> {
    serde_json::from_slice(trim_end(block)).ok()
}

/// The part of a record that every acquirer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peek {
    pub(crate) state: State,
    pub(crate) token: u64,
}

/// Reads the part of a record that every acquirer needs, after checking the whole of it.
pub(crate) fn peek(block: &[u8]) -> Option<Peek> {
    let text = trim_end(block);
    let (body, tail) = text.split_at_checked(text.len().checked_sub(tail_len())?)?;
    if tail != seal(body).as_slice() {
        return None;
    }
    let state = match body.strip_prefix(HEAD.as_bytes())?.get(..4)? {
        b"held" => State::Held,
        b"free" => State::Free,
        _ => return None,
    };
    let token = body.get(STATE.end..)?.strip_prefix(TOKEN.as_bytes())?;
    let end = token.iter().position(|byte| !byte.is_ascii_digit())?;
    let token = std::str::from_utf8(&token[..end]).ok()?.parse().ok()?;
    is_token(token).then_some(Peek { state, token })
}

/// Whether there can be a token after this one. A store keeps them in a signed column, so that one
/// over that is not ours.
pub(crate) fn is_token(token: u64) -> bool {
    i64::try_from(token).is_ok_and(|token| token < i64::MAX)
}

/// The block without the blanks after its text, of which most blocks have more than text.
fn trim_end(block: &[u8]) -> &[u8] {
    let mut text = block.strip_suffix(b"\n").unwrap_or(block);
    while let Some(rest) = text.strip_suffix(&[b' '; 512]) {
        text = rest;
    }
    while let Some(rest) = text.strip_suffix(&[b' '; 32]) {
        text = rest;
    }
    text.trim_ascii_end()
}

/// A record as it is written.
#[derive(Debug, Clone, Default)]
pub struct Block {
    bytes: Box<[u8]>,
    /// Where the check begins.
    body: usize,
}

impl Block {
    /// The record of a lock that is held.
    ///
    /// # Panics
    ///
    /// When the texts in `info` are longer than this crate lets them be.
    pub fn held(info: &LockInfo) -> Self {
        Self::write(info, |body| {
            assert!(body + tail_len() < LEN, "a record of {body} bytes does not fit its block");
            Some(LEN)
        })
        .expect("it has a length")
    }

    /// The record of a lock with more to say than fits a block of one length. It is as long as it
    /// will be with any note. `None` if that is too long.
    pub(crate) fn long(fields: &impl Serialize, max: usize) -> Option<Self> {
        // JSON needs six bytes for a control character.
        let note = 6 * TaskLock::MAX_NOTE;
        Self::write(fields, |body| {
            Some((body + note).next_multiple_of(LEN)).filter(|len| *len <= max)
        })
    }

    /// Writes a record whose fields begin with `token` to a block of the length that its body needs.
    fn write(fields: &impl Serialize, len: impl FnOnce(usize) -> Option<usize>) -> Option<Self> {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(HEAD.as_bytes());
        bytes.extend_from_slice(State::Held.word().as_bytes());
        bytes.extend_from_slice(br#"","#);
        let start = bytes.len();
        serde_json::to_writer(&mut bytes, fields)
            .expect("a record has nothing that JSON cannot say");
        bytes.remove(start); // The brace that opens the fields; ours is open already.
        bytes.pop();
        let body = bytes.len();
        bytes.resize(len(body)? - 1, b' ');
        bytes.push(b'\n');
        let mut block = Self { bytes: bytes.into(), body };
        block.seal();
        Some(block)
    }

    /// Changes what it says of its lock.
    pub fn set_state(&mut self, state: State) {
        self.bytes[STATE].copy_from_slice(state.word().as_bytes());
        self.seal();
    }

    /// Makes it the record of a later holder that differs in nothing but token and time, and says
    /// whether that can be done in place.
    pub(crate) fn restamp(&mut self, token: u64, acquired_at: SystemTime) -> bool {
        let start = STATE.end + TOKEN.len();
        let width = self.bytes.iter().skip(start).take_while(|byte| byte.is_ascii_digit()).count();
        let time = start + width + ACQUIRED_AT.len();
        let same_width = token.checked_ilog10().is_some_and(|log| log as usize + 1 == width);
        let has_time = || {
            self.bytes[..self.body]
                .get(..time)
                .is_some_and(|head| head.ends_with(ACQUIRED_AT.as_bytes()))
        };
        if !same_width || !has_time() {
            return false;
        }
        write_digits(&mut self.bytes[start..start + width], token);
        self.bytes[time..time + UTC_LEN].copy_from_slice(&utc_text(acquired_at));
        self.set_state(State::Held);
        true
    }

    /// The whole block.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn seal(&mut self) {
        let seal = seal(&self.bytes[..self.body]);
        self.bytes[self.body..self.body + seal.len()].copy_from_slice(&seal);
    }
}

const fn tail_len() -> usize {
    CHECK.len() + 16 + TAIL.len()
}

/// The end of a record: its check, and what closes the object.
fn seal(body: &[u8]) -> [u8; tail_len()] {
    let mut seal = [0; tail_len()];
    let (check, rest) = seal.split_at_mut(CHECK.len());
    let (digits, tail) = rest.split_at_mut(16);
    check.copy_from_slice(CHECK.as_bytes());
    tail.copy_from_slice(TAIL.as_bytes());
    let sum = checksum(body);
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(sum >> (4 * place) & 15) as usize];
    }
    seal
}

/// A checksum against accidents, not against forgers: eight bytes a step, rotate, xor, multiply
/// (the step of Firefox's hash), in four lanes that do not wait for each other; and the length, so
/// that zeros at the end count.
fn checksum(body: &[u8]) -> u64 {
    let step = |sum: u64, word: &[u8; 8]| {
        (sum.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    let mut lanes = [1, 2, 3, 4];
    let (blocks, rest) = body.as_chunks::<32>();
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane = step(*lane, word);
        }
    }
    let mut last = [0; 32];
    last[..rest.len()].copy_from_slice(rest);
    let lanes = lanes.map(u64::to_le_bytes);
    let words = last.as_chunks::<8>().0.iter().chain(&lanes);
    let sum = words.fold(body.len() as u64, step);
    sum ^ (sum >> 32)
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
