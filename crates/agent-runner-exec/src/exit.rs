//! How a child ended.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

/// What a child came to: the answer of [`Child::wait`](crate::Child::wait).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Exit {
    /// Why it ended. When we ended it, this says so, whatever code it left with: an agent that
    /// answers SIGINT with exit code 0 has not succeeded.
    pub end: End,
    /// The code it left with, if it left by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// From its start until nothing was left of it.
    pub duration: Duration,
    /// What it and all that it started took.
    pub usage: Usage,
    /// Bytes that it wrote to stdout; to both streams, if they were
    /// [merged](crate::Command::merge_output).
    pub stdout_bytes: u64,
    /// Bytes that it wrote to stderr.
    pub stderr_bytes: u64,
    /// Bytes that are missing in the middle of its log, because it was over its limit.
    pub left_out_bytes: u64,
    /// The end of its output, about 4 KiB, with secrets masked and broken UTF-8 replaced.
    pub tail: String,
    /// Processes that it left behind and that were ended after it, as far as they were counted.
    pub leftovers: u32,
    /// Processes that it started and that could not be ended. Anything but 0 deserves a look.
    pub survivors: u32,
    /// Why a part of its log is missing. The child was not disturbed.
    pub log_error: Option<LogError>,
}

impl Exit {
    /// Whether it ended by itself with code 0.
    pub fn is_success(&self) -> bool {
        self.end == End::Exited(0)
    }

    /// Whether its log has a gap, because it was over its limit.
    pub fn is_truncated(&self) -> bool {
        self.left_out_bytes > 0
    }

    /// The last line of its output that has anything in it.
    pub fn last_line(&self) -> Option<&str> {
        self.tail.lines().rev().map(str::trim).find(|line| !line.is_empty())
    }
}

/// What a child and all that it started took of the machine.
///
/// In a [control group](crate::Command::cgroups) the kernel counts all of it. Elsewhere time is
/// that of the child, of every process that was waited for by the one that started it, and so on,
/// and of orphans that [came to us](crate::adopt_orphans); in steps of 10 ms. It is missing for
/// children that nobody waits for because SIGCHLD is ignored, and for processes that were orphaned
/// before they could be marked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Time on a processor in programs; `None` where it is not known.
    pub user: Option<Duration>,
    /// Time on a processor in the kernel.
    pub system: Option<Duration>,
    /// The most memory that was in use at once, in bytes.
    ///
    /// Without a control group that counts it, the most that was seen: first after 50 ms, then
    /// ever less often, in the end every 2 s (with a [limit](crate::Command::memory_limit) every
    /// 250 ms). `None` if it ended before.
    pub peak_memory: Option<u64>,
}

/// Why a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum End {
    /// It left by itself, with this code.
    Exited(i32),
    /// A signal that we did not send ended it.
    Signaled(i32),
    /// It took longer than its [timeout](crate::Command::timeout).
    TimedOut,
    /// It was silent for longer than its [idle timeout](crate::Command::idle_timeout).
    IdleTimedOut,
    /// It used more memory than its [limit](crate::Command::memory_limit).
    MemoryExceeded,
    /// Somebody raised its [`Stop`](crate::Stop).
    Stopped,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signaled(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "ended by signal {signal} ({name})"),
                None => write!(f, "ended by signal {signal}"),
            },
            Self::TimedOut => f.write_str("timed out"),
            Self::IdleTimedOut => f.write_str("timed out without output"),
            Self::MemoryExceeded => f.write_str("used more memory than it may"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// The names that are the same number on every platform.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}

/// Why a log could not be written to its end.
#[derive(Debug, Clone, thiserror::Error)]
#[error("could not write log '{}'", path.display())]
pub struct LogError {
    /// The log.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: Arc<io::Error>,
}
