//! Claims of names and patterns, alone and in company.

use std::path::Path;

use agent_runner_lock::{LockDir, Resource, record};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};

use super::{alternate, open_folder, report};

/// Acquire and release of a name and a pattern, while others hold claims on other things.
pub(crate) fn measure(path: &Path, others: usize, rounds: usize) {
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
    let raw = open_folder(&raw_path);
    let (mine, limit) = alternate(rounds, ours, |_| claim_system_calls(&raw, &raw_path));
    let case = format!("claim of 2 resources+release, beside {others}");
    let goal = if others == 0 { "<= 1.4" } else { "<= 2" };
    report(&case, mine, limit, "us", goal, "the same system calls, without comparing patterns");
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
