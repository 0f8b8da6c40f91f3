//! What is cleaned away, and what never is.

use std::{fs, time::Duration};

use agent_runner_lock::{CleanOptions, LockState};

use crate::{lock_dir, take};

fn at_once() -> CleanOptions {
    let mut options = CleanOptions::default();
    options.retention = Duration::ZERO;
    options
}

#[test]
fn free_locks_go_and_held_ones_stay() {
    let (_folder, dir) = lock_dir();
    drop(take(&dir, "free"));
    let held = take(&dir.with_timeout(Some(Duration::ZERO)), "held");

    let young = dir.clean_stale(&CleanOptions::default()).unwrap();
    assert_eq!((young.removed.len(), young.kept, young.held.len()), (0, 1, 1));

    let report = dir.clean_stale(&at_once()).unwrap();
    assert_eq!(report.removed.len(), 1);
    assert_eq!(report.removed[0].key, "free");
    assert_eq!(report.overdue.len(), 1, "an overdue lock is reported, not broken");
    assert_eq!(report.overdue[0].key, "held");
    held.check().unwrap();
    assert!(!dir.path().join("task-free.lock").exists());
}

#[test]
fn a_token_grows_over_its_file() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    // As after the clock was set back by a year.
    let mut info = lock.info();
    info.token += 365 * 86_400 * 1_000_000;
    let ahead = info.token;
    lock.release().unwrap();
    let mut block = agent_runner_lock::record::Block::held(&info);
    block.set_state(agent_runner_lock::record::State::Free);
    fs::write(dir.path().join("task-42.lock"), block.as_bytes()).unwrap();

    assert_eq!(take(&dir, "42").token(), ahead + 1);
    assert_eq!(dir.clean_stale(&at_once()).unwrap().removed.len(), 1);
    assert_eq!(take(&dir, "42").token(), ahead + 2, "the file is gone, its token is not");
    assert_eq!(take(&dir, "42").token(), ahead + 3);
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let (_folder, dir) = lock_dir();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("notes.txt"), "mine").unwrap();
    fs::write(path("task-NOT A KEY.lock"), "mine").unwrap();
    fs::create_dir(path("task-folder.lock")).unwrap();
    fs::write(path("task-garbage.lock"), "{\"pid\": 1}").unwrap();

    let mut report = dir.clean_stale(&at_once()).unwrap();
    report.foreign.sort();
    assert_eq!(report.foreign, ["notes.txt", "task-NOT A KEY.lock", "task-folder.lock"]);
    assert_eq!(report.unreadable, ["task-garbage.lock"]);
    assert_eq!(report.removed, []);
    assert_eq!(fs::read_to_string(path("task-garbage.lock")).unwrap(), "{\"pid\": 1}");
}

#[test]
fn an_empty_file_is_what_a_crash_leaves() {
    let (_folder, dir) = lock_dir();
    fs::write(dir.path().join("task-42.lock"), "").unwrap();
    let report = dir.clean_stale(&at_once()).unwrap();
    assert_eq!(report.removed[0].state, LockState::Free);
    assert_eq!(report.removed[0].info, None);
}
