//! Reads the lines of any stream, as the bytes come and in bounded memory.

use std::mem;

/// The longest line that is kept; the rest of a longer one is cut off.
const MAX_LINE: usize = 4 * 1024;

/// Reads lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// Reads on, and hands over each line that is not blank, without the white space around it.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], on_line: &mut dyn FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.keep(&bytes[..end]);
            self.finish(on_line);
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    /// Hands over the last line, if it had no end.
    pub(crate) fn finish(&mut self, on_line: &mut dyn FnMut(&str)) {
        let line = mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if !line.trim().is_empty() {
            on_line(line.trim());
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            lines.feed(chunk, &mut |line| seen.push(line.to_owned()));
        }
        lines.finish(&mut |line| seen.push(line.to_owned()));
        seen
    }

    #[test]
    fn lines_lose_what_is_around_them() {
        assert_eq!(read([b"one\r\n\n  \n two \nthree".as_slice()]), ["one", "two", "three"]);
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_not() {
        let text = format!("{}\nshort\n", "x".repeat(100_000));
        let lines = read([text.as_bytes()]);
        assert_eq!((lines[0].len(), lines[1].as_str()), (MAX_LINE, "short"));
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            bytes in prop::collection::vec(prop::sample::select(b"ab \r\n\xff".as_slice()), 0..60),
            size in 1usize..9,
        ) {
            prop_assert_eq!(read([bytes.as_slice()]), read(bytes.chunks(size)));
        }
    }
}
