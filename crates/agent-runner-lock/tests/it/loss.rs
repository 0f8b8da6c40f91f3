//! A holder is told when something outside of the protocol takes its lock away.

use std::{fs, sync::mpsc, time::Duration};

use agent_runner_lock::{LockDir, LostError, LostReason};

use crate::{lock_dir, take};

/// Longer than any loss takes to be noticed; nothing waits so long but a test that fails.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_holder_hears_that_the_folder_was_removed() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    let (tell, told) = mpsc::channel();
    lock.on_lost(move |reason| tell.send(reason.clone()).unwrap());
    assert_eq!(lock.wait_lost(Some(Duration::ZERO)), None);

    fs::remove_dir_all(dir.path()).unwrap();
    assert_eq!(lock.wait_lost(Some(LONG)), Some(LostReason::Removed));
    assert_eq!(told.recv().unwrap(), LostReason::Removed);
    assert!(matches!(lock.check(), Err(LostError::LockDirReplaced { .. })));
}

#[tokio::test]
async fn a_task_hears_who_has_the_lock_now() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    fs::remove_file(dir.path().join("task-42.lock")).unwrap();
    let newcomer = take(&LockDir::builder(dir.path()).holder_id("run-2").open().unwrap(), "42");

    let LostReason::Deposed { by: Some(by) } = lock.lost().await else { panic!("not deposed") };
    assert_eq!((by.holder_id.as_str(), by.token), ("run-2", newcomer.token()));
    let lost = lock.check().unwrap_err();
    assert!(lost.to_string().starts_with("task 42 was taken away by run-2, pid "), "{lost}");
    lock.release().unwrap();
    newcomer.check().unwrap();
}

#[tokio::test]
async fn a_lock_that_was_released_by_name_is_lost() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    dir.release("42", "run-1/3").unwrap();
    assert_eq!(lock.lost().await, LostReason::Released);
    assert!(matches!(lock.check(), Err(LostError::Released { .. })));
}

#[test]
fn a_release_by_the_guard_is_no_loss() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    let (tell, told) = mpsc::channel::<LostReason>();
    lock.on_lost(move |reason| tell.send(reason.clone()).unwrap());
    lock.release().unwrap();
    assert_eq!(told.recv(), Err(mpsc::RecvError), "the callback is gone, and was not called");
}
