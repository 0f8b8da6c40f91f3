//! Control groups, where this machine lets us make some.

use std::{fs, path::PathBuf};

use agent_runner_exec::{Cgroups, Ended, StopLevel, adopt_orphans, end_orphan};

use crate::support::{SHORT, TestResult, Yard, wait};

/// Our groups below the place.
fn groups(cgroups: &Cgroups, mark: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(cgroups.path()).unwrap().flatten();
    let is_ours = |path: &PathBuf| path.to_string_lossy().ends_with(mark);
    entries.map(|entry| entry.path()).filter(is_ours).collect()
}

#[tokio::test]
async fn a_child_has_a_group_until_it_is_over() -> TestResult {
    let Ok(cgroups) = Cgroups::find() else { return Ok(()) };
    let yard = Yard::new();
    let child = yard.sh("read -r x < ready; cat /proc/self/cgroup").cgroups(cgroups.clone());
    let child = child.spawn()?;
    let identity = child.identity().to_string();
    let (_, mark) = identity.split_once("mark=").ok_or("no mark")?;
    assert_eq!(groups(&cgroups, mark).len(), 1);
    fs::write(yard.path("ready"), "go\n")?;
    let exit = wait(child).await;
    assert!(exit.is_success() && exit.tail.contains(&format!("agent-runner.{mark}")), "{exit:?}");
    assert!(groups(&cgroups, mark).is_empty(), "it is removed");
    Ok(())
}

#[tokio::test]
async fn all_that_is_in_a_group_goes_with_it() -> TestResult {
    let Ok(cgroups) = Cgroups::find() else { return Ok(()) };
    adopt_orphans()?;
    let yard = Yard::new();
    let fork = "trap '' TERM; (echo > ready) & while :; do (setsid sleep 300 &) ; sleep 0.01; done";
    let stop = agent_runner_exec::Stop::new();
    let child = yard.sh(fork).cgroups(cgroups).spawn()?;
    let raise = async {
        yard.ready().await;
        stop.raise(StopLevel::Terminate);
    };
    let (exit, ()) = tokio::join!(child.wait(&stop), raise);
    yard.assert_swept(&exit?);
    Ok(())
}

#[tokio::test]
async fn a_group_is_found_and_removed_after_its_runner() -> TestResult {
    let Ok(cgroups) = Cgroups::find() else { return Ok(()) };
    let yard = Yard::new();
    let child = yard.sh("setsid sleep 300 & echo > ready; wait").cgroups(cgroups.clone());
    let child = child.spawn()?;
    yard.ready().await;
    let identity = child.identity().to_string();
    let (_, mark) = identity.split_once("mark=").ok_or("no mark")?;
    assert!(matches!(end_orphan(child.identity(), SHORT).await, Ended::Killed(2..)));
    yard.assert_empty();
    assert!(groups(&cgroups, mark).is_empty(), "it is removed");
    drop(child);
    Ok(())
}

/// A group is known to be a dead one's by its lock, which its runner cannot forget to give back.
#[tokio::test]
async fn what_a_killed_runner_left_is_swept_and_nothing_else() -> TestResult {
    let Ok(cgroups) = Cgroups::find() else { return Ok(()) };
    let yard = Yard::new();
    let child = yard.sh("read -r x < ready").cgroups(cgroups.clone()).spawn()?;
    let identity = child.identity().to_string();
    let (_, mark) = identity.split_once("mark=").ok_or("no mark")?;
    let left = format!("agent-runner.dead{}-1", std::process::id());
    let others = format!("others-{}", std::process::id());
    for name in [&left, &others] {
        fs::create_dir(cgroups.path().join(name))?;
    }
    fs::create_dir(cgroups.path().join(&left).join("below"))?;

    cgroups.sweep();
    let still = [&left, &others].map(|name| cgroups.path().join(name).exists());
    fs::remove_dir(cgroups.path().join(&others))?;
    assert_eq!(still, [false, true], "the dead one's, and only that");
    assert_eq!(groups(&cgroups, mark).len(), 1, "a living runner's stays");
    fs::write(yard.path("ready"), "go\n")?;
    assert!(wait(child).await.is_success());
    Ok(())
}
