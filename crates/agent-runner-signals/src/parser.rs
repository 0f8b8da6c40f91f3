//! Reads an agent's output as it comes.

use serde_json::Value;

use crate::{
    Event, Format, Summary,
    json::Reader,
    lines::Lines,
    recorder::{Record, Recorder},
    text,
};

/// Reads an agent's output as it comes, in pieces of any size.
///
/// Whatever the output is, a parser holds little of it: texts are cut, and what says nothing is
/// passed over. Events and [`Summary`] do not depend on how the bytes were cut into pieces.
///
/// # Examples
///
/// ```
/// use agent_runner_signals::{Event, Format, Parser};
///
/// let mut parser = Parser::new(Format::CodexJson);
/// let mut used = Vec::new();
/// parser.feed(br#"{"type":"item.completed","item":{"type":"command_ex"#, |_| {});
/// parser.feed(b"ecution\"}}\n", |event| {
///     if let Event::ToolUsed { name } = event {
///         used.push(name);
///     }
/// });
/// assert_eq!(used, ["command_execution"]);
/// assert_eq!(parser.finish().tool_uses, 1);
/// ```
#[derive(Debug)]
pub struct Parser {
    record: Record,
    stdout: Reader,
    stdout_lines: Lines,
    stderr: Reader,
    stderr_lines: Lines,
}

impl Parser {
    /// Starts to read.
    pub fn new(format: Format) -> Self {
        let stdout = match format.reading() {
            Some(reading) => Reader::new(reading.wants, reading.left_out),
            None => Reader::new(|_| false, &[]),
        };
        Self {
            record: Record::new(format),
            stdout,
            stdout_lines: Lines::default(),
            stderr: Reader::new(|_| true, &[]),
            stderr_lines: Lines::default(),
        }
    }

    /// Reads more of stdout.
    pub fn feed(&mut self, bytes: &[u8], mut on_event: impl FnMut(Event)) {
        let Some(reading) = self.record.summary.format.reading() else {
            return keep_last(&mut self.record, &mut self.stdout_lines, bytes);
        };
        let mut recorder = Recorder { record: &mut self.record, on_event: &mut on_event };
        self.stdout.feed(bytes, &mut |object: Value| (reading.object)(&object, &mut recorder));
    }

    /// Reads more of stderr. Some CLIs say there, and nowhere else, that a request is made again.
    pub fn feed_stderr(&mut self, bytes: &[u8], mut on_event: impl FnMut(Event)) {
        let Some(reading) = self.record.summary.format.reading() else {
            return keep_last(&mut self.record, &mut self.stderr_lines, bytes);
        };
        let mut recorder = Recorder { record: &mut self.record, on_event: &mut on_event };
        // Line by line, so that objects and lines are read in the order in which they came.
        for bytes in bytes.split_inclusive(|&byte| byte == b'\n') {
            if let Some(object) = reading.stderr_object {
                self.stderr.feed(bytes, &mut |value: Value| object(&value, &mut recorder));
            }
            self.stderr_lines.feed(bytes, &mut |line| {
                (reading.stderr_line)(line, &mut recorder);
                recorder.record.summary.last_line = Some(text::short(line));
            });
        }
    }

    /// What was read so far.
    pub fn summary(&self) -> &Summary {
        &self.record.summary
    }

    /// Ends the output. A last line without an end is a line too, but one that was cut says nothing.
    pub fn finish(mut self) -> Summary {
        let reading = self.record.summary.format.reading();
        let mut recorder = Recorder { record: &mut self.record, on_event: &mut |_| {} };
        for lines in [&mut self.stdout_lines, &mut self.stderr_lines] {
            lines.finish(&mut |line| {
                if let Some(reading) = reading {
                    (reading.stderr_line)(line, &mut recorder);
                }
                recorder.record.summary.last_line = Some(text::short(line));
            });
        }
        self.record.summary
    }
}

fn keep_last(record: &mut Record, lines: &mut Lines, bytes: &[u8]) {
    lines.feed(bytes, &mut |line| record.summary.last_line = Some(text::short(line)));
}
