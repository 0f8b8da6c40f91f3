//! Who waits for resources is not overtaken, in whatever process others ask for them.

use std::{
    env, fs,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use agent_runner_lock::{AcquireAll, ClaimStatus, LockDir, Resource, ResourceLock};
use rustix::process::{Pid, Signal, kill_process};

use crate::lock_dir;

const FOLDER: &str = "AGENT_RUNNER_LOCK_TEST_WISHES";

fn db() -> [Resource; 1] {
    [Resource::name("db").unwrap()]
}

fn shared_db() -> [Resource; 1] {
    db().map(Resource::shared)
}

fn share(dir: &LockDir) -> Result<ResourceLock, Vec<ClaimStatus>> {
    match dir.try_acquire_all(&shared_db()).unwrap() {
        AcquireAll::Acquired(lock) => Ok(lock),
        AcquireAll::Held(claims) => Err(claims),
    }
}

/// Waits until somebody is seen to wait.
fn see_wish(dir: &LockDir) -> ClaimStatus {
    loop {
        let claims = dir.all_claims().unwrap();
        if let Some(wish) = claims.into_iter().find(|claim| claim.waiting) {
            return wish;
        }
        thread::yield_now();
    }
}

/// A process that waits for the database, has it until its input ends, and says so.
struct Waiter(Child);

impl Waiter {
    fn start(folder: &Path) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "wishes::a_process_waits", "--nocapture"])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_process_waits() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let dir = LockDir::open(folder).unwrap();
    let lock = dir.acquire_all_blocking(&db(), None).unwrap();
    lock.set_note("had it").unwrap();
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    lock.release().unwrap();
}

#[test]
fn who_wants_it_alone_is_not_overtaken_by_those_who_share_it() {
    let (_folder, dir) = lock_dir();
    let first = share(&dir).unwrap();
    let mut waiter = Waiter::start(dir.path());
    let wish = see_wish(&dir);
    assert_eq!(wish.resources, db());
    assert!(wish.to_string().contains("db is wanted by pid-"), "{wish}");
    assert_eq!(dir.claims().unwrap().len(), 1, "what is waited for is not held");
    assert_eq!(dir.claim_keepers(&wish).unwrap(), [waiter.0.id()]);

    let refused = share(&dir).unwrap_err();
    assert_eq!(refused.len(), 1, "sharers get along, but for who came in between: {refused:?}");
    assert!(refused[0].waiting);
    let other = dir.try_acquire_all(&[Resource::name("cache").unwrap()]).unwrap();
    assert!(other.acquired().is_some(), "it keeps nobody from anything else");

    first.release().unwrap();
    let had_it = |claim: &ClaimStatus| claim.info.as_ref().is_some_and(|it| it.note.is_some());
    while !dir.claims().unwrap().iter().any(had_it) {
        thread::yield_now();
    }
    let held = share(&dir).unwrap_err();
    assert!(held.len() == 1 && !held[0].waiting, "its wish is fulfilled: {held:?}");
    waiter.0.stdin.take().unwrap().flush().unwrap();
    share_in_time(&dir).release().unwrap();
    assert_eq!(dir.all_claims().unwrap(), []);
}

/// Endless sharers, each of whom comes before the one before has gone.
#[test]
fn who_waits_gets_its_turn_among_endless_sharers() {
    let (_folder, dir) = lock_dir();
    let waits = LockDir::open(dir.path()).unwrap();
    let mut last = share(&dir).unwrap();
    thread::scope(|scope| {
        let had = scope.spawn(|| drop(waits.acquire_all_blocking(&db(), None).unwrap()));
        while !had.is_finished() {
            if let Ok(next) = share(&dir) {
                // The one before is released only now.
                last = next;
            } else {
                drop(last);
                last = share_in_time(&dir);
            }
        }
        had.join().unwrap();
        drop(last);
    });
}

#[test]
fn who_waits_no_more_is_in_nobodys_way() {
    let (_folder, dir) = lock_dir();
    let first = share(&dir).unwrap();

    // Killed.
    let mut waiter = Waiter::start(dir.path());
    see_wish(&dir);
    waiter.0.kill().unwrap();
    waiter.0.wait().unwrap();
    share(&dir).unwrap().release().unwrap();

    // Stopped: it would keep all others from what it cannot take.
    let waiter = Waiter::start(dir.path());
    see_wish(&dir);
    waiter.signal(Signal::STOP);
    share_in_time(&dir).release().unwrap();
    waiter.signal(Signal::CONT);
    let start = Instant::now();
    while share(&dir).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(60), "it lost its place");
    }
    drop(waiter);

    // Gave up.
    let other = LockDir::open(dir.path()).unwrap();
    other.acquire_all_blocking(&db(), Some(Duration::from_millis(80))).unwrap_err();
    share(&dir).unwrap().release().unwrap();
    first.release().unwrap();
    let left = fs::read_dir(dir.path().join("claims")).unwrap().count();
    assert_eq!(left, 1, "there is the mutex, and nothing else");
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_future_that_is_dropped_leaves_no_wish() {
    let (_folder, dir) = lock_dir();
    let first = share(&dir).unwrap();
    let other = LockDir::open(dir.path()).unwrap();
    let wanted = db();
    let mut waits = Box::pin(other.acquire_all(&wanted));
    while !dir.all_claims().unwrap().iter().any(|claim| claim.waiting) {
        let soon = tokio::time::sleep(Duration::from_millis(5));
        tokio::select! {
            _ = &mut waits => panic!("it is shared"),
            () = soon => {}
        }
    }
    assert!(share(&dir).is_err());
    drop(waits);
    share(&dir).unwrap().release().unwrap();
    first.release().unwrap();
}

fn share_in_time(dir: &LockDir) -> ResourceLock {
    dir.acquire_all_blocking(&shared_db(), Some(Duration::from_secs(60))).unwrap()
}
