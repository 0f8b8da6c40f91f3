//! Each operation beside its limit, measured in turns in the same run; one JSON object a line.
//!
//! `--test` or `AGENT_RUNNER_BENCH_QUICK=1` runs it with tiny numbers, so that it does not rot.

#![expect(clippy::print_stdout, reason = "the numbers are what it is for")]

use std::{
    path::Path,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use agent_runner_lock::{LockDir, Resource, record};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test")
        || std::env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some_and(|value| value == "1");
    let scale = if quick { 1 } else { 100 };

    let folder = tempfile::tempdir_in(std::env::current_dir().expect("there is a folder"))
        .expect("a folder for locks");
    let dir = LockDir::builder(folder.path()).holder_id("bench/1").open().expect("a lock folder");
    let raw = rustix::fs::open(folder.path(), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .expect("it is there");

    uncontended(&dir, &raw, 100 * scale);
    first_time(&dir, &raw, 10 * scale);
    list(folder.path(), 10 * scale);
    for others in [0, 64] {
        claims(&folder.path().join(format!("claims-{others}")), others, 50 * scale);
    }
    contended(folder.path(), Duration::from_millis(10 * scale as u64));
}

/// Acquire and release of a key that was used before.
fn uncontended(dir: &LockDir, raw: &impl rustix::fd::AsFd, rounds: usize) {
    take(dir, "42");
    let (ours, limit) =
        alternate(rounds * 10, |_| take(dir, "42"), |_| system_calls(raw, "task-raw.lock"));
    report("acquire+release, uncontended", ours, limit, "<= 1.4", "the same system calls");
}

/// Acquire and release of a key without a file.
fn first_time(dir: &LockDir, raw: &impl rustix::fd::AsFd, rounds: usize) {
    let (ours, limit) = alternate(
        rounds,
        |round| take(dir, &format!("first-{round}")),
        |round| system_calls(raw, &format!("task-first-raw-{round}.lock")),
    );
    report("acquire+release, first time", ours, limit, "<= 1.4", "the same system calls");
}

/// A list of 1,000 locks that are free.
fn list(folder: &Path, rounds: usize) {
    let path = folder.join("list");
    let dir = LockDir::open(&path).expect("a lock folder");
    (0..1_000).for_each(|key| take(&dir, &key.to_string()));
    let raw = rustix::fs::open(&path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .expect("it is there");
    let read_all = |_| {
        for entry in std::fs::read_dir(&path).expect("it can be read") {
            let name = entry.expect("it can be read").file_name();
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let file = rustix::fs::openat(&raw, &name, flags, Mode::empty()).expect("it is there");
            rustix::io::pread(&file, &mut [0; record::LEN], 0).expect("it can be read");
        }
    };
    let ours = |_| assert_eq!(dir.list().expect("it can be read").len(), 1_000);
    let (mine, limit) = alternate(rounds, ours, read_all);
    report("list of 1,000", mine, limit, "< 1000 us", "readdir and open, read, close of each");
}

/// Acquire and release of a name and a pattern, while others hold claims on other things.
fn claims(path: &Path, others: usize, rounds: usize) {
    let dir = LockDir::open(path).expect("a lock folder");
    let pattern = |at: usize| Resource::paths(format!("crates/part-{at}/src/**/*.rs"));
    let shared = || Resource::name("db").expect("a name").shared();
    let claim = |at| {
        let wanted = [shared(), pattern(at).expect("a pattern")];
        dir.try_acquire_all(&wanted).expect("it works").acquired().expect("nobody is in the way")
    };
    let _held: Vec<_> = (0..others).map(claim).collect();
    let wanted = [shared(), pattern(others).expect("a pattern")];
    let ours = |_| {
        let lock = dir.try_acquire_all(&wanted).expect("it works").acquired();
        lock.expect("nobody is in the way").release().expect("it works");
    };

    let raw_path = path.join("raw");
    std::fs::create_dir(&raw_path).expect("a folder");
    for name in 0..others {
        std::fs::write(raw_path.join(format!("claim-{name:020}.lock")), "").expect("a file");
    }
    let raw = rustix::fs::open(&raw_path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .expect("it is there");
    let (mine, limit) = alternate(rounds, ours, |_| claim_system_calls(&raw, &raw_path));
    let case = format!("claim of 2 resources+release, beside {others}");
    let goal = if others == 0 { "<= 1.4" } else { "<= 2" };
    report(&case, mine, limit, goal, "the same system calls, without comparing patterns");
}

/// What a claim needs of the kernel if nobody is in the way, and nothing else.
fn claim_system_calls(folder: &impl rustix::fd::AsFd, path: &Path) {
    let open = |name: &str, new: OFlags| {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | new;
        let file = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR).expect("opens");
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).expect("locks");
        file
    };
    let mutex = open(".mutex", OFlags::empty());
    let one = rustix::fs::fstat(&mutex).expect("is there");
    let two = rustix::fs::lstat(path.join(".mutex")).expect("is there");
    assert_eq!(one.st_ino, two.st_ino);
    assert!(std::fs::read_dir(path).expect("it can be read").count() > 0);
    rustix::io::pread(&mutex, &mut [0; 22], 0).expect("reads");
    rustix::io::pwrite(&mutex, &[b' '; 22], 0).expect("writes");
    let claim = open("claim-new.lock", OFlags::EXCL);
    rustix::io::pwrite(&claim, &[b' '; record::LEN], 0).expect("writes");
    rustix::fs::flock(&mutex, FlockOperation::Unlock).expect("unlocks");
    rustix::fs::flock(&claim, FlockOperation::Unlock).expect("unlocks");
    drop(claim);
    rustix::fs::unlinkat(folder, "claim-new.lock", AtFlags::empty()).expect("is there");
}

/// Eight threads on one key, each as often as it can.
fn contended(folder: &Path, span: Duration) {
    // A handle each, which is to the others like another process.
    let path = folder.join("contended");
    let ours = per_second(span, || {
        let dir = LockDir::open(&path).expect("a lock folder");
        move || dir.try_acquire("42").expect("it works").acquired().is_some()
    });
    let plain = folder.join("plain");
    let limit = per_second(span, || {
        || {
            let file = std::fs::File::create(&plain).expect("it can be opened");
            let taken = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
            if taken {
                rustix::fs::flock(&file, FlockOperation::Unlock).expect("it is locked");
            }
            taken
        }
    });
    println!(
        r#"{{"bench":"lock","case":"8 threads on one key","ours":{ours:.0},"limit":{limit:.0},"unit":"acquisitions/s","ratio":{:.3},"against":"plain flock, without record or token"}}"#,
        ours / limit
    );
}

fn take(dir: &LockDir, key: &str) {
    let lock = dir.try_acquire(key).expect("it works").acquired().expect("nobody else asks");
    lock.release().expect("it works");
}

/// What a lock with identity, record and token needs of the kernel, and nothing else.
fn system_calls(folder: &impl rustix::fd::AsFd, name: &str) {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR).expect("opens");
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).expect("locks");
    let one = rustix::fs::fstat(&file).expect("is there");
    let two = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).expect("is there");
    assert_eq!(one.st_ino, two.st_ino);
    let mut block = [b' '; record::LEN];
    rustix::io::pread(&file, &mut block, 0).expect("reads");
    rustix::io::pwrite(&file, &block, 0).expect("writes");
    rustix::io::pwrite(&file, &block, 0).expect("writes");
    rustix::fs::flock(&file, FlockOperation::Unlock).expect("unlocks");
}

/// The medians of two operations in microseconds, measured in turns.
fn alternate(rounds: usize, mut a: impl FnMut(usize), mut b: impl FnMut(usize)) -> (f64, f64) {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        of_a.push(time(|| a(round)));
        of_b.push(time(|| b(round)));
    }
    (median(of_a), median(of_b))
}

fn time(act: impl FnOnce()) -> Duration {
    let start = Instant::now();
    act();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// How often a second eight threads together succeed.
fn per_second<A: Fn() -> bool>(span: Duration, prepare: impl Fn() -> A + Sync) -> f64 {
    let (stop, done, start) = (AtomicBool::new(false), AtomicU32::new(0), Barrier::new(9));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let attempt = prepare();
                start.wait();
                while !stop.load(Ordering::Relaxed) {
                    if attempt() {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        start.wait();
        thread::sleep(span);
        stop.store(true, Ordering::Relaxed);
    });
    f64::from(done.into_inner()) / span.as_secs_f64()
}

fn report(case: &str, ours: f64, limit: f64, goal: &str, against: &str) {
    println!(
        r#"{{"bench":"lock","case":"{case}","ours":{ours:.2},"limit":{limit:.2},"unit":"us","ratio":{:.2},"goal":"{goal}","against":"{against}"}}"#,
        ours / limit
    );
}
