//! Locks that are taken from holders which hang, and from nobody else.

use std::{
    fs::OpenOptions,
    os::unix::{fs::FileExt, process::ExitStatusExt},
    thread,
    time::Duration,
};

use agent_runner_lock::{LockDir, LockInfo, NoProof, Takeover, TakeoverError, record::Block};
use rustix::process::{Signal, WaitOptions, kill_process, waitpid};

use crate::{
    agent::{Agent, Kind},
    inherit::Family,
    lock_dir, take,
};

/// Long enough that a test which waits for its end fails.
const LONG: Takeover = Takeover::KillHolder { grace: Duration::from_secs(600) };

const NONE: Takeover = Takeover::KillHolder { grace: Duration::ZERO };

fn holder(dir: &LockDir) -> Agent {
    let mut agent = Agent::start(Kind::Strict, dir.path());
    agent.take("42");
    agent
}

#[test]
fn a_holder_is_asked_to_end() {
    let (_folder, dir) = lock_dir();
    let mut agent = holder(&dir);
    let status = dir.status("42").unwrap();
    let lock = dir.take_over(&status, LONG).unwrap();
    assert_eq!(lock.previous(), status.info.as_ref());
    assert!(lock.token() > status.info.unwrap().token);
    assert_eq!(agent.wait().signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn a_holder_that_is_stopped_is_killed() {
    let (_folder, dir) = lock_dir();
    let mut agent = holder(&dir);
    kill_process(agent.pid(), Signal::STOP).unwrap();
    // Until it is stopped, it still hears other signals.
    waitpid(Some(agent.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
    let how = Takeover::KillHolder { grace: Duration::from_millis(20) };
    dir.take_over(&dir.status("42").unwrap(), how).unwrap().check().unwrap();
    assert_eq!(agent.wait().signal(), Some(Signal::KILL.as_raw()));
}

#[test]
fn a_holder_that_releases_the_lock_lives_on() {
    let (_folder, dir) = lock_dir();
    let deaf = ["sh", "-c", r#"trap "" TERM; exec "$@""#, "sh"];
    let mut agent = Agent::start_under(&deaf, Kind::Strict, dir.path());
    agent.take("42");
    let status = dir.status("42").unwrap();
    thread::scope(|scope| {
        let taken = scope.spawn(|| dir.take_over(&status, LONG).unwrap());
        agent.send("R").unwrap();
        assert_eq!(agent.receive().unwrap(), "OK");
        let lock = taken.join().unwrap();
        assert_eq!(lock.previous(), None, "it was released");
    });
    assert!(agent.is_alive());
}

#[test]
fn a_lock_that_was_released_is_acquired_and_nobody_ended() {
    let (_folder, dir) = lock_dir();
    let mut agent = holder(&dir);
    let status = dir.status("42").unwrap();
    agent.send("R").unwrap();
    assert_eq!(agent.receive().unwrap(), "OK");
    dir.take_over(&status, NONE).unwrap().release().unwrap();
    let free = dir.status("42").unwrap();
    dir.take_over(&free, NONE).unwrap().release().unwrap();
    agent.take("43");
}

#[test]
fn a_later_holder_is_left_alone() {
    let (_folder, dir) = lock_dir();
    let mut agent = holder(&dir);
    let earlier = dir.status("42").unwrap();
    agent.send("R").unwrap();
    assert_eq!(agent.receive().unwrap(), "OK");
    let free = dir.status("42").unwrap();
    agent.take("42");
    for status in [earlier, free] {
        let refused = dir.take_over(&status, NONE).unwrap_err();
        assert!(matches!(refused, TakeoverError::Changed { .. }), "{refused}");
    }
    agent.take("43");
}

#[test]
fn a_process_does_not_end_itself() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    let other = LockDir::open(dir.path()).unwrap();
    for dir in [&dir, &other] {
        let refused = dir.take_over(&dir.status("42").unwrap(), NONE).unwrap_err();
        let why = TakeoverError::NoProof { key: "42".into(), why: NoProof::ThisProcess };
        assert_eq!(refused.to_string(), why.to_string());
    }
    lock.check().unwrap();
}

/// What a record says of its holder is changed under a holder that lives and stays.
#[test]
fn nobody_is_ended_for_a_record_that_does_not_fit() {
    let (_folder, dir) = lock_dir();
    let (mut agent, mut bystander) = (holder(&dir), Agent::start(Kind::Strict, dir.path()));
    bystander.take("other");
    let theirs = dir.status("other").unwrap().info.unwrap();
    let pid = agent.pid().as_raw_nonzero().get().unsigned_abs();
    let file = OpenOptions::new().write(true).open(dir.path().join("task-42.lock")).unwrap();
    let right = dir.status("42").unwrap().info.unwrap();
    let refused_for = |change: &dyn Fn(&mut LockInfo), expected: &NoProof| {
        let mut info = right.clone();
        change(&mut info);
        file.write_all_at(Block::held(&info).as_bytes(), 0).unwrap();
        let status = dir.status("42").unwrap();
        assert_eq!(status.info.as_ref(), Some(&info));
        match dir.take_over(&status, NONE).unwrap_err() {
            TakeoverError::NoProof { why, .. } => assert_eq!(why, *expected),
            other => panic!("{other} instead of {expected}"),
        }
    };
    let elsewhere = || "elsewhere".to_owned();
    refused_for(&|info| info.host = elsewhere(), &NoProof::OtherHost { host: elsewhere() });
    refused_for(&|info| info.boot_id = Some(elsewhere()), &NoProof::OtherBoot);
    refused_for(&|info| info.boot_id = None, &NoProof::OtherBoot);
    refused_for(&|info| info.pid_ns = Some(1), &NoProof::OtherPidNamespace);
    refused_for(&|info| info.uid = Some(4_242), &NoProof::OtherUser { uid: Some(4_242) });
    refused_for(&|info| info.start_time = None, &NoProof::UnknownProcess);
    // The process of that number began at another time: its holder must be dead, but the one that
    // has the lock did not inherit it.
    let later = right.start_time.map(|time| time + 1);
    refused_for(&|info| info.start_time = later, &NoProof::NotInherited { pid });
    // Another process, down to its start; but it is not the one that locked the file.
    let other = NoProof::NotLockedBy { pid: theirs.pid };
    refused_for(&|info| (info.pid, info.start_time) = (theirs.pid, theirs.start_time), &other);

    file.write_all_at(&[0], 1).unwrap();
    let refused = dir.take_over(&dir.status("42").unwrap(), NONE).unwrap_err();
    let unknown = matches!(refused, TakeoverError::NoProof { why: NoProof::UnknownHolder, .. });
    assert!(unknown, "{refused}");
    bystander.take("43");
    agent.take("44");

    file.write_all_at(Block::held(&right).as_bytes(), 0).unwrap();
    dir.take_over(&dir.status("42").unwrap(), NONE).unwrap().check().unwrap();
}

#[test]
fn a_dead_holders_child_is_ended() {
    let (_folder, dir) = lock_dir();
    let Family { mut holder, child, input } = Family::start(dir.path());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let status = dir.status("42").unwrap();
    assert!(status.is_orphaned());
    let lock = dir.take_over(&status, LONG).unwrap();
    assert_eq!(lock.previous().unwrap().pid, holder.id());
    assert!(!dir.keepers("42").unwrap().contains(&child));
    drop(input);
}

#[test]
fn a_holder_is_ended_with_the_child_that_keeps_its_lock() {
    let (_folder, dir) = lock_dir();
    let Family { mut holder, child, input } = Family::start(dir.path());
    let lock = dir.take_over(&dir.status("42").unwrap(), LONG).unwrap();
    assert_eq!(lock.previous().unwrap().pid, holder.id());
    assert_eq!(holder.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
    assert!(!dir.keepers("42").unwrap().contains(&child));
    drop(input);
}
