//! What a lease directory promises: who works keeps the lock, who is silent loses it.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use agent_runner_lock::{CleanOptions, LockDir, LockMode, LostError, LostReason, OpenError};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    agent::{Agent, Kind},
    take,
};

const TTL: Duration = Duration::from_secs(1);

fn open(folder: &Path, ttl: Duration) -> Result<LockDir, OpenError> {
    LockDir::builder(folder).holder_id("run-2").lease(ttl).open()
}

fn lease_dir() -> (TempDir, LockDir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(&folder.path().join("locks"), TTL).unwrap();
    (folder, dir)
}

/// A process that holds a lock, and is stopped.
fn stopped_holder(folder: &Path) -> (Agent, u64) {
    let mut agent = Agent::start(Kind::Lease(TTL), folder);
    let token = agent.ask("A 42").strip_prefix("OK ").unwrap().parse().unwrap();
    agent.signal(Signal::STOP).unwrap();
    (agent, token)
}

#[test]
fn a_stopped_holder_is_deposed_after_its_lease_and_hears_of_it() {
    let (_folder, dir) = lease_dir();
    let (mut agent, token) = stopped_holder(dir.path());

    let start = Instant::now();
    let lock = dir.acquire_blocking("42", None).unwrap();
    assert!(start.elapsed() >= TTL, "it was deposed after {:?}", start.elapsed());
    assert!(lock.token() > token);
    let previous = lock.previous().expect("it did not release the lock");
    assert_eq!((previous.holder_id.as_str(), previous.token), ("agent", token));

    agent.signal(Signal::CONT).unwrap();
    let reason = agent.ask("L");
    assert!(reason.starts_with("LOST Some(Deposed"), "{reason}");
    let check = agent.ask("C");
    assert!(check.starts_with("LOST task 42 was taken away by run-2, pid "), "{check}");
    assert_eq!(agent.ask("R"), "OK");
    lock.check().expect("a release of the old file does not touch the new one");
    assert_eq!(agent.ask("A 42"), "BUSY");
    lock.release().unwrap();
    assert!(agent.ask("A 42").starts_with("OK "));
}

#[test]
fn a_holder_that_works_keeps_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let ttl = Duration::from_secs(3);
    let dir = open(&folder.path().join("locks"), ttl).unwrap();
    let lock = take(&dir, "42");
    let contender = open(dir.path(), ttl).unwrap();
    let renewals = || lock.info().lease.map(|lease| lease.renewals);
    let start = Instant::now();
    // Two of them are more than two thirds of the lease; until the fourth one it would be over.
    while renewals() < Some(4) {
        assert!(contender.try_acquire("42").unwrap().acquired().is_none(), "it was deposed");
        assert!(start.elapsed() < Duration::from_secs(60), "nobody renews the lease");
        thread::sleep(Duration::from_millis(10));
    }
    lock.check().unwrap();
    assert!(start.elapsed() > ttl);
}

#[test]
fn a_killed_holder_is_followed_at_once() {
    let (_folder, dir) = lease_dir();
    let (mut agent, token) = stopped_holder(dir.path());
    agent.kill().unwrap();
    assert!(take(&dir, "42").token() > token);
}

#[test]
fn a_holder_that_could_not_renew_knows_it_although_nobody_came() {
    let (_folder, dir) = lease_dir();
    let (mut agent, _) = stopped_holder(dir.path());
    thread::sleep(TTL);
    agent.signal(Signal::CONT).unwrap();
    assert_eq!(agent.ask("C"), "LOST the lease of task 42 was not renewed for 1 s");
    assert_eq!(agent.ask("R"), "OK");
    take(&dir, "42").release().unwrap();
}

#[test]
fn what_a_killed_breaker_left_is_in_nobodys_way() {
    let (_folder, dir) = lease_dir();
    for shard in 0..16 {
        fs::write(dir.path().join(format!(".mutex-{shard:x}.new")), "half a rec").unwrap();
    }
    let (_agent, token) = stopped_holder(dir.path());
    let lock = dir.acquire_blocking("42", None).unwrap();
    assert_eq!(lock.previous().map(|previous| previous.token), Some(token));
}

#[test]
fn a_lease_is_lost_with_its_folder() {
    let (_folder, dir) = lease_dir();
    let lock = take(&dir, "42");
    fs::remove_dir_all(dir.path()).unwrap();
    assert_eq!(lock.wait_lost(Some(Duration::from_secs(60))), Some(LostReason::Removed));
    assert!(matches!(lock.check(), Err(LostError::LockDirReplaced { .. })));
    let newcomer = take(&open(dir.path(), TTL).unwrap(), "42");
    assert!(newcomer.token() > lock.token());
}

#[test]
fn a_collector_leaves_mutexes_and_holders_alone() {
    let (_folder, dir) = lease_dir();
    drop(take(&dir, "free"));
    let held = take(&dir, "held");
    let mut options = CleanOptions::default();
    options.retention = Duration::ZERO;
    let report = dir.clean_stale(&options).unwrap();
    assert_eq!((report.removed.len(), report.held.len()), (1, 1));
    assert_eq!(report.foreign, [""; 0]);
    assert!(
        fs::read_dir(dir.path())
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().starts_with(".mutex-") })
    );
    held.release().unwrap();
}

#[test]
fn all_who_use_a_folder_must_mean_the_same() {
    let (folder, dir) = lease_dir();
    let strict = LockDir::open(dir.path()).unwrap_err();
    let (found, asked) = (LockMode::Lease { ttl: TTL }, LockMode::Strict);
    assert!(
        matches!(&strict, OpenError::Mode { found: f, asked: a, .. } if (*f, *a) == (found, asked)),
        "{strict:?}"
    );
    let other = open(dir.path(), Duration::from_secs(30)).unwrap_err();
    assert!(
        other.to_string().contains("is for 1 s lease locks, not for 30 s lease ones"),
        "{other}"
    );

    let strict = folder.path().join("strict");
    LockDir::open(&strict).unwrap();
    assert!(matches!(open(&strict, TTL), Err(OpenError::Mode { .. })));
}

#[test]
fn a_lease_has_a_length_that_can_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    for ttl in [Duration::ZERO, Duration::from_millis(99), Duration::from_micros(200_500)] {
        let refused = open(folder.path(), ttl).unwrap_err();
        assert!(matches!(refused, OpenError::Lease { ttl: t, .. } if t == ttl), "{refused}");
    }
}
