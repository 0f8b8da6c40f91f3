//! Containers: process numbers and clocks that mean something else outside.

use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use agent_runner_lock::{LockDir, LockState, LockStatus, NoProof, Takeover, TakeoverError};

use crate::{
    agent::{Agent, Kind},
    alone::{is_allowed, under},
    inherit::Family,
    lock_dir, take,
};

/// Process numbers of their own, and a `/proc` that shows them.
const NEW_PIDS: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

/// A clock that says the machine was started a day earlier.
const NEW_CLOCK: [&str; 5] = ["unshare", "--time", "--fork", "--kill-child", "--boottime=86400"];

const FOLDER: &str = "AGENT_RUNNER_LOCK_TEST_OUTER_FOLDER";

/// Checks that a living holder, of whom we cannot know that it lives, keeps its lock.
fn assert_untouchable(dir: &LockDir, expected: &NoProof) -> LockStatus {
    let status = dir.status("42").unwrap();
    assert_eq!(status.state, LockState::Held);
    assert!(!status.by_this_process);
    assert!(dir.try_acquire("42").unwrap().acquired().is_none(), "a living holder was robbed");
    let how = Takeover::KillHolder { grace: Duration::ZERO };
    match dir.take_over(&status, how).unwrap_err() {
        TakeoverError::NoProof { why, .. } => assert_eq!(why, *expected),
        other => panic!("{other}"),
    }
    status
}

/// Has a holder inside, and looks at it from outside.
fn holder_inside(tool: &[&str], expected: &NoProof) {
    if !is_allowed(tool) {
        return;
    }
    let (_folder, dir) = lock_dir();
    let mut agent = Agent::start_under(tool, Kind::Strict, dir.path());
    agent.take("42");
    assert_untouchable(&dir, expected);
    agent.take("43");
    agent.kill().unwrap();
    let lock = dir.acquire_blocking("42", None).unwrap();
    assert!(lock.previous().is_some(), "the kernel knows that it died");
}

/// Has a holder outside, and looks at it from inside.
fn holder_outside(tool: &[&str], test: &str, expected: &NoProof) {
    if let Some(folder) = env::var_os(FOLDER) {
        assert_untouchable(&LockDir::open(PathBuf::from(folder)).unwrap(), expected);
        return;
    }
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    let folder = format!("{FOLDER}={}", dir.path().display());
    under(&[tool, &["env", &folder]].concat(), test, || unreachable!("it has a folder"));
    lock.check().unwrap();
}

#[test]
fn a_holder_in_another_pid_namespace_is_not_taken_for_dead() {
    holder_inside(&NEW_PIDS, &NoProof::OtherPidNamespace);
}

#[test]
fn a_holder_outside_of_the_pid_namespace_is_not_taken_for_dead() {
    let test = "namespaces::a_holder_outside_of_the_pid_namespace_is_not_taken_for_dead";
    holder_outside(&NEW_PIDS, test, &NoProof::OtherPidNamespace);
}

/// Where `/proc` shows the processes of another namespace than ours, our own number is another's.
#[test]
fn a_proc_of_another_namespace_is_not_believed() {
    let test = "namespaces::a_proc_of_another_namespace_is_not_believed";
    under(&["unshare", "--pid", "--fork", "--kill-child"], test, || {
        let (_folder, dir) = lock_dir();
        let mut agent = Agent::start(Kind::Strict, dir.path());
        agent.take("42");
        assert_untouchable(&dir, &NoProof::UnknownProcess);
        assert!(dir.keepers("42").is_err());
        agent.take("43");
    });
}

/// `/proc` says when a process was started by the clock of who reads it.
#[test]
fn a_holder_in_another_time_namespace_is_not_taken_for_dead() {
    holder_inside(&NEW_CLOCK, &NoProof::UnknownProcess);
}

#[test]
fn a_holder_outside_of_the_time_namespace_is_not_taken_for_dead() {
    let test = "namespaces::a_holder_outside_of_the_time_namespace_is_not_taken_for_dead";
    holder_outside(&NEW_CLOCK, test, &NoProof::UnknownProcess);
}

/// There the kernel does not say any more who made a lock, once that process is dead.
#[test]
fn inside_a_pid_namespace_children_keep_locks_too() {
    for test in [
        "inherit::a_killed_holders_child_keeps_the_lock",
        "takeover::a_dead_holders_child_is_ended",
        "takeover::a_holder_is_ended_with_the_child_that_keeps_its_lock",
    ] {
        under(&NEW_PIDS, test, || unreachable!("the other test's body runs there"));
    }
}

/// Only in a namespace of our own can we say which number comes next.
#[test]
fn a_process_that_got_a_dead_holders_number_is_not_its_holder() {
    let test = "namespaces::a_process_that_got_a_dead_holders_number_is_not_its_holder";
    under(&NEW_PIDS, test, || {
        let (_folder, dir) = lock_dir();
        let Family { mut holder, child, input } = Family::start(dir.path());
        let info = dir.status("42").unwrap().info.unwrap();
        holder.kill().unwrap();
        holder.wait().unwrap();
        while ticks() <= info.start_time.unwrap() {
            thread::yield_now();
        }
        let mut other = start_as(info.pid);
        let status = dir.status("42").unwrap();
        assert_eq!(status.state, LockState::Orphaned, "another process passes for the holder");

        let how = Takeover::KillHolder { grace: Duration::ZERO };
        let lock = dir.take_over(&status, how).unwrap();
        assert!(!dir.keepers("42").unwrap().contains(&child));
        assert!(other.try_wait().unwrap().is_none(), "it was ended for its number");
        drop(input);

        // Nor does the number keep a lock that nobody has.
        let mut agent = Agent::start(Kind::Strict, dir.path());
        agent.take("43");
        let info = dir.status("43").unwrap().info.unwrap();
        agent.kill().unwrap();
        let mut third = start_as(info.pid);
        assert_eq!(dir.status("43").unwrap().state, LockState::Died);
        take(&dir, "43").release().unwrap();
        lock.release().unwrap();
        for child in [&mut other, &mut third] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    });
}

/// Starts a process of this number.
fn start_as(pid: u32) -> Child {
    loop {
        fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        if child.id() == pid {
            return child;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// The time since the machine was started, in the unit of a process's start.
fn ticks() -> u64 {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    uptime.split(' ').next().unwrap().replace('.', "").parse().unwrap()
}
