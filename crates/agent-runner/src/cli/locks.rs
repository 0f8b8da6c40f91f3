//! The commands for what tasks hold: locks and worktrees.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::units::parse_duration;

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

/// `worktrees`.
#[derive(Debug, Subcommand)]
pub enum Worktrees {
    /// List them, with what they are used for
    List,
    /// Remove worktrees that nobody uses, and branches of tasks that are merged; never work that is not
    Gc,
}
