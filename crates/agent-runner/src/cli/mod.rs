//! The command line: every command and flag, and nothing that acts on them.

mod agents;
mod keys;
mod locks;
mod run;
mod tasks;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use self::{agents::*, keys::*, locks::*, run::*, tasks::*};

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
