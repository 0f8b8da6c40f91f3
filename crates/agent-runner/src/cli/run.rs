//! `run` and its choices.

use std::{path::PathBuf, time::Duration};

use agent_runner_gateway::Budget;
use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::{
    isolation::{Isolate, Merging},
    units::{FailureLimit, parse_budget, parse_duration, parse_load, parse_pause, parse_size},
};

/// `run`.
#[derive(Debug, Default, Args)]
#[command(
    after_help = "The command after `--` is run once for each task. `{{prompt}}`, `{{title}}`, `{{id}}` and the other
fields (`agent-runner help templates`) are filled in one argument at a time, never through a shell.
Without any of them the prompt is given on stdin.

Examples:
  agent-runner run tasks.md -j 8 -- claude -p '{{prompt}}'
  agent-runner run todo.csv --verify 'cargo test -q' -- codex exec '{{prompt}}'
  agent-runner run                     continue where the last run ended"
)]
#[expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "the fields are the flags, under their names"
)]
pub struct Run {
    /// Backlogs to add first: .json .jsonl .yaml .toml .csv .md .txt, or `-` for stdin
    #[arg(value_name = "BACKLOG")]
    pub backlogs: Vec<PathBuf>,
    /// How many agents work at once
    #[arg(short, long, value_name = "N", env = "AGENT_RUNNER_JOBS", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub jobs: Option<u32>,
    /// The format of the backlogs, when their names do not say it
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Only tasks with this tag (may be repeated)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Make at most N attempts
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Show what would be run, and run nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Fill in the command's words and hand the line to `sh -c`
    #[arg(long)]
    pub shell: bool,
    /// A shell command that must succeed before a task counts as done
    #[arg(long, value_name = "CMD", help_heading = "Limits")]
    pub verify: Option<String>,
    /// How long an attempt may take, such as `30m`
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub timeout: Option<Duration>,
    /// How long an attempt may be silent
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub idle_timeout: Option<Duration>,
    /// How much memory an agent and all that it starts may use, such as `4G`
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub memory: Option<u64>,
    /// How long the log of an attempt may become; of a longer one the beginning and the end are kept
    /// [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub log_limit: Option<u64>,
    /// How long agents may go on after the first Ctrl-C, and then after SIGTERM [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub grace: Option<Duration>,
    /// Let fewer agents work at once while a provider asks to slow down, and more again when it does
    /// not: from 4 on, never more than `--jobs`
    #[arg(long, help_heading = "Starting agents")]
    pub adaptive: bool,
    /// How long to wait between starts that raise the number of agents at work [default: 0, or what
    /// the profile says]
    #[arg(long, value_name = "TIME", value_parser = parse_pause, help_heading = "Starting agents")]
    pub stagger: Option<Duration>,
    /// Start no agent beside others while the machine's load (of the last minute) is higher
    #[arg(long, value_name = "N", value_parser = parse_load, help_heading = "Starting agents")]
    pub max_load: Option<f64>,
    /// Start no agent beside others while less memory is free, such as `2G`
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Starting agents")]
    pub min_free_memory: Option<u64>,
    /// How often a task may fail before it is given up [default: 3]. Crashes of agents and runs are
    /// not counted, but after five of them it is given up too
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits")]
    pub attempts: Option<u32>,
    /// The first wait before a failed task is tried again; it doubles up to a minute [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub retry_delay: Option<Duration>,
    /// Stop when this many tasks, or this share of them, have failed
    #[arg(long, value_name = "N|N%", help_heading = "Limits")]
    pub max_failures: Option<FailureLimit>,
    /// Stop at the first task that failed for good
    #[arg(long, conflicts_with = "max_failures", help_heading = "Limits")]
    pub fail_fast: bool,
    /// Which agent it is, if the program's name does not say it: claude, codex, gemini, opencode,
    /// aider, sh, messages, or one of the configuration. Brings its own command
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Whether a retry goes on with the agent's session, where it has one, and with the work in its
    /// worktree [default: warm]
    #[arg(long, value_name = "HOW", help_heading = "Limits")]
    pub retries: Option<Retries>,
    /// What to do with agents that a killed run left at work [default: kill]
    #[arg(long, value_name = "WHAT", help_heading = "Limits")]
    pub orphans: Option<Orphans>,
    /// Give up (exit code 6) rather than wait when no credential is ready for what is left
    #[arg(long, help_heading = "Limits")]
    pub no_wait_keys: bool,
    /// Whether agents get their keys request by request, from a gateway on this machine, and never
    /// see one: `auto` does so for agents that are known to take a base URL [default: auto]
    #[arg(long, value_name = "WHEN", help_heading = "Keys")]
    pub gateway: Option<GatewayMode>,
    /// What the run may spend, such as `$20` or `5M` tokens. Needs the gateway; dollars need prices in
    /// the configuration
    #[arg(long, value_name = "AMOUNT", value_parser = parse_budget, help_heading = "Keys")]
    pub budget: Option<Budget>,
    /// What each task may spend, with all its attempts
    #[arg(long, value_name = "AMOUNT", value_parser = parse_budget, help_heading = "Keys")]
    pub task_budget: Option<Budget>,
    /// What it means when there is no task at all
    #[arg(long, value_name = "WHAT", default_value = "error", help_heading = "Limits")]
    pub empty: Empty,
    /// The agent: a program and its arguments
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<String>,
    /// Where agents work, and the way back.
    #[command(flatten)]
    pub isolation: Isolation,
}

/// Where agents work, and the way back.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Isolation")]
pub struct Isolation {
    /// Where agents work: all in this folder, or each in a git worktree, on a branch of its own
    /// [default: none]
    #[arg(long, value_name = "HOW")]
    pub isolate: Option<Isolate>,
    /// Merge what is done into the target, one after the other and checked again there: as one
    /// commit a task, or with `--merge=keep` as the agent's own commits
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "squash")]
    pub merge: Option<Merging>,
    /// The branch that work begins at and is merged into [default: the one that is checked out]
    #[arg(long, value_name = "BRANCH")]
    pub target: Option<String>,
    /// Refuse a success that changed no file, for tasks that do not say themselves
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub expect_diff: Option<bool>,
}

/// What becomes of agents whose run was killed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orphans {
    /// They are ended, and their tasks are tried again at once.
    #[default]
    Kill,
    /// Their tasks are tried again when they have ended by themselves.
    Wait,
}

/// When keys are lent request by request.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayMode {
    /// For agents that are known to take a base URL.
    #[default]
    Auto,
    /// For all agents; those that ignore it have no key.
    On,
    /// Never: an agent gets a key of its own.
    Off,
}

/// How a task is tried again.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retries {
    /// The agent goes on with its session and its work, and is told what went wrong.
    #[default]
    Warm,
    /// A copy of its session, or a new one where it cannot copy, goes on with the work.
    Fork,
    /// A new session begins, and is told what went wrong; in a worktree the work begins anew, too.
    Cold,
}

/// What an empty backlog means.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Empty {
    /// Exit code 4.
    #[default]
    Error,
    /// Exit code 0.
    Ok,
}
