//! The commands for credentials: looking at them, lending them, rehearsing with them.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use agent_runner_gateway::Budget;
use clap::{Args, Subcommand};

use crate::units::{parse_budget, parse_duration};

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
AGENT_RUNNER_METRICS_TOKEN is the one for /metrics. Ctrl-C or SIGTERM ends it, with exit code 0, when
the answers that are under way have come; once more cuts them.

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
    /// How long answers that are under way may take after Ctrl-C or SIGTERM, before they are cut
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30s")]
    pub drain: Duration,
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
