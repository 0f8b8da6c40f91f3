//! Processes that have wiped off everything that they can, and have closed what they held.

use std::{
    fs, process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use agent_runner_exec::{Ended, Stop, StopLevel, adopt_orphans, end_orphan};

use crate::support::{SHORT, TestResult, Yard, wait};

/// A daemon with an empty environment and no descriptor, and the argument by which it is known.
struct Wiped {
    argument: String,
}

impl Wiped {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { argument: format!("300.{:07}{number}", process::id()) }
    }

    /// Starts it, and waits until it is there.
    fn script(&self) -> String {
        let daemon = "exec 0<&- 1>&- 2>&-; exec env -i setsid sleep";
        let argument = &self.argument;
        let is_there = format!("grep -aqs \"^sleep.{argument}\" /proc/[0-9]*/cmdline");
        format!("({daemon} {argument} &) & wait; until {is_there}; do sleep 0.01; done; ")
    }

    /// The same, but not before there is a file `go`: after its parent was marked.
    fn later_script(&self) -> String {
        format!("until [ -e go ]; do sleep 0.01; done; {} echo > ready; sleep 300", self.script())
    }

    fn is_alive(&self) -> bool {
        let wanted = format!("sleep\0{}\0", self.argument);
        let mut entries = fs::read_dir("/proc").unwrap().flatten();
        entries.any(|entry| {
            fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == wanted.as_bytes())
        })
    }
}

#[tokio::test]
async fn a_daemon_without_environment_is_found() -> TestResult {
    adopt_orphans()?;
    let (yard, wiped) = (Yard::new(), Wiped::new());
    let exit = wait(yard.sh(&wiped.script()).spawn()?).await;
    assert!(exit.is_success(), "{exit:?}");
    assert_eq!((exit.leftovers, exit.survivors, wiped.is_alive()), (1, 0, false), "{exit:?}");
    Ok(())
}

#[tokio::test]
async fn it_is_found_without_adoption_when_we_ended_its_parent() -> TestResult {
    let (yard, wiped) = (Yard::new(), Wiped::new());
    let child = yard.sh(&wiped.later_script()).spawn()?;
    fs::write(yard.path("go"), "")?;
    yard.ready().await;
    let stop = Stop::new();
    stop.raise(StopLevel::Terminate);
    let exit = child.wait(&stop).await?;
    assert_eq!((exit.survivors, wiped.is_alive()), (0, false), "{exit:?}");
    Ok(())
}

#[tokio::test]
async fn another_attempts_end_does_not_end_it() -> TestResult {
    adopt_orphans()?;
    let (yard, wiped) = (Yard::new(), Wiped::new());
    let child = yard.sh(&format!("{} echo > ready; sleep 300", wiped.script())).spawn()?;
    let stop = Stop::new();
    let other = async {
        yard.ready().await;
        let exit = wait(Yard::new().sh("setsid sleep 300 & sleep 0.1").spawn().unwrap()).await;
        assert_eq!((exit.survivors, wiped.is_alive()), (0, true), "{exit:?}");
        stop.raise(StopLevel::Terminate);
    };
    let (exit, ()) = tokio::join!(child.wait(&stop), other);
    assert_eq!((exit?.survivors, wiped.is_alive()), (0, false));
    Ok(())
}

#[tokio::test]
async fn it_is_found_after_its_runner() -> TestResult {
    let (yard, wiped) = (Yard::new(), Wiped::new());
    let child = yard.sh(&wiped.later_script()).spawn()?;
    fs::write(yard.path("go"), "")?;
    yard.ready().await;
    let ended = end_orphan(child.identity(), SHORT).await;
    assert!(matches!(ended, Ended::Killed(2..)), "{ended:?}");
    assert!(!wiped.is_alive());
    assert!(wait(child).await.duration > Duration::ZERO);
    Ok(())
}
