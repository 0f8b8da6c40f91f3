//! A disk that is full, and a record that cannot be written.
//!
//! Both need a process of their own, so that this test program runs itself again under a shell
//! that sets the scene.

use std::{
    env, fs,
    io::{self, Write},
    path::Path,
    process::{Command, Output},
};

use agent_runner_lock::{AcquireError, LockDir, LockState};

use crate::{lock_dir, take};

const FOLDER: &str = "AGENT_RUNNER_LOCK_TEST_FOLDER";

/// Runs one of the tests below again, in a scene set by a shell script that ends in `exec "$@"`.
fn again(test: &str, shell: &[&str], script: &str, folder: &Path) -> Output {
    let (program, arguments) = shell.split_first().unwrap();
    Command::new(program)
        .args(arguments)
        .args(["-c", script, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", &format!("disk_full::{test}"), "--nocapture"])
        .env(FOLDER, folder)
        .output()
        .unwrap()
}

/// What a child says at the end; else it may have run no test at all.
fn said_played() {
    io::stderr().write_all(b"the scene was played\n").unwrap();
}

fn assert_passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{text}", output.status);
    assert!(text.contains("the scene was played"), "the child ran another test:\n{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_known_keys_going_and_refuses_new_ones() {
    if let Some(folder) = env::var_os(FOLDER) {
        return play_full_disk(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let script = format!(r#"mount -t tmpfs -o size=64k tmpfs "${FOLDER}" || exit 77; exec "$@""#);
    let test = "a_full_disk_keeps_known_keys_going_and_refuses_new_ones";
    let root = rustix::process::geteuid().is_root();
    // Its own mounts, so that nothing is left behind; its own users, for who is not root.
    let shell: &[&str] =
        if root { &["unshare", "-m", "sh"] } else { &["unshare", "-m", "-r", "sh"] };
    let output = again(test, shell, &script, folder.path());
    let refused = output.status.code() == Some(77) || output.stderr.starts_with(b"unshare:");
    if refused && !(root && env::var_os("CI").is_some()) {
        // A container that may not mount; the test below still covers writes that fail.
        return;
    }
    assert_passed(&output);
}

#[cfg(target_os = "linux")]
fn play_full_disk(folder: &Path) {
    let dir = LockDir::open(folder.join("locks")).unwrap();
    drop(take(&dir, "known"));
    let filler = folder.join("filler");
    let full = fill(&filler).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);

    let lock = take(&dir, "known");
    lock.set_note("a record is rewritten in place").unwrap();
    lock.release().unwrap();

    let refused = dir.try_acquire("new").unwrap_err();
    assert!(matches!(refused, AcquireError::DiskFull { .. }), "{refused}");
    assert_eq!(dir.status("new").unwrap().state, LockState::Free, "nothing may be held");
    fs::remove_file(filler).unwrap();
    take(&dir, "new").release().unwrap();
    said_played();
}

/// Writes until there is no space left, which is the error.
#[cfg(target_os = "linux")]
fn fill(path: &Path) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    loop {
        file.write_all(&[0; 512])?;
    }
}

#[test]
fn a_record_that_cannot_be_written_leaves_nothing_held() {
    if let Some(folder) = env::var_os(FOLDER) {
        let dir = LockDir::open(folder).unwrap();
        let refused = dir.try_acquire("42").unwrap_err();
        assert!(matches!(refused, AcquireError::Io { .. }), "{refused}");
        assert_eq!(dir.status("42").unwrap().state, LockState::Free, "nothing may be held");
        return said_played();
    }
    let (_folder, dir) = lock_dir();
    drop(take(&dir, "42"));
    // Files of no size at all may be written, and the signal that says so is not heard.
    let script = r#"trap "" XFSZ; ulimit -f 0; exec "$@""#;
    let test = "a_record_that_cannot_be_written_leaves_nothing_held";
    assert_passed(&again(test, &["sh"], script, dir.path()));
    take(&dir, "42").release().unwrap();
}
