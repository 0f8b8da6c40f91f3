//! Reads along in an answer: what it used, and whether it broke down on the way.

use serde_json::Value;

use crate::{Usage, scan::Scanner};

const FIELDS: &[&str] = &["usage", "usageMetadata", "model", "modelVersion", "error"];

/// Bytes a token, where nobody counts them.
const BYTES_A_TOKEN: u64 = 4;

/// Reads along.
#[derive(Debug)]
pub(crate) struct Meter {
    scanner: Scanner,
    is_stream: bool,
    usage: Usage,
    is_told: bool,
    model: Option<String>,
    error: Option<String>,
    bytes: u64,
}

impl Meter {
    /// For a stream of events, or else for one document.
    pub(crate) fn new(is_stream: bool) -> Self {
        let scanner = if is_stream { Scanner::by_line(FIELDS) } else { Scanner::new(FIELDS) };
        Self {
            scanner,
            is_stream,
            usage: Usage::default(),
            is_told: false,
            model: None,
            error: None,
            bytes: 0,
        }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let Self { scanner, usage, is_told, model, error, .. } = self;
        scanner.feed(bytes, |found| {
            let Ok(value) = serde_json::from_slice::<Value>(found.value) else { return };
            match (found.key, value) {
                ("usage" | "usageMetadata", value) if value.is_object() => {
                    usage.update(&value);
                    *is_told = true;
                }
                ("model" | "modelVersion", Value::String(name)) => *model = Some(name),
                ("error", value) if !value.is_null() => {
                    *error = Some(serde_json::json!({ "error": value }).to_string());
                }
                _ => (),
            }
        });
    }

    /// Whether the answer says what was used.
    pub(crate) const fn is_told(&self) -> bool {
        self.is_told
    }

    /// The model that answers, by its own word.
    pub(crate) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Takes an error that was reported in the middle, as the body that it would have been.
    pub(crate) fn take_error(&mut self) -> Option<String> {
        self.error.take()
    }

    /// What was used, and whether that is an estimate.
    ///
    /// An answer that says nothing, or was cut before it did, is counted by its size: a token for
    /// each event of a stream, or for each four bytes.
    pub(crate) fn usage(&self, request_bytes: usize, is_whole: bool) -> (Usage, bool) {
        let output =
            if self.is_stream { self.scanner.documents() } else { self.bytes / BYTES_A_TOKEN };
        let mut usage = self.usage;
        if !self.is_told {
            usage.input = request_bytes as u64 / BYTES_A_TOKEN;
        }
        let is_estimated = !self.is_told || !is_whole;
        if is_estimated {
            usage.output = usage.output.max(output);
        }
        (usage, is_estimated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "event: message_start\n\
        data: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-opus-9\",\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n\
        event: content_block_delta\n\
        data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"\\\"usage\\\":{\\\"input_tokens\\\":9}\"}}\n\n\
        event: message_delta\n\
        data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}\n\n";

    fn read(meter: &mut Meter, text: &str, piece: usize) {
        text.as_bytes().chunks(piece).for_each(|bytes| meter.feed(bytes));
    }

    #[test]
    fn a_stream_is_counted_however_it_is_cut() {
        for piece in 1..60 {
            let mut meter = Meter::new(true);
            read(&mut meter, STREAM, piece);
            let (usage, is_estimated) = meter.usage(1000, true);
            assert_eq!((usage.input, usage.output, is_estimated), (25, 15, false), "{piece}");
            assert_eq!(meter.model(), Some("claude-opus-9"));
        }
    }

    #[test]
    fn what_says_nothing_is_counted_by_its_size() {
        let mut meter = Meter::new(true);
        read(
            &mut meter,
            &"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n".repeat(7),
            11,
        );
        let (usage, is_estimated) = meter.usage(4000, true);
        assert_eq!((usage.input, usage.output, is_estimated), (1000, 7, true));
        let mut cut = Meter::new(true);
        read(&mut cut, STREAM.split_once("event: message_delta").unwrap().0, 9);
        let (usage, is_estimated) = cut.usage(4000, false);
        assert_eq!((usage.input, usage.output, is_estimated), (25, 2, true));
    }

    #[test]
    fn an_error_in_the_middle_is_seen() {
        let mut meter = Meter::new(true);
        read(&mut meter, STREAM, 100);
        assert_eq!(meter.take_error(), None);
        let text = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
        read(&mut meter, text, 10);
        assert_eq!(meter.take_error().unwrap(), r#"{"error":{"type":"overloaded_error"}}"#);
        let mut meter = Meter::new(false);
        read(
            &mut meter,
            r#"{"id":"r","error":null,"usage":{"input_tokens":3,"output_tokens":2}}"#,
            7,
        );
        assert_eq!(meter.take_error(), None);
        assert_eq!(meter.usage(0, true).0.total(), 5);
    }
}
