//! A fork without exec, for real: the child has the parent's guards, registry and open files.

use std::{
    io::{Read, Write, pipe},
    panic::{AssertUnwindSafe, catch_unwind},
    process::{self, Command, Stdio},
};

use agent_runner_lock::{
    Acquire, LockDir, LockState, LostError, NoteError, ReleaseError, Resource, ResourceLock,
    TaskLock,
};
use fork::{Fork, fork};
use rustix::process::{Pid, Signal, kill_process};

use crate::{alone::alone, lock_dir, take};

/// Does something in a forked child, which ends with it, and nothing else.
fn in_a_fork(act: impl FnOnce()) -> i32 {
    match fork().unwrap() {
        Fork::Parent(pid) => pid,
        Fork::Child => end(act),
    }
}

#[expect(clippy::exit, reason = "the harness is the parent's")]
fn end(act: impl FnOnce()) -> ! {
    process::exit(i32::from(catch_unwind(AssertUnwindSafe(act)).is_err()))
}

fn assert_succeeds(pid: i32) {
    let status =
        rustix::process::waitpid(Pid::from_raw(pid), rustix::process::WaitOptions::empty());
    let (_, status) = status.unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(0), "see what it said above");
}

#[test]
fn a_forked_child_frees_nothing() {
    alone("fork::a_forked_child_frees_nothing", || {
        let (_folder, dir) = lock_dir();
        let lock = take(&dir, "42");
        let db = [Resource::name("db").unwrap()];
        let claim = dir.try_acquire_all(&db).unwrap().acquired().unwrap();
        take(&dir, "spare").release().unwrap();
        let mut lock = Some((lock, claim));

        let child = in_a_fork(|| assert_inert(&dir, lock.take().unwrap()));
        assert_succeeds(child);

        let (lock, claim) = lock.unwrap();
        lock.check().unwrap();
        claim.check().unwrap();
        let other = LockDir::open(dir.path()).unwrap();
        let status = other.status("42").unwrap();
        assert_eq!((status.state, status.info), (LockState::Held, Some(lock.info())));
        assert!(other.try_acquire("42").unwrap().acquired().is_none(), "the child unlocked it");
        assert!(other.try_acquire_all(&db).unwrap().acquired().is_none(), "the child ended it");
        lock.release().unwrap();
        claim.release().unwrap();
        take(&other, "42").release().unwrap();
    });
}

/// In the child.
fn assert_inert(dir: &LockDir, (lock, claim): (TaskLock, ResourceLock)) {
    assert!(matches!(lock.check(), Err(LostError::Forked { .. })));
    assert!(matches!(claim.check(), Err(LostError::Forked { .. })));
    assert!(matches!(lock.set_note("mine"), Err(NoteError::Lost(_))));
    assert!(matches!(dir.release("42", "run-1/3"), Err(ReleaseError::NotHeld { .. })));
    match dir.try_acquire("42").unwrap() {
        Acquire::Held(status) => assert!(!status.by_this_process, "{status}"),
        Acquire::Acquired(lock) => panic!("it got {lock:?} through the parent's open file"),
    }
    drop((lock, claim));
    assert_eq!(dir.status("42").unwrap().state, LockState::Held);

    // What it acquires itself is its own: the file that the parent kept open is not used.
    let own = take(dir, "spare");
    own.check().unwrap();
    let other = LockDir::open(dir.path()).unwrap();
    assert!(other.try_acquire("spare").unwrap().acquired().is_none());
    own.release().unwrap();
    take(&other, "spare").release().unwrap();
}

/// As the limitations say: who forks shares its open files, and so its locks.
#[test]
fn a_forked_child_keeps_a_killed_parents_lock_until_it_ends() {
    alone("fork::a_forked_child_keeps_a_killed_parents_lock_until_it_ends", || {
        let (_folder, dir) = lock_dir();
        let (mut ready, mut begun) = pipe().unwrap();
        let (mut open, gate) = pipe().unwrap();
        let mut gate = Some(gate);
        let holder = in_a_fork(|| {
            drop(gate.take());
            let own = LockDir::open(dir.path()).unwrap();
            let lock = take(&own, "42");
            let wait = |open: &mut dyn Read| open.read(&mut [0]).unwrap();
            in_a_fork(|| assert_eq!(wait(&mut open), 0));
            begun.write_all(b"!").unwrap();
            wait(&mut open);
            drop(lock);
        });
        ready.read_exact(&mut [0]).unwrap();
        kill_process(Pid::from_raw(holder).unwrap(), Signal::KILL).unwrap();
        fork::waitpid(holder).unwrap();
        assert_eq!(dir.status("42").unwrap().state, LockState::Orphaned);
        assert!(dir.try_acquire("42").unwrap().acquired().is_none());
        drop(gate.take());
        let lock = dir.acquire_blocking("42", None).unwrap();
        assert!(lock.previous().is_some(), "it died");
    });
}

/// The shell's parentheses fork, and run no other program.
#[test]
fn forks_of_a_child_that_keeps_the_lock_free_nothing() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    let mut shell = Command::new("sh");
    shell.args(["-c", "(:); (: & wait); echo forked; read end"]);
    shell.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = lock.keep_with_child(&mut shell).unwrap();
    let mut said = [0; 6];
    child.stdout.take().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"forked");
    let other = LockDir::open(dir.path()).unwrap();
    assert!(other.try_acquire("42").unwrap().acquired().is_none(), "a fork's end freed it");
    lock.check().unwrap();
    lock.release().unwrap();
    take(&other, "42").release().unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();
}
