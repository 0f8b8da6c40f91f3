//! Each operation beside its limit, measured in turns in the same run; one JSON object a line.
//!
//! `--test` or `AGENT_RUNNER_BENCH_QUICK=1` runs it with tiny numbers, so that it does not rot.

#![expect(clippy::print_stdout, reason = "the numbers are what it is for")]

mod claims;
mod contention;
mod hand_over;

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use agent_runner_lock::{LockDir, record};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};

fn main() {
    if contention::is_child() {
        return contention::child();
    }
    let quick = std::env::args().any(|argument| argument == "--test")
        || std::env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some_and(|value| value == "1");
    let scale = if quick { 1 } else { 100 };

    // On the disk, and where nobody minds what a killed run leaves.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for locks");
    let dir = LockDir::builder(folder.path()).holder_id("bench/1").open().expect("a lock folder");
    let raw = open_folder(folder.path());

    again_and_again(&dir, &raw, 1_000 * scale);
    uncontended(&dir, &raw, 1_000 * scale);
    first_time(&dir, &raw, 10 * scale);
    for others in [0, 64] {
        claims::measure(&folder.path().join(format!("claims-{others}")), others, 50 * scale);
    }
    list(folder.path(), 1_000, scale);
    list(folder.path(), if quick { 2_000 } else { 100_000 }, scale.div_ceil(20));
    hand_over::measure(folder.path(), scale);
    contention::measure(folder.path(), Duration::from_millis(10 * scale as u64));
}

/// Acquire and release of the key that was released last, whose file is still open.
fn again_and_again(dir: &LockDir, raw: &impl rustix::fd::AsFd, rounds: usize) {
    take(dir, "42");
    let file = open(raw, "task-again-raw.lock");
    let raw = |_| system_calls(raw, &file, "task-again-raw.lock");
    let (ours, limit) = alternate(rounds, |_| take(dir, "42"), raw);
    report("acquire+release, again", ours, limit, "us", "<= 4 us", "the same system calls");
}

/// Acquire and release of a key that was used before, but not lately.
fn uncontended(dir: &LockDir, raw: &impl rustix::fd::AsFd, rounds: usize) {
    const KEYS: usize = 50;
    let keys: Vec<_> = (0..KEYS).map(|key| format!("uncontended-{key}")).collect();
    let names: Vec<_> = (0..KEYS).map(|key| format!("task-uncontended-raw-{key}.lock")).collect();
    let ours = |round: usize| take(dir, &keys[round % KEYS]);
    let raw = |round: usize| {
        let name = &names[round % KEYS];
        system_calls(raw, &open(raw, name), name);
    };
    alternate(KEYS, ours, raw);
    let (ours, limit) = alternate(rounds, ours, raw);
    report("acquire+release, uncontended", ours, limit, "us", "<= 1.4", "the same system calls");
}

/// Acquire and release of a key without a file.
fn first_time(dir: &LockDir, raw: &impl rustix::fd::AsFd, rounds: usize) {
    let raw = |round| {
        let name = format!("task-first-raw-{round}.lock");
        system_calls(raw, &open(raw, &name), &name);
    };
    let (ours, limit) = alternate(rounds, |round| take(dir, &format!("first-{round}")), raw);
    report("acquire+release, first time", ours, limit, "us", "<= 1.4", "the same system calls");
}

/// Lists of locks of which eight are held.
fn list(folder: &Path, locks: usize, rounds: usize) {
    let path = folder.join(format!("list-{locks}"));
    let dir = LockDir::open(&path).expect("a lock folder");
    (0..locks).for_each(|key| take(&dir, &key.to_string()));
    let held: Vec<_> =
        (0..8).map(|key| dir.try_acquire(&key.to_string()).expect("works").acquired()).collect();
    let raw = open_folder(&path);
    let read_all = |_| {
        for entry in std::fs::read_dir(&path).expect("it can be read") {
            let name = entry.expect("it can be read").file_name();
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let file = rustix::fs::openat(&raw, &name, flags, Mode::empty()).expect("it is there");
            rustix::io::pread(&file, &mut [0; record::LEN], 0).expect("it can be read");
        }
    };
    let ours = |_| assert_eq!(dir.list().expect("it can be read").len(), locks);
    let (mine, limit) = alternate(rounds, ours, read_all);
    drop(held);
    let (case, against) = (format!("list of {locks}"), "readdir and open, read, close of each");
    report(&case, mine, limit, "us", "1,000 in < 1000 us", against);
}

fn take(dir: &LockDir, key: &str) {
    let lock = dir.try_acquire(key).expect("it works").acquired().expect("nobody else asks");
    lock.release().expect("it works");
}

fn open_folder(path: &Path) -> rustix::fd::OwnedFd {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).expect("it is there")
}

fn open(folder: &impl rustix::fd::AsFd, name: &str) -> File {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = Mode::RUSR | Mode::WUSR;
    File::from(rustix::fs::openat(folder, name, flags, mode).expect("opens"))
}

/// What a lock with identity, record and token needs of the kernel once its file is open, and
/// nothing else.
fn system_calls(folder: &impl rustix::fd::AsFd, file: &File, name: &str) {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).expect("locks");
    let one = rustix::fs::fstat(file).expect("is there");
    let two = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).expect("is there");
    assert_eq!(one.st_ino, two.st_ino);
    let mut block = [b' '; record::LEN];
    rustix::io::pread(file, &mut block, 0).expect("reads");
    rustix::io::pwrite(file, &block, 0).expect("writes");
    rustix::io::pwrite(file, &block, 0).expect("writes");
    rustix::fs::flock(file, FlockOperation::Unlock).expect("unlocks");
}

/// The medians of two operations in microseconds, measured in turns.
fn alternate(rounds: usize, mut a: impl FnMut(usize), mut b: impl FnMut(usize)) -> (f64, f64) {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        of_a.push(time(|| a(round)));
        of_b.push(time(|| b(round)));
    }
    (share(&mut of_a, 0.5), share(&mut of_b, 0.5))
}

fn time(act: impl FnOnce()) -> Duration {
    let start = Instant::now();
    act();
    start.elapsed()
}

/// The time in microseconds that this share of all times does not exceed.
fn share(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let place = (times.len() as f64 * share) as usize;
    times[place.min(times.len() - 1)].as_secs_f64() * 1e6
}

fn report(case: &str, ours: f64, limit: f64, unit: &str, goal: &str, against: &str) {
    let goal = if goal.is_empty() { String::new() } else { format!(r#","goal":"{goal}""#) };
    println!(
        r#"{{"bench":"lock","case":"{case}","ours":{ours:.2},"limit":{limit:.2},"unit":"{unit}","ratio":{:.2}{goal},"against":"{against}"}}"#,
        ours / limit
    );
}
