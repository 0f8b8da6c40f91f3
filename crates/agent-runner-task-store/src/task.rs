//! Tasks and what is recorded of their attempts.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

/// The name of a task: the user's own string, or a number that the store gave.
///
/// 1 to 200 bytes, without control characters and without white space at either end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId(String);

impl TaskId {
    /// The longest name in bytes.
    pub const MAX_LEN: usize = 200;

    /// Checks a name.
    pub fn new(id: impl Into<String>) -> Result<Self, TaskIdError> {
        let id = id.into();
        if id.is_empty() {
            return Err(TaskIdError::Empty);
        }
        if id.len() > Self::MAX_LEN {
            return Err(TaskIdError::TooLong { len: id.len() });
        }
        if id.trim() != id || id.chars().any(char::is_control) {
            return Err(TaskIdError::BadCharacter { id });
        }
        Ok(Self(id))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for TaskId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for TaskId {
    type Err = TaskIdError;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        Self::new(id)
    }
}

impl TryFrom<String> for TaskId {
    type Error = TaskIdError;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.0
    }
}

/// Why a string cannot name a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskIdError {
    /// The string is empty.
    #[error("a task id cannot be empty")]
    Empty,
    /// The string is longer than [`TaskId::MAX_LEN`].
    #[error("a task id has at most {max} bytes, this one has {len}", max = TaskId::MAX_LEN)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The string has a control character, or white space at an end.
    #[error("task id {id:?} has a control character, or white space at an end")]
    BadCharacter {
        /// The string.
        id: String,
    },
}

/// A command as a backlog writes it: a string for a shell, or a list that no shell sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CommandLine {
    /// Run by `sh -c`.
    Shell(String),
    /// A program and its arguments.
    Argv(Vec<String>),
}

/// What a user asks for.
///
/// Adding is idempotent: a task is the same task when its `id` is the same or, for one without
/// an id, when its `key` is the same.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewTask {
    /// The user's name for it; `None` lets the store give the next free number.
    pub id: Option<TaskId>,
    /// What makes a task without an id the same task when it is added again, such as a hash of
    /// its text. `None` makes a new task each time.
    pub key: Option<String>,
    /// One line for people; defaults to the first line of the prompt.
    pub title: String,
    /// What the agent is asked to do.
    pub prompt: String,
    /// A command of its own, instead of the run's.
    pub command: Option<CommandLine>,
    /// Higher runs first; equal ones run in the order in which they were added.
    pub priority: i32,
    /// Tasks that must have succeeded before.
    pub depends_on: Vec<TaskId>,
    /// Names of resources that no two running tasks share.
    pub locks: Vec<String>,
    /// Patterns of the paths that it will change, such as `src/auth/**`. No two running tasks have
    /// patterns that [overlap](crate::Overlap).
    pub touches: Vec<String>,
    /// Words to select tasks by.
    pub tags: Vec<String>,
    /// How many failures of its own it may have; `None` leaves it to the run.
    pub max_attempts: Option<u32>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// How long one attempt may be silent.
    pub idle_timeout: Option<Duration>,
    /// How much memory its agent and all that it starts may use, in bytes.
    pub memory: Option<u64>,
    /// A command that must succeed before the task counts as done.
    pub verify: Option<CommandLine>,
    /// Whether a success that changed no file is refused; `None` leaves it to the run.
    pub expect_diff: Option<bool>,
    /// The earliest time of its first attempt.
    pub not_before: Option<SystemTime>,
    /// Anything else, handed on to the agent.
    pub payload: serde_json::Value,
    /// Where it was read from, such as `tasks.md`; for people and for ticking it off.
    pub source: Option<String>,
}

/// A task in a store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub id: TaskId,
    /// What was asked for. Here `spec.id` is always `Some`.
    pub spec: NewTask,
    /// Where it stands.
    pub status: TaskStatus,
    /// How many times it was claimed; the number of its last attempt.
    pub attempt: u32,
    /// Failures of its own so far.
    pub failures: u32,
    /// Crashes and lost holders so far.
    pub recoveries: u32,
    /// When it was added, by the store's clock.
    pub created_at: SystemTime,
    /// When it reached its end, by the store's clock.
    pub finished_at: Option<SystemTime>,
    /// Why its last attempt did not succeed.
    pub error: Option<String>,
}

/// Where a task stands. Every task is in exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Can be claimed now.
    Pending,
    /// Cannot be claimed yet: a dependency, a time or a resource is in the way.
    Waiting,
    /// Claimed by a worker.
    Running,
    /// Done.
    Succeeded,
    /// Out of attempts, or failed in a way that no retry mends.
    Failed,
    /// Taken out by a person.
    Cancelled,
}

impl TaskStatus {
    /// All of them, in the order of a task's life.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Waiting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it has reached its end.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One attempt at a task, as it was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The task.
    pub task: TaskId,
    /// Its number, from 1.
    pub number: u32,
    /// Who made it.
    pub worker: super::Worker,
    /// When it was claimed, by the store's clock.
    pub started_at: SystemTime,
    /// When it ended; `None` while it runs.
    pub finished_at: Option<SystemTime>,
    /// How it ended; `None` while it runs.
    pub report: Option<super::Report>,
}
