//! The outputs that are understood: a file each.

mod claude;
mod codex;
mod gemini;
mod messages;
mod opencode;

use std::{fmt, str::FromStr};

use serde_json::Value;

use crate::recorder::Recorder;

/// What an agent prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `claude -p --output-format stream-json --verbose`, and `json`.
    ClaudeStreamJson,
    /// `codex exec --json`.
    CodexJson,
    /// `gemini -o stream-json` and `gemini -o json`.
    GeminiJson,
    /// `opencode run --format json`.
    OpenCodeJson,
    /// The events of the Messages API, one on each line, as `agent-runner messages` prints them.
    Messages,
    /// Anything else. Its text is never searched: the end of its process says all.
    Plain,
}

/// No format has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFormat;

/// How a format is read.
pub(crate) struct Reading {
    /// The types of objects on stdout that say something.
    pub(crate) wants: fn(&str) -> bool,
    /// The names of fields that are large and say nothing.
    pub(crate) left_out: &'static [&'static str],
    /// Reads an object of stdout.
    pub(crate) object: fn(&Value, &mut Recorder<'_>),
    /// Reads an object of stderr.
    pub(crate) stderr_object: Option<fn(&Value, &mut Recorder<'_>)>,
    /// Reads a line of stderr.
    pub(crate) stderr_line: fn(&str, &mut Recorder<'_>),
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ClaudeStreamJson,
        Self::CodexJson,
        Self::GeminiJson,
        Self::OpenCodeJson,
        Self::Messages,
        Self::Plain,
    ];

    /// The CLI's name: `claude`, `codex`, `gemini`, `opencode`, `messages` or `plain`. It can be parsed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClaudeStreamJson => "claude",
            Self::CodexJson => "codex",
            Self::GeminiJson => "gemini",
            Self::OpenCodeJson => "opencode",
            Self::Messages => "messages",
            Self::Plain => "plain",
        }
    }

    /// How it is read, if its lines mean anything.
    pub(crate) const fn reading(self) -> Option<&'static Reading> {
        match self {
            Self::ClaudeStreamJson => Some(&claude::READING),
            Self::CodexJson => Some(&codex::READING),
            Self::GeminiJson => Some(&gemini::READING),
            Self::OpenCodeJson => Some(&opencode::READING),
            Self::Messages => Some(&messages::READING),
            Self::Plain => None,
        }
    }

    /// The provider's HTTP status that an exit code stands for.
    pub(crate) fn status_of(self, exit_code: i32) -> Option<u16> {
        match self {
            Self::GeminiJson => gemini::status_of(exit_code),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.as_str() == name).ok_or(UnknownFormat)
    }
}

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no format has this name: there are")?;
        let mut formats = Format::ALL.iter();
        formats.try_for_each(|format| write!(f, " {format}"))
    }
}

impl std::error::Error for UnknownFormat {}

/// For CLIs that say nothing on stderr that a rule could use.
fn ignore_line(_: &str, _: &mut Recorder<'_>) {}
