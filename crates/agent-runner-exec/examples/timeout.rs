//! Runs one command with a time limit and a log, and says how it ended.
//!
//! ```sh
//! cargo run -p agent-runner-exec --example timeout -- 2 sh -c 'echo working; sleep 60'
//! ```

#![expect(clippy::print_stdout, reason = "an example talks")]

use std::{env, error::Error, time::Duration};

use agent_runner_exec::{Command, LogOptions, PARENT_AGENT_VARIABLES, Stop};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args_os().skip(1);
    let seconds = args.next().and_then(|text| text.to_str()?.parse().ok());
    let (seconds, program) = seconds.zip(args.next()).unwrap_or((1, "cat".into()));

    let log = env::temp_dir().join("agent-runner-exec-example.log");
    let child = Command::new(program)
        .args(args)
        .envs_remove(PARENT_AGENT_VARIABLES)
        .log(LogOptions { timestamps: true, ..LogOptions::new(&log) })
        .merge_output(true)
        .timeout(Duration::from_secs(seconds))
        .spawn()?;
    println!("started {}", child.identity());

    let exit = child.wait(&Stop::new()).await?;
    println!("{} after {:?}, {} bytes of output", exit.end, exit.duration, exit.stdout_bytes);
    println!("last line: {}", exit.last_line().unwrap_or("-"));
    println!("processes left: {}", exit.survivors);
    println!("log: {}", log.display());
    Ok(())
}
