//! After a runner was killed.

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader},
    process::{self, Stdio},
    time::Duration,
};

use agent_runner_exec::{Command, Ended, ProcessIdentity, adopt_orphans, end_orphan};

use crate::support::{LONG, SHORT, TestResult, Yard, in_role, wait};

/// Runs `script` in a runner, which is killed as soon as the script is ready.
async fn kill_runner(yard: &Yard, script: &str) -> Result<ProcessIdentity, Box<dyn Error>> {
    let mut runner = in_role("runner")
        .env("SCRIPT", format!("cd '{}'; {script}", yard.path("").display()))
        .env("YARD", yard.tag())
        .env("ADOPT", "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let said = BufReader::new(runner.stdout.take().ok_or("no stdout")?);
    let identity = said
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("identity: ").map(str::parse))
        .ok_or("it did not say who its child is")??;
    yard.ready().await;
    runner.kill()?;
    runner.wait()?;
    Ok(identity)
}

#[tokio::test]
async fn the_tree_of_a_killed_runner_is_ended() -> TestResult {
    for script in [
        "echo > ready; sleep 300",
        "sleep 300 & sleep 300 & echo > ready; wait",
        "trap '' TERM; echo > ready; while :; do sleep 0.1; done",
        "mkfifo up; setsid sh -c 'echo > up; exec sleep 300' & read -r x < up; echo > ready; wait",
    ] {
        let yard = Yard::new();
        let identity = kill_runner(&yard, script).await?;
        assert!(!yard.living().is_empty(), "a killed runner cannot end its child");
        let ended = end_orphan(&identity, SHORT).await;
        assert!(matches!(ended, Ended::Killed(1..)), "{ended:?}");
        yard.assert_empty();
        assert_eq!(end_orphan(&identity, SHORT).await, Ended::Gone);
    }
    Ok(())
}

#[tokio::test]
async fn what_the_leader_left_behind_is_found_by_its_mark() -> TestResult {
    let yard = Yard::new();
    // The leader is dead before its runner; only a stray is left.
    let script = "mkfifo up; setsid sh -c 'echo > up; exec sleep 300' & read -r x < up;
        echo > ready; sleep 300";
    let identity = kill_runner(&yard, script).await?;
    let pid = i32::try_from(identity.pid())?;
    let group = rustix::process::Pid::from_raw(pid).ok_or("no number")?;
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL)?;
    assert!(matches!(end_orphan(&identity, LONG).await, Ended::Killed(1..)));
    yard.assert_empty();
    Ok(())
}

#[tokio::test]
async fn a_child_that_was_named_before_its_start_is_found() -> TestResult {
    let yard = Yard::new();
    let mut command = yard.sh("echo > ready; exec sleep 300");
    let identity: ProcessIdentity = command.identity().to_string().parse()?;
    assert_eq!(end_orphan(&identity, LONG).await, Ended::Gone);
    let child = command.spawn()?;
    assert_eq!((identity.pid(), identity.boot_id()), (0, child.identity().boot_id()));
    yard.ready().await;
    assert!(matches!(end_orphan(&identity, LONG).await, Ended::Killed(1..)));
    assert!(wait(child).await.signal.is_some());
    yard.assert_empty();
    Ok(())
}

#[tokio::test]
async fn another_process_of_the_same_number_is_left_alone() -> TestResult {
    let identity = wait_and_tell().await?;
    let mut other = process::Command::new("sleep").arg("300").spawn()?;
    let text = identity.to_string();
    let (_, rest) = text.split_once(' ').ok_or("one word")?;
    let claimed: ProcessIdentity = format!("pid={} {rest}", other.id()).parse()?;
    assert_eq!(end_orphan(&claimed, Duration::ZERO).await, Ended::NotOurs);
    assert!(other.try_wait()?.is_none(), "it was not touched");
    other.kill()?;
    other.wait()?;
    Ok(())
}

#[tokio::test]
async fn another_boot_is_gone() -> TestResult {
    let own =
        format!("pid={} start=1 boot={} mark=0123456789abcdef-1", process::id(), "ab".repeat(16));
    assert_eq!(end_orphan(&own.parse()?, Duration::ZERO).await, Ended::Gone);
    Ok(())
}

#[tokio::test]
async fn an_identity_says_what_the_system_says() -> TestResult {
    let yard = Yard::new();
    let child = yard.sh("read -r x < ready").spawn()?;
    let identity = child.identity().clone();
    let stat = fs::read_to_string(format!("/proc/{}/stat", identity.pid()))?;
    let field_22 = stat.rsplit_once(')').ok_or("no name")?.1.split_whitespace().nth(19);
    assert_eq!(field_22, Some(identity.start_time().to_string().as_str()));
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    assert_eq!(identity.boot_id(), boot.trim().replace('-', ""));
    drop(child);
    Ok(())
}

/// The identity of a child that is over.
async fn wait_and_tell() -> Result<ProcessIdentity, Box<dyn Error>> {
    adopt_orphans()?;
    let child = Command::new("true").spawn()?;
    let identity = child.identity().clone();
    wait(child).await;
    assert_eq!(end_orphan(&identity, Duration::ZERO).await, Ended::Gone);
    Ok(identity)
}
