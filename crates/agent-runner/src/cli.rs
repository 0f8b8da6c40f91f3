//! The command line: every command and flag, and nothing that acts on them.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use agent_runner_gateway::Budget;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;

use crate::{
    isolation::{Isolate, Merging},
    units::{FailureLimit, parse_budget, parse_duration, parse_load, parse_pause, parse_size},
};

/// Work through a backlog of coding-agent tasks with many agents at once, unattended.
#[derive(Debug, Parser)]
#[command(
    name = "agent-runner",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Examples:
  agent-runner demo                                        watch a whole run, no key needed
  agent-runner run tasks.md -j 8 -- claude -p '{{prompt}}'   work through a checklist
  agent-runner status                                      see where it stands
  agent-runner retry --failed && agent-runner run          try the failed ones again

Exit codes and environment: `agent-runner help exit-codes`, `agent-runner help environment`"
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Work in this folder
    #[arg(short = 'C', long = "directory", global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Use this configuration file instead of the nearest `agent-runner.toml`
    #[arg(long, global = true, value_name = "FILE", env = "AGENT_RUNNER_CONFIG")]
    pub config: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long, global = true, conflicts_with = "config")]
    pub no_config: bool,
    /// The task store: `sqlite:PATH` or `memory:` [default: sqlite:.agent-runner/store.db]
    #[arg(long, global = true, value_name = "URL", env = "AGENT_RUNNER_STORE")]
    pub store: Option<String>,
    /// Machine-readable output on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Say less: once for failures only, twice for nothing
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub quiet: u8,
    /// Say more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// When to use colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        env = "AGENT_RUNNER_COLOR"
    )]
    pub color: When,
    /// How to show progress on stderr
    #[arg(
        long,
        global = true,
        value_name = "HOW",
        default_value = "auto",
        env = "AGENT_RUNNER_PROGRESS"
    )]
    pub progress: Progress,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// A footer on a terminal, lines elsewhere.
    Auto,
    /// A footer that stays at the bottom of the terminal.
    Bar,
    /// A line for each thing that happens.
    Lines,
    /// Nothing.
    None,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch a whole run in 15 seconds: built-in agents, no keys, no network
    Demo(Demo),
    /// Write `agent-runner.toml` and a sample backlog
    Init(Init),
    /// Check tools, keys, store and locks, and say how to mend each
    Doctor,
    /// Work through a backlog with many agents at once
    Run(Box<Run>),
    /// Add one task
    Add(Add),
    /// Add the tasks of files
    Import(Import),
    /// List tasks
    List(List),
    /// Show one task with its attempts
    Show(Show),
    /// Count the tasks, and show what is running
    Status,
    /// Print the log of a task's attempt
    Logs(Logs),
    /// Make ended tasks pending again
    Retry(Select),
    /// Take tasks out
    Cancel(Select),
    /// Write the tasks to stdout or a file
    Export(Export),
    /// See, clean and break locks, or run a command under one
    #[command(subcommand)]
    Locks(Locks),
    /// See the worktrees of tasks, and remove what is merged
    #[command(subcommand)]
    Worktrees(Worktrees),
    /// See and try the credentials, and use them again
    #[command(subcommand)]
    Keys(Keys),
    /// Lend the keys to any agent or SDK on this machine, request by request
    Gateway(Gateway),
    /// Forecast how long a backlog takes and what it costs under a provider's limits
    Rehearse(Rehearse),
    /// Say what the recorded output of an agent came to
    Classify(Classify),
    /// Ask the Messages API once, without tools, and print its events: the agent of `--profile messages`
    Messages(Box<Messages>),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page
    Man,
    /// Explain a command or a topic: exit-codes, environment, formats, templates
    Help(Help),
}

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
    /// Give up (exit code 6) rather than wait when no credential is ready
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

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Makes the same run again
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many times faster
    #[arg(long, default_value_t = 1.0, value_parser = parse_speed)]
    pub speed: f64,
    /// Keep the demo's folder, and say where it is
    #[arg(long)]
    pub keep: bool,
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Overwrite files that exist
    #[arg(long)]
    pub force: bool,
}

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

/// `worktrees`.
#[derive(Debug, Subcommand)]
pub enum Worktrees {
    /// List them, with what they are used for
    List,
    /// Remove worktrees that nobody uses, and branches of tasks that are merged; never work that is not
    Gc,
}

/// `locks`.
#[derive(Debug, Subcommand)]
pub enum Locks {
    /// List the locks that are held or waited for, and those whose holder died
    List,
    /// Show who holds a lock, and which processes keep it
    Show(LockKey),
    /// Remove lock files that nobody holds
    Clean,
    /// End the processes that keep a lock: those whose runner is gone, or the holder too
    Break(LocksBreak),
    /// Run a command that holds locks, as flock(1) does
    Run(LocksRun),
}

/// `locks show`.
#[derive(Debug, Args)]
pub struct LockKey {
    /// A task's id, or the name of a resource
    #[arg(value_name = "KEY")]
    pub key: String,
}

/// `locks break`.
#[derive(Debug, Args)]
pub struct LocksBreak {
    /// A task's id, or the name or the pattern of a resource
    #[arg(value_name = "KEY")]
    pub key: String,
    /// End the holder too if it lives; a run is ended with all its agents
    #[arg(long)]
    pub kill_holder: bool,
    /// How long they have between SIGTERM and SIGKILL
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "5s")]
    pub grace: Duration,
}

/// `locks run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Tasks that name one of these in their `locks` or `touches` are not started meanwhile. The command
gets all locks at once or none, keeps them when this program is killed, and is ended when one is lost.
Who asked first gets them first; nothing else that wants one of them is started in between.
The exit code is the command's, or 7 when the locks could not be had in time or were lost. Locks are
those of the project around the current folder; paths count from its root.

Examples:
  agent-runner locks run db -- make migrate
  agent-runner locks run --touches 'src/auth/**' --wait 10m -- $EDITOR src/auth/login.rs"
)]
pub struct LocksRun {
    /// Names of resources, as in a task's `locks`
    #[arg(value_name = "KEY", required_unless_present = "touches")]
    pub keys: Vec<String>,
    /// Paths, as in a task's `touches` (may be repeated)
    #[arg(long, value_name = "GLOB")]
    pub touches: Vec<String>,
    /// Let others in who share them too; who wants them alone waits for all of them
    #[arg(long)]
    pub shared: bool,
    /// How long to wait for them [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub wait: Option<Duration>,
    /// Do not wait
    #[arg(short = 'n', long, conflicts_with = "wait")]
    pub no_wait: bool,
    /// The command
    #[arg(last = true, value_name = "CMD", required = true)]
    pub command: Vec<String>,
}

/// `keys`.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// List the credentials that were found, and how they stand; never the secrets
    List,
    /// Say that credentials can be used again, such as after somebody has paid; running runs learn it
    Reset {
        /// Their labels, as `keys list` shows them; without any, all
        #[arg(value_name = "LABEL")]
        labels: Vec<String>,
    },
    /// Ask each provider whether it takes the key: one request a key, which costs nothing
    Test,
}

/// `gateway`.
#[derive(Debug, Args)]
#[command(
    after_help = "Any agent or SDK that takes a base URL works through it, and never sees a key. What to set is
printed at the start. The token is new each time, unless AGENT_RUNNER_GATEWAY_TOKEN has one;
AGENT_RUNNER_METRICS_TOKEN is the one for /metrics.

Examples:
  agent-runner gateway
  agent-runner gateway --listen 127.0.0.1:0 --json     on a free port, for a script
  agent-runner gateway --budget 5M"
)]
pub struct Gateway {
    /// Where to listen, on this machine only
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8790")]
    pub listen: SocketAddr,
    /// What may be spent, such as `$20` or `5M` tokens
    #[arg(long, value_name = "AMOUNT", value_parser = parse_budget)]
    pub budget: Option<Budget>,
    /// How long a request waits for a key before it is refused [default: 4m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub hold: Option<Duration>,
}

/// `rehearse`.
#[derive(Debug, Args)]
#[command(
    after_help = "The scheduler that lends keys in a run works against a simulated provider, in virtual time: nobody is
asked, and a night is over in seconds. It prints a forecast, with --json one object (docs/schemas/rehearse.schema.json).

A scenario is TOML, and all in it has a default:
  requests_per_minute = 1000         limits of each account
  input_tokens_per_minute = 450000
  output_tokens_per_minute = 90000
  turns = 20                         requests of a task
  first_input_tokens = 15000         and input_tokens_a_turn, output_tokens_a_turn, latency_s, cache_s
  outages_s = [[600, 720]]           and overloaded = 0.002, outside = 0.0, burst = 0.1, seed = 1
  input_price = 3.0                  a million tokens; cache_write_price, cache_read_price, output_price
  [[key]]
  number = 1                         revoked_at_s = 900, daily_quota = 500

Examples:
  agent-runner rehearse tasks.md --keys 4 -j 16
  agent-runner rehearse tasks.md --keys 8/2 --scenario tonight.toml"
)]
pub struct Rehearse {
    /// Files with tasks
    #[arg(value_name = "BACKLOG", required = true)]
    pub backlogs: Vec<PathBuf>,
    /// How many keys; `8/2` are eight keys of two accounts
    #[arg(short, long, value_name = "SPEC", default_value = "1")]
    pub keys: String,
    /// What the agents ask for and the provider allows
    #[arg(short, long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// How many agents work at once [default: as `run`]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<u32>,
}

/// `classify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Prints one JSON object (docs/schemas/classify.schema.json): the outcome, why, until when, tokens and cost.
What models say and tools print is never searched: see the README of agent-runner-signals.

Examples:
  agent-runner classify --profile claude --exit-code 1 out.jsonl
  agent-runner classify --profile gemini --exit-code 144 --stderr err.txt out.json
  codex exec --json 'fix it' </dev/null | agent-runner classify --profile codex -"
)]
pub struct Classify {
    /// What the agent printed to stdout; `-` is stdin
    #[arg(value_name = "STDOUT-FILE")]
    pub stdout: PathBuf,
    /// Whose output it is: claude, codex, gemini, opencode, aider, sh, messages, or one of the configuration
    #[arg(long, value_name = "NAME")]
    pub profile: String,
    /// The code that the agent exited with
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub exit_code: i32,
    /// The signal that ended it instead
    #[arg(long, value_name = "N", conflicts_with = "exit_code")]
    pub signal: Option<i32>,
    /// It was ended because it took too long
    #[arg(long, conflicts_with_all = ["exit_code", "signal"])]
    pub timed_out: bool,
    /// What the agent printed to stderr
    #[arg(long, value_name = "FILE")]
    pub stderr: Option<PathBuf>,
    /// When it ended, such as `2026-11-23T18:00:00Z`: what `try again at 6:20 PM` is read by [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<jiff::Timestamp>,
}

/// `messages`.
#[derive(Debug, Args)]
#[command(
    after_help = "Key, base URL and model come from ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN, ANTHROPIC_BASE_URL and
ANTHROPIC_MODEL, as they are lent to any agent. What is printed is the data of the answer's events, one on
each line, between a line of type `response` with its status and limits, and an `error` if it failed; an
answer that did not come, or not to its end, is a `network_error`. Nothing is tried again: that is for the
run. The exit code is 0 after a whole answer, else 1. `agent-runner classify --profile messages` reads it.

Examples:
  agent-runner run questions.md --profile messages          an answer a task, in `answers/`
  agent-runner messages --model claude-sonnet-5 --output poem.md 'a poem on locks'
  agent-runner run tasks.md -- agent-runner messages --system 'Answer in French.' --output answers/"
)]
pub struct Messages {
    /// What to ask; without it, or with `-`, it is read from stdin
    #[arg(value_name = "PROMPT")]
    pub prompt: Option<String>,
    /// The model [default: that of `ANTHROPIC_MODEL`]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// How long the answer may be; one that is cut by this is a failure
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tokens: u32,
    /// What the model is told before the prompt
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Write the words of the answer to this file when it is whole; in a folder, whose name ends with
    /// `/`, the file is called after the task
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// How long the provider may be silent
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "5m")]
    pub idle_timeout: Duration,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `help`.
#[derive(Debug, Args)]
pub struct Help {
    /// A command, or exit-codes, environment, formats, templates
    pub topic: Vec<String>,
}

fn parse_speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=100.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 0.1 to 100".into()),
    }
}
