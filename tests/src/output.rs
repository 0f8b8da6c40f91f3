//! What a call of the program came to.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use serde_json::Value;

/// Exit code, stdout and stderr.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// The exit code, if no signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Output {
    pub(crate) fn new(command: String, status: ExitStatus, stdout: String, stderr: String) -> Self {
        Self { command, code: status.code(), signal: status.signal(), stdout, stderr }
    }

    /// Checks the exit code, and that there was no panic.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of {self}");
        assert!(!self.stderr.contains("panicked at"), "a panic in {self}");
        self
    }

    /// Checks that stderr holds `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "stderr should hold {text:?}: {self}");
        self
    }

    /// Checks that stdout holds `text`.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "stdout should hold {text:?}: {self}");
        self
    }

    /// Stdout as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {self}"))
    }

    /// Stdout as JSON lines.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        json_lines(&self.stdout)
    }

    /// The events of `run --json` that have this name.
    #[track_caller]
    pub fn events(&self, name: &str) -> Vec<Value> {
        self.json_lines().into_iter().filter(|event| event["event"] == name).collect()
    }

    /// The last event of `run --json`, which sums it up.
    #[track_caller]
    pub fn summary(&self) -> Value {
        let last = self.json_lines().pop().unwrap_or_default();
        assert_eq!(last["event"], "run_finished", "the last event of {self}");
        last
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, code, signal, stdout, stderr } = self;
        write!(f, "{command}\ncode {code:?}, signal {signal:?}\n")?;
        write!(f, "--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// Reads JSON lines.
#[track_caller]
pub fn json_lines(text: &str) -> Vec<Value> {
    let line = |line| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"))
    };
    text.lines().map(line).collect()
}
