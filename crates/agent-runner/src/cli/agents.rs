//! The commands that stand for an agent or read what one said.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use crate::units::parse_duration;

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
