//! One process, one folder.

use agent_runner_lock::{Acquire, LockDir, LockState};

#[test]
fn one_holder_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let dir = LockDir::builder(folder.path().join("locks")).holder_id("run-1/3").open().unwrap();

    let lock = dir.try_acquire("42").unwrap().acquired().expect("nobody holds it");
    let Acquire::Held(status) = dir.try_acquire("42").unwrap() else { panic!("held twice") };
    assert!(status.by_this_process);
    let words = status.to_string();
    assert!(words.starts_with("task 42 is held by run-1/3, pid "), "{words}");

    let token = lock.token();
    lock.set_note("on branch fix-42").unwrap();
    lock.release().unwrap();
    let dir = dir.with_holder_id("run-1/4").unwrap();
    assert_eq!(dir.status("42").unwrap().state, LockState::Free);
    let again = dir.try_acquire("42").unwrap().acquired().expect("it was released");
    assert!(again.token() > token);
    assert_eq!(again.previous(), None, "its last holder released it");
}
