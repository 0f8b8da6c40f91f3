//! What a tree takes, and a limit for its memory.

use std::{fs, time::Duration};

use agent_runner_exec::{Cgroups, Command, End, StopLevel, adopt_orphans};

use crate::support::{TestResult, Yard, wait};

const MIB: u64 = 1 << 20;
/// Takes 200 MiB, in a pipe's second process, and keeps them.
const HOG: &str = "(head -c 200M /dev/zero; sleep 300) | tail";
/// Takes a second of processor time.
const BURN: &str = "(ulimit -t 1; while :; do :; done)";

#[tokio::test]
async fn a_tree_that_needs_too_much_memory_is_ended() -> TestResult {
    let yard = Yard::new();
    let exit = wait(yard.sh(HOG).memory_limit(64 * MIB).spawn()?).await;
    assert_eq!((exit.end, exit.signal), (End::MemoryExceeded, Some(9)), "{exit:?}");
    assert!(exit.usage.peak_memory >= Some(64 * MIB), "{exit:?}");
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn an_orphan_that_needs_too_much_memory_is_found() -> TestResult {
    adopt_orphans()?;
    let yard = Yard::new();
    let script = format!("(setsid sh -c '{HOG}' > hog &); sleep 300");
    let exit = wait(yard.sh(&script).memory_limit(64 * MIB).spawn()?).await;
    assert_eq!(exit.end, End::MemoryExceeded, "{exit:?}");
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn memory_that_processes_share_is_counted_once() -> TestResult {
    let yard = Yard::new();
    // Each of them has more than a MiB, of which next to nothing is its own.
    let script =
        "i=0; while [ $i -lt 100 ]; do sleep 300 & i=$((i+1)); done; sleep 1; echo > ready; wait";
    let stop = agent_runner_exec::Stop::new();
    let child = yard.sh(script).memory_limit(64 * MIB).spawn()?;
    let raise = async {
        yard.ready().await;
        stop.raise(StopLevel::Kill);
    };
    let (exit, ()) = tokio::join!(child.wait(&stop), raise);
    let exit = exit?;
    assert_eq!(exit.end, End::Stopped, "{exit:?}");
    assert!(exit.usage.peak_memory.is_some_and(|peak| peak > MIB), "{exit:?}");
    Ok(())
}

#[tokio::test]
async fn the_time_of_the_whole_tree_is_counted() -> TestResult {
    adopt_orphans()?;
    for cgroups in [None, Cgroups::find().ok()] {
        let yard = Yard::new();
        // One that its parent waits for, and one that nobody knows when it dies.
        let orphan = format!("(setsid sh -c '{BURN}; echo > up' &); read -r x < up");
        let script = format!("read -r x < ready; mkfifo up; {BURN} & {orphan}; wait");
        let child = yard.sh(&script).cgroups(cgroups).spawn()?;
        fs::write(yard.path("ready"), "go\n")?; // it is marked now
        let exit = wait(child).await;
        let [user, system] = [exit.usage.user, exit.usage.system].map(Option::unwrap);
        let total = user + system;
        assert!(total > Duration::from_millis(1500), "{exit:?}");
        assert!(total < Duration::from_secs(10) && user > system, "{exit:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_over_before_a_look_has_no_peak() -> TestResult {
    let exit = wait(Command::new("true").spawn()?).await;
    assert!(exit.usage.peak_memory.is_none() || exit.duration > Duration::from_millis(50));
    Ok(())
}
