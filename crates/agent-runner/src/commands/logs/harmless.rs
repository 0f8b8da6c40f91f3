//! What an agent printed, fit for a terminal: colours stay, and nothing else is obeyed.
//!
//! Other sequences set titles, write to the clipboard, move over what was shown before or ask the
//! terminal to type an answer. Whoever can make an agent print something is not to have these.

use std::{
    io::{self, Write},
    mem,
};

/// The longest sequence that is taken for a colour.
const LONGEST: usize = 64;

/// Writes to a terminal. What begins like a colour and does not end before the text does is lost.
pub(super) struct Harmless<W> {
    inner: W,
    /// The beginning of what may become a colour.
    begun: Vec<u8>,
}

impl<W: Write> Harmless<W> {
    pub(super) const fn new(inner: W) -> Self {
        Self { inner, begun: Vec::new() }
    }

    /// Sorts a byte that follows what has begun.
    fn sort(&mut self, byte: u8, safe: &mut Vec<u8>) {
        match (self.begun.len(), byte) {
            (0, b'\x1b') | (1, b'[') => self.begun.push(byte),
            (2.., b'0'..=b'9' | b';' | b':') if self.begun.len() < LONGEST => self.begun.push(byte),
            (2.., b'm') => {
                safe.append(&mut self.begun);
                safe.push(byte);
            }
            (0, _) => show(byte, safe),
            _ => {
                for begun in mem::take(&mut self.begun) {
                    show(begun, safe);
                }
                self.sort(byte, safe);
            }
        }
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut safe = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.sort(byte, &mut safe);
        }
        self.inner.write_all(&safe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Control characters are shown as `^X`, as `cat -v` does.
fn show(byte: u8, safe: &mut Vec<u8>) {
    match byte {
        b'\n' | b'\t' => safe.push(byte),
        0..=0x1f | 0x7f => safe.extend([b'^', byte ^ 0x40]),
        _ => safe.push(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(printed: &str, shown: &str) {
        for size in 1..=printed.len() {
            let mut terminal = Vec::new();
            let mut harmless = Harmless::new(&mut terminal);
            for part in printed.as_bytes().chunks(size) {
                harmless.write_all(part).unwrap();
            }
            assert_eq!(String::from_utf8_lossy(&terminal), shown, "in parts of {size}");
        }
    }

    #[test]
    fn text_and_colours_stay() {
        check("a line\n\tand another ü\n", "a line\n\tand another ü\n");
        check(
            "\x1b[1;31mred\x1b[0m \x1b[38:2:1:2:3mmore\x1b[m",
            "\x1b[1;31mred\x1b[0m \x1b[38:2:1:2:3mmore\x1b[m",
        );
    }

    #[test]
    fn all_else_is_shown() {
        check("\x1b]0;title\x07.", "^[]0;title^G.");
        check("\x1b]52;c;cm0gLXJm\x1b\\.", "^[]52;c;cm0gLXJm^[\\.");
        check("\x1b[2J\x1b[H\x1b[6n.", "^[[2J^[[H^[[6n.");
        check("50 %\r100 %\x08\x7f\0.", "50 %^M100 %^H^?^@.");
        check("\x1b\x1b[31mred", "^[\x1b[31mred");
        check("\x1b[31\x1b[0m", "^[[31\x1b[0m");
    }
}
