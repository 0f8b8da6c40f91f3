//! Which folders are accepted, and what becomes of them.

use std::fs;

use agent_runner_lock::{LockDir, LostError, OpenError};

use crate::{lock_dir, take};

#[test]
fn a_folder_is_made_for_its_owner_and_hidden_from_git() {
    let (_folder, dir) = lock_dir();
    assert_eq!(fs::read_to_string(dir.path().join(".gitignore")).unwrap(), "*\n");
    assert!(dir.path().join(".lockdir").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_gitignore_that_is_there_stays() {
    let (folder, _) = lock_dir();
    let path = folder.path().join("other");
    fs::create_dir(&path).unwrap();
    fs::write(path.join(".gitignore"), "mine\n").unwrap();
    LockDir::open(&path).unwrap();
    assert_eq!(fs::read_to_string(path.join(".gitignore")).unwrap(), "mine\n");
}

#[test]
fn a_folder_of_another_format_is_refused() {
    let (_folder, dir) = lock_dir();
    fs::write(dir.path().join(".lockdir"), " agent-runner-lock 2 lease\n").unwrap();
    let refused = LockDir::open(dir.path()).unwrap_err();
    assert!(matches!(&refused, OpenError::Format { found, .. } if found.contains("2 lease")));
}

#[test]
fn a_holder_needs_a_name() {
    let (_folder, dir) = lock_dir();
    for name in ["", "a\nb", &"x".repeat(81)] {
        assert!(matches!(dir.with_holder_id(name), Err(OpenError::HolderId { .. })), "{name:?}");
    }
}

#[test]
fn a_file_is_no_folder() {
    let folder = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(LockDir::open(folder.path()), Err(OpenError::Io { .. })));
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = LockDir::open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::WritableByOthers { mode: 0o777, .. }), "{refused}");
    assert!(refused.to_string().contains("chmod go-w"), "{refused}");

    let dir = LockDir::builder(&path).allow_shared_folder(true).open().unwrap();
    take(&dir, "42").release().unwrap();
}

#[cfg(unix)]
#[test]
fn a_folder_of_another_user_is_refused() {
    let (_folder, dir) = lock_dir();
    // Only root can give a folder away; for others `/` is somebody else's already.
    let gave_away = std::os::unix::fs::chown(dir.path(), Some(12_345), None).is_ok();
    let foreign = if gave_away { dir.path() } else { std::path::Path::new("/") };
    let refused = LockDir::open(foreign).unwrap_err();
    assert!(matches!(refused, OpenError::ForeignOwner { .. }), "{refused}");
}

#[cfg(unix)]
#[test]
fn a_removed_folder_is_made_again_and_its_holders_are_told() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    lock.check().unwrap();
    fs::remove_dir_all(dir.path()).unwrap();

    let lost = lock.check().unwrap_err();
    assert!(matches!(lost, LostError::LockDirReplaced { .. }), "{lost}");
    take(&dir, "43").release().unwrap();
    assert!(matches!(lock.check(), Err(LostError::LockDirReplaced { .. })));
    assert_eq!(fs::read_to_string(dir.path().join(".gitignore")).unwrap(), "*\n");

    let again = dir.try_acquire("42").unwrap();
    assert!(again.acquired().is_none(), "this process knows that it holds the key");
    let other = LockDir::open(dir.path()).unwrap();
    let newcomer = take(&other, "42");
    assert!(newcomer.token() > lock.token(), "the fence still works");
    lock.release().unwrap();
    newcomer.check().unwrap();
}

#[cfg(unix)]
#[test]
fn a_folder_that_was_moved_away_is_not_used_any_more() {
    let (folder, dir) = lock_dir();
    drop(take(&dir, "42"));
    fs::rename(dir.path(), folder.path().join("moved")).unwrap();

    let other = LockDir::open(dir.path()).unwrap();
    let lock = take(&other, "42");
    assert!(dir.try_acquire("42").unwrap().acquired().is_none(), "held at the path that counts");
    assert!(dir.status("42").unwrap().is_held());
    assert_eq!(dir.list().unwrap().len(), 1);
    lock.check().unwrap();
}

/// A handle keeps files open for a while, so that it need not open them again.
#[cfg(unix)]
#[test]
fn a_file_that_lost_its_name_keeps_nobody_out() {
    let (_folder, dir) = lock_dir();
    drop(take(&dir, "42"));
    let other = LockDir::open(dir.path()).unwrap();
    let lock = take(&other, "42");
    fs::remove_file(dir.path().join("task-42.lock")).unwrap();
    let newcomer = take(&dir, "42");
    assert!(lock.check().is_err());
    newcomer.check().unwrap();
    drop(lock);
    newcomer.release().unwrap();
    let again = take(&dir, "42");
    again.check().unwrap();
    assert!(other.status("42").unwrap().is_held());
}
