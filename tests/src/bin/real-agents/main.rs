//! Real agents against the pretend provider: `real-agents RUNNER BIN-FOLDER [AGENT]`, where the
//! folder holds `claude` and `codex`. `cargo xtask agents` calls it, in a network namespace with
//! loopback only.
//!
//! Prints a JSON object for each scenario: what was expected, what was seen, and how long it took
//! from the provider's first refusal until the runner had acted on it.

mod agent;
mod five_keys;
mod scenario;
mod secrets;
mod stage;

use std::{env, path::PathBuf};

use agent::AGENTS;
use anyhow::{Context, Result};
use scenario::SCENARIOS;
use stage::Stage;

#[expect(clippy::print_stdout, reason = "a tool for the terminal")]
fn main() -> Result<()> {
    let mut args = env::args_os().skip(1);
    let runner: PathBuf = args.next().context("the path of agent-runner")?.into();
    let bin: PathBuf = args.next().context("the folder of the agents")?.into();
    let only = args.next().and_then(|name| name.into_string().ok());
    for agent in AGENTS.iter().filter(|agent| only.as_deref().is_none_or(|it| it == agent.name)) {
        let stage = Stage::new(agent, &runner, &bin)?;
        for scenario in SCENARIOS.iter().filter(|scenario| scenario.suits(agent)) {
            println!("{}", scenario::play(&stage, scenario)?);
        }
        println!("{}", five_keys::play(&stage)?);
    }
    Ok(())
}
