//! The traps that file locks are known for.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::{FileExt, symlink},
    process::{Command, Stdio},
};

use agent_runner_lock::{
    AcquireError, LockDir, LockState,
    record::{Block, LEN},
};

use crate::{
    agent::{Agent, Kind},
    alone::under,
    lock_dir, take,
};

#[test]
fn a_killed_holders_lock_is_free_at_once_and_says_who_it_was() {
    let (_folder, dir) = lock_dir();
    let mut agent = Agent::start(Kind::Strict, dir.path());
    agent.send("A 42").unwrap();
    let token: u64 = agent.receive().unwrap().strip_prefix("OK ").unwrap().parse().unwrap();
    let status = dir.status("42").unwrap();
    assert!(status.is_held() && !status.by_this_process, "{status}");

    agent.kill().unwrap();
    let status = dir.status("42").unwrap();
    assert_eq!(status.state, LockState::Died);
    assert!(status.to_string().ends_with("died"), "{status}");
    assert_eq!(dir.list().unwrap(), [status]);

    let lock = take(&dir, "42");
    assert!(lock.token() > token);
    assert_eq!(lock.previous().unwrap().token, token);
    lock.release().unwrap();
    assert_eq!(take(&dir, "42").previous(), None, "the one before released it");
}

#[test]
fn a_dead_holders_note_can_be_read() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    lock.set_note("pgid 4711").unwrap();
    let record = fs::read(dir.path().join("task-42.lock")).unwrap();
    lock.release().unwrap();
    fs::write(dir.path().join("task-42.lock"), record).unwrap();
    assert_eq!(take(&dir, "42").previous().unwrap().note.as_deref(), Some("pgid 4711"));
}

#[test]
fn a_lock_can_be_given_back_to_the_dead() {
    let (_folder, dir) = lock_dir();
    let mut agent = Agent::start(Kind::Strict, dir.path());
    agent.take("42");
    agent.kill().unwrap();
    let before = dir.status("42").unwrap();
    for _ in 0..3 {
        let lock = take(&dir, "42");
        let token = lock.token();
        lock.set_note("ours").unwrap();
        let status = lock.give_back().unwrap();
        assert_eq!(status, dir.status("42").unwrap());
        assert_eq!((status.state, &status.info.as_ref().unwrap().note), (LockState::Died, &None));
        let info = status.info.unwrap();
        assert_eq!((info.pid, info.token), (before.info.as_ref().unwrap().pid, token));
    }
    let lock = take(&dir, "42");
    assert_eq!(lock.previous().unwrap().pid, before.info.unwrap().pid);
    lock.release().unwrap();
    let lock = take(&dir, "42");
    assert_eq!(lock.previous(), None);
    assert_eq!(lock.give_back().unwrap().state, LockState::Free);
}

/// The kernel decides; that a process of that number lives, ours even, means nothing.
#[test]
fn a_reused_process_number_does_not_keep_a_lock() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    let info = lock.info();
    lock.release().unwrap();
    fs::write(dir.path().join("task-42.lock"), Block::held(&info).as_bytes()).unwrap();
    assert_eq!(dir.status("42").unwrap().state, LockState::Died);
    take(&dir, "42").release().unwrap();
}

#[test]
fn a_held_lock_is_held_whatever_its_record_says() {
    let (_folder, dir) = lock_dir();
    let mut agent = Agent::start(Kind::Strict, dir.path());
    agent.send("A 42").unwrap();
    assert!(agent.receive().unwrap().starts_with("OK"));

    let file = OpenOptions::new().write(true).open(dir.path().join("task-42.lock")).unwrap();
    let mut info = dir.status("42").unwrap().info.unwrap();
    info.pid = i32::MAX.unsigned_abs();
    let mut free = Block::held(&info);
    let dead = free.as_bytes().to_vec();
    free.set_state(agent_runner_lock::record::State::Free);
    for record in [vec![0; LEN], vec![b'{'; LEN], dead, free.as_bytes().to_vec()] {
        file.write_all_at(&record, 0).unwrap();
        assert!(dir.try_acquire("42").unwrap().acquired().is_none(), "a living holder was robbed");
        assert!(dir.status("42").unwrap().is_held());
        let mut options = agent_runner_lock::CleanOptions::default();
        options.retention = std::time::Duration::ZERO;
        let report = dir.clean_stale(&options).unwrap();
        assert_eq!((report.held.len(), report.removed.len()), (1, 0));
    }
    file.write_all_at(&[0; LEN], 0).unwrap();
    let status = dir.status("42").unwrap();
    assert_eq!(status.to_string(), "task 42 is held by an unknown holder");
    agent.send("R").unwrap();
    assert_eq!(agent.receive().unwrap(), "OK");
    take(&dir, "42").release().unwrap();
}

#[test]
fn links_are_not_followed() {
    let (folder, dir) = lock_dir();
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, dir.path().join("task-soft.lock")).unwrap();
    symlink(folder.path().join("nowhere"), dir.path().join("task-dangling.lock")).unwrap();
    fs::hard_link(&victim, dir.path().join("task-hard.lock")).unwrap();
    for key in ["soft", "dangling", "hard"] {
        let refused = dir.try_acquire(key).unwrap_err();
        assert!(matches!(refused, AcquireError::NotALock { .. }), "{key}: {refused}");
    }
    assert_eq!(fs::read_to_string(victim).unwrap(), "precious");
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn other_things_of_the_name_are_no_locks() {
    let (_folder, dir) = lock_dir();
    fs::create_dir(dir.path().join("task-folder.lock")).unwrap();
    let made = Command::new("mkfifo").arg(dir.path().join("task-pipe.lock")).status().unwrap();
    assert!(made.success());
    for key in ["folder", "pipe"] {
        let refused = dir.try_acquire(key).unwrap_err();
        assert!(matches!(refused, AcquireError::NotALock { .. }), "{key}: {refused}");
    }
    assert!(dir.list().is_ok(), "a list leaves them out, and does not wait for a pipe's writer");
}

/// Each lock, unlock and write is interrupted once.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_is_no_reason_to_fail() {
    let inject = ["-e", "trace=flock,pwrite64", "-e", "inject=flock,pwrite64:error=EINTR:when=1+2"];
    let tool = [&["strace", "-f", "-o", "/dev/null"], &inject[..]].concat();
    under(&tool, "traps::a_signal_is_no_reason_to_fail", || {
        let (_folder, dir) = lock_dir();
        let other = LockDir::open(dir.path()).unwrap();
        for _ in 0..3 {
            let lock = take(&dir, "42");
            lock.set_note("written").unwrap();
            assert!(other.try_acquire("42").unwrap().acquired().is_none());
            assert_eq!(other.status("42").unwrap().state, LockState::Held);
            lock.release().unwrap();
            assert_eq!(other.status("42").unwrap().state, LockState::Free);
            other.acquire_blocking("42", None).unwrap().release().unwrap();
        }
        let mut options = agent_runner_lock::CleanOptions::default();
        options.retention = std::time::Duration::ZERO;
        assert_eq!(dir.clean_stale(&options).unwrap().removed.len(), 1);
    });
}

/// A child between fork and exec shares the open file; after exec it must not.
#[test]
fn a_child_does_not_inherit_the_lock() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    lock.release().unwrap();
    take(&dir, "42").release().unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();
}
