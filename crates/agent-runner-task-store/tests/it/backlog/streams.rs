//! Streams: what is read when, and what happens to what is too long or breaks off.

use std::{
    error::Error,
    io::{self, BufRead, BufReader, Read},
};

use agent_runner_task_store::backlog::{self, BacklogErrorKind, Format};

use super::{prompts, tasks};

const MIB: u64 = 1 << 20;

/// Lines without end.
fn endless(line: &'static str) -> impl BufRead + Send {
    struct Endless(&'static [u8], usize);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            for byte in &mut *buffer {
                *byte = self.0[self.1];
                self.1 = (self.1 + 1) % self.0.len();
            }
            Ok(buffer.len())
        }
    }
    BufReader::new(Endless(line.as_bytes(), 0))
}

fn tables() -> [(Format, &'static str, &'static str); 3] {
    [
        (Format::Jsonl, "", "{\"prompt\": \"go on\"}\n"),
        (Format::Csv, "prompt,tags\n", "go on,a\n"),
        (Format::Lines, "", "go on\n"),
    ]
}

#[test]
fn the_first_tasks_do_not_wait_for_the_last() {
    for (format, header, line) in tables() {
        let input = header.as_bytes().chain(endless(line));
        let tasks: Vec<_> = backlog::read("-", format, input).take(1000).collect();
        assert_eq!(tasks.len(), 1000);
        for task in tasks {
            assert_eq!(task.expect("each line is well-formed").prompt, "go on");
        }
    }
}

#[test]
fn a_line_without_end_is_refused_and_the_next_one_read() {
    for format in [Format::Jsonl, Format::Lines] {
        let long = endless("x").take(40 * MIB);
        let input = long.chain("\n\"next\"\n".as_bytes());
        let mut reader = backlog::read("-", format, input);
        let error = reader.next().expect("there is a line").expect_err("it is too long");
        assert_eq!(error.to_string(), "-:1: the line is longer than 16777216 bytes");
        let next = reader.next().expect("there is a next line").expect("it is fine");
        assert_eq!(next.prompt.trim_matches('"'), "next");
        assert!(reader.next().is_none());
    }
}

#[test]
fn a_row_that_a_quote_keeps_open_is_refused() {
    let input = "prompt\nfirst\n\"".as_bytes().chain(endless("a line\n"));
    let mut reader = backlog::read("-", Format::Csv, input);
    assert_eq!(reader.next().expect("a row").expect("it is fine").prompt, "first");
    let error = reader.next().expect("a row").expect_err("it does not end");
    assert!(matches!(error.kind(), BacklogErrorKind::TooLong { .. }), "{error}");
    assert_eq!(error.line(), Some(3));
    assert_eq!(error.hint(), Some("is there a double quote that is never closed?"));
    assert!(reader.next().is_none(), "what follows would be nonsense");
}

#[test]
fn a_text_without_end_is_refused() {
    let mut reader = backlog::read("-", Format::Markdown, endless("a line\n"));
    let error = reader.next().expect("an error").expect_err("it does not end");
    assert!(matches!(error.kind(), BacklogErrorKind::TooLong { .. }), "{error}");
    assert!(reader.next().is_none());
}

#[test]
fn a_stream_that_breaks_is_an_error_and_the_end() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable is out"))
        }
    }
    for format in Format::ALL {
        let input = "prompt\n".as_bytes().chain(BufReader::new(Broken));
        let last = backlog::read("-", format, input).last().expect("there is an error");
        let error = last.expect_err("it broke");
        assert!(error.to_string().ends_with(": could not read the backlog"), "{error}");
        let source = error.source().expect("the system said something");
        assert_eq!(source.to_string(), "the cable is out");
    }
}

#[test]
fn byte_order_marks_and_crlf_are_fine() {
    for (format, text) in [
        (Format::Json, "[\"a\",\n\"b\"]\n"),
        (Format::Jsonl, "\"a\"\n\"b\"\n"),
        (Format::Yaml, "- a\n- b\n"),
        (Format::Toml, "tasks = [\n'a',\n'b',\n]\n"),
        (Format::Csv, "prompt\na\nb\n"),
        (Format::Markdown, "- [ ] a\n- [ ] b\n"),
        (Format::Lines, "a\nb\n"),
    ] {
        for text in [text.to_owned(), text.replace('\n', "\r\n"), text.trim_end().to_owned()] {
            for text in [format!("\u{feff}{text}"), text] {
                assert_eq!(prompts(&tasks(format, &text)), ["a", "b"], "{format}: {text:?}");
            }
        }
    }
}

#[test]
fn a_row_may_span_lines_and_the_next_has_its_own_number() {
    let text = "id,prompt\n1,\"a\nb\"\n\n2,x\n2,y\n";
    for text in [text.to_owned(), text.replace('\n', "\r\n")] {
        let errors = backlog::parse("t.csv", Format::Csv, text).expect_err("2 is used twice");
        assert_eq!(errors.to_string(), "t.csv:6: task id '2' is used twice, first at line 5");
    }
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let error = backlog::open("no/such/tasks.jsonl", None).expect_err("it is not there");
    assert!(matches!(error.kind(), BacklogErrorKind::Io(_)), "{error}");
    assert_eq!(error.to_string(), "no/such/tasks.jsonl: could not read the backlog");
    let error = backlog::open("tasks.docx", None).expect_err("that is no format");
    assert!(matches!(error.kind(), BacklogErrorKind::UnknownFormat), "{error}");
}
