//! What the demo's processes do.

use std::str::FromStr;

use anyhow::{Context, Result};

/// The part that a process plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Asks the provider, writes a file, ends well.
    Work,
    /// Fails at the first attempt, works at the second.
    FailOnce,
    /// Fails at every attempt.
    FailAlways,
    /// Is killed at the first attempt, works at the second.
    CrashOnce,
    /// At the first attempt: starts a child, and then neither ends nor says anything.
    HangOnce,
    /// Never ends: the child that a hanging agent leaves behind.
    Sleep,
    /// Not an agent but a runner: claims a task, takes its lock, and is killed.
    DieAsRunner,
}

impl Script {
    const ALL: [Self; 7] = [
        Self::Work,
        Self::FailOnce,
        Self::FailAlways,
        Self::CrashOnce,
        Self::HangOnce,
        Self::Sleep,
        Self::DieAsRunner,
    ];

    /// The word for it on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::FailOnce => "fail-once",
            Self::FailAlways => "fail-always",
            Self::CrashOnce => "crash-once",
            Self::HangOnce => "hang-once",
            Self::Sleep => "sleep",
            Self::DieAsRunner => "die-as-runner",
        }
    }
}

impl FromStr for Script {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|script| script.as_str() == word)
            .with_context(|| format!("there is no script `{word}`"))
    }
}
