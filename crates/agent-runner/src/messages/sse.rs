//! Reads server-sent events as their bytes come, in bounded memory.

/// No event of the API is nearly as long.
const MAX_EVENT: usize = 1024 * 1024;

/// Reads the data of events out of a stream. Names, ids and comments are passed over: each event of
/// the API names itself.
#[derive(Debug, Default)]
pub struct Events {
    /// The line that is being read, as far as it is there.
    line: Vec<u8>,
    /// The data of the event that is being read.
    data: Vec<u8>,
    has_data: bool,
    after_return: bool,
}

/// An event is longer than any event of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl Events {
    /// Reads on, and hands over the data of each event that is whole. Its lines are joined by line
    /// feeds.
    ///
    /// # Errors
    ///
    /// When an event is longer than a mebibyte. What follows would not be read in the right place.
    pub fn feed(&mut self, bytes: &[u8], mut on_data: impl FnMut(&[u8])) -> Result<(), TooLong> {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match piece.split_last() {
                Some((&end @ (b'\n' | b'\r'), text)) => (text, Some(end)),
                _ => (piece, None),
            };
            // The second half of `\r\n` ends no other line.
            let is_half = end == Some(b'\n') && text.is_empty() && self.after_return;
            self.after_return = end == Some(b'\r');
            if is_half {
                continue;
            }
            if self.line.len() + self.data.len() + text.len() > MAX_EVENT {
                return Err(TooLong);
            }
            self.line.extend_from_slice(text);
            if end.is_some() {
                self.end_line(&mut on_data);
            }
        }
        Ok(())
    }

    fn end_line(&mut self, on_data: &mut dyn FnMut(&[u8])) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                on_data(&self.data);
                self.data.clear();
            }
            return;
        }
        let Some(data) = line.strip_prefix(b"data:") else { return };
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut events = Events::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            let on_data = |data: &[u8]| seen.push(String::from_utf8_lossy(data).into_owned());
            events.feed(chunk, on_data).expect("they are short");
        }
        seen
    }

    #[test]
    fn events_are_read_by_the_rules() {
        for (stream, expected) in [
            ("event: a\ndata: {}\n\n", vec!["{}"]),
            ("data: one\r\n\r\ndata: two\r\n\r\n", vec!["one", "two"]),
            ("data: one\r\rdata:two\r\r", vec!["one", "two"]),
            ("data: a\ndata: b\ndata\n\n", vec!["a\nb"]),
            (": a comment\n\nid: 7\nretry: 9\n\n", vec![]),
            ("data:\n\n\n\n", vec![""]),
            ("data: without an end", vec![]),
            ("data: without an end\n", vec![]),
            ("data:  x \n\n", vec![" x "]),
        ] {
            assert_eq!(read([stream.as_bytes()]), expected, "{stream:?}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_not_kept() {
        let mut events = Events::default();
        let piece = [b'x'; 1000];
        let mut feed = |bytes: &[u8]| events.feed(bytes, |_| panic!("there is no event"));
        feed(b"data: ").unwrap();
        let told = (0..2 * MAX_EVENT / piece.len()).find_map(|_| feed(&piece).err());
        assert_eq!(told, Some(TooLong));
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            bytes in prop::collection::vec(prop::sample::select(b"dat:x \r\n".as_slice()), 0..60),
            size in 1usize..9,
        ) {
            let whole = [b"data:".as_slice(), &bytes, b"\n\ndata: end\n\n"].concat();
            prop_assert_eq!(read([whole.as_slice()]), read(whole.chunks(size)));
        }
    }
}
