//! How long it takes from a release until who waits has the lock.
//!
//! Waiter and holder are threads with a handle each on the folder, which are to each other like two
//! processes.

use std::{
    fs::File,
    path::Path,
    sync::{Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

use agent_runner_lock::LockDir;
use rustix::fs::FlockOperation;

use super::{report, share};

pub(crate) fn measure(folder: &Path, scale: usize) {
    let path = folder.join("hand-over");
    let (one, two) = (LockDir::open(&path), LockDir::open(&path));
    let (one, two) = (one.expect("a lock folder"), two.expect("a lock folder"));
    let hold = || one.acquire_blocking("42", None).expect("it works");

    let soon = |_| Duration::from_millis(1);
    let queue = || drop(two.acquire_blocking("42", None).expect("it works"));
    let mut ours = times(10 * scale, soon, hold, queue);

    let plain = path.join("plain");
    let open = || File::create(&plain).expect("it can be opened");
    let lock = || {
        let file = open();
        rustix::fs::flock(&file, FlockOperation::LockExclusive).expect("it can be locked");
        file
    };
    let mut limit = times(10 * scale, soon, lock, || drop(lock()));
    say("blocking", &mut ours, &mut limit, ["< 100 us", ""]);

    #[cfg(feature = "tokio")]
    {
        // At any moment of the pauses between two questions.
        let later = |round: usize| Duration::from_millis(40 + (round as u64 * 7) % 25);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        let poll = || drop(runtime.block_on(two.acquire("42")).expect("it works"));
        let mut ours = times(2 * scale, later, hold, poll);
        say("async", &mut ours, &mut limit, ["", "< 35000 us"]);
    }
}

fn say(way: &str, ours: &mut [Duration], limit: &mut [Duration], goals: [&str; 2]) {
    for ((name, part), goal) in [("p50", 0.5), ("p99", 0.99)].into_iter().zip(goals) {
        let (case, against) = (format!("hand-over, {way}, {name}"), "a thread blocked in flock");
        report(&case, share(ours, part), share(limit, part), "us", goal, against);
    }
}

/// The times from each release to the return of `wait`, which begins that long before the release.
fn times<L>(
    rounds: usize,
    before: impl Fn(usize) -> Duration,
    hold: impl Fn() -> L,
    wait: impl Fn() + Send + Sync,
) -> Vec<Duration> {
    let (start, (had, hears)) = (Barrier::new(2), mpsc::channel());
    thread::scope(|scope| {
        let (start, wait) = (&start, &wait);
        scope.spawn(move || {
            for _ in 0..rounds {
                start.wait();
                wait();
                had.send(Instant::now()).expect("somebody listens");
            }
        });
        let round = |round| {
            let lock = hold();
            start.wait();
            thread::sleep(before(round));
            let released = Instant::now();
            drop(lock);
            hears.recv().expect("it goes on").duration_since(released)
        };
        (0..rounds).map(round).collect()
    })
}
