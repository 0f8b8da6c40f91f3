//! Parts that this program plays when another test starts it: a runner that is killed, and one
//! whose memory is measured.

use std::{env, fs};

use agent_runner_exec::{Command, LogOptions, Stop, adopt_orphans};

use crate::support::{TestResult, wait};

/// Does nothing unless it was given a role.
#[tokio::test]
async fn play() -> TestResult {
    match env::var("PLAY_ROLE").as_deref() {
        Ok("runner") => run_until_killed().await,
        Ok("reader") => read_a_long_line().await,
        Ok(other) => panic!("no such role: {other}"),
        Err(_) => Ok(()),
    }
}

/// Says who its child is, and waits for it.
async fn run_until_killed() -> TestResult {
    let script = env::var("SCRIPT")?;
    if env::var_os("ADOPT").is_some() {
        adopt_orphans()?;
    }
    let child = Command::new("sh").args(["-c", &script]).spawn()?;
    println!("\nidentity: {}", child.identity());
    wait(child).await;
    Ok(())
}

/// Says how much memory it needed, in KiB, and how long the log became.
async fn read_a_long_line() -> TestResult {
    let log = LogOptions { limit_bytes: 1 << 20, tail_bytes: 64 << 10, ..LogOptions::new("log") };
    let command = Command::new("sh")
        .args(["-c", &format!("head -c {} /dev/zero | tr '\\0' x", env::var("LEN")?)])
        .log(log)
        .merge_output(env::var_os("MERGE").is_some())
        .mask(env::var("SECRET").ok());
    let before = peak_memory()?;
    let exit = command.spawn()?.wait(&Stop::new()).await?;
    let after = peak_memory()?;
    println!("\ngrown: {} KiB, read: {}", after - before, exit.stdout_bytes);
    Ok(())
}

fn peak_memory() -> Result<u64, Box<dyn std::error::Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}
