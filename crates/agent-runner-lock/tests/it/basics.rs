//! One process, one folder: what a lock is.

use std::{fs, time::Duration};

use agent_runner_lock::{
    Acquire, AcquireError, KeyError, LockDir, LockState, LostError, NoteError, ReleaseError,
    TaskLock,
};

use crate::{lock_dir, take};

#[test]
fn one_holder_a_key() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    let Acquire::Held(status) = dir.try_acquire("42").unwrap() else { panic!("held twice") };
    assert!(status.by_this_process);
    let words = status.to_string();
    assert!(words.starts_with("task 42 is held by run-1/3, pid "), "{words}");

    let other = take(&dir, "43");
    drop((lock, other));
    assert_eq!(dir.status("42").unwrap().state, LockState::Free);
}

#[test]
fn two_handles_on_a_folder_exclude_each_other() {
    let (_folder, dir) = lock_dir();
    let other = LockDir::builder(dir.path()).holder_id("run-2/1").open().unwrap();
    let lock = take(&dir, "42");
    let Acquire::Held(status) = other.try_acquire("42").unwrap() else { panic!("held twice") };
    assert!(status.by_this_process, "the same process under another name");
    assert_eq!(status.info.unwrap().holder_id, "run-1/3");
    lock.release().unwrap();
    assert!(other.try_acquire("42").unwrap().acquired().is_some());
}

#[test]
fn tokens_only_grow() {
    let (_folder, dir) = lock_dir();
    let tokens: Vec<u64> = (0..100).map(|_| take(&dir, "42").token()).collect();
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
}

#[test]
fn the_record_has_the_promised_keys() {
    let (_folder, dir) = lock_dir();
    let dir = dir.with_timeout(Some(Duration::from_secs(300)));
    let lock = take(&dir, "42");
    let text = fs::read_to_string(dir.path().join("task-42.lock")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["task_id"], "42");
    assert_eq!(json["holder_id"], "run-1/3");
    assert_eq!(json["pid"], std::process::id());
    assert_eq!(json["timeout"], 300);
    assert_eq!(json["token"], lock.token());
    assert_eq!(json["state"], "held");
    assert!(json["acquired_at"].as_str().unwrap().ends_with('Z'), "{json}");

    lock.release().unwrap();
    let text = fs::read_to_string(dir.path().join("task-42.lock")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["state"], "free", "the file stays, and says so");
}

#[test]
fn an_overdue_lock_is_only_reported() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir.with_timeout(Some(Duration::ZERO)), "42");
    let Acquire::Held(status) = dir.try_acquire("42").unwrap() else { panic!("it was broken") };
    assert!(status.overdue);
    assert!(status.to_string().contains("overdue"), "{status}");
    assert!(lock.is_overdue());
    assert!(!take(&dir, "43").is_overdue(), "it meant to take as long as it takes");
    lock.check().unwrap();
}

#[test]
fn a_note_is_rewritten_in_place() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    for note in ["pgid 311", "", "a \"quoted\"\nline", &"é".repeat(75)] {
        lock.set_note(note).unwrap();
        assert_eq!(dir.status("42").unwrap().info.unwrap().note.as_deref(), Some(note));
    }
    let long = "x".repeat(TaskLock::MAX_NOTE + 1);
    assert!(matches!(lock.set_note(&long), Err(NoteError::TooLong { len: 151 })));
    assert_eq!(lock.info().note.unwrap(), "é".repeat(75), "a refused note changes nothing");
}

#[test]
fn the_longest_texts_fit_a_record() {
    let (_folder, dir) = lock_dir();
    let dir = dir.with_holder_id(&"\"".repeat(80)).unwrap();
    let key = "\\".repeat(255);
    let lock = take(&dir, &key);
    lock.set_note(&"\u{1}".repeat(TaskLock::MAX_NOTE)).unwrap();
    assert_eq!(dir.status(&key).unwrap().info.unwrap(), lock.info());
    assert_eq!(dir.list().unwrap()[0].key, key);
}

#[test]
fn a_lock_is_released_by_name_only_by_its_holder() {
    let (_folder, dir) = lock_dir();
    assert!(matches!(dir.release("42", "run-1/3"), Err(ReleaseError::NotHeld { .. })));
    let lock = take(&dir, "42");
    let refused = dir.release("42", "run-1/4").unwrap_err();
    assert_eq!(refused.to_string(), "task 42 is held by run-1/3, not by run-1/4");
    dir.release("42", "run-1/3").unwrap();
    assert!(matches!(lock.check(), Err(LostError::Released { .. })));
    assert!(matches!(lock.set_note("late"), Err(NoteError::Lost(_))));

    let next = take(&dir, "42");
    drop(lock);
    next.check().unwrap();
    assert!(dir.status("42").unwrap().is_held(), "an empty guard must not release the next one's");
}

#[test]
fn impossible_keys_are_errors() {
    let (_folder, dir) = lock_dir();
    let refused = dir.try_acquire("");
    assert!(matches!(refused, Err(AcquireError::Key(KeyError::Empty))));
    assert!(dir.status("a\u{7}").is_err());
}

#[test]
fn status_and_list_are_json() {
    let (_folder, dir) = lock_dir();
    let _lock = take(&dir, "Fix Login");
    drop(take(&dir, "42"));
    let list = dir.list().unwrap();
    let keys: Vec<&str> = list.iter().map(|status| status.key.as_str()).collect();
    assert_eq!(keys, ["42", "Fix Login"]);
    assert_eq!([list[0].state, list[1].state], [LockState::Free, LockState::Held]);

    let json = serde_json::to_value(&list).unwrap();
    assert_eq!(json[1]["state"], "held");
    assert_eq!(json[1]["info"]["task_id"], "Fix Login");
    let back: Vec<agent_runner_lock::LockStatus> = serde_json::from_value(json).unwrap();
    assert_eq!(back, list);
}
