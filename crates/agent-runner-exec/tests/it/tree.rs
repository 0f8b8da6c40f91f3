//! What a child leaves behind.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    process,
    time::Duration,
};

use agent_runner_exec::{End, Stop, StopLevel, adopt_orphans};

use crate::support::{SHORT, TestResult, Yard, wait};

/// Starts `$1` in a session of its own and waits until it runs.
const SETSID: &str = "mkfifo up; setsid sh -c 'echo > up; exec sleep 300' & read -r x < up; ";

#[tokio::test]
async fn a_background_child_is_ended_with_its_parent() -> TestResult {
    let yard = Yard::new();
    let script = "sleep 300 >/dev/null 2>&1 & sleep 300 >/dev/null 2>&1 & exit 3";
    let exit = wait(yard.sh(script).spawn()?).await;
    assert_eq!(exit.end, End::Exited(3));
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn a_grandchild_that_keeps_the_pipe_does_not_hang_us() -> TestResult {
    let yard = Yard::new();
    let exit = wait(yard.sh("sleep 300 & echo done").spawn()?).await;
    assert_eq!((exit.end, exit.last_line()), (End::Exited(0), Some("done")));
    assert!(exit.duration < Duration::from_secs(10), "{exit:?}");
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn a_grandchild_that_goes_on_writing_does_not_hang_us() -> TestResult {
    let yard = Yard::new();
    let exit = wait(yard.sh("yes & echo done").spawn()?).await;
    assert_eq!(exit.end, End::Exited(0));
    assert!(exit.duration < Duration::from_secs(20), "{exit:?}");
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn the_last_words_of_a_helper_are_heard() -> TestResult {
    let yard = Yard::new();
    let script = "mkfifo up; { read -r x < up; echo helped; } & echo > up; exit 0";
    let exit = wait(yard.sh(script).spawn()?).await;
    assert_eq!(exit.last_line(), Some("helped"));
    Ok(())
}

#[tokio::test]
async fn who_left_for_another_session_is_found() -> TestResult {
    adopt_orphans()?;
    let yard = Yard::new();
    for redirect in ["", "exec >/dev/null 2>&1; "] {
        let exit = wait(yard.sh(&format!("rm -f up; {redirect}{SETSID} exit 0")).spawn()?).await;
        assert_eq!(exit.end, End::Exited(0));
        assert!(exit.leftovers >= 1, "{exit:?}");
        yard.assert_swept(&exit);
    }
    Ok(())
}

#[tokio::test]
async fn who_left_is_found_without_adoption_when_we_ended_its_parent() -> TestResult {
    let yard = Yard::new();
    let script = format!("exec 2>/dev/null; {SETSID} echo > ready; sleep 300");
    let exit = yard.stop_when_ready(&script, StopLevel::Terminate).await?;
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn a_daemon_of_a_daemon_is_found() -> TestResult {
    adopt_orphans()?;
    let yard = Yard::new();
    let script = "mkfifo up; exec 2>/dev/null
        setsid sh -c '(setsid sh -c \"setsid sleep 300 & echo > up; exec sleep 300\" &) ; exec sleep 300' &
        read -r x < up; exit 0";
    let exit = wait(yard.sh(script).spawn()?).await;
    assert_eq!(exit.end, End::Exited(0));
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn a_stopped_child_is_ended() -> TestResult {
    let yard = Yard::new();
    let script = "(echo > ready) & kill -STOP $$; sleep 300";
    let exit = yard.stop_when_ready(script, StopLevel::Terminate).await?;
    assert!(matches!(exit.signal, Some(15 | 9)), "{exit:?}");
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn two_hundred_children_are_ended() -> TestResult {
    let yard = Yard::new();
    let script = "i=0; while [ $i -lt 200 ]; do sleep 300 & i=$((i+1)); done; echo > ready; wait";
    let exit = yard.stop_when_ready(script, StopLevel::Terminate).await?;
    yard.assert_swept(&exit);
    Ok(())
}

#[tokio::test]
async fn who_forks_all_the_time_is_ended() -> TestResult {
    adopt_orphans()?;
    for fork in ["sleep 300 &", "setsid sleep 300 &"] {
        let yard = Yard::new();
        let script = format!("trap '' TERM; (echo > ready) & while :; do {fork} sleep 0.01; done");
        let exit = yard.stop_when_ready(&script, StopLevel::Terminate).await?;
        yard.assert_swept(&exit);
    }
    Ok(())
}

#[tokio::test]
async fn the_strays_of_one_attempt_are_not_anothers() -> TestResult {
    adopt_orphans()?;
    let (long, short) = (Yard::new(), Yard::new());
    // Its stray is ours from the beginning: the one in between is gone.
    let script = "mkfifo up; (setsid sh -c 'echo $$ > stray; echo > up; exec sleep 300' &);
        read -r x < up; echo > ready; sleep 300";
    let child = long.sh(script).spawn()?;
    let stop = Stop::new();
    let other = async {
        long.ready().await;
        let stray = fs::read_to_string(long.path("stray")).unwrap();
        let stray = format!("/proc/{} ", stray.trim());
        let exit = wait(short.sh(&format!("{SETSID} exit 0")).spawn().unwrap()).await;
        let is_there = long.living().iter().any(|process| process.starts_with(&stray));
        assert!(is_there, "another attempt's end is no reason to end");
        short.assert_swept(&exit);
        stop.raise(StopLevel::Terminate);
    };
    let (exit, ()) = tokio::join!(child.wait(&stop), other);
    long.assert_swept(&exit?);
    Ok(())
}

#[tokio::test]
async fn children_of_others_in_this_process_are_left_alone() -> TestResult {
    adopt_orphans()?;
    let yard = Yard::new();
    let mut theirs = process::Command::new("sh");
    theirs.args(["-c", "read -r x < ready; exit 7"]).current_dir(yard.path(""));
    let mut dead = process::Command::new("true").spawn()?;
    let mut theirs = theirs.spawn()?;
    for _ in 0..10 {
        let exit = wait(Yard::new().sh(&format!("{SETSID} exit 0")).spawn()?).await;
        assert_eq!(exit.survivors, 0);
    }
    fs::write(yard.path("ready"), "go\n")?;
    assert_eq!(theirs.wait()?.code(), Some(7), "it lived, and its status is still there");
    assert!(dead.wait()?.success(), "a status that nobody asked for yet is kept");
    Ok(())
}

#[tokio::test]
async fn no_zombie_is_left() -> TestResult {
    adopt_orphans()?;
    let yard = Yard::new();
    // A name of its own, so that the dead of other tests are not counted.
    let name = format!("z{}", process::id());
    fs::write(yard.path(&name), "#!/bin/sh\nexit 0\n")?;
    fs::set_permissions(yard.path(&name), fs::Permissions::from_mode(0o755))?;
    // Orphans that end by themselves, in the group and out of it.
    let script = format!("(./{name} &); (setsid ./{name} &); (setsid sleep 300 &); exit 0");
    for _ in 0..10 {
        yard.assert_swept(&wait(yard.sh(&script).spawn()?).await);
    }
    // One that was still dying when its attempt ended is buried at the end of another.
    for _ in 0..100 {
        if zombies(&name) == 0 {
            return Ok(());
        }
        wait(yard.sh("exit 0").spawn()?).await;
    }
    panic!("{} zombies are left", zombies(&name));
}

/// How many dead children of this process have this name.
fn zombies(name: &str) -> usize {
    let start = format!("({name}) Z {} ", process::id());
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter(|stat| stat.contains(&start)).count()
}

/// A child that holds a FIFO open, which ends when all who hold it are dead.
fn holder(
    yard: &Yard,
) -> Result<(agent_runner_exec::Child, BufReader<File>), Box<dyn std::error::Error>> {
    let script = "exec 9> ready; trap '' TERM INT; sleep 300 & echo up >&9; wait; sleep 300";
    let child = yard.sh(script).spawn()?;
    let mut fifo = BufReader::new(File::open(yard.path("ready"))?);
    let mut line = String::new();
    fifo.read_line(&mut line)?;
    assert_eq!(line, "up\n");
    Ok((child, fifo))
}

#[tokio::test]
async fn a_dropped_child_is_killed() -> TestResult {
    let yard = Yard::new();
    let (child, mut fifo) = holder(&yard)?;
    drop(child);
    assert_eq!(fifo.read_to_end(&mut Vec::new())?, 0);
    yard.assert_empty();
    Ok(())
}

#[tokio::test]
async fn a_dropped_wait_kills() -> TestResult {
    let yard = Yard::new();
    let (child, mut fifo) = holder(&yard)?;
    let stop = Stop::new();
    let ended = tokio::time::timeout(SHORT, child.wait(&stop)).await;
    assert!(ended.is_err(), "it was still running");
    assert_eq!(fifo.read_to_end(&mut Vec::new())?, 0);
    yard.assert_empty();
    Ok(())
}

#[test]
fn a_runtime_that_ends_kills() -> TestResult {
    let yard = Yard::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut fifo = runtime.block_on(async {
        let (child, fifo) = holder(&yard).unwrap();
        tokio::spawn(wait(child));
        fifo
    });
    drop(runtime);
    assert_eq!(fifo.read_to_end(&mut Vec::new())?, 0);
    yard.assert_empty();
    Ok(())
}
