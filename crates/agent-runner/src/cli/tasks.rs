//! The commands that add, show and change tasks.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::units::parse_duration;

/// `add`.
#[derive(Debug, Args)]
pub struct Add {
    /// What the agent is asked to do; `-` reads it from stdin
    #[arg(value_name = "PROMPT")]
    pub prompt: String,
    /// A name for the task; without one it gets the next number
    #[arg(long)]
    pub id: Option<String>,
    /// One line for people
    #[arg(long)]
    pub title: Option<String>,
    /// Higher runs first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i32,
    /// A task that must have succeeded before (may be repeated)
    #[arg(long = "after", value_name = "ID")]
    pub depends_on: Vec<String>,
    /// A resource that no two running tasks share (may be repeated)
    #[arg(long = "lock", value_name = "NAME")]
    pub locks: Vec<String>,
    /// Paths that it will edit, such as `src/auth/**`: no other task touches them meanwhile (may be
    /// repeated)
    #[arg(long, value_name = "GLOB")]
    pub touches: Vec<String>,
    /// A word to select it by (may be repeated)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// A shell command that must succeed before it counts as done
    #[arg(long, value_name = "CMD")]
    pub verify: Option<String>,
    /// Refuse a success that changed no file
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub expect_diff: Option<bool>,
    /// How long an attempt may take
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// How often it may fail
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub attempts: Option<u32>,
}

/// `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The files; `-` is stdin
    #[arg(value_name = "BACKLOG", required = true)]
    pub backlogs: Vec<PathBuf>,
    /// The format, when the names do not say it
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only tasks that stand so: pending, waiting, running, succeeded, failed, cancelled (may be repeated)
    #[arg(short, long = "status", value_name = "STATUS")]
    pub statuses: Vec<Status>,
    /// Only tasks with this tag (may be repeated)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// At most N tasks
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Tab-separated values without a heading
    #[arg(long, conflicts_with = "json")]
    pub plain: bool,
}

/// Where a task stands, on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Status {
    Pending,
    Waiting,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The task
    pub id: String,
}

/// `logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The task
    pub id: String,
    /// Which attempt [default: the last]
    #[arg(long, value_name = "N")]
    pub attempt: Option<u32>,
    /// Print the path of the log instead
    #[arg(long)]
    pub path: bool,
}

/// `retry` and `cancel`.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Select {
    /// The tasks
    pub ids: Vec<String>,
    /// All tasks that failed
    #[arg(long, conflicts_with = "ids")]
    pub failed: bool,
    /// All tasks that this is possible for
    #[arg(long, conflicts_with_all = ["ids", "failed"])]
    pub all: bool,
    /// All with this tag (may be repeated)
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "ids")]
    pub tags: Vec<String>,
}

/// `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The format: jsonl, json, yaml, toml, csv or md [default: by the file's name, else jsonl]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Only tasks that stand so (may be repeated)
    #[arg(short, long = "status", value_name = "STATUS")]
    pub statuses: Vec<Status>,
    /// The file [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
