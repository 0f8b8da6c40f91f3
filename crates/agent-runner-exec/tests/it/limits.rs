//! Timeouts and stops.

use std::{error::Error, time::Duration};

use agent_runner_exec::{End, Exit, Stop, StopLevel};

use crate::support::{LONG, SHORT, TestResult, Yard, wait};

#[tokio::test]
async fn a_child_that_takes_too_long_is_ended() -> TestResult {
    let yard = Yard::new();
    let exit = wait(yard.sh("sleep 300 & sleep 300").timeout(SHORT).spawn()?).await;
    assert_eq!((exit.end, exit.signal), (End::TimedOut, Some(15)));
    assert!(exit.duration >= SHORT);
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn a_silent_child_is_ended() -> TestResult {
    let yard = Yard::new();
    let exit = wait(yard.sh("echo once; sleep 300").idle_timeout(SHORT).spawn()?).await;
    assert_eq!((exit.end, exit.last_line()), (End::IdleTimedOut, Some("once")));
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn a_child_that_closed_its_output_is_silent() -> TestResult {
    let yard = Yard::new();
    let exit = wait(yard.sh("exec >&- 2>&-; sleep 300").idle_timeout(SHORT).spawn()?).await;
    assert_eq!(exit.end, End::IdleTimedOut);
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn output_on_either_stream_keeps_a_child_going() -> TestResult {
    let yard = Yard::new();
    let script = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; echo $i >&2; sleep 0.1; done";
    let exit = wait(yard.sh(script).idle_timeout(Duration::from_millis(1500)).spawn()?).await;
    assert!(exit.is_success() && exit.duration > Duration::from_millis(1500), "{exit:?}");
    Ok(())
}

#[tokio::test]
async fn a_flood_of_output_does_not_hide_the_time() -> TestResult {
    let yard = Yard::new();
    let exit = wait(yard.sh("yes").timeout(SHORT).spawn()?).await;
    assert_eq!(exit.end, End::TimedOut);
    assert!(exit.stdout_bytes > 0 && exit.duration < LONG / 6, "{exit:?}");
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn limits_without_end_are_no_limits() -> TestResult {
    let yard = Yard::new();
    let command = yard.sh("exit 4").timeout(Duration::MAX).idle_timeout(Duration::MAX);
    assert_eq!(wait(command.grace(Duration::MAX).spawn()?).await.end, End::Exited(4));
    Ok(())
}

/// A script that ignores some signals, ended at a level.
async fn stopped(ignored: &str, level: StopLevel) -> Result<Exit, Box<dyn Error>> {
    let yard = Yard::new();
    let script = format!("trap '' {ignored}; echo > ready; while :; do sleep 0.1; done");
    let exit = yard.stop_when_ready(&script, level).await?;
    assert_eq!(exit.end, End::Stopped);
    yard.assert_swept(&exit);
    Ok(exit)
}

#[tokio::test]
async fn each_level_ends_what_ignores_the_ones_before() -> TestResult {
    use StopLevel::{Interrupt, Kill, Terminate};
    assert_eq!(stopped("HUP", Interrupt).await?.signal, Some(2));
    assert_eq!(stopped("HUP", Terminate).await?.signal, Some(15));
    assert_eq!(stopped("HUP", Kill).await?.signal, Some(9));
    assert_eq!(stopped("INT", Interrupt).await?.signal, Some(15));
    assert_eq!(stopped("INT TERM", Interrupt).await?.signal, Some(9));
    assert_eq!(stopped("INT TERM", Terminate).await?.signal, Some(9));
    Ok(())
}

#[tokio::test]
async fn exit_code_0_after_a_stop_is_no_success() -> TestResult {
    let yard = Yard::new();
    let script = "trap 'exit 0' INT; echo > ready; while :; do sleep 0.1; done";
    let exit = yard.stop_when_ready(script, StopLevel::Interrupt).await?;
    assert_eq!((exit.end, exit.code), (End::Stopped, Some(0)));
    assert!(!exit.is_success());
    Ok(())
}

#[tokio::test]
async fn a_higher_level_does_not_wait_for_the_grace() -> TestResult {
    let yard = Yard::new();
    let script = "trap 'echo > ready' INT; trap '' TERM; echo > ready; while :; do sleep 0.1; done";
    let child = yard.sh(script).grace(LONG).spawn()?;
    let stop = Stop::new();
    let press = async {
        yard.ready().await;
        stop.raise(StopLevel::Interrupt);
        yard.ready().await; // it has seen the first
        stop.raise(StopLevel::Kill);
    };
    let (exit, ()) = tokio::join!(child.wait(&stop), press);
    let exit = exit?;
    assert_eq!((exit.end, exit.signal), (End::Stopped, Some(9)));
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn a_stop_before_the_start_is_seen() -> TestResult {
    let yard = Yard::new();
    let stop = Stop::new();
    stop.raise(StopLevel::Kill);
    let exit = yard.sh("sleep 300").spawn()?.wait(&stop).await?;
    assert_eq!(exit.end, End::Stopped);
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn one_stop_ends_many() -> TestResult {
    let (yard, stop) = (Yard::new(), Stop::new());
    let children: Vec<_> =
        (0..20).map(|_| yard.sh("sleep 300 & wait").spawn()).collect::<Result<_, _>>()?;
    let waits = children.into_iter().map(|child| {
        let stop = stop.clone();
        tokio::spawn(async move { child.wait(&stop).await })
    });
    let waits: Vec<_> = waits.collect();
    stop.raise(StopLevel::Terminate);
    for wait in waits {
        assert_eq!(wait.await??.end, End::Stopped);
    }
    yard.assert_empty();
    Ok(())
}
