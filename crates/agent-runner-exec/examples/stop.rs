//! Runs three agents at once, one of which does not want to end, and stops them all: first as
//! Ctrl-C would, then harder.
//!
//! ```sh
//! cargo run -p agent-runner-exec --example stop
//! ```

#![expect(clippy::print_stdout, reason = "an example talks")]

use std::{error::Error, time::Duration};

use agent_runner_exec::{Command, Stop, StopLevel, adopt_orphans};
use tokio::{task::JoinSet, time::sleep};

const AGENTS: [&str; 3] = [
    "sleep 60",
    "trap 'echo saved; exit 0' INT; while :; do sleep 0.1; done",
    "trap '' INT TERM; setsid sleep 60 & while :; do sleep 0.1; done",
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // So that the third agent's daemon comes back to us. Only Linux can.
    if let Err(error) = adopt_orphans() {
        println!("orphans go elsewhere: {error}");
    }
    let stop = Stop::new();
    let mut agents = JoinSet::new();
    for script in AGENTS {
        let child =
            Command::new("sh").args(["-c", script]).grace(Duration::from_millis(500)).spawn()?;
        let stop = stop.clone();
        agents.spawn(async move { (script, child.wait(&stop).await) });
    }

    // A person would press a key now.
    sleep(Duration::from_millis(300)).await;
    stop.raise(StopLevel::Interrupt);

    while let Some(agent) = agents.join_next().await {
        let (script, exit) = agent?;
        let exit = exit?;
        let how =
            exit.signal.map_or("by itself".to_owned(), |signal| format!("by signal {signal}"));
        println!(
            "{} {how}, {} left behind, {} survive: {script}",
            exit.end, exit.leftovers, exit.survivors
        );
    }
    Ok(())
}
